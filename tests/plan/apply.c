/* SPDX-License-Identifier: Apache-2.0 */
#include "apply.h"

static int change_key_cmp(const void *a, const void *b)
{
	const struct change *const *x = a, *const *y = b;
	if ((*x)->table != (*y)->table)
		return (*x)->table < (*y)->table ? -1 : 1;
	return str_cmp((*x)->key, (*y)->key);
}

static int entry_change_cmp(const struct plan_entry *entry, const struct change *change)
{
	const struct plan_entry key = { .table = change->table, .key = change->key };
	return plan_entry_cmp(entry, &key);
}

static void plan_put(struct plan *plan, enum plan_table table, struct str key, struct str value)
{
	plan->entries[plan->count++] = (struct plan_entry){
		.table = table,
		.key = arena_str(plan->arena, key),
		.value = arena_str(plan->arena, value),
	};
}

struct plan *plan_apply(const struct plan *plan, const struct changes *changes)
{
	const struct change **sorted = xcalloc(changes->count, sizeof(struct change *));
	for (size_t i = 0; i < changes->count; i++)
		sorted[i] = &changes->items[i];
	qsort(sorted, changes->count, sizeof(*sorted), change_key_cmp);

	struct arena *arena = arena_new();
	struct plan *result = arena_alloc(arena, sizeof(*result));
	result->arena = arena;
	result->entries =
		arena_array(arena, plan->count + changes->count, sizeof(*result->entries));
	size_t a = 0, b = 0;
	while (a < plan->count || b < changes->count) {
		const struct plan_entry *x = &plan->entries[a];
		int order = a == plan->count    ? 1 :
			    b == changes->count ? -1 :
						  entry_change_cmp(x, sorted[b]);
		if (order < 0)
			plan_put(result, x->table, x->key, x->value);
		else if (sorted[b]->op != CHANGE_DEL)
			plan_put(result, sorted[b]->table, sorted[b]->key, sorted[b]->value);
		a += order <= 0;
		b += order >= 0;
	}
	free(sorted);
	return result;
}
