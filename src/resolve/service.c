/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/service.h"

#include "base/digest.h"
#include "resolve/address.h"

/* ---- names ---- */

static bool contains(struct str text, const char *part)
{
	struct str wanted = str_of(part);
	for (size_t i = 0; i + wanted.n <= text.n; i++) {
		if (str_eq(str_sub(text, i, i + wanted.n), wanted))
			return true;
	}
	return false;
}

static struct str short_digest(struct arena *arena, struct str text)
{
	char hex[DIGEST_HEX_BYTES + 1];
	digest_hex(text, hex);
	return arena_str(arena, (struct str){ hex, DIGEST_SHORT_BYTES });
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_label_value(struct str text)
{
	if (text.n == 0 || text.n > MAX_LABEL_BYTES || !is_alphanumeric(text.p[0]) ||
	    !is_alphanumeric(text.p[text.n - 1]))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!is_alphanumeric(c) && c != '-' && c != '_' && c != '.')
			return false;
	}
	return true;
}

/* Characters that a label's value, or a Service's name, cannot have become '-'. */
static struct str plain_beginning(struct arena *arena, struct str text, size_t max)
{
	size_t n = text.n < max ? text.n : max;
	char *copy = arena_alloc(arena, n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = is_alphanumeric(text.p[i]) ? text.p[i] : '-';
	}
	return (struct str){ copy, n };
}

/* Neither a namespace nor a name begins or ends with '-', so "--" between two that do not have
 * it is the only one, and "---" is in none of these. */
struct str gateway_service_name(struct arena *arena, struct str ns, struct str name)
{
	struct str plain = arena_strf(arena, STR_FMT "--" STR_FMT, STR_ARG(ns), STR_ARG(name));
	bool letter_first = ns.n && ns.p[0] >= 'a' && ns.p[0] <= 'z';
	if (letter_first && plain.n <= MAX_LABEL_BYTES && !contains(ns, "--") &&
	    !contains(name, "--") && !contains(name, "."))
		return plain;
	size_t room = MAX_LABEL_BYTES - strlen("gw-") - strlen("---") - DIGEST_SHORT_BYTES;
	struct str key = arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	return arena_strf(arena, "gw-" STR_FMT "---" STR_FMT,
			  STR_ARG(plain_beginning(arena, plain, room)),
			  STR_ARG(short_digest(arena, key)));
}

struct str label_value_of(struct arena *arena, struct str text)
{
	char *copy = arena_alloc(arena, text.n + 1);
	for (size_t i = 0; i < text.n; i++)
		copy[i] = text.p[i] == '/' ? '_' : text.p[i];
	struct str plain = { copy, text.n };
	if (is_label_value(plain) && !contains(text, "_"))
		return plain;
	size_t room = MAX_LABEL_BYTES - strlen("x") - strlen("__") - DIGEST_SHORT_BYTES;
	return arena_strf(arena, "x" STR_FMT "__" STR_FMT,
			  STR_ARG(plain_beginning(arena, text, room)),
			  STR_ARG(short_digest(arena, text)));
}

/* ---- which it is ---- */

void service_find(struct gateways_view *view, struct gateway_view *gateway,
		  const struct resolve_options *options)
{
	const struct meta *meta = &gateway->object->meta;
	struct str controller = str_empty(options->controller_name) ? STR(CONTROLLER_NAME) :
								      options->controller_name;
	struct str label, maker;
	gateway->service_name = gateway_service_name(view->arena, meta->ns, meta->name);
	const struct object *service =
		store_get(view->store, KIND_SERVICE, view->service_ns, gateway->service_name);
	if (service && service->service.gateway &&
	    meta_label(&service->meta, STR(LABEL_MANAGED_BY), &maker) && str_is(maker, MANAGED_BY) &&
	    meta_label(&service->meta, STR(LABEL_CONTROLLER), &label) &&
	    str_eq(label, label_value_of(view->arena, controller)))
		gateway->service = service;
}

bool gateways_use_service(const struct gateways_view *view, struct str ns, struct str name)
{
	if (!view || str_empty(view->service_ns) || !str_eq(ns, view->service_ns))
		return false;
	for (size_t i = 0; i < view->gateway_count; i++) {
		if (str_eq(view->gateways[i].service_name, name))
			return true;
	}
	return false;
}

/* ---- ports ---- */

uint16_t service_bind_port(const struct gateway_view *gateway, uint16_t port)
{
	const struct service_port *found =
		gateway->service ? service_find_port(&gateway->service->service, port) : NULL;
	return found && str_is(found->protocol, "TCP") ? found->target_port : 0;
}

struct str service_missing(const struct gateways_view *view, const struct gateway_view *gateway)
{
	return arena_strf(view->arena, "Waiting for %sService " STR_FMT "/" STR_FMT
			  ", which the replica that leads %s. If this lasts, its findings say why.",
			  gateway->service ? "the port in " : "", STR_ARG(view->service_ns),
			  STR_ARG(gateway->service_name), gateway->service ? "writes" : "makes");
}

void service_port_taken(const struct listener_scope *scope, const struct gateway_view *other,
			uint16_t port, uint16_t bind_port)
{
	const struct gateway_view *gateway =
		gateways_find(scope->view, scope->gateway->meta.ns, scope->gateway->meta.name);
	findings_add(scope->findings, SEVERITY_WARNING, KIND_GATEWAY, &scope->gateway->meta,
		     "spec.listeners", "PortUnavailable",
		     "Port %u is not served: its target port in Service " STR_FMT "/" STR_FMT ", %u, "
		     "is taken by Service " STR_FMT ". The replica that leads gives it another.",
		     port, STR_ARG(scope->view->service_ns), STR_ARG(gateway->service_name),
		     bind_port, STR_ARG(other->service_name));
}

/* ---- addresses ---- */

size_t service_given_addresses(const struct gateway_service *service,
			       struct gateway_address ret_addresses[MAX_ADDRESSES])
{
	bool balanced = str_is(service->type, "LoadBalancer");
	size_t count = balanced ? service->ingress_count : service->cluster_ip_count, found = 0;
	for (size_t i = 0; i < count && found < MAX_ADDRESSES; i++) {
		struct gateway_address *address = &ret_addresses[found];
		if (balanced)
			*address = service->ingress[i];
		else
			*address = (struct gateway_address){ STR("IPAddress"),
							     service->cluster_ips[i] };
		found += !str_empty(address->value) && !str_is(address->value, "None");
	}
	return found;
}

static struct str same_text(struct arena *arena, struct str ip)
{
	struct str text;
	return address_canonical(arena, ip, &text) ? text : ip;
}

static bool has_address(struct arena *arena, const struct gateway_address *addresses, size_t count,
			struct str ip)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(same_text(arena, addresses[i].value), same_text(arena, ip)))
			return true;
	}
	return false;
}

/* The first address that is asked for and not there; empty: none. */
static struct str missing_address(struct arena *arena, const struct gateway_view *gateway)
{
	const struct gateway *spec = &gateway->object->gateway;
	for (size_t i = 0; i < spec->address_count; i++) {
		struct str value = spec->addresses[i].value;
		if (!str_empty(value) &&
		    !has_address(arena, gateway->addresses, gateway->address_count, value))
			return value;
	}
	return STR_NONE;
}

/* The first one that is there and not asked for; one without a value asks for any. */
static struct str further_address(struct arena *arena, const struct gateway_view *gateway)
{
	const struct gateway *spec = &gateway->object->gateway;
	bool any = spec->address_count == 0;
	for (size_t i = 0; i < spec->address_count; i++)
		any |= str_empty(spec->addresses[i].value);
	for (size_t i = 0; !any && i < gateway->address_count; i++) {
		struct str value = gateway->addresses[i].value;
		if (!has_address(arena, spec->addresses, spec->address_count, value))
			return value;
	}
	return STR_NONE;
}

static bool asks_for_addresses(const struct gateway_view *gateway)
{
	const struct gateway *spec = &gateway->object->gateway;
	for (size_t i = 0; i < spec->address_count; i++) {
		if (!str_empty(spec->addresses[i].value))
			return true;
	}
	return false;
}

static void judge_addresses(struct gateways_view *view, struct gateway_view *gateway)
{
	struct arena *arena = view->arena;
	struct str service = arena_strf(arena, "Service " STR_FMT "/" STR_FMT,
					STR_ARG(view->service_ns), STR_ARG(gateway->service_name));
	struct str missing = missing_address(arena, gateway);
	struct str further = further_address(arena, gateway);
	const char *reason = "AddressNotUsable";
	struct str text;
	if (!str_empty(missing)) {
		text = arena_strf(arena, STR_FMT " does not have the address " STR_FMT " that "
				  "spec.addresses asks for. See its events.", STR_ARG(service),
				  STR_ARG(missing));
	} else if (!str_empty(further)) {
		text = arena_strf(arena, STR_FMT " has the address " STR_FMT ", which "
				  "spec.addresses does not ask for. See its events.",
				  STR_ARG(service), STR_ARG(further));
	} else if (gateway->address_count == 0) {
		reason = "AddressNotAssigned";
		text = arena_strf(arena, "Waiting for a load balancer to give " STR_FMT " an "
				  "address. See its events.", STR_ARG(service));
	} else {
		return;
	}
	conditions_set(&gateway->conditions, "Programmed", false, reason, text);
}

void service_addresses(struct gateways_view *view, struct gateway_view *gateway,
		       const struct resolve_options *options)
{
	if (!gateway->service)
		return;
	gateway->addresses =
		arena_array(view->arena, MAX_ADDRESSES, sizeof(*gateway->addresses));
	gateway->address_count =
		service_given_addresses(gateway->service->service.gateway, gateway->addresses);
	if (!conditions_get(&gateway->conditions, "Programmed")->status ||
	    (options->addresses_told && !asks_for_addresses(gateway)))
		return;
	judge_addresses(view, gateway);
}
