/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from byte strings to pointers, in insertion order.
 *
 * Keys are copied; values are the caller's. Iteration order is insertion order, so whatever
 * must be canonical sorts (map_sorted()). The hash is keyed by uthash's own function; the
 * number of keys is bounded by the caller's limits. */
#pragma once

#include "base/str.h"

struct map;
struct map_entry;

struct map *map_new(void);
/* free_value may be NULL; otherwise it is called for every value. Accepts NULL. */
void map_free(struct map *map, void (*free_value)(void *));

void *map_get(const struct map *map, struct str key); /* NULL: not there */

/* The entry of a key, for as long as the key is there; NULL: not there. */
struct map_entry *map_at(const struct map *map, struct str key);

/* Sets key to value; returns the value it replaces, or NULL. value must not be NULL. */
void *map_put(struct map *map, struct str key, void *value);

/* Takes key out; returns its value, or NULL. */
void *map_del(struct map *map, struct str key);

size_t map_count(const struct map *map);

/* for (e = map_first(m); e; e = map_next(e)). The current entry may be deleted only after
 * map_next() has been called on it. */
struct map_entry *map_first(const struct map *map);
struct map_entry *map_next(const struct map_entry *entry);
struct str map_key(const struct map_entry *entry);
void *map_value(const struct map_entry *entry);

/* All entries ordered by key; free() the array (map_count() pointers). */
struct map_entry **map_sorted(const struct map *map);
