/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of a route's backendRefs as they are asked for: ROUTE[:RULE] NAME=WEIGHT...
 *
 * ROUTE is a name, with NAMESPACE/ or KIND/NAMESPACE/ before it. RULE is the number, from 0, or the
 * name of a rule; empty: every rule. NAME is the backend's, with NAMESPACE/ before it, :PORT behind
 * it, or both. A word is about each backendRef that it names; of two words about one, the last
 * counts. */
#pragma once

#include "model/model.h"

enum { MAX_WEIGHT_WORDS = MAX_RULES * MAX_BACKEND_REFS }; /* one for each that a route can have */

struct route_name { /* ROUTE[:RULE]; slices are borrowed */
	enum kind kind; /* KIND_NONE: of any kind that has such a route, an HTTPRoute first */
	struct str ns, name;
	struct str rule;
};

/* Reads ROUTE[:RULE]; what a namespace and a name may look like is not checked. */
bool weights_name_route(struct str text, struct str default_ns, struct route_name *ret_route,
			struct error *err) must_check;

struct weight_word { /* NAME=WEIGHT */
	struct str backend;
	uint32_t weight;
};

struct weights { /* zeroed: of every rule, as they are; slices are borrowed */
	struct str rule;
	struct weight_word words[MAX_WEIGHT_WORDS];
	size_t count;
};

/* Reads one NAME=WEIGHT. */
bool weights_add(struct weights *weights, struct str word, struct error *err) must_check;

/* ERR_NOTFOUND when a word, or the rule, names nothing in the route; the text lists what there
 * is. */
bool weights_check(const struct weights *weights, const struct object *route,
		   struct error *err) must_check;

/* The weight that a backendRef is to have. */
uint32_t weights_of(const struct weights *weights, const struct object *route, size_t rule,
		    size_t ref);

/* True when the selector, a RULE or a NAME, names this rule, or this backendRef. */
bool weight_names_rule(struct str selector, const struct rule *rule, size_t index);
bool weight_names_ref(struct str selector, const struct backend_ref *ref);
