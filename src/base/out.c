/* SPDX-License-Identifier: Apache-2.0 */
#include "base/out.h"

#include <assert.h>
#include <stdarg.h>

#include "base/arena.h"

enum {
	INDENT_STEP = 2
};

void out_init(struct out *out, struct sb *sb, enum out_format format)
{
	*out = (struct out){ .sb = sb, .format = format };
}

static struct out_level *top(struct out *out)
{
	return out->depth ? &out->levels[out->depth - 1] : NULL;
}

static void line_at(struct out *out, unsigned int indent)
{
	sb_addf(out->sb, "\n%*s", (int)indent, "");
}

/* Puts what stands before a key or an array's item: comma, line break, dash. */
static void member_begin(struct out *out, struct out_level *level)
{
	bool first = level->count++ == 0;
	if (out->format != OUT_YAML) {
		if (!first)
			sb_addc(out->sb, ',');
		if (out->format == OUT_JSON_INDENT)
			line_at(out, level->indent);
		return;
	}
	if (!(first && level->in_line))
		line_at(out, level->indent);
	if (level->is_array)
		sb_adds(out->sb, "- ");
}

/* Decodes one UTF-8 sequence; false when s does not start with a valid one. */
static bool utf8_next(struct str s, size_t *ret_len, uint32_t *ret_code)
{
	static const uint32_t smallest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char lead = (unsigned char)s.p[0];
	size_t len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (len == 0 || lead > 0xf4 || len > s.n)
		return false;
	uint32_t code = len == 1 ? lead : lead & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c & 0xc0) != 0x80)
			return false;
		code = code << 6 | (c & 0x3f);
	}
	if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return false;
	*ret_len = len;
	*ret_code = code;
	return true;
}

/* Characters that YAML calls unprintable, or that a terminal or a line reader acts upon. */
static bool must_escape(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
	       code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void add_escaped(struct sb *sb, uint32_t code)
{
	static const char letters[] = "\bb\ff\nn\rr\tt";
	for (size_t i = 0; i + 1 < sizeof(letters); i += 2) {
		if (code == (unsigned char)letters[i]) {
			sb_addc(sb, '\\');
			sb_addc(sb, letters[i + 1]);
			return;
		}
	}
	sb_addf(sb, "\\u%04x", (unsigned int)code);
}

static void add_quoted(struct sb *sb, struct str s)
{
	sb_addc(sb, '"');
	while (s.n) {
		size_t len = 1;
		uint32_t code = 0;
		if (!utf8_next(s, &len, &code)) {
			sb_adds(sb, "\xef\xbf\xbd");
		} else if (must_escape(code)) {
			add_escaped(sb, code);
		} else {
			if (code == '"' || code == '\\')
				sb_addc(sb, '\\');
			sb_add(sb, str_sub(s, 0, len));
		}
		s = str_sub(s, len, s.n);
	}
	sb_addc(sb, '"');
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return is_alpha(c) || (c >= '0' && c <= '9');
}

/* Words that YAML 1.1 or 1.2 readers take for something else than a string. */
static bool is_word(struct str s)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no",
					     "on",   "off",  "y",     "n" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (str_eq_nocase(s, str_of(words[i])))
			return true;
	}
	return false;
}

/* A narrow set: starts like a word or a path, and punctuation only where it cannot act. */
static bool is_plain(struct str s)
{
	if (s.n == 0 || !(is_alpha(s.p[0]) || s.p[0] == '/' || s.p[0] == '_') || is_word(s))
		return false;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];
		bool before_word = i + 1 < s.n && (is_alnum(s.p[i + 1]) || s.p[i + 1] == '/');
		if (is_alnum(c) || (c && strchr("_./-", c)))
			continue;
		if ((c == ':' || c == ' ') && before_word)
			continue;
		if (c == ',' && i + 1 < s.n)
			continue;
		return false;
	}
	return true;
}

static void add_string(struct out *out, struct str s)
{
	if (out->format == OUT_YAML && is_plain(s))
		sb_add(out->sb, s);
	else
		add_quoted(out->sb, s);
}

/* What every value does first. `block` values (filled YAML containers) add their own line
 * break, so the blank behind a key is left to them. */
static void value_begin(struct out *out, bool block)
{
	struct out_level *level = top(out);
	if (!level)
		return;
	if (level->is_array) {
		member_begin(out, level);
		return;
	}
	assert(level->has_key);
	level->has_key = false;
	if (out->format != OUT_JSON && !block)
		sb_addc(out->sb, ' ');
}

static void value_end(struct out *out)
{
	if (out->depth == 0 && out->format != OUT_JSON)
		sb_addc(out->sb, '\n');
}

static void open_container(struct out *out, bool is_array)
{
	const struct out_level *parent = top(out);
	struct out_level level = { .is_array = is_array };
	if (parent || out->format != OUT_YAML)
		level.indent = (parent ? parent->indent : 0) + INDENT_STEP;
	/* The document's first line has no break before it either. */
	level.in_line = !parent || parent->is_array;
	value_begin(out, out->format == OUT_YAML);
	if (out->format != OUT_YAML)
		sb_addc(out->sb, is_array ? '[' : '{');
	assert(out->depth < OUT_MAX_DEPTH);
	out->levels[out->depth++] = level;
}

void out_object(struct out *out)
{
	open_container(out, false);
}

void out_array(struct out *out)
{
	open_container(out, true);
}

void out_end(struct out *out)
{
	assert(out->depth);
	struct out_level level = out->levels[--out->depth];
	assert(!level.has_key);
	const char *brackets = level.is_array ? "[]" : "{}";
	if (out->format == OUT_YAML) {
		if (level.count == 0) {
			if (!level.in_line)
				sb_addc(out->sb, ' ');
			sb_adds(out->sb, brackets);
		}
	} else {
		if (level.count && out->format == OUT_JSON_INDENT)
			line_at(out, level.indent - INDENT_STEP);
		sb_addc(out->sb, brackets[1]);
	}
	value_end(out);
}

void out_key_str(struct out *out, struct str key)
{
	struct out_level *level = top(out);
	assert(level && !level->is_array && !level->has_key);
	member_begin(out, level);
	add_string(out, key);
	sb_addc(out->sb, ':');
	level->has_key = true;
}

void out_key(struct out *out, const char *key)
{
	out_key_str(out, str_of(key));
}

void out_str(struct out *out, struct str value)
{
	value_begin(out, false);
	add_string(out, value);
	value_end(out);
}

void out_cstr(struct out *out, const char *value)
{
	if (value)
		out_str(out, str_of(value));
	else
		out_null(out);
}

void out_strf(struct out *out, const char *fmt, ...)
{
	size_t n;
	va_list args;
	va_start(args, fmt);
	char *text = xvasprintf(fmt, args, &n);
	va_end(args);
	out_str(out, (struct str){ text, n });
	free(text);
}

static void add_literal(struct out *out, const char *text)
{
	value_begin(out, false);
	sb_adds(out->sb, text);
	value_end(out);
}

void out_int(struct out *out, int64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)value);
	add_literal(out, text);
}

void out_bool(struct out *out, bool value)
{
	add_literal(out, value ? "true" : "false");
}

void out_null(struct out *out)
{
	add_literal(out, "null");
}

void out_kv_str(struct out *out, const char *key, struct str value)
{
	out_key(out, key);
	out_str(out, value);
}

void out_kv_cstr(struct out *out, const char *key, const char *value)
{
	out_key(out, key);
	out_cstr(out, value);
}

void out_kv_int(struct out *out, const char *key, int64_t value)
{
	out_key(out, key);
	out_int(out, value);
}

void out_kv_bool(struct out *out, const char *key, bool value)
{
	out_key(out, key);
	out_bool(out, value);
}

void out_kv_object(struct out *out, const char *key)
{
	out_key(out, key);
	out_object(out);
}

void out_kv_array(struct out *out, const char *key)
{
	out_key(out, key);
	out_array(out);
}
