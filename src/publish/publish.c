/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/publish.h"

#include <bsd/sys/queue.h>
#include <ev.h>
#include <time.h>

#include "base/map.h"
#include "source/clock.h"
#include "source/json.h"
#include "status/merge.h"

enum {
	MAX_RUNNING = 16,
	TURN = 64, /* objects compared before the loop goes on */
	LIMIT_S = 30,
	KEY_BYTES = 640,
	TEXT_BYTES = 512,
	TIME_BYTES = 32,
	STATUS_BYTES = 4 * 1024 * 1024,
};
#define POLL_S 0.05  /* while something waits for its time */
#define SPACING_S 1.0 /* between two writes of one object */

const struct kube_limits publish_limits = { .rate_per_s = 400, .burst = 400, .unanswered = 20 };

TAILQ_HEAD(item_list, item);

/* What the API server has. */
struct known {
	unsigned char sum[STATUS_SUM_BYTES];
	uint64_t revision; /* resourceVersion as a number; 0: it is none */
	enum kind kind;
	bool has_status;
	double written_s; /* by us; 0: not yet */
};

/* An object that was marked. */
struct item {
	TAILQ_ENTRY(item) link;
	struct publisher *publisher;
	struct item_list *list; /* queue, later or running: where it is */
	enum kind kind;
	struct str ns, name; /* they point into the key */
	bool again;	     /* marked while it runs */
	bool reading;	     /* GET, or PATCH */
	bool failed;	     /* and not over it yet */
	unsigned attempt;
	double not_before_s;
	struct publish_basis basis;
	struct json_object *wanted; /* while it runs */
	unsigned char sum[STATUS_SUM_BYTES]; /* of wanted */
	struct kube_request *request;
	char key[];
};

struct publisher {
	struct ev_loop *loop;
	struct kube_client *client;
	struct publish_ops ops;
	struct str controller_name;
	bool enabled;
	struct map *known; /* "kind/namespace/name" -> struct known */
	struct map *items;
	struct item_list queue, later, running;
	size_t running_count;
	ev_timer timer;
	size_t failed[KIND_COUNT]; /* items */
	char problems[KIND_COUNT][TEXT_BYTES]; /* what the last one failed for; "": none has */
	struct publish_stats stats;
};

static struct str make_key(char key[KEY_BYTES], enum kind kind, struct str ns, struct str name)
{
	snprintf(key, KEY_BYTES, "%d/" STR_FMT "/" STR_FMT, (int)kind, STR_ARG(ns), STR_ARG(name));
	return str_of(key);
}

static bool has_status(enum kind kind)
{
	return kind == KIND_GATEWAYCLASS || kind == KIND_GATEWAY || kind_is_route(kind) ||
	       kind_is_ours(kind);
}

/* ---- The queue ---- */

static void wake(struct publisher *publisher, double pause_s)
{
	if (ev_is_active(&publisher->timer) &&
	    ev_timer_remaining(publisher->loop, &publisher->timer) <= pause_s)
		return;
	ev_timer_stop(publisher->loop, &publisher->timer);
	ev_timer_set(&publisher->timer, pause_s, 0);
	ev_timer_start(publisher->loop, &publisher->timer);
}

static void move_to(struct item *item, struct item_list *list)
{
	struct publisher *publisher = item->publisher;
	if (item->list) {
		TAILQ_REMOVE(item->list, item, link);
		publisher->running_count -= item->list == &publisher->running;
	}
	item->list = list;
	TAILQ_INSERT_TAIL(list, item, link);
	publisher->running_count += list == &publisher->running;
}

static void item_stop(struct item *item)
{
	kube_cancel(item->request);
	item->request = NULL;
	json_object_put(item->wanted);
	item->wanted = NULL;
}

/* The kind has a problem for as long as one of its items has. */
static void set_failed(struct item *item, bool failed, struct str why)
{
	struct publisher *publisher = item->publisher;
	publisher->failed[item->kind] += failed;
	publisher->failed[item->kind] -= item->failed;
	item->failed = failed;
	if (failed || publisher->failed[item->kind] == 0)
		snprintf(publisher->problems[item->kind], TEXT_BYTES, STR_FMT, STR_ARG(why));
}

static void item_free(struct item *item)
{
	struct publisher *publisher = item->publisher;
	item_stop(item);
	set_failed(item, false, STR_NONE);
	TAILQ_REMOVE(item->list, item, link);
	publisher->running_count -= item->list == &publisher->running;
	map_del(publisher->items, str_of(item->key));
	free(item);
}

static void put_off(struct item *item, double pause_s)
{
	item_stop(item);
	item->again = false;
	item->not_before_s = clock_s() + pause_s;
	move_to(item, &item->publisher->later);
	wake(item->publisher, POLL_S);
}

static struct item *item_new(struct publisher *publisher, enum kind kind, struct str ns,
			     struct str name, struct str key)
{
	struct item *item = xcalloc(1, sizeof(*item) + key.n + 1);
	memcpy(item->key, key.p, key.n);
	item->publisher = publisher;
	item->kind = kind;
	item->name = (struct str){ item->key + key.n - name.n, name.n };
	item->ns = (struct str){ item->name.p - 1 - ns.n, ns.n };
	map_put(publisher->items, key, item);
	move_to(item, &publisher->queue);
	return item;
}

void publisher_mark(struct publisher *publisher, enum kind kind, struct str ns, struct str name)
{
	char text[KEY_BYTES];
	if (!publisher->enabled)
		return;
	struct str key = make_key(text, kind, ns, name);
	struct item *item = map_get(publisher->items, key);
	if (!item)
		item_new(publisher, kind, ns, name, key);
	else if (item->list == &publisher->running)
		item->again = true;
	wake(publisher, 0);
}

void publisher_mark_our_kinds(struct publisher *publisher)
{
	for (struct map_entry *e = map_first(publisher->known); e; e = map_next(e)) {
		enum kind kind = ((struct known *)map_value(e))->kind;
		struct str name = map_key(e);
		str_cut(&name, '/');
		struct str ns = str_cut(&name, '/');
		if (kind_is_ours(kind))
			publisher_mark(publisher, kind, ns, name);
	}
}

/* ---- What is stored ---- */

static uint64_t revision_of(struct json_object *metadata)
{
	uint64_t revision = 0;
	str_u64(json_text(metadata, "resourceVersion"), UINT64_MAX, &revision);
	return revision;
}

static struct known *make_known(struct publisher *publisher, struct str key)
{
	struct known *known = map_get(publisher->known, key);
	if (!known) {
		known = xcalloc(1, sizeof(*known));
		map_put(publisher->known, key, known);
	}
	return known;
}

/* True when our part of it is another than what was known. */
static bool note_stored(struct publisher *publisher, enum kind kind, struct str key,
			struct json_object *json)
{
	struct known *known = make_known(publisher, key);
	struct json_object *status = json_field(json, "status");
	uint64_t revision = revision_of(json_field(json, "metadata"));
	unsigned char sum[STATUS_SUM_BYTES];
	known->kind = kind;
	if (revision && revision < known->revision)
		return false; /* overtaken by the answer to our own write */
	status_sum(kind, status, publisher->controller_name, sum);
	bool changed = memcmp(sum, known->sum, STATUS_SUM_BYTES) != 0;
	memcpy(known->sum, sum, STATUS_SUM_BYTES);
	known->revision = revision;
	known->has_status = json_object_is_type(status, json_type_object) &&
			    json_object_object_length(status) > 0;
	return changed;
}

void publisher_seen(struct publisher *publisher, enum kind kind, struct json_object *json)
{
	char text[KEY_BYTES];
	struct json_object *metadata = json_field(json, "metadata");
	struct str ns = json_text(metadata, "namespace"), name = json_text(metadata, "name");
	if (!has_status(kind) || str_empty(name))
		return;
	if (note_stored(publisher, kind, make_key(text, kind, ns, name), json) || kind_is_ours(kind))
		publisher_mark(publisher, kind, ns, name);
}

void publisher_gone(struct publisher *publisher, enum kind kind, struct str ns, struct str name)
{
	char text[KEY_BYTES];
	if (has_status(kind))
		free(map_del(publisher->known, make_key(text, kind, ns, name)));
}

/* ---- Ends of requests ---- */

/* What was marked meanwhile is looked at once more: it may be another object of that name. */
static void leave(struct item *item)
{
	item->attempt = 0;
	set_failed(item, false, STR_NONE);
	if (item->again)
		put_off(item, 0);
	else
		item_free(item);
}

static void failed(struct item *item, const struct kube_answer *answer)
{
	item->publisher->stats.failures++;
	set_failed(item, true, answer->text);
	put_off(item, (double)kube_retry_ms(answer, &item->attempt) / 1000.0);
}

/* Somebody else was faster: what is stored is read before the next attempt. */
static void conflict(struct item *item)
{
	struct publisher *publisher = item->publisher;
	struct known *known = map_get(publisher->known, str_of(item->key));
	publisher->stats.conflicts++;
	if (known)
		known->has_status = true;
	put_off(item, item->attempt ? (double)kube_backoff_ms(item->attempt, 20, 2000) / 1000.0 : 0);
	item->attempt++;
}

static void start_patch(struct item *item, struct str revision);

static void now_text(char ret_text[TIME_BYTES])
{
	time_t clock = time(NULL);
	struct tm tm;
	strftime(ret_text, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &tm));
}

/* Of the object as it is stored. */
static bool is_made_of(const struct item *item, struct json_object *json)
{
	const struct publish_ops *ops = &item->publisher->ops;
	struct json_object *metadata = json_field(json, "metadata");
	return json_object_get_int64(json_field(metadata, "generation")) ==
		       item->basis.generation &&
	       ops->record(ops->user, item->kind, json_field(json, "status")) == item->basis.record;
}

/* What is stored now is known. */
static void end_get(struct item *item, struct json_object *json)
{
	struct publisher *publisher = item->publisher;
	struct json_object *metadata = json_field(json, "metadata"), *status = json_field(json, "status");
	unsigned char sum[STATUS_SUM_BYTES];
	char now[TIME_BYTES];
	note_stored(publisher, item->kind, str_of(item->key), json);
	status_sum(item->kind, status, publisher->controller_name, sum);
	/* Ours is of another one: a pass over this one is to come, and marks it again. */
	if (memcmp(sum, item->sum, STATUS_SUM_BYTES) == 0 || (json && !is_made_of(item, json))) {
		leave(item);
		return;
	}
	now_text(now);
	status_merge(item->kind, item->wanted, status, publisher->controller_name, now);
	start_patch(item, json_text(metadata, "resourceVersion"));
}

/* The watch may have shown a later version first, even another object of that name. */
static void end_patch(struct item *item, struct known *known, struct json_object *json)
{
	uint64_t revision = revision_of(json_field(json, "metadata"));
	if (!revision || revision >= known->revision) {
		memcpy(known->sum, item->sum, STATUS_SUM_BYTES);
		known->revision = revision;
		known->has_status = true;
	}
	known->written_s = clock_s();
	item->publisher->stats.writes++;
	leave(item);
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct item *item = user;
	struct publisher *publisher = item->publisher;
	struct known *known = map_get(publisher->known, str_of(item->key));
	item->request = NULL;
	if (answer->unanswered) {
		put_off(item, 0); /* the client holds it back */
	} else if (answer->status == 404 || !known) { /* the watch may have told already */
		leave(item);
	} else if (answer->status == 409) {
		conflict(item);
	} else if (answer->status != 200) {
		failed(item, answer);
	} else if (item->reading) {
		end_get(item, answer->json);
	} else {
		end_patch(item, known, answer->json);
	}
	wake(publisher, 0);
}

static const struct kube_request_ops request_ops = { NULL, on_done };

/* ---- Starts of requests ---- */

static bool make_path(struct item *item, const char *end, struct sb *path)
{
	const struct publish_ops *ops = &item->publisher->ops;
	sb_init(path, 4096);
	bool ok = ops->path(ops->user, item->kind, item->ns, item->name, path);
	sb_adds(path, end);
	return ok;
}

static void start_get(struct item *item)
{
	struct sb path;
	item->reading = true;
	if (make_path(item, "", &path))
		item->request = kube_get(item->publisher->client, sb_str(&path).p, LIMIT_S,
					 &request_ops, item);
	sb_fini(&path);
}

static void start_patch(struct item *item, struct str revision)
{
	struct json_object *body = json_object_new_object(), *metadata = json_object_new_object();
	struct sb path;
	json_object_object_add(metadata, "resourceVersion",
			       json_object_new_string_len(revision.p, (int)revision.n));
	json_object_object_add(body, "metadata", metadata);
	json_object_object_add(body, "status", json_object_get(item->wanted));
	item->reading = false;
	if (make_path(item, "/status", &path)) {
		const struct kube_call call = {
			.method = "PATCH",
			.path = sb_str(&path).p,
			.type = "application/merge-patch+json",
			.body = str_of(json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN)),
		};
		item->request = kube_send(item->publisher->client, &call, LIMIT_S, &request_ops, item);
	}
	json_object_put(body);
	sb_fini(&path);
}

static enum publish_answer render(struct item *item)
{
	const struct publish_ops *ops = &item->publisher->ops;
	struct sb sb;
	struct out out;
	sb_init(&sb, STATUS_BYTES);
	out_init(&out, &sb, OUT_JSON);
	enum publish_answer answer =
		ops->render(ops->user, item->kind, item->ns, item->name, &out, &item->basis);
	if (answer == PUBLISH_NOW)
		item->wanted = json_tokener_parse(sb_str(&sb).p);
	sb_fini(&sb);
	if (answer == PUBLISH_NOW && !item->wanted)
		answer = PUBLISH_NOTHING; /* too large; there are limits that keep it from being so */
	return answer;
}

/* Asks for what is stored, or writes, if nothing can be there. */
static void start(struct item *item, const struct known *known)
{
	const struct publish_ops *ops = &item->publisher->ops;
	move_to(item, &item->publisher->running);
	if (known->has_status || !known->revision) {
		start_get(item);
	} else if (ops->record(ops->user, item->kind, NULL) == item->basis.record) {
		char now[TIME_BYTES], revision[32];
		now_text(now);
		snprintf(revision, sizeof(revision), "%llu", (unsigned long long)known->revision);
		status_merge(item->kind, item->wanted, NULL, item->publisher->controller_name, now);
		start_patch(item, str_of(revision));
	}
	if (!item->request)
		item_free(item);
}

static void consider(struct item *item)
{
	struct publisher *publisher = item->publisher;
	const struct known *known = map_get(publisher->known, str_of(item->key));
	enum publish_answer answer = known ? render(item) : PUBLISH_NOTHING;
	if (answer == PUBLISH_LATER) {
		put_off(item, POLL_S);
		return;
	}
	if (answer == PUBLISH_NOW)
		status_sum(item->kind, item->wanted, publisher->controller_name, item->sum);
	if (answer == PUBLISH_NOTHING || memcmp(item->sum, known->sum, STATUS_SUM_BYTES) == 0)
		item_free(item);
	else if (known->written_s > 0 && known->written_s + SPACING_S > clock_s())
		put_off(item, known->written_s + SPACING_S - clock_s());
	else
		start(item, known);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct publisher *publisher = timer->data;
	struct item *item, *next;
	double now = clock_s();
	(void)loop;
	(void)events;
	TAILQ_FOREACH_SAFE(item, &publisher->later, link, next)
		if (item->not_before_s <= now)
			move_to(item, &publisher->queue);
	int left = TURN;
	TAILQ_FOREACH_SAFE(item, &publisher->queue, link, next) {
		if (left-- == 0 || publisher->running_count == MAX_RUNNING)
			break;
		consider(item);
	}
	if (!TAILQ_EMPTY(&publisher->queue) && publisher->running_count < MAX_RUNNING)
		wake(publisher, 0);
	else if (!TAILQ_EMPTY(&publisher->later))
		wake(publisher, POLL_S);
}

/* ---- Reports ---- */

void publisher_findings(const struct publisher *publisher, struct findings *findings)
{
	const struct meta meta = { .name = STR("*") };
	for (int kind = 0; kind < KIND_COUNT; kind++) {
		if (publisher->problems[kind][0])
			findings_add(findings, SEVERITY_ERROR, (enum kind)kind, &meta, NULL,
				     "StatusNotWritten",
				     "status cannot be written, and is tried again. The API server "
				     "says: %s", publisher->problems[kind]);
	}
}

void publisher_stats(const struct publisher *publisher, struct publish_stats *ret_stats)
{
	*ret_stats = publisher->stats;
	ret_stats->pending = map_count(publisher->items);
}

/* ---- Lifetime ---- */

bool publisher_enabled(const struct publisher *publisher)
{
	return publisher->enabled;
}

void publisher_enable(struct publisher *publisher, bool enabled)
{
	for (struct map_entry *e; (e = map_first(publisher->items));)
		item_free(map_value(e));
	publisher->enabled = enabled;
}

struct publisher *publisher_new(struct ev_loop *loop, struct kube_client *client,
				struct str controller_name, const struct publish_ops *ops)
{
	struct publisher *publisher = xcalloc(1, sizeof(*publisher));
	publisher->loop = loop;
	publisher->client = client;
	publisher->controller_name = controller_name;
	publisher->ops = *ops;
	publisher->known = map_new();
	publisher->items = map_new();
	TAILQ_INIT(&publisher->queue);
	TAILQ_INIT(&publisher->later);
	TAILQ_INIT(&publisher->running);
	ev_timer_init(&publisher->timer, on_timer, 0, 0);
	publisher->timer.data = publisher;
	return publisher;
}

void publisher_free(struct publisher *publisher)
{
	if (!publisher)
		return;
	publisher_enable(publisher, false);
	ev_timer_stop(publisher->loop, &publisher->timer);
	map_free(publisher->items, NULL);
	map_free(publisher->known, free);
	free(publisher);
}
