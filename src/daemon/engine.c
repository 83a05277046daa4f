/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/engine_internal.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t engine_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

struct str engine_path(struct engine *engine, struct arena *arena, const char *name)
{
	return arena_strf(arena, "%s/%s", engine->run_dir, name);
}

void engine_set_state(struct engine *engine, enum engine_state state)
{
	if (engine->engine_state == state)
		return;
	engine->engine_state = state;
	engine->hooks.state_changed(engine->hooks.user, state);
}

void engine_event(struct engine *engine, const char *what, bool ok, const char *fmt, ...)
{
	struct engine_event *event = &engine->events[engine->event_count++ % MAX_EVENTS];
	*event = (struct engine_event){ .number = engine->event_count,
					.at_ms = clock_ms(CLOCK_REALTIME),
					.what = what,
					.ok = ok };
	va_list args;
	va_start(args, fmt);
	vsnprintf(event->reason, sizeof(event->reason), fmt, args);
	va_end(args);
	if (engine->operation != OP_NONE)
		event->duration_ms = engine_now_ms() - engine->operation_started_ms;
	if (engine->operation == OP_APPLY) {
		event->change_count = engine->change_count;
		event->command_count = engine->commands->command_count;
	}
}

bool engine_pem(struct engine *engine, struct str name, struct str *ret_pem)
{
	struct str digest = state_get(engine->state, PLAN_CERTIFICATE, name);
	return digest.p && engine->hooks.certificate(engine->hooks.user, name, digest, ret_pem);
}

void engine_report_applied(struct engine *engine, const struct error *err)
{
	bool over = engine->apply_failed && !err && !engine->reload_wanted;
	if (engine->sequence_applied == engine->sequence_sent && !over)
		return;
	engine->apply_failed = err != NULL;
	engine->sequence_applied = engine->sequence_sent;
	engine->hooks.applied(engine->hooks.user, engine->sequence_applied, err);
}

void engine_want_reload(struct engine *engine, const char *fmt, ...)
{
	if (!engine->reload_wanted) { /* the first reason names it */
		va_list args;
		va_start(args, fmt);
		vsnprintf(engine->reload_reason, sizeof(engine->reload_reason), fmt, args);
		va_end(args);
	}
	engine->reload_wanted = true;
}

void engine_want_repair(struct engine *engine, const char *reason)
{
	engine->repair_wanted = true;
	snprintf(engine->repair_reason, sizeof(engine->repair_reason), "%s", reason);
}

/* ---- one operation after another ---- */

void engine_wake(struct engine *engine)
{
	ev_idle_start(engine->loop, &engine->next);
}

void engine_done(struct engine *engine)
{
	engine->operation = OP_NONE;
	engine_wake(engine);
}

static void on_repair(struct engine *engine, size_t found, struct str differences,
		      const struct error *err)
{
	struct str first = str_cut(&differences, '\n');
	if (err) {
		engine_event(engine, "repair", false, "%s", err->text);
		engine_set_state(engine, ENGINE_DEGRADED);
		engine->repair_wanted = true;
		engine->operation = OP_NONE; /* the check timer tries again */
		if (engine->stats.worker_pid != engine->worker_pid) {
			/* Somebody else has reloaded HAProxy: not a moment to lose. */
			engine->stats.worker_pid = engine->worker_pid;
			engine_wake(engine);
		}
		return;
	}
	if (found > 0) {
		engine->stats.drift_found += found;
		engine_event(engine, "repair", true, "%zu differences: " STR_FMT, found,
			     STR_ARG(str_sub(first, 0, 100)));
	}
	/* Something else may have shown that only a reload makes it true. */
	if (!engine->reload_wanted)
		engine_set_state(engine, ENGINE_READY);
	engine_report_applied(engine, NULL);
	engine_done(engine);
}

static void repair(struct engine *engine, enum check_depth depth)
{
	engine->operation = OP_READBACK;
	engine->repair_wanted = false;
	engine->hold_until_ms = 0;
	engine_check(engine, depth, true, on_repair);
}

static void on_diff(struct engine *engine, size_t found, struct str differences,
		    const struct error *err)
{
	(void)found;
	engine_reply_fn reply = engine->diff_reply;
	engine->diff_reply = NULL;
	reply(engine->diff_user, differences, err);
	engine_done(engine);
}

bool engine_reload_due(struct engine *engine)
{
	return engine->reload_wanted && !ev_is_active(&engine->reload_backoff);
}

static void engine_next(struct engine *engine)
{
	if (engine->operation != OP_NONE || engine->engine_state == ENGINE_STOPPING ||
	    engine->engine_state == ENGINE_STOPPED || !process_runs(engine->haproxy))
		return;
	engine->operation_started_ms = engine_now_ms();
	if (engine->queue) {
		engine_apply(engine);
	} else if (engine_reload_due(engine)) {
		engine_reload(engine);
	} else if (engine->repair_wanted) {
		repair(engine, CHECK_FULL);
	} else if (engine->diff_reply) {
		engine->operation = OP_DIFF;
		engine_check(engine, CHECK_FULL, false, on_diff);
	}
}

static void on_next(struct ev_loop *loop, ev_idle *idle, int events)
{
	(void)events;
	ev_idle_stop(loop, idle);
	engine_next(idle->data);
}

static void on_agent_stats(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	if (failed && engine->agent_text.len > 0)
		engine_agent_silent(engine, failed);
	sb_reset(&engine->agent_text);
	if (!failed) {
		sb_add(&engine->agent_text, reply);
		engine->agent_failures = 0; /* the next restart does not wait long */
	}
	/* Not for a lack of our own, such as descriptors. */
	if (!failed || failed->code != ERR_TIMEOUT)
		engine->agent_misses = 0;
	else
		engine->agent_misses++;
	if (engine->agent_misses >= AGENT_MISSES && process_pid(engine->agent) > 0) {
		engine->agent_misses = 0;
		engine_event(engine, "restart", false, "agent: hangs: %s", failed->text);
		process_signal(engine->agent, SIGKILL);
	}
}

static void on_check_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct engine *engine = timer->data;
	if (runtime_pending(engine->agent_stats) == 0)
		runtime_send(engine->agent_stats, STR_NONE, REPLY_BYTES, on_agent_stats, engine);
	if (engine->operation == OP_NONE && !engine->reload_wanted && engine_unblocked(engine))
		engine_want_reload(engine, "a port that was taken is free");
	engine_next(engine);
	if (engine->operation != OP_NONE || !process_runs(engine->haproxy) ||
	    engine->engine_state == ENGINE_STOPPING || engine->engine_state == ENGINE_STOPPED)
		return;
	engine->operation_started_ms = engine_now_ms();
	if (engine->hold_until_ms > engine->operation_started_ms)
		return;
	repair(engine, engine->hold_until_ms ? CHECK_FULL : CHECK_CHEAP);
}

static void on_due_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct engine *engine = timer->data;
	if (engine->operation != OP_NONE || engine->engine_state != ENGINE_READY ||
	    !engine_has_due(engine))
		return;
	engine->operation_started_ms = engine_now_ms();
	engine_delete_due(engine);
}

static void on_files_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct engine *engine = timer->data;
	/* While HAProxy is being told to read them, files are written by that operation. */
	if (engine->operation != OP_RELOAD && engine->operation != OP_START)
		engine_write_changed(engine);
}

static void on_writer_state(void *user, const struct error *err)
{
	struct engine *engine = user;
	engine->stats.files_failing = err != NULL;
	engine_event(engine, "write", !err, "%s", err ? err->text : "files can be written again");
}

/* ---- life ---- */

static char *copy(const char *text)
{
	return text ? xstrndup(text, strlen(text)) : NULL;
}

/* HAProxy does not change its group for `user` alone: the user's own group goes with it. */
static char *group_of(const struct engine_options *options)
{
	if (options->group || !options->user)
		return copy(options->group);
	const struct passwd *user = getpwnam(options->user);
	const struct group *group = user ? getgrgid(user->pw_gid) : NULL;
	return copy(group ? group->gr_name : NULL);
}

static void copy_options(struct engine *engine, const struct engine_options *options)
{
	engine->options = *options;
	struct engine_options *o = &engine->options;
	o->haproxy = copy(options->haproxy);
	o->agent = copy(options->agent);
	o->user = copy(options->user);
	o->group = group_of(options);
	o->log_target = copy(options->log_target);
	if (o->agent_threads == 0)
		o->agent_threads = 1;
	if (o->spare_backends == 0)
		o->spare_backends = DEFAULT_SPARES;
	engine->render = (struct render_options){ o->user,	 o->group,	o->haproxy_threads,
						  o->maxconn,	 o->log_target, o->access_log,
						  engine_has_ipv6() };
}

static bool make_run_dir(struct engine *engine, const char *path, struct error *err)
{
	char absolute[PATH_MAX];
	engine->run_dir = copy(path);
	if (!engine_make_dirs(engine, err))
		return false;
	if (!realpath(path, absolute))
		return error_errno(err, "%s", path);
	/* The longest name of a socket in it has to fit. */
	if (strlen(absolute) + sizeof("/agent-stats.sock.XXXXXXXX") >
	    sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(err, ERR_LIMIT,
				 "the run directory's path is too long for a socket: %s", absolute);
	free(engine->run_dir);
	engine->run_dir = copy(absolute);
	return true;
}

static void init_timers(struct engine *engine)
{
	ev_timer_init(&engine->check_timer, on_check_timer, CHECK_EVERY_MS / 1000.0,
		      CHECK_EVERY_MS / 1000.0);
	ev_timer_init(&engine->due_timer, on_due_timer, 1.0, 1.0);
	ev_timer_init(&engine->files_timer, on_files_timer, FILES_AFTER_MS / 1000.0,
		      FILES_AFTER_MS / 1000.0);
	ev_idle_init(&engine->next, on_next);
	ev_set_priority(&engine->next, EV_MAXPRI); /* do not wait for the loop to be idle */
	engine->check_timer.data = engine->due_timer.data = engine->files_timer.data =
		engine->next.data = engine;
}

struct engine *engine_new(struct ev_loop *loop, const struct engine_options *options,
			  const struct engine_hooks *hooks, struct error *err)
{
	static const struct haproxy_caps unknown;
	struct engine *engine = xcalloc(1, sizeof(*engine));
	engine->loop = loop;
	engine->hooks = *hooks;
	engine->queue_end = &engine->queue;
	engine->dead_backends = map_new();
	engine->live_frontends = map_new();
	copy_options(engine, options);
	init_timers(engine);
	engine_process_init(engine);
	if (!make_run_dir(engine, options->run_dir, err) ||
	    !(engine->state = state_new(&unknown, engine->run_dir)) ||
	    !engine_find_programs(engine, err) ||
	    !(engine->writer = writer_new(loop, on_writer_state, engine, err))) {
		engine_free(engine);
		return NULL;
	}
	struct arena *arena = arena_new();
	struct str socket = engine_path(engine, arena, "haproxy.sock");
	engine->runtime = runtime_new(loop, socket.p, COMMAND_TIMEOUT_MS);
	engine->aside = runtime_new(loop, socket.p, COMMAND_TIMEOUT_MS);
	engine->agent_stats = runtime_new(loop, engine_path(engine, arena, "agent-stats.sock").p,
					  AGENT_TIMEOUT_MS);
	sb_init(&engine->agent_text, REPLY_BYTES);
	socket = engine_path(engine, arena, "master.sock");
	engine->master = runtime_new(loop, socket.p, START_TIMEOUT_MS);
	engine->adopted = runtime_new(loop, socket.p, ADOPTED_TIMEOUT_MS);
	arena_free(arena);
	return engine;
}

static void stop_watchers(struct engine *engine)
{
	ev_timer *const timers[] = { &engine->poll,	     &engine->check_timer,
				     &engine->due_timer,     &engine->files_timer,
				     &engine->haproxy_backoff, &engine->reload_backoff,
				     &engine->agent_backoff,
				     &engine->stop_timer };
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		ev_timer_stop(engine->loop, timers[i]);
	ev_idle_stop(engine->loop, &engine->next);
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	stop_watchers(engine);
	engine_check_drop(engine);
	runtime_free(engine->runtime);
	runtime_free(engine->aside);
	runtime_free(engine->master);
	runtime_free(engine->adopted);
	runtime_free(engine->agent_stats);
	sb_fini(&engine->agent_text);
	process_free(engine->haproxy);
	process_free(engine->agent);
	writer_free(engine->writer);
	while (engine->queue) {
		struct update *update = engine->queue;
		engine->queue = update->next;
		changes_free(update->changes);
		free(update);
	}
	commands_free(engine->commands);
	map_free(engine->dead_backends, NULL);
	map_free(engine->live_frontends, NULL);
	plan_free(engine->plan);
	state_free(engine->state);
	free((void *)(uintptr_t)engine->options.haproxy);
	free((void *)(uintptr_t)engine->options.agent);
	free((void *)(uintptr_t)engine->options.user);
	free((void *)(uintptr_t)engine->options.group);
	free((void *)(uintptr_t)engine->options.log_target);
	free(engine->run_dir);
	free(engine);
}

bool engine_start(struct engine *engine, const struct plan *plan, struct error *err)
{
	if (engine->engine_state != ENGINE_STOPPED)
		return error_set(err, ERR_REFUSED, "the engine runs already");
	state_load(engine->state, plan);
	engine_set_state(engine, ENGINE_STARTING);
	ev_timer_start(engine->loop, &engine->check_timer);
	ev_timer_start(engine->loop, &engine->due_timer);
	ev_timer_start(engine->loop, &engine->files_timer);
	engine_begin(engine);
	return true;
}

uint64_t engine_update(struct engine *engine, struct changes *changes)
{
	struct update *update = xcalloc(1, sizeof(*update));
	update->changes = changes;
	update->sequence = ++engine->sequence;
	*engine->queue_end = update;
	engine->queue_end = &update->next;
	engine_wake(engine);
	return update->sequence;
}

void engine_stop(struct engine *engine, enum engine_stop how)
{
	engine_set_state(engine, ENGINE_STOPPING);
	engine->operation = OP_NONE; /* a reload whose configuration is still being checked ends here */
	stop_watchers(engine);
	runtime_drop(engine->runtime);
	runtime_drop(engine->master);
	runtime_drop(engine->adopted);
	engine_check_drop(engine);
	engine_write_changed(engine);
	if (how == ENGINE_LEAVE)
		engine_set_state(engine, ENGINE_STOPPED);
	else
		engine_process_stop(engine);
}

/* ---- the operator ---- */

static void set_override(struct engine *engine, struct str key, const char *state)
{
	if (strcmp(state, "ready") == 0)
		state_del_str(engine->state->overrides, key);
	else
		state_put_str(engine->state->overrides, key, str_of(state));
	struct commands *commands = commands_new();
	/* From maint to drain goes only through ready. */
	if (strcmp(state, "drain") == 0)
		command_server_state(commands, engine->state, key, "ready");
	command_server_state(commands, engine->state, key, state);
	commands_flush(commands);
	for (size_t i = 0; i < commands->count; i++)
		runtime_send(engine->runtime, commands->batches[i], REPLY_BYTES, NULL, NULL);
	engine->stats.commands += commands->command_count;
	commands_free(commands);
}

bool engine_override_server(struct engine *engine, struct str backend, struct str server,
			    const char *state, struct error *err)
{
	if (strcmp(state, "ready") != 0 && strcmp(state, "drain") != 0 &&
	    strcmp(state, "maint") != 0)
		return error_set(err, ERR_SYNTAX, "a server's state is ready, drain or maint");
	struct arena *arena = arena_new();
	struct str prefix = arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(backend), STR_ARG(server));
	size_t found = 0;
	const struct texts *servers = engine->state->tables[PLAN_SERVER];
	for (size_t i = texts_find(servers, prefix); i < texts_count(servers); i++) {
		struct str key = texts_key(servers, i);
		if (str_empty(server) ? !str_starts(key, prefix) : !str_eq(key, prefix))
			break;
		set_override(engine, key, state);
		found++;
	}
	arena_free(arena);
	if (found == 0)
		return error_set(err, ERR_NOTFOUND, "no server " STR_FMT "/" STR_FMT,
				 STR_ARG(backend), STR_ARG(server));
	engine_write_overrides(engine);
	engine->cfg_dirty = true;
	return true;
}

struct ask {
	engine_reply_fn reply;
	void *user;
};

static void on_command(void *user, struct str reply, const struct error *err)
{
	struct ask *ask = user;
	ask->reply(ask->user, reply, err);
	free(ask);
}

void engine_command(struct engine *engine, struct str command, engine_reply_fn reply, void *user)
{
	struct ask *ask = xcalloc(1, sizeof(*ask));
	*ask = (struct ask){ reply, user };
	struct sb sb;
	sb_init(&sb, command.n + 1);
	sb_add(&sb, command);
	if (!str_ends(command, STR("\n")))
		sb_addc(&sb, '\n');
	runtime_send(engine->aside, sb_str(&sb), LISTING_BYTES, on_command, ask);
	sb_fini(&sb);
}

void engine_diff(struct engine *engine, engine_reply_fn reply, void *user)
{
	struct error err;
	if (engine->diff_reply) {
		error_set(&err, ERR_REFUSED, "another diff is under way");
		reply(user, STR_NONE, &err);
		return;
	}
	engine->diff_reply = reply;
	engine->diff_user = user;
	engine_wake(engine);
}

/* ---- what it is like ---- */

enum engine_state engine_state(const struct engine *engine)
{
	return engine->engine_state;
}

const struct haproxy_caps *engine_caps(const struct engine *engine)
{
	return engine->state->caps.major ? &engine->state->caps : NULL;
}

const struct plan *engine_plan(const struct engine *engine)
{
	struct engine *cache = (struct engine *)(uintptr_t)engine; /* the plan is a cache */
	if (!cache->plan)
		cache->plan = state_plan(engine->state);
	return cache->plan;
}

struct str engine_backend_of(const struct engine *engine, struct str live_name)
{
	return state_backend_of(engine->state, live_name);
}

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
	*ret_stats = engine->stats;
	ret_stats->blocked = map_count(engine->state->blocked);
	ret_stats->spare_backends_free = engine->state->spare_count - state_spares_used(engine->state);
}

struct str engine_agent_stats(const struct engine *engine)
{
	return sb_str(&engine->agent_text);
}

const struct reasons *engine_reload_reasons(const struct engine *engine)
{
	return &engine->reasons;
}

size_t engine_events(const struct engine *engine, struct engine_event *ret_events, size_t max)
{
	size_t kept = engine->event_count < MAX_EVENTS ? engine->event_count : MAX_EVENTS;
	size_t count = kept < max ? kept : max;
	for (size_t i = 0; i < count; i++)
		ret_events[i] = engine->events[(engine->event_count - 1 - i) % MAX_EVENTS];
	return count;
}
