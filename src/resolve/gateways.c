/* SPDX-License-Identifier: Apache-2.0 */
/* GatewayClasses, Gateways and what their listeners mean to each other:
 *
 *   each listener by itself ──► conflicts inside its Gateway ──► ports, oldest Gateway first
 *   ──► who serves ──► frontends
 *
 * Where each Gateway has a Service (service.c) the ports to bind are the Service's, and no Gateway
 * is in another's way. Where there is a pool of addresses (shares.c) they bind those they have of
 * it, and nothing while they have none. */
#include "resolve/address.h"
#include "resolve/hostname.h"
#include "resolve/listeners.h"
#include "resolve/parameters.h"
#include "resolve/service.h"
#include "resolve/shares.h"

static struct listener_scope scope_of(struct gateways_view *view, const struct gateway_view *gateway,
				      const struct resolve_options *options)
{
	return (struct listener_scope){
		.arena = view->arena,
		.store = view->store,
		.options = options,
		.findings = &view->findings,
		.view = view,
		.gateway = gateway->object,
	};
}

/* ---- classes ---- */

/* Without them its Gateways are served as they are. */
static void find_class_parameters(struct gateways_view *view, struct class_view *class)
{
	const struct object_ref *ref = &class->object->gateway_class.parameters;
	struct str text;
	if (str_empty(ref->kind))
		return;
	class->parameters = parameters_find(view, ref, &text);
	class->parameters_missing = !class->parameters;
	if (class->parameters)
		return;
	conditions_set(&class->conditions, "Accepted", false, "InvalidParameters", text);
	findings_add(&view->findings, SEVERITY_ERROR, KIND_GATEWAYCLASS, &class->object->meta,
		     "spec.parametersRef", "InvalidParameters", STR_FMT, STR_ARG(text));
}

static void resolve_classes(struct gateways_view *view, struct str controller_name)
{
	size_t count;
	const struct object *const *objects = store_list(view->store, KIND_GATEWAYCLASS, &count);
	view->classes = arena_array(view->arena, count, sizeof(*view->classes));
	for (size_t i = 0; i < count; i++) {
		if (!str_eq(objects[i]->gateway_class.controller_name, controller_name))
			continue;
		struct class_view *class = &view->classes[view->class_count++];
		class->object = objects[i];
		conditions_set(&class->conditions, "Accepted", true, "Accepted",
			       STR("Gateways of this class are served by Tidegate."));
		find_class_parameters(view, class);
	}
}

/* A class that does not exist may be a typing error; one of another controller is not. */
static const struct class_view *find_class(struct gateways_view *view,
					   const struct object *gateway)
{
	struct str class_name = gateway->gateway.class_name;
	const struct class_view *class = gateways_find_class(view, class_name);
	if (!class && !store_get(view->store, KIND_GATEWAYCLASS, STR_NONE, class_name))
		findings_add(&view->findings, SEVERITY_WARNING, KIND_GATEWAY, &gateway->meta,
			     "spec.gatewayClassName", "NoSuchGatewayClass",
			     "There is no GatewayClass " STR_FMT ", so nobody serves this Gateway. "
			     "Create it, or correct the name.", STR_ARG(class_name));
	return class;
}

/* ---- addresses ---- */

static void reject_gateway(struct gateways_view *view, struct gateway_view *gateway,
			   const char *field, const char *reason, struct str text)
{
	findings_add(&view->findings, SEVERITY_ERROR, KIND_GATEWAY, &gateway->object->meta, field,
		     reason, STR_FMT, STR_ARG(text));
	conditions_set(&gateway->conditions, "Accepted", false, reason, text);
}

bool gateway_rejected(const struct gateway_view *gateway)
{
	const struct condition *accepted = conditions_get(&gateway->conditions, "Accepted");
	return accepted && !accepted->status;
}

/* What one Gateway binds; "*" alone: every address. */
struct binding {
	struct str addresses[MAX_ADDRESSES];
	size_t count;
};

static void binding_add(struct binding *binding, struct str address)
{
	if (binding->count && str_is(binding->addresses[0], "*"))
		return;
	if (str_is(address, "*"))
		binding->count = 0;
	for (size_t i = 0; i < binding->count; i++) {
		if (str_eq(binding->addresses[i], address))
			return;
	}
	binding->addresses[binding->count++] = address;
}

static void resolve_addresses(struct gateways_view *view, struct gateway_view *gateway,
			      struct binding *binding)
{
	const struct gateway *spec = &gateway->object->gateway;
	for (size_t i = 0; i < spec->address_count; i++) {
		const struct gateway_address *address = &spec->addresses[i];
		struct str ip = STR("*");
		char field[64];
		snprintf(field, sizeof(field), "spec.addresses[%zu]", i);
		if (!str_is(address->type, "IPAddress"))
			reject_gateway(view, gateway, field, "UnsupportedAddress",
				       arena_strf(view->arena, "Addresses of type " STR_FMT
						  " are not supported. Use type IPAddress.",
						  STR_ARG(address->type)));
		else if (str_empty(address->value) || /* any */
			 address_canonical(view->arena, address->value, &ip))
			binding_add(binding, ip);
	}
	if (spec->address_count == 0)
		binding_add(binding, STR("*"));
}

static bool bindings_overlap(const struct binding *a, const struct binding *b)
{
	for (size_t i = 0; i < a->count; i++) {
		for (size_t k = 0; k < b->count; k++) {
			if (address_overlaps(a->addresses[i], b->addresses[k]))
				return true;
		}
	}
	return false;
}

/* ---- conflicts inside one Gateway ---- */

static void mark_conflict(const struct listener_scope *scope, struct gateway_view *gateway,
			  size_t index, size_t other, const char *reason)
{
	struct listener_view *listener = &gateway->listeners[index];
	struct str name = gateway->listeners[other].spec->name;
	struct str text;
	bool protocol = strcmp(reason, "ProtocolConflict") == 0;
	if (conditions_get(&listener->conditions, "Conflicted")->status)
		return;
	if (protocol)
		text = arena_strf(scope->arena, "Listener " STR_FMT " uses port %u with another "
				  "protocol, so neither is served. Give each protocol its own "
				  "port.", STR_ARG(name), listener->spec->port);
	else
		text = arena_strf(scope->arena, "Listener " STR_FMT " has the same port and "
				  "hostname, so neither is served. Remove one, or change its port "
				  "or hostname.", STR_ARG(name));
	conditions_set(&listener->conditions, "Conflicted", true, reason, text);
	listener_reject(scope, listener, index, protocol ? "protocol" : "hostname", reason, text);
}

static void find_conflicts(const struct listener_scope *scope, struct gateway_view *gateway)
{
	for (size_t i = 0; i < gateway->listener_count; i++) {
		const struct listener *a = gateway->listeners[i].spec;
		for (size_t k = 0; k < gateway->listener_count; k++) {
			const struct listener *b = gateway->listeners[k].spec;
			if (i == k || a->port != b->port || !gateway->listeners[i].takes_routes ||
			    !gateway->listeners[k].takes_routes)
				continue;
			if (!str_eq(a->protocol, b->protocol))
				mark_conflict(scope, gateway, i, k, "ProtocolConflict");
			else if (str_eq(a->hostname, b->hostname))
				mark_conflict(scope, gateway, i, k, "HostnameConflict");
		}
	}
}

/* ---- ports, between Gateways ---- */

struct holder { /* an accepted listener's claim */
	const struct gateway_view *gateway;
	const struct binding *binding;
	uint16_t port, bind_port;
};

struct ports {
	struct holder *holders;
	size_t count, capacity;
};

/* Listeners of one Gateway share a port, but not the one that stands for another of theirs. */
static const struct holder *port_holder(const struct ports *ports, const struct holder *claim)
{
	for (size_t i = 0; i < ports->count; i++) {
		const struct holder *holder = &ports->holders[i];
		bool same = holder->gateway == claim->gateway && holder->port == claim->port;
		if (holder->bind_port == claim->bind_port && !same &&
		    bindings_overlap(holder->binding, claim->binding))
			return holder;
	}
	return NULL;
}

static void refuse_port(const struct listener_scope *scope, struct listener_view *listener,
			size_t index, const struct holder *holder)
{
	const struct meta *other = &holder->gateway->object->meta;
	uint16_t port = listener->spec->port;
	if (str_empty(scope->options->service_ns))
		listener_reject(scope, listener, index, "port", "PortUnavailable",
				arena_strf(scope->arena, "The older Gateway " STR_FMT "/" STR_FMT
					   " has port %u on the same address. Use another port, or "
					   "give each Gateway addresses of its own in "
					   "spec.addresses.", STR_ARG(other->ns),
					   STR_ARG(other->name), port));
	else
		service_port_taken(scope, holder->gateway, port, holder->bind_port);
}

/* A listener whose certificates are missing claims its port too: the owner of a port must not
 * change when a Secret comes or goes. */
static void claim_ports(const struct listener_scope *scope, struct gateway_view *gateway,
			const struct binding *binding, struct ports *ports)
{
	bool by_service = !str_empty(scope->options->service_ns);
	for (size_t i = 0; binding->count && i < gateway->listener_count; i++) {
		struct listener_view *listener = &gateway->listeners[i];
		uint16_t port = listener->spec->port;
		struct holder claim = { gateway, binding, port,
					by_service ? service_bind_port(gateway, port) : port };
		if (!listener_accepted(listener) || claim.bind_port == 0)
			continue;
		const struct holder *holder = port_holder(ports, &claim);
		if (holder) {
			refuse_port(scope, listener, i, holder);
			continue;
		}
		listener->bind_port = claim.bind_port;
		ports->holders = grow(ports->holders, ports->count, &ports->capacity,
				      sizeof(*ports->holders));
		ports->holders[ports->count++] = claim;
	}
}

/* ---- overlapping TLS ---- */

static bool certificates_overlap(const struct certificate_view *a, const struct certificate_view *b)
{
	struct str common;
	for (size_t i = 0; i < a->name_count; i++) {
		for (size_t k = 0; k < b->name_count; k++) {
			if (hostname_intersect(a->names[i], b->names[k], &common))
				return true;
		}
	}
	return false;
}

static bool listener_certificates_overlap(const struct listener_view *a,
					  const struct listener_view *b)
{
	for (size_t i = 0; i < a->certificate_count; i++) {
		for (size_t k = 0; k < b->certificate_count; k++) {
			if (certificates_overlap(&a->certificates[i], &b->certificates[k]))
				return true;
		}
	}
	return false;
}

static void mark_overlap(const struct listener_scope *scope, struct listener_view *listener,
			 const struct listener_view *other)
{
	struct str common;
	const char *reason, *what;
	if (listener_certificates_overlap(listener, other)) {
		reason = "OverlappingCertificates";
		what = "certificates";
	} else if (hostname_intersect(listener->spec->hostname, other->spec->hostname, &common)) {
		reason = "OverlappingHostnames";
		what = "hostnames";
	} else {
		return;
	}
	conditions_set(&listener->conditions, "OverlappingTLSConfig", true, reason,
		       arena_strf(scope->arena, "The %s overlap with those of listener " STR_FMT
				  ". Clients that reuse an HTTP/2 connection for the other's hosts "
				  "are answered 421 and connect again.", what,
				  STR_ARG(other->spec->name)));
}

static bool is_tls(const struct listener_view *listener)
{
	return str_is(listener->spec->protocol, "HTTPS");
}

static void find_overlaps(const struct listener_scope *scope, struct gateway_view *gateway)
{
	for (size_t i = 0; i < gateway->listener_count; i++) {
		struct listener_view *listener = &gateway->listeners[i];
		if (!is_tls(listener) || !listener_accepted(listener))
			continue;
		for (size_t k = 0; k < gateway->listener_count; k++) {
			struct listener_view *other = &gateway->listeners[k];
			if (i != k && is_tls(other) && listener_accepted(other) &&
			    other->spec->port == listener->spec->port)
				mark_overlap(scope, listener, other);
		}
	}
}

/* ---- who serves ---- */

static struct str what_is_missing(const struct gateways_view *view,
				  const struct gateway_view *gateway)
{
	return gateway->share ? share_missing(view, gateway) : service_missing(view, gateway);
}

static void set_listener_programmed(const struct gateways_view *view,
				    const struct gateway_view *gateway,
				    struct listener_view *listener)
{
	const struct condition *accepted = conditions_get(&listener->conditions, "Accepted");
	const struct condition *refs = conditions_get(&listener->conditions, "ResolvedRefs");
	const struct condition *conflict = conditions_get(&listener->conditions, "Conflicted");
	struct conditions *conditions = &listener->conditions;
	if (gateway_rejected(gateway)) {
		conditions_set(conditions, "Programmed", false, "Invalid",
			       STR("The Gateway is not accepted; see its conditions."));
	} else if (!accepted->status) {
		conditions_set(conditions, "Programmed", false,
			       conflict->status ? conflict->reason : "Invalid", accepted->message);
	} else if (is_tls(listener) && listener->certificate_count == 0) {
		conditions_set(conditions, "Programmed", false, "Invalid", refs->message);
	} else if (listener->bind_port == 0) {
		conditions_set(conditions, "Programmed", false, "Pending",
			       what_is_missing(view, gateway));
	} else {
		listener->serves = true;
		conditions_set(conditions, "Programmed", true, "Programmed",
			       STR("The listener is served."));
	}
}

static void set_gateway_accepted(struct gateways_view *view, struct gateway_view *gateway)
{
	size_t accepted = 0;
	if (gateway_rejected(gateway))
		return;
	for (size_t i = 0; i < gateway->listener_count; i++)
		accepted += listener_accepted(&gateway->listeners[i]);
	if (accepted == gateway->listener_count)
		conditions_set(&gateway->conditions, "Accepted", true, "Accepted",
			       STR("The Gateway is valid."));
	else
		conditions_set(&gateway->conditions, "Accepted", accepted > 0, "ListenersNotValid",
			       arena_strf(view->arena, "%zu of %zu listeners are not valid; see "
					  "their conditions.", gateway->listener_count - accepted,
					  gateway->listener_count));
}

static void set_gateway_programmed(struct gateways_view *view, struct gateway_view *gateway)
{
	bool waits = false;
	for (size_t i = 0; i < gateway->listener_count; i++) {
		const struct listener_view *listener = &gateway->listeners[i];
		const struct condition *programmed =
			conditions_get(&listener->conditions, "Programmed");
		if (listener->serves) {
			conditions_set(&gateway->conditions, "Programmed", true, "Programmed",
				       STR("The Gateway is served."));
			return;
		}
		waits |= strcmp(programmed->reason, "Pending") == 0;
	}
	if (waits)
		conditions_set(&gateway->conditions, "Programmed", false, "AddressNotAssigned",
			       what_is_missing(view, gateway));
	else
		conditions_set(&gateway->conditions, "Programmed", false, "Invalid",
			       STR("No listener can be served; see the conditions of the "
				   "listeners."));
}

/* ---- frontends ---- */

static struct frontend_view *frontend_of_port(struct gateways_view *view,
					      struct gateway_view *gateway,
					      const struct binding *binding,
					      const struct listener_view *listener)
{
	const struct meta *meta = &gateway->object->meta;
	uint16_t port = listener->spec->port;
	for (size_t i = 0; i < gateway->frontend_count; i++) {
		if (gateway->frontends[i].port == port)
			return &gateway->frontends[i];
	}
	struct frontend_view *frontend = &gateway->frontends[gateway->frontend_count++];
	frontend->name = arena_strf(view->arena, STR_FMT "." STR_FMT ".%u", STR_ARG(meta->ns),
				    STR_ARG(meta->name), port);
	frontend->ns = meta->ns;
	frontend->gateway = meta->name;
	frontend->port = port;
	frontend->bind_port = listener->bind_port;
	frontend->tls = is_tls(listener);
	frontend->transparent = gateway->share != NULL;
	frontend->address_count = binding->count;
	memcpy(frontend->addresses, binding->addresses, sizeof(binding->addresses));
	return frontend;
}

static void make_frontends(struct gateways_view *view, struct gateway_view *gateway,
			   const struct binding *binding)
{
	gateway->frontends =
		arena_array(view->arena, gateway->listener_count, sizeof(*gateway->frontends));
	for (size_t i = 0; i < gateway->listener_count; i++) {
		struct listener_view *listener = &gateway->listeners[i];
		if (!listener->serves)
			continue;
		struct frontend_view *frontend =
			frontend_of_port(view, gateway, binding, listener);
		frontend->listeners[frontend->listener_count++] = listener;
		listener->frontend = frontend->name;
	}
}

static void resolve_parameters(struct gateways_view *view, struct gateway_view *gateway,
			       const struct resolve_options *options)
{
	const struct object_ref *ref = &gateway->object->gateway.parameters;
	const struct gateway_parameters *own = NULL;
	struct str text;
	if (!str_empty(ref->kind)) {
		own = parameters_find(view, ref, &text);
		if (!own)
			reject_gateway(view, gateway, "spec.infrastructure.parametersRef",
				       "InvalidParameters", text);
	}
	parameters_collect(view, gateway, options->service_defaults, own);
}

/* Those that the spec names, which HAProxy binds. */
static void keep_addresses(struct gateways_view *view, struct gateway_view *gateway)
{
	const struct gateway *spec = &gateway->object->gateway;
	gateway->addresses =
		arena_array(view->arena, spec->address_count, sizeof(*gateway->addresses));
	for (size_t i = 0; i < spec->address_count; i++) {
		if (!str_empty(spec->addresses[i].value))
			gateway->addresses[gateway->address_count++] = spec->addresses[i];
	}
}

/* ---- all together ---- */

static void resolve_gateway(struct gateways_view *view, struct gateway_view *gateway,
			    const struct resolve_options *options, struct binding *binding)
{
	const struct gateway *spec = &gateway->object->gateway;
	struct listener_scope scope = scope_of(view, gateway, options);
	resolve_addresses(view, gateway, binding);
	if (!str_empty(options->service_ns)) {
		*binding = (struct binding){ .count = 0 };
		binding_add(binding, STR("*"));
		service_find(view, gateway, options);
	}
	resolve_parameters(view, gateway, options);
	gateway->listener_count = spec->listener_count;
	gateway->listeners =
		arena_array(view->arena, spec->listener_count, sizeof(*gateway->listeners));
	for (size_t i = 0; i < spec->listener_count; i++) {
		gateway->listeners[i].spec = &spec->listeners[i];
		listener_resolve(&scope, &gateway->listeners[i], i);
	}
	find_conflicts(&scope, gateway);
}

/* What is recorded of the pool, and nothing else. */
static void bind_shares(const struct gateways_view *view, struct binding *bindings)
{
	for (size_t i = 0; i < view->gateway_count; i++) {
		const struct pool_share *share = view->gateways[i].share;
		bindings[i] = (struct binding){ .count = 0 };
		for (size_t k = 0; k < share->count; k++) {
			if (share->recorded[k])
				binding_add(&bindings[i], share->addresses[k]);
		}
	}
}

static int cmp_age(const void *a, const void *b)
{
	const struct gateway_view *const *left = a, *const *right = b;
	return meta_cmp_age(&(*left)->object->meta, &(*right)->object->meta);
}

/* Ports go to the oldest Gateway; one that is not accepted itself claims none. */
static void distribute_ports(struct gateways_view *view, const struct binding *bindings,
			     const struct resolve_options *options)
{
	size_t count = view->gateway_count;
	struct gateway_view **by_age = xcalloc(count + 1, sizeof(struct gateway_view *));
	struct ports ports = { 0 };
	for (size_t i = 0; i < count; i++)
		by_age[i] = &view->gateways[i];
	qsort(by_age, count, sizeof(struct gateway_view *), cmp_age);
	for (size_t i = 0; i < count; i++) {
		struct listener_scope scope = scope_of(view, by_age[i], options);
		if (!gateway_rejected(by_age[i]))
			claim_ports(&scope, by_age[i], &bindings[by_age[i] - view->gateways],
				    &ports);
	}
	free(ports.holders);
	free(by_age);
}

static void finish_gateway(struct gateways_view *view, struct gateway_view *gateway,
			   const struct resolve_options *options, const struct binding *binding)
{
	struct listener_scope scope = scope_of(view, gateway, options);
	find_overlaps(&scope, gateway);
	for (size_t i = 0; i < gateway->listener_count; i++)
		set_listener_programmed(view, gateway, &gateway->listeners[i]);
	set_gateway_accepted(view, gateway);
	set_gateway_programmed(view, gateway);
	make_frontends(view, gateway, binding);
	if (gateway->share)
		share_addresses(view, gateway);
	else if (str_empty(options->service_ns))
		keep_addresses(view, gateway);
	else
		service_addresses(view, gateway, options);
}

struct gateways_view *gateways_resolve(const struct store *store,
				       const struct resolve_options *options)
{
	struct arena *arena = arena_new();
	struct gateways_view *view = arena_alloc(arena, sizeof(*view));
	struct str controller = str_empty(options->controller_name) ? STR(CONTROLLER_NAME) :
								      options->controller_name;
	size_t count;
	view->arena = arena;
	view->store = store;
	view->service_ns = arena_str(arena, options->service_ns);
	view->own_addresses = options->pool || !str_empty(options->service_ns);
	findings_init(&view->findings, arena);
	resolve_classes(view, controller);
	const struct object *const *objects = store_list(store, KIND_GATEWAY, &count);
	struct binding *bindings = xcalloc(count + 1, sizeof(*bindings));
	view->gateways = arena_array(arena, count, sizeof(*view->gateways));
	for (size_t i = 0; i < count; i++) {
		const struct class_view *class = find_class(view, objects[i]);
		if (!class)
			continue;
		view->gateways[view->gateway_count].class = class;
		view->gateways[view->gateway_count++].object = objects[i];
	}
	for (size_t i = 0; i < view->gateway_count; i++)
		resolve_gateway(view, &view->gateways[i], options, &bindings[i]);
	if (options->pool) {
		shares_distribute(view, options->pool);
		bind_shares(view, bindings);
	}
	distribute_ports(view, bindings, options);
	for (size_t i = 0; i < view->gateway_count; i++)
		finish_gateway(view, &view->gateways[i], options, &bindings[i]);
	free(bindings);
	return view;
}

void gateways_free(struct gateways_view *view)
{
	if (view)
		arena_free(view->arena);
}

const struct gateway_view *gateways_find(const struct gateways_view *view, struct str ns,
					 struct str name)
{
	size_t low = 0, high = view->gateway_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = meta_cmp_name(&view->gateways[middle].object->meta, ns, name);
		if (order == 0)
			return &view->gateways[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct class_view *gateways_find_class(const struct gateways_view *view, struct str name)
{
	for (size_t i = 0; i < view->class_count; i++) {
		if (str_eq(view->classes[i].object->meta.name, name))
			return &view->classes[i];
	}
	return NULL;
}
