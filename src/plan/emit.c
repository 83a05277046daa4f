/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/emit.h"

#include <assert.h>

#include "base/digest.h"
#include "base/map.h"
#include "model/limits.h"

/* Identities of records, (id, whole digest of the content): never leave this file. */
#define TABLE_IDENTITY PLAN_TABLE_COUNT

struct entry {
	struct map_entry *at; /* its key: one byte of table, then the plan's key */
	char *value;
	uint32_t value_len;
	uint32_t refs;
	uint32_t touched; /* index in the set's touches, plus one; 0: not touched */
};

struct touch {
	struct entry *entry;
	char *old; /* its value before, when that has been replaced */
	uint32_t old_len;
	bool existed;
};

struct entry_set {
	struct map *entries;
	struct touch *touches;
	size_t touch_count, touch_capacity;
	struct sb key; /* scratch */
};

enum { MAX_KEY_BYTES = MAX_MAP_LINE_BYTES + 1 };

struct entry_set *entry_set_new(void)
{
	struct entry_set *set = xcalloc(1, sizeof(*set));
	set->entries = map_new();
	sb_init(&set->key, MAX_KEY_BYTES);
	return set;
}

static void entry_free(void *value)
{
	struct entry *entry = value;
	free(entry->value);
	free(entry);
}

void entry_set_free(struct entry_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->touch_count; i++)
		free(set->touches[i].old);
	free(set->touches);
	map_free(set->entries, entry_free);
	sb_fini(&set->key);
	free(set);
}

static struct touch *entry_touch(struct entry_set *set, struct entry *entry, bool existed)
{
	if (!entry->touched) {
		set->touches = grow(set->touches, set->touch_count, &set->touch_capacity,
				    sizeof(*set->touches));
		set->touches[set->touch_count++] =
			(struct touch){ .entry = entry, .existed = existed };
		entry->touched = (uint32_t)set->touch_count;
	}
	return &set->touches[entry->touched - 1];
}

static void entry_release(struct entry_set *set, struct entry *entry)
{
	assert(entry->refs > 0);
	if (--entry->refs == 0)
		entry_touch(set, entry, true);
}

void entry_list_release(struct entry_set *set, struct entry_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		entry_release(set, list->items[i]);
	free(list->items);
	*list = (struct entry_list){ 0 };
}

void findings_drop(struct findings **findings)
{
	if (*findings)
		arena_free((*findings)->arena); /* holds the struct, too */
	*findings = NULL;
}

static enum plan_table entry_table(const struct entry *entry)
{
	return (enum plan_table)(map_key(entry->at).p[0] - 'a');
}

static struct str entry_key(const struct entry *entry)
{
	struct str key = map_key(entry->at);
	return str_sub(key, 1, key.n);
}

static struct str entry_value(const struct entry *entry)
{
	return (struct str){ entry->value, entry->value_len };
}

static struct str map_key_of(struct entry_set *set, enum plan_table table, struct str key)
{
	sb_reset(&set->key);
	sb_addc(&set->key, (char)('a' + (int)table));
	sb_add(&set->key, key);
	assert(!set->key.failed);
	return sb_str(&set->key);
}

static void touch_report(const struct touch *touch, struct changes *changes)
{
	const struct entry *entry = touch->entry;
	enum plan_table table = entry_table(entry);
	if (table == TABLE_IDENTITY)
		return;
	struct str value = entry_value(entry);
	struct str old = touch->old ? (struct str){ touch->old, touch->old_len } : value;
	bool exists = entry->refs > 0;
	if (touch->existed && !exists)
		changes_add(changes, CHANGE_DEL, table, entry_key(entry), STR_NONE, old);
	else if (!touch->existed && exists)
		changes_add(changes, CHANGE_ADD, table, entry_key(entry), value, STR_NONE);
	else if (exists && !str_eq(value, old))
		changes_add(changes, CHANGE_SET, table, entry_key(entry), value, old);
}

struct changes *entry_set_commit(struct entry_set *set)
{
	struct changes *changes = changes_new();
	changes->capacity = set->touch_count;
	changes->items = arena_array(changes->arena, changes->capacity, sizeof(*changes->items));
	for (size_t i = 0; i < set->touch_count; i++) {
		struct touch *touch = &set->touches[i];
		touch_report(touch, changes);
		free(touch->old);
		touch->entry->touched = 0;
		if (touch->entry->refs == 0) {
			map_del(set->entries, map_key(touch->entry->at));
			entry_free(touch->entry);
		}
	}
	free(set->touches); /* a first pass touches everything: not worth keeping */
	set->touches = NULL;
	set->touch_count = set->touch_capacity = 0;
	changes_sort(changes);
	return changes;
}

struct plan *entry_set_plan(const struct entry_set *set)
{
	struct arena *arena = arena_new();
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	plan->arena = arena;
	plan->entries = arena_array(arena, map_count(set->entries), sizeof(*plan->entries));
	for (struct map_entry *at = map_first(set->entries); at; at = map_next(at)) {
		const struct entry *entry = map_value(at);
		if (entry->refs == 0 || entry_table(entry) == TABLE_IDENTITY)
			continue;
		plan->entries[plan->count++] = (struct plan_entry){
			.table = entry_table(entry),
			.key = arena_str(arena, entry_key(entry)),
			.value = arena_str(arena, entry_value(entry)),
		};
	}
	qsort(plan->entries, plan->count, sizeof(*plan->entries), plan_entry_cmp);
	return plan;
}

void emit_begin(struct emit *emit, struct entry_set *set)
{
	*emit = (struct emit){ .set = set, .scratch = arena_new() };
	findings_init(&emit->findings, emit->scratch);
}

static struct findings *findings_keep(const struct findings *from)
{
	if (from->count == 0)
		return NULL;
	struct arena *arena = arena_new();
	struct findings *kept = arena_alloc(arena, sizeof(*kept));
	findings_init(kept, arena);
	findings_append(kept, from);
	return kept;
}

void emit_end(struct emit *emit, struct entry_list *list, struct findings **findings)
{
	entry_list_release(emit->set, list);
	if (emit->count) {
		list->items = xrealloc(emit->items, emit->count * sizeof(struct entry *));
		list->count = (uint32_t)emit->count;
	} else {
		free(emit->items);
	}
	findings_drop(findings);
	*findings = findings_keep(&emit->findings);
	arena_free(emit->scratch);
	*emit = (struct emit){ 0 };
}

void emit_rewind(struct emit *emit, size_t count)
{
	while (emit->count > count)
		entry_release(emit->set, emit->items[--emit->count]);
}

static void entry_assign(struct entry_set *set, struct entry *entry, struct str value)
{
	struct touch *touch = entry_touch(set, entry, true);
	if (touch->existed && !touch->old) {
		touch->old = entry->value;
		touch->old_len = entry->value_len;
	} else {
		free(entry->value);
	}
	entry->value = xstrndup(value.p, value.n);
	entry->value_len = (uint32_t)value.n;
}

static struct entry *entry_new(struct entry_set *set, struct str map_key, struct str value)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));
	entry->value = xstrndup(value.p, value.n);
	entry->value_len = (uint32_t)value.n;
	map_put(set->entries, map_key, entry);
	entry->at = map_at(set->entries, map_key);
	entry_touch(set, entry, false);
	return entry;
}

static bool has_line_breaker(struct str s)
{
	return str_chr(s, '\t', 0) < s.n || str_chr(s, '\n', 0) < s.n ||
	       str_chr(s, '\r', 0) < s.n || str_chr(s, '\0', 0) < s.n;
}

bool emit_entry(struct emit *emit, enum plan_table table, struct str key, struct str value)
{
	/* Decoding lets no control characters through. */
	assert(!has_line_breaker(key) && !has_line_breaker(value));
	if (key.n + value.n + 1 > MAX_MAP_LINE_BYTES)
		return false;
	struct str map_key = map_key_of(emit->set, table, key);
	struct entry *entry = map_get(emit->set->entries, map_key);
	if (!entry)
		entry = entry_new(emit->set, map_key, value);
	else if (!str_eq(entry_value(entry), value))
		entry_assign(emit->set, entry, value);
	entry->refs++;
	emit->items = grow(emit->items, emit->count, &emit->capacity, sizeof(struct entry *));
	emit->items[emit->count++] = entry;
	return true;
}

void emit_fitting(struct emit *emit, enum plan_table table, struct str key, struct str value)
{
	bool fits = emit_entry(emit, table, key, value);
	assert(fits);
	(void)fits;
}

/* A tenant could search for two contents whose digests start alike; then the second one is
 * named by the next 64 bits of its digest. */
struct str emit_id(struct emit *emit, const char *prefix, struct str content)
{
	char hex[DIGEST_HEX_BYTES + 1];
	digest_hex(content, hex);
	struct str whole = { hex, DIGEST_HEX_BYTES };
	for (size_t at = 0; at < DIGEST_HEX_BYTES; at += DIGEST_SHORT_BYTES) {
		struct str id = arena_strf(emit->scratch, "%s%.*s", prefix, DIGEST_SHORT_BYTES,
					   hex + at);
		struct str map_key = map_key_of(emit->set, TABLE_IDENTITY, id);
		const struct entry *known = map_get(emit->set->entries, map_key);
		if (known && known->refs && !str_eq(entry_value(known), whole))
			continue;
		if (emit_entry(emit, TABLE_IDENTITY, id, whole))
			return id;
	}
	assert(false && "four collisions of 64 bits each");
	return STR_NONE;
}
