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

static bool lower_frontend_key(const struct state *state, struct arena *arena, struct str key,
			       const char *what, struct str *ret_file, struct str *ret_key)
{
	struct str rest = key;
	struct str frontend = str_cut(&rest, ' ');
	if (!state_frontend_served(state, frontend))
		return false;
	*ret_file = arena_strf(arena, STR_FMT ".%s.map", STR_ARG(frontend), what);
	*ret_key = rest;
	return true;
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
	*ret_entry = (struct image_entry){ key, value };
	switch (table) {
	case PLAN_HEADER:
		*ret_file = STR("headers.map");
		lower_header(state, key, value, ret_entry);
		return true;
	case PLAN_SPLIT:
		*ret_file = STR("splits.map");
		return true;
	case PLAN_LIST:
		*ret_file = STR("lists.map");
		return true;
	case PLAN_METHOD:
		*ret_file = STR("methods.map");
		return true;
	case PLAN_SWITCH:
		*ret_file = STR("switches.map");
		return true;
	case PLAN_RULE:
		*ret_file = STR("rules.map");
		return true;
	case PLAN_ROUTE:
		return lower_frontend_key(state, arena, key, "routes", ret_file, &ret_entry->key);
	case PLAN_WILDCARD:
		return lower_frontend_key(state, arena, key, "wildcards", ret_file,
					  &ret_entry->key);
	case PLAN_LISTENER:
		if (!state_frontend_is_https(state, str_sub(key, 0, str_chr(key, ' ', 0))) ||
		    !lower_frontend_key(state, arena, key, "listeners", ret_file,
					&ret_entry->key))
			return false;
		ret_entry->key = listener_key(arena, ret_entry->key);
		return true;
	default:
		return false;
	}
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

static struct image_map *image_map_of(struct image *image, struct map *index, struct str file)
{
	uintptr_t at = (uintptr_t)map_get(index, file);
	if (at == 0) {
		image->maps = grow(image->maps, image->count, &image->capacity,
				   sizeof(*image->maps));
		image->maps[image->count] =
			(struct image_map){ .file = arena_str(image->arena, file) };
		at = ++image->count;
		map_put(index, file, (void *)at);
	}
	return &image->maps[at - 1];
}

static void image_add(struct image_map *map, struct image_entry entry)
{
	map->entries = grow(map->entries, map->count, &map->capacity, sizeof(*map->entries));
	map->entries[map->count++] = entry;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;
	return str_cmp(x->key, y->key);
}

static int image_map_cmp(const void *a, const void *b)
{
	const struct image_map *x = a, *y = b;
	return str_cmp(x->file, y->file);
}

/* Every file that haproxy.cfg names exists, if only empty. */
static void add_empty_maps(struct image *image, struct map *index, const struct state *state,
			   struct str only)
{
	static const char *const fixed[] = { "headers.map", "lists.map", "methods.map",
					     "rules.map", "spare.map", "splits.map",
					     "switches.map" };
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (str_empty(only) || str_is(only, fixed[i]))
			image_map_of(image, index, str_of(fixed[i]));
	}
	static const char *const own[] = { "routes", "wildcards", "listeners" };
	const struct texts *frontends = state->tables[PLAN_FRONTEND];
	for (size_t f = 0; f < texts_count(frontends); f++) {
		struct str frontend = texts_key(frontends, f);
		if (map_get(state->blocked, frontend))
			continue;
		size_t own_count = state_frontend_is_https(state, frontend) ? 3 : 2;
		for (size_t i = 0; i < own_count; i++) {
			struct str file = arena_strf(image->arena, STR_FMT ".%s.map",
						     STR_ARG(frontend), own[i]);
			if (str_empty(only) || str_eq(only, file))
				image_map_of(image, index, file);
		}
	}
}

static void add_table(struct image *image, struct map *index, const struct state *state,
		      enum plan_table table, struct str only)
{
	const struct texts *lines = state->tables[table];
	for (size_t i = 0; i < texts_count(lines); i++) {
		struct str file;
		struct image_entry entry;
		if (!state_lower(state, image->arena, table, texts_key(lines, i),
				 texts_value(lines, i), &file, &entry))
			continue;
		if (str_empty(only) || str_eq(only, file))
			image_add(image_map_of(image, index, file), entry);
	}
}

static void add_spares(struct image *image, struct map *index, const struct state *state)
{
	struct map_entry *at = map_first(state->places);
	for (; at; at = map_next(at)) {
		const struct place *place = map_value(at);
		if (place->kind != PLACE_SPARE)
			continue;
		struct str name = arena_strf(image->arena, "spare-%u", place->spare);
		image_add(image_map_of(image, index, STR("spare.map")),
			  (struct image_entry){ map_key(at), name });
	}
}

static void add_header_blobs(struct image *image, struct map *index, const struct state *state)
{
	const struct texts *headers = state->tables[PLAN_HEADER];
	for (size_t from = 0, to; from < texts_count(headers); from = to) {
		to = group_end(headers, from);
		struct image_entry entry = { header_group(texts_key(headers, from)),
					     encode_group(image->arena, headers, from, to) };
		image_add(image_map_of(image, index, STR("headers.map")), entry);
	}
}

struct image *image_new(const struct state *state, struct str only)
{
	struct image *image = xcalloc(1, sizeof(*image));
	image->arena = arena_new();
	struct map *index = map_new();
	add_empty_maps(image, index, state, only);
	for (int table = 0; table < PLAN_TABLE_COUNT; table++) {
		if (table != PLAN_HEADER || !state->caps.headers_bin)
			add_table(image, index, state, (enum plan_table)table, only);
	}
	if (state->caps.headers_bin && (str_empty(only) || str_is(only, "headers.map")))
		add_header_blobs(image, index, state);
	if (str_empty(only) || str_is(only, "spare.map"))
		add_spares(image, index, state);
	map_free(index, NULL);
	for (size_t i = 0; i < image->count; i++) {
		struct image_map *map = &image->maps[i];
		if (map->count > 1)
			qsort(map->entries, map->count, sizeof(*map->entries), entry_cmp);
	}
	if (image->count > 1)
		qsort(image->maps, image->count, sizeof(*image->maps), image_map_cmp);
	return image;
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
	if (str_is(file, "rules.map"))
		return 1;
	return str_is(file, "headers.map") || str_is(file, "lists.map") ||
			       str_is(file, "methods.map") || str_is(file, "splits.map") ||
			       str_is(file, "spare.map") || str_is(file, "switches.map") ?
		       0 :
		       2;
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
