/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/state.h"

struct state *state_new(const struct haproxy_caps *caps, const char *run_dir)
{
	struct state *state = xcalloc(1, sizeof(*state));
	state->caps = *caps;
	state->run_dir = xstrndup(run_dir, strlen(run_dir));
	for (int i = 0; i < PLAN_TABLE_COUNT; i++)
		state->tables[i] = texts_new();
	state->places = map_new();
	state->slots = map_new();
	state->overrides = map_new();
	state->blocked = map_new();
	state->leaving = map_new();
	state->header_names = map_new();
	state->next_id = 1;
	return state;
}

void state_free(struct state *state)
{
	if (!state)
		return;
	for (int i = 0; i < PLAN_TABLE_COUNT; i++)
		texts_free(state->tables[i]);
	map_free(state->places, free);
	map_free(state->slots, free);
	map_free(state->overrides, free);
	map_free(state->blocked, free);
	map_free(state->leaving, free);
	map_free(state->header_names, NULL);
	free(state->spare_used);
	free(state->run_dir);
	free(state);
}

void state_put_str(struct map *map, struct str key, struct str value)
{
	struct str *copy = xmalloc(sizeof(*copy) + value.n + 1);
	char *text = (char *)(copy + 1);
	if (value.n > 0)
		memcpy(text, value.p, value.n);
	text[value.n] = '\0';
	*copy = (struct str){ text, value.n };
	free(map_put(map, key, copy));
}

struct str state_map_str(const struct map *map, struct str key)
{
	const struct str *value = map_get(map, key);
	return value ? *value : STR_NONE;
}

void state_del_str(struct map *map, struct str key)
{
	free(map_del(map, key));
}

struct str state_get(const struct state *state, enum plan_table table, struct str key)
{
	return texts_get(state->tables[table], key);
}

void state_load(struct state *state, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_entry *entry = &plan->entries[i];
		texts_put(state->tables[entry->table], entry->key, entry->value);
	}
}

void state_change(struct state *state, const struct change *change)
{
	struct texts *table = state->tables[change->table];
	if (change->op == CHANGE_DEL)
		texts_del(table, change->key);
	else
		texts_put(table, change->key, change->value);
}

struct plan *state_plan(const struct state *state)
{
	struct arena *arena = arena_new();
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	plan->arena = arena;
	for (int i = 0; i < PLAN_TABLE_COUNT; i++)
		plan->count += texts_count(state->tables[i]);
	plan->entries = arena_array(plan->arena, plan->count, sizeof(*plan->entries));
	size_t at = 0;
	for (int i = 0; i < PLAN_TABLE_COUNT; i++) {
		const struct texts *table = state->tables[i];
		for (size_t k = 0; k < texts_count(table); k++)
			plan->entries[at++] = (struct plan_entry){
				(enum plan_table)i, arena_str(plan->arena, texts_key(table, k)),
				arena_str(plan->arena, texts_value(table, k))
			};
	}
	return plan;
}

void state_print_plan(const struct state *state, struct sb *out)
{
	for (int i = 0; i < PLAN_TABLE_COUNT; i++) {
		const struct texts *table = state->tables[i];
		for (size_t k = 0; k < texts_count(table); k++) {
			const struct plan_entry entry = { (enum plan_table)i, texts_key(table, k),
							  texts_value(table, k) };
			plan_print_entry(&entry, out);
		}
	}
}

/* ---- servers ---- */

bool server_parse(struct str value, struct server_value *ret_server)
{
	struct server_value server = { 0 };
	struct str rest = value;
	server.endpoint = str_cut(&rest, ' ');
	if (!str_u64(rest, 256, &server.weight))
		return false;
	size_t port = str_behind_last(server.endpoint, ':');
	if (port < 2 ||
	    !str_u64(str_sub(server.endpoint, port, server.endpoint.n), 65535, &server.port))
		return false;
	server.address = str_sub(server.endpoint, 0, port - 1);
	if (str_starts(server.address, STR("[")) && str_ends(server.address, STR("]")))
		server.address = str_sub(server.address, 1, server.address.n - 1);
	*ret_server = server;
	return !str_empty(server.address);
}

void server_key_split(struct str key, struct str *ret_backend, struct str *ret_server)
{
	*ret_server = key;
	*ret_backend = str_cut(ret_server, '/');
}

bool state_backend_is_h2c(const struct state *state, struct str backend)
{
	return str_is(state_get(state, PLAN_BACKEND, backend), "h2c");
}

static bool speaks_h2c(const struct state *state, struct str server)
{
	return state_backend_is_h2c(state, str_cut(&server, '/'));
}

struct slot *state_find_slot(const struct state *state, struct str key)
{
	return map_get(state->slots, key);
}

struct slot *state_next_slot(const struct state *state, struct str key, struct map_entry **near)
{
	struct map_entry *at = *near;
	if (!at || !str_eq(map_key(at), key))
		at = map_at(state->slots, key);
	if (!at)
		return NULL;
	*near = map_next(at);
	return map_value(at);
}

struct slot *state_slot(struct state *state, struct str key)
{
	struct slot *slot = map_get(state->slots, key);
	if (!slot) {
		slot = xcalloc(1, sizeof(*slot));
		slot->id = state->next_id++;
		slot->h2c = speaks_h2c(state, key);
		map_put(state->slots, key, slot);
	}
	return slot;
}

void state_drop_slot(struct state *state, struct str key)
{
	free(map_del(state->slots, key));
}

/* ---- backends ---- */

struct place *state_find_place(const struct state *state, struct str backend)
{
	return map_get(state->places, backend);
}

void state_set_place(struct state *state, struct str backend, enum place_kind kind,
		     unsigned spare)
{
	struct place *place = xcalloc(1, sizeof(*place));
	place->kind = kind;
	place->spare = spare;
	if (kind == PLACE_SPARE && spare < state->spare_count)
		state->spare_used[spare] = true;
	free(map_put(state->places, backend, place));
}

/* p NULL: nobody's. */
static struct str backend_in_spare(const struct state *state, uint64_t spare)
{
	struct map_entry *entry = map_first(state->places);
	for (; entry; entry = map_next(entry)) {
		const struct place *place = map_value(entry);
		if (place->kind == PLACE_SPARE && place->spare == spare)
			return map_key(entry);
	}
	return STR_NONE;
}

void state_drop_place(struct state *state, struct str backend)
{
	struct place *place = map_del(state->places, backend);
	if (place && place->kind == PLACE_SPARE && place->spare < state->spare_count)
		state->spare_used[place->spare] = backend_in_spare(state, place->spare).p != NULL;
	free(place);
}

static void settle_slots(struct state *state)
{
	struct map *old = state->slots;
	state->slots = map_new();
	const struct texts *servers = state->tables[PLAN_SERVER];
	for (size_t i = 0; i < texts_count(servers); i++) {
		struct str key = texts_key(servers, i);
		struct slot *kept = map_del(old, key);
		if (kept) {
			kept->leaving = kept->maint = false;
			kept->h2c = speaks_h2c(state, key);
			map_put(state->slots, key, kept);
		} else {
			state_slot(state, key);
		}
	}
	map_free(old, free);
}

struct str state_header_name(struct str key)
{
	return str_sub(key, str_chr(key, '/', 0) + 1, key.n);
}

void state_learn_headers(struct state *state)
{
	map_free(state->header_names, NULL);
	state->header_names = map_new();
	const struct texts *headers = state->tables[PLAN_HEADER];
	for (size_t i = 0; i < texts_count(headers); i++)
		map_put(state->header_names, state_header_name(texts_key(headers, i)), state);
}

void state_settle(struct state *state)
{
	state_learn_headers(state);
	map_free(state->places, free);
	state->places = map_new();
	if (state->spare_used)
		memset(state->spare_used, 0, state->spare_count * sizeof(bool));
	const struct texts *backends = state->tables[PLAN_BACKEND];
	for (size_t i = 0; i < texts_count(backends); i++)
		state_set_place(state, texts_key(backends, i), PLACE_STATIC, 0);
	settle_slots(state);
	map_free(state->leaving, free);
	state->leaving = map_new();
}

void state_set_spares(struct state *state, unsigned count)
{
	state->spare_used = xrealloc(state->spare_used, (count + 1) * sizeof(bool));
	for (unsigned i = state->spare_count; i < count; i++)
		state->spare_used[i] = false;
	state->spare_count = count;
}

struct str state_live_name(const struct state *state, struct arena *arena, struct str backend)
{
	const struct place *place = state_find_place(state, backend);
	if (!place || place->kind != PLACE_SPARE)
		return backend;
	return arena_strf(arena, "spare-%u", place->spare);
}

struct str state_backend_of(const struct state *state, struct str live_name)
{
	uint64_t number;
	if (!str_starts(live_name, STR("spare-")) ||
	    !str_u64(str_sub(live_name, 6, live_name.n), UINT32_MAX, &number))
		return live_name;
	return backend_in_spare(state, number);
}

bool state_take_spare(struct state *state, unsigned *ret_spare)
{
	for (unsigned i = 0; i < state->spare_count; i++) {
		if (!state->spare_used[i]) {
			state->spare_used[i] = true;
			*ret_spare = i;
			return true;
		}
	}
	return false;
}

unsigned state_spares_used(const struct state *state)
{
	unsigned count = 0;
	for (unsigned i = 0; i < state->spare_count; i++)
		count += state->spare_used[i];
	return count;
}

/* ---- frontends ---- */

static bool is_port(struct str text)
{
	uint64_t port;
	return str_u64(text, 65535, &port) && port > 0;
}

bool frontend_parse(struct str value, struct frontend_value *ret_frontend)
{
	struct frontend_value frontend = { 0 };
	struct str rest = value;
	struct str scheme = str_cut(&rest, ' ');
	frontend.https = str_is(scheme, "https");
	if (!frontend.https && !str_is(scheme, "http"))
		return false;
	struct str bound = str_cut(&rest, ' ');
	size_t port = str_behind_last(bound, ':');
	if (port < 2)
		return false;
	frontend.addresses = str_sub(bound, 0, port - 1);
	frontend.port = frontend.bind_port = str_sub(bound, port, bound.n);
	struct str word = str_cut(&rest, ' ');
	if (str_is(word, "for")) {
		frontend.port = str_cut(&rest, ' ');
		word = str_cut(&rest, ' ');
	}
	frontend.transparent = str_is(word, "transparent");
	if (!str_empty(rest) || (!str_empty(word) && !frontend.transparent))
		return false;
	if (!is_port(frontend.bind_port) || !is_port(frontend.port))
		return false;
	*ret_frontend = frontend;
	return true;
}

bool state_frontend_is_https(const struct state *state, struct str frontend)
{
	struct frontend_value value;
	return frontend_parse(state_get(state, PLAN_FRONTEND, frontend), &value) && value.https;
}

bool state_frontend_served(const struct state *state, struct str frontend)
{
	return state_get(state, PLAN_FRONTEND, frontend).p &&
	       !map_get(state->blocked, frontend);
}

/* ---- what is about to go ---- */

static char *leaving_key(struct str file, struct str key, size_t *ret_n)
{
	*ret_n = file.n + 1 + key.n;
	char *text = xmalloc(*ret_n + 1);
	memcpy(text, file.p, file.n);
	text[file.n] = ' ';
	if (key.n > 0)
		memcpy(text + file.n + 1, key.p, key.n);
	text[*ret_n] = '\0';
	return text;
}

void state_leave(struct state *state, struct str file, struct str key, int64_t due_ms)
{
	size_t n;
	char *text = leaving_key(file, key, &n);
	int64_t *due = xmalloc(sizeof(*due));
	*due = due_ms;
	free(map_put(state->leaving, (struct str){ text, n }, due));
	free(text);
}

bool state_stay(struct state *state, struct str file, struct str key)
{
	size_t n;
	char *text = leaving_key(file, key, &n);
	int64_t *due = map_del(state->leaving, (struct str){ text, n });
	free(text);
	bool was_leaving = due != NULL;
	free(due);
	return was_leaving;
}

bool state_is_leaving(const struct state *state, struct str file, struct str key)
{
	size_t n;
	char *text = leaving_key(file, key, &n);
	bool leaving = map_get(state->leaving, (struct str){ text, n }) != NULL;
	free(text);
	return leaving;
}

void state_postpone(struct state *state, int64_t record_due_ms, int64_t server_due_ms)
{
	struct map_entry *at;
	for (at = map_first(state->leaving); at; at = map_next(at)) {
		int64_t *due = map_value(at);
		*due = *due < record_due_ms ? record_due_ms : *due;
	}
	for (at = map_first(state->slots); at; at = map_next(at)) {
		struct slot *slot = map_value(at);
		if (slot->leaving && !slot->maint && slot->due_ms < server_due_ms)
			slot->due_ms = server_due_ms;
	}
}
