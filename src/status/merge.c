/* SPDX-License-Identifier: Apache-2.0 */
#include "status/merge.h"

#include "base/digest.h"
#include "base/sb.h"
#include "source/json.h"

enum {
	MAX_STORED_CONDITIONS = 8, /* of one list; CRD */
	CANONICAL_BYTES = 16 * 1024 * 1024,
};

static const char *const own_types[] = { "Accepted",	 "Conflicted",	     "OverlappingTLSConfig",
					 "PartiallyInvalid", "Programmed", "ResolvedRefs",
					 "SupportedVersion", NULL };

static const char *const class_fields[] = { "conditions", "supportedFeatures", NULL };
static const char *const gateway_fields[] = { "addresses", "conditions", "listeners", NULL };
static const char *const route_fields[] = { "parents", NULL };
static const char *const our_kinds_fields[] = { "controllers", NULL };

static const char *const *own_fields(enum kind kind)
{
	return kind == KIND_GATEWAYCLASS ? class_fields :
	       kind == KIND_GATEWAY	 ? gateway_fields :
	       kind_is_route(kind)	 ? route_fields :
					   our_kinds_fields;
}

static bool is_listed(const char *const *list, const char *text)
{
	while (*list && strcmp(*list, text) != 0)
		list++;
	return *list != NULL;
}

/* ---- Reading ---- */

/* The first item of the array whose member says `text`. */
static struct json_object *find(struct json_object *array, const char *name, const char *text)
{
	for (size_t i = 0; i < json_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		if (strcmp(json_cstr(item, name), text) == 0)
			return item;
	}
	return NULL;
}

/* ---- Canonical text ---- */

static void put_value(struct sb *sb, const char *name, struct json_object *json,
		      struct str controller);

/* An item of the list `name` that others have written. */
static bool is_foreign(const char *name, struct json_object *item, struct str controller)
{
	if (strcmp(name, "conditions") == 0)
		return !is_listed(own_types, json_cstr(item, "type"));
	return (strcmp(name, "parents") == 0 || strcmp(name, "controllers") == 0) &&
	       !str_is(controller, json_cstr(item, "controllerName"));
}

static int cmp_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;
	return strcmp(*left, *right);
}

static bool is_nothing(struct json_object *json)
{
	return !json || (json_object_is_type(json, json_type_array) && json_length(json) == 0);
}

static void put_object(struct sb *sb, struct json_object *json, struct str controller)
{
	size_t count = 0;
	const char **names = xcalloc((size_t)json_object_object_length(json) + 1, sizeof(*names));
	json_object_object_foreach(json, name, value)
		if (!is_nothing(value) && strcmp(name, "lastTransitionTime") != 0)
			names[count++] = name;
	qsort(names, count, sizeof(*names), cmp_names);
	sb_addc(sb, '{');
	for (size_t i = 0; i < count; i++) {
		sb_addf(sb, "%s:", names[i]);
		put_value(sb, names[i], json_field(json, names[i]), controller);
		sb_addc(sb, ',');
	}
	sb_addc(sb, '}');
	free(names);
}

static void put_value(struct sb *sb, const char *name, struct json_object *json,
		      struct str controller)
{
	if (json_object_is_type(json, json_type_object)) {
		put_object(sb, json, controller);
		return;
	}
	if (!json_object_is_type(json, json_type_array)) {
		sb_adds(sb, json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
		return;
	}
	sb_addc(sb, '[');
	for (size_t i = 0; i < json_length(json); i++) {
		struct json_object *item = json_object_array_get_idx(json, i);
		if (is_foreign(name, item, controller))
			continue;
		put_value(sb, "", item, controller);
		sb_addc(sb, ',');
	}
	sb_addc(sb, ']');
}

void status_sum(enum kind kind, struct json_object *status, struct str controller,
		unsigned char ret_sum[STATUS_SUM_BYTES])
{
	unsigned char raw[DIGEST_RAW_BYTES];
	struct sb sb;
	sb_init(&sb, CANONICAL_BYTES);
	for (const char *const *name = own_fields(kind); *name; name++) {
		struct json_object *value = json_field(status, *name);
		if (is_nothing(value))
			value = NULL;
		/* A list that has nothing of ours is none. */
		size_t before = sb.len;
		put_value(&sb, *name, value, controller);
		if (!value || str_is(str_sub(sb_str(&sb), before, sb.len), "[]")) {
			sb.len = before;
			sb_adds(&sb, "-");
		}
	}
	digest_raw(sb_str(&sb), raw);
	memcpy(ret_sum, raw, STATUS_SUM_BYTES);
	sb_fini(&sb);
}

/* ---- Merging ---- */

static void merge_conditions(struct json_object *wanted, struct json_object *stored, const char *now)
{
	struct json_object *conditions = json_field(wanted, "conditions");
	struct json_object *before = json_field(stored, "conditions");
	for (size_t i = 0; i < json_length(conditions); i++) {
		struct json_object *condition = json_object_array_get_idx(conditions, i);
		struct json_object *old = find(before, "type", json_cstr(condition, "type"));
		const char *since = json_cstr(old, "lastTransitionTime");
		bool same = *since && strcmp(json_cstr(old, "status"),
					     json_cstr(condition, "status")) == 0;
		json_object_object_add(condition, "lastTransitionTime",
				       json_object_new_string(same ? since : now));
	}
	for (size_t i = 0; i < json_length(before); i++) {
		struct json_object *other = json_object_array_get_idx(before, i);
		if (is_foreign("conditions", other, STR_NONE) &&
		    json_length(conditions) < MAX_STORED_CONDITIONS)
			json_object_array_add(conditions, json_object_get(other));
	}
}

static void merge_listeners(struct json_object *wanted, struct json_object *stored, const char *now)
{
	struct json_object *listeners = json_field(wanted, "listeners");
	for (size_t i = 0; i < json_length(listeners); i++) {
		struct json_object *listener = json_object_array_get_idx(listeners, i);
		merge_conditions(listener, find(json_field(stored, "listeners"), "name",
						json_cstr(listener, "name")), now);
	}
}

/* Our entry for the same parentRef; those of controllers have none. */
static struct json_object *find_entry(const char *name, struct json_object *entries,
				      struct json_object *wanted, struct str controller)
{
	for (size_t i = 0; i < json_length(entries); i++) {
		struct json_object *entry = json_object_array_get_idx(entries, i);
		if (!is_foreign(name, entry, controller) &&
		    json_object_equal(json_field(entry, "parentRef"), json_field(wanted, "parentRef")))
			return entry;
	}
	return NULL;
}

/* Of the list `name`. The others' entries stay where they are, in front. */
static void merge_entries(const char *name, struct json_object *wanted, struct json_object *stored,
			  struct str controller, const char *now)
{
	struct json_object *ours = json_field(wanted, name);
	struct json_object *before = json_field(stored, name);
	struct json_object *all = json_object_new_array();
	for (size_t i = 0; i < json_length(before); i++) {
		struct json_object *entry = json_object_array_get_idx(before, i);
		if (is_foreign(name, entry, controller))
			json_object_array_add(all, json_object_get(entry));
	}
	for (size_t i = 0; i < json_length(ours) && json_length(all) < MAX_PARENT_REFS; i++) {
		struct json_object *entry = json_object_array_get_idx(ours, i);
		merge_conditions(entry, find_entry(name, before, entry, controller), now);
		json_object_array_add(all, json_object_get(entry));
	}
	json_object_object_add(wanted, name, all);
}

void status_merge(enum kind kind, struct json_object *wanted, struct json_object *stored,
		  struct str controller, const char *now)
{
	if (kind == KIND_GATEWAYCLASS || kind == KIND_GATEWAY)
		merge_conditions(wanted, stored, now);
	if (kind == KIND_GATEWAY)
		merge_listeners(wanted, stored, now);
	if (kind_is_route(kind))
		merge_entries("parents", wanted, stored, controller, now);
	if (kind_is_ours(kind))
		merge_entries("controllers", wanted, stored, controller, now);
}
