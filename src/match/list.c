/* SPDX-License-Identifier: Apache-2.0 */
#include "match/list.h"

#include <assert.h>

#include "match/compiled.h"

enum {
	TEXT_MAX_BYTES = 64 * 1024, /* HAProxy's largest usual buffer; a frame holds less */
};

/* --- text out --- */

static bool is_token_byte(unsigned char c)
{
	return c > ' ' && c != 0x7f && !strchr("\"=~;", c);
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_byte((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static void print_string(struct str s, struct sb *out)
{
	sb_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			sb_addf(out, "\\%c", c);
		else if (c == '\t')
			sb_adds(out, "\\t");
		else if (c < ' ' || c == 0x7f)
			sb_addf(out, "\\x%02x", c);
		else
			sb_addc(out, (char)c);
	}
	sb_addc(out, '"');
}

static void print_cond(const struct list_cond *cond, struct sb *out)
{
	switch (cond->subject) {
	case LIST_METHOD:
		assert(!cond->regex && is_token(cond->value));
		sb_adds(out, "method=");
		sb_add(out, cond->value);
		return;
	case LIST_PATH:
		assert(cond->regex);
		sb_adds(out, "path");
		break;
	case LIST_HEADER:
	case LIST_QUERY:
		sb_adds(out, cond->subject == LIST_HEADER ? "header." : "query.");
		if (is_token(cond->name))
			sb_add(out, cond->name);
		else
			print_string(cond->name, out);
		break;
	}
	sb_addc(out, cond->regex ? '~' : '=');
	print_string(cond->value, out);
}

void list_print(const struct list_entry *entries, size_t count, struct sb *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct list_entry *entry = &entries[i];
		if (i)
			sb_adds(out, " ; ");
		for (size_t j = 0; j < entry->cond_count; j++) {
			print_cond(&entry->conds[j], out);
			sb_addc(out, ' ');
		}
		sb_adds(out, "=> ");
		sb_add(out, entry->verdict);
	}
}

/* --- text in --- */

struct parser {
	char *text; /* the list's own copy, NUL-terminated */
	size_t at;
	size_t n;
};

static bool fail(const struct parser *in, const char *what, struct error *err)
{
	return error_set(err, ERR_SYNTAX, "column %zu: %s", in->at + 1, what);
}

static bool take(struct parser *in, const char *word)
{
	struct str rest = { in->text + in->at, in->n - in->at };
	if (!str_starts(rest, str_of(word)))
		return false;
	in->at += strlen(word);
	return true;
}

/* Behind a backslash: the byte it stands for, or -1. The text ends in NUL, so looking two
 * bytes ahead of a byte that is not NUL is safe. */
static int parse_escape(struct parser *in)
{
	char c = in->text[in->at];
	if (c == '"' || c == '\\' || c == 't') {
		in->at++;
		return c == 't' ? '\t' : c;
	}
	if (c != 'x')
		return -1;
	int high = hex_digit(in->text[in->at + 1]);
	int low = high < 0 ? -1 : hex_digit(in->text[in->at + 2]);
	if (low < 0)
		return -1;
	in->at += 3;
	return high * 16 + low;
}

/* Unescapes in place: what is read is never shorter than what is written. */
static bool parse_string(struct parser *in, struct str *ret_string, struct error *err)
{
	if (!take(in, "\""))
		return fail(in, "expected a string in double quotes", err);
	char *start = in->text + in->at, *to = start;
	while (in->at < in->n) {
		char c = in->text[in->at++];
		if (c == '"') {
			*ret_string = (struct str){ start, (size_t)(to - start) };
			return true;
		}
		if (c == '\\') {
			int byte = parse_escape(in);
			if (byte < 0)
				return fail(in, "unknown escape in a string", err);
			c = (char)byte;
		}
		*to++ = c;
	}
	return fail(in, "the string has no end", err);
}

static bool parse_token(struct parser *in, struct str *ret_token, struct error *err)
{
	size_t start = in->at;
	while (in->at < in->n && is_token_byte((unsigned char)in->text[in->at]))
		in->at++;
	if (in->at == start)
		return fail(in, "expected a name", err);
	*ret_token = (struct str){ in->text + start, in->at - start };
	return true;
}

static bool parse_name(struct parser *in, struct str *ret_name, struct error *err)
{
	if (in->at < in->n && in->text[in->at] == '"')
		return parse_string(in, ret_name, err);
	return parse_token(in, ret_name, err);
}

static bool parse_operator(struct parser *in, bool *ret_regex, struct error *err)
{
	*ret_regex = take(in, "~");
	if (!*ret_regex && !take(in, "="))
		return fail(in, "expected = or ~", err);
	return true;
}

static bool compile_value(struct list *list, struct parser *in, struct compiled_cond *cond,
			  struct error *err)
{
	size_t column = in->at + 1;
	if (!parse_string(in, &cond->value, err))
		return false;
	if (!cond->is_regex)
		return true;
	if (!list->scratch.data && !regex_scratch_init(&list->scratch, err))
		return false;
	if (!regex_compile(cond->value, &cond->regex, err))
		return error_prefix(err, "column %zu: pattern", column);
	return true;
}

static bool parse_cond(struct list *list, struct parser *in, struct compiled_cond *cond,
		       struct error *err)
{
	if (take(in, "method=")) {
		cond->subject = LIST_METHOD;
		return parse_token(in, &cond->value, err);
	}
	if (take(in, "path~")) {
		cond->subject = LIST_PATH;
		cond->is_regex = true;
		return compile_value(list, in, cond, err);
	}
	if (take(in, "header."))
		cond->subject = LIST_HEADER;
	else if (take(in, "query."))
		cond->subject = LIST_QUERY;
	else
		return fail(in, "expected method=, path~, header., query. or =>", err);
	return parse_name(in, &cond->name, err) && parse_operator(in, &cond->is_regex, err) &&
	       compile_value(list, in, cond, err);
}

static bool parse_verdict(struct parser *in, struct str *ret_verdict, struct error *err)
{
	const char *start = in->text + in->at;
	const char *end = memmem(start, in->n - in->at, " ; ", 3);
	size_t n = end ? (size_t)(end - start) : in->n - in->at;
	if (!n)
		return fail(in, "expected a verdict", err);
	*ret_verdict = (struct str){ start, n };
	in->at += n;
	return true;
}

static bool parse_entry(struct list *list, struct parser *in, struct error *err)
{
	struct compiled_entry entry = { .first_cond = list->cond_count };
	while (!take(in, "=> ")) {
		list->conds = grow(list->conds, list->cond_count, &list->cond_capacity,
				   sizeof(*list->conds));
		struct compiled_cond *cond = &list->conds[list->cond_count];
		*cond = (struct compiled_cond){ 0 };
		/* Counted before it is complete, so that list_free() sees its expression. */
		list->cond_count++;
		if (!parse_cond(list, in, cond, err))
			return false;
		if (!take(in, " "))
			return fail(in, "expected a space", err);
	}
	if (!parse_verdict(in, &entry.verdict, err))
		return false;
	entry.cond_count = list->cond_count - entry.first_cond;
	list->entries = grow(list->entries, list->entry_count, &list->entry_capacity,
			     sizeof(*list->entries));
	list->entries[list->entry_count++] = entry;
	return true;
}

struct list *list_compile(struct str text, struct error *err)
{
	if (text.n > TEXT_MAX_BYTES) {
		error_set(err, ERR_LIMIT, "the list has %zu bytes, the limit is %d", text.n,
			  TEXT_MAX_BYTES);
		return NULL;
	}
	struct list *list = xcalloc(1, sizeof(*list));
	list->text = xstrndup(text.p, text.n);
	list->text_bytes = text.n;
	struct parser in = { .text = list->text, .n = text.n };
	do {
		if (!parse_entry(list, &in, err)) {
			list_free(list);
			return NULL;
		}
	} while (take(&in, " ; "));
	assert(in.at == in.n); /* a verdict goes on to " ; " or to the end */
	return list;
}

void list_free(struct list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->cond_count; i++)
		regex_fini(&list->conds[i].regex);
	regex_scratch_fini(&list->scratch);
	free(list->conds);
	free(list->entries);
	free(list->text);
	free(list);
}

size_t list_entry_count(const struct list *list)
{
	return list->entry_count;
}

size_t list_bytes(const struct list *list)
{
	size_t bytes = sizeof(*list) + list->text_bytes +
		       list->cond_capacity * sizeof(*list->conds) +
		       list->entry_capacity * sizeof(*list->entries);
	for (size_t i = 0; i < list->cond_count; i++)
		bytes += regex_bytes(&list->conds[i].regex);
	return bytes;
}
