/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/cache.h"

#include <uthash.h>

struct cached {
	UT_hash_handle hh; /* in order of insertion: the clock */
	struct list *list;
	size_t bytes;
	bool used; /* since the hand came by */
	char text[];
};

struct cache {
	struct cached *head;
	struct stats *stats;
	size_t max_count, max_bytes;
	size_t bytes;
};

struct cache *cache_new(size_t max_count, size_t max_bytes, struct stats *stats)
{
	struct cache *cache = xcalloc(1, sizeof(*cache));
	cache->max_count = max_count;
	cache->max_bytes = max_bytes;
	cache->stats = stats;
	return cache;
}

static void drop(struct cache *cache, struct cached *entry)
{
	HASH_DEL(cache->head, entry);
	cache->bytes -= entry->bytes;
	list_free(entry->list);
	free(entry);
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	while (cache->head)
		drop(cache, cache->head);
	free(cache);
}

static void insert(struct cache *cache, struct cached *entry, size_t text_bytes)
{
	HASH_ADD(hh, cache->head, text, (unsigned)text_bytes, entry);
}

/* The hand is at the head: what was used goes to the tail once, the first other one goes. */
static void evict(struct cache *cache)
{
	struct cached *entry = cache->head;
	while (entry->used) {
		size_t text_bytes = entry->hh.keylen;
		entry->used = false;
		HASH_DEL(cache->head, entry);
		insert(cache, entry, text_bytes);
		entry = cache->head;
	}
	drop(cache, entry);
	stats_add(cache->stats, STAT_CACHE_EVICTIONS, 1);
}

static struct list *cache_add(struct cache *cache, struct str text, struct error *err)
{
	struct list *list = list_compile(text, err);
	if (!list)
		return NULL;
	struct cached *entry = xmalloc(sizeof(*entry) + text.n);
	entry->list = list;
	entry->bytes = sizeof(*entry) + text.n + list_bytes(list);
	entry->used = false;
	memcpy(entry->text, text.p, text.n);
	while (cache->head && (HASH_COUNT(cache->head) >= cache->max_count ||
			       cache->bytes + entry->bytes > cache->max_bytes))
		evict(cache);
	insert(cache, entry, text.n);
	cache->bytes += entry->bytes;
	return list;
}

struct list *cache_get(struct cache *cache, struct str text, struct error *err)
{
	struct cached *entry = NULL;
	HASH_FIND(hh, cache->head, text.p, (unsigned)text.n, entry);
	if (entry) {
		entry->used = true;
		stats_add(cache->stats, STAT_CACHE_HITS, 1);
		return entry->list;
	}
	stats_add(cache->stats, STAT_CACHE_MISSES, 1);
	return cache_add(cache, text, err);
}

size_t cache_count(const struct cache *cache)
{
	return HASH_COUNT(cache->head);
}
