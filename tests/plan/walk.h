/* SPDX-License-Identifier: Apache-2.0 */
/* The plan, walked as HAProxy and the agent walk it. What the plan points at must be there: the
 * rest is asserted. */
#pragma once

#include "match/request.h"
#include "plan/plan.h"

/* Where a request ends. */
struct end {
	int status;       /* 0: backends */
	struct str rule;
	struct str target; /* field 1 of the record, or the plain backend */
	const struct plan_entry *record;
};

/* host: lower case, without a port. asks_first: HAProxy does not know the headers' names and
 * leaves every list to the agent. */
struct end plan_walk(const struct plan *plan, struct arena *arena, struct str frontend,
		     struct str host, const struct request *request, bool asks_first);

/* The entry with the longest key that `key` starts with; NULL: none. */
const struct plan_entry *plan_longest_prefix(const struct plan *plan, enum plan_table table,
					     struct str key);
