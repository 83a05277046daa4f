/* SPDX-License-Identifier: Apache-2.0 */
/* Updates: changes of the plan become commands, in the order of plan.h's phases. */
#include "daemon/engine_internal.h"

/* ---- sending ---- */

static void send_next(struct engine *engine);

static void on_batch(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	struct error err;
	if (failed)
		err = *failed;
	if (failed || !reply_ok(reply, &err)) {
		engine->failures++;
		engine->stats.command_failures++;
		engine->last_failure = err;
	}
	engine->batch_at++;
	/* HAProxy that does not answer is not asked more; and nothing may point at what could
	 * not be added: the read-back that follows finds out what there is. */
	if (failed || (engine->failures > 0 && engine->operation == OP_APPLY))
		engine->sent(engine);
	else
		send_next(engine);
}

static void send_next(struct engine *engine)
{
	if (engine->batch_at == engine->commands->count) {
		engine->sent(engine);
		return;
	}
	runtime_send(engine->runtime, engine->commands->batches[engine->batch_at], REPLY_BYTES,
		     on_batch, engine);
}

void engine_send(struct engine *engine, void (*done)(struct engine *engine))
{
	commands_flush(engine->commands);
	engine->sent = done;
	engine->batch_at = 0;
	engine->failures = 0;
	engine->stats.commands += engine->commands->command_count;
	send_next(engine);
}

/* ---- changes -> commands ---- */

struct lowering {
	struct engine *engine;
	struct arena *arena;
	struct map *groups; /* header groups of this update that are in HAProxy's map */
	int64_t now_ms;
};

static void lower_map_add(struct lowering *l, struct str file, const struct image_entry *entry)
{
	struct engine *engine = l->engine;
	/* A record that was about to go is still there, with the same content. */
	if (state_stay(engine->state, file, entry->key))
		return;
	command_map_add(engine->commands, engine->state, file, entry->key, entry->value);
}

/* On HAProxy with *-headers-bin a group (FILTER/DIR/OP) is one entry of the map. */
static void lower_header_group(struct lowering *l, const struct change *change, struct str file,
			       struct image_entry *entry)
{
	struct engine *engine = l->engine;
	if (map_put(l->groups, entry->key, l->groups))
		return;
	if (change->op == CHANGE_DEL) {
		state_leave(engine->state, file, entry->key, l->now_ms + RECORD_GRACE_MS);
		return;
	}
	entry->value = state_header_blob(engine->state, l->arena, entry->key);
	lower_map_add(l, file, entry);
}

static void lower_map(struct lowering *l, const struct change *change)
{
	struct engine *engine = l->engine;
	struct str file;
	struct image_entry entry;
	if (!state_lower(engine->state, l->arena, change->table, change->key, change->value, &file,
			 &entry))
		return;
	if (change->table == PLAN_HEADER && engine->state->caps.headers_bin)
		lower_header_group(l, change, file, &entry);
	else if (change->op == CHANGE_ADD)
		lower_map_add(l, file, &entry);
	else if (change->op == CHANGE_SET)
		command_map_set(engine->commands, engine->state, file, entry.key, entry.value);
	else if (change_phase(change) == 5)
		state_leave(engine->state, file, entry.key, l->now_ms + RECORD_GRACE_MS);
	else
		command_map_del(engine->commands, engine->state, file, entry.key);
}

/* New content, for the certificate itself and where it is a frontend's default. */
static void lower_certificate(struct lowering *l, const struct change *change)
{
	struct engine *engine = l->engine;
	struct state *state = engine->state;
	struct str pem, path = render_cert_path(state, l->arena, change->key);
	if (change->op == CHANGE_DEL) {
		command_cert_del(engine->commands, path);
		return;
	}
	if (!engine_pem(engine, change->key, &pem))
		return;
	if (!command_cert_fits(path, pem)) {
		engine_want_reload(engine, "certificate " STR_FMT " is too long for a command",
				   STR_ARG(change->key));
		return;
	}
	if (change->op == CHANGE_ADD)
		command_cert_new(engine->commands, path, pem);
	else
		command_cert_set(engine->commands, path, pem);
	const struct texts *defaults = state->tables[PLAN_DEFAULT_CERT];
	for (size_t i = 0; i < texts_count(defaults); i++) {
		if (!str_eq(texts_value(defaults, i), change->key))
			continue;
		path = render_default_path(state, l->arena, texts_key(defaults, i));
		command_cert_set(engine->commands, path, pem);
	}
}

/* A reload renders everything but these. */
static void write_certificate_files(struct engine *engine, struct arena *arena,
				    const struct change *change)
{
	const struct texts *defaults = engine->state->tables[PLAN_DEFAULT_CERT];
	struct str pem, path = render_cert_path(engine->state, arena, change->key);
	if (change->table == PLAN_CERTIFICATE && change->op == CHANGE_DEL) {
		writer_remove(engine->writer, path.p);
	} else if (change->table == PLAN_CERTIFICATE && engine_pem(engine, change->key, &pem)) {
		engine_write_cert(engine, path, pem);
		for (size_t i = 0; i < texts_count(defaults); i++) {
			if (str_eq(texts_value(defaults, i), change->key))
				engine_write_cert(engine,
						  render_default_path(engine->state, arena,
								      texts_key(defaults, i)),
						  pem);
		}
	} else if (change->table == PLAN_DEFAULT_CERT && change->op == CHANGE_SET &&
		   engine_pem(engine, change->value, &pem)) {
		engine_write_cert(engine, render_default_path(engine->state, arena, change->key),
				  pem);
	}
}

static void lower_default(struct lowering *l, const struct change *change)
{
	struct str pem, path = render_default_path(l->engine->state, l->arena, change->key);
	if (change->op != CHANGE_SET || !engine_pem(l->engine, change->value, &pem))
		return;
	command_cert_set(l->engine->commands, path, pem);
}

static void lower_sni(struct lowering *l, const struct change *change)
{
	struct engine *engine = l->engine;
	struct str cert = change->key;
	struct str frontend = str_cut(&cert, ' ');
	struct str list = render_crt_list_path(engine->state, l->arena, frontend);
	struct str path = render_cert_path(engine->state, l->arena, cert);
	if (!state_frontend_served(engine->state, frontend))
		return;
	/* Other filters: a second line for the certificate. The check that comes next removes
	 * the first one, so that no name is ever without. */
	engine->crt_lists_changed |= change->op == CHANGE_SET;
	if (change->op != CHANGE_DEL) {
		if (!command_crt_list_add(engine->commands, list, path,
					  render_sni_filters(l->arena, change->value)))
			engine_want_reload(engine, "names too long for a command: certificate "
					   STR_FMT, STR_ARG(cert));
	} else {
		command_crt_list_del(engine->commands, list, path);
	}
}

int64_t engine_server_grace_ms(const struct engine *engine)
{
	return engine->state->caps.unsafe_del_server ? SERVER_GRACE_UNSAFE_MS : SERVER_GRACE_MS;
}

/* A server that leaves a backend takes no new requests from now on. One that goes together
 * with its backend takes those that found the backend just before the routes changed. */
static void retire_server(struct lowering *l, struct str backend, struct str key)
{
	struct engine *engine = l->engine;
	struct slot *slot = state_slot(engine->state, key);
	if (state_get(engine->state, PLAN_BACKEND, backend).p) {
		command_server_maint(engine->commands, engine->state, key);
		slot->due_ms = l->now_ms + engine_server_grace_ms(engine);
	} else {
		slot->leaving = true;
		slot->maint = false;
		slot->due_ms = l->now_ms + SERVER_GRACE_MS;
	}
}

/* A backend that comes back within the grace time of its servers: those that it has no more
 * were left to the requests of its last moment, and are not for those that come now. */
static void retire_strangers(struct lowering *l)
{
	const struct state *state = l->engine->state;
	struct map_entry *at = map_first(state->slots);
	for (; at; at = map_next(at)) {
		const struct slot *slot = map_value(at);
		struct str server = map_key(at), backend = str_cut(&server, '/');
		if (slot->leaving && !slot->maint && state_get(state, PLAN_BACKEND, backend).p &&
		    !state_get(state, PLAN_SERVER, map_key(at)).p)
			retire_server(l, backend, map_key(at));
	}
}

static void lower_backend(struct lowering *l, const struct change *change)
{
	struct engine *engine = l->engine;
	if (change->op == CHANGE_DEL) {
		map_put(engine->dead_backends, change->key, engine);
		return;
	}
	map_del(engine->dead_backends, change->key);
	if (!command_backend_add(engine->commands, engine->state, change->key)) {
		state_set_spares(engine->state, engine->state->spare_count * 2);
		engine_want_reload(engine, "no spare backend left");
	}
}

static void lower_server(struct lowering *l, const struct change *change)
{
	struct engine *engine = l->engine;
	struct str backend, server;
	server_key_split(change->key, &backend, &server);
	if (!state_find_place(engine->state, backend))
		return; /* waits for the reload that makes its backend */
	const struct slot *slot = state_find_slot(engine->state, change->key);
	if (change->op == CHANGE_ADD && slot &&
	    slot->h2c != state_backend_is_h2c(engine->state, backend)) {
		engine_want_reload(engine, "protocol of backend " STR_FMT, STR_ARG(backend));
	} else if (change->op == CHANGE_ADD) {
		command_server_add(engine->commands, engine->state, change->key, change->value);
	} else if (change->op == CHANGE_SET) {
		command_server_set(engine->commands, engine->state, change->key, change->value,
				   change->old);
	} else {
		retire_server(l, backend, change->key);
	}
}

static void lower(struct lowering *l, const struct change *change)
{
	switch (change->table) {
	case PLAN_CERTIFICATE:
		lower_certificate(l, change);
		break;
	case PLAN_DEFAULT_CERT:
		lower_default(l, change);
		break;
	case PLAN_SNI:
		lower_sni(l, change);
		break;
	case PLAN_BACKEND:
		lower_backend(l, change);
		break;
	case PLAN_SERVER:
		lower_server(l, change);
		break;
	default:
		lower_map(l, change);
	}
}

/* What the Runtime API cannot do without a moment in which something is missing. */
static bool needs_reload(const struct engine *engine, const struct change *change, char *text,
			 size_t text_bytes)
{
	if (render_needs_reload(engine->state, change, text, text_bytes))
		return true;
	if (change->op != CHANGE_SET || change->table != PLAN_BACKEND)
		return false;
	snprintf(text, text_bytes, "protocol of backend " STR_FMT, STR_ARG(change->key));
	return true;
}

/* The state takes the changes; what they need beside commands is wanted. */
static void note_changes(struct engine *engine, const struct changes *changes)
{
	char reason[sizeof(engine->reload_reason)];
	for (size_t i = 0; i < changes->count; i++) {
		if (needs_reload(engine, &changes->items[i], reason, sizeof(reason)))
			engine_want_reload(engine, "%s", reason);
		bool in_cfg = changes->items[i].table >= PLAN_CERTIFICATE &&
			      changes->items[i].table <= PLAN_SERVER;
		engine->cfg_dirty |= in_cfg;
		engine->maps_dirty |= !in_cfg;
	}
	for (size_t i = 0; i < changes->count; i++)
		state_change(engine->state, &changes->items[i]);
	engine->change_count += changes->count;
}

static void take_update(struct engine *engine, const struct changes *changes)
{
	struct lowering l = { .engine = engine, .arena = arena_new(), .groups = map_new(),
			      .now_ms = engine_now_ms() };
	note_changes(engine, changes);
	if (map_count(engine->dead_backends))
		retire_strangers(&l);
	for (size_t i = 0; i < changes->count; i++) {
		lower(&l, &changes->items[i]);
		write_certificate_files(engine, l.arena, &changes->items[i]);
	}
	map_free(l.groups, NULL);
	arena_free(l.arena);
}

/* While it is not known what HAProxy has: it is asked, and compared as a whole. */
static void take_held_update(struct engine *engine, const struct changes *changes)
{
	struct arena *arena = arena_new();
	note_changes(engine, changes);
	for (size_t i = 0; i < changes->count; i++)
		write_certificate_files(engine, arena, &changes->items[i]);
	arena_free(arena);
	engine->maps_dirty = engine->cfg_dirty = true;
	engine_want_repair(engine, "an update while HAProxy was not read");
}

static void on_applied(struct engine *engine)
{
	if (engine->failures > 0) {
		engine->unread = true;
		engine_event(engine, "apply", false, "%s", engine->last_failure.text);
		engine_want_repair(engine, "a command failed");
	} else {
		engine_event(engine, "apply", true, "%s", "");
		engine_report_applied(engine, NULL);
	}
	engine_done(engine);
}

static void take_queue(struct engine *engine,
		       void (*take)(struct engine *engine, const struct changes *changes))
{
	while (engine->queue) {
		struct update *update = engine->queue;
		engine->queue = update->next;
		take(engine, update->changes);
		engine->sequence_sent = update->sequence;
		changes_free(update->changes);
		free(update);
	}
	engine->queue_end = &engine->queue;
	plan_free(engine->plan);
	engine->plan = NULL;
}

static void absorb_update(struct engine *engine, const struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		state_change(engine->state, &changes->items[i]);
}

void engine_absorb(struct engine *engine)
{
	take_queue(engine, absorb_update);
}

void engine_apply(struct engine *engine)
{
	engine->operation = OP_APPLY;
	engine->change_count = 0;
	bool held = engine->unread || engine->hold_until_ms != 0;
	engine->hold_until_ms = 0;
	commands_free(engine->commands);
	engine->commands = commands_new();
	take_queue(engine, held ? take_held_update : take_update);
	if (engine_reload_due(engine)) { /* the reload carries all of it */
		engine_done(engine);
		return;
	}
	engine->stats.updates++;
	if (held) { /* the read-back that comes next does it */
		engine_done(engine);
		return;
	}
	engine_send(engine, on_applied);
}

/* ---- what has been out of use for its grace time ---- */

struct due_server {
	struct engine *engine;
	struct str key;
	char text[];
};

static void on_server_deleted(void *user, struct str reply, const struct error *failed)
{
	struct due_server *due = user;
	struct engine *engine = due->engine;
	struct slot *slot = state_find_slot(engine->state, due->key);
	struct error err;
	/* Still in use: later. An answer that it does not exist is as good as done. */
	bool gone = !failed && (reply_ok(reply, &err) ||
				memmem(reply.p, reply.n, "No such server", 14) != NULL);
	if (slot && slot->leaving && gone)
		state_drop_slot(engine->state, due->key);
	else if (slot && slot->leaving)
		slot->due_ms = engine_now_ms() + engine_server_grace_ms(engine);
	free(due);
}

static void delete_server(struct engine *engine, struct str key)
{
	struct commands *commands = commands_new();
	command_server_del(commands, engine->state, key);
	for (size_t i = 0; i < commands->count; i++) {
		struct due_server *due = xcalloc(1, sizeof(*due) + key.n + 1);
		due->engine = engine;
		memcpy(due->text, key.p, key.n);
		due->key = (struct str){ due->text, key.n };
		runtime_send(engine->aside, commands->batches[i], REPLY_BYTES,
			     on_server_deleted, due);
	}
	engine->stats.commands += commands->command_count;
	commands_free(commands);
}

static bool backend_has_slots(const struct engine *engine, struct str backend)
{
	struct map_entry *at = map_first(engine->state->slots);
	for (; at; at = map_next(at)) {
		struct str rest = map_key(at);
		if (str_eq(str_cut(&rest, '/'), backend))
			return true;
	}
	return false;
}

static void delete_records(struct engine *engine, int64_t now_ms)
{
	struct map_entry *at = map_first(engine->state->leaving), *next;
	for (; at; at = next) {
		next = map_next(at);
		if (*(int64_t *)map_value(at) > now_ms)
			continue;
		struct str key = map_key(at);
		struct str file = str_cut(&key, ' ');
		command_map_del(engine->commands, engine->state, file, key);
		state_stay(engine->state, file, key);
	}
}

static void delete_backends(struct engine *engine)
{
	struct map_entry *at = map_first(engine->dead_backends), *next;
	for (; at; at = next) {
		next = map_next(at);
		bool wanted = state_get(engine->state, PLAN_BACKEND, map_key(at)).p;
		if (!wanted && backend_has_slots(engine, map_key(at)))
			continue;
		if (!wanted) /* again */
			command_backend_del(engine->commands, engine->state, map_key(at));
		map_del(engine->dead_backends, map_key(at));
	}
}

static void on_due_deleted(struct engine *engine)
{
	if (engine->failures > 0)
		engine_event(engine, "delete", false, "%s", engine->last_failure.text);
	if (engine->failures > 0 && engine->last_failure.code != ERR_REFUSED) {
		engine->unread = true;
		engine_want_repair(engine, "a deletion was not answered");
	}
	engine_done(engine);
}

enum { MAX_DELETES_AT_ONCE = 20 };

bool engine_has_due(const struct engine *engine)
{
	int64_t now_ms = engine_now_ms();
	struct map_entry *at;
	for (at = map_first(engine->state->leaving); at; at = map_next(at)) {
		if (*(int64_t *)map_value(at) <= now_ms)
			return true;
	}
	for (at = map_first(engine->state->slots); at; at = map_next(at)) {
		const struct slot *slot = map_value(at);
		if (slot->leaving && slot->due_ms <= now_ms)
			return true;
	}
	return map_count(engine->dead_backends) > 0;
}

void engine_delete_due(struct engine *engine)
{
	int64_t now_ms = engine_now_ms();
	size_t count = 0;
	engine->operation = OP_DELETE;
	commands_free(engine->commands);
	engine->commands = commands_new();
	struct map_entry *at = map_first(engine->state->slots);
	for (; at && count < MAX_DELETES_AT_ONCE; at = map_next(at)) {
		struct slot *slot = map_value(at);
		if (!slot->leaving || slot->due_ms > now_ms)
			continue;
		count++;
		if (slot->maint) {
			slot->due_ms = INT64_MAX; /* until the answer */
			delete_server(engine, map_key(at));
		} else {
			command_server_maint(engine->commands, engine->state, map_key(at));
			slot->due_ms = now_ms + engine_server_grace_ms(engine);
		}
	}
	delete_records(engine, now_ms);
	delete_backends(engine);
	engine_send(engine, on_due_deleted);
}
