/* SPDX-License-Identifier: Apache-2.0 */
/* Flattening. Keys are sorted, so that every key follows the keys it extends; a stack holds
 * the ancestors of the current one. What a key answers is its parent's list merged with the
 * candidates filed under the key itself, cut after the first one without conditions: the
 * cut is safe to inherit, since what follows an unconditional candidate in the parent's list
 * also follows it in the child's. */
#include "plan/vhost.h"

#include <assert.h>

#include "match/list.h"

enum {
	RANK_EXACT = 0,
	RANK_REGEX,
	RANK_PREFIX,
	/* A method of any service: before "/", after "/a/", which is the shortest service. */
	ANY_SERVICE_LENGTH = 2,
};

static struct str prefix_key(struct arena *arena, struct str path)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	return arena_strf(arena, STR_FMT "/", STR_ARG(path));
}

static struct str regex_key(struct arena *arena, struct str pattern)
{
	struct str literal = regex_literal_prefix(arena, pattern);
	while (literal.n && literal.p[literal.n - 1] != '/')
		literal.n--;
	return literal.n && literal.p[0] == '/' ? literal : STR("/");
}

void candidate_file(struct arena *arena, struct candidate *candidate)
{
	const struct match *match = candidate->match;
	candidate->conditional = match->method.n || match->header_count || match->query_count;
	candidate->path_length = (uint32_t)match->path.n;
	switch (match->path_type) {
	case MATCH_EXACT:
		candidate->path_rank = RANK_EXACT;
		candidate->key = arena_strf(arena, STR_FMT "/?", STR_ARG(match->path));
		return;
	case MATCH_REGEX:
		candidate->path_rank = match->any_service ? RANK_PREFIX : RANK_REGEX;
		candidate->key = regex_key(arena, match->path);
		candidate->conditional = true;
		if (match->any_service)
			candidate->path_length = ANY_SERVICE_LENGTH;
		return;
	case MATCH_PREFIX:
		candidate->path_rank = RANK_PREFIX;
		candidate->key = prefix_key(arena, match->path);
		candidate->path_length = (uint32_t)candidate->key.n; /* "/a" is "/a/" */
		return;
	}
	assert(false && "an unknown match type");
}

static int ascending(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int candidate_cmp(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = ascending(x->tier, y->tier);
	if (!order)
		order = ascending(x->path_rank, y->path_rank);
	if (!order)
		order = ascending(y->path_length, x->path_length);
	if (!order)
		order = ascending(y->match->method.n != 0, x->match->method.n != 0);
	if (!order)
		order = ascending(y->match->header_count, x->match->header_count);
	if (!order)
		order = ascending(y->match->query_count, x->match->query_count);
	if (!order && x->route != y->route)
		order = route_cmp_age(x->route->object, y->route->object);
	if (!order)
		order = ascending(x->rule_index, y->rule_index);
	return order ? order : ascending(x->match_index, y->match_index);
}

/* ---- keys ---- */

/* Candidates that share a key, in order; `rank` is the position in the total order. */
struct filed {
	const struct candidate *candidate;
	size_t rank;
};

static int filed_cmp(const void *a, const void *b)
{
	const struct filed *x = a, *y = b;
	int order = str_cmp(x->candidate->key, y->candidate->key);
	return order ? order : ascending(x->rank, y->rank);
}

/* A key on the stack: what it answers, as positions in the total order. */
struct level {
	struct str key;
	size_t *ranks;
	size_t count;
	struct str value;
};

struct flattening {
	struct emit *emit;
	struct str prefix;
	const struct candidate *candidates; /* in total order */
	const struct candidate **list;      /* room for all of them */
	struct level *stack;
	size_t depth, capacity;
};

/* Merges the parent's list with a key's own candidates. False when nothing is new. */
static bool level_merge(const struct flattening *flat, const struct level *parent,
			const struct filed *own, size_t own_count, struct level *level)
{
	size_t p = 0, o = 0;
	level->ranks = xmalloc((parent->count + own_count) * sizeof(*level->ranks));
	while (p < parent->count || o < own_count) {
		bool inherit = o == own_count ||
			       (p < parent->count && parent->ranks[p] < own[o].rank);
		size_t rank = inherit ? parent->ranks[p++] : own[o++].rank;
		level->ranks[level->count++] = rank;
		if (!flat->candidates[rank].conditional)
			break;
	}
	return o > 0;
}

static void level_value(const struct flattening *flat, struct level *level)
{
	for (size_t i = 0; i < level->count; i++)
		flat->list[i] = &flat->candidates[level->ranks[i]];
	struct str where =
		arena_strf(flat->emit->scratch, STR_FMT STR_FMT, STR_ARG(flat->prefix),
			   STR_ARG(level->key));
	level->value = list_verdict(flat->emit, where, flat->list, level->count);
}

static void level_emit(const struct flattening *flat, const struct level *level)
{
	struct str key = arena_strf(flat->emit->scratch, STR_FMT STR_FMT, STR_ARG(flat->prefix),
				    STR_ARG(level->key));
	emit_fitting(flat->emit, PLAN_ROUTE, key, level->value);
}

static void level_pop(struct flattening *flat)
{
	free(flat->stack[--flat->depth].ranks);
}

/* One key. A key that answers as its parent does needs no entry. */
static void flatten_key(struct flattening *flat, struct str key, const struct filed *own,
			size_t own_count)
{
	while (flat->depth && !str_starts(key, flat->stack[flat->depth - 1].key))
		level_pop(flat);
	static const struct level nothing;
	const struct level *parent = flat->depth ? &flat->stack[flat->depth - 1] : &nothing;
	struct level level = { .key = key };
	bool fresh = level_merge(flat, parent, own, own_count, &level);
	if (flat->depth && !fresh) {
		free(level.ranks);
		return;
	}
	level_value(flat, &level);
	if (flat->depth && str_eq(level.value, parent->value)) {
		free(level.ranks);
		return;
	}
	level_emit(flat, &level);
	flat->stack = grow(flat->stack, flat->depth, &flat->capacity, sizeof(*flat->stack));
	flat->stack[flat->depth++] = level;
}

void vhost_flatten(struct emit *emit, struct str prefix, struct candidate *candidates,
		   size_t count)
{
	if (count)
		qsort(candidates, count, sizeof(*candidates), candidate_cmp);
	struct filed *filed = xcalloc(count, sizeof(*filed));
	for (size_t i = 0; i < count; i++)
		filed[i] = (struct filed){ &candidates[i], i };
	if (count)
		qsort(filed, count, sizeof(*filed), filed_cmp);

	struct flattening flat = { .emit = emit, .prefix = prefix, .candidates = candidates };
	flat.list = xcalloc(count, sizeof(*flat.list));
	if (count == 0 || !str_is(filed[0].candidate->key, "/"))
		flatten_key(&flat, STR("/"), NULL, 0);
	for (size_t from = 0, to; from < count; from = to) {
		struct str key = filed[from].candidate->key;
		for (to = from + 1; to < count && str_eq(filed[to].candidate->key, key); to++)
			;
		flatten_key(&flat, key, filed + from, to - from);
	}
	while (flat.depth)
		level_pop(&flat);
	free(flat.stack);
	free(flat.list);
	free(filed);
}
