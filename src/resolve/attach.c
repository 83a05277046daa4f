/* SPDX-License-Identifier: Apache-2.0 */
/* Attachment: every parentRef picks listeners (section, port), the listeners choose among
 * routes (kinds, namespaces), and hostnames must meet. Each step that leaves nothing is the
 * reason in the condition. */
#include "resolve/attach.h"

#include "resolve/hostname.h"

#define NAMESPACE_NAME_LABEL "kubernetes.io/metadata.name"

enum { FIELD_BYTES = 64 };

struct attach_scope {
	const struct gateways_view *gateways;
	struct route_view *view;
	const struct str *hostnames; /* the route's, without those that cannot be served */
	size_t hostname_count;
	bool all_dropped; /* it had hostnames, and none is left */
};

/* ---- hostnames ---- */

static void keep_servable_hostnames(struct attach_scope *scope)
{
	struct route_view *view = scope->view;
	const struct route *spec = &view->object->route;
	struct str *kept = arena_array(view->arena, spec->hostname_count, sizeof(*kept));
	for (size_t i = 0; i < spec->hostname_count; i++) {
		if (hostname_servable(spec->hostnames[i])) {
			kept[scope->hostname_count++] = spec->hostnames[i];
			continue;
		}
		char field[FIELD_BYTES];
		snprintf(field, sizeof(field), "spec.hostnames[%zu]", i);
		findings_add(&view->findings, SEVERITY_ERROR, view->object->kind,
			     &view->object->meta, field, "UnsupportedValue",
			     "The wildcard " STR_FMT " has more than %d labels behind \"*.\" and is "
			     "ignored. Use a shorter wildcard, or exact hostnames.",
			     STR_ARG(spec->hostnames[i]), MAX_WILDCARD_LABELS);
	}
	scope->hostnames = kept;
	scope->all_dropped = spec->hostname_count > 0 && scope->hostname_count == 0;
}

/* The hostnames that the route has in common with the listener; sorted, each once. */
static struct str *common_hostnames(const struct attach_scope *scope, struct str listener,
				    size_t *ret_count)
{
	struct str *common =
		arena_array(scope->view->arena, scope->hostname_count + 1, sizeof(*common));
	size_t found = 0, kept = 0;
	if (scope->hostname_count == 0)
		common[found++] = listener;
	for (size_t i = 0; i < scope->hostname_count; i++)
		found += hostname_intersect(scope->hostnames[i], listener, &common[found]);
	qsort(common, found, sizeof(*common), str_order);
	for (size_t i = 0; i < found; i++) {
		if (kept == 0 || !str_eq(common[i], common[kept - 1]))
			common[kept++] = common[i];
	}
	*ret_count = kept;
	return common;
}

/* ---- allowedRoutes ---- */

/* A namespace has its name as a label even when there is no Namespace object for it. */
static bool namespace_selected(const struct attach_scope *scope, const struct selector *selector)
{
	struct arena *arena = scope->view->arena;
	struct str ns = scope->view->object->meta.ns;
	const struct object *object =
		store_get(scope->gateways->store, KIND_NAMESPACE, STR_NONE, ns);
	size_t count = object ? object->meta.label_count : 0;
	struct meta meta = { .name = ns };
	meta.labels = arena_array(arena, count + 1, sizeof(*meta.labels));
	meta.labels[meta.label_count++] = (struct pair){ STR(NAMESPACE_NAME_LABEL), ns };
	for (size_t i = 0; i < count; i++) {
		if (!str_is(object->meta.labels[i].key, NAMESPACE_NAME_LABEL))
			meta.labels[meta.label_count++] = object->meta.labels[i];
	}
	return selector_matches(selector, &meta);
}

static bool namespace_allowed(const struct attach_scope *scope, const struct gateway_view *gateway,
			      const struct listener *listener)
{
	switch (listener->from) {
	case FROM_SAME:
		return str_eq(gateway->object->meta.ns, scope->view->object->meta.ns);
	case FROM_ALL:
		return true;
	case FROM_SELECTOR:
		return namespace_selected(scope, &listener->selector);
	case FROM_NONE:
		break;
	}
	return false;
}

static bool listener_allows(const struct attach_scope *scope, const struct gateway_view *gateway,
			    const struct listener_view *listener)
{
	return (listener->kinds & kind_bit(scope->view->object->kind)) &&
	       namespace_allowed(scope, gateway, listener->spec);
}

/* ---- one parent ---- */

static bool listener_selected(const struct parent_ref *ref, const struct listener *listener)
{
	return (str_empty(ref->section) || str_eq(ref->section, listener->name)) &&
	       (ref->port == 0 || ref->port == listener->port);
}

static void reject(const struct attach_scope *scope, struct parent_view *parent, size_t index,
		   const char *reason, struct str text)
{
	struct route_view *view = scope->view;
	char field[FIELD_BYTES];
	snprintf(field, sizeof(field), "spec.parentRefs[%zu]", index);
	conditions_set(&parent->conditions, "Accepted", false, reason, text);
	findings_add(&view->findings, SEVERITY_ERROR, view->object->kind, &view->object->meta,
		     field, reason, STR_FMT, STR_ARG(text));
}

static struct str describe_ref(struct arena *arena, const struct parent_ref *ref)
{
	struct str text = STR_NONE;
	if (!str_empty(ref->section))
		text = arena_strf(arena, " named " STR_FMT, STR_ARG(ref->section));
	if (ref->port)
		text = arena_strf(arena, STR_FMT " on port %u", STR_ARG(text), ref->port);
	return text;
}

struct tally { /* how far the parent's listeners got */
	size_t selected, allowed;
};

static void explain_rejection(const struct attach_scope *scope, struct parent_view *parent,
			      size_t index, const struct tally *tally)
{
	struct arena *arena = scope->view->arena;
	const struct parent_ref *ref = parent->ref;
	struct str which = describe_ref(arena, ref);
	if (tally->selected == 0)
		reject(scope, parent, index, "NoMatchingParent",
		       arena_strf(arena, "Gateway " STR_FMT "/" STR_FMT " has no listener" STR_FMT
				  ". Correct sectionName and port, or add the listener.",
				  STR_ARG(ref->ns), STR_ARG(ref->name), STR_ARG(which)));
	else if (tally->allowed == 0)
		reject(scope, parent, index, "NotAllowedByListeners",
		       arena_strf(arena, "No listener" STR_FMT " of Gateway " STR_FMT "/" STR_FMT
				  " takes %ss from namespace " STR_FMT ". Widen its "
				  "allowedRoutes (namespaces, kinds).", STR_ARG(which),
				  STR_ARG(ref->ns), STR_ARG(ref->name),
				  kind_table[scope->view->object->kind].name,
				  STR_ARG(scope->view->object->meta.ns)));
	else if (scope->all_dropped)
		reject(scope, parent, index, "UnsupportedValue",
		       STR("None of the route's hostnames can be served: their wildcards have too "
			   "many labels."));
	else
		reject(scope, parent, index, "NoMatchingListenerHostname",
		       arena_strf(arena, "The route's hostnames and those of the listeners" STR_FMT
				  " of Gateway " STR_FMT "/" STR_FMT " have none in common. Change "
				  "either.", STR_ARG(which), STR_ARG(ref->ns), STR_ARG(ref->name)));
}

static void attach_parent(const struct attach_scope *scope, struct parent_view *parent,
			  const struct gateway_view *gateway, size_t index)
{
	struct arena *arena = scope->view->arena;
	struct tally tally = { 0 };
	parent->attachments =
		arena_array(arena, gateway->listener_count, sizeof(*parent->attachments));
	for (size_t i = 0; i < gateway->listener_count; i++) {
		struct listener_view *listener = &gateway->listeners[i];
		struct attachment *attachment = &parent->attachments[parent->attachment_count];
		if (!listener_selected(parent->ref, listener->spec))
			continue;
		tally.selected++;
		if (!listener_allows(scope, gateway, listener))
			continue;
		tally.allowed++;
		if (scope->all_dropped)
			continue;
		attachment->gateway = gateway;
		attachment->listener = listener;
		attachment->hostnames = common_hostnames(scope, listener->spec->hostname,
							 &attachment->hostname_count);
		parent->attachment_count += attachment->hostname_count > 0;
	}
	if (parent->attachment_count > 0)
		conditions_set(&parent->conditions, "Accepted", true, "Accepted",
			       STR("The route is attached."));
	else
		explain_rejection(scope, parent, index, &tally);
}

/* A parent that is not a Gateway of ours: another controller's, or a mistake. */
static void note_stranger(const struct attach_scope *scope, const struct parent_ref *ref,
			  size_t index)
{
	struct route_view *view = scope->view;
	char field[FIELD_BYTES];
	snprintf(field, sizeof(field), "spec.parentRefs[%zu]", index);
	if (kind_find(ref->group, ref->kind) != KIND_GATEWAY)
		findings_add(&view->findings, SEVERITY_INFO, view->object->kind,
			     &view->object->meta, field, "UnsupportedParent",
			     "Parents of kind " STR_FMT " are not supported; this one is left to "
			     "other controllers. Refer to a Gateway.", STR_ARG(ref->kind));
	else if (!store_get(scope->gateways->store, KIND_GATEWAY, ref->ns, ref->name))
		findings_add(&view->findings, SEVERITY_INFO, view->object->kind,
			     &view->object->meta, field, "NoSuchGateway",
			     "There is no Gateway " STR_FMT "/" STR_FMT ". Create it, or correct "
			     "the reference.", STR_ARG(ref->ns), STR_ARG(ref->name));
}

void route_attach(const struct gateways_view *gateways, struct route_view *view)
{
	const struct route *spec = &view->object->route;
	struct attach_scope scope = { .gateways = gateways, .view = view };
	keep_servable_hostnames(&scope);
	view->parents = arena_array(view->arena, spec->parent_count, sizeof(*view->parents));
	for (size_t i = 0; i < spec->parent_count; i++) {
		const struct parent_ref *ref = &spec->parents[i];
		const struct gateway_view *gateway = NULL;
		if (kind_find(ref->group, ref->kind) == KIND_GATEWAY)
			gateway = gateways_find(gateways, ref->ns, ref->name);
		if (!gateway) {
			note_stranger(&scope, ref, i);
			continue;
		}
		struct parent_view *parent = &view->parents[view->parent_count++];
		parent->ref = ref;
		attach_parent(&scope, parent, gateway, i);
	}
}
