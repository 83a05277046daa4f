/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/template.h"

#include <assert.h>
#include <string.h>

/* No strlen(): a plan's configuration has some ten thousand placeholders. */
static bool is_named(const struct template_value *value, struct str name)
{
	return strncmp(value->name, name.p, name.n) == 0 && value->name[name.n] == '\0';
}

static struct str find_value(const struct template_fill *fill, struct str name)
{
	for (; fill; fill = fill->outer) {
		const struct template_value *value = fill->values;
		for (; value && value->name; value++) {
			if (is_named(value, name))
				return value->value;
		}
	}
	assert(false && "a placeholder without a value");
	return STR_NONE;
}

static void fill_line(const struct template_fill *fill, struct str line)
{
	while (line.n > 0) {
		const char *place = memmem(line.p, line.n, "${", 2);
		if (!place) {
			sb_add(fill->out, line);
			break;
		}
		size_t at = (size_t)(place - line.p);
		sb_add(fill->out, str_sub(line, 0, at));
		size_t end = str_chr(line, '}', at);
		sb_add(fill->out, find_value(fill, str_sub(line, at + 2, end)));
		line = str_sub(line, end + 1, line.n);
	}
	sb_addc(fill->out, '\n');
}

static void fill_block(const struct template_fill *fill, struct str name, struct str text)
{
	const struct template_fill *at = fill;
	while (at && !at->block)
		at = at->outer;
	assert(at);
	at->block(at->user, fill, name, text);
}

/* Takes the block that starts at *rest; its text goes up to the matching "#}". */
static struct str cut_block(struct str *rest)
{
	const char *start = rest->p;
	size_t depth = 1;
	while (rest->n > 0) {
		const char *line_start = rest->p;
		struct str line = str_cut(rest, '\n');
		if (str_starts(line, STR("#{")))
			depth++;
		else if (str_is(line, "#}") && --depth == 0)
			return (struct str){ start, (size_t)(line_start - start) };
	}
	assert(false && "a block without an end");
	return STR_NONE;
}

void template_fill(const struct template_fill *fill, struct str text)
{
	struct str rest = text;
	while (rest.n > 0) {
		struct str line = str_cut(&rest, '\n');
		if (str_starts(line, STR("#{"))) {
			struct str name = str_trim(str_sub(line, 2, line.n));
			fill_block(fill, name, cut_block(&rest));
		} else {
			fill_line(fill, line);
		}
	}
}

void template_block(const struct template_fill *fill, const struct template_value *values,
		    struct str text)
{
	struct template_fill inner = { .out = fill->out, .values = values, .outer = fill };
	template_fill(&inner, text);
}
