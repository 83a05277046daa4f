/* SPDX-License-Identifier: Apache-2.0 */
/* struct str: a slice of bytes that somebody else owns, passed by value.
 *
 * Not NUL-terminated unless the maker says so (arena_str() always adds a NUL after the
 * slice, so an arena's copy may be passed to libc as .p). The empty slice has n == 0; its p
 * may be NULL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t n;
};

/* A slice over a string literal; also usable in static initialisers. */
#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_INIT(lit) { "" lit, sizeof(lit) - 1 }
#define STR_NONE ((struct str){ NULL, 0 })

/* printf("%.*s", STR_ARG(s)) */
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

/* A slice over a C string; NULL gives the empty slice. */
struct str str_of(const char *cstr);

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_is(struct str s, const char *cstr);

/* Byte order, shorter first on a common prefix: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
int str_order(const void *a, const void *b); /* the same of two struct str, for qsort() */

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Index of the first c at or after `from`; s.n when there is none. */
size_t str_chr(struct str s, char c, size_t from);

/* Where the text behind the last c begins; 0 when there is none. */
size_t str_behind_last(struct str s, char c);

/* s[from, to), clipped to s. */
struct str str_sub(struct str s, size_t from, size_t to);

/* Splits at the first c: returns what stands before it and moves *rest behind it; without
 * a c returns all and leaves *rest empty. */
struct str str_cut(struct str *rest, char c);

/* Without ASCII white space on both sides. */
struct str str_trim(struct str s);

/* A decimal number of digits only, 0..max; false when it is not one. */
bool str_u64(struct str s, uint64_t max, uint64_t *ret_value);

/* 0..15; -1 when c is no hexadecimal digit. */
int hex_digit(char c);

/* True when every byte is printable ASCII or >= 0x80: no control bytes, no DEL. */
bool str_printable(struct str s);

static inline bool str_empty(struct str s)
{
	return s.n == 0;
}
