/* SPDX-License-Identifier: Apache-2.0 */
/* The tree is built bottom-up on a stack of open containers:
 *
 *   frames[0] {spec: ...}   frames[1] [..]   frames[2] {name: <- the next value goes here
 *
 * A finished value carries its size (values in it, aliases expanded) and height, so that an
 * alias is charged for what it stands for although it only adds a reference. */
#include "source/yaml.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/map.h"
#include "model/limits.h"

#define CORE_TAG "tag:yaml.org,2002:"

enum { MAX_TAG_DIRECTIVES = 100 };

/* A finished value. */
struct value {
	struct json_object *json; /* NULL is JSON's null */
	size_t nodes;
	size_t height; /* 0: a scalar */
};

struct frame {
	struct value value; /* an object or an array */
	char *anchor;
	struct str key; /* of the value to come; heap; p NULL: none yet */
	bool key_merges;
	size_t key_line;
	size_t *key_lines; /* by order of insertion, for the message about a second one */
	size_t key_count, key_capacity;
	struct json_object **merges;
	size_t merge_count, merge_capacity;
};

struct reader {
	yaml_parser_t parser;
	const char *path;
	struct str text;
	size_t first_line;
	struct frame frames[MAX_DOCUMENT_DEPTH];
	size_t depth;
	size_t nodes; /* of the document so far */
	size_t document_line;
	struct map *anchors; /* name -> struct value */
	struct value root;
	struct error *err;
};

/* ---- Cutting ---- */

static bool is_marker(struct str line, const char *marker)
{
	return str_starts(line, str_of(marker)) &&
	       (line.n == 3 || memchr(" \t\r", line.p[3], 3) != NULL);
}

static bool is_wide(struct str text)
{
	return str_starts(text, STR("\xff\xfe")) || str_starts(text, STR("\xfe\xff"));
}

bool yaml_cut(struct str *rest, size_t *line, struct str *ret_text, size_t *ret_line)
{
	struct str text = *rest;
	size_t at = 0, lines = 0;
	bool has_content = false; /* something other than blank lines, comments, directives */
	if (text.n == 0)
		return false;
	if (is_wide(text)) /* UTF-16: libyaml finds the documents itself */
		at = text.n;
	while (at < text.n) {
		size_t end = str_chr(text, '\n', at);
		struct str this = str_sub(text, at, end);
		bool starts = is_marker(this, "---");
		if (starts && has_content)
			break;
		at = end < text.n ? end + 1 : end;
		lines++;
		if (is_marker(this, "..."))
			break;
		struct str trimmed = str_trim(this);
		if (starts || !(trimmed.n == 0 || trimmed.p[0] == '#' || this.p[0] == '%'))
			has_content = true;
	}
	*ret_text = str_sub(text, 0, at);
	*ret_line = *line;
	*rest = str_sub(text, at, text.n);
	*line += lines;
	return true;
}

/* ---- Errors ---- */

static bool fail_at(struct reader *reader, const yaml_mark_t *mark, enum err_code code,
		    const char *why)
{
	return error_set(reader->err, code, "%s:%zu:%zu: %s", reader->path,
			 reader->first_line + mark->line, mark->column + 1, why);
}

/* libyaml's own failure: what it found, and what it was reading. */
static bool fail_parser(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const yaml_mark_t *mark = &parser->problem_mark;
	char why[200];
	const char *problem = parser->problem ? parser->problem : "cannot be parsed";
	if (parser->error == YAML_MEMORY_ERROR)
		return error_set(reader->err, ERR_NOMEM, "%s: out of memory", reader->path);
	if (parser->error == YAML_READER_ERROR) {
		size_t line = reader->first_line;
		for (size_t i = 0; i < parser->problem_offset && i < reader->text.n; i++)
			line += reader->text.p[i] == '\n';
		return error_set(reader->err, ERR_SYNTAX, "%s:%zu: %s (byte 0x%02x)",
				 reader->path, line, problem, (unsigned)parser->problem_value);
	}
	bool tab = mark->index < reader->text.n && reader->text.p[mark->index] == '\t';
	if (tab)
		problem = "found a tab where YAML allows only blanks";
	if (parser->context)
		snprintf(why, sizeof(why), "%s %s (from line %zu on)", problem, parser->context,
			 reader->first_line + parser->context_mark.line);
	else
		snprintf(why, sizeof(why), "%s", problem);
	return fail_at(reader, mark, ERR_SYNTAX, why);
}

/* ---- Scalars ---- */

static size_t digits(const char *p, const char *set)
{
	return strspn(p, set);
}

/* [-+]? ( .d+ | d+ ( . d* )? ) ( [eE] [-+]? d+ )? */
static bool is_number(const char *p)
{
	static const char set[] = "0123456789";
	p += *p == '-' || *p == '+';
	size_t whole = digits(p, set);
	p += whole;
	if (*p == '.') {
		size_t part = digits(++p, set);
		if (whole + part == 0)
			return false;
		p += part;
	} else if (whole == 0) {
		return false;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		size_t power = digits(p, set);
		if (power == 0)
			return false;
		p += power;
	}
	return *p == '\0';
}

static struct json_object *new_integer(const char *text, int base)
{
	errno = 0;
	long long number = strtoll(text, NULL, base);
	if (errno == 0)
		return json_object_new_int64(number);
	/* Too large for a JSON integer: keeps its text, and the decoder refuses it by range. */
	return json_object_new_double_s(strtod(text, NULL), text);
}

/* Octal and hexadecimal ("0o17", "0x1f") are unsigned in the core schema. */
static struct json_object *new_based(const char *text)
{
	bool hex = text[0] == '0' && text[1] == 'x';
	bool octal = text[0] == '0' && text[1] == 'o';
	const char *set = hex ? "0123456789abcdefABCDEF" : "01234567";
	size_t n = strlen(text);
	if (!(hex || octal) || n == 2 || n > 18 || digits(text + 2, set) != n - 2)
		return NULL;
	return new_integer(text + 2, hex ? 16 : 8);
}

static bool is_one_of(struct str s, const char *a, const char *b, const char *c)
{
	return str_is(s, a) || str_is(s, b) || str_is(s, c);
}

static struct json_object *new_string(struct str s)
{
	return json_object_new_string_len(s.n ? s.p : "", (int)s.n);
}

/* A plain scalar by the core schema. */
static struct json_object *new_plain(struct str s)
{
	if (s.n == 0 || str_is(s, "~") || is_one_of(s, "null", "Null", "NULL"))
		return NULL;
	if (is_one_of(s, "true", "True", "TRUE"))
		return json_object_new_boolean(true);
	if (is_one_of(s, "false", "False", "FALSE"))
		return json_object_new_boolean(false);
	if (s.n != strlen(s.p))
		return new_string(s);
	struct json_object *based = new_based(s.p);
	if (based)
		return based;
	if (!is_number(s.p))
		return new_string(s);
	if (strpbrk(s.p, ".eE"))
		return json_object_new_double_s(strtod(s.p, NULL), s.p);
	return new_integer(s.p, 10);
}

/* True when the tag is one that a core-schema reader knows for this sort of node. */
static bool tag_allowed(const char *tag, const char *const *names)
{
	struct str rest = str_of(tag);
	if (!tag || str_is(rest, "!"))
		return true;
	if (!str_starts(rest, STR(CORE_TAG)))
		return false;
	rest = str_sub(rest, sizeof(CORE_TAG) - 1, rest.n);
	for (; *names; names++) {
		if (str_is(rest, *names))
			return true;
	}
	return false;
}

static bool check_tag(struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag,
		      const char *const *names)
{
	char why[160];
	if (tag_allowed((const char *)tag, names))
		return true;
	snprintf(why, sizeof(why), "tag '%.80s' is not supported here", (const char *)tag);
	return fail_at(reader, &event->start_mark, ERR_SYNTAX, why);
}

static bool scalar_is_plain(const yaml_event_t *event)
{
	const char *tag = (const char *)event->data.scalar.tag;
	if (tag && (strcmp(tag, "!") == 0 || strcmp(tag, CORE_TAG "str") == 0))
		return false;
	return tag || event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* ---- Values and containers ---- */

static struct frame *top(struct reader *reader)
{
	return reader->depth ? &reader->frames[reader->depth - 1] : NULL;
}

static bool in_mapping(const struct frame *frame)
{
	return json_object_is_type(frame->value.json, json_type_object);
}

static void free_anchor(void *anchor)
{
	struct value *value = anchor;
	json_object_put(value->json);
	free(value);
}

static void remember(struct reader *reader, const char *anchor, const struct value *value)
{
	if (!anchor)
		return;
	struct value *copy = xmalloc(sizeof(*copy));
	*copy = *value;
	json_object_get(copy->json);
	struct value *old = map_put(reader->anchors, str_of(anchor), copy);
	if (old)
		free_anchor(old);
}

static void frame_fini(struct frame *frame)
{
	json_object_put(frame->value.json);
	free(frame->anchor);
	free((void *)(uintptr_t)frame->key.p);
	free(frame->key_lines);
	for (size_t i = 0; i < frame->merge_count; i++)
		json_object_put(frame->merges[i]);
	free(frame->merges);
	*frame = (struct frame){ .key_count = 0 };
}

static bool merge_source(struct frame *frame, struct json_object *json)
{
	if (!json_object_is_type(json, json_type_object))
		return false;
	frame->merges = grow(frame->merges, frame->merge_count, &frame->merge_capacity,
			     sizeof(struct json_object *));
	frame->merges[frame->merge_count++] = json_object_get(json);
	return true;
}

/* The value of `<<`: a mapping, or a sequence of them. Used when the mapping ends, because
 * its own keys win wherever they stand. */
static bool add_merge(struct reader *reader, struct frame *frame, const yaml_mark_t *mark,
		      struct json_object *json)
{
	bool ok = true;
	if (json_object_is_type(json, json_type_array)) {
		for (size_t i = 0; ok && i < json_object_array_length(json); i++)
			ok = merge_source(frame, json_object_array_get_idx(json, i));
	} else {
		ok = merge_source(frame, json);
	}
	json_object_put(json);
	if (!ok)
		return fail_at(reader, mark, ERR_SYNTAX,
			       "the value of '<<' must be a mapping or a list of mappings");
	return true;
}

static void apply_merges(struct frame *frame)
{
	for (size_t i = 0; i < frame->merge_count; i++) {
		json_object_object_foreach(frame->merges[i], key, inner)
		{
			if (!json_object_object_get_ex(frame->value.json, key, NULL))
				json_object_object_add(frame->value.json, key,
						       json_object_get(inner));
		}
	}
}

/* Puts a finished value (owned) where it belongs. */
static bool add_value(struct reader *reader, const yaml_mark_t *mark, struct value value)
{
	struct frame *frame = top(reader);
	if (!frame) {
		reader->root = value;
		return true;
	}
	frame->value.nodes += value.nodes;
	if (value.height + 1 > frame->value.height)
		frame->value.height = value.height + 1;
	if (!in_mapping(frame)) {
		json_object_array_add(frame->value.json, value.json);
		return true;
	}
	char *key = (char *)(uintptr_t)frame->key.p;
	frame->key = STR_NONE;
	bool ok = true;
	if (frame->key_merges) {
		ok = add_merge(reader, frame, mark, value.json);
	} else {
		json_object_object_add(frame->value.json, key, value.json);
		frame->key_lines = grow(frame->key_lines, frame->key_count, &frame->key_capacity,
					sizeof(*frame->key_lines));
		frame->key_lines[frame->key_count++] = frame->key_line;
	}
	free(key);
	return ok;
}

static bool charge(struct reader *reader, const yaml_mark_t *mark, size_t nodes)
{
	char why[120];
	if (nodes <= MAX_OBJECT_NODES - reader->nodes) {
		reader->nodes += nodes;
		return true;
	}
	snprintf(why, sizeof(why), "more than %d values in one document, aliases expanded",
		 MAX_OBJECT_NODES);
	return fail_at(reader, mark, ERR_LIMIT, why);
}

static bool check_depth(struct reader *reader, const yaml_mark_t *mark, size_t height)
{
	char why[80];
	if (reader->depth + height <= MAX_DOCUMENT_DEPTH)
		return true;
	snprintf(why, sizeof(why), "nested deeper than %d levels", MAX_DOCUMENT_DEPTH);
	return fail_at(reader, mark, ERR_LIMIT, why);
}

/* ---- Events ---- */

static bool fail_second_key(struct reader *reader, const yaml_mark_t *mark,
			    const struct frame *frame, struct str text)
{
	char why[200];
	size_t index = 0;
	json_object_object_foreach(frame->value.json, key, inner)
	{
		(void)inner;
		if (str_is(text, key))
			break;
		index++;
	}
	assert(index < frame->key_count);
	snprintf(why, sizeof(why), "key '%.100s' is given twice (first on line %zu)", text.p,
		 frame->key_lines[index]);
	return fail_at(reader, mark, ERR_SYNTAX, why);
}

static bool on_key(struct reader *reader, struct frame *frame, const yaml_event_t *event)
{
	struct str text = { (const char *)event->data.scalar.value, event->data.scalar.length };
	const yaml_mark_t *mark = &event->start_mark;
	if (strlen(text.p) != text.n)
		return fail_at(reader, mark, ERR_SYNTAX, "a key must not contain a NUL");
	frame->key_merges = scalar_is_plain(event) && str_is(text, "<<");
	if (!frame->key_merges && json_object_object_get_ex(frame->value.json, text.p, NULL))
		return fail_second_key(reader, mark, frame, text);
	frame->key = (struct str){ xstrndup(text.p, text.n), text.n };
	frame->key_line = reader->first_line + mark->line;
	return true;
}

static bool is_key_place(const struct frame *frame)
{
	return frame && in_mapping(frame) && !frame->key.p;
}

static bool on_scalar(struct reader *reader, const yaml_event_t *event)
{
	static const char *const tags[] = { "str", "int", "float", "bool", "null", NULL };
	struct str text = { (const char *)event->data.scalar.value, event->data.scalar.length };
	const char *anchor = (const char *)event->data.scalar.anchor;
	struct frame *frame = top(reader);
	if (!check_tag(reader, event, event->data.scalar.tag, tags) ||
	    !charge(reader, &event->start_mark, 1))
		return false;
	if (!frame)
		reader->document_line = reader->first_line + event->start_mark.line;
	bool key = is_key_place(frame);
	struct value value = { .nodes = 1 };
	value.json = !key && scalar_is_plain(event) ? new_plain(text) : new_string(text);
	remember(reader, anchor, &value);
	if (!key)
		return add_value(reader, &event->start_mark, value);
	json_object_put(value.json);
	return on_key(reader, frame, event);
}

static bool on_alias(struct reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct value *value = map_get(reader->anchors, str_of(name));
	const yaml_mark_t *mark = &event->start_mark;
	char why[160];
	if (!value) {
		snprintf(why, sizeof(why),
			 "alias '*%.80s' has no finished anchor '&%.20s' before it", name, name);
		return fail_at(reader, mark, ERR_SYNTAX, why);
	}
	if (is_key_place(top(reader)))
		return fail_at(reader, mark, ERR_SYNTAX, "an alias cannot be a key here");
	if (!charge(reader, mark, value->nodes) || !check_depth(reader, mark, value->height))
		return false;
	json_object_get(value->json);
	return add_value(reader, mark, *value);
}

static bool on_open(struct reader *reader, const yaml_event_t *event)
{
	static const char *const tags[] = { "map", "seq", NULL };
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag =
		mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	const yaml_char_t *anchor =
		mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const yaml_mark_t *mark = &event->start_mark;
	if (is_key_place(top(reader)))
		return fail_at(reader, mark, ERR_SYNTAX, "a key must be a string");
	if (!check_tag(reader, event, tag, tags) || !charge(reader, mark, 1) ||
	    !check_depth(reader, mark, 1))
		return false;
	if (reader->depth == 0)
		reader->document_line = reader->first_line + mark->line;
	struct frame *frame = &reader->frames[reader->depth++];
	*frame = (struct frame){ .value.nodes = 1, .value.height = 1 };
	frame->value.json = mapping ? json_object_new_object() : json_object_new_array();
	if (anchor)
		frame->anchor = xstrndup((const char *)anchor, strlen((const char *)anchor));
	return true;
}

static bool on_close(struct reader *reader, const yaml_event_t *event)
{
	struct frame *frame = top(reader);
	assert(frame);
	apply_merges(frame);
	struct value value = frame->value;
	frame->value.json = NULL;
	remember(reader, frame->anchor, &value);
	frame_fini(frame);
	reader->depth--;
	return add_value(reader, &event->start_mark, value);
}

static void document_reset(struct reader *reader)
{
	while (reader->depth)
		frame_fini(&reader->frames[--reader->depth]);
	map_free(reader->anchors, free_anchor);
	reader->anchors = map_new();
	json_object_put(reader->root.json);
	reader->root = (struct value){ .nodes = 0 };
	reader->nodes = 0;
}

static bool on_event(struct reader *reader, const yaml_event_t *event, yaml_document_fn fn,
		     void *user)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(reader, event);
	case YAML_ALIAS_EVENT:
		return on_alias(reader, event);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return on_open(reader, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_close(reader, event);
	case YAML_DOCUMENT_END_EVENT:
		if (reader->root.json)
			fn(user, reader->root.json, reader->document_line);
		document_reset(reader);
		return true;
	default:
		return true;
	}
}

static bool read_events(struct reader *reader, yaml_document_fn fn, void *user)
{
	for (bool done = false; !done;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&reader->parser, &event))
			return fail_parser(reader);
		done = event.type == YAML_STREAM_END_EVENT;
		bool ok = on_event(reader, &event, fn, user);
		yaml_event_delete(&event);
		if (!ok)
			return false;
	}
	return true;
}

/* ---- JSON's surrogate pairs ---- */

static bool hex4(struct str s, size_t at, uint32_t *ret_value)
{
	char digits4[5] = { 0 };
	if (at + 6 > s.n || s.p[at] != '\\' || s.p[at + 1] != 'u')
		return false;
	memcpy(digits4, s.p + at + 2, 4);
	if (strspn(digits4, "0123456789abcdefABCDEF") != 4)
		return false;
	*ret_value = (uint32_t)strtoul(digits4, NULL, 16);
	return true;
}

/* JSON writes a character outside the basic plane as two \u escapes, which YAML (and libyaml)
 * refuse: rewrites them as one \U escape, with two blanks' worth less text. Returns NULL when
 * the text is not JSON or has none; else free() it. */
static char *join_surrogates(struct str text, size_t *ret_len)
{
	struct str start = str_trim(str_sub(text, 0, 256));
	if (start.n == 0 || !strchr("{[", start.p[0]) ||
	    (!memmem(text.p, text.n, "\\ud", 3) && !memmem(text.p, text.n, "\\uD", 3)))
		return NULL;
	char *copy = xmalloc(text.n + 1);
	size_t len = 0;
	for (size_t i = 0; i < text.n;) {
		uint32_t high, low;
		if (hex4(text, i, &high) && high >= 0xd800 && high < 0xdc00 &&
		    hex4(text, i + 6, &low) && low >= 0xdc00 && low < 0xe000) {
			uint32_t code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
			len += (size_t)snprintf(copy + len, 11, "\\U%08x", (unsigned)code);
			i += 12;
		} else if (text.p[i] == '\\' && i + 1 < text.n) {
			copy[len++] = text.p[i++];
			copy[len++] = text.p[i++];
		} else {
			copy[len++] = text.p[i++];
		}
	}
	*ret_len = len;
	return copy;
}

/* libyaml compares each %TAG directive with all others: more than a person writes take it ever
 * longer. */
static bool check_directives(struct str text, const char *path, struct error *err)
{
	size_t count = 0;
	for (size_t at = str_chr(text, '%', 0); at < text.n; at = str_chr(text, '%', at + 1)) {
		bool starts_line = at == 0 || text.p[at - 1] == '\n' || text.p[at - 1] == '\r';
		count += starts_line && str_starts(str_sub(text, at, text.n), STR("%TAG"));
	}
	if (count <= MAX_TAG_DIRECTIVES)
		return true;
	return error_set(err, ERR_LIMIT, "%s: more than %d %%TAG directives", path,
			 MAX_TAG_DIRECTIVES);
}

bool yaml_parse(struct str text, const char *path, size_t first_line, yaml_document_fn fn,
		void *user, struct error *err)
{
	if (text.n > MAX_DOCUMENT_BYTES)
		return error_set(err, ERR_LIMIT, "%s: larger than %d bytes", path,
				 MAX_DOCUMENT_BYTES);
	if (!check_directives(text, path, err))
		return false;
	struct reader *reader = xcalloc(1, sizeof(*reader));
	reader->path = path;
	reader->first_line = first_line;
	reader->err = err;
	char *joined = join_surrogates(text, &text.n);
	if (joined)
		text.p = joined;
	reader->text = text;
	document_reset(reader);
	bool ok = yaml_parser_initialize(&reader->parser);
	if (ok) {
		yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text.p,
					     text.n);
		ok = read_events(reader, fn, user);
		yaml_parser_delete(&reader->parser);
	} else {
		error_set(err, ERR_NOMEM, "%s: out of memory", path);
	}
	document_reset(reader);
	map_free(reader->anchors, NULL);
	free(joined);
	free(reader);
	return ok;
}
