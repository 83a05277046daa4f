/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <assert.h>

#include "base/arena.h"

/* The one file that sees uthash's macros. Out of memory ends the process, as in arena.c. */
#include <uthash.h>

struct map_entry {
	UT_hash_handle hh;
	void *value;
	char key[];
};

struct map {
	struct map_entry *head;
};

struct map *map_new(void)
{
	return xcalloc(1, sizeof(struct map));
}

void map_free(struct map *map, void (*free_value)(void *))
{
	if (!map)
		return;
	struct map_entry *entry = map->head;
	HASH_CLEAR(hh, map->head);
	while (entry) {
		struct map_entry *next = entry->hh.next;
		if (free_value)
			free_value(entry->value);
		free(entry);
		entry = next;
	}
	free(map);
}

static struct map_entry *map_find(const struct map *map, struct str key)
{
	struct map_entry *entry = NULL;
	if (key.n)
		HASH_FIND(hh, map->head, key.p, key.n, entry);
	else
		HASH_FIND(hh, map->head, "", 0, entry);
	return entry;
}

struct map_entry *map_at(const struct map *map, struct str key)
{
	return map_find(map, key);
}

void *map_get(const struct map *map, struct str key)
{
	struct map_entry *entry = map_find(map, key);
	return entry ? entry->value : NULL;
}

void *map_put(struct map *map, struct str key, void *value)
{
	assert(value);
	struct map_entry *entry = map_find(map, key);
	if (entry) {
		void *old = entry->value;
		entry->value = value;
		return old;
	}
	entry = xcalloc(1, sizeof(*entry) + key.n + 1);
	entry->value = value;
	if (key.n)
		memcpy(entry->key, key.p, key.n);
	HASH_ADD_KEYPTR(hh, map->head, entry->key, key.n, entry);
	return NULL;
}

void *map_del(struct map *map, struct str key)
{
	struct map_entry *entry = map_find(map, key);
	if (!entry)
		return NULL;
	void *value = entry->value;
	HASH_DEL(map->head, entry);
	free(entry);
	return value;
}

size_t map_count(const struct map *map)
{
	return HASH_COUNT(map->head);
}

struct map_entry *map_first(const struct map *map)
{
	return map->head;
}

struct map_entry *map_next(const struct map_entry *entry)
{
	return entry->hh.next;
}

struct str map_key(const struct map_entry *entry)
{
	return (struct str){ entry->key, entry->hh.keylen };
}

void *map_value(const struct map_entry *entry)
{
	return entry->value;
}

static int by_key(const void *a, const void *b)
{
	const struct map_entry *const *x = a;
	const struct map_entry *const *y = b;
	return str_cmp(map_key(*x), map_key(*y));
}

struct map_entry **map_sorted(const struct map *map)
{
	size_t count = map_count(map), i = 0;
	struct map_entry **sorted = xcalloc(count, sizeof(*sorted));
	for (struct map_entry *entry = map->head; entry; entry = entry->hh.next)
		sorted[i++] = entry;
	qsort(sorted, count, sizeof(*sorted), by_key);
	return sorted;
}
