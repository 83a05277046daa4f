/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/leader.h"

#include <bsd/stdlib.h>
#include <ev.h>

#include "base/sb.h"
#include "source/clock.h"
#include "status/json.h"

enum {
	LEASE_S = 15,
	RENEW_LIMIT_S = 10, /* without success: not the leader any more */
	RETRY_MS = 2000,
	RELEASE_LIMIT_MS = 2000,
	REQUEST_LIMIT_S = 5,
	NAME_BYTES = 256,
	TEXT_BYTES = 512,
};

enum step { STEP_NONE = 0, STEP_READ, STEP_WRITE, STEP_RELEASE };

struct leader {
	struct ev_loop *loop;
	struct kube_client *client;
	char *path, *lease_path; /* of all Leases of the namespace, and of ours */
	struct leader_options options;
	void (*changed)(void *user);
	void *user;
	void (*released)(void *user); /* set: being released */
	void *released_user;
	struct json_object *lease; /* as last read or written; NULL: there is none, or unknown */
	struct json_object *owner; /* NULL: none */
	struct kube_request *request;
	enum step step; /* what the request does */
	ev_timer timer, notify;
	bool leads;
	double seen_s;	  /* when the Lease last changed */
	double renewed_s; /* by us; when the request began */
	double begun_s;
	char holder[NAME_BYTES], seen_version[NAME_BYTES];
	char trouble[TEXT_BYTES];
};

/* ---- State ---- */

static void tell(struct leader *leader)
{
	/* Later: whoever is told may cancel requests, which a done() may not. */
	if (!ev_is_active(&leader->notify))
		ev_timer_start(leader->loop, &leader->notify);
}

static void on_notify(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct leader *leader = timer->data;
	(void)events;
	ev_timer_stop(loop, timer);
	leader->changed(leader->user);
}

static void set_leads(struct leader *leader, bool leads)
{
	if (leader->leads == leads)
		return;
	leader->leads = leads;
	tell(leader);
}

static void set_trouble(struct leader *leader, struct str text)
{
	if (str_is(text, leader->trouble))
		return;
	snprintf(leader->trouble, TEXT_BYTES, STR_FMT, STR_ARG(text));
	tell(leader);
}

static void pause_ms(struct leader *leader, int64_t ms)
{
	ev_timer_stop(leader->loop, &leader->timer);
	ev_timer_set(&leader->timer, (double)ms / 1000.0, 0);
	ev_timer_start(leader->loop, &leader->timer);
}

/* Those who wait for the same Lease do not ask all at once. */
static void pause_as_usual(struct leader *leader)
{
	pause_ms(leader, leader->leads ? RETRY_MS : RETRY_MS + arc4random_uniform(RETRY_MS / 5));
}

/* ---- The Lease ---- */

static void set_text(struct json_object *json, const char *name, const char *text)
{
	json_object_object_add(json, name, json_object_new_string(text));
}

/* A Lease of nobody, to be created. */
static struct json_object *new_lease(const struct leader *leader)
{
	struct json_object *lease = json_object_new_object(), *metadata = json_object_new_object();
	set_text(lease, "apiVersion", "coordination.k8s.io/v1");
	set_text(lease, "kind", "Lease");
	set_text(metadata, "name", leader->options.name);
	set_text(metadata, "namespace", leader->options.ns);
	json_object_object_add(lease, "metadata", metadata);
	json_object_object_add(lease, "spec", json_object_new_object());
	return lease;
}

/* Makes the Lease ours, or nobody's. */
static void fill_lease(struct leader *leader, bool ours)
{
	struct json_object *spec = json_field(leader->lease, "spec");
	char now[CLOCK_TEXT_BYTES];
	clock_text(now);
	if (leader->owner)
		json_own(json_field(leader->lease, "metadata"), leader->owner);
	if (!spec) {
		spec = json_object_new_object();
		json_object_object_add(leader->lease, "spec", spec);
	}
	if (ours && !str_is(json_text(spec, "holderIdentity"), leader->options.identity)) {
		int64_t transitions = json_object_get_int64(json_field(spec, "leaseTransitions"));
		bool first = str_empty(json_text(spec, "acquireTime"));
		json_object_object_add(spec, "leaseTransitions",
				       json_object_new_int64(first ? 0 : transitions + 1));
		set_text(spec, "acquireTime", now);
	}
	set_text(spec, "holderIdentity", ours ? leader->options.identity : "");
	set_text(spec, "renewTime", now);
	json_object_object_add(spec, "leaseDurationSeconds",
			       json_object_new_int64(ours ? LEASE_S : 1));
}

/* Takes the Lease as it is now. */
static void keep_lease(struct leader *leader, struct json_object *json)
{
	struct str version = json_text(json_field(json, "metadata"), "resourceVersion");
	struct str holder = json_text(json_field(json, "spec"), "holderIdentity");
	json_object_put(leader->lease);
	leader->lease = json_object_get(json);
	snprintf(leader->holder, NAME_BYTES, STR_FMT, STR_ARG(holder));
	if (str_is(version, leader->seen_version))
		return;
	snprintf(leader->seen_version, NAME_BYTES, STR_FMT, STR_ARG(version));
	leader->seen_s = clock_s();
}

static void forget_lease(struct leader *leader)
{
	json_object_put(leader->lease);
	leader->lease = NULL;
}

/* As the Lease was last read or written. */
static bool is_ours(const struct leader *leader)
{
	return strcmp(leader->holder, leader->options.identity) == 0;
}

static bool may_take(const struct leader *leader)
{
	return !leader->holder[0] || is_ours(leader) || clock_s() - leader->seen_s > LEASE_S;
}

/* ---- Requests ---- */

static void start_write(struct leader *leader, enum step step);

static void end_release(struct leader *leader)
{
	ev_timer_stop(leader->loop, &leader->timer);
	kube_cancel(leader->request);
	leader->request = NULL;
	leader->released(leader->released_user);
}

/* When no request can make it ours any more. */
static void give_back(struct leader *leader)
{
	if (leader->step != STEP_RELEASE && leader->lease && is_ours(leader))
		start_write(leader, STEP_RELEASE);
	else
		end_release(leader);
}

static void end_read(struct leader *leader, int status)
{
	if (status == 404) {
		forget_lease(leader);
		start_write(leader, STEP_WRITE);
		return;
	}
	if (may_take(leader)) {
		start_write(leader, STEP_WRITE);
		return;
	}
	set_leads(leader, false);
	pause_as_usual(leader);
}

static void end_write(struct leader *leader, int status)
{
	if (status == 409 || status == 404) { /* another was faster, or it was removed */
		forget_lease(leader);
		pause_ms(leader, leader->leads ? 0 : RETRY_MS);
		return;
	}
	leader->renewed_s = leader->begun_s;
	set_leads(leader, true);
	pause_as_usual(leader);
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct leader *leader = user;
	bool expected = answer->status / 100 == 2 || answer->status == 404 || answer->status == 409;
	leader->request = NULL;
	if (json_object_is_type(answer->json, json_type_object))
		keep_lease(leader, answer->json);
	set_trouble(leader, expected ? STR_NONE : answer->text);
	if (leader->released)
		give_back(leader);
	else if (!expected)
		pause_as_usual(leader);
	else if (leader->step == STEP_READ)
		end_read(leader, answer->status);
	else
		end_write(leader, answer->status);
}

static const struct kube_request_ops request_ops = { NULL, on_done };

static void begin(struct leader *leader, enum step step)
{
	leader->step = step;
	leader->begun_s = clock_s();
}

static void start_read(struct leader *leader)
{
	begin(leader, STEP_READ);
	leader->request = kube_get(leader->client, leader->lease_path, REQUEST_LIMIT_S, &request_ops,
				   leader);
}

/* Creates the Lease if there is none; its resourceVersion guards it otherwise. */
static void start_write(struct leader *leader, enum step step)
{
	bool create = !leader->lease;
	begin(leader, step);
	if (create)
		leader->lease = new_lease(leader);
	fill_lease(leader, step == STEP_WRITE);
	const struct kube_call call = {
		.method = create ? "POST" : "PUT",
		.path = create ? leader->path : leader->lease_path,
		.type = "application/json",
		.body = str_of(json_object_to_json_string_ext(leader->lease, JSON_C_TO_STRING_PLAIN)),
	};
	leader->request = kube_send(leader->client, &call, REQUEST_LIMIT_S, &request_ops, leader);
	if (create)
		forget_lease(leader);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct leader *leader = timer->data;
	(void)loop;
	(void)events;
	if (leader->released) {
		end_release(leader);
		return;
	}
	if (leader->leads && clock_s() - leader->renewed_s > RENEW_LIMIT_S)
		set_leads(leader, false);
	if (!leader->request && leader->leads && leader->lease)
		start_write(leader, STEP_WRITE);
	else if (!leader->request)
		start_read(leader);
	/* The deadline is watched even while nothing is answered. */
	pause_as_usual(leader);
}

/* ---- Reports and lifetime ---- */

bool leader_leads(const struct leader *leader)
{
	return leader->leads;
}

const char *leader_holder(const struct leader *leader)
{
	return leader->holder;
}

const char *leader_trouble(const struct leader *leader)
{
	return leader->trouble;
}

void leader_own(struct leader *leader, struct json_object *owner)
{
	leader->owner = owner;
}

void leader_release(struct leader *leader, void (*done)(void *user), void *user)
{
	bool takes = leader->request && leader->step == STEP_WRITE; /* or renews: who knows? */
	bool leads = leader->leads;
	leader->released = done;
	leader->released_user = user;
	leader->leads = false;
	if (leads || takes)
		pause_ms(leader, RELEASE_LIMIT_MS);
	if (!leads && !takes)
		end_release(leader);
	else if (!leader->request)
		give_back(leader);
}

static char *make_path(const char *ns, const char *name)
{
	struct sb sb;
	sb_init(&sb, 4096);
	sb_addf(&sb, "/apis/coordination.k8s.io/v1/namespaces/%s/leases", ns);
	if (name)
		sb_addf(&sb, "/%s", name);
	return sb_take(&sb, NULL);
}

struct leader *leader_new(struct ev_loop *loop, struct kube_client *client,
			  const struct leader_options *options, void (*changed)(void *user),
			  void *user)
{
	struct leader *leader = xcalloc(1, sizeof(*leader));
	leader->loop = loop;
	leader->client = client;
	leader->options = *options;
	leader->changed = changed;
	leader->user = user;
	leader->path = make_path(options->ns, NULL);
	leader->lease_path = make_path(options->ns, options->name);
	ev_timer_init(&leader->timer, on_timer, 0, 0);
	ev_timer_init(&leader->notify, on_notify, 0, 0);
	leader->timer.data = leader->notify.data = leader;
	ev_timer_start(loop, &leader->timer);
	return leader;
}

void leader_free(struct leader *leader)
{
	if (!leader)
		return;
	kube_cancel(leader->request);
	ev_timer_stop(leader->loop, &leader->timer);
	ev_timer_stop(leader->loop, &leader->notify);
	forget_lease(leader);
	free(leader->path);
	free(leader->lease_path);
	free(leader);
}
