/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of (key, value), sorted by key, bytewise: an array of pointers to one allocation a line.
 *
 *   0 ──► "a.example.com/" "default.a.80 default/a/0"
 *   1 ──► "b.example.com/" "@default/b/0"
 *
 * Half the memory of a map, and in order without sorting; a look-up compares some 15 keys, and
 * a line that comes or goes moves the pointers behind it. Filling in order appends. */
#pragma once

#include "base/str.h"

struct texts;

struct texts *texts_new(void);
void texts_free(struct texts *texts); /* accepts NULL */

/* The value, with a NUL behind it, until the next put or del of the key; STR_NONE: not there. */
struct str texts_get(const struct texts *texts, struct str key);
/* Key and value are copied. */
void texts_put(struct texts *texts, struct str key, struct str value);
void texts_del(struct texts *texts, struct str key); /* nothing when it is not there */

/* Lines by their place, valid until the next put or del. */
size_t texts_count(const struct texts *texts);
struct str texts_key(const struct texts *texts, size_t i);
struct str texts_value(const struct texts *texts, size_t i);

/* The place of the first line whose key is not before `key`; texts_count(): none. */
size_t texts_find(const struct texts *texts, struct str key);

/* The same for those who come with one key after another: `near` is looked at first. */
size_t texts_find_near(const struct texts *texts, struct str key, size_t near);

/* The place of the line with that key, texts_count(): none; `near` is looked at first. */
size_t texts_at(const struct texts *texts, struct str key, size_t near);
