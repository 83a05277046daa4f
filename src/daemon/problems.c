/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/problems.h"

#include "base/sb.h"
#include "daemon/app.h"
#include "publish/events.h"

enum { NOTE_BYTES = 2048 };

static bool is_ours(const struct app *app, const struct finding *finding)
{
	const struct gateways_view *gateways = compiler_gateways(app->compiler);
	const struct route_view *route;
	switch (finding->kind) {
	case KIND_BACKEND:
		return !str_is(finding->name, "*"); /* that is the kind, not an object */
	case KIND_GATEWAYCLASS:
		return gateways_find_class(gateways, finding->name) != NULL;
	case KIND_GATEWAY:
		return gateways_find(gateways, finding->ns, finding->name) != NULL;
	case KIND_HTTPROUTE:
	case KIND_GRPCROUTE:
		route = compiler_route(app->compiler, finding->kind, finding->ns, finding->name);
		return route && route->parent_count > 0;
	default:
		return false;
	}
}

static bool needs_somebody(const struct finding *finding)
{
	return finding->severity == SEVERITY_ERROR ||
	       str_is(finding->reason, "CertificateExpired");
}

static void tell_finding(struct events *events, const struct finding *finding)
{
	struct sb note;
	sb_init(&note, NOTE_BYTES);
	sb_add(&note, finding->field);
	sb_adds(&note, str_empty(finding->field) ? "" : ": ");
	sb_add(&note, finding->text);
	events_add(events, finding->kind, finding->ns, finding->name, finding->reason,
		   sb_str(&note));
	sb_fini(&note);
}

/* Its Service does not exist, or does not have a port of it. */
static bool waits_for_service(const struct gateway_view *gateway)
{
	for (size_t i = 0; i < gateway->listener_count; i++) {
		const struct condition *programmed =
			conditions_get(&gateway->listeners[i].conditions, "Programmed");
		if (strcmp(programmed->reason, "Pending") == 0)
			return true;
	}
	return false;
}

/* Whoever made the Gateway may not even know of its Service. That of a Gateway that is gone is for
 * the findings alone. */
static void tell_of_service(struct events *events, const struct gateways_view *view,
			    const struct finding *finding)
{
	bool all = str_is(finding->name, "*");
	for (size_t i = 0; i < view->gateway_count; i++) {
		const struct gateway_view *gateway = &view->gateways[i];
		const struct meta *meta = &gateway->object->meta;
		if (all ? waits_for_service(gateway) :
			  str_eq(gateway->service_name, finding->name))
			events_add(events, KIND_GATEWAY, meta->ns, meta->name, finding->reason,
				   finding->text);
	}
}

/* What is known of a Gateway by its conditions alone. */
static void tell_gateway(struct events *events, const struct gateway_view *gateway,
			 const char *failing)
{
	const struct meta *meta = &gateway->object->meta;
	const struct condition *programmed = conditions_get(&gateway->conditions, "Programmed");
	if (*failing)
		events_add(events, KIND_GATEWAY, meta->ns, meta->name, STR("HAProxyFailed"),
			   str_of(failing));
	/* Another address than is asked for; that there is none yet takes its time with every new one. */
	if (programmed && gateway->service && gateway->address_count > 0 &&
	    strcmp(programmed->reason, "AddressNotUsable") == 0)
		events_add(events, KIND_GATEWAY, meta->ns, meta->name, str_of(programmed->reason),
			   programmed->message);
}

void problems_tell(struct events *events, const struct app *app, const struct findings *findings,
		   const char *failing)
{
	const struct gateways_view *view = compiler_gateways(app->compiler);
	events_begin(events);
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		if (str_is(finding->reason, "ServiceNotWritten"))
			tell_of_service(events, view, finding);
		else if (needs_somebody(finding) && is_ours(app, finding))
			tell_finding(events, finding);
	}
	for (size_t i = 0; i < view->gateway_count; i++)
		tell_gateway(events, &view->gateways[i], failing);
	events_end(events);
}
