/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/command.h"

#include "haproxy/render.h"
#include "model/limits.h"

struct commands *commands_new(void)
{
	struct commands *commands = xcalloc(1, sizeof(*commands));
	commands->arena = arena_new();
	sb_init(&commands->chain, MAX_COMMAND_BYTES);
	return commands;
}

void commands_free(struct commands *commands)
{
	if (!commands)
		return;
	sb_fini(&commands->chain);
	free(commands->batches);
	arena_free(commands->arena);
	free(commands);
}

static void add_batch(struct commands *commands, struct str text)
{
	commands->batches = grow(commands->batches, commands->count, &commands->capacity,
				 sizeof(*commands->batches));
	commands->batches[commands->count++] = arena_str(commands->arena, text);
}

void commands_flush(struct commands *commands)
{
	if (commands->chain.len == 0)
		return;
	sb_addc(&commands->chain, '\n');
	add_batch(commands, sb_str(&commands->chain));
	sb_reset(&commands->chain);
}

void commands_append(struct commands *commands, struct commands *more)
{
	commands_flush(commands);
	commands_flush(more);
	for (size_t i = 0; i < more->count; i++)
		add_batch(commands, more->batches[i]);
	commands->command_count += more->command_count;
	commands_free(more);
}

void command_quote(struct sb *out, struct str word)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];
		if (c == ' ' || c == '\\' || c == '"' || c == ';' || c == '\t' || c == '<')
			sb_addc(out, '\\');
		/* A line end would start another command: nothing valid holds one. */
		sb_addc(out, c == '\n' || c == '\r' || c == '\0' ? '?' : c);
	}
}

void command_chain(struct commands *commands, struct str command)
{
	/* Of a name that HAProxy reported: nothing of ours is that long. */
	if (command.n >= MAX_COMMAND_BYTES)
		return;
	if (commands->chain.len + command.n + 2 > MAX_COMMAND_BYTES - 1)
		commands_flush(commands);
	if (commands->chain.len > 0)
		sb_addc(&commands->chain, ';');
	sb_add(&commands->chain, command);
	commands->command_count++;
}

void command_payload(struct commands *commands, struct str head, struct str payload)
{
	commands_flush(commands);
	struct sb sb;
	sb_init(&sb, head.n + payload.n + 16);
	sb_add(&sb, head);
	sb_adds(&sb, " <<\n");
	sb_add(&sb, payload);
	if (!str_ends(payload, STR("\n")))
		sb_addc(&sb, '\n');
	sb_addc(&sb, '\n');
	add_batch(commands, sb_str(&sb));
	commands->command_count++;
	sb_fini(&sb);
}

/* "a b c" with b and c quoted. */
static struct str words(struct commands *commands, const char *verb, struct str a, struct str b,
			struct str c)
{
	struct sb sb;
	sb_init(&sb, 8 * MAX_COMMAND_BYTES);
	sb_adds(&sb, verb);
	const struct str all[] = { a, b, c };
	for (size_t i = 0; i < 3; i++) {
		if (str_empty(all[i]))
			continue;
		sb_addc(&sb, ' ');
		command_quote(&sb, all[i]);
	}
	struct str text = arena_str(commands->arena, sb_str(&sb));
	sb_fini(&sb);
	return text;
}

/* ---- maps ---- */

void command_map_add(struct commands *commands, const struct state *state, struct str file,
		     struct str key, struct str value)
{
	struct str path = render_map_path(state, commands->arena, file);
	struct str command = words(commands, "add map", path, key, value);
	if (command.n <= MAX_COMMAND_BYTES / 2) {
		command_chain(commands, command);
		return;
	}
	/* In a payload nothing is escaped, so the longest entry fits. */
	command_payload(commands, words(commands, "add map", path, STR_NONE, STR_NONE),
			arena_strf(commands->arena, STR_FMT " " STR_FMT "\n", STR_ARG(key),
				   STR_ARG(value)));
}

void command_map_set(struct commands *commands, const struct state *state, struct str file,
		     struct str key, struct str value)
{
	struct str path = render_map_path(state, commands->arena, file);
	struct str command = words(commands, "set map", path, key, value);
	if (command.n <= MAX_COMMAND_BYTES - 2) {
		command_chain(commands, command);
		return;
	}
	command_map_del(commands, state, file, key);
	command_map_add(commands, state, file, key, value);
}

void command_map_del(struct commands *commands, const struct state *state, struct str file,
		     struct str key)
{
	struct str path = render_map_path(state, commands->arena, file);
	command_chain(commands, words(commands, "del map", path, key, STR_NONE));
}

/* ---- backends ---- */

void command_backend_publish(struct commands *commands, struct str backend)
{
	command_chain(commands, words(commands, "publish backend", backend, STR_NONE, STR_NONE));
}

bool command_backend_add(struct commands *commands, struct state *state, struct str backend)
{
	if (state_find_place(state, backend))
		return true;
	if (state->caps.add_backend) {
		struct str name = words(commands, "add backend", backend, STR_NONE, STR_NONE);
		command_chain(commands,
			      arena_strf(commands->arena, "%s from tidegate", name.p));
		command_backend_publish(commands, backend);
		state_set_place(state, backend, PLACE_DYNAMIC, 0);
		return true;
	}
	unsigned spare;
	if (!state_take_spare(state, &spare))
		return false;
	if (state_spares_used(state) == 1)
		command_map_add(commands, state, STR("spare.map"), STR(SPARE_ANY), STR("yes"));
	state_set_place(state, backend, PLACE_SPARE, spare);
	command_map_add(commands, state, STR("spare.map"), backend,
			state_live_name(state, commands->arena, backend));
	return true;
}

void command_backend_del(struct commands *commands, struct state *state, struct str backend)
{
	const struct place *place = state_find_place(state, backend);
	if (!place || place->kind == PLACE_STATIC)
		return;
	const bool was_spare = place->kind == PLACE_SPARE;
	if (was_spare) {
		command_map_del(commands, state, STR("spare.map"), backend);
	} else {
		commands_flush(commands);
		command_chain(commands, words(commands, "unpublish backend", backend, STR_NONE,
					      STR_NONE));
		command_chain(commands, words(commands, "wait 100ms be-removable", backend, STR_NONE,
					      STR_NONE));
		command_chain(commands,
			      words(commands, "del backend", backend, STR_NONE, STR_NONE));
		commands_flush(commands);
	}
	state_drop_place(state, backend);
	if (was_spare && state_spares_used(state) == 0)
		command_map_del(commands, state, STR("spare.map"), STR(SPARE_ANY));
}

/* ---- servers ---- */

/* BACKEND/SERVER as HAProxy names it. */
static struct str live_key(struct commands *commands, const struct state *state, struct str key)
{
	struct str backend, server;
	server_key_split(key, &backend, &server);
	struct str name = state_live_name(state, commands->arena, backend);
	return words(commands, "", STR_NONE, STR_NONE,
		     arena_strf(commands->arena, STR_FMT "/" STR_FMT, STR_ARG(name),
				STR_ARG(server)));
}

void command_server_state(struct commands *commands, const struct state *state, struct str key,
			  const char *admin)
{
	struct str name = live_key(commands, state, key);
	command_chain(commands,
		      arena_strf(commands->arena, "set server" STR_FMT " state %s",
				 STR_ARG(name), admin));
}

static void set_address(struct commands *commands, const struct state *state, struct str key,
			const struct server_value *server)
{
	struct str name = live_key(commands, state, key);
	command_chain(commands,
		      arena_strf(commands->arena, "set server" STR_FMT " addr " STR_FMT " port %u",
				 STR_ARG(name), STR_ARG(server->address),
				 (unsigned)server->port));
}

static void set_weight(struct commands *commands, const struct state *state, struct str key,
		       uint64_t weight)
{
	struct str name = live_key(commands, state, key);
	command_chain(commands, arena_strf(commands->arena, "set server" STR_FMT " weight %u",
					   STR_ARG(name), (unsigned)weight));
}

static const char *wanted_state(const struct state *state, struct str key)
{
	struct str override = state_map_str(state->overrides, key);
	return str_is(override, "maint") ? "maint" : str_is(override, "drain") ? "drain" : "ready";
}

static void server_return(struct commands *commands, struct state *state, struct str key,
			  const struct server_value *server)
{
	set_address(commands, state, key, server);
	set_weight(commands, state, key, server->weight);
	command_server_state(commands, state, key, wanted_state(state, key));
}

void command_server_add(struct commands *commands, struct state *state, struct str key,
			struct str value)
{
	struct server_value server;
	if (!server_parse(value, &server))
		return;
	struct slot *slot = state_find_slot(state, key);
	if (slot) {
		slot->leaving = slot->maint = false;
		server_return(commands, state, key, &server);
		return;
	}
	slot = state_slot(state, key);
	struct str backend, name;
	server_key_split(key, &backend, &name);
	struct str live = live_key(commands, state, key);
	/* 2.6 keeps no idle connection of a dynamic server without both pool settings. */
	command_chain(commands,
		      arena_strf(commands->arena,
				 "add server" STR_FMT " " STR_FMT " weight %u id %u%s%s",
				 STR_ARG(live), STR_ARG(server.endpoint), (unsigned)server.weight,
				 slot->id,
				 state->caps.server_quirks ?
					 " pool-max-conn -1 pool-purge-delay 5s" :
					 "",
				 state_backend_is_h2c(state, backend) ? " proto h2" : ""));
	command_server_state(commands, state, key, wanted_state(state, key));
}

void command_server_set(struct commands *commands, struct state *state, struct str key,
			struct str value, struct str old)
{
	struct server_value now, before = { 0 };
	if (!server_parse(value, &now))
		return;
	bool known = server_parse(old, &before);
	if (!known || !str_eq(now.endpoint, before.endpoint)) {
		/* Readers may see half of a new address: not while it takes requests. */
		command_server_state(commands, state, key, "maint");
		set_address(commands, state, key, &now);
		command_server_state(commands, state, key, wanted_state(state, key));
	}
	if (!known || now.weight != before.weight)
		set_weight(commands, state, key, now.weight);
}

void command_server_maint(struct commands *commands, struct state *state, struct str key)
{
	command_server_state(commands, state, key, "maint");
	struct slot *slot = state_find_slot(state, key);
	if (slot)
		slot->leaving = slot->maint = true;
}

void command_server_del(struct commands *commands, const struct state *state, struct str key)
{
	struct str name = live_key(commands, state, key);
	commands_flush(commands);
	if (state->caps.wait_removable)
		command_chain(commands, arena_strf(commands->arena,
						   "wait 20ms srv-removable" STR_FMT,
						   STR_ARG(name)));
	command_chain(commands,
		      arena_strf(commands->arena, "del server" STR_FMT, STR_ARG(name)));
	commands_flush(commands);
}

/* ---- certificates ---- */

/* An empty line would end the payload. */
static struct str without_empty_lines(struct arena *arena, struct str pem)
{
	struct sb sb;
	sb_init(&sb, pem.n + 2);
	while (pem.n > 0) {
		struct str line = str_trim(str_cut(&pem, '\n'));
		if (str_empty(line))
			continue;
		sb_add(&sb, line);
		sb_addc(&sb, '\n');
	}
	struct str text = arena_str(arena, sb_str(&sb));
	sb_fini(&sb);
	return text;
}

bool command_cert_fits(struct str path, struct str pem)
{
	return path.n + pem.n + 64 <= MAX_COMMAND_BYTES;
}

void command_cert_set(struct commands *commands, struct str path, struct str pem)
{
	command_payload(commands, words(commands, "set ssl cert", path, STR_NONE, STR_NONE),
			without_empty_lines(commands->arena, pem));
	command_chain(commands, words(commands, "commit ssl cert", path, STR_NONE, STR_NONE));
	commands_flush(commands);
}

void command_cert_new(struct commands *commands, struct str path, struct str pem)
{
	command_chain(commands, words(commands, "new ssl cert", path, STR_NONE, STR_NONE));
	command_cert_set(commands, path, pem);
}

void command_cert_del(struct commands *commands, struct str path)
{
	command_chain(commands, words(commands, "del ssl cert", path, STR_NONE, STR_NONE));
}

void command_cert_abort(struct commands *commands, struct str path)
{
	command_chain(commands, words(commands, "abort ssl cert", path, STR_NONE, STR_NONE));
}

bool command_crt_list_add(struct commands *commands, struct str list, struct str path,
			  struct str filters)
{
	struct str head = words(commands, "add ssl crt-list", list, STR_NONE, STR_NONE);
	/* 64 listeners with long hostnames on one certificate do not fit. */
	if (head.n + path.n + filters.n + 16 > MAX_COMMAND_BYTES)
		return false;
	command_payload(commands, head,
			arena_strf(commands->arena, STR_FMT STR_FMT "\n", STR_ARG(path),
				   STR_ARG(filters)));
	return true;
}

void command_crt_list_del(struct commands *commands, struct str list, struct str path)
{
	command_chain(commands, words(commands, "del ssl crt-list", list, path, STR_NONE));
}
