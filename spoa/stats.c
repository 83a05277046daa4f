/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/stats.h"

#include <inttypes.h>

static const char *const names[STAT_COUNT] = {
#define X(id, name) [STAT_##id] = name,
	STATS(X)
#undef X
};

static const uint64_t bounds_us[STAT_BUCKETS - 1] = { 1,   2,   5,    10,   20,   50,
						      100, 200, 500, 1000, 5000 };

/* One writer, so a load and a store are enough; no locked instruction on the request path. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

void stats_add(struct stats *stats, enum stat_id stat, uint64_t n)
{
	add(&stats->counters[stat], n);
}

void stats_time(struct stats *stats, uint64_t elapsed_ns)
{
	size_t bucket = 0;
	while (bucket < STAT_BUCKETS - 1 && elapsed_ns > bounds_us[bucket] * 1000)
		bucket++;
	add(&stats->buckets[bucket], 1);
	stats->rest_ns += elapsed_ns;
	add(&stats->counters[STAT_TIME_SUM_US], stats->rest_ns / 1000);
	stats->rest_ns %= 1000;
}

uint64_t stats_get(const struct stats *stats, enum stat_id stat)
{
	return atomic_load_explicit(&stats->counters[stat], memory_order_relaxed);
}

void stats_print(const struct stats *const *sets, size_t count, struct sb *out)
{
	for (enum stat_id stat = 0; stat < STAT_COUNT; stat++) {
		uint64_t sum = 0;
		for (size_t i = 0; i < count; i++)
			sum += stats_get(sets[i], stat);
		sb_addf(out, "%s %" PRIu64 "\n", names[stat], sum);
	}
	uint64_t below = 0;
	for (size_t bucket = 0; bucket < STAT_BUCKETS; bucket++) {
		for (size_t i = 0; i < count; i++)
			below += atomic_load_explicit(&sets[i]->buckets[bucket],
						      memory_order_relaxed);
		if (bucket < STAT_BUCKETS - 1)
			sb_addf(out, "processing_us_le_%" PRIu64 " %" PRIu64 "\n",
				bounds_us[bucket], below);
		else
			sb_addf(out, "processing_us_le_inf %" PRIu64 "\n", below);
	}
}
