/* SPDX-License-Identifier: Apache-2.0 */
/* HAProxy and the agent as processes: start, adopt, reload, restart, stop. */
#include "daemon/engine_internal.h"

#include "daemon/log.h"

#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DOUBT_MS = 1000, /* a reload without any sign of it */
	LOOK_MS = 50,    /* for a HAProxy that somebody else starts */
};

static void set_caps(struct engine *engine, const struct haproxy_caps *caps)
{
	engine->state->caps = *caps;
	state_set_spares(engine->state, caps->add_backend ? 0 : engine->options.spare_backends);
}

static bool find_version(struct engine *engine, struct error *err)
{
	char output[4096];
	struct haproxy_caps caps;
	const char *const argv[] = { engine->options.haproxy, "-v", NULL };
	if (!process_run_wait(argv, output, sizeof(output), err))
		return error_prefix(err, "HAProxy (--haproxy; Debian: apt install haproxy)");
	if (!caps_parse(str_of(output), &caps, err))
		return error_prefix(err, "%s", engine->options.haproxy);
	set_caps(engine, &caps);
	return true;
}

static bool find_agent(struct engine *engine, struct error *err)
{
	char output[4096];
	const char *const argv[] = { engine->options.agent, "--version", NULL };
	return process_run_wait(argv, output, sizeof(output), err) ||
	       error_prefix(err, "the agent (--agent)");
}

bool engine_find_programs(struct engine *engine, struct error *err)
{
	return engine->options.external ||
	       (find_version(engine, err) && find_agent(engine, err));
}

static double backoff_s(unsigned failures)
{
	int64_t ms = BACKOFF_FIRST_MS;
	for (unsigned i = 1; i < failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	return (double)(ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS) / 1000.0;
}

/* ---- the agent ---- */

static void start_agent(struct engine *engine)
{
	struct arena *arena = arena_new();
	struct str socket = engine_path(engine, arena, "agent.sock");
	struct str listen = arena_strf(arena, "unix@" STR_FMT, STR_ARG(socket));
	struct error err;
	const char *const argv[] = {
		engine->options.agent,
		"--listen",
		listen.p,
		"--threads",
		arena_strf(arena, "%u", engine->options.agent_threads).p,
		"--stats-socket",
		engine_path(engine, arena, "agent-stats.sock").p,
		"--log-format",
		log_is_json() ? "json" : "text",
		NULL,
	};
	if (process_adopt(engine->agent, (struct str){ listen.p, listen.n + 1 })) {
		engine_event(engine, "adopt", true, "agent, pid %d",
			     (int)process_pid(engine->agent));
	} else if (!process_start(engine->agent, argv, &err)) {
		engine_event(engine, "restart", false, "agent: %s", err.text);
		engine->agent_backoff.repeat = backoff_s(++engine->agent_failures);
		ev_timer_again(engine->loop, &engine->agent_backoff);
	}
	engine->stats.agent_pid = (int)process_pid(engine->agent);
	arena_free(arena);
}

static void on_agent_ended(void *user, const char *how)
{
	struct engine *engine = user;
	engine->stats.agent_pid = 0;
	if (engine->engine_state == ENGINE_STOPPING || engine->engine_state == ENGINE_STOPPED)
		return;
	engine->stats.agent_restarts++;
	engine_event(engine, "restart", false, "agent: %s", how);
	engine->agent_backoff.repeat = backoff_s(++engine->agent_failures);
	ev_timer_again(engine->loop, &engine->agent_backoff);
}

static void on_agent_backoff(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
	start_agent(timer->data);
}

void engine_agent_silent(struct engine *engine, const struct error *err)
{
	if (!engine->options.external)
		return; /* its end is seen as such */
	engine->stats.agent_restarts++;
	engine_event(engine, "restart", false, "agent: %s", err->text);
}

/* ---- after a start or a reload: equal to the plan before it is called ready ---- */

static void on_first_check(struct engine *engine, size_t found, struct str differences,
			   const struct error *err)
{
	(void)differences;
	bool reload = engine->old_worker_pid != 0;
	const char *what = reload ? "reload" : "start";
	engine->old_worker_pid = 0;
	if (engine->stale_files)
		engine_want_reload(engine, "HAProxy started from files of another schema");
	else
		engine_learn_schema(engine);
	engine->stale_files = false;
	if (err) {
		engine_event(engine, what, false, "%s", err->text);
		engine_want_repair(engine, what);
	} else {
		if (found > 0)
			engine_event(engine, "repair", true, "%zu differences after the %s", found,
				     what);
		engine_event(engine, what, true, "worker %d%s%s", engine->worker_pid,
			     reload ? ": " : "", reload ? engine->reload_reason : "");
		engine->haproxy_failures = engine->reload_failures = 0;
		if (!engine->reload_wanted)
			engine_set_state(engine, ENGINE_READY);
		engine_report_applied(engine, NULL);
	}
	if (reload)
		engine->reload_reason[0] = '\0';
	engine_done(engine);
}

static void adopted_answers(struct engine *engine, const struct reply_info *info);

static void poll_soon(struct engine *engine)
{
	ev_timer_stop(engine->loop, &engine->poll);
	ev_timer_set(&engine->poll, 0.02, 0.0);
	ev_timer_start(engine->loop, &engine->poll);
}

static void probe_failed(struct engine *engine, const char *why)
{
	if (engine_now_ms() < engine->deadline_ms) {
		poll_soon(engine);
		return;
	}
	bool reload = engine->operation == OP_RELOAD;
	engine_event(engine, reload ? "reload" : "start", false, "%s", why);
	engine_set_state(engine, ENGINE_DEGRADED);
	engine->old_worker_pid = 0;
	if (reload) { /* the old one may go on, or the new one still come */
		engine->unread = true;
		engine_block_others(engine, why);
	}
	engine_want_repair(engine, reload ? "a reload did not end" : "HAProxy does not answer");
	engine_done(engine);
}

/* The files are what they are to be, but HAProxy was started from older ones. */
static void other_schema(struct engine *engine)
{
	engine->adopting = false;
	engine_event(engine, "adopt", true, "worker %d", engine->worker_pid);
	engine_want_reload(engine, "the running HAProxy has another schema");
	engine_done(engine);
}

/* Each HAProxy that starts makes a new socket, which its workers hand on over reloads. Process ids
 * would not tell: in a container of its own they are the same each time. */
static int64_t worker_socket_made_ns(struct engine *engine)
{
	struct arena *arena = arena_new();
	struct stat st;
	bool found = stat(engine_path(engine, arena, "haproxy.sock").p, &st) == 0;
	arena_free(arena);
	return found ? st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec : 0;
}

static void learn_worker(struct engine *engine, const struct reply_info *info)
{
	engine->worker_pid = engine->stats.worker_pid = info->pid;
	engine->worker_socket_made_ns = worker_socket_made_ns(engine);
}

static void worker_answers(struct engine *engine, const struct reply_info *info)
{
	learn_worker(engine, info);
	bool other = engine->operation == OP_START &&
		     !engine_same_schema(engine, info->description);
	engine->stale_files = other && engine->kept_files;
	if (other && !engine->kept_files)
		other_schema(engine);
	else
		engine_check(engine, CHECK_FULL, true, on_first_check);
}

static void on_probe(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	struct reply_info info;
	struct error err;
	if (failed) {
		probe_failed(engine, failed->text);
	} else if (!reply_info(reply, &info, &err)) {
		probe_failed(engine, err.text);
	} else if (engine->adopting) {
		adopted_answers(engine, &info);
	} else if (info.stopping || info.pid == engine->old_worker_pid) {
		probe_failed(engine, "the old worker still answers");
	} else {
		worker_answers(engine, &info);
	}
}

static void on_reload_answer(void *user, struct str reply, const struct error *failed);
static void reload_failed(struct engine *engine, const char *why);

static void send_reload(struct engine *engine)
{
	runtime_send(engine->master, STR("reload\n"), REPLY_BYTES, on_reload_answer, engine);
}

/* What the master says of its workers, the old ones left out. */
static bool has_current_worker(struct str reply, int pid)
{
	bool current = false;
	while (reply.n > 0) {
		struct str line = str_cut(&reply, '\n');
		uint64_t number;
		if (line.n > 0 && line.p[0] == '#')
			current = str_is(str_trim(line), "# workers");
		else if (current && str_u64(str_cut(&line, ' '), INT_MAX, &number) &&
			 (int)number == pid)
			return true;
	}
	return false;
}

/* A master that has only just executed itself anew may lose a command; before 2.7 its answer does
 * not tell. It did if it still has the worker from before. */
static void on_workers(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	struct reply_proc proc;
	struct error err;
	if (engine->operation != OP_RELOAD)
		return;
	if (!failed && reply_proc(reply, &proc, &err) && proc.failed > 0) {
		reload_failed(engine, "HAProxy refuses the configuration: see its log");
		return;
	}
	if (failed || !has_current_worker(reply, engine->old_worker_pid)) {
		poll_soon(engine);
		return;
	}
	engine_event(engine, "reload again", true, "the master has not heard of it");
	send_reload(engine);
}

static bool is_reload_in_doubt(const struct engine *engine)
{
	return engine->operation == OP_RELOAD && !engine->state->caps.sync_reload &&
	       engine->old_worker_pid > 0 && engine_now_ms() >= engine->doubt_ms;
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct engine *engine = timer->data;
	if (is_reload_in_doubt(engine)) {
		engine->doubt_ms = engine_now_ms() + DOUBT_MS;
		runtime_send(engine->master, STR("show proc;quit\n"), REPLY_BYTES, on_workers, engine);
		return;
	}
	/* Only the master still answers for a worker that is stopping, and not at all for one
	 * that is loading; it does not hang up. */
	if (engine->adopting)
		runtime_send(engine->adopted, STR("@1 show info;quit\n"), REPLY_BYTES, on_probe,
			     engine);
	else
		runtime_send(engine->runtime, STR("show info\n"), REPLY_BYTES, on_probe, engine);
}

/* ---- HAProxy ---- */

static void retry_haproxy(struct engine *engine)
{
	engine->haproxy_backoff.repeat = backoff_s(++engine->haproxy_failures);
	ev_timer_again(engine->loop, &engine->haproxy_backoff);
}

/* With a full disk HAProxy starts from what is there, and is brought to the plan afterwards. */
static bool write_or_keep(struct engine *engine, const char *cfg, struct error *err)
{
	engine->kept_files = !engine_write_all(engine, err);
	if (!engine->kept_files)
		return true;
	engine_event(engine, "write", false, "%s", err->text);
	if (access(cfg, R_OK) < 0)
		return false;
	engine_learn_old_frontends(engine);
	engine_block_others(engine, err->text);
	return true;
}

/* Updates that were on their way are part of what is rendered now. */
static bool prepare_start(struct engine *engine, const char *cfg, struct error *err)
{
	engine_absorb(engine);
	state_settle(engine->state);
	engine_test_binds(engine);
	engine->operation = OP_START;
	engine->operation_started_ms = engine_now_ms();
	engine->worker_pid = engine->old_worker_pid = 0;
	engine->adopting = false;
	engine->hold_until_ms = 0;
	engine->reload_wanted = false;
	if (!write_or_keep(engine, cfg, err))
		return false;
	engine->sequence_sent = engine->sequence;
	return true;
}

static void await_answer(struct engine *engine)
{
	engine->deadline_ms = engine_now_ms() + START_TIMEOUT_MS;
	poll_soon(engine);
}

static void start_failed(struct engine *engine, const struct error *err)
{
	engine_event(engine, "start", false, "%s", err->text);
	engine_set_state(engine, ENGINE_DEGRADED);
	engine->operation = OP_NONE;
	retry_haproxy(engine);
}

static void start_haproxy(struct engine *engine)
{
	struct error err;
	struct arena *arena = arena_new();
	struct str cfg = engine_path(engine, arena, "haproxy.cfg");
	/* Else it has a line for each proxy of a worker that ends, each server we touch. But quiet,
	   it closes its output, where the access log may go. */
	const bool quiet = log_level() < LOG_LEVEL_DEBUG && !engine->options.access_log;
	const char *argv[] = {
		engine->options.haproxy,
		"-W",
		"-S",
		arena_strf(arena, "%s/master.sock,mode,600", engine->run_dir).p,
		"-f",
		cfg.p,
		"-p",
		engine_path(engine, arena, "haproxy.pid").p,
		NULL, NULL, NULL, /* flags, and the end */
	};
	size_t argc = sizeof(argv) / sizeof(argv[0]) - 3;
	if (quiet)
		argv[argc++] = "-q";
	if (!engine->state->caps.hot_memory)
		argv[argc++] = "-dMglobal"; /* instead of tune.memory.hot-size (haproxy/base.cfg) */
	if (prepare_start(engine, cfg.p, &err) && process_start(engine->haproxy, argv, &err)) {
		engine->stats.haproxy_pid = (int)process_pid(engine->haproxy);
		await_answer(engine);
	} else {
		start_failed(engine, &err);
	}
	arena_free(arena);
}

enum { ALERT_BYTES = 140 };

/* `haproxy -c` on what HAProxy reads. Not of one that somebody else runs, whose program is not here:
 * its master refuses by itself, and keeps its worker. */
static bool check_config(struct engine *engine, process_output_fn done, struct error *err)
{
	if (engine->options.external) {
		done(engine, STR_NONE, true);
		return true;
	}
	struct arena *arena = arena_new();
	const char *const argv[] = { engine->options.haproxy, "-c", "-f",
				     engine_path(engine, arena, "haproxy.cfg").p, NULL };
	bool started = process_run(engine->loop, argv, done, engine, err);
	arena_free(arena);
	return started;
}

/* The first "[ALERT]    (PID) : TEXT", without what is before the text. */
static struct str first_alert(struct str output)
{
	while (output.n > 0) {
		struct str line = str_cut(&output, '\n');
		if (!str_starts(line, STR("[ALERT]")))
			continue;
		str_cut(&line, ':');
		return str_sub(str_trim(line), 0, ALERT_BYTES);
	}
	return STR("no reason given");
}

/* HAProxy is quiet where it starts (-q). */
static void on_end_explained(void *user, struct str output, bool success)
{
	if (!success)
		engine_event(user, "start", false, "haproxy -c: " STR_FMT,
			     STR_ARG(first_alert(output)));
}

/* ---- a HAProxy that somebody else runs ---- */

static bool is_there(struct engine *engine)
{
	struct arena *arena = arena_new();
	bool there = process_runs(engine->haproxy) ||
		     process_follow(engine->haproxy,
				    engine_path(engine, arena, "master.sock").p);
	arena_free(arena);
	return there;
}

static void look_again(struct engine *engine)
{
	engine->haproxy_backoff.repeat = LOOK_MS / 1000.0;
	ev_timer_again(engine->loop, &engine->haproxy_backoff);
}

static void wait_for(struct engine *engine, const char *what)
{
	if (strncmp(engine->waiting_for, what, sizeof(engine->waiting_for) - 1) != 0)
		engine_event(engine, "wait", true, "%s", what);
	snprintf(engine->waiting_for, sizeof(engine->waiting_for), "%s", what);
	look_again(engine);
}

/* Another image has another HAProxy, for which everything is written anew. */
static bool learn_version(struct engine *engine, struct error *err)
{
	struct arena *arena = arena_new();
	struct haproxy_caps caps = { 0 };
	struct str version = engine_read_version(engine, arena);
	bool known = version.p ? caps_parse(version, &caps, err) :
				 error_set(err, ERR_NOTFOUND, "nobody has written it yet");
	arena_free(arena);
	if (!known)
		return error_prefix(err, "%s/haproxy.version", engine->run_dir);
	if (!caps_same_version(&caps, &engine->state->caps)) {
		set_caps(engine, &caps);
		engine->prepared = false;
	}
	return true;
}

/* It starts from the files as soon as there is a haproxy.cfg, which he who starts it removes when
 * it is of another version. */
static bool prepare_files(struct engine *engine, struct error *err)
{
	struct arena *arena = arena_new();
	struct str cfg = engine_path(engine, arena, "haproxy.cfg");
	if (!engine->prepared || access(cfg.p, F_OK) < 0)
		engine->prepared = prepare_start(engine, cfg.p, err);
	arena_free(arena);
	return engine->prepared;
}

static void adopt_haproxy(struct engine *engine);

static void meet_haproxy(struct engine *engine)
{
	struct error err;
	engine->operation = OP_START;
	if (!learn_version(engine, &err)) {
		wait_for(engine, err.text);
	} else if (is_there(engine)) {
		engine->waiting_for[0] = '\0';
		/* One that was there before us: the last-good plan may be the older of the two. */
		if (!engine->prepared && !engine->met)
			adopt_haproxy(engine);
		else
			await_answer(engine);
		engine->met = true;
	} else if (prepare_files(engine, &err)) {
		wait_for(engine, "HAProxy may be started");
	} else {
		start_failed(engine, &err);
	}
}

static void haproxy_ended(struct engine *engine, const char *how)
{
	engine->lost_until_ms = 0;
	engine->stats.haproxy_pid = engine->stats.worker_pid = 0;
	engine->worker_pid = engine->old_worker_pid = 0;
	if (engine->engine_state == ENGINE_STOPPING) {
		process_signal(engine->agent, SIGTERM);
		engine_set_state(engine, ENGINE_STOPPED);
		return;
	}
	if (engine->engine_state == ENGINE_STOPPED)
		return;
	engine->stats.haproxy_restarts++;
	engine_event(engine, "restart", false, "HAProxy: %s", how);
	struct error err;
	if (engine->operation == OP_START && !check_config(engine, on_end_explained, &err))
		engine_event(engine, "start", false, "%s", err.text);
	engine_set_state(engine, ENGINE_DEGRADED);
	runtime_drop(engine->runtime);
	runtime_drop(engine->master);
	runtime_drop(engine->adopted);
	ev_timer_stop(engine->loop, &engine->poll);
	engine_check_drop(engine);
	engine->operation_started_ms = engine_now_ms();
	engine->operation = OP_START; /* nothing else until it is back */
	engine->adopting = engine->prepared = false;
	/* A reload that could not be done is no matter any more: what the next one has read is
	 * asked of itself. */
	engine->reload_wanted = false;
	ev_timer_stop(engine->loop, &engine->reload_backoff);
	engine_test_binds(engine);
	if (engine->options.external)
		look_again(engine);
	else
		retry_haproxy(engine);
}

static bool same_haproxy_accepts(struct engine *engine)
{
	struct arena *arena = arena_new();
	bool accepts = process_accepts(engine_path(engine, arena, "haproxy.sock").p);
	arena_free(arena);
	bool known = engine->worker_pid != 0;
	return accepts &&
	       (!known || worker_socket_made_ns(engine) == engine->worker_socket_made_ns);
}

/* A master that executes itself anew, at its start and for a reload, hangs up, and takes no
 * connections for a while: its worker does. */
static void look_for_master(struct engine *engine)
{
	if (engine_now_ms() >= engine->lost_until_ms || !same_haproxy_accepts(engine)) {
		haproxy_ended(engine, "hung up");
	} else if (is_there(engine)) {
		engine->lost_until_ms = 0;
		engine_wake(engine);
	} else {
		look_again(engine);
	}
}

static void on_haproxy_ended(void *user, const char *how)
{
	struct engine *engine = user;
	if (!engine->options.external) {
		haproxy_ended(engine, how);
	} else if (engine->engine_state != ENGINE_STOPPED) {
		engine->lost_until_ms = engine_now_ms() + START_TIMEOUT_MS;
		look_for_master(engine);
	}
}

static void on_haproxy_backoff(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct engine *engine = timer->data;
	ev_timer_stop(loop, timer);
	if (!engine->options.external)
		start_haproxy(engine);
	else if (engine->lost_until_ms)
		look_for_master(engine);
	else
		meet_haproxy(engine);
}

/* ---- adoption ---- */

/* Ready only if nothing was found: the rest is repaired with the first update, or when the
 * wait for it is over. */
static void on_adopted(struct engine *engine, size_t found, struct str differences,
		       const struct error *err)
{
	(void)differences;
	engine->adopting = false;
	if (err) {
		engine_event(engine, "adopt", false, "%s", err->text);
		engine_want_reload(engine, "the running HAProxy cannot be read back");
	} else {
		engine_event(engine, "adopt", true, "worker %d: %zu differences",
			     engine->worker_pid, found);
		if (found == 0 && !engine->queue) {
			engine_set_state(engine, ENGINE_READY);
			engine_report_applied(engine, NULL);
		}
	}
	engine_done(engine);
}

/* The HAProxy that was found running has loaded its configuration. */
static void adopted_answers(struct engine *engine, const struct reply_info *info)
{
	learn_worker(engine, info);
	if (info->stopping) { /* it lets its last requests end, beside the next one */
		engine_event(engine, "adopt", false, "worker %d is stopping", info->pid);
		if (!engine->options.external) /* else the next one comes when it has hung up */
			start_haproxy(engine);
		return;
	}
	if (engine_same_schema(engine, info->description)) {
		engine_learn_schema(engine);
		engine->hold_until_ms = engine_now_ms() + HOLD_MS;
		engine_check(engine, CHECK_FULL, false, on_adopted);
		return;
	}
	other_schema(engine);
}

static void adopt_haproxy(struct engine *engine)
{
	engine->stats.haproxy_pid = (int)process_pid(engine->haproxy);
	engine->operation = OP_START;
	engine->operation_started_ms = engine_now_ms();
	engine->adopting = true;
	engine_test_binds(engine);
	await_answer(engine);
}

void engine_begin(struct engine *engine)
{
	struct arena *arena = arena_new();
	struct str words = arena_strf(arena, "-p%c%s/haproxy.pid", 0, engine->run_dir);
	engine_load_overrides(engine);
	if (!engine->options.external)
		start_agent(engine);
	if (!engine->options.external &&
	    process_adopt(engine->haproxy, (struct str){ words.p, words.n + 1 })) {
		adopt_haproxy(engine);
	} else { /* from the loop: what the source has already is part of it */
		engine->operation = OP_START;
		engine->operation_started_ms = engine_now_ms();
		engine->haproxy_backoff.repeat = 1e-3;
		ev_timer_again(engine->loop, &engine->haproxy_backoff);
	}
	arena_free(arena);
}

/* ---- reload ---- */

/* What was rendered did not come to life: learn again what HAProxy has, and try later. */
static void reload_failed(struct engine *engine, const char *why)
{
	engine_event(engine, "reload", false, "%s", why);
	engine->old_worker_pid = 0;
	ev_timer_set(&engine->reload_backoff, backoff_s(++engine->reload_failures), 0);
	ev_timer_start(engine->loop, &engine->reload_backoff);
	engine->reload_wanted = true;
	engine_block_others(engine, why);
	engine->unread = true;
	engine_want_repair(engine, "a reload failed");
	engine_set_state(engine, ENGINE_DEGRADED);
	struct error err;
	error_set(&err, ERR_REFUSED, "%s", why);
	engine_report_applied(engine, &err);
	engine_done(engine);
}

static void on_reload_backoff(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	engine_wake(timer->data);
}

static void on_reload_answer(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	/* Before 2.7 the master closes without a word; later it says how it went. */
	if (failed && engine->state->caps.sync_reload) {
		reload_failed(engine, failed->text);
	} else if (memmem(reply.p, reply.n, "Success=0", 9)) {
		char text[160];
		snprintf(text, sizeof(text), STR_FMT, STR_ARG(str_sub(reply, 0, 150)));
		reload_failed(engine, text);
	} else {
		engine->deadline_ms = engine_now_ms() + START_TIMEOUT_MS;
		engine->doubt_ms = engine_now_ms() + DOUBT_MS;
		poll_soon(engine);
	}
}

static void on_config_checked(void *user, struct str output, bool success)
{
	struct engine *engine = user;
	if (engine->operation != OP_RELOAD)
		return; /* HAProxy ended meanwhile and is being started, or we stop */
	if (!success) {
		char text[ALERT_BYTES + 20];
		snprintf(text, sizeof(text), "haproxy -c: " STR_FMT, STR_ARG(first_alert(output)));
		reload_failed(engine, text);
		return;
	}
	send_reload(engine);
}

static void on_worker_known(void *user, struct str reply, const struct error *failed)
{
	struct engine *engine = user;
	struct reply_info info;
	struct error err;
	engine->old_worker_pid = -1; /* any worker is the new one if the old one is mute */
	if (!failed && reply_info(reply, &info, &err))
		engine->old_worker_pid = info.pid;
	state_settle(engine->state);
	engine_test_binds(engine);
	if (!engine_write_all(engine, &err) || !check_config(engine, on_config_checked, &err))
		reload_failed(engine, err.text);
}

void engine_reload(struct engine *engine)
{
	engine->operation = OP_RELOAD;
	engine->reload_wanted = false;
	engine->stats.reloads++;
	reasons_add(&engine->reasons, engine->reload_reason);
	runtime_send(engine->runtime, STR("show info\n"), REPLY_BYTES, on_worker_known, engine);
}

/* ---- stop ---- */

/* Finish what is under way (SIGUSR1); leave; be gone. Again and again: a master that executes
 * itself anew for a reload forgets what it was told before. */
static void signal_stop(struct engine *engine)
{
	int64_t waited_ms = engine_now_ms() - engine->stop_started_ms;
	int64_t grace_ms = (int64_t)engine->options.stop_timeout_s * 1000;
	process_signal(engine->haproxy, waited_ms < grace_ms		   ? SIGUSR1 :
					waited_ms < grace_ms + STOP_KILL_MS ? SIGTERM :
									      SIGKILL);
}

static void on_stop_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	signal_stop(timer->data);
}

void engine_process_stop(struct engine *engine)
{
	engine->stop_started_ms = engine_now_ms();
	ev_timer_stop(engine->loop, &engine->haproxy_backoff);
	ev_timer_stop(engine->loop, &engine->agent_backoff);
	if (process_pid(engine->haproxy) == 0) {
		process_signal(engine->agent, SIGTERM);
		engine_set_state(engine, ENGINE_STOPPED);
		return;
	}
	signal_stop(engine);
	ev_timer_set(&engine->stop_timer, STOP_REPEAT_MS / 1000.0, STOP_REPEAT_MS / 1000.0);
	ev_timer_start(engine->loop, &engine->stop_timer);
}

void engine_process_init(struct engine *engine)
{
	engine->haproxy = process_new(engine->loop, on_haproxy_ended, engine);
	engine->agent = process_new(engine->loop, on_agent_ended, engine);
	ev_timer_init(&engine->poll, on_poll, 0.0, 0.0);
	ev_timer_init(&engine->haproxy_backoff, on_haproxy_backoff, 0.0, 0.0);
	ev_timer_init(&engine->reload_backoff, on_reload_backoff, 0.0, 0.0);
	ev_timer_init(&engine->agent_backoff, on_agent_backoff, 0.0, 0.0);
	ev_timer_init(&engine->stop_timer, on_stop_timer, 0.0, 0.0);
	engine->poll.data = engine->haproxy_backoff.data = engine->reload_backoff.data =
		engine->agent_backoff.data = engine->stop_timer.data = engine;
}
