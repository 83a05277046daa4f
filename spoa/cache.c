/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/cache.h"

#include "base/map.h"

struct cached {
	struct list *list;
	size_t bytes;
	bool used; /* since the hand came by */
};

struct cache {
	struct map *lists; /* by text; its order of insertion is the clock */
	struct stats *stats;
	size_t max_count, max_bytes;
	size_t bytes;
};

struct cache *cache_new(size_t max_count, size_t max_bytes, struct stats *stats)
{
	struct cache *cache = xcalloc(1, sizeof(*cache));
	cache->lists = map_new();
	cache->max_count = max_count;
	cache->max_bytes = max_bytes;
	cache->stats = stats;
	return cache;
}

static void cached_free(void *value)
{
	struct cached *cached = value;
	list_free(cached->list);
	free(cached);
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	map_free(cache->lists, cached_free);
	free(cache);
}

/* Takes the oldest entry out of the map and puts it in again as the newest. */
static void move_to_tail(struct map *lists, struct map_entry *entry)
{
	struct str key = map_key(entry);
	char *text = xstrndup(key.p, key.n); /* the map's copy of the key dies with the entry */
	key.p = text;
	struct cached *cached = map_del(lists, key);
	map_put(lists, key, cached);
	free(text);
}

/* The hand is at the head: what was used goes to the tail once, the first other one goes. */
static void evict(struct cache *cache)
{
	struct map_entry *oldest = map_first(cache->lists);
	struct cached *cached = map_value(oldest);
	while (cached->used) {
		cached->used = false;
		move_to_tail(cache->lists, oldest);
		oldest = map_first(cache->lists);
		cached = map_value(oldest);
	}
	cache->bytes -= cached->bytes;
	map_del(cache->lists, map_key(oldest));
	cached_free(cached);
	stats_add(cache->stats, STAT_CACHE_EVICTIONS, 1);
}

static struct list *cache_add(struct cache *cache, struct str text, struct error *err)
{
	struct list *list = list_compile(text, err);
	if (!list)
		return NULL;
	struct cached *cached = xcalloc(1, sizeof(*cached));
	cached->list = list;
	cached->bytes = sizeof(*cached) + text.n + list_bytes(list);
	while (map_count(cache->lists) && (map_count(cache->lists) >= cache->max_count ||
					   cache->bytes + cached->bytes > cache->max_bytes))
		evict(cache);
	map_put(cache->lists, text, cached);
	cache->bytes += cached->bytes;
	return list;
}

struct list *cache_get(struct cache *cache, struct str text, struct error *err)
{
	struct cached *cached = map_get(cache->lists, text);
	if (cached) {
		cached->used = true;
		stats_add(cache->stats, STAT_CACHE_HITS, 1);
		return cached->list;
	}
	stats_add(cache->stats, STAT_CACHE_MISSES, 1);
	return cache_add(cache, text, err);
}
