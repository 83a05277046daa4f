/* SPDX-License-Identifier: Apache-2.0 */
/* One virtual host: candidates in, flattened keys and decision lists out. */
#pragma once

#include "plan/emit.h"
#include "resolve/view.h"

/* One match of one rule of one route that may take a request of the host. */
struct candidate {
	const struct route_view *route;
	const struct rule_view *rule;
	const struct match *match;
	struct str key;     /* "/foo/", "/foo/?": where it is filed */
	struct str verdict;
	uint32_t tier;      /* 0: the host itself; the farther away, the greater */
	uint32_t rule_index, match_index;
	uint32_t path_rank;   /* exact, regular expression, prefix */
	uint32_t path_length; /* of the pattern, as the order counts it */
	bool conditional;     /* something besides the key must hold */
};

/* Fills key, path_rank, path_length and conditional from match. */
void candidate_file(struct arena *arena, struct candidate *candidate);

/* The total order of docs/routing.md. */
int candidate_cmp(const void *a, const void *b);

/* Emits PLAN_ROUTE entries below `prefix` ("FRONTEND HOST") and what they point at. Sorts
 * the candidates. */
void vhost_flatten(struct emit *emit, struct str prefix, struct candidate *candidates,
		   size_t count);

/* The verdict of a list of candidates in order, in scratch; emits the lists and methods it
 * points at. `where` is for findings. (lists.c) */
struct str list_verdict(struct emit *emit, struct str where,
			const struct candidate *const *candidates, size_t count);

#define VERDICT_NONE "http-404 -"
