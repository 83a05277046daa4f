/* SPDX-License-Identifier: Apache-2.0 */
/* A string under construction, with a mandatory maximum.
 *
 * Appends return nothing: the first append that would pass the maximum makes the builder
 * `failed`, and from then on appends do nothing. Check once, at the end, with sb_ok().
 * Invariant: len <= max; data[len] is NUL whenever data is not NULL. */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct sb {
	char *data;
	size_t len;
	size_t capacity;
	size_t max_bytes;
	bool failed;
};

void sb_init(struct sb *sb, size_t max_bytes);
void sb_fini(struct sb *sb); /* accepts a zeroed or moved-from builder */
void sb_reset(struct sb *sb); /* empty again, memory kept */

void sb_add(struct sb *sb, struct str s);
void sb_adds(struct sb *sb, const char *cstr);
void sb_addc(struct sb *sb, char c);
void sb_addf(struct sb *sb, const char *fmt, ...) printf_like(2, 3);

/* The text so far; valid until the next append. Always NUL-terminated. */
struct str sb_str(const struct sb *sb);

/* False with ERR_LIMIT when an append did not fit. */
bool sb_ok(const struct sb *sb, struct error *err) must_check;

/* Moves the text out (free() it); the builder is empty afterwards. */
char *sb_take(struct sb *sb, size_t *ret_len);
