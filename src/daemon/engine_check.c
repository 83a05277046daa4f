/* SPDX-License-Identifier: Apache-2.0 */
/* Read-back: what HAProxy is, compared with what it must be.
 *
 * A check is a list of listings, asked one after another; each answer is compared and the
 * repairs collected; in the end the repairs are sent. A cheap check asks for what changes a
 * count or a state, and for a part of the maps and certificates: all of them come up once in
 * CHECK_ROUNDS checks. */
#include "daemon/engine_internal.h"

enum step_kind { STEP_INFO = 0, STEP_BACKENDS, STEP_SPARES, STEP_SERVERS, STEP_COUNTS, STEP_MAP,
		 STEP_CERTS, STEP_CERT, STEP_CRT_LIST };

struct step {
	enum step_kind kind;
	struct str command;
	struct str name; /* STEP_MAP: file; STEP_CERT: path; STEP_CRT_LIST: frontend */
	struct str cert; /* STEP_CERT: certificate of the plan */
};

struct check {
	struct arena *arena;
	struct step *steps;
	size_t step_count, step_capacity, step_at;
	struct image *image; /* only counts */
	struct commands *commands, *removals, *lends; /* NULL: compare only */
	struct sb differences;
	struct readback readback;
	struct str description; /* of the worker, which says its schema */
	struct str backends; /* the answer to STEP_BACKENDS, until STEP_SPARES */
	struct map *certs_present;
	enum check_depth depth;
	bool repair;
	void (*done)(struct engine *engine, size_t found, struct str differences,
		     const struct error *err);
};

static void check_free(struct check *check)
{
	if (!check)
		return;
	free(check->steps);
	image_free(check->image);
	commands_free(check->commands);
	commands_free(check->removals);
	commands_free(check->lends);
	sb_fini(&check->differences);
	map_free(check->certs_present, NULL);
	arena_free(check->arena);
	free(check);
}

void engine_check_drop(struct engine *engine)
{
	check_free(engine->check);
	engine->check = NULL;
}

static struct step *add_step(struct check *check, enum step_kind kind, struct str command)
{
	check->steps = grow(check->steps, check->step_count, &check->step_capacity,
			    sizeof(*check->steps));
	struct step *step = &check->steps[check->step_count++];
	*step = (struct step){ .kind = kind, .command = command };
	return step;
}

static void add_map_step(struct engine *engine, struct str file)
{
	struct check *check = engine->check;
	for (size_t i = 0; i < check->step_count; i++) {
		if (check->steps[i].kind == STEP_MAP && str_eq(check->steps[i].name, file))
			return;
	}
	struct str path = render_map_path(engine->state, check->arena, file);
	add_step(check, STEP_MAP, arena_strf(check->arena, "show map " STR_FMT "\n",
					     STR_ARG(path)))->name = arena_str(check->arena, file);
}

static void add_cert_step(struct engine *engine, struct str path, struct str cert)
{
	struct check *check = engine->check;
	struct step *step = add_step(check, STEP_CERT,
				     arena_strf(check->arena, "show ssl cert " STR_FMT "\n",
						STR_ARG(path)));
	step->name = path;
	step->cert = cert;
}

/* True when the i-th of its kind is due in this round. */
static bool due(const struct engine *engine, size_t i)
{
	return engine->check->depth == CHECK_FULL ||
	       i % CHECK_ROUNDS == engine->check_round % CHECK_ROUNDS;
}

static void add_tls_steps(struct engine *engine)
{
	struct state *state = engine->state;
	struct check *check = engine->check;
	const struct texts *certs = state->tables[PLAN_CERTIFICATE];
	const struct texts *defaults = state->tables[PLAN_DEFAULT_CERT];
	const struct texts *frontends = state->tables[PLAN_FRONTEND];
	size_t n = 0;
	if (texts_count(certs) == 0 && texts_count(defaults) == 0)
		return;
	add_step(check, STEP_CERTS, STR("show ssl cert\n"));
	for (size_t i = 0; i < texts_count(certs); i++) {
		struct str name = texts_key(certs, i);
		if (due(engine, n++))
			add_cert_step(engine, render_cert_path(state, check->arena, name), name);
	}
	for (size_t i = 0; i < texts_count(defaults); i++) {
		struct str frontend = texts_key(defaults, i);
		if (state_frontend_served(state, frontend) && due(engine, n++))
			add_cert_step(engine, render_default_path(state, check->arena, frontend),
				      texts_value(defaults, i));
	}
	for (size_t i = 0; i < texts_count(frontends); i++) {
		struct str frontend = texts_key(frontends, i);
		if (!state_frontend_served(state, frontend) ||
		    !state_frontend_is_https(state, frontend) ||
		    (!due(engine, n++) && !engine->crt_lists_changed))
			continue;
		struct str list = render_crt_list_path(state, check->arena, frontend);
		add_step(check, STEP_CRT_LIST,
			 arena_strf(check->arena, "show ssl crt-list -n " STR_FMT "\n",
				    STR_ARG(list)))->name = frontend;
	}
}

static void add_steps(struct engine *engine)
{
	struct check *check = engine->check;
	add_step(check, STEP_INFO, STR("show info\n"));
	add_step(check, STEP_BACKENDS, STR("show backend\n"));
	struct str spares = render_map_path(engine->state, check->arena, STR("spare.map"));
	add_step(check, STEP_SPARES,
		 engine->state->caps.add_backend ?
			 STR("show version\n") :
			 arena_strf(check->arena, "show map " STR_FMT "\n", STR_ARG(spares)));
	add_step(check, STEP_SERVERS, STR("show servers state\n"));
	if (check->depth == CHECK_CHEAP)
		add_step(check, STEP_COUNTS, STR("show map\n"));
	/* Records before what points at them: the repairs are sent in this order. */
	for (unsigned rank = 0; rank <= 2; rank++) {
		for (size_t i = 0; i < check->image->count; i++) {
			struct str file = check->image->maps[i].file;
			/* spare.map is compared together with the backends. */
			if (image_rank(file) == rank && due(engine, i) &&
			    !str_is(file, "spare.map"))
				add_map_step(engine, file);
		}
	}
	add_tls_steps(engine);
	if (check->repair)
		engine->crt_lists_changed = false;
}

static void finish(struct engine *engine, const struct error *err)
{
	struct check *check = engine->check;
	engine->check = NULL;
	engine->stats.readbacks++;
	check->done(engine, check->readback.found, sb_str(&check->differences), err);
	check_free(check);
}

static void on_repaired(struct engine *engine)
{
	engine->stats.drift_repaired += engine->check->readback.found;
	/* Requests may have been sent to what is leaving until just now. */
	int64_t now_ms = engine_now_ms();
	state_postpone(engine->state, now_ms + RECORD_GRACE_MS, now_ms + SERVER_GRACE_MS);
	if (engine->failures > 0) {
		engine->unread |= engine->last_failure.code != ERR_REFUSED;
		finish(engine, &engine->last_failure);
		return;
	}
	finish(engine, NULL);
}

/* Of a worker that nobody here has started, or one that should be gone by now. */
static void compare_schema(struct engine *engine)
{
	bool known = engine->schema_pid == engine->worker_pid;
	if (engine->operation != OP_READBACK || (known && !engine->unread))
		return;
	if (!engine_same_schema(engine, engine->check->description))
		engine_want_reload(engine, "the worker has another schema");
	else if (!known)
		engine_learn_schema(engine);
}

static void send_repairs(struct engine *engine)
{
	struct check *check = engine->check;
	if (check->depth == CHECK_FULL) {
		compare_schema(engine);
		engine->unread = false;
	}
	commands_append(check->commands, check->removals);
	check->removals = check->readback.removals = NULL;
	if (check->readback.need_reload)
		engine_want_reload(engine, "repair: something only a reload brings back");
	if (check->commands->count == 0) {
		finish(engine, NULL);
		return;
	}
	commands_free(engine->commands);
	engine->commands = check->commands;
	check->commands = check->readback.commands = NULL;
	engine->maps_dirty = engine->cfg_dirty = true;
	engine_send(engine, on_repaired);
}

static void suspect_map(void *user, struct str file)
{
	add_map_step(user, file);
}

static bool compare_info(struct engine *engine, struct str reply, struct error *err)
{
	struct reply_info info;
	if (!reply_whole(reply, err) || !reply_info(reply, &info, err))
		return false;
	if (info.stopping)
		return error_set(err, ERR_REFUSED, "the worker is stopping");
	if (engine->worker_pid && engine->worker_pid != info.pid &&
	    engine->check->depth == CHECK_CHEAP) {
		engine->worker_pid = info.pid;
		return error_set(err, ERR_REFUSED, "another worker (pid %d) answers", info.pid);
	}
	if (engine->check->repair)
		engine->worker_pid = info.pid;
	engine->check->description = arena_str(engine->check->arena, info.description);
	return true;
}

static void compare_certs(struct check *check, struct str reply)
{
	struct str *lines;
	size_t count = reply_lines(check->arena, reply, &lines);
	check->certs_present = map_new();
	for (size_t i = 0; i < count; i++) {
		/* "*" before a name: what a transaction would make of it. */
		bool open = str_starts(lines[i], STR("*"));
		struct str path = str_sub(lines[i], open, lines[i].n);
		map_put(check->certs_present, path, check);
		if (open)
			readback_transaction(&check->readback, path);
	}
}

static void compare_cert(struct engine *engine, const struct step *step, struct str reply)
{
	struct check *check = engine->check;
	struct str pem;
	if (engine_pem(engine, step->cert, &pem))
		readback_cert(&check->readback, step->name, pem,
			      map_get(check->certs_present, step->name) != NULL,
			      reply_fingerprint(reply));
}

static bool compare_map(struct engine *engine, struct str file, struct str reply,
			struct error *err)
{
	const struct image_map *want = image_find(engine->check->image, file);
	if (!want)
		return true;
	/* A map that nothing in the configuration reads is not loaded, and not needed. */
	if (str_starts(reply, STR("Unknown map")) && want->count == 0)
		return true;
	struct image *image = image_new(engine->state, file);
	bool ok = readback_map(&engine->check->readback, image_find(image, file), reply, err);
	image_free(image);
	return ok;
}

/* Requests may point at these backends already: their servers are in by then. */
static void lend(struct check *check)
{
	if (check->lends)
		commands_append(check->commands, check->lends);
	check->lends = check->readback.lends = NULL;
}

static bool compare(struct engine *engine, const struct step *step, struct str reply,
		    struct error *err)
{
	struct check *check = engine->check;
	switch (step->kind) {
	case STEP_INFO:
		return compare_info(engine, reply, err);
	case STEP_BACKENDS:
		check->backends = arena_str(check->arena, reply);
		return true;
	case STEP_SPARES:
		/* Not loaded, as in compare_map(): no frontend, so nothing uses a spare. */
		if (str_starts(reply, STR("Unknown map")))
			reply = STR("\n");
		return readback_backends(&check->readback, check->backends, reply, err);
	case STEP_SERVERS:
		if (!readback_servers(&check->readback, reply, err))
			return false;
		lend(check);
		return true;
	case STEP_COUNTS:
		readback_counts(&check->readback, check->image, reply, suspect_map, engine);
		return true;
	case STEP_MAP:
		return compare_map(engine, step->name, reply, err);
	case STEP_CERTS:
		compare_certs(check, reply);
		return true;
	case STEP_CERT:
		compare_cert(engine, step, reply);
		return true;
	case STEP_CRT_LIST:
		readback_crt_list(&check->readback, step->name, reply);
		return true;
	}
	return true;
}

/* What it has learned until then may be of another HAProxy. */
static void break_off(struct engine *engine, const struct error *err)
{
	engine->unread |= engine->check->repair;
	finish(engine, err);
}

static void ask(struct engine *engine);

static void on_answer(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	struct check *check = engine->check;
	struct step step = check->steps[check->step_at++];
	struct error err;
	if (failed) {
		break_off(engine, failed);
	} else if (!compare(engine, &step, reply, &err)) {
		error_prefix(&err, STR_FMT, STR_ARG(str_trim(step.command)));
		break_off(engine, &err);
	} else if (check->step_at < check->step_count) {
		ask(engine);
	} else if (check->repair) {
		send_repairs(engine);
	} else {
		finish(engine, NULL);
	}
}

static void ask(struct engine *engine)
{
	const struct step *step = &engine->check->steps[engine->check->step_at];
	runtime_send(engine->runtime, step->command, LISTING_BYTES, on_answer, engine);
}

void engine_check(struct engine *engine, enum check_depth depth, bool repair,
		  void (*done)(struct engine *engine, size_t found, struct str differences,
			       const struct error *err))
{
	engine_check_drop(engine);
	struct check *check = xcalloc(1, sizeof(*check));
	engine->check = check;
	check->arena = arena_new();
	check->depth = depth;
	check->repair = repair;
	check->done = done;
	check->image = image_counts(engine->state);
	sb_init(&check->differences, 4 << 20);
	if (repair) {
		check->commands = commands_new();
		check->removals = commands_new();
		check->lends = commands_new();
	}
	bool full = repair && depth == CHECK_FULL;
	check->readback = (struct readback){ .state = engine->state,
					     .differences = &check->differences,
					     .commands = check->commands,
					     .removals = check->removals,
					     .lends = check->lends,
					     .record_due_ms = engine_now_ms() + RECORD_GRACE_MS,
					     .server_due_ms = engine_now_ms() + engine_server_grace_ms(engine),
					     .strays = full ? engine->dead_backends : NULL };
	engine->check_round++;
	add_steps(engine);
	ask(engine);
}
