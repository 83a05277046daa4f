/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/app.h"

#include "base/map.h"
#include "daemon/control.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "source/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Several names often change together (one zone, one TTL). */
#define DNS_SETTLE_S 0.02
#define HOUSEKEEPING_S 1.0
#define WAIT_S 3.0 /* of a pass, for what its objects refer to */
#define SAME_SIGNAL_S 1.0
#define LOCK_PAUSE_NS (10 * 1000 * 1000)
#define LOCK_TRIES 200 /* two seconds */
#define NEXT_PASS UINT64_MAX /* sequence of a waiter: not known before the pass */

const double histogram_bounds[HISTOGRAM_BUCKETS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
						     0.25,  0.5,    1,	   2.5,	 5,	10 };

void histogram_add(struct histogram *histogram, double seconds)
{
	histogram->count++;
	histogram->sum += seconds;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (seconds <= histogram_bounds[i]) {
			histogram->buckets[i]++;
			return;
		}
	}
}

/* ---- waiting for an apply ---- */

static void add_waiter(struct app *app, uint64_t sequence, app_applied_fn fn, void *user)
{
	app->waiters = grow(app->waiters, app->waiter_count, &app->waiter_capacity,
			    sizeof(*app->waiters));
	app->waiters[app->waiter_count++] = (struct app_waiter){ sequence, fn, user };
}

static void wake_waiters(struct app *app, const struct error *err)
{
	/* A waiter may start another wait: take the whole list first. */
	struct app_waiter *waiters = app->waiters;
	size_t count = app->waiter_count;
	app->waiters = NULL;
	app->waiter_count = app->waiter_capacity = 0;
	for (size_t i = 0; i < count; i++) {
		if (waiters[i].sequence <= app->applied)
			waiters[i].fn(waiters[i].user, err);
		else
			add_waiter(app, waiters[i].sequence, waiters[i].fn, waiters[i].user);
	}
	free(waiters);
}

/* Those who wait for the next pass wait for what it sent from now on. */
static void assign_waiters(struct app *app)
{
	for (size_t i = 0; i < app->waiter_count; i++) {
		if (app->waiters[i].sequence == NEXT_PASS)
			app->waiters[i].sequence = app->sent;
	}
	if (app->applied >= app->sent)
		wake_waiters(app, NULL);
}

static void count_applied(struct app *app, uint64_t sequence)
{
	size_t kept = 0;
	for (size_t i = 0; i < app->update_count; i++) {
		if (app->updates[i].sequence <= sequence)
			histogram_add(&app->apply_seconds,
				      clock_s() - app->updates[i].at);
		else
			app->updates[kept++] = app->updates[i];
	}
	app->update_count = kept;
}

/* ---- what the engine tells ---- */

static void log_events(struct app *app)
{
	struct engine_event events[32];
	size_t count = engine_events(app->engine, events, 32);
	for (size_t i = count; i > 0; i--) {
		const struct engine_event *event = &events[i - 1];
		if (event->number <= app->last_event)
			continue;
		app->last_event = event->number;
		bool routine = event->ok && strcmp(event->what, "apply") == 0;
		log_about(!event->ok ? LOG_LEVEL_WARNING :
				       routine ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
			  NULL, "%s%s%s%s: %zu changes, %zu commands, %lld ms", event->what,
			  event->ok ? "" : " failed", event->reason[0] ? ": " : "", event->reason,
			  event->change_count, event->command_count,
			  (long long)event->duration_ms);
	}
}

/* Why HAProxy is not what it should be; "" when it is. */
static const char *engine_trouble(const struct app *app)
{
	if (!app->engine_started)
		return app->holding[0] ? app->holding :
		       app->stale[0]   ? app->stale :
					 "HAProxy is not started yet";
	switch (engine_state(app->engine)) {
	case ENGINE_READY:
		break;
	case ENGINE_DEGRADED:
		return "HAProxy is down or refuses commands; being retried";
	case ENGINE_STARTING:
		return "HAProxy is being brought to the plan";
	default:
		return "HAProxy is stopped";
	}
	if (!app->ready && app->applied < app->sent)
		return "the first plan is being applied";
	return "";
}

const char *app_not_ready(const struct app *app)
{
	return app->stopping ? "stopping" : app->draining ? "draining" : engine_trouble(app);
}

const char *app_holding(const struct app *app)
{
	return app->engine_started ? app->holding : "";
}

const char *app_trouble(const struct app *app)
{
	return app->trouble[0] ? app->trouble :
	       app->holding[0] ? app->holding :
				 engine_trouble(app);
}

static struct str blocked(void *user, struct str frontend)
{
	const struct app *app = user;
	return app->engine ? engine_blocked(app->engine, frontend) : STR_NONE;
}

struct status_live app_live(struct app *app)
{
	const char *trouble = app_trouble(app);
	return (struct status_live){ .programmed = !*trouble && app->applied >= app->sent,
				     .message = str_of(trouble),
				     .blocked = blocked,
				     .user = app };
}

static void notify_ready(const struct app *app)
{
	notify_send("READY=1\nSTATUS=%s\n",
		    app->holding[0] ? app->holding : "HAProxy is what the source says");
}

static void note_ready(struct app *app)
{
	if (app->ready || *app_not_ready(app))
		return;
	app->ready = true;
	struct engine_stats stats;
	engine_stats(app->engine, &stats);
	const struct haproxy_caps *caps = engine_caps(app->engine);
	log_info("ready: HAProxy %u.%u.%u, worker %d, %.3f s after the start", caps->major,
		 caps->minor, caps->patch, stats.worker_pid, clock_s() - app->started_at);
	notify_ready(app);
}

static void on_applied(void *user, uint64_t sequence, const struct error *err)
{
	struct app *app = user;
	if (sequence > app->applied)
		app->applied = sequence;
	snprintf(app->trouble, sizeof(app->trouble), "%s", err ? err->text : "");
	if (err)
		log_error("apply: %s", err->text);
	count_applied(app, sequence);
	log_events(app);
	note_ready(app);
	if (app->cluster)
		cluster_applied(app->cluster);
	wake_waiters(app, err);
}

static void finish_stop(struct app *app)
{
	if (app->stopping && !app->leaving && engine_state(app->engine) == ENGINE_STOPPED)
		ev_break(app->loop, EVBREAK_ALL);
}

static void on_state_changed(void *user, enum engine_state state)
{
	struct app *app = user;
	static const char *const names[] = { "stopped", "starting", "ready", "degraded",
					     "stopping" };
	/* engine_new() may report before it has returned. */
	if (!app->engine)
		return;
	log_about(state == ENGINE_DEGRADED ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, NULL,
		  "engine: %s", names[state]);
	log_events(app);
	note_ready(app);
	if (app->cluster)
		cluster_applied(app->cluster);
	finish_stop(app);
}

static bool on_certificate(void *user, struct str name, struct str digest, struct str *ret_pem)
{
	struct app *app = user;
	/* "namespace.secret": a namespace has no dots. */
	struct str secret = name;
	struct str ns = str_cut(&secret, '.');
	const struct object *object = store_get(app->store, KIND_SECRET, ns, secret);
	if (!object || !object->secret.is_tls || !str_eq(object->secret.digest, digest))
		return false;
	*ret_pem = object->secret.pem;
	return true;
}

/* ---- passes ---- */

static void follow_hosts(struct app *app)
{
	struct arena *arena = arena_new();
	size_t count;
	struct str *hosts = compiler_hosts(app->compiler, arena, &count);
	dns_follow(app->dns, hosts, count);
	arena_free(arena);
}

static struct changes *make_pass(struct app *app)
{
	struct compile_options options = {
		.resolve = { .now_s = (int64_t)ev_time(),
			     .controller_name = str_of(app->options.controller_name),
			     .service_ns = cluster_service_ns(app->cluster),
			     .service_defaults = cluster_service_defaults(app->cluster),
			     .pool = cluster_pool(app->cluster),
			     .addresses_told = app->options.cluster.address_count > 0 },
		.lookup = dns_lookup,
		.lookup_user = app->dns,
	};
	double begin = clock_s();
	struct changes *changes = compile_pass(app->compiler, &options);
	histogram_add(&app->pass_seconds, clock_s() - begin);
	app->pass_count++;
	app->change_count += changes->count;

	if (compiler_hosts_changed(app->compiler))
		follow_hosts(app);
	if (compiler_needs_changed(app->compiler)) {
		const struct gateways_view *gateways = compiler_gateways(app->compiler);
		sources_follow(&app->sources, gateways->needs, gateways->need_count);
	}
	return changes;
}

/* even_none: an update without changes is one, too. */
static void send_changes(struct app *app, struct changes *changes, bool even_none)
{
	if (changes->count == 0 && !even_none) {
		changes_free(changes);
		return;
	}
	log_debug("pass: %zu changes", changes->count);
	/* The engine may report from inside this call: the sequence is ours to foresee only
	 * once it returns, so waiters look at `sent` after it. */
	uint64_t sequence = engine_update(app->engine, changes);
	app->sent = sequence;
	if (app->applied >= sequence)
		return;
	app->updates = grow(app->updates, app->update_count, &app->update_capacity,
			    sizeof(*app->updates));
	app->updates[app->update_count++] = (struct app_update){ sequence, clock_s() };
}

/* Servers that an operator drained stay so over restarts of ours. */
static void restore_servers(struct app *app)
{
	size_t count;
	const struct server_override *servers = overrides_servers(app->overrides, &count);
	for (size_t i = 0; i < count; i++) {
		struct error err;
		if (!engine_override_server(app->engine, str_of(servers[i].backend),
					    str_of(servers[i].server), servers[i].state, &err))
			log_warning("override of %s/%s: %s", servers[i].backend, servers[i].server,
				    err.text);
	}
}

static bool start_engine(struct app *app, const struct plan *plan, struct error *err)
{
	if (!engine_start(app->engine, plan, err))
		return false;
	app->engine_started = true;
	restore_servers(app);
	return true;
}

/* The first plan of the source: HAProxy starts with it, or goes there from the last-good one. */
static void take_over(struct app *app)
{
	struct plan *plan = compiler_plan(app->compiler);
	struct error err;
	if (app->engine_started) {
		/* Even without changes: a HAProxy that was found running has waited for it. */
		send_changes(app, plan_diff(engine_plan(app->engine), plan), true);
		app->complete = true;
	} else if (start_engine(app, plan, &err)) {
		app->complete = true;
	} else {
		log_error("%s", err.text);
		snprintf(app->trouble, sizeof(app->trouble), "%s", err.text);
		app->failed = true;
		ev_break(app->loop, EVBREAK_ALL);
	}
	plan_free(plan);
}

static bool keep_holding(struct app *app)
{
	char why[sizeof(app->holding) - 40];
	if (app->accept_all)
		return false;
	sources_doubt(&app->sources, app->engine_started, why, sizeof(why));
	if (!*why)
		return false;
	char text[sizeof(app->holding)];
	snprintf(text, sizeof(text), "%s%s",
		 app->engine_started ? "the last-good plan is served: " : "", why);
	if (strcmp(text, app->holding) != 0)
		log_warning("%s", text);
	memcpy(app->holding, text, sizeof(text));
	return true;
}

/* A pass over objects of which some wait for others: a route to a listener whose certificate is
 * on its way must not take down what is served now. */
static void hold_back(struct app *app, struct changes *changes)
{
	app->behind |= changes->count > 0;
	changes_free(changes);
}

static void send_pass(struct app *app, struct changes *changes)
{
	if (app->complete && !app->behind) {
		send_changes(app, changes, false);
		return;
	}
	changes_free(changes);
	if (!app->complete && keep_holding(app))
		return;
	bool held = app->holding[0] != '\0';
	app->holding[0] = '\0';
	app->behind = false;
	take_over(app);
	if (held && app->ready)
		notify_ready(app);
}

/* The first plan waits for all that comes; later ones, which are everybody's, for a moment. */
static bool must_wait(struct app *app)
{
	struct source_state state;
	sources_state(&app->sources, &state);
	if (!state.waiting)
		app->waiting_since = 0;
	else if (app->waiting_since == 0)
		app->waiting_since = clock_s();
	return state.waiting && (!app->complete || clock_s() - app->waiting_since < WAIT_S);
}

static void run_pass(struct app *app)
{
	struct source_state state;
	if (app->stopping)
		return;
	sources_state(&app->sources, &state);
	if (!state.complete)
		return;
	struct changes *changes = make_pass(app);
	bool waits = must_wait(app);
	if (waits)
		hold_back(app, changes);
	else
		send_pass(app, changes);
	if (app->cluster)
		cluster_passed(app->cluster, waits);
	store_reap(app->store);
	if (!waits)
		assign_waiters(app);
	note_ready(app);
}

/* ---- sources ---- */

/* A Secret that stops being a usable certificate: what it was keeps serving. The source has a
 * finding on what is wrong with the new one. */
static bool keeps_old_certificate(const struct app *app, const struct object *object)
{
	if (object->kind != KIND_SECRET || object->secret.is_tls)
		return false;
	const struct object *old =
		store_get(app->store, KIND_SECRET, object->meta.ns, object->meta.name);
	return old && old->secret.is_tls;
}

static void on_put(void *user, struct object *object)
{
	struct app *app = user;
	if (keeps_old_certificate(app, object)) {
		object_free(object);
		return;
	}
	overrides_apply(app->overrides, object);
	enum kind kind = object->kind;
	struct arena *names = arena_new(); /* the store may free the object at any later put */
	struct str ns = arena_str(names, object->meta.ns);
	struct str name = arena_str(names, object->meta.name);
	store_put(app->store, object);
	compiler_mark(app->compiler, kind, ns, name);
	arena_free(names);
}

static void on_remove(void *user, enum kind kind, struct str ns, struct str name)
{
	struct app *app = user;
	if (app->cluster)
		cluster_gone(app->cluster, kind, ns, name);
	if (store_delete(app->store, kind, ns, name))
		compiler_mark(app->compiler, kind, ns, name);
}

static void on_settled(void *user)
{
	run_pass(user);
}

static void on_dns_changed(void *user, struct str host)
{
	struct app *app = user;
	compiler_mark_host(app->compiler, host);
	if (!ev_is_active(&app->dns_settled)) {
		ev_timer_set(&app->dns_settled, DNS_SETTLE_S, 0);
		ev_timer_start(app->loop, &app->dns_settled);
	}
}

static void on_dns_settled(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	run_pass(timer->data);
}

void app_route_changed(struct app *app, const struct object *route, app_applied_fn fn, void *user)
{
	const struct meta *meta = &route->meta;
	struct object *edited = store_edit(app->store, route->kind, meta->ns, meta->name);
	if (edited) {
		overrides_apply(app->overrides, edited);
		compiler_mark(app->compiler, edited->kind, meta->ns, meta->name);
	}
	if (app->complete) {
		add_waiter(app, NEXT_PASS, fn, user);
		run_pass(app);
	} else {
		struct error err;
		error_set(&err, ERR_LIMIT, "%s", app_trouble(app));
		fn(user, &err);
	}
}

/* ---- findings ---- */

/* Listeners whose frontend HAProxy cannot have. */
static void bind_findings(const struct app *app, struct findings *findings)
{
	/* Before the first pass, and without an engine, there is nothing to bind. */
	const struct gateways_view *view = app->engine ? compiler_gateways(app->compiler) : NULL;
	for (size_t i = 0; view && i < view->gateway_count; i++) {
		const struct gateway_view *gateway = &view->gateways[i];
		for (size_t k = 0; k < gateway->listener_count; k++) {
			struct str why = engine_blocked(app->engine, gateway->listeners[k].frontend);
			char field[64];
			snprintf(field, sizeof(field), "spec.listeners[%zu].port", k);
			if (!str_empty(why))
				findings_add(findings, SEVERITY_ERROR, KIND_GATEWAY,
					     &gateway->object->meta, field, "PortUnavailable",
					     STR_FMT, STR_ARG(why));
		}
	}
}

void app_findings(const struct app *app, struct findings *findings)
{
	sources_findings(&app->sources, findings);
	bind_findings(app, findings);
	if (app->cluster)
		cluster_findings(app->cluster, findings);
	compiler_findings(app->compiler, findings);
	if (findings->count)
		qsort(findings->items, findings->count, sizeof(*findings->items), finding_cmp);
}

static void log_finding(const struct finding *finding)
{
	struct log_object object = {
		.kind = finding->kind == KIND_NONE ? "File" : kind_table[finding->kind].name,
		.ns = finding->ns,
		.name = finding->name,
	};
	bool has_field = !str_empty(finding->field);
	log_about(finding->severity == SEVERITY_INFO ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, &object,
		  STR_FMT "%s" STR_FMT " (" STR_FMT ")%s" STR_FMT, STR_ARG(finding->field),
		  has_field ? ": " : "", STR_ARG(finding->text), STR_ARG(finding->reason),
		  str_empty(finding->origin) ? "" : " in ", STR_ARG(finding->origin));
}

/* Logs each finding once for as long as it lasts, and has the cluster told. */
static void log_findings(struct app *app)
{
	struct arena *arena = arena_new();
	struct findings findings;
	findings_init(&findings, arena);
	app_findings(app, &findings);
	struct map *known = map_new();
	for (size_t i = 0; i < findings.count; i++) {
		const struct finding *f = &findings.items[i];
		struct str key = arena_strf(arena, "%d\t" STR_FMT "\t" STR_FMT "\t" STR_FMT
						   "\t" STR_FMT,
					    (int)f->kind, STR_ARG(f->ns), STR_ARG(f->name),
					    STR_ARG(f->field), STR_ARG(f->text));
		if (!map_get(app->known_findings, key))
			log_finding(f);
		map_put(known, key, known);
	}
	if (app->cluster)
		cluster_problems(app->cluster, &findings);
	map_free(app->known_findings, NULL);
	app->known_findings = known;
	arena_free(arena);
}

/* Once when the source goes away, and once when it is back. */
static void log_source(struct app *app)
{
	struct source_state state;
	sources_state(&app->sources, &state);
	if (strcmp(state.stale, app->stale) == 0)
		return;
	if (state.stale[0])
		log_about(app->stale[0] ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, NULL,
			  "source: %s; what it said before stays in force", state.stale);
	else
		log_info("source: up to date again");
	memcpy(app->stale, state.stale, sizeof(app->stale));
}

static void on_housekeeping(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	struct app *app = timer->data;
	struct engine_stats stats = { 0 };
	log_source(app);
	if (app->engine)
		engine_stats(app->engine, &stats);
	bool rebound = app->logged_blocks != stats.block_changes;
	if (rebound && app->cluster)
		cluster_rebound(app->cluster);
	if (rebound || app->logged_pass != app->pass_count ||
	    (app->cluster && cluster_turned(app->cluster))) {
		app->logged_pass = app->pass_count;
		app->logged_blocks = stats.block_changes;
		log_findings(app);
	}
	log_events(app);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	notify_send("WATCHDOG=1\n");
}

/* ---- signals ---- */

static void on_hup(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)loop;
	(void)revents;
	struct app *app = watcher->data;
	log_info("SIGHUP: looking at everything again");
	if (app->ready)
		notify_reloading();
	app->accept_all = true;
	sources_rescan(&app->sources);
	compiler_mark_all(app->compiler);
	run_pass(app);
	if (app->ready)
		notify_ready(app);
}

static void on_left(void *user)
{
	struct app *app = user;
	app->leaving = false;
	finish_stop(app);
}

static void stop(struct app *app, enum engine_stop how)
{
	app->stopping = app->leaving = true;
	if (app->cluster)
		cluster_stop(app->cluster, on_left, app);
	else
		app->leaving = false;
	sources_fini(&app->sources);
	ev_timer_stop(app->loop, &app->housekeeping);
	ev_timer_stop(app->loop, &app->dns_settled);
	ev_timer_stop(app->loop, &app->drained);
	if (app->engine_started)
		engine_stop(app->engine, how);
	finish_stop(app);
}

static void stop_all(struct app *app)
{
	log_info("stopping: HAProxy %s",
		 app->options.engine.external ? "goes on" : "finishes its requests and stops");
	stop(app, ENGINE_STOP_ALL);
}

static void on_drained(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	stop_all(timer->data);
}

/* Who asks /readyz is to look elsewhere before connections are refused. */
static void drain(struct app *app)
{
	log_info("draining: all goes on for %u s more, only /readyz says 503",
		 app->options.drain_s);
	app->draining = true;
	ev_timer_set(&app->drained, app->options.drain_s, 0);
	ev_timer_start(app->loop, &app->drained);
}

static void on_term(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)revents;
	struct app *app = watcher->data;
	double now = clock_s();
	/* timeout(1) and terminals signal the process and its group: that is one wish. */
	if ((app->draining || app->stopping) && now - app->told_to_stop_at < SAME_SIGNAL_S)
		return;
	app->told_to_stop_at = now;
	if (app->stopping) {
		log_warning("another signal %d: leaving at once", watcher->signum);
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	log_info("signal %d", watcher->signum);
	notify_send("STOPPING=1\n");
	if (app->draining || !app->options.drain_s)
		stop_all(app);
	else
		drain(app);
}

static void on_usr2(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)loop;
	(void)revents;
	struct app *app = watcher->data;
	if (app->draining || app->stopping)
		return;
	if (access(app->options.self, X_OK) != 0) {
		log_error("upgrade: %s: %s; carrying on as before", app->options.self,
			  strerror(errno));
		return;
	}
	log_info("SIGUSR2: becoming %s; HAProxy and the agent keep running", app->options.self);
	notify_reloading();
	app->upgrading = true;
	stop(app, ENGINE_LEAVE);
}

static void watch_signal(struct app *app, ev_signal *watcher, int signum,
			 void (*fn)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, fn, signum);
	watcher->data = app;
	ev_signal_start(app->loop, watcher);
	ev_unref(app->loop);
}

/* ---- start and end ---- */

static bool make_directory(const char *path, struct error *err)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return true;
	return error_errno(err, "cannot create %s: create it, or choose another with --run-dir or "
				"--state-dir", path);
}

/* After a kill, a child that has not executed its program yet has the lock for a moment. */
static bool lock_soon(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK)
			return false;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return false;
}

/* One tidegate a run directory: two would fight over HAProxy. */
static bool lock_run_dir(struct app *app, struct error *err)
{
	struct sb path;
	sb_init(&path, 8192);
	sb_addf(&path, "%s/tidegate.lock", app->options.engine.run_dir);
	app->lock_fd = open(path.data, O_RDONLY | O_CREAT | O_CLOEXEC, 0640);
	bool ok = app->lock_fd >= 0 && lock_soon(app->lock_fd);
	if (!ok && errno == EWOULDBLOCK)
		error_set(err, ERR_REFUSED, "another tidegate runs in %s: stop it, or use another "
					  "--run-dir", app->options.engine.run_dir);
	else if (!ok)
		error_errno(err, "cannot lock %s", path.data);
	sb_fini(&path);
	return ok;
}

static bool make_parts(struct app *app, struct error *err)
{
	const struct app_options *options = &app->options;
	const struct source_sink sink = { app, on_put, on_remove, on_settled };
	const struct engine_hooks hooks = { app, on_applied, on_state_changed, on_certificate };
	if (!make_directory(options->engine.run_dir, err) ||
	    !make_directory(options->state_dir, err) || !lock_run_dir(app, err))
		return false;
	app->store = store_new();
	app->compiler = compiler_new(app->store);
	app->overrides = overrides_new(options->state_dir);
	app->known_findings = map_new();
	if (!overrides_load(app->overrides, err))
		log_warning("overrides are not used: %s", err->text);
	app->engine = engine_new(app->loop, &options->engine, &hooks, err);
	if (!app->engine)
		return false;
	app->dns = dns_new(app->loop, options->dns, on_dns_changed, app, err);
	if (!app->dns)
		return false;
	if (!sources_init(&app->sources, app->loop, &options->sources, &sink, err))
		return false;
	if (app->sources.kube && !options->cluster.disabled) {
		app->cluster = cluster_new(app, &options->cluster, err);
		if (!app->cluster)
			return false;
	}
	app->control = control_new(app, err);
	return app->control != NULL;
}

static void start_last_good(struct app *app)
{
	struct error err;
	struct plan *plan = engine_last_plan(&app->options.engine, &err);
	if (!plan) {
		log_debug("no last-good plan: %s", err.text);
		return;
	}
	/* An empty one says nothing that a source could lose. */
	if (plan->count) {
		log_info("serving the last-good plan while the source is read");
		if (!start_engine(app, plan, &err))
			log_warning("last-good plan: %s", err.text);
	}
	plan_free(plan);
}

static void start_timers(struct app *app)
{
	ev_timer_init(&app->dns_settled, on_dns_settled, DNS_SETTLE_S, 0);
	app->dns_settled.data = app;
	ev_timer_init(&app->housekeeping, on_housekeeping, 0.2, HOUSEKEEPING_S);
	app->housekeeping.data = app;
	ev_timer_start(app->loop, &app->housekeeping);
	ev_timer_init(&app->drained, on_drained, 0, 0);
	app->drained.data = app;
	double watchdog_s = notify_watchdog_s();
	ev_timer_init(&app->watchdog, on_watchdog, watchdog_s, watchdog_s);
	if (watchdog_s > 0)
		ev_timer_start(app->loop, &app->watchdog);
}

static void app_fini(struct app *app)
{
	if (app->control)
		control_stop(app->control);
	cluster_free(app->cluster);
	sources_fini(&app->sources);
	engine_free(app->engine);
	control_free(app->control);
	dns_free(app->dns);
	overrides_free(app->overrides);
	compiler_free(app->compiler);
	store_free(app->store);
	map_free(app->known_findings, NULL);
	free(app->updates);
	free(app->waiters);
	if (app->lock_fd >= 0)
		close(app->lock_fd);
	ev_loop_destroy(app->loop);
}

static int finish(struct app *app)
{
	bool upgrade = app->upgrading, failed = !app->stopping;
	const char *self = app->options.self;
	char *const *argv = app->options.argv;
	app_fini(app);
	if (upgrade) {
		/* Every descriptor of ours is close-on-exec; the pid, and so systemd's main
		 * process, stays. */
		execv(self, argv);
		log_error("upgrade: cannot run %s: %s; HAProxy keeps serving", self,
			  strerror(errno));
		return 1;
	}
	return failed ? 1 : 0;
}

int app_run(const struct app_options *options)
{
	struct app app = { .options = *options, .lock_fd = -1, .logged_pass = UINT64_MAX };
	struct error err;
	signal(SIGPIPE, SIG_IGN);
	app.loop = ev_default_loop(0);
	app.started_at = clock_s();
	if (!make_parts(&app, &err)) {
		log_error("%s", err.text);
		return finish(&app);
	}
	watch_signal(&app, &app.sighup, SIGHUP, on_hup);
	watch_signal(&app, &app.sigterm, SIGTERM, on_term);
	watch_signal(&app, &app.sigint, SIGINT, on_term);
	watch_signal(&app, &app.sigusr2, SIGUSR2, on_usr2);
	start_timers(&app);
	start_last_good(&app);
	sources_start(&app.sources);
	/* A plan that could not be started has been logged; there is nothing to wait for. */
	if (!app.failed)
		ev_run(app.loop, 0);
	return finish(&app);
}
