/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as HAProxy's map files. */
#include "haproxy/state.h"

#include <openssl/evp.h>

/* Removes the last "/..." and returns what stood before it. */
static struct str header_group(struct str key)
{
	/* FILTER/DIR/OP/name: a name may hold no slash, but be safe: cut behind the third. */
	size_t at = 0;
	for (int i = 0; i < 3; i++)
		at = str_chr(key, '/', at) + 1;
	return str_sub(key, 0, at - 1);
}

/* The map of each table that has one. */
static const struct table_map {
	const char *file;
	bool of_frontend; /* each frontend has one, with its name before */
} table_maps[PLAN_TABLE_COUNT] = {
	[PLAN_LISTENER] = { "listeners.map", true },
	[PLAN_HEADER] = { "headers.map", false },
	[PLAN_SPLIT] = { "splits.map", false },
	[PLAN_LIST] = { "lists.map", false },
	[PLAN_METHOD] = { "methods.map", false },
	[PLAN_SWITCH] = { "switches.map", false },
	[PLAN_RULE] = { "rules.map", false },
	[PLAN_ROUTE] = { "routes.map", true },
	[PLAN_WILDCARD] = { "wildcards.map", true },
};

static bool frontend_has(const struct state *state, struct str frontend, enum plan_table table)
{
	return state_frontend_served(state, frontend) &&
	       (table != PLAN_LISTENER || state_frontend_is_https(state, frontend));
}

static struct str frontend_file(struct arena *arena, struct str frontend, enum plan_table table)
{
	return arena_strf(arena, STR_FMT ".%s", STR_ARG(frontend), table_maps[table].file);
}

/* "*.example.com" is looked up as "example.com/" + "*" (see frontend.cfg). */
static struct str listener_key(struct arena *arena, struct str hostname)
{
	if (!str_starts(hostname, STR("*.")))
		return hostname;
	struct str suffix = str_sub(hostname, 2, hostname.n);
	return arena_strf(arena, STR_FMT "/*", STR_ARG(suffix));
}

static void lower_header(const struct state *state, struct str key, struct str value,
			 struct image_entry *ret_entry)
{
	if (state->caps.headers_bin)
		*ret_entry = (struct image_entry){ header_group(key), STR_NONE };
	else
		*ret_entry = (struct image_entry){ key, str_empty(value) ? STR("-") : value };
}

bool state_lower(const struct state *state, struct arena *arena, enum plan_table table,
		 struct str key, struct str value, struct str *ret_file,
		 struct image_entry *ret_entry)
{
	const struct table_map *map = &table_maps[table];
	*ret_entry = (struct image_entry){ key, value };
	if (!map->file)
		return false;
	*ret_file = str_of(map->file);
	if (map->of_frontend) {
		struct str frontend = str_cut(&ret_entry->key, ' ');
		if (!frontend_has(state, frontend, table))
			return false;
		*ret_file = frontend_file(arena, frontend, table);
	}
	if (table == PLAN_LISTENER)
		ret_entry->key = listener_key(arena, ret_entry->key);
	else if (table == PLAN_HEADER)
		lower_header(state, key, value, ret_entry);
	return true;
}

/* ---- header blobs ---- */

/* HAProxy's variable-length integer: below 240 one byte. */
static void add_varint(struct sb *sb, uint64_t value)
{
	if (value < 240) {
		sb_addc(sb, (char)value);
		return;
	}
	sb_addc(sb, (char)(value | 240));
	value = (value - 240) >> 4;
	while (value >= 128) {
		sb_addc(sb, (char)(value | 128));
		value = (value - 128) >> 7;
	}
	sb_addc(sb, (char)value);
}

static void add_block(struct sb *sb, struct str s)
{
	add_varint(sb, s.n);
	sb_add(sb, s);
}

static struct str base64(struct arena *arena, struct str data)
{
	size_t bytes = (data.n + 2) / 3 * 4 + 1;
	unsigned char *text = arena_alloc(arena, bytes);
	int n = EVP_EncodeBlock(text, (const unsigned char *)data.p, (int)data.n);
	return (struct str){ (const char *)text, (size_t)n };
}

/* The blob of headers[from, to), which all belong to one group. */
static struct str encode_group(struct arena *arena, const struct texts *headers, size_t from,
			       size_t to)
{
	struct sb sb;
	sb_init(&sb, 1 << 20);
	struct str group = header_group(texts_key(headers, from));
	bool del = str_ends(group, STR("/del"));
	for (size_t i = from; i < to; i++) {
		struct str key = texts_key(headers, i);
		add_block(&sb, str_sub(key, group.n + 1, key.n));
		if (!del)
			add_block(&sb, texts_value(headers, i));
	}
	sb_add(&sb, del ? (struct str){ "\0", 1 } : (struct str){ "\0\0", 2 });
	struct str blob = base64(arena, sb_str(&sb));
	sb_fini(&sb);
	return blob;
}

static size_t group_end(const struct texts *headers, size_t from)
{
	struct str group = header_group(texts_key(headers, from));
	size_t to = from + 1;
	while (to < texts_count(headers) && str_eq(header_group(texts_key(headers, to)), group))
		to++;
	return to;
}

struct str state_header_blob(const struct state *state, struct arena *arena, struct str group)
{
	const struct texts *headers = state->tables[PLAN_HEADER];
	size_t from = texts_find(headers, arena_strf(arena, STR_FMT "/", STR_ARG(group)));
	if (from == texts_count(headers) ||
	    !str_eq(header_group(texts_key(headers, from)), group))
		return STR_NONE;
	return encode_group(arena, headers, from, group_end(headers, from));
}

/* ---- image ---- */

struct building {
	struct image *image;
	const struct state *state;
	struct str only;   /* empty: all files */
	bool only_counts;
};

/* NULL when the file is not wanted. */
static struct image_map *add_file(struct building *b, struct str file)
{
	struct image *image = b->image;
	if (!str_empty(b->only) && !str_eq(b->only, file))
		return NULL;
	image->maps = grow(image->maps, image->count, &image->capacity, sizeof(*image->maps));
	image->maps[image->count] = (struct image_map){ .file = arena_str(image->arena, file) };
	return &image->maps[image->count++];
}

static void add_entry(struct image_map *map, struct image_entry entry)
{
	map->entries = grow(map->entries, map->count, &map->capacity, sizeof(*map->entries));
	map->entries[map->count++] = entry;
}

static struct image_entry lower_line(struct building *b, enum plan_table table, size_t i,
				     size_t prefix_bytes)
{
	const struct texts *lines = b->state->tables[table];
	struct str key = texts_key(lines, i);
	struct image_entry entry = { str_sub(key, prefix_bytes, key.n), texts_value(lines, i) };
	if (table == PLAN_HEADER)
		lower_header(b->state, entry.key, entry.value, &entry);
	else if (table == PLAN_LISTENER)
		entry.key = listener_key(b->image->arena, entry.key);
	return entry;
}

/* A file of all lines of a table, or of those whose key begins with FRONTEND SP. */
static void add_table(struct building *b, struct str file, enum plan_table table,
		      struct str frontend)
{
	const struct texts *lines = b->state->tables[table];
	struct image_map *map = add_file(b, file);
	size_t from = 0, to = texts_count(lines), prefix_bytes = 0;
	if (!map)
		return;
	if (!str_empty(frontend)) { /* '!' is the next sign after the blank */
		from = texts_find(lines, arena_strf(b->image->arena, STR_FMT " ",
						    STR_ARG(frontend)));
		to = texts_find(lines, arena_strf(b->image->arena, STR_FMT "!",
						  STR_ARG(frontend)));
		prefix_bytes = frontend.n + 1;
	}
	map->count = map->capacity = to - from;
	if (b->only_counts)
		return;
	map->entries = xcalloc(map->count, sizeof(*map->entries));
	for (size_t i = from; i < to; i++)
		map->entries[i - from] = lower_line(b, table, i, prefix_bytes);
}

static void add_spares(struct building *b)
{
	struct image_map *map = add_file(b, STR("spare.map"));
	struct map_entry *at = map ? map_first(b->state->places) : NULL;
	for (; at; at = map_next(at)) {
		const struct place *place = map_value(at);
		if (place->kind != PLACE_SPARE)
			continue;
		struct str name = arena_strf(b->image->arena, "spare-%u", place->spare);
		add_entry(map, (struct image_entry){ map_key(at), name });
	}
	if (map && state_spares_used(b->state) > 0)
		add_entry(map, (struct image_entry){ STR(SPARE_ANY), STR("yes") });
}

static void add_headers(struct building *b)
{
	const struct texts *headers = b->state->tables[PLAN_HEADER];
	struct str file = str_of(table_maps[PLAN_HEADER].file);
	if (!b->state->caps.headers_bin) {
		add_table(b, file, PLAN_HEADER, STR_NONE);
		return;
	}
	struct image_map *map = add_file(b, file);
	for (size_t from = 0, to; map && from < texts_count(headers); from = to) {
		to = group_end(headers, from);
		struct image_entry entry = { header_group(texts_key(headers, from)), STR_NONE };
		if (!b->only_counts)
			entry.value = encode_group(b->image->arena, headers, from, to);
		add_entry(map, entry);
	}
}

int image_entry_cmp(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;
	return str_cmp(x->key, y->key);
}

static int image_map_cmp(const void *a, const void *b)
{
	const struct image_map *x = a, *y = b;
	return str_cmp(x->file, y->file);
}

/* Most are sorted as they come. */
static void sort_entries(struct image_map *map)
{
	size_t i = 1;
	while (i < map->count && image_entry_cmp(&map->entries[i - 1], &map->entries[i]) <= 0)
		i++;
	if (i < map->count)
		qsort(map->entries, map->count, sizeof(*map->entries), image_entry_cmp);
}

static void add_frontends(struct building *b, enum plan_table table)
{
	const struct texts *frontends = b->state->tables[PLAN_FRONTEND];
	for (size_t i = 0; i < texts_count(frontends); i++) {
		struct str frontend = texts_key(frontends, i);
		if (frontend_has(b->state, frontend, table))
			add_table(b, frontend_file(b->image->arena, frontend, table), table,
				  frontend);
	}
}

/* Every file that haproxy.cfg names exists, if only empty. */
static struct image *build(const struct state *state, struct str only, bool only_counts)
{
	struct image *image = xcalloc(1, sizeof(*image));
	struct building b = { image, state, only, only_counts };
	image->arena = arena_new();
	for (int table = 0; table < PLAN_TABLE_COUNT; table++) {
		const struct table_map *map = &table_maps[table];
		if (map->of_frontend)
			add_frontends(&b, (enum plan_table)table);
		else if (table == PLAN_HEADER)
			add_headers(&b);
		else if (map->file)
			add_table(&b, str_of(map->file), (enum plan_table)table, STR_NONE);
	}
	add_spares(&b);
	for (size_t i = 0; !only_counts && i < image->count; i++)
		sort_entries(&image->maps[i]);
	if (image->count > 1)
		qsort(image->maps, image->count, sizeof(*image->maps), image_map_cmp);
	return image;
}

struct image *image_new(const struct state *state, struct str only)
{
	return build(state, only, false);
}

struct image *image_counts(const struct state *state)
{
	return build(state, STR_NONE, true);
}

void image_free(struct image *image)
{
	if (!image)
		return;
	for (size_t i = 0; i < image->count; i++)
		free(image->maps[i].entries);
	free(image->maps);
	arena_free(image->arena);
	free(image);
}

unsigned image_rank(struct str file)
{
	for (int table = 0; table < PLAN_TABLE_COUNT; table++) {
		const struct table_map *map = &table_maps[table];
		if (map->file && !map->of_frontend && str_is(file, map->file))
			return table == PLAN_RULE;
	}
	return str_is(file, "spare.map") ? 0 : 2;
}

const struct image_map *image_find(const struct image *image, struct str file)
{
	for (size_t i = 0; i < image->count; i++) {
		if (str_eq(image->maps[i].file, file))
			return &image->maps[i];
	}
	return NULL;
}

void image_print(const struct image_map *map, struct sb *out)
{
	for (size_t i = 0; i < map->count; i++) {
		sb_add(out, map->entries[i].key);
		sb_addc(out, ' ');
		sb_add(out, map->entries[i].value);
		sb_addc(out, '\n');
	}
}
