/* SPDX-License-Identifier: Apache-2.0 */
/* Structured output: the same calls write JSON or YAML into a string builder.
 *
 *	out_init(&out, &sb, OUT_YAML);
 *	out_object(&out);
 *	out_kv_str(&out, "name", name);
 *	out_key(&out, "listeners");
 *	out_array(&out);
 *	out_cstr(&out, "http");
 *	out_end(&out);
 *	out_end(&out);
 *
 * Calls that do not nest (a value in an object without a key, an end too many) are bugs and
 * assert. Bytes that are not UTF-8 come out as U+FFFD, control characters as escapes, and a
 * YAML string that a reader could take for something else is quoted. The indented forms end
 * with a newline, compact JSON does not. The builder's own limit is the only failure. */
#pragma once

#include "base/sb.h"

enum out_format {
	OUT_JSON = 0,
	OUT_JSON_INDENT,
	OUT_YAML,
};

enum {
	OUT_MAX_DEPTH = 64
};

struct out_level {
	bool is_array;
	bool has_key; /* a key is written, its value is not */
	bool in_line; /* YAML: the first member stands behind the "- " of the parent */
	unsigned int indent;
	size_t count;
};

struct out {
	struct sb *sb;
	enum out_format format;
	unsigned int depth;
	struct out_level levels[OUT_MAX_DEPTH];
};

void out_init(struct out *out, struct sb *sb, enum out_format format);

/* Containers; out_end() closes the innermost one. */
void out_object(struct out *out);
void out_array(struct out *out);
void out_end(struct out *out);

/* The name of the next value of an object. */
void out_key(struct out *out, const char *key);
void out_key_str(struct out *out, struct str key);

void out_str(struct out *out, struct str value);
void out_cstr(struct out *out, const char *value); /* NULL: null */
void out_strf(struct out *out, const char *fmt, ...) printf_like(2, 3);
void out_int(struct out *out, int64_t value);
void out_bool(struct out *out, bool value);
void out_null(struct out *out);

/* Key and value at once; the containers are left open. */
void out_kv_str(struct out *out, const char *key, struct str value);
void out_kv_cstr(struct out *out, const char *key, const char *value);
void out_kv_int(struct out *out, const char *key, int64_t value);
void out_kv_bool(struct out *out, const char *key, bool value);
void out_kv_object(struct out *out, const char *key);
void out_kv_array(struct out *out, const char *key);
