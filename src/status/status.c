/* SPDX-License-Identifier: Apache-2.0 */
/* Views to status objects. */
#include "status/status.h"

static void write_condition(const struct condition *condition, int64_t generation,
			    struct out *out)
{
	out_object(out);
	out_kv_cstr(out, "type", condition->type);
	out_kv_cstr(out, "status", condition->status ? "True" : "False");
	out_kv_cstr(out, "reason", condition->reason);
	out_kv_str(out, "message", condition->message);
	out_kv_int(out, "observedGeneration", generation);
	out_end(out);
}

/* What the views call programmed is so only once the data plane agrees. */
static struct condition live_condition(const struct condition *condition,
				       const struct status_live *live)
{
	struct condition result = *condition;
	if (live && !live->programmed && condition->status &&
	    strcmp(condition->type, "Programmed") == 0) {
		result.status = false;
		result.reason = "Pending";
		result.message = str_empty(live->message) ?
					 STR("Waiting for the data plane.") : live->message;
	}
	return result;
}

static void write_conditions(const struct conditions *conditions, int64_t generation,
			     const struct status_live *live, struct out *out)
{
	out_kv_array(out, "conditions");
	for (size_t i = 0; i < conditions->count; i++) {
		struct condition condition = live_condition(&conditions->items[i], live);
		write_condition(&condition, generation, out);
	}
	out_end(out);
}

void status_class(const struct class_view *class, struct out *out)
{
	out_object(out);
	write_conditions(&class->conditions, class->object->meta.generation, NULL, out);
	out_end(out);
}

/* ---- Gateways ---- */

static void write_address(struct str type, struct str value, struct out *out)
{
	out_object(out);
	out_kv_str(out, "type", type);
	out_kv_str(out, "value", value);
	out_end(out);
}

/* Without addresses from the data plane: those that the spec asks for by value. */
static void write_addresses(const struct gateway_view *gateway, const struct status_live *live,
			    struct out *out)
{
	const struct gateway *spec = &gateway->object->gateway;
	bool told = live && live->address_count > 0;
	const struct gateway_address *addresses = told ? live->addresses : spec->addresses;
	size_t count = told ? live->address_count : spec->address_count;
	if (gateway->frontend_count == 0)
		count = 0;
	out_kv_array(out, "addresses");
	for (size_t i = 0; i < count; i++) {
		if (!str_empty(addresses[i].value))
			write_address(addresses[i].type, addresses[i].value, out);
	}
	out_end(out);
}

static void write_listener(const struct listener_view *listener, int64_t generation,
			   const struct status_live *live, struct out *out)
{
	out_object(out);
	out_kv_str(out, "name", listener->spec->name);
	out_kv_int(out, "attachedRoutes", listener->attached_routes);
	out_kv_array(out, "supportedKinds");
	for (size_t i = 0; i < listener->kind_count; i++) {
		out_object(out);
		out_kv_cstr(out, "group", GROUP_GATEWAY);
		out_kv_str(out, "kind", listener->kinds[i]);
		out_end(out);
	}
	out_end(out);
	write_conditions(&listener->conditions, generation, live, out);
	out_end(out);
}

void status_gateway(const struct gateway_view *gateway, const struct status_live *live,
		    struct out *out)
{
	int64_t generation = gateway->object->meta.generation;
	out_object(out);
	write_addresses(gateway, live, out);
	write_conditions(&gateway->conditions, generation, live, out);
	out_kv_array(out, "listeners");
	for (size_t i = 0; i < gateway->listener_count; i++)
		write_listener(&gateway->listeners[i], generation, live, out);
	out_end(out);
	out_end(out);
}

/* ---- routes ---- */

static void write_parent_ref(const struct parent_ref *ref, struct out *out)
{
	out_kv_object(out, "parentRef");
	out_kv_str(out, "group", ref->group);
	out_kv_str(out, "kind", ref->kind);
	out_kv_str(out, "namespace", ref->ns);
	out_kv_str(out, "name", ref->name);
	if (!str_empty(ref->section))
		out_kv_str(out, "sectionName", ref->section);
	if (ref->port)
		out_kv_int(out, "port", ref->port);
	out_end(out);
}

void status_route(const struct route_view *route, struct str controller_name, struct out *out)
{
	out_object(out);
	out_kv_array(out, "parents");
	for (size_t i = 0; i < route->parent_count; i++) {
		const struct parent_view *parent = &route->parents[i];
		out_object(out);
		write_parent_ref(parent->ref, out);
		out_kv_str(out, "controllerName", controller_name);
		write_conditions(&parent->conditions, route->object->meta.generation, NULL, out);
		out_end(out);
	}
	out_end(out);
	out_end(out);
}
