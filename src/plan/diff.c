/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of plans, and their order. */
#include "plan/plan.h"

#include <assert.h>

struct changes *changes_new(void)
{
	struct arena *arena = arena_new();
	struct changes *changes = arena_alloc(arena, sizeof(*changes));
	changes->arena = arena;
	return changes;
}

void changes_free(struct changes *changes)
{
	if (changes)
		arena_free(changes->arena); /* holds the struct, too */
}

/* Two of three strings are often empty: those take no room. */
static struct str copy(struct arena *arena, struct str s)
{
	return s.n ? arena_str(arena, s) : STR("");
}

void changes_add(struct changes *changes, enum change_op op, enum plan_table table,
		 struct str key, struct str value, struct str old)
{
	changes->items = arena_grow(changes->arena, changes->items, changes->count,
				    &changes->capacity, sizeof(*changes->items));
	changes->items[changes->count++] = (struct change){
		.op = op,
		.table = table,
		.key = copy(changes->arena, key),
		.value = copy(changes->arena, value),
		.old = copy(changes->arena, old),
	};
}

struct changes *plan_diff(const struct plan *from, const struct plan *to)
{
	struct changes *changes = changes_new();
	size_t a = 0, b = 0;
	while (a < from->count || b < to->count) {
		const struct plan_entry *x = &from->entries[a], *y = &to->entries[b];
		int order = a == from->count ? 1 : b == to->count ? -1 : plan_entry_cmp(x, y);
		if (order < 0)
			changes_add(changes, CHANGE_DEL, x->table, x->key, STR_NONE, x->value);
		else if (order > 0)
			changes_add(changes, CHANGE_ADD, y->table, y->key, y->value, STR_NONE);
		else if (!str_eq(x->value, y->value))
			changes_add(changes, CHANGE_SET, y->table, y->key, y->value, x->value);
		a += order <= 0;
		b += order >= 0;
	}
	changes_sort(changes);
	return changes;
}

int change_phase(const struct change *change)
{
	bool del = change->op == CHANGE_DEL;
	switch (change->table) {
	case PLAN_FRONTEND:
	case PLAN_LISTENER:
		return 0;
	case PLAN_CERTIFICATE:
	case PLAN_SNI:
	case PLAN_DEFAULT_CERT:
	case PLAN_BACKEND:
	case PLAN_SERVER:
		return del ? 5 : 1;
	case PLAN_HEADER:
	case PLAN_SPLIT:
	case PLAN_LIST:
	case PLAN_METHOD:
	case PLAN_SWITCH:
		return del ? 5 : 2;
	case PLAN_RULE:
	case PLAN_ROUTE:
	case PLAN_WILDCARD:
		return del ? 4 : 3;
	case PLAN_TABLE_COUNT:
		break;
	}
	assert(false && "a table that does not exist");
	return 0;
}

/* What comes up first goes down last: the removing phases take the tables backwards. A rule
 * points at rules with longer keys (its backendRefs'), and a request that does not find the
 * longest route key takes the next shorter one: both add the longest key first and delete the
 * shortest first. */
static int change_cmp(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int phase = change_phase(x), other = change_phase(y);
	if (phase != other)
		return phase < other ? -1 : 1;
	bool down = phase >= 4;
	if (x->table != y->table)
		return (x->table < y->table) != down ? -1 : 1;
	bool by_length = x->table == PLAN_ROUTE || x->table == PLAN_RULE;
	if (by_length && x->key.n != y->key.n)
		return (x->key.n > y->key.n) != down ? -1 : 1;
	int order = str_cmp(x->key, y->key);
	return order ? order : (int)x->op - (int)y->op;
}

void changes_sort(struct changes *changes)
{
	if (changes->count)
		qsort(changes->items, changes->count, sizeof(*changes->items), change_cmp);
}
