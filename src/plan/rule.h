/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule does with the requests it takes: its verdict and its records. */
#pragma once

#include "plan/emit.h"
#include "resolve/view.h"

/* "BACKEND RULE", "@RULE" or "http-500 RULE" (or its other error_status). failed: that one,
 * because it cannot be expressed. */
struct str rule_verdict(struct arena *arena, const struct rule_view *rule, bool failed);

/* Emits the rule's records (rules, splits, headers), none for a plain rule. False with a
 * finding when one of them cannot be expressed: the rule's verdict is failed then. */
bool rule_emit(struct emit *emit, const struct route_view *route, size_t rule_index) must_check;

/* ---- exported for tests ---- */

struct header_op {
	bool response;
	enum { HEADER_SET = 0, HEADER_ADD, HEADER_DEL } op;
	struct str name; /* lower case */
	struct str value;
};

/* Header filters in a normal form: at most one op per direction and name. */
struct header_ops {
	struct arena *arena;
	struct header_op *items;
	size_t count, capacity;
};

/* Puts one filter behind those that are there. */
void header_ops_apply(struct header_ops *ops, bool response, const struct header_mod *mod);
/* By direction, then name. */
void header_ops_sort(struct header_ops *ops);

/* The time-out field: "" none, else milliseconds. */
struct str rule_timeout(struct arena *arena, const struct rule *rule);
