/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/readback.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>

#include "haproxy/render.h"

static void found(struct readback *rb, const char *fmt, ...) printf_like(2, 3);

static void found(struct readback *rb, const char *fmt, ...)
{
	rb->found++;
	if (!rb->differences)
		return;
	char text[600];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	sb_adds(rb->differences, text);
	sb_addc(rb->differences, '\n');
}

static struct commands *removals(struct readback *rb)
{
	return rb->removals ? rb->removals : rb->commands;
}

static struct commands *lends(struct readback *rb)
{
	return rb->lends ? rb->lends : rb->commands;
}

/* ---- backends ---- */

static void learn_spare(struct readback *rb, const struct image_entry *entry)
{
	struct str digits = str_sub(entry->value, strlen("spare-"), entry->value.n);
	uint64_t spare;
	if (!str_starts(entry->value, STR("spare-")) ||
	    !str_u64(digits, rb->state->spare_count - 1u, &spare) || rb->state->spare_count == 0)
		return;
	const struct place *place = state_find_place(rb->state, entry->key);
	if (!place || place->kind != PLACE_SPARE || place->spare != spare) {
		state_drop_place(rb->state, entry->key);
		state_set_place(rb->state, entry->key, PLACE_SPARE, (unsigned)spare);
	}
}

/* Forgets places that HAProxy does not have (any more), learns those it has. */
static void learn_place(struct readback *rb, struct str backend, bool listed)
{
	const struct place *place = state_find_place(rb->state, backend);
	if (place && place->kind != PLACE_SPARE && !listed) {
		found(rb, "backend " STR_FMT ": not in HAProxy", STR_ARG(backend));
		state_drop_place(rb->state, backend);
	} else if (!place && listed) {
		bool dynamic = rb->state->caps.add_backend;
		state_set_place(rb->state, backend, dynamic ? PLACE_DYNAMIC : PLACE_STATIC, 0);
		/* It may have come back while its deletion was refused. */
		if (dynamic && rb->commands)
			command_backend_publish(rb->commands, backend);
	}
}

/* A spare taken by a command that never arrived, for one that answers without it or although it
 * is another's: whoever listed the backends then was another HAProxy. */
static void give_back_spares(struct readback *rb, struct arena *arena, const bool *listed,
			     struct image_entry *entries, size_t entry_count)
{
	const struct texts *wanted = rb->state->tables[PLAN_BACKEND];
	struct map *lent = map_new();
	for (size_t i = 0; i < entry_count; i++)
		map_put(lent, entries[i].value, &entries[i]);
	for (size_t i = 0; i < texts_count(wanted); i++) {
		struct str backend = texts_key(wanted, i);
		const struct place *place = state_find_place(rb->state, backend);
		if (!place || place->kind != PLACE_SPARE)
			continue;
		const struct image_entry *entry =
			map_get(lent, state_live_name(rb->state, arena, backend));
		if (entry ? !str_eq(entry->key, backend) : listed[i])
			state_drop_place(rb->state, backend);
	}
	map_free(lent, NULL);
}

static const struct str spare_map = STR_INIT("spare.map");

/* A spare that was taken by a command which never arrived. */
static void repair_spare(struct readback *rb, struct str key, struct str value)
{
	found(rb, "map " STR_FMT " " STR_FMT ": HAProxy has nothing, plan has " STR_FMT,
	      STR_ARG(spare_map), STR_ARG(key), STR_ARG(value));
	if (rb->commands)
		command_map_add(lends(rb), rb->state, spare_map, key, value);
}

/* Whether spare.map says that any spare is used, as it is. */
static void compare_spare_any(struct readback *rb, bool says)
{
	bool used = state_spares_used(rb->state) > 0;
	if (used && !says)
		repair_spare(rb, STR(SPARE_ANY), STR("yes"));
	if (used || !says)
		return;
	found(rb, "map " STR_FMT " " SPARE_ANY ": HAProxy has it, plan has nothing",
	      STR_ARG(spare_map));
	if (rb->commands)
		command_map_del(rb->commands, rb->state, spare_map, STR(SPARE_ANY));
}

static void repair_place(struct readback *rb, struct str backend)
{
	if (state_find_place(rb->state, backend) || !rb->commands)
		return;
	if (!command_backend_add(rb->state->caps.add_backend ? rb->commands : lends(rb), rb->state,
				 backend))
		rb->need_reload = true;
}

/* Backends of a controller that ended before it could delete them. Our own names have a dot,
 * those of haproxy/base.cfg have none. */
static void find_strays(struct readback *rb, struct str *names, size_t count)
{
	for (size_t i = 0; rb->state->caps.add_backend && i < count; i++) {
		if (str_chr(names[i], '.', 0) < names[i].n &&
		    !state_get(rb->state, PLAN_BACKEND, names[i]).p &&
		    !state_find_place(rb->state, names[i]))
			state_set_place(rb->state, names[i], PLACE_DYNAMIC, 0);
	}
	for (struct map_entry *at = map_first(rb->state->places); at; at = map_next(at)) {
		if (!state_get(rb->state, PLAN_BACKEND, map_key(at)).p)
			map_put(rb->strays, map_key(at), rb->strays);
	}
}

bool readback_backends(struct readback *rb, struct str backends, struct str spares,
		       struct error *err)
{
	struct arena *arena = arena_new();
	const struct texts *wanted = rb->state->tables[PLAN_BACKEND];
	bool *listed = arena_array(arena, texts_count(wanted) + 1, sizeof(*listed));
	struct str *lines;
	size_t count = reply_lines(arena, backends, &lines);
	for (size_t i = 0, at = 0; i < count; i++) {
		at = texts_at(wanted, lines[i], at);
		listed[at++] = true;
	}
	struct image_entry *entries = NULL;
	size_t entry_count = 0;
	bool ok = reply_whole(backends, err) &&
		  (rb->state->caps.add_backend ||
		   reply_map(arena, spares, &entries, &entry_count, err));
	if (ok && count == 0)
		ok = error_set(err, ERR_PROTO, "'show backend' lists nothing");
	struct map *lent = map_new();
	for (size_t i = 0; ok && i < entry_count; i++) {
		learn_spare(rb, &entries[i]);
		map_put(lent, entries[i].key, lent);
	}
	if (ok) {
		give_back_spares(rb, arena, listed, entries, entry_count);
		compare_spare_any(rb, map_get(lent, STR(SPARE_ANY)));
	}
	for (size_t i = 0; ok && i < texts_count(wanted); i++) {
		struct str backend = texts_key(wanted, i);
		const struct place *place = state_find_place(rb->state, backend);
		if (place && place->kind != PLACE_SPARE && listed[i])
			continue;
		learn_place(rb, backend, listed[i]);
		place = state_find_place(rb->state, backend);
		if (place && place->kind == PLACE_SPARE && !map_get(lent, backend))
			repair_spare(rb, backend, state_live_name(rb->state, arena, backend));
		repair_place(rb, backend);
	}
	map_free(lent, NULL);
	if (ok && rb->strays)
		find_strays(rb, lines, count);
	arena_free(arena);
	return ok;
}

/* ---- servers ---- */

static unsigned wanted_admin(const struct state *state, struct str key)
{
	struct str override = state_map_str(state->overrides, key);
	return str_is(override, "maint") ? ADMIN_MAINT : str_is(override, "drain") ? ADMIN_DRAIN : 0;
}

static void compare_server(struct readback *rb, struct str key, const struct server_value *want,
			   const struct live_server *live)
{
	bool address = !str_eq(want->address, live->address) || want->port != live->port;
	if (address) {
		found(rb, "server " STR_FMT ": HAProxy has " STR_FMT ":%u, plan has " STR_FMT,
		      STR_ARG(key), STR_ARG(live->address), live->port, STR_ARG(want->endpoint));
	}
	if (want->weight != live->weight)
		found(rb, "server " STR_FMT ": HAProxy has weight %u, plan has %u", STR_ARG(key),
		      live->weight, (unsigned)want->weight);
	unsigned admin = wanted_admin(rb->state, key);
	bool wrong_state = (live->admin & (ADMIN_MAINT | ADMIN_DRAIN)) != admin;
	if (wrong_state)
		found(rb, "server " STR_FMT ": HAProxy has admin state %u, plan has %u",
		      STR_ARG(key), live->admin, admin);
	if (!rb->commands || !(address || wrong_state || want->weight != live->weight))
		return;
	/* Before its weight: a drained one never takes requests in between. */
	if (wrong_state && admin == ADMIN_DRAIN) {
		command_server_state(rb->commands, rb->state, key, "ready");
		command_server_state(rb->commands, rb->state, key, "drain");
	}
	char old[400];
	snprintf(old, sizeof(old), STR_FMT ":%u %u", STR_ARG(address ? STR("?") : want->address),
		 (unsigned)want->port, live->weight);
	struct str value = state_get(rb->state, PLAN_SERVER, key);
	if (address)
		command_server_set(rb->commands, rb->state, key, value, STR_NONE);
	else if (want->weight != live->weight)
		command_server_set(rb->commands, rb->state, key, value, str_of(old));
	if (wrong_state && admin != ADMIN_DRAIN)
		command_server_state(rb->commands, rb->state, key,
				     admin == ADMIN_MAINT ? "maint" : "ready");
}

/* A server the plan does not have: to maint, and deleted later. One whose backend is not in
 * the plan either still answers those who found the backend just before the routes changed. */
static void extra_server(struct readback *rb, struct str key, const struct live_server *live)
{
	struct slot *slot = state_find_slot(rb->state, key);
	if (slot)
		slot->listed = true;
	if (slot && slot->leaving && (!slot->maint || (live->admin & ADMIN_MAINT)))
		return;
	found(rb, "server " STR_FMT ": not in the plan", STR_ARG(key));
	if (!rb->commands)
		return;
	slot = state_slot(rb->state, key);
	slot->id = live->id;
	slot->due_ms = rb->server_due_ms;
	slot->leaving = slot->listed = true;
	slot->maint = (live->admin & ADMIN_MAINT) != 0;
	struct str backend, server;
	server_key_split(key, &backend, &server);
	if (!slot->maint && state_get(rb->state, PLAN_BACKEND, backend).p)
		command_server_maint(removals(rb), rb->state, key);
}

static void missing_server(struct readback *rb, struct str key, struct str value)
{
	found(rb, "server " STR_FMT ": not in HAProxy", STR_ARG(key));
	if (!rb->commands || !state_find_place(rb->state, str_sub(key, 0, str_chr(key, '/', 0))))
		return;
	state_drop_slot(rb->state, key); /* an id is never used twice */
	command_server_add(rb->commands, rb->state, key, value);
}

static bool is_ours(const struct state *state, struct str backend)
{
	return state_find_place(state, backend) || state_get(state, PLAN_BACKEND, backend).p;
}

/* The servers of one backend follow each other, and so do wanted ones of the same order. */
struct walk {
	struct readback *rb;
	struct arena *arena;
	struct str name;    /* HAProxy's, of the last backend */
	struct str backend; /* the plan's; p NULL: not ours */
	size_t next;        /* in the table of servers */
	struct map_entry *slot; /* what may be that of the next one */
	bool *seen;         /* of each in it */
};

static void enter_backend(struct walk *walk, struct str name)
{
	const struct state *state = walk->rb->state;
	if (walk->name.p && str_eq(walk->name, name))
		return;
	walk->name = name;
	walk->backend = state_backend_of(state, name);
	/* A backend moved to its own name leaves servers under the spare's: not seen here. */
	if (walk->backend.p &&
	    (!is_ours(state, walk->backend) ||
	     !str_eq(state_live_name(state, walk->arena, walk->backend), name)))
		walk->backend = STR_NONE;
}

static void compare_live_server(struct walk *walk, const struct live_server *live)
{
	struct readback *rb = walk->rb;
	const struct texts *servers = rb->state->tables[PLAN_SERVER];
	struct str name, server;
	server_key_split(live->key, &name, &server);
	if (live->id >= rb->state->next_id)
		rb->state->next_id = live->id + 1;
	enter_backend(walk, name);
	if (!walk->backend.p)
		return;
	struct str key = live->key;
	if (!str_eq(walk->backend, name))
		key = arena_join(walk->arena, walk->backend, '/', server);
	size_t at = texts_at(servers, key, walk->next);
	struct server_value want;
	if (at == texts_count(servers) || !server_parse(texts_value(servers, at), &want)) {
		extra_server(rb, key, live);
		return;
	}
	walk->seen[at] = true;
	walk->next = at + 1;
	struct slot *slot = state_next_slot(rb->state, key, &walk->slot);
	if (!slot)
		slot = state_slot(rb->state, key);
	slot->id = live->id;
	slot->leaving = slot->maint = false;
	slot->listed = true;
	compare_server(rb, key, &want, live);
}

/* What waited for its deletion, and is not there: nothing to delete, nothing to bring back. */
static void forget_gone_servers(struct readback *rb)
{
	struct map_entry *at = map_first(rb->state->slots), *next;
	for (; at; at = next) {
		next = map_next(at);
		const struct slot *slot = map_value(at);
		if (slot->leaving && !slot->listed)
			state_drop_slot(rb->state, map_key(at));
	}
}

bool readback_servers(struct readback *rb, struct str reply, struct error *err)
{
	struct arena *arena = arena_new();
	struct live_server *servers = NULL;
	size_t count = 0;
	bool ok = reply_servers(arena, reply, &servers, &count, err);
	const struct texts *wanted = rb->state->tables[PLAN_SERVER];
	struct walk walk = { .rb = rb, .arena = arena };
	walk.seen = arena_array(arena, texts_count(wanted), sizeof(*walk.seen));
	for (struct map_entry *at = map_first(rb->state->slots); at; at = map_next(at))
		((struct slot *)map_value(at))->listed = false;
	for (size_t i = 0; ok && i < count; i++)
		compare_live_server(&walk, &servers[i]);
	if (ok && rb->commands)
		forget_gone_servers(rb);
	for (size_t i = 0; ok && i < texts_count(wanted); i++) {
		struct server_value want;
		struct str value = texts_value(wanted, i);
		if (!walk.seen[i] && server_parse(value, &want))
			missing_server(rb, texts_key(wanted, i), value);
	}
	arena_free(arena);
	return ok;
}

/* ---- maps ---- */

static void map_missing(struct readback *rb, struct str file, const struct image_entry *want)
{
	found(rb, "map " STR_FMT " " STR_FMT ": HAProxy has nothing, plan has " STR_FMT,
	      STR_ARG(file), STR_ARG(want->key), STR_ARG(want->value));
}

static void map_extra(struct readback *rb, struct str file, const struct image_entry *live)
{
	if (state_is_leaving(rb->state, file, live->key))
		return;
	found(rb, "map " STR_FMT " " STR_FMT ": HAProxy has " STR_FMT ", plan has nothing",
	      STR_ARG(file), STR_ARG(live->key), STR_ARG(live->value));
	if (!rb->commands)
		return;
	if (image_rank(file) < 2)
		state_leave(rb->state, file, live->key, rb->record_due_ms);
	else
		command_map_del(removals(rb), rb->state, file, live->key);
}

/* live[0, copies) have one key: the wanted one. False: to be repaired. */
static bool map_both(struct readback *rb, struct str file, const struct image_entry *want,
		     const struct image_entry *live, size_t copies)
{
	bool same = copies == 1 && str_eq(live->value, want->value);
	if (same)
		return true;
	found(rb, "map " STR_FMT " " STR_FMT ": HAProxy has " STR_FMT "%s, plan has " STR_FMT,
	      STR_ARG(file), STR_ARG(want->key), STR_ARG(live->value),
	      copies > 1 ? " and more" : "", STR_ARG(want->value));
	return false;
}

/* An entry of which HAProxy has so many, all or one of them wrong. */
struct mending {
	const struct image_entry *want;
	size_t copies;
};

static void mend(struct readback *rb, struct str file, const struct mending *mending)
{
	struct str key = mending->want->key, value = mending->want->value;
	if (mending->copies == 1) {
		command_map_set(rb->commands, rb->state, file, key, value);
		return;
	}
	if (mending->copies > 1)
		command_map_del(rb->commands, rb->state, file, key);
	command_map_add(rb->commands, rb->state, file, key, value);
}

/* What waited for its deletion, and is not there: it would be missed when it comes back. */
static void forget_gone_entries(struct readback *rb, struct str file,
				const struct image_entry *live, size_t count)
{
	struct map_entry *at = map_first(rb->state->leaving), *next;
	for (; at; at = next) {
		next = map_next(at);
		struct image_entry gone = { .key = map_key(at) };
		if (str_eq(str_cut(&gone.key, ' '), file) &&
		    (count == 0 || !bsearch(&gone, live, count, sizeof(*live), image_entry_cmp)))
			state_stay(rb->state, file, gone.key);
	}
}

bool readback_map(struct readback *rb, const struct image_map *want, struct str reply,
		  struct error *err)
{
	struct arena *arena = arena_new();
	struct image_entry *live = NULL;
	size_t live_count = 0;
	bool ok = reply_map(arena, reply, &live, &live_count, err);
	struct mending *mendings = arena_array(arena, want->count + 1, sizeof(*mendings));
	size_t w = 0, l = 0, mending_count = 0;
	while (ok && (w < want->count || l < live_count)) {
		int order = w == want->count  ? 1 :
			    l == live_count ? -1 :
						str_cmp(want->entries[w].key, live[l].key);
		if (order < 0) {
			mendings[mending_count++] = (struct mending){ &want->entries[w], 0 };
			map_missing(rb, want->file, &want->entries[w++]);
		} else if (order > 0) {
			map_extra(rb, want->file, &live[l++]);
		} else {
			size_t copies = 1;
			while (l + copies < live_count &&
			       str_eq(live[l + copies].key, live[l].key))
				copies++;
			if (!map_both(rb, want->file, &want->entries[w], &live[l], copies))
				mendings[mending_count++] =
					(struct mending){ &want->entries[w], copies };
			w++;
			l += copies;
		}
	}
	/* The longer key first, as in plan_diff(): what a shorter one would take instead of it,
	 * or point at. */
	while (rb->commands && mending_count > 0)
		mend(rb, want->file, &mendings[--mending_count]);
	if (ok && rb->commands)
		forget_gone_entries(rb, want->file, live, live_count);
	arena_free(arena);
	return ok;
}

static size_t leaving_count(const struct state *state, struct str file)
{
	size_t count = 0;
	struct map_entry *at = map_first(state->leaving);
	for (; at; at = map_next(at)) {
		struct str rest = map_key(at);
		count += str_eq(str_cut(&rest, ' '), file);
	}
	return count;
}

void readback_counts(struct readback *rb, const struct image *image, struct str reply,
		     void (*suspect)(void *user, struct str file), void *user)
{
	struct arena *arena = arena_new();
	struct map *counts = reply_map_counts(reply);
	for (size_t i = 0; i < image->count; i++) {
		const struct image_map *want = &image->maps[i];
		struct str path = render_map_path(rb->state, arena, want->file);
		uintptr_t live = (uintptr_t)map_get(counts, path);
		/* A map that no line of the configuration uses is not there: fine. */
		if (live != 0 &&
		    live - 1 != want->count + leaving_count(rb->state, want->file))
			suspect(user, want->file);
	}
	map_free(counts, NULL);
	arena_free(arena);
}

/* ---- certificates ---- */

bool readback_pem_fingerprint(struct str pem, char ret_hex[41])
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool ok = cert && X509_digest(cert, EVP_sha1(), digest, &n) == 1 && n == 20;
	for (unsigned i = 0; ok && i < n; i++)
		snprintf(ret_hex + 2 * i, 3, "%02X", digest[i]);
	X509_free(cert);
	BIO_free(bio);
	return ok;
}

void readback_cert(struct readback *rb, struct str path, struct str pem, bool present,
		   struct str fingerprint)
{
	char want[41];
	if (!readback_pem_fingerprint(pem, want))
		return;
	if (!present) {
		found(rb, "certificate " STR_FMT ": not in HAProxy", STR_ARG(path));
		if (rb->commands)
			command_cert_new(rb->commands, path, pem);
	} else if (!str_is(fingerprint, want)) {
		found(rb, "certificate " STR_FMT ": HAProxy has " STR_FMT ", plan has %s",
		      STR_ARG(path), STR_ARG(fingerprint), want);
		if (rb->commands)
			command_cert_set(rb->commands, path, pem);
	}
}

void readback_transaction(struct readback *rb, struct str path)
{
	found(rb, "certificate " STR_FMT ": HAProxy has an open transaction", STR_ARG(path));
	if (rb->commands)
		command_cert_abort(rb->commands, path);
}

static struct str first_word(struct str line)
{
	return str_cut(&line, ' ');
}

/* "PATH:LINE FILTERS" as it stands in the file: "PATH FILTERS". */
static struct str without_line_number(struct arena *arena, struct str line)
{
	struct str name = first_word(line);
	struct str rest = str_sub(line, name.n, line.n);
	while (name.n && name.p[name.n - 1] != ':')
		name.n--;
	return name.n ? arena_strf(arena, STR_FMT STR_FMT, STR_ARG(str_sub(name, 0, name.n - 1)),
				   STR_ARG(rest)) :
			line;
}

void readback_crt_list(struct readback *rb, struct str frontend, struct str reply)
{
	struct arena *arena = arena_new();
	struct str list = render_crt_list_path(rb->state, arena, frontend), *live, *want;
	struct sb sb;
	sb_init(&sb, 1 << 26);
	render_crt_list(rb->state, frontend, &sb);
	size_t live_count = reply_lines(arena, reply, &live);
	size_t want_count = reply_lines(arena, sb_str(&sb), &want);
	sb_fini(&sb);
	struct map *lines = map_new(); /* what stands in HAProxy -> its place there */
	struct map *paths = map_new(); /* of the certificates that are to be there */
	for (size_t i = 0; i < live_count; i++)
		map_put(lines, without_line_number(arena, live[i]), &live[i]);
	/* Adds before deletions: a name is never without a certificate. */
	for (size_t i = 0; i < want_count; i++) {
		map_put(paths, first_word(want[i]), paths);
		if (map_del(lines, want[i]))
			continue;
		found(rb, "crt-list " STR_FMT ": HAProxy lacks " STR_FMT, STR_ARG(frontend),
		      STR_ARG(want[i]));
		struct str path = first_word(want[i]);
		if (rb->commands &&
		    !command_crt_list_add(rb->commands, list, path,
					  str_sub(want[i], path.n, want[i].n)))
			rb->need_reload = true;
	}
	for (struct map_entry *at = map_first(lines); at; at = map_next(at)) {
		/* Other filters of the same certificate are what a change of them leaves. */
		if (!map_get(paths, first_word(map_key(at))))
			found(rb, "crt-list " STR_FMT ": not in the plan: " STR_FMT,
			      STR_ARG(frontend), STR_ARG(map_key(at)));
		const struct str *place = map_value(at);
		if (rb->commands)
			command_crt_list_del(removals(rb), list, first_word(*place));
	}
	map_free(paths, NULL);
	map_free(lines, NULL);
	arena_free(arena);
}
