/* SPDX-License-Identifier: Apache-2.0 */
#include "source/catalog.h"

#include <assert.h>
#include <json-c/json.h>

#include "base/digest.h"
#include "base/map.h"
#include "base/sb.h"
#include "decode/decode.h"
#include "source/yaml.h"

enum {
	SUM_BYTES = 16 /* of SHA-256: enough to tell versions of one object apart */
};

struct sum {
	unsigned char bytes[SUM_BYTES];
};

/* A kind that is not read. */
struct unknown {
	size_t count;
	char *first; /* where the first one seen stands */
};

struct slot {
	struct map_entry *at; /* "kind/namespace/name" */
	uint16_t ns_at, name_at; /* in it */
	enum kind kind;
	struct entry *entries; /* unordered; mostly one */
	struct slot *next_dirty;
	struct sum delivered_sum;
	int64_t generation;
	bool delivered, dirty;
};

/* Of an entry, until it is linked. */
struct parsed {
	enum kind kind;
	char *ns, *name, *unknown;
};

struct entry {
	struct slot *slot; /* NULL: unknown kind, or not even a name could be read */
	struct entry *next, **link; /* in the slot; *link is this entry */
	struct chunk *chunk;
	struct sum sum;
	uint32_t line; /* from the chunk's first line on */
	bool valid;
	struct unknown *unknown;
	struct findings *notes; /* NULL: none; lives in its own arena */
	struct object *object;  /* until it is delivered, or turns out not to count */
	struct parsed *parsed; /* NULL once it is linked */
};

struct chunk {
	struct file *file;
	struct sum sum;
	size_t line;
	struct entry *entries;
	size_t count, capacity;
	size_t kept_line; /* during catalog_set(): its line in the new text; 0: not there */
};

struct file {
	char *path;
	struct chunk **chunks;
	size_t count, capacity;
};

struct catalog {
	struct catalog_ops ops;
	struct map *files;    /* path -> struct file */
	struct map *slots;    /* "kind/namespace/name" -> struct slot */
	struct map *unknowns; /* "group/Kind" -> struct unknown */
	struct slot *dirty;
	struct slot **dirty_tail;
	/* Entries with notes, those beside another one of their slot, those of unknown kinds, and
	 * slots that are delivered. */
	size_t note_count, duplicate_count, unknown_count, delivered_count;
	bool news;           /* findings may have changed */
	struct sb canonical; /* scratch */
};

static struct sum sum_of(struct str text)
{
	unsigned char raw[DIGEST_RAW_BYTES];
	struct sum sum;
	digest_raw(text, raw);
	memcpy(sum.bytes, raw, sizeof(sum.bytes));
	return sum;
}

static bool sum_eq(const struct sum *a, const struct sum *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static struct str sum_key(const struct sum *sum)
{
	return (struct str){ (const char *)sum->bytes, sizeof(sum->bytes) };
}

/* ---- The canonical text of an object: keys sorted, lengths first ---- */

static void add_canonical(struct sb *sb, struct json_object *json);

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_members(struct sb *sb, struct json_object *json)
{
	size_t count = (size_t)json_object_object_length(json), i = 0;
	const char **keys = xcalloc(count, sizeof(*keys));
	json_object_object_foreach(json, key, member)
	{
		(void)member;
		keys[i++] = key;
	}
	qsort(keys, count, sizeof(*keys), by_text);
	sb_addf(sb, "{%zu", count);
	for (i = 0; i < count && !sb->failed; i++) {
		sb_addf(sb, " %zu:%s", strlen(keys[i]), keys[i]);
		add_canonical(sb, json_object_object_get(json, keys[i]));
	}
	free(keys);
}

static void add_canonical(struct sb *sb, struct json_object *json)
{
	struct str text;
	switch (json_object_get_type(json)) {
	case json_type_object:
		add_members(sb, json);
		return;
	case json_type_array:
		sb_addf(sb, "[%zu", json_object_array_length(json));
		for (size_t i = 0; i < json_object_array_length(json) && !sb->failed; i++)
			add_canonical(sb, json_object_array_get_idx(json, i));
		return;
	case json_type_string:
		text = (struct str){ json_object_get_string(json),
				     (size_t)json_object_get_string_len(json) };
		sb_addf(sb, "s%zu:", text.n);
		sb_add(sb, text);
		return;
	default: /* the type's letter keeps 1 and true and null apart from strings */
		sb_addf(sb, "=%s;", json ? json_object_to_json_string(json) : "null");
	}
}

/* ---- Making entries ---- */

struct collector {
	struct catalog *catalog;
	struct chunk *chunk;
	size_t bytes_left; /* of all objects in the chunk, aliases expanded */
};

static char *copy_of(struct str s)
{
	return xstrndup(s.p, s.n);
}

static void parsed_drop(struct entry *entry)
{
	if (!entry->parsed)
		return;
	free(entry->parsed->ns);
	free(entry->parsed->name);
	free(entry->parsed->unknown);
	free(entry->parsed);
	entry->parsed = NULL;
}

static void entry_fini(struct entry *entry)
{
	object_free(entry->object);
	if (entry->notes)
		arena_free(entry->notes->arena);
	parsed_drop(entry);
}

static void chunk_free(struct chunk *chunk)
{
	for (size_t i = 0; i < chunk->count; i++)
		entry_fini(&chunk->entries[i]);
	free(chunk->entries);
	free(chunk);
}

/* A finding about a place in a file rather than an object. */
static void note_file(struct findings *notes, const char *path, struct str origin,
		      const char *reason, const char *text)
{
	struct meta meta = { .name = str_of(path), .origin = origin };
	findings_add(notes, SEVERITY_ERROR, KIND_NONE, &meta, NULL, reason, "%s", text);
}

static void decode_entry(struct entry *entry, struct json_object *json, struct str origin,
			 struct findings *notes)
{
	struct decode_output out = { .object = NULL };
	struct parsed *parsed = entry->parsed = xcalloc(1, sizeof(*parsed));
	switch (decode_object(json, origin, &out, notes)) {
	case DECODE_OK:
		entry->valid = true;
		entry->object = out.object;
		parsed->kind = out.object->kind;
		parsed->ns = copy_of(out.object->meta.ns);
		parsed->name = copy_of(out.object->meta.name);
		return;
	case DECODE_INVALID:
		if (out.kind == KIND_NONE || out.name.n == 0)
			return;
		parsed->kind = out.kind;
		parsed->ns = copy_of(out.ns);
		parsed->name = copy_of(out.name);
		return;
	case DECODE_UNKNOWN:
		parsed->unknown = copy_of(out.kind_name);
		return;
	}
}

/* False when the object, its aliases expanded, is too large to be looked at. */
static bool take_sum(struct collector *collector, struct json_object *json, struct sum *ret_sum)
{
	struct sb *sb = &collector->catalog->canonical;
	sb_reset(sb);
	sb->max_bytes = collector->bytes_left < MAX_OBJECT_BYTES ? collector->bytes_left
								 : MAX_OBJECT_BYTES;
	add_canonical(sb, json);
	collector->bytes_left -= sb->len;
	*ret_sum = sum_of(sb_str(sb));
	return sb_ok(sb, NULL);
}

static void collect_object(struct collector *collector, struct json_object *json, size_t line,
			   struct str origin)
{
	struct chunk *chunk = collector->chunk;
	const char *path = chunk->file->path;
	struct arena *arena = arena_new();
	struct findings *notes = arena_alloc(arena, sizeof(*notes));
	findings_init(notes, arena);
	chunk->entries = grow(chunk->entries, chunk->count, &chunk->capacity,
			      sizeof(*chunk->entries));
	struct entry *entry = &chunk->entries[chunk->count++];
	*entry = (struct entry){ .chunk = chunk, .line = (uint32_t)(line - chunk->line) };
	if (!json_object_is_type(json, json_type_object))
		note_file(notes, path, origin, "NotAnObject",
			  "a document must be a mapping with apiVersion, kind and metadata");
	else if (!take_sum(collector, json, &entry->sum))
		note_file(notes, path, origin, "TooLarge",
			  "the object, aliases expanded, is larger than 16 MiB (or all those of "
			  "its document together larger than 128 MiB)");
	else
		decode_entry(entry, json, origin, notes);
	if (notes->count)
		entry->notes = notes;
	else
		arena_free(arena);
}

/* `List`, and the typed lists that API servers answer with. NULL: not a list. */
static struct json_object *list_items(struct json_object *json)
{
	struct json_object *kind, *items;
	if (!json_object_is_type(json, json_type_object) ||
	    !json_object_object_get_ex(json, "kind", &kind) ||
	    !json_object_object_get_ex(json, "items", &items) ||
	    !json_object_is_type(kind, json_type_string) ||
	    !json_object_is_type(items, json_type_array) ||
	    !str_ends(str_of(json_object_get_string(kind)), STR("List")))
		return NULL;
	return items;
}

static void collect(void *user, struct json_object *json, size_t line)
{
	struct collector *collector = user;
	const char *path = collector->chunk->file->path;
	struct json_object *items = list_items(json);
	struct sb origin;
	sb_init(&origin, strlen(path) + 80);
	size_t count = items ? json_object_array_length(items) : 1;
	for (size_t i = 0; i < count; i++) {
		sb_reset(&origin);
		sb_addf(&origin, "%s:%zu", path, line);
		if (items)
			sb_addf(&origin, " items[%zu]", i);
		collect_object(collector, items ? json_object_array_get_idx(items, i) : json, line,
			       sb_str(&origin));
	}
	sb_fini(&origin);
}

/* NULL on failure. */
static struct chunk *chunk_parse(struct catalog *catalog, struct file *file, struct str text,
				 size_t line, struct error *err)
{
	struct chunk *chunk = xcalloc(1, sizeof(*chunk));
	struct collector collector = {
		.catalog = catalog, .chunk = chunk, .bytes_left = MAX_DOCUMENT_BYTES
	};
	chunk->file = file;
	chunk->line = line;
	chunk->sum = sum_of(text);
	if (!yaml_parse(text, file->path, line, collect, &collector, err)) {
		chunk_free(chunk);
		return NULL;
	}
	if (chunk->count) { /* mostly one */
		chunk->entries = xrealloc(chunk->entries, chunk->count * sizeof(*chunk->entries));
		chunk->capacity = chunk->count;
	}
	return chunk;
}

/* ---- Slots ---- */

static void mark_dirty(struct catalog *catalog, struct slot *slot)
{
	if (slot->dirty)
		return;
	slot->dirty = true;
	slot->next_dirty = NULL;
	*catalog->dirty_tail = slot;
	catalog->dirty_tail = &slot->next_dirty;
}

static char *slot_key(enum kind kind, struct str ns, struct str name, size_t *ret_ns_at)
{
	struct sb sb;
	sb_init(&sb, ns.n + name.n + 16);
	sb_addf(&sb, "%d/", (int)kind);
	*ret_ns_at = sb.len;
	sb_add(&sb, ns);
	sb_addc(&sb, '/');
	sb_add(&sb, name);
	return sb_take(&sb, NULL);
}

static struct slot *slot_find(const struct catalog *catalog, enum kind kind, struct str ns,
			      struct str name)
{
	size_t at;
	char *key = slot_key(kind, ns, name, &at);
	struct slot *slot = map_get(catalog->slots, str_of(key));
	free(key);
	return slot;
}

static struct slot *slot_make(struct catalog *catalog, enum kind kind, struct str ns,
			      struct str name)
{
	struct slot *slot = slot_find(catalog, kind, ns, name);
	if (slot)
		return slot;
	size_t at;
	char *key = slot_key(kind, ns, name, &at);
	slot = xcalloc(1, sizeof(*slot));
	map_put(catalog->slots, str_of(key), slot);
	slot->at = map_at(catalog->slots, str_of(key));
	slot->kind = kind;
	slot->ns_at = (uint16_t)at;
	slot->name_at = (uint16_t)(at + ns.n + 1);
	free(key);
	return slot;
}

static struct str slot_ns(const struct slot *slot)
{
	return str_sub(map_key(slot->at), slot->ns_at, slot->name_at - 1u);
}

static struct str slot_name(const struct slot *slot)
{
	return str_sub(map_key(slot->at), slot->name_at, map_key(slot->at).n);
}

/* Which of two entries of one slot counts. */
static bool entry_before(const struct entry *a, const struct entry *b)
{
	int order = strcmp(a->chunk->file->path, b->chunk->file->path);
	if (order)
		return order < 0;
	if (a->chunk != b->chunk)
		return a->chunk->line < b->chunk->line;
	return a < b;
}

static struct entry *slot_winner(const struct slot *slot)
{
	struct entry *winner = slot->entries;
	for (struct entry *entry = winner ? winner->next : NULL; entry; entry = entry->next) {
		if (entry_before(entry, winner))
			winner = entry;
	}
	return winner;
}

static void link_unknown(struct catalog *catalog, struct entry *entry)
{
	struct str name = str_of(entry->parsed->unknown);
	struct unknown *unknown = map_get(catalog->unknowns, name);
	if (!unknown) {
		struct sb sb;
		const char *path = entry->chunk->file->path;
		sb_init(&sb, strlen(path) + 32);
		sb_addf(&sb, "%s:%zu", path, entry->chunk->line + entry->line);
		unknown = xcalloc(1, sizeof(*unknown));
		unknown->first = sb_take(&sb, NULL);
		map_put(catalog->unknowns, name, unknown);
	}
	unknown->count++;
	catalog->unknown_count++;
	entry->unknown = unknown;
}

static void link_entry(struct catalog *catalog, struct entry *entry)
{
	const struct parsed *parsed = entry->parsed;
	if (parsed && parsed->unknown)
		link_unknown(catalog, entry);
	catalog->news |= entry->notes || entry->unknown;
	catalog->note_count += entry->notes != NULL;
	if (parsed && parsed->name) {
		struct slot *slot = slot_make(catalog, parsed->kind, str_of(parsed->ns),
					      str_of(parsed->name));
		catalog->duplicate_count += slot->entries != NULL;
		entry->slot = slot;
		entry->next = slot->entries;
		entry->link = &slot->entries;
		if (entry->next)
			entry->next->link = &entry->next;
		slot->entries = entry;
		mark_dirty(catalog, slot);
	}
	parsed_drop(entry);
}

static void unlink_entry(struct catalog *catalog, struct entry *entry)
{
	if (entry->unknown) {
		entry->unknown->count--;
		catalog->unknown_count--;
	}
	catalog->news |= entry->notes || entry->unknown;
	catalog->note_count -= entry->notes != NULL;
	if (!entry->slot)
		return;
	*entry->link = entry->next;
	if (entry->next)
		entry->next->link = entry->link;
	catalog->duplicate_count -= entry->slot->entries != NULL;
	catalog->news |= entry->slot->entries != NULL; /* no duplicate any more */
	mark_dirty(catalog, entry->slot);
}

static void drop_chunk(struct catalog *catalog, struct chunk *chunk)
{
	for (size_t i = 0; i < chunk->count; i++)
		unlink_entry(catalog, &chunk->entries[i]);
	chunk_free(chunk);
}

/* ---- Files ---- */

static void file_free(void *user)
{
	struct file *file = user;
	for (size_t i = 0; i < file->count; i++)
		chunk_free(file->chunks[i]);
	free(file->chunks);
	free(file->path);
	free(file);
}

static struct file *file_make(struct catalog *catalog, const char *path)
{
	struct file *file = map_get(catalog->files, str_of(path));
	if (file)
		return file;
	file = xcalloc(1, sizeof(*file));
	file->path = copy_of(str_of(path));
	map_put(catalog->files, str_of(path), file);
	return file;
}

/* The chunks of `text` into *next: those of `file` where the text is the same, others parsed.
 * A chunk that is taken over is not changed but for kept_line. */
static bool parse_chunks(struct catalog *catalog, struct file *file, struct str text,
			 struct file *next, struct error *err)
{
	struct map *known = map_new();
	size_t line = 1, start;
	struct str part;
	bool ok = true;
	for (size_t i = 0; i < file->count; i++) {
		file->chunks[i]->kept_line = 0;
		map_put(known, sum_key(&file->chunks[i]->sum), file->chunks[i]);
	}
	while (yaml_cut(&text, &line, &part, &start)) {
		struct sum sum = sum_of(part);
		struct chunk *chunk = map_del(known, sum_key(&sum));
		if (chunk)
			chunk->kept_line = start;
		else
			chunk = chunk_parse(catalog, file, part, start, err);
		ok = chunk != NULL;
		if (!ok)
			break;
		next->chunks = grow(next->chunks, next->count, &next->capacity,
				    sizeof(struct chunk *));
		next->chunks[next->count++] = chunk;
	}
	map_free(known, NULL);
	return ok;
}

static void move_chunk(struct catalog *catalog, struct chunk *chunk, size_t line)
{
	if (chunk->line == line)
		return;
	chunk->line = line;
	for (size_t i = 0; i < chunk->count; i++) {
		struct slot *slot = chunk->entries[i].slot;
		if (slot && slot->entries->next) /* another one may count now */
			mark_dirty(catalog, slot);
	}
}

static void install(struct catalog *catalog, struct file *file, struct file *next)
{
	for (size_t i = 0; i < file->count; i++) {
		if (!file->chunks[i]->kept_line)
			drop_chunk(catalog, file->chunks[i]);
	}
	free(file->chunks);
	file->chunks = next->chunks;
	file->count = next->count;
	file->capacity = next->capacity;
	for (size_t i = 0; i < file->count; i++) {
		struct chunk *chunk = file->chunks[i];
		if (chunk->kept_line) {
			move_chunk(catalog, chunk, chunk->kept_line);
			continue;
		}
		for (size_t k = 0; k < chunk->count; k++)
			link_entry(catalog, &chunk->entries[k]);
	}
}

bool catalog_set(struct catalog *catalog, const char *path, struct str text, struct error *err)
{
	struct file *file = file_make(catalog, path);
	struct file next = { .count = 0 };
	bool ok = parse_chunks(catalog, file, text, &next, err);
	if (ok) {
		install(catalog, file, &next);
	} else {
		for (size_t i = 0; i < next.count; i++) {
			if (!next.chunks[i]->kept_line)
				chunk_free(next.chunks[i]);
		}
		free(next.chunks);
	}
	return ok;
}

void catalog_drop(struct catalog *catalog, const char *path)
{
	struct file *file = map_del(catalog->files, str_of(path));
	if (!file)
		return;
	for (size_t i = 0; i < file->count; i++)
		drop_chunk(catalog, file->chunks[i]);
	file->count = 0;
	file_free(file);
}

/* ---- Delivery ---- */

/* Reads the entry's document again; NULL when its file has changed since. */
static struct object *entry_reread(struct catalog *catalog, const struct entry *entry)
{
	const struct chunk *want = entry->chunk;
	struct object *object = NULL;
	struct chunk *again = NULL;
	struct str rest = STR_NONE, part;
	size_t line = 1, start;
	char *text = catalog->ops.read(catalog->ops.user, want->file->path, &rest.n);
	if (!text)
		return NULL;
	rest.p = text;
	while (!again && yaml_cut(&rest, &line, &part, &start)) {
		struct sum sum = sum_of(part);
		if (sum_eq(&sum, &want->sum))
			again = chunk_parse(catalog, want->file, part, start, NULL);
	}
	free(text);
	if (!again)
		return NULL;
	size_t index = (size_t)(entry - want->entries);
	if (index < again->count) {
		object = again->entries[index].object;
		again->entries[index].object = NULL;
	}
	chunk_free(again);
	return object;
}

static struct object *entry_take(struct catalog *catalog, struct entry *entry)
{
	struct object *object = entry->object;
	entry->object = NULL;
	return object ? object : entry_reread(catalog, entry);
}

static bool deliver(struct catalog *catalog, struct slot *slot, struct entry *winner)
{
	if (!winner->valid ||
	    (slot->delivered && sum_eq(&slot->delivered_sum, &winner->sum)))
		return false;
	struct object *object = entry_take(catalog, winner);
	if (!object)
		return false;
	object->meta.generation = ++slot->generation;
	catalog->delivered_count += !slot->delivered;
	slot->delivered = true;
	slot->delivered_sum = winner->sum;
	catalog->ops.put(catalog->ops.user, object);
	return true;
}

static bool settle(struct catalog *catalog, struct slot *slot)
{
	struct entry *winner = slot_winner(slot);
	bool changed = winner && slot->entries->next; /* findings of duplicates */
	slot->dirty = false;
	if (winner) {
		changed |= deliver(catalog, slot, winner);
	} else if (slot->delivered) {
		catalog->ops.remove(catalog->ops.user, slot->kind, slot_ns(slot), slot_name(slot));
		catalog->delivered_count--;
		changed = true;
	}
	for (struct entry *entry = slot->entries; entry; entry = entry->next) {
		object_free(entry->object);
		entry->object = NULL;
	}
	if (!winner) {
		map_del(catalog->slots, map_key(slot->at));
		free(slot);
	}
	return changed;
}

bool catalog_flush(struct catalog *catalog)
{
	struct slot *next = catalog->dirty;
	bool changed = catalog->news;
	catalog->news = false;
	catalog->dirty = NULL;
	catalog->dirty_tail = &catalog->dirty;
	while (next) {
		struct slot *slot = next;
		next = slot->next_dirty;
		changed |= settle(catalog, slot);
	}
	sb_fini(&catalog->canonical); /* may be large after a large object */
	return changed;
}

/* ---- Findings ---- */

static void slot_findings(const struct slot *slot, struct findings *findings)
{
	const struct entry *winner = slot_winner(slot);
	struct sb origin;
	if (!winner || !slot->entries->next)
		return;
	sb_init(&origin, 8192);
	for (const struct entry *entry = slot->entries; entry; entry = entry->next) {
		if (entry == winner)
			continue;
		sb_reset(&origin);
		sb_addf(&origin, "%s:%zu", entry->chunk->file->path,
			entry->chunk->line + entry->line);
		struct meta meta = { .ns = slot_ns(slot), .name = slot_name(slot),
				     .origin = sb_str(&origin) };
		findings_add(findings, SEVERITY_ERROR, slot->kind, &meta, NULL, "Duplicate",
			     "also in %s:%zu, which counts (first in the order of paths); "
			     "remove one of the two",
			     winner->chunk->file->path, winner->chunk->line + winner->line);
	}
	sb_fini(&origin);
}

static void chunk_findings(const struct chunk *chunk, struct findings *findings)
{
	for (size_t i = 0; i < chunk->count; i++)
		findings_append(findings, chunk->entries[i].notes);
}

static void unknown_finding(struct str kind, const struct unknown *unknown,
			    struct findings *findings)
{
	struct meta meta = { .name = kind, .origin = str_of(unknown->first) };
	if (unknown->count)
		findings_add(findings, SEVERITY_INFO, KIND_NONE, &meta, NULL, "UnknownKind",
			     "%zu object%s of kind " STR_FMT " not used", unknown->count,
			     unknown->count == 1 ? "" : "s", STR_ARG(kind));
}

void catalog_findings(const struct catalog *catalog, struct findings *findings)
{
	struct map_entry *e = catalog->note_count ? map_first(catalog->files) : NULL;
	for (; e; e = map_next(e)) {
		const struct file *file = map_value(e);
		for (size_t i = 0; i < file->count; i++)
			chunk_findings(file->chunks[i], findings);
	}
	for (e = catalog->duplicate_count ? map_first(catalog->slots) : NULL; e; e = map_next(e))
		slot_findings(map_value(e), findings);
	for (e = map_first(catalog->unknowns); e; e = map_next(e))
		unknown_finding(map_key(e), map_value(e), findings);
}

void catalog_stats(const struct catalog *catalog, struct files_stats *stats)
{
	stats->objects = catalog->delivered_count;
	stats->unknown_objects = catalog->unknown_count;
}

/* ---- Lifetime ---- */

struct catalog *catalog_new(const struct catalog_ops *ops)
{
	struct catalog *catalog = xcalloc(1, sizeof(*catalog));
	catalog->ops = *ops;
	catalog->files = map_new();
	catalog->slots = map_new();
	catalog->unknowns = map_new();
	catalog->dirty_tail = &catalog->dirty;
	sb_init(&catalog->canonical, MAX_OBJECT_BYTES);
	return catalog;
}

static void unknown_free(void *user)
{
	struct unknown *unknown = user;
	free(unknown->first);
	free(unknown);
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	map_free(catalog->files, file_free);
	map_free(catalog->slots, free);
	map_free(catalog->unknowns, unknown_free);
	sb_fini(&catalog->canonical);
	free(catalog);
}
