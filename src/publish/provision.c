/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/provision.h"

#include <ev.h>

#include "base/digest.h"
#include "base/map.h"
#include "source/clock.h"
#include "source/kube_json.h"
#include "source/kube_watch.h"
#include "status/json.h"

enum {
	TURN = 64, /* Gateways compared before the loop goes on */
	LIMIT_S = 30,
	REFUSED_PAUSE_S = 15, /* of what will not be better soon */
	NAME_BYTES = 64,
	TEXT_BYTES = 768,
};
#define SPACING_S 0.25 /* between two writes of one Service */
/* Of the same thing, because somebody else writes something else each time: doubles. */
#define QUARREL_MIN_S 1.0
#define QUARREL_MAX_S 30.0

enum step { STEP_NONE = 0, STEP_LIST, STEP_CREATE, STEP_UPDATE, STEP_DELETE };
static const char *const verbs[] = { "", "list", "create", "update", "delete" };

/* A Service as it is stored. */
struct known {
	struct json_object *json;
	uint64_t revision; /* resourceVersion as a number; 0: it is none */
};

/* What became of a Service's last write; kept while the Service is known, or wanted. */
struct history {
	unsigned char sum[DIGEST_RAW_BYTES]; /* of what was written */
	double written_s, spacing_s;
	double due_s; /* not tried before */
	char trouble[TEXT_BYTES];
};

struct provision {
	struct ev_loop *loop;
	struct kube_client *client;
	const struct service_settings *settings;
	struct provision_ops ops;
	bool enabled, listed;
	bool overtaken; /* the list that is under way, by the end of a Service that may be in it */
	bool dirty; /* the walk starts over */
	size_t at;  /* the walk's next Gateway */
	double later_s; /* the earliest that is to be tried again; 0: none */
	struct map *known;	/* name -> struct known */
	struct map *histories;	/* name -> struct history */
	struct port_book *book; /* of all that is known */
	enum step step;
	char name[NAME_BYTES]; /* of the Service in the request */
	unsigned char sum[DIGEST_RAW_BYTES]; /* of what is written of it */
	struct kube_request *request;
	struct kube_json *parser;
	ev_timer timer;
	unsigned attempt;
	char refused[TEXT_BYTES]; /* all of it: "" */
	uint64_t news;
	struct provision_stats stats;
};

static void wake_after(struct provision *provision, double pause_s)
{
	ev_timer_stop(provision->loop, &provision->timer);
	ev_timer_set(&provision->timer, pause_s > 0 ? pause_s : 0, 0);
	ev_timer_start(provision->loop, &provision->timer);
}

void provision_mark(struct provision *provision)
{
	bool waits = provision->refused[0] && ev_is_active(&provision->timer);
	provision->dirty = true;
	if (provision->enabled && !provision->request && !waits)
		wake_after(provision, 0);
}

/* ---- What is stored ---- */

static void known_free(void *value)
{
	struct known *known = value;
	json_object_put(known->json);
	free(known);
}

static struct str name_of(struct json_object *json)
{
	return json_text(json_field(json, "metadata"), "name");
}

static void forget(struct provision *provision, struct str name)
{
	struct known *known = map_get(provision->known, name);
	if (!known)
		return;
	port_book_remove(provision->book, known->json);
	map_del(provision->known, name);
	known_free(known);
}

/* What nobody looks at is not kept. */
static struct json_object *copy_of(struct json_object *json)
{
	struct json_object *copy = NULL;
	json_object_deep_copy(json, &copy, NULL);
	json_object_object_del(copy, "status");
	json_object_object_del(json_field(copy, "metadata"), "managedFields");
	json_put_text(copy, "apiVersion", STR("v1"));
	json_put_text(copy, "kind", STR("Service"));
	return copy;
}

/* False when it is older than what is known. */
static bool keep(struct provision *provision, struct json_object *json)
{
	struct str name = name_of(json);
	uint64_t revision = 0;
	const struct known *before = map_get(provision->known, name);
	str_u64(json_text(json_field(json, "metadata"), "resourceVersion"), UINT64_MAX, &revision);
	if (before && revision && revision <= before->revision)
		return false;
	forget(provision, name);
	struct known *known = xcalloc(1, sizeof(*known));
	known->json = copy_of(json);
	known->revision = revision;
	port_book_add(provision->book, known->json);
	map_put(provision->known, name, known);
	return true;
}

void provision_seen(struct provision *provision, struct json_object *json)
{
	struct str ns = json_text(json_field(json, "metadata"), "namespace");
	if (!provision->enabled || !str_eq(ns, provision->settings->ns) || str_empty(name_of(json)))
		return;
	if (!service_is_ours(json, provision->settings->controller))
		provision_gone(provision, ns, name_of(json));
	else if (keep(provision, json))
		provision_mark(provision);
}

void provision_gone(struct provision *provision, struct str ns, struct str name)
{
	if (!provision->enabled || !str_eq(ns, provision->settings->ns))
		return;
	provision->overtaken = true;
	if (!map_get(provision->known, name))
		return;
	forget(provision, name);
	free(map_del(provision->histories, name));
	provision->news++;
	provision_mark(provision);
}

/* Somebody has removed it; finalizers keep it for a while. */
static bool is_going(struct json_object *json)
{
	return json_field(json_field(json, "metadata"), "deletionTimestamp") != NULL;
}

/* ---- What became of it ---- */

static struct history *history_of(struct provision *provision, struct str name)
{
	struct history *history = map_get(provision->histories, name);
	if (!history) {
		history = xcalloc(1, sizeof(*history));
		map_put(provision->histories, name, history);
	}
	return history;
}

/* text: "" when it is over. */
static void set_trouble(struct provision *provision, char trouble[TEXT_BYTES], struct str text)
{
	struct str kept = str_sub(text, 0, TEXT_BYTES - 1);
	if (str_is(kept, trouble))
		return;
	snprintf(trouble, TEXT_BYTES, STR_FMT, STR_ARG(kept));
	provision->news++;
}

static void wait_until(struct provision *provision, double due_s)
{
	if (provision->later_s == 0 || due_s < provision->later_s)
		provision->later_s = due_s;
}

static void note_trouble(struct provision *provision, struct str name, struct str text)
{
	struct history *history = history_of(provision, name);
	set_trouble(provision, history->trouble, text);
	history->due_s = clock_s() + REFUSED_PAUSE_S;
	wait_until(provision, history->due_s);
}

static void note_write(struct provision *provision, struct str name)
{
	struct history *history = history_of(provision, name);
	unsigned char sum[DIGEST_RAW_BYTES];
	double now = clock_s();
	memcpy(sum, provision->sum, sizeof(sum));
	bool same = history->written_s > 0 && now - history->written_s < 2 * QUARREL_MAX_S &&
		    memcmp(sum, history->sum, sizeof(sum)) == 0;
	memcpy(history->sum, sum, sizeof(sum));
	history->spacing_s = !same				   ? SPACING_S :
			     2 * history->spacing_s < QUARREL_MIN_S ? QUARREL_MIN_S :
								      2 * history->spacing_s;
	if (history->spacing_s > QUARREL_MAX_S)
		history->spacing_s = QUARREL_MAX_S;
	history->written_s = now;
	history->due_s = now + history->spacing_s;
	set_trouble(provision, history->trouble, STR(""));
	provision->stats.writes++;
}

/* True when it is not to be tried yet. */
static bool is_early(struct provision *provision, struct str name)
{
	const struct history *history = map_get(provision->histories, name);
	if (!history || history->due_s <= clock_s())
		return false;
	wait_until(provision, history->due_s);
	return true;
}

/* ---- Ends of requests ---- */

/* A right that is missing and what a quota or a policy has against it have the same status, 403. */
static void describe(const struct provision *provision, const struct kube_answer *answer,
		     char text[TEXT_BYTES])
{
	const char *verb = verbs[provision->step];
	char missing[64];
	snprintf(missing, sizeof(missing), " cannot %s resource ", verb);
	if (answer->status == 403 && strstr(answer->text.p, missing))
		snprintf(text, TEXT_BYTES,
			 "forbidden: grant the verb %s on services in namespace " STR_FMT " in a "
			 "Role. The API server says: " STR_FMT, verb,
			 STR_ARG(provision->settings->ns), STR_ARG(answer->text));
	else
		snprintf(text, TEXT_BYTES, "%s fails. The API server says: " STR_FMT, verb,
			 STR_ARG(answer->text));
}

/* Nothing can be done for now. */
static void refuse(struct provision *provision, const struct kube_answer *answer)
{
	char text[TEXT_BYTES];
	provision->stats.failures++;
	describe(provision, answer, text);
	set_trouble(provision, provision->refused, str_of(text));
	provision->dirty = true;
	wake_after(provision, (double)kube_retry_ms(answer, &provision->attempt) / 1000.0);
}

/* What is stored is not what we thought: it is read anew. A Service that we did not make, and that
 * has the name of one of ours, is in no list, and in the way. */
static void conflict(struct provision *provision)
{
	provision->stats.conflicts++;
	provision->listed = false;
	provision->dirty = true;
	if (provision->step == STEP_CREATE)
		note_trouble(provision, str_of(provision->name),
			     STR("there is a Service of this name that Tidegate has not made: "
				 "remove it, or its Gateway"));
}

static void end_good(struct provision *provision, struct json_object *json)
{
	struct str name = str_of(provision->name);
	set_trouble(provision, provision->refused, STR(""));
	provision->attempt = 0;
	if (provision->step == STEP_LIST) {
		provision->listed = !provision->overtaken;
		provision->dirty = true;
		return;
	}
	if (provision->step == STEP_DELETE) { /* the watch tells when it is gone */
		history_of(provision, name)->due_s = clock_s() + REFUSED_PAUSE_S;
		provision->stats.writes++;
		return;
	}
	/* The watch may have told already that what was changed is gone. */
	bool there = provision->step == STEP_CREATE || map_get(provision->known, name);
	if (there && str_eq(name_of(json), name))
		keep(provision, json);
	else
		provision->listed = false;
	note_write(provision, name);
}

static bool list_is_whole(const struct provision *provision, const struct kube_answer *answer)
{
	struct error err;
	return provision->step != STEP_LIST || answer->status != 200 ||
	       kube_json_end(provision->parser, &err);
}

/* Of one Service; the others may do well. */
static void end_alone(struct provision *provision, const struct kube_answer *answer)
{
	struct str name = str_of(provision->name);
	char text[TEXT_BYTES];
	set_trouble(provision, provision->refused, STR(""));
	if (answer->status == 409) {
		conflict(provision);
	} else if (answer->status == 404 && provision->step != STEP_CREATE) {
		forget(provision, name);
		provision->dirty = true;
	} else {
		provision->stats.failures++;
		describe(provision, answer, text);
		note_trouble(provision, name, str_of(text));
	}
}

static void end_bad(struct provision *provision, const struct kube_answer *answer)
{
	int status = answer->status;
	if (answer->unanswered)
		provision->dirty = true; /* the client holds the next one back */
	else if (provision->step == STEP_LIST || status < 400 || status == 401 || status == 429 ||
		 status == 503)
		refuse(provision, answer);
	else
		end_alone(provision, answer);
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct provision *provision = user;
	provision->request = NULL;
	ev_timer_stop(provision->loop, &provision->timer);
	if (answer->status / 100 == 2 && list_is_whole(provision, answer))
		end_good(provision, answer->json);
	else
		end_bad(provision, answer);
	provision->step = STEP_NONE;
	if (!ev_is_active(&provision->timer))
		wake_after(provision, 0);
}

static bool take_listed(void *user, const char *member, struct json_object *json, struct error *err)
{
	struct provision *provision = user;
	(void)err;
	if (strcmp(member, "items") == 0 && json_object_is_type(json, json_type_object) &&
	    service_is_ours(json, provision->settings->controller) && !str_empty(name_of(json)))
		keep(provision, json);
	return true;
}

static bool on_listed(void *user, struct str bytes, struct error *err)
{
	struct provision *provision = user;
	return kube_json_feed(provision->parser, bytes, err);
}

/* ---- Starts of requests ---- */

static const struct kube_request_ops list_ops = { on_listed, on_done };
static const struct kube_request_ops write_ops = { NULL, on_done };

static void begin(struct provision *provision, enum step step, struct str name, struct sb *path)
{
	provision->step = step;
	snprintf(provision->name, NAME_BYTES, STR_FMT, STR_ARG(name));
	sb_init(path, 4096);
	sb_addf(path, "/api/v1/namespaces/" STR_FMT "/services", STR_ARG(provision->settings->ns));
	if (step == STEP_UPDATE || step == STEP_DELETE)
		sb_addf(path, "/" STR_FMT, STR_ARG(name));
}

static void send(struct provision *provision, const char *method, struct sb *path,
		 struct json_object *body)
{
	const struct kube_call call = {
		.method = method,
		.path = sb_str(path).p,
		.type = "application/json",
		.body = str_of(json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN)),
	};
	provision->request = kube_send(provision->client, &call, LIMIT_S, &write_ops, provision);
	sb_fini(path);
}

static void forget_all(struct provision *provision)
{
	map_free(provision->known, known_free);
	provision->known = map_new();
	memset(provision->book, 0, sizeof(*provision->book));
}

/* Without a resourceVersion the API server asks its storage: whatever the last leader has written
 * is in it. */
static void start_list(struct provision *provision)
{
	struct sb path, labels;
	forget_all(provision);
	provision->overtaken = false;
	begin(provision, STEP_LIST, STR_NONE, &path);
	sb_init(&labels, 1024);
	sb_addf(&labels, LABEL_MANAGED_BY "=" MANAGED_BY "," LABEL_CONTROLLER "=" STR_FMT,
		STR_ARG(provision->settings->controller));
	sb_adds(&path, "?labelSelector=");
	kube_add_escaped(&path, sb_str(&labels));
	kube_json_free(provision->parser);
	provision->parser = kube_json_new(KUBE_JSON_LIST, take_listed, provision);
	provision->request =
		kube_get(provision->client, sb_str(&path).p, LIMIT_S, &list_ops, provision);
	sb_fini(&labels);
	sb_fini(&path);
}

/* Of what is ours in it, in the main: other writers' labels do not make it another. */
static void take_sum(struct provision *provision, struct json_object *body)
{
	digest_raw(str_of(json_object_to_json_string_ext(json_field(body, "spec"),
							 JSON_C_TO_STRING_PLAIN)),
		   provision->sum);
}

static void start_write(struct provision *provision, struct str name, bool create,
			struct json_object *body)
{
	struct sb path;
	take_sum(provision, body);
	begin(provision, create ? STEP_CREATE : STEP_UPDATE, name, &path);
	send(provision, create ? "POST" : "PUT", &path, body);
}

static void start_delete(struct provision *provision, struct str name, struct json_object *json)
{
	struct json_object *body = json_object_new_object(), *only = json_object_new_object();
	struct json_object *metadata = json_field(json, "metadata");
	struct sb path;
	json_put_text(only, "uid", json_text(metadata, "uid"));
	json_put_text(only, "resourceVersion", json_text(metadata, "resourceVersion"));
	json_object_object_add(body, "preconditions", only);
	begin(provision, STEP_DELETE, name, &path);
	send(provision, "DELETE", &path, body);
	json_object_put(body);
}

/* ---- The walk ---- */

/* True when a request has begun. A Gateway that is not accepted, or of which nobody knows what is
 * wanted, keeps what it has. */
static bool consider(struct provision *provision, const struct gateway_view *gateway)
{
	struct str name = gateway->service_name;
	const struct known *known = map_get(provision->known, name);
	struct error err;
	if (!conditions_get(&gateway->conditions, "Accepted")->status ||
	    gateway->class->parameters_missing || (known && is_going(known->json)))
		return false;
	struct json_object *stored = known ? known->json : NULL;
	struct json_object *wanted =
		service_wanted(gateway, provision->settings, stored, provision->book, &err);
	bool equal = wanted && json_object_equal(wanted, stored);
	if (!wanted && err.code == ERR_LIMIT)
		set_trouble(provision, history_of(provision, name)->trouble, str_of(err.text));
	else if (equal && map_get(provision->histories, name))
		set_trouble(provision, history_of(provision, name)->trouble, STR(""));
	if (wanted && !equal && !is_early(provision, name))
		start_write(provision, name, !known, wanted);
	json_object_put(wanted);
	return provision->request != NULL;
}

/* The first Service whose Gateway is gone. */
static bool delete_one(struct provision *provision, const struct gateways_view *view)
{
	for (struct map_entry *e = map_first(provision->known); e; e = map_next(e)) {
		const struct known *known = map_value(e);
		if (gateways_use_service(view, view->service_ns, map_key(e)) ||
		    is_going(known->json) || is_early(provision, map_key(e)) ||
		    !provision->ops.may_delete(provision->ops.user, map_key(e)))
			continue;
		start_delete(provision, map_key(e), known->json);
		return true;
	}
	return false;
}

static void forget_histories(struct provision *provision, const struct gateways_view *view)
{
	for (struct map_entry *e = map_first(provision->histories), *next; e; e = next) {
		struct str name = map_key(e);
		next = map_next(e);
		if (map_get(provision->known, name) ||
		    gateways_use_service(view, view->service_ns, name))
			continue;
		free(map_del(provision->histories, name));
		provision->news++;
	}
}

static void walk(struct provision *provision, const struct gateways_view *view)
{
	if (provision->dirty) {
		forget_histories(provision, view);
		provision->dirty = false;
		provision->at = 0;
		provision->later_s = 0;
	}
	for (int i = 0; i < TURN && provision->at < view->gateway_count; i++) {
		if (consider(provision, &view->gateways[provision->at++]))
			return;
	}
	if (provision->at < view->gateway_count) {
		wake_after(provision, 0);
	} else if (!delete_one(provision, view) && provision->later_s > 0) {
		provision->dirty = true;
		wake_after(provision, provision->later_s - clock_s());
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct provision *provision = timer->data;
	const struct gateways_view *view = provision->ops.gateways(provision->ops.user);
	(void)loop;
	(void)events;
	if (!provision->enabled || provision->request || !view)
		return;
	if (!provision->listed)
		start_list(provision);
	else
		walk(provision, view);
}

/* ---- Reports ---- */

void provision_findings(const struct provision *provision, struct findings *findings)
{
	struct meta meta = { .ns = provision->settings->ns, .name = STR("*") };
	if (provision->refused[0])
		findings_add(findings, SEVERITY_ERROR, KIND_SERVICE, &meta, NULL,
			     "ServiceNotWritten", "Gateways' Services cannot be kept up to date, "
			     "those that are there stay; tried again every 15 s. %s",
			     provision->refused);
	for (struct map_entry *e = map_first(provision->histories); e; e = map_next(e)) {
		const struct history *history = map_value(e);
		meta.name = map_key(e);
		if (history->trouble[0])
			findings_add(findings, SEVERITY_ERROR, KIND_SERVICE, &meta, NULL,
				     "ServiceNotWritten", "%s", history->trouble);
	}
}

uint64_t provision_news(const struct provision *provision)
{
	return provision->news;
}

void provision_stats(const struct provision *provision, struct provision_stats *ret_stats)
{
	*ret_stats = provision->stats;
}

/* ---- Lifetime ---- */

void provision_enable(struct provision *provision, bool enabled)
{
	kube_cancel(provision->request);
	provision->request = NULL;
	ev_timer_stop(provision->loop, &provision->timer);
	forget_all(provision);
	map_free(provision->histories, free);
	provision->histories = map_new();
	provision->refused[0] = '\0';
	provision->news++;
	provision->listed = false;
	provision->enabled = enabled;
	provision_mark(provision);
}

struct provision *provision_new(struct ev_loop *loop, struct kube_client *client,
				const struct service_settings *settings,
				const struct provision_ops *ops)
{
	struct provision *provision = xcalloc(1, sizeof(*provision));
	provision->loop = loop;
	provision->client = client;
	provision->settings = settings;
	provision->ops = *ops;
	provision->known = map_new();
	provision->histories = map_new();
	provision->book = xcalloc(1, sizeof(*provision->book));
	ev_timer_init(&provision->timer, on_timer, 0, 0);
	provision->timer.data = provision;
	return provision;
}

void provision_free(struct provision *provision)
{
	if (!provision)
		return;
	kube_cancel(provision->request);
	kube_json_free(provision->parser);
	ev_timer_stop(provision->loop, &provision->timer);
	map_free(provision->known, known_free);
	map_free(provision->histories, free);
	free(provision->book);
	free(provision);
}
