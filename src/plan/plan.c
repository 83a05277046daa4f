/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <assert.h>

const char *const plan_table_names[PLAN_TABLE_COUNT] = {
	[PLAN_FRONTEND] = "frontend",
	[PLAN_LISTENER] = "listener",
	[PLAN_CERTIFICATE] = "certificate",
	[PLAN_SNI] = "sni",
	[PLAN_DEFAULT_CERT] = "default-cert",
	[PLAN_BACKEND] = "backend",
	[PLAN_SERVER] = "server",
	[PLAN_HEADER] = "header",
	[PLAN_SPLIT] = "split",
	[PLAN_LIST] = "list",
	[PLAN_METHOD] = "method",
	[PLAN_SWITCH] = "switch",
	[PLAN_RULE] = "rule",
	[PLAN_ROUTE] = "route",
	[PLAN_WILDCARD] = "wildcard",
};

int plan_entry_cmp(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return str_cmp(x->key, y->key);
}

void plan_free(struct plan *plan)
{
	if (plan)
		arena_free(plan->arena); /* the plan itself lives there */
}

/* Index of the first entry that is not before (table, key). */
static size_t lower_bound(const struct plan *plan, enum plan_table table, struct str key)
{
	const struct plan_entry wanted = { .table = table, .key = key };
	size_t low = 0, high = plan->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (plan_entry_cmp(&plan->entries[mid], &wanted) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct plan_entry *plan_table(const struct plan *plan, enum plan_table table,
				    size_t *ret_count)
{
	assert(table < PLAN_TABLE_COUNT);
	size_t from = lower_bound(plan, table, STR_NONE);
	size_t to = lower_bound(plan, table + 1, STR_NONE);
	*ret_count = to - from;
	return plan->entries + from;
}

const struct plan_entry *plan_find(const struct plan *plan, enum plan_table table, struct str key)
{
	size_t at = lower_bound(plan, table, key);
	if (at == plan->count)
		return NULL;
	const struct plan_entry *entry = &plan->entries[at];
	return entry->table == table && str_eq(entry->key, key) ? entry : NULL;
}
