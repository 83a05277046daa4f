/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/split.h"

#include <assert.h>

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static void share_add(struct split *split, const struct split_share *share)
{
	for (size_t i = 0; i < split->share_count; i++) {
		if (str_eq(split->shares[i].target, share->target)) {
			split->shares[i].weight += share->weight;
			return;
		}
	}
	split->shares[split->share_count++] = *share;
}

static void shares_reduce(struct split *split, const struct split_share *shares, size_t count)
{
	uint64_t divisor = 0;
	for (size_t i = 0; i < count; i++) {
		if (shares[i].weight)
			share_add(split, &shares[i]);
	}
	assert(split->share_count > 0);
	for (size_t i = 0; i < split->share_count; i++)
		divisor = gcd(split->shares[i].weight, divisor);
	for (size_t i = 0; i < split->share_count; i++) {
		split->shares[i].weight /= divisor;
		split->total += split->shares[i].weight;
	}
}

static size_t largest_share(const struct split *split)
{
	size_t largest = 0;
	for (size_t i = 1; i < split->share_count; i++) {
		if (split->shares[i].weight > split->shares[largest].weight)
			largest = i;
	}
	return largest;
}

/* The largest aligned block of a power of ten that starts at `from` and ends by `to`. */
static uint64_t block_at(uint64_t from, uint64_t to)
{
	uint64_t block = 1;
	while (from % (block * 10) == 0 && from + block * 10 <= to)
		block *= 10;
	return block;
}

static size_t block_count(uint64_t from, uint64_t to)
{
	size_t count = 0;
	for (; from < to; count++)
		from += block_at(from, to);
	return count;
}

/* Numbers behind the total are never drawn: the last share may have some of them where that
 * makes it rounder. */
static uint64_t round_end(const struct split *split, uint64_t from)
{
	uint64_t best = split->total;
	for (uint64_t block = 10; block <= split->offset; block *= 10) {
		uint64_t end = (split->total + block - 1) / block * block;
		if (block_count(from, end) < block_count(from, best))
			best = end;
	}
	return best;
}

/* Covers [from, to) with the fewest blocks. */
static void cover(struct arena *arena, struct split *split, uint64_t from, uint64_t to,
		  struct str target, size_t *capacity)
{
	while (from < to) {
		uint64_t block = block_at(from, to);
		split->entries = arena_grow(arena, split->entries, split->count, capacity,
					    sizeof(*split->entries));
		split->entries[split->count++] = (struct split_entry){
			.digits = arena_strf(arena, "%llu",
					     (unsigned long long)((split->offset + from) / block)),
			.target = target,
		};
		from += block;
	}
}

void split_make(struct arena *arena, const struct split_share *shares, size_t count,
		struct split *ret_split)
{
	struct split split = { .offset = 1 };
	split.shares = arena_array(arena, count, sizeof(*split.shares));
	shares_reduce(&split, shares, count);
	while (split.offset < split.total)
		split.offset *= 10;

	size_t capacity = 16, widest = largest_share(&split);
	split.entries = arena_array(arena, capacity, sizeof(*split.entries));
	split.entries[split.count++] =
		(struct split_entry){ .target = split.shares[widest].target };
	uint64_t from = 0;
	for (size_t i = 0; i < split.share_count; i++) {
		uint64_t to = i + 1 == split.share_count ? round_end(&split, from) :
							   from + split.shares[i].weight;
		if (i != widest)
			cover(arena, &split, from, to, split.shares[i].target, &capacity);
		from = to;
	}
	*ret_split = split;
}
