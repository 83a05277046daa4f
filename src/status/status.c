/* SPDX-License-Identifier: Apache-2.0 */
/* Views to status objects. */
#include "status/status.h"

#include "status/features.h"

enum { MAX_MESSAGE_BYTES = 32768 }; /* CRD */

static void write_condition(const struct condition *condition, int64_t generation,
			    struct out *out)
{
	out_object(out);
	out_kv_cstr(out, "type", condition->type);
	out_kv_cstr(out, "status", condition->status ? "True" : "False");
	out_kv_cstr(out, "reason", condition->reason);
	out_kv_str(out, "message", str_sub(condition->message, 0, MAX_MESSAGE_BYTES));
	out_kv_int(out, "observedGeneration", generation);
	out_end(out);
}

static void write_conditions(const struct conditions *conditions, int64_t generation,
			     struct out *out)
{
	out_kv_array(out, "conditions");
	for (size_t i = 0; i < conditions->count; i++)
		write_condition(&conditions->items[i], generation, out);
	out_end(out);
}

/* "v1.6.1": the v1 line of the Gateway API is what we speak. */
static struct condition version_condition(struct str version, struct arena *arena)
{
	bool known = str_starts(version, STR("v1."));
	return (struct condition){
		.type = "SupportedVersion",
		.status = known,
		.reason = known ? "SupportedVersion" : "UnsupportedVersion",
		.message = arena_strf(arena, "The Gateway API of this cluster is " STR_FMT "%s",
				      STR_ARG(version),
				      known ? "." : "; v1.0 or a later v1 is supported."),
	};
}

static void write_features(bool own_addresses, struct out *out)
{
	out_kv_array(out, "supportedFeatures");
	for (const struct feature *feature = supported_features; feature->name; feature++) {
		if (feature->needs_own_address && !own_addresses)
			continue;
		out_object(out);
		out_kv_cstr(out, "name", feature->name);
		out_end(out);
	}
	out_end(out);
}

/* v1.0 and v1.1 have no supportedFeatures, or want it in another form. */
static bool takes_features(struct str version)
{
	return !str_starts(version, STR("v1.0.")) && !str_starts(version, STR("v1.1."));
}

void status_class(const struct class_view *class, struct str version, bool own_addresses,
		  struct out *out)
{
	struct arena *arena = arena_new();
	struct conditions conditions = class->conditions;
	if (!str_empty(version)) {
		struct condition condition = version_condition(version, arena);
		conditions_set(&conditions, condition.type, condition.status, condition.reason,
			       condition.message);
	}
	out_object(out);
	write_conditions(&conditions, class->object->meta.generation, out);
	if (takes_features(version))
		write_features(own_addresses, out);
	out_end(out);
	arena_free(arena);
}

/* ---- Gateways ---- */

const struct gateway_address *status_gateway_addresses(const struct gateway_view *gateway,
						       const struct status_live *live,
						       size_t *ret_count)
{
	bool told = live && live->address_count > 0;
	size_t count = told ? live->address_count : gateway->address_count;
	/* Those of the pool are recorded here, and bound only then. */
	if (gateway->frontend_count == 0 && !gateway->share)
		count = 0;
	*ret_count = count < MAX_ADDRESSES ? count : MAX_ADDRESSES;
	return told ? live->addresses : gateway->addresses;
}

static void write_addresses(const struct gateway_view *gateway, const struct status_live *live,
			    struct out *out)
{
	size_t count;
	const struct gateway_address *addresses = status_gateway_addresses(gateway, live, &count);
	out_kv_array(out, "addresses");
	for (size_t i = 0; i < count; i++) {
		out_object(out);
		out_kv_str(out, "type", addresses[i].type);
		out_kv_str(out, "value", addresses[i].value);
		out_end(out);
	}
	out_end(out);
}

static struct str blocked_listener(const struct listener_view *listener,
				   const struct status_live *live)
{
	return live && live->blocked && listener->serves ?
		       live->blocked(live->user, listener->frontend) : STR_NONE;
}

/* Only if no listener is left. */
static struct str blocked_gateway(const struct gateway_view *gateway,
				  const struct status_live *live)
{
	struct str why = STR_NONE;
	for (size_t i = 0; i < gateway->listener_count; i++) {
		if (!gateway->listeners[i].serves)
			continue;
		why = blocked_listener(&gateway->listeners[i], live);
		if (str_empty(why))
			break;
	}
	return why;
}

/* What the views call programmed is so only once the data plane agrees: all of it, and this part. */
static void ask_live(struct conditions *conditions, const struct status_live *live,
		     struct str blocked)
{
	const struct condition *programmed = conditions_get(conditions, "Programmed");
	if (!live || !programmed || !programmed->status)
		return;
	if (!live->programmed || !str_empty(blocked))
		conditions_set(conditions, "Programmed", false, "Pending",
			       !str_empty(blocked)	 ? blocked :
			       !str_empty(live->message) ? live->message :
							   STR("Waiting for the data plane."));
}

struct conditions status_listener_conditions(const struct listener_view *listener,
					     const struct status_live *live)
{
	struct conditions conditions = listener->conditions;
	ask_live(&conditions, live, blocked_listener(listener, live));
	return conditions;
}

struct conditions status_gateway_conditions(const struct gateway_view *gateway,
					    const struct status_live *live)
{
	struct conditions conditions = gateway->conditions;
	const struct condition *programmed = conditions_get(&conditions, "Programmed");
	if (live && !str_empty(live->no_address) && programmed && programmed->status)
		conditions_set(&conditions, "Programmed", false, "AddressNotAssigned",
			       live->no_address);
	ask_live(&conditions, live, blocked_gateway(gateway, live));
	return conditions;
}

static void write_listener(const struct listener_view *listener, int64_t generation,
			   const struct status_live *live, struct out *out)
{
	struct conditions conditions = status_listener_conditions(listener, live);
	out_object(out);
	out_kv_str(out, "name", listener->spec->name);
	out_kv_int(out, "attachedRoutes", listener->attached_routes);
	out_kv_array(out, "supportedKinds");
	for (enum kind kind = FIRST_ROUTE_KIND; kind_is_route(kind); kind++) {
		if (!(listener->kinds & kind_bit(kind)))
			continue;
		out_object(out);
		out_kv_cstr(out, "group", GROUP_GATEWAY);
		out_kv_cstr(out, "kind", kind_table[kind].name);
		out_end(out);
	}
	out_end(out);
	write_conditions(&conditions, generation, out);
	out_end(out);
}

void status_gateway(const struct gateway_view *gateway, const struct status_live *live,
		    struct out *out)
{
	int64_t generation = gateway->object->meta.generation;
	struct conditions conditions = status_gateway_conditions(gateway, live);
	out_object(out);
	write_addresses(gateway, live, out);
	write_conditions(&conditions, generation, out);
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
		write_conditions(&parent->conditions, route->object->meta.generation, out);
		out_end(out);
	}
	out_end(out);
	out_end(out);
}

/* ---- Backends, GatewayParameters ---- */

/* The first error's reason, and what all of them say, as far as it fits. */
static struct condition refused_condition(const struct findings *refusal, struct sb *text)
{
	struct condition condition = { .type = "Accepted", .reason = "" };
	for (size_t i = 0; i < refusal->count; i++) {
		const struct finding *finding = &refusal->items[i];
		if (finding->severity != SEVERITY_ERROR)
			continue;
		if (!text->len)
			condition.reason = finding->reason.p;
		sb_addf(text, "%s" STR_FMT "%s" STR_FMT, text->len ? "; " : "",
			STR_ARG(finding->field), str_empty(finding->field) ? "" : ": ",
			STR_ARG(finding->text));
	}
	condition.message = sb_str(text);
	return condition;
}

void status_verdict(const struct findings *refusal, int64_t generation, struct str controller_name,
		    struct out *out)
{
	struct condition condition = { .type = "Accepted",
				       .status = true,
				       .reason = "Accepted",
				       .message = STR("The object is valid.") };
	struct sb text;
	sb_init(&text, MAX_MESSAGE_BYTES);
	if (refusal)
		condition = refused_condition(refusal, &text);
	out_object(out);
	out_kv_array(out, "controllers");
	out_object(out);
	out_kv_str(out, "controllerName", controller_name);
	out_kv_array(out, "conditions");
	write_condition(&condition, generation, out);
	for (int open = 0; open < 4; open++)
		out_end(out);
	sb_fini(&text);
}
