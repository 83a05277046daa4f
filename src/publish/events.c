/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/events.h"

#include <bsd/sys/queue.h>
#include <ev.h>
#include <json-c/json.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/sb.h"
#include "source/clock.h"
#include "status/event.h"

enum {
	MAX_PROBLEMS = 10000, /* that are kept; the others are findings all the same */
	LIMIT_S = 30,
	KEY_BYTES = 8192,
	PATH_BYTES = 2048,
};
#define SPACING_S 0.25		/* between two Events */
#define REPEAT_S 60.0		/* between two of one problem */
#define COME_BACK_S 1.0		/* of an object that is gone */
#define LASTS_S (30 * 60.0)	/* a problem that lasts is told again: Events are kept for an hour */
#define FORGET_S (60 * 60.0)	/* how long one that is over counts as the same when it is back */
#define REFUSED_S (10 * 60.0)
#define WATCH_S 60.0

TAILQ_HEAD(problem_list, problem);

enum step { STEP_OBJECT = 0, STEP_CREATE, STEP_STORED, STEP_REPEAT };

struct problem {
	TAILQ_ENTRY(problem) link;
	struct events *events;
	bool queued;
	bool active, seen; /* wrong now; in the set that is being given */
	bool told;	   /* there is an Event */
	unsigned again;	   /* times that it came back since */
	unsigned attempt;  /* that has failed, one after the other */
	double told_s, gone_s, not_before_s;
	enum kind kind;
	const char *ns, *name, *reason, *note; /* they point into the key */
	char event[EVENT_NAME_BYTES]; /* the one that was told, or is being */
	size_t key_bytes;
	char key[]; /* all of these, each with a NUL behind it */
};

struct events {
	struct ev_loop *loop;
	struct kube_client *client;
	struct str controller, instance;
	struct events_ops ops;
	bool enabled, refused;
	struct map *problems;
	struct problem_list queue;
	struct problem *current; /* the one that runs; not in the queue */
	unsigned sending;	 /* of its times that it came back */
	enum step step;
	struct kube_request *request;
	ev_timer turn, watch;
	double last_s; /* when the last one began */
	struct events_stats stats;
};

/* ---- The queue ---- */

static void wake(struct events *events, double pause_s)
{
	double spacing_s = events->last_s + SPACING_S - clock_s();
	if (!events->enabled || events->current || TAILQ_EMPTY(&events->queue) ||
	    ev_is_active(&events->turn))
		return;
	if (pause_s < spacing_s)
		pause_s = spacing_s;
	ev_timer_set(&events->turn, pause_s, 0);
	ev_timer_start(events->loop, &events->turn);
}

static void enqueue(struct problem *problem)
{
	struct events *events = problem->events;
	if (!problem->queued && problem != events->current) {
		TAILQ_INSERT_TAIL(&events->queue, problem, link);
		problem->queued = true;
	}
	wake(events, 0);
}

static void dequeue(struct problem *problem)
{
	if (problem->queued)
		TAILQ_REMOVE(&problem->events->queue, problem, link);
	problem->queued = false;
}

static void forget(struct problem *problem)
{
	dequeue(problem);
	map_del(problem->events->problems, (struct str){ problem->key, problem->key_bytes });
	free(problem);
}

/* ---- The set ---- */

static const char *next_text(const char *text)
{
	return text + strlen(text) + 1;
}

static struct problem *new_problem(struct events *events, enum kind kind, struct str key)
{
	struct problem *problem = xcalloc(1, sizeof(*problem) + key.n);
	memcpy(problem->key, key.p, key.n);
	problem->key_bytes = key.n;
	problem->events = events;
	problem->kind = kind;
	problem->ns = next_text(problem->key);
	problem->name = next_text(problem->ns);
	problem->reason = next_text(problem->name);
	problem->note = next_text(problem->reason);
	map_put(events->problems, key, problem);
	return problem;
}

void events_begin(struct events *events)
{
	for (struct map_entry *e = map_first(events->problems); e; e = map_next(e))
		((struct problem *)map_value(e))->seen = false;
}

void events_add(struct events *events, enum kind kind, struct str ns, struct str name,
		struct str reason, struct str note)
{
	const struct str parts[] = { ns, name, reason, note };
	struct error err;
	struct sb key;
	sb_init(&key, KEY_BYTES);
	sb_addf(&key, "%d%c", (int)kind, '\0');
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		sb_add(&key, parts[i]);
		sb_addc(&key, '\0');
	}
	struct problem *problem = map_get(events->problems, sb_str(&key));
	if (!problem && sb_ok(&key, &err) && map_count(events->problems) < MAX_PROBLEMS)
		problem = new_problem(events, kind, sb_str(&key));
	if (problem)
		problem->seen = true;
	sb_fini(&key);
}

static void begin_problem(struct problem *problem)
{
	problem->active = true;
	problem->again += problem->told;
	problem->not_before_s = problem->told ? problem->told_s + REPEAT_S : 0;
	enqueue(problem);
}

static void end_problem(struct problem *problem)
{
	problem->active = false;
	problem->gone_s = clock_s();
	dequeue(problem);
	if (!problem->told && problem != problem->events->current)
		forget(problem);
}

void events_end(struct events *events)
{
	for (struct map_entry *e = map_first(events->problems), *next; e; e = next) {
		struct problem *problem = map_value(e);
		next = map_next(e);
		if (problem->seen && !problem->active)
			begin_problem(problem);
		else if (!problem->seen && problem->active)
			end_problem(problem);
	}
}

/* Nobody may have seen that it was gone for a moment. */
void events_gone(struct events *events, enum kind kind, struct str ns, struct str name)
{
	for (struct map_entry *e = map_first(events->problems); e; e = map_next(e)) {
		struct problem *problem = map_value(e);
		if (problem->kind != kind || !problem->active || !problem->told ||
		    !str_is(ns, problem->ns) || !str_is(name, problem->name))
			continue;
		problem->told = false;
		problem->again = 0;
		problem->not_before_s = clock_s() + COME_BACK_S;
		enqueue(problem);
	}
}

/* ---- Requests ---- */

static void on_done(void *user, const struct kube_answer *answer);

static const struct kube_request_ops request_ops = { NULL, on_done };

static void finish(struct events *events)
{
	struct problem *problem = events->current;
	events->current = NULL;
	if (!problem->active && !problem->told)
		forget(problem);
	else if (problem->active && problem->again)
		enqueue(problem);
	wake(events, 0);
}

static void put_off(struct events *events, double pause_s)
{
	struct problem *problem = events->current;
	events->current = NULL;
	problem->not_before_s = clock_s() + pause_s;
	if (problem->active)
		enqueue(problem);
	else if (!problem->told)
		forget(problem);
	wake(events, 0);
}

static void read_path(struct events *events, const char *path, enum step step)
{
	events->step = step;
	events->request = kube_get(events->client, path, LIMIT_S, &request_ops, events);
}

static void write_path(struct events *events, const char *method, const char *path,
		       const char *type, struct json_object *json, enum step step)
{
	const struct kube_call call = {
		.method = method,
		.path = path,
		.type = type,
		.body = str_of(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)),
	};
	events->step = step;
	events->request = kube_send(events->client, &call, LIMIT_S, &request_ops, events);
}

static void event_path(const struct problem *problem, const char *name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "/apis/events.k8s.io/v1/namespaces/%s/events%s%s",
		 *problem->ns ? problem->ns : "default", *name ? "/" : "", name);
}

/* What it is about is read first: for its UID, without which kubectl would not show the Event, and
 * which another object of that name does not have. */
static void read_object(struct events *events)
{
	const struct problem *problem = events->current;
	struct sb path;
	sb_init(&path, PATH_BYTES);
	bool ok = events->ops.path(events->ops.user, problem->kind, str_of(problem->ns),
				   str_of(problem->name), &path);
	if (ok)
		read_path(events, sb_str(&path).p, STEP_OBJECT);
	sb_fini(&path);
	if (!ok)
		put_off(events, REFUSED_S);
}

static void start(struct problem *problem)
{
	struct events *events = problem->events;
	dequeue(problem);
	events->current = problem;
	events->last_s = clock_s();
	read_object(events);
}

static void read_event(struct events *events)
{
	const struct problem *problem = events->current;
	char path[PATH_BYTES];
	event_path(problem, problem->event, path);
	read_path(events, path, STEP_STORED);
}

static void create(struct events *events, const struct event *event, struct json_object *object)
{
	struct problem *problem = events->current;
	char path[PATH_BYTES], now[CLOCK_TEXT_BYTES];
	clock_text(now);
	problem->told = false;
	problem->again = 0;
	event_path(problem, "", path);
	struct json_object *json = event_new(event, object, now);
	write_path(events, "POST", path, "application/json", json, STEP_CREATE);
	json_object_put(json);
}

/* The Event that was told has another name when the object has another UID. */
static void tell(struct events *events, struct json_object *object)
{
	struct problem *problem = events->current;
	const struct event event = { .reason = problem->reason,
				     .note = problem->note,
				     .controller = events->controller,
				     .instance = events->instance };
	char before[EVENT_NAME_BYTES];
	memcpy(before, problem->event, EVENT_NAME_BYTES);
	event_name(&event, object, problem->event);
	if (problem->told && strcmp(problem->event, before) == 0)
		read_event(events);
	else
		create(events, &event, object);
}

static void repeat(struct events *events, struct json_object *stored)
{
	struct problem *problem = events->current;
	char path[PATH_BYTES], now[CLOCK_TEXT_BYTES];
	clock_text(now);
	event_path(problem, problem->event, path);
	events->sending = problem->again;
	struct json_object *patch = event_repeat(stored, events->sending, now);
	write_path(events, "PATCH", path, "application/merge-patch+json", patch, STEP_REPEAT);
	json_object_put(patch);
}

static void note_told(struct events *events)
{
	events->refused = false;
	events->current->attempt = 0;
	events->current->again -= events->step == STEP_REPEAT ? events->sending : 0;
	events->current->told = true;
	events->current->told_s = clock_s();
	finish(events);
}

/* Rights do not come by themselves: somebody is told. Anything else passes. */
static void fail(struct events *events, const struct kube_answer *answer)
{
	events->stats.failures++;
	if (answer->status != 403 || answer->namespace_ends) {
		put_off(events, (double)kube_retry_ms(answer, &events->current->attempt) / 1000.0);
		return;
	}
	if (!events->refused)
		events->ops.refused(events->ops.user, answer->text);
	events->refused = true;
	put_off(events, REFUSED_S);
}

static void succeed(struct events *events, struct json_object *json)
{
	switch (events->step) {
	case STEP_OBJECT:
		tell(events, json);
		break;
	case STEP_STORED:
		repeat(events, json);
		break;
	case STEP_CREATE:
		events->stats.created++;
		note_told(events);
		break;
	case STEP_REPEAT:
		events->stats.repeated++;
		note_told(events);
		break;
	}
}

/* The Event has expired, or what it is about is gone. */
static void not_there(struct events *events)
{
	struct problem *problem = events->current;
	bool expired = events->step == STEP_STORED || events->step == STEP_REPEAT;
	problem->told = false;
	problem->again = 0;
	if (expired)
		read_object(events);
	else
		put_off(events, REPEAT_S);
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct events *events = user;
	events->request = NULL;
	if (answer->unanswered) {
		put_off(events, 0); /* the client holds it back */
	} else if (answer->status == 409 && events->step == STEP_CREATE) {
		note_told(events); /* before a restart, or by another leader */
	} else if (answer->status == 404 && events->step != STEP_CREATE) {
		not_there(events);
	} else if (answer->status / 100 != 2) {
		fail(events, answer);
	} else {
		succeed(events, answer->json);
	}
}

/* ---- Timers ---- */

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct events *events = timer->data;
	double now = clock_s();
	(void)loop;
	(void)revents;
	for (struct problem *problem = TAILQ_FIRST(&events->queue); problem;
	     problem = TAILQ_NEXT(problem, link)) {
		if (problem->not_before_s <= now) {
			start(problem);
			return;
		}
	}
	wake(events, 1.0);
}

/* Those that last are told again, and those that have long been over are forgotten. */
static void on_watch(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct events *events = timer->data;
	double now = clock_s();
	(void)loop;
	(void)revents;
	for (struct map_entry *e = map_first(events->problems), *next; e; e = next) {
		struct problem *problem = map_value(e);
		next = map_next(e);
		if (problem == events->current)
			continue;
		if (!problem->active && now - problem->gone_s > FORGET_S) {
			forget(problem);
		} else if (problem->active && problem->told && !problem->queued &&
			   now - problem->told_s > LASTS_S) {
			problem->again++;
			enqueue(problem);
		}
	}
}

/* ---- Lifetime ---- */

void events_enable(struct events *events, bool enabled)
{
	if (events->enabled == enabled)
		return;
	events->enabled = enabled;
	kube_cancel(events->request);
	events->request = NULL;
	events->current = NULL;
	for (struct map_entry *e = map_first(events->problems), *next; e; e = next) {
		struct problem *problem = map_value(e);
		next = map_next(e);
		dequeue(problem);
		if (!problem->active && !problem->told)
			forget(problem);
		else if (problem->active && (!problem->told || problem->again))
			enqueue(problem);
	}
	if (!enabled)
		ev_timer_stop(events->loop, &events->turn);
}

struct events *events_new(struct ev_loop *loop, struct kube_client *client, struct str controller,
			  struct str instance, const struct events_ops *ops)
{
	struct events *events = xcalloc(1, sizeof(*events));
	events->loop = loop;
	events->client = client;
	events->controller = controller;
	events->instance = instance;
	events->ops = *ops;
	events->problems = map_new();
	TAILQ_INIT(&events->queue);
	ev_timer_init(&events->turn, on_turn, 0, 0);
	ev_timer_init(&events->watch, on_watch, WATCH_S, WATCH_S);
	events->turn.data = events->watch.data = events;
	ev_timer_start(loop, &events->watch);
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	kube_cancel(events->request);
	ev_timer_stop(events->loop, &events->turn);
	ev_timer_stop(events->loop, &events->watch);
	map_free(events->problems, free);
	free(events);
}

void events_stats(const struct events *events, struct events_stats *ret_stats)
{
	*ret_stats = events->stats;
}
