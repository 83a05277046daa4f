/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kube_objects.h"

#include "base/digest.h"
#include "base/map.h"
#include "base/sb.h"
#include "decode/decode.h"
#include "source/json.h"

enum { SUM_BYTES = 16 };

/* Of the last version of an object; in an arena of their own. */
struct notes {
	struct findings findings;
	int64_t generation;
};

struct entry {
	unsigned char sum[SUM_BYTES]; /* of the text last seen, good or not */
	unsigned round;		      /* the last list that had it */
	bool delivered;
	struct notes *notes; /* NULL: none */
};

struct kube_objects {
	enum kind kind;
	struct source_sink sink;
	bool keeps_addresses;
	struct map *entries; /* "namespace/name" -> struct entry */
	size_t delivered;    /* of them */
	unsigned round;
};

struct kube_objects *kube_objects_new(enum kind kind, const struct source_sink *sink)
{
	struct kube_objects *objects = xcalloc(1, sizeof(*objects));
	objects->kind = kind;
	objects->sink = *sink;
	objects->entries = map_new();
	return objects;
}

void kube_objects_keep_addresses(struct kube_objects *objects)
{
	objects->keeps_addresses = true;
}

static void drop_notes(struct entry *entry)
{
	if (entry->notes)
		arena_free(entry->notes->findings.arena);
	entry->notes = NULL;
}

static void entry_free(void *value)
{
	drop_notes(value);
	free(value);
}

void kube_objects_free(struct kube_objects *objects)
{
	if (!objects)
		return;
	map_free(objects->entries, entry_free);
	free(objects);
}

/* ---- One object's text ---- */

/* "namespace/name"; false when there is not even a name. */
static bool make_key(struct str ns, struct str name, struct sb *sb)
{
	sb_init(sb, MAX_NAMESPACE_BYTES + MAX_NAME_BYTES + 2);
	sb_add(sb, ns);
	sb_addc(sb, '/');
	sb_add(sb, name);
	return !str_empty(name) && sb_ok(sb, NULL);
}

static bool key_of(struct json_object *json, struct sb *sb)
{
	struct json_object *metadata = json_field(json, "metadata");
	return make_key(json_text(metadata, "namespace"), json_text(metadata, "name"), sb);
}

/* A Service whose status says where Gateways are reached. */
static bool has_addresses(enum kind kind, struct json_object *metadata)
{
	return kind == KIND_SERVICE &&
	       json_field(json_field(metadata, "labels"), LABEL_CONTROLLER);
}

/* What else a status says changes all the time. */
static void keep_only_addresses(struct json_object *json)
{
	struct json_object *addresses = json_field(json_field(json, "status"), "addresses");
	struct json_object *status = addresses ? json_object_new_object() : NULL;
	if (addresses)
		json_object_object_add(status, "addresses", json_object_get(addresses));
	json_object_object_del(json, "status");
	if (status)
		json_object_object_add(json, "status", status);
}

/* Takes out what is not read, and digests the rest. */
static void digest(const struct kube_objects *objects, struct json_object *json,
		   unsigned char ret_sum[SUM_BYTES])
{
	static const char *const noise[] = { "managedFields", "annotations", "resourceVersion" };
	struct json_object *metadata = json_field(json, "metadata");
	unsigned char raw[DIGEST_RAW_BYTES];
	if (objects->keeps_addresses)
		keep_only_addresses(json);
	else if (!has_addresses(objects->kind, metadata))
		json_object_object_del(json, "status");
	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		json_object_object_del(metadata, noise[i]);
	digest_raw(str_of(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)), raw);
	memcpy(ret_sum, raw, SUM_BYTES);
}

/* ---- Delivery ---- */

static bool deliver(struct kube_objects *objects, struct entry *entry, struct json_object *json)
{
	struct arena *arena = arena_new();
	struct notes *notes = arena_alloc(arena, sizeof(*notes));
	struct decode_output out = { .object = NULL };
	bool had_notes = entry->notes != NULL;
	findings_init(&notes->findings, arena);
	notes->generation =
		json_object_get_int64(json_field(json_field(json, "metadata"), "generation"));
	enum decode_result result = decode_object(json, STR_NONE, &out, &notes->findings);
	drop_notes(entry);
	if (notes->findings.count)
		entry->notes = notes;
	else
		arena_free(arena);
	if (result != DECODE_OK)
		return had_notes || entry->notes;
	objects->delivered += !entry->delivered;
	entry->delivered = true;
	objects->sink.put(objects->sink.user, out.object);
	return true;
}

static struct entry *entry_make(struct kube_objects *objects, struct str key)
{
	struct entry *entry = map_get(objects->entries, key);
	if (!entry) {
		entry = xcalloc(1, sizeof(*entry));
		map_put(objects->entries, key, entry);
	}
	entry->round = objects->round;
	return entry;
}

bool kube_objects_put(struct kube_objects *objects, struct json_object *json)
{
	struct sb key;
	unsigned char sum[SUM_BYTES];
	bool changed = false;
	if (key_of(json, &key)) {
		struct entry *entry = entry_make(objects, sb_str(&key));
		digest(objects, json, sum);
		if (memcmp(sum, entry->sum, SUM_BYTES) != 0) {
			memcpy(entry->sum, sum, SUM_BYTES);
			changed = deliver(objects, entry, json);
		}
	}
	sb_fini(&key);
	return changed;
}

static bool drop(struct kube_objects *objects, struct str key)
{
	struct sb copy; /* the key is the entry's */
	sb_init(&copy, key.n + 1);
	sb_add(&copy, key);
	struct entry *entry = map_del(objects->entries, key);
	bool changed = entry && (entry->delivered || entry->notes);
	if (entry && entry->delivered) {
		struct str name = sb_str(&copy);
		struct str ns = str_cut(&name, '/');
		objects->delivered--;
		objects->sink.remove(objects->sink.user, objects->kind, ns, name);
	}
	if (entry)
		entry_free(entry);
	sb_fini(&copy);
	return changed;
}

bool kube_objects_del(struct kube_objects *objects, struct json_object *json)
{
	struct sb key;
	bool changed = key_of(json, &key) && drop(objects, sb_str(&key));
	sb_fini(&key);
	return changed;
}

/* ---- Lists ---- */

void kube_objects_list_begins(struct kube_objects *objects)
{
	objects->round++;
}

static bool drop_others(struct kube_objects *objects, bool all)
{
	bool changed = false;
	for (struct map_entry *e = map_first(objects->entries), *next; e; e = next) {
		const struct entry *entry = map_value(e);
		next = map_next(e);
		if (all || entry->round != objects->round)
			changed |= drop(objects, map_key(e));
	}
	return changed;
}

bool kube_objects_list_ends(struct kube_objects *objects)
{
	return drop_others(objects, false);
}

bool kube_objects_clear(struct kube_objects *objects)
{
	return drop_others(objects, true);
}

/* ---- Reports ---- */

size_t kube_objects_count(const struct kube_objects *objects)
{
	return map_count(objects->entries);
}

size_t kube_objects_lost(const struct kube_objects *objects)
{
	return map_count(objects->entries) - objects->delivered;
}

const struct findings *kube_objects_refusal(const struct kube_objects *objects, struct str ns,
					    struct str name, int64_t *ret_generation)
{
	struct sb key;
	const struct entry *entry = make_key(ns, name, &key) ?
					    map_get(objects->entries, sb_str(&key)) : NULL;
	const struct notes *notes = entry ? entry->notes : NULL;
	sb_fini(&key);
	if (!notes || !notes->findings.error_count)
		return NULL;
	*ret_generation = notes->generation;
	return &notes->findings;
}

void kube_objects_findings(const struct kube_objects *objects, struct findings *findings)
{
	for (struct map_entry *e = map_first(objects->entries); e; e = map_next(e)) {
		const struct entry *entry = map_value(e);
		findings_append(findings, entry->notes ? &entry->notes->findings : NULL);
	}
}
