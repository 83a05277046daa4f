/* SPDX-License-Identifier: Apache-2.0 */
/* New weights of a route, as a JSON Patch (RFC 6902) of the object that was read.
 *
 *   test  /spec/rules/2/backendRefs/0           as it was read, weight included
 *   add   /spec/rules/2/backendRefs/0/weight    50
 *
 * The tests make the patch fail as a whole when somebody changed one of those backendRefs since;
 * whatever else changed in the object, its status say, does not matter and stays. */
#pragma once

#include "model/model.h"

struct json_object;

enum { MAX_WEIGHT_WORDS = 256 };

struct weight_word { /* NAME=WEIGHT */
	struct str backend; /* see daemon/overrides.h */
	uint32_t weight;
};

struct route_weights { /* what was asked for; slices are borrowed */
	struct str rule; /* number or name; empty: every rule */
	struct weight_word words[MAX_WEIGHT_WORDS];
	size_t count;
};

/* "ROUTE[:RULE]" without ROUTE, and words "NAME=WEIGHT". */
bool route_weights_parse(struct str rule, const char *const *words, size_t count,
			 struct route_weights *ret, struct error *err) must_check;

/* The weight that a backendRef is to have. */
uint32_t route_weight(const struct route_weights *weights, const struct object *route, size_t rule,
		      size_t ref);

/* Fails when a word, or the rule, names nothing in the route; the text lists what there is. */
bool route_weights_check(const struct route_weights *weights, const struct object *route,
			 struct error *err) must_check;

/* json: the route as it was read, route: the same, decoded. An array, the caller's; empty when
 * all is as it is to be. */
struct json_object *route_patch(const struct route_weights *weights, const struct object *route,
				struct json_object *json);
