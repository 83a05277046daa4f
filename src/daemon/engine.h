/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: makes a running HAProxy be what the plan says, and keeps it so.
 *
 *   engine_start(plan) ──► files rendered, HAProxy and agent started (or found running and
 *                          adopted, or waited for), read back ──► ready
 *   engine_update(changes) ──► runtime commands, in order ──► applied()   (schema: reload)
 *   all the time: read-back at a low rate, repair of drift, files rewritten, children
 *                 restarted with back-off
 *
 * The engine owns the run directory:
 *   haproxy.cfg  agent.spoe  maps/ certs/ (what HAProxy reads; follow memory within 2 s)
 *   haproxy.sock (runtime API)  master.sock  agent.sock  haproxy.pid
 *   haproxy.version (of a HAProxy that is somebody else's, who writes it before he starts it)
 *   plan.last  (last-good plan, text form)
 * Everything here runs in one libev loop; nothing blocks; files are written by one thread. */
#pragma once

#include "daemon/reasons.h"
#include "haproxy/caps.h"
#include "plan/plan.h"

struct ev_loop;
struct engine;

struct engine_options {
	/* Somebody else runs HAProxy and the agent, in containers or units of their own. We write
	 * the files, wait for haproxy.version and the master's socket, and use sockets alone; what
	 * ends is somebody else's to start again, and both run on when we end. */
	bool external;
	const char *run_dir;      /* created 0750 when absent */
	const char *haproxy;      /* path or name of the binary */
	const char *agent;        /* path of tidegate-spoa */
	const char *user, *group; /* HAProxy drops to these when we are root; may be NULL */
	unsigned haproxy_threads; /* 0: HAProxy's own choice */
	unsigned agent_threads;   /* 0: 1 */
	unsigned maxconn;         /* 0: HAProxy's own choice */
	unsigned stop_timeout_s;  /* for HAProxy's last requests, at a stop */
	unsigned spare_backends;  /* pool size on HAProxy < 3.4; 0: 64 */
	const char *log_target;   /* HAProxy `log` target: "stdout", "127.0.0.1:514", ... */
	bool access_log;
};

enum engine_state {
	ENGINE_STOPPED = 0,
	ENGINE_STARTING, /* HAProxy is not up yet, or not yet equal to the plan */
	ENGINE_READY,    /* HAProxy is what the plan says */
	ENGINE_DEGRADED, /* HAProxy is down or refuses; being retried */
	ENGINE_STOPPING,
};

/* One applied update, for `tidectl timeline` and metrics. */
struct engine_event {
	uint64_t number;        /* 1, 2, 3...: the clock may jump */
	int64_t at_ms;          /* wall clock */
	const char *what;       /* "start", "apply", "reload", "repair", "restart", ... */
	char reason[160];       /* for reloads, repairs, restarts; and errors */
	size_t change_count;
	size_t command_count;
	int64_t duration_ms;    /* from engine_update() to HAProxy's last answer */
	bool ok;
};

struct engine_hooks {
	void *user;
	/* Every update up to `sequence` is in HAProxy now; or failed, with err, and is being repaired:
	 * it is called again when that is done. */
	void (*applied)(void *user, uint64_t sequence, const struct error *err);
	void (*state_changed)(void *user, enum engine_state state);
	/* The PEM behind a certificate name and digest of the plan; false when it is gone.
	 * Called while an update or a render runs. */
	bool (*certificate)(void *user, struct str name, struct str digest, struct str *ret_pem);
};

struct engine *engine_new(struct ev_loop *loop, const struct engine_options *options,
			  const struct engine_hooks *hooks, struct error *err);
void engine_free(struct engine *engine);

/* The last-good plan of the run directory; NULL (with err) when there is none. */
struct plan *engine_last_plan(const struct engine_options *options, struct error *err);

/* Starts with this plan (copied). Fails with a message that says what to do: binary missing,
 * version below 2.6, run directory not writable. */
bool engine_start(struct engine *engine, const struct plan *plan, struct error *err) must_check;

/* Takes ownership of changes. Updates queue; several may be merged into one apply.
 * Returns the sequence number that applied() will name. */
uint64_t engine_update(struct engine *engine, struct changes *changes);

/* Drift is not repaired on servers whose state an operator set with these. server may be
 * empty: all of the backend. state: "ready", "drain", "maint". */
bool engine_override_server(struct engine *engine, struct str backend, struct str server,
			    const char *state, struct error *err) must_check;

/* Runs one Runtime API command of the operator; reply is delivered later from the loop. */
typedef void (*engine_reply_fn)(void *user, struct str reply, const struct error *err);
void engine_command(struct engine *engine, struct str command, engine_reply_fn reply, void *user);

/* Reads everything back now; delivers the differences as text lines ("map routes ... : HAProxy
 * has A, plan has B"), empty when there are none. Nothing is repaired by this call. */
void engine_diff(struct engine *engine, engine_reply_fn reply, void *user);

/* Asks the running HAProxy's maps and agent for the verdict of a request (explain --live):
 * the reply is the verdict. */
struct request;
void engine_ask(struct engine *engine, struct str frontend, struct str host,
		const struct request *request, engine_reply_fn reply, void *user);

enum engine_stop {
	ENGINE_STOP_ALL = 0, /* drain and stop HAProxy and the agent, then stopped */
	ENGINE_LEAVE,        /* leave both running for the next tidegate to adopt */
};
void engine_stop(struct engine *engine, enum engine_stop how);

enum engine_state engine_state(const struct engine *engine);
/* NULL while the version of somebody else's HAProxy is not known. */
const struct haproxy_caps *engine_caps(const struct engine *engine);
const struct plan *engine_plan(const struct engine *engine); /* what it is to be */
/* The backend of the plan behind a name in HAProxy (a spare has one of its own). */
struct str engine_backend_of(const struct engine *engine, struct str live_name);

struct engine_stats {
	uint64_t updates, commands, command_failures, reloads, drift_found, drift_repaired,
		haproxy_restarts, agent_restarts, readbacks;
	int haproxy_pid, worker_pid, agent_pid;
	uint64_t spare_backends_free;
	uint64_t files_failing; /* 1 while files cannot be written */
	uint64_t blocked;	/* frontends, as of engine_blocked() */
	uint64_t block_changes; /* how often that has changed */
};
void engine_stats(const struct engine *engine, struct engine_stats *ret_stats);

/* Why a frontend of the plan is not in HAProxy; STR_NONE: it is, or will be at once. It is tried
 * again every two seconds. Valid until the loop runs again. */
struct str engine_blocked(const struct engine *engine, struct str frontend);

/* The agent's own counters as it printed them at most some seconds ago (spoa/stats.h); empty
 * when it has not answered. Valid until the loop runs again. */
struct str engine_agent_stats(const struct engine *engine);

/* Why HAProxy was reloaded; changes with the next reload. */
const struct reasons *engine_reload_reasons(const struct engine *engine);

/* The last events, newest first. */
size_t engine_events(const struct engine *engine, struct engine_event *ret_events, size_t max);
