/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: source, store, compiler and engine in one libev loop.
 *
 *  source ──put──► store ──mark──► compiler ──pass──► engine ──applied──► waiters, metrics
 *                    ▲      dns ──mark──┘               ▲
 *                    └── overrides (weights)            └── overrides (drained servers)
 *
 * Until the source has given a whole and readable picture, the last-good plan of the run
 * directory is served if there is one ("holding"). struct app is open to the parts that
 * report on it (metrics, answers); only app.c changes it. */
#pragma once

#include "daemon/cluster.h"
#include "daemon/engine.h"
#include "daemon/overrides.h"
#include "daemon/sources.h"
#include "plan/compile.h"
#include "source/dns.h"

#include <ev.h>

struct app_options {
	struct engine_options engine;
	struct sources_options sources;
	struct cluster_options cluster;
	const char *state_dir;
	const char *control; /* path of the Unix socket */
	const char *metrics; /* "ADDR:PORT" or NULL */
	const char *dns;     /* servers, or NULL */
	const char *controller_name;
	unsigned drain_s; /* from the signal to the stop; 0: at once */
	const char *self;  /* our own binary, for the upgrade in place */
	char *const *argv; /* likewise */
};

/* Durations in seconds, as Prometheus counts them. */
enum { HISTOGRAM_BUCKETS = 13 };
extern const double histogram_bounds[HISTOGRAM_BUCKETS];
struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS]; /* not cumulative; above the last: only in count */
	uint64_t count;
	double sum;
};
void histogram_add(struct histogram *histogram, double seconds);

/* Called once when every change made so far is in HAProxy; err when it was refused. */
typedef void (*app_applied_fn)(void *user, const struct error *err);

struct app_waiter {
	uint64_t sequence; /* of the update it waits for */
	app_applied_fn fn;
	void *user;
};

struct app_update { /* sent to the engine, not applied yet */
	uint64_t sequence;
	double at; /* clock_s() */
};

struct control;

struct app {
	struct app_options options;
	struct ev_loop *loop;
	struct store *store;
	struct compiler *compiler;
	struct overrides *overrides;
	struct sources sources;
	struct cluster *cluster; /* NULL: no API server, or nothing is written to it */
	struct dns *dns;
	struct engine *engine;
	struct control *control;
	int lock_fd;

	bool engine_started;
	bool complete;	 /* the plan in the engine comes from the source */
	bool behind;	 /* changes were held back: the next ones are found by comparison */
	bool failed;	 /* HAProxy cannot be started at all */
	bool accept_all; /* SIGHUP: what the source has counts, even nothing */
	bool ready;	 /* has been */
	bool draining, stopping, upgrading;
	bool leaving; /* the cluster's lead is being given back */
	double told_to_stop_at; /* clock_s() */
	char stale[640];   /* what was last logged of why the source may be old */
	char holding[320]; /* why there is no first plan yet, and the last-good one is served if there
			    * is one; "": it is there */
	double waiting_since; /* for what others refer to; clock_s(); 0: nothing */
	char trouble[320]; /* the last failure of an apply; "": none */

	uint64_t sent, applied; /* sequences */
	struct app_update *updates;
	size_t update_count, update_capacity;
	struct app_waiter *waiters;
	size_t waiter_count, waiter_capacity;

	uint64_t pass_count, change_count;
	struct histogram pass_seconds, apply_seconds;
	double started_at; /* clock_s() */
	uint64_t last_event; /* of the engine that was logged */
	struct map *known_findings; /* texts that were logged */
	uint64_t logged_pass;	    /* the pass whose findings were logged; UINT64_MAX: none */
	uint64_t logged_blocks;	    /* and what could not be bound then */

	ev_signal sighup, sigterm, sigint, sigusr2;
	ev_timer dns_settled, housekeeping, watchdog, drained;
};

/* Runs until stopped; returns the exit status. With SIGUSR2 it does not return: the process
 * becomes the new binary. */
int app_run(const struct app_options *options);

/* "" when ready; else one sentence why not. */
const char *app_not_ready(const struct app *app);

/* Why the last-good plan is served; "" when it is not. */
const char *app_holding(const struct app *app);

/* Why HAProxy is not what the source says, or not for sure; "" when it is. */
const char *app_trouble(const struct app *app);

/* What HAProxy is says of all Gateways. Borrowed from app, until it goes on. */
struct status_live app_live(struct app *app);

/* The route gets the weights that the overrides say now; fn is called when it has, at once even. */
void app_route_changed(struct app *app, const struct object *route, app_applied_fn fn,
		       void *user);

/* Findings of files, resolve and compile; sorted. */
void app_findings(const struct app *app, struct findings *findings);
