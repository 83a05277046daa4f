/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/owner.h"

#include <ev.h>

#include "base/sb.h"
#include "status/json.h"

enum { LIMIT_S = 30, PAUSE_S = 15, TEXT_BYTES = 512 };

static const struct resource {
	const char *plural, *kind;
} resources[] = {
	{ "deployments", "Deployment" },
	{ "daemonsets", "DaemonSet" },
};
enum { RESOURCES = sizeof(resources) / sizeof(resources[0]) };

struct owner {
	struct ev_loop *loop;
	struct kube_client *client;
	const struct resource *resource;
	const char *ns, *name;
	void (*changed)(void *user);
	void *user;
	struct kube_request *request;
	ev_timer timer;
	bool asked;
	struct json_object *reference;
	char trouble[TEXT_BYTES];
};

static void keep_reference(struct owner *owner, struct json_object *json)
{
	struct str uid = json_text(json_field(json, "metadata"), "uid");
	if (str_empty(uid))
		return;
	owner->reference = json_object_new_object();
	json_put_text(owner->reference, "apiVersion", STR("apps/v1"));
	json_put_text(owner->reference, "kind", str_of(owner->resource->kind));
	json_put_text(owner->reference, "name", str_of(owner->name));
	json_put_text(owner->reference, "uid", uid);
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct owner *owner = user;
	owner->request = NULL;
	keep_reference(owner, answer->json);
	if (answer->unanswered) {
		owner_look(owner); /* the client holds it back */
		return;
	}
	snprintf(owner->trouble, TEXT_BYTES, STR_FMT, STR_ARG(answer->text));
	if (owner->reference) {
		owner->trouble[0] = '\0';
	} else {
		ev_timer_set(&owner->timer, PAUSE_S, 0);
		ev_timer_start(owner->loop, &owner->timer);
	}
	if (owner->reference || !owner->asked) {
		owner->asked = true;
		owner->changed(owner->user);
	}
}

void owner_look(struct owner *owner)
{
	static const struct kube_request_ops ops = { NULL, on_done };
	struct sb path;
	if (owner->reference || owner->request)
		return;
	ev_timer_stop(owner->loop, &owner->timer);
	sb_init(&path, 4096);
	sb_addf(&path, "/apis/apps/v1/namespaces/%s/%s/%s", owner->ns, owner->resource->plural,
		owner->name);
	owner->request = kube_get(owner->client, sb_str(&path).p, LIMIT_S, &ops, owner);
	sb_fini(&path);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	owner_look(timer->data);
}

bool owner_asked(const struct owner *owner)
{
	return owner->asked;
}

struct json_object *owner_reference(const struct owner *owner)
{
	return owner->reference;
}

void owner_findings(const struct owner *owner, struct findings *findings)
{
	const struct meta meta = { .ns = str_of(owner->ns), .name = STR("*") };
	if (!owner->trouble[0])
		return;
	findings_add(findings, SEVERITY_WARNING, KIND_SERVICE, &meta, NULL, "OwnerNotReadable",
		     "Services of Gateways will outlive an uninstall, since %s/%s, their owner, "
		     "cannot be read: grant the verb get on %s of apiGroup \"apps\" in namespace %s, "
		     "or correct --owner. The API server says: %s", owner->resource->plural,
		     owner->name, owner->resource->plural, owner->ns, owner->trouble);
}

static const struct resource *find_resource(struct str plural)
{
	for (size_t i = 0; i < RESOURCES; i++) {
		if (str_is(plural, resources[i].plural))
			return &resources[i];
	}
	return NULL;
}

struct owner *owner_new(struct ev_loop *loop, struct kube_client *client, const char *ns,
			const char *text, void (*changed)(void *user), void *user,
			struct error *err)
{
	struct str name = str_of(text);
	const struct resource *resource = find_resource(str_cut(&name, '/'));
	if (!resource || str_empty(name)) {
		error_set(err, ERR_SYNTAX, "--owner %s: say deployments/NAME or daemonsets/NAME",
			  text);
		return NULL;
	}
	struct owner *owner = xcalloc(1, sizeof(*owner));
	owner->loop = loop;
	owner->client = client;
	owner->ns = ns;
	owner->resource = resource;
	owner->name = name.p;
	owner->changed = changed;
	owner->user = user;
	ev_timer_init(&owner->timer, on_timer, 0, 0);
	owner->timer.data = owner;
	return owner;
}

void owner_free(struct owner *owner)
{
	if (!owner)
		return;
	kube_cancel(owner->request);
	ev_timer_stop(owner->loop, &owner->timer);
	json_object_put(owner->reference);
	free(owner);
}
