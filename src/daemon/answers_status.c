/* SPDX-License-Identifier: Apache-2.0 */
/* `tidectl status` and `tidectl get`: the objects and how they fare. */
#include "daemon/answers.h"
#include "daemon/app.h"
#include "status/status.h"

static const char *state_name(const struct app *app)
{
	static const char *const names[] = { "stopped", "starting", "ready", "degraded",
					     "stopping" };
	return app->engine_started ? names[engine_state(app->engine)] : "not started";
}

/* addresses: room for the Gateway's. */
static struct status_live live_status(const struct call *call, const struct gateway_view *gateway,
				      struct gateway_address addresses[MAX_ADDRESSES])
{
	struct app *app = call_app(call);
	struct status_live live = app_live(app);
	cluster_tell_addresses(app->cluster, gateway, addresses, &live);
	return live;
}

static uint64_t finding_count(const struct app *app, struct arena *arena, enum severity severity)
{
	struct findings findings;
	uint64_t count = 0;
	findings_init(&findings, arena);
	app_findings(app, &findings);
	for (size_t i = 0; i < findings.count; i++)
		count += findings.items[i].severity == severity;
	return count;
}

/* ---- JSON, YAML ---- */

static void out_meta(struct out *out, const struct object *object)
{
	out_kv_cstr(out, "kind", kind_table[object->kind].name);
	if (!str_empty(object->meta.ns))
		out_kv_str(out, "namespace", object->meta.ns);
	out_kv_str(out, "name", object->meta.name);
	out_kv_int(out, "generation", object->meta.generation);
	if (!str_empty(object->meta.origin))
		out_kv_str(out, "origin", object->meta.origin);
}

static void out_source(struct out *out, const struct app *app)
{
	struct source_state state;
	if (!app->sources.kube)
		return;
	sources_state(&app->sources, &state);
	out_kv_object(out, "source");
	out_kv_cstr(out, "apiServer", kube_source_name(app->sources.kube));
	out_kv_bool(out, "complete", state.complete);
	out_kv_bool(out, "stale", state.stale[0] != '\0');
	if (state.stale[0]) {
		out_kv_cstr(out, "why", state.stale);
		out_kv_int(out, "staleSeconds", (int64_t)state.stale_s);
	}
	out_end(out);
}

static void out_leader(struct out *out, const struct app *app)
{
	struct cluster_state state;
	if (!app->cluster)
		return;
	cluster_state(app->cluster, &state);
	out_kv_object(out, "leader");
	out_kv_cstr(out, "identity", state.holder);
	out_kv_bool(out, "here", state.leads);
	if (*state.trouble)
		out_kv_cstr(out, "trouble", state.trouble);
	out_kv_int(out, "pending", (int64_t)state.publish.pending);
	out_end(out);
}

static void out_engine(struct out *out, const struct app *app)
{
	struct engine_stats stats;
	engine_stats(app->engine, &stats);
	const struct haproxy_caps *caps = app->engine_started ? engine_caps(app->engine) : NULL;
	const char *why = app_not_ready(app);
	out_kv_cstr(out, "version", PACKAGE_VERSION);
	out_kv_bool(out, "ready", !*why);
	if (*why)
		out_kv_cstr(out, "notReady", why);
	if (*app_holding(app))
		out_kv_cstr(out, "holding", app_holding(app));
	if (app->trouble[0])
		out_kv_cstr(out, "trouble", app->trouble);
	out_source(out, app);
	out_leader(out, app);
	out_kv_object(out, "haproxy");
	out_kv_cstr(out, "state", state_name(app));
	if (caps) {
		out_key(out, "version");
		out_strf(out, "%u.%u.%u", caps->major, caps->minor, caps->patch);
	}
	out_kv_int(out, "masterPid", stats.haproxy_pid);
	out_kv_int(out, "workerPid", stats.worker_pid);
	out_kv_int(out, "agentPid", stats.agent_pid);
	out_kv_int(out, "reloads", (int64_t)stats.reloads);
	out_kv_int(out, "commands", (int64_t)stats.commands);
	out_kv_int(out, "driftRepaired", (int64_t)stats.drift_repaired);
	out_end(out);
}

static void out_overrides(struct out *out, const struct app *app)
{
	size_t count;
	const struct weight_override *weights = overrides_weights(app->overrides, &count);
	out_kv_array(out, "overrides");
	for (size_t i = 0; i < count; i++) {
		out_object(out);
		out_kv_cstr(out, "route", weights[i].route);
		out_kv_cstr(out, "rule", weights[i].rule);
		out_kv_cstr(out, "backend", weights[i].backend);
		out_kv_int(out, "weight", weights[i].weight);
		out_end(out);
	}
	const struct server_override *servers = overrides_servers(app->overrides, &count);
	for (size_t i = 0; i < count; i++) {
		out_object(out);
		out_kv_cstr(out, "backend", servers[i].backend);
		out_kv_cstr(out, "server", servers[i].server);
		out_kv_cstr(out, "state", servers[i].state);
		out_end(out);
	}
	out_end(out);
}

static void out_gateway_status(struct call *call, const struct gateway_view *gateway,
			       struct out *out)
{
	struct gateway_address addresses[MAX_ADDRESSES];
	struct status_live live = live_status(call, gateway, addresses);
	out_key(out, "status");
	status_gateway(gateway, &live, out);
}

static void out_class_status(struct call *call, const struct class_view *class, struct out *out)
{
	const struct app *app = call_app(call);
	out_key(out, "status");
	status_class(class, cluster_version(app->cluster),
		     compiler_gateways(app->compiler)->own_addresses, out);
}

static void out_route_status(const struct app *app, const struct route_view *route, struct out *out)
{
	out_key(out, "status");
	status_route(route, str_of(app->options.controller_name), out);
}

static void out_gateways(struct call *call, struct out *out)
{
	const struct gateways_view *view = compiler_gateways(call_app(call)->compiler);
	out_kv_array(out, "gatewayClasses");
	for (size_t i = 0; view && i < view->class_count; i++) {
		out_object(out);
		out_meta(out, view->classes[i].object);
		out_class_status(call, &view->classes[i], out);
		out_end(out);
	}
	out_end(out);
	out_kv_array(out, "gateways");
	for (size_t i = 0; view && i < view->gateway_count; i++) {
		out_object(out);
		out_meta(out, view->gateways[i].object);
		out_gateway_status(call, &view->gateways[i], out);
		out_end(out);
	}
	out_end(out);
}

static void out_routes(struct out *out, const struct app *app)
{
	size_t count;
	const struct route_view *const *routes = compiler_routes(app->compiler, &count);
	out_kv_array(out, "routes");
	for (size_t i = 0; i < count; i++) {
		out_object(out);
		out_meta(out, routes[i]->object);
		out_kv_bool(out, "overridden",
			    overrides_has_route(app->overrides, routes[i]->object));
		out_route_status(app, routes[i], out);
		out_end(out);
	}
	out_end(out);
}

static void status_structured(struct call *call)
{
	const struct app *app = call_app(call);
	struct out out;
	out_init(&out, call_body(call), report_out_format(call_format(call)));
	out_object(&out);
	out_engine(&out, app);
	out_kv_object(&out, "findings");
	for (int i = 0; i <= SEVERITY_INFO; i++)
		out_kv_int(&out, severity_name((enum severity)i),
			   (int64_t)finding_count(app, call_arena(call), (enum severity)i));
	out_end(&out);
	out_overrides(&out, app);
	out_gateways(call, &out);
	out_routes(&out, app);
	out_end(&out);
}

/* ---- text ---- */

static void text_source(struct call *call)
{
	const struct app *app = call_app(call);
	struct source_state state;
	if (!app->sources.kube)
		return;
	sources_state(&app->sources, &state);
	sb_addf(call_body(call), "Source:   %s%s\n", kube_source_name(app->sources.kube),
		state.complete ? "" : ", being read");
	if (state.stale[0])
		sb_addf(call_body(call),
			"Stale:    for %.0f s: %s; what it said before stays in force\n",
			state.stale_s, state.stale);
}

static void text_leader(struct call *call)
{
	const struct app *app = call_app(call);
	struct sb *sb = call_body(call);
	struct cluster_state state;
	if (!app->cluster)
		return;
	cluster_state(app->cluster, &state);
	sb_addf(sb, "Leader:   %s%s", *state.holder ? state.holder : "nobody yet",
		state.leads ? " (this one): writes status" : "");
	if (state.publish.pending)
		sb_addf(sb, ", %llu objects to go", (unsigned long long)state.publish.pending);
	sb_addf(sb, "%s%s\n", *state.trouble ? "; the Lease cannot be used: " : "", state.trouble);
}

/* 0: it does not run, or is somebody else's. */
static void text_pid(struct sb *sb, const char *what, int pid)
{
	if (pid > 0)
		sb_addf(sb, ", %s %d", what, pid);
}

static void text_engine(struct call *call)
{
	const struct app *app = call_app(call);
	struct sb *sb = call_body(call);
	struct engine_stats stats;
	engine_stats(app->engine, &stats);
	const struct haproxy_caps *caps = app->engine_started ? engine_caps(app->engine) : NULL;
	const char *why = app_not_ready(app);
	sb_addf(sb, "Tidegate %s: %s%s\n", PACKAGE_VERSION, *why ? "not ready: " : "ready", why);
	sb_addf(sb, "HAProxy:  %s", state_name(app));
	if (caps)
		sb_addf(sb, ", version %u.%u.%u", caps->major, caps->minor, caps->patch);
	text_pid(sb, "master", stats.haproxy_pid);
	text_pid(sb, "worker", stats.worker_pid);
	text_pid(sb, "agent", stats.agent_pid);
	sb_addf(sb, ", %llu reloads\n", (unsigned long long)stats.reloads);
	text_source(call);
	text_leader(call);
	if (*app_holding(app))
		sb_addf(sb, "Holding:  %s\n", app_holding(app));
	if (app->trouble[0])
		sb_addf(sb, "Trouble:  %s\n", app->trouble);
	uint64_t errors = finding_count(app, call_arena(call), SEVERITY_ERROR);
	uint64_t warnings = finding_count(app, call_arena(call), SEVERITY_WARNING);
	sb_addf(sb, "Findings: %llu errors, %llu warnings%s\n", (unsigned long long)errors,
		(unsigned long long)warnings, errors + warnings ? " (tidectl findings)" : "");
}

static void text_overrides(struct call *call)
{
	const struct app *app = call_app(call);
	struct sb *sb = call_body(call);
	size_t count;
	const struct weight_override *weights = overrides_weights(app->overrides, &count);
	for (size_t i = 0; i < count; i++)
		sb_addf(sb, "Override: weight of %s in %s%s%s is %u (tidectl weights %s --clear)\n",
			weights[i].backend, weights[i].route, weights[i].rule[0] ? ":" : "",
			weights[i].rule, weights[i].weight, weights[i].route);
	const struct server_override *servers = overrides_servers(app->overrides, &count);
	for (size_t i = 0; i < count; i++) {
		const char *slash = servers[i].server[0] ? "/" : "";
		sb_addf(sb, "Override: %s%s%s is in %s (tidectl drain --ready %s%s%s)\n",
			servers[i].backend, slash, servers[i].server, servers[i].state,
			servers[i].backend, slash, servers[i].server);
	}
}

/* "Accepted, Programmed; not ResolvedRefs (RefNotPermitted: ...)" */
static struct str conditions_text(struct arena *arena, const struct conditions *conditions,
				  bool *ret_good)
{
	struct sb good, bad;
	sb_init(&good, 4096);
	sb_init(&bad, 64 * 1024);
	for (size_t i = 0; i < conditions->count; i++) {
		const struct condition *c = &conditions->items[i];
		/* Conflicted and OverlappingTLSConfig are good when they are false. */
		bool negative = strcmp(c->type, "Conflicted") == 0 ||
				strcmp(c->type, "OverlappingTLSConfig") == 0;
		if (negative && !c->status)
			continue;
		if (c->status && !negative)
			sb_addf(&good, "%s%s", good.len ? ", " : "", c->type);
		else
			sb_addf(&bad, "%s%s%s (%s: " STR_FMT ")", bad.len ? "; " : "",
				negative ? "" : "not ", c->type, c->reason, STR_ARG(c->message));
	}
	*ret_good = bad.len == 0;
	struct str text = arena_strf(arena, STR_FMT "%s" STR_FMT, STR_ARG(sb_str(&bad)),
				     bad.len && good.len ? "; " : "", STR_ARG(sb_str(&good)));
	sb_fini(&good);
	sb_fini(&bad);
	return text;
}

static void row_conditions(struct report *report, struct call *call,
			   const struct conditions *conditions)
{
	bool good;
	struct str text = conditions_text(call_arena(call), conditions, &good);
	report_str(report, text, good ? TABLE_GREEN : TABLE_YELLOW);
}

static struct str addresses_text(struct arena *arena, const struct gateway_address *addresses,
				 size_t count)
{
	struct str text = STR_NONE;
	for (size_t i = 0; i < count; i++) {
		if (!str_empty(addresses[i].value))
			text = arena_strf(arena, STR_FMT "%s" STR_FMT, STR_ARG(text),
					  str_empty(text) ? "" : ",", STR_ARG(addresses[i].value));
	}
	return text;
}

/* Where it is, or is to be. "*": all of the host's, whichever these are. */
static struct str address_text(struct arena *arena, const struct gateway_view *gateway,
			       const struct status_live *live)
{
	size_t count;
	const struct gateway_address *addresses = status_gateway_addresses(gateway, live, &count);
	const struct gateway *spec = &gateway->object->gateway;
	bool none_yet = gateway->share || !str_empty(gateway->service_name) ||
			!str_empty(live->no_address);
	struct str text = addresses_text(arena, addresses, count);
	if (str_empty(text) && !gateway->share)
		text = addresses_text(arena, spec->addresses, spec->address_count);
	return str_empty(text) && !none_yet ? STR("*") : text;
}

static void text_listener(struct call *call, struct report *report,
			  const struct listener_view *listener, struct str address,
			  const struct status_live *live)
{
	struct conditions conditions = status_listener_conditions(listener, live);
	report_row(report);
	report_cstr(report, "");
	report_str(report, listener->spec->name, TABLE_PLAIN);
	report_str(report, arena_strf(call_arena(call), STR_FMT ":%u", STR_ARG(address),
				      (unsigned)listener->spec->port), TABLE_PLAIN);
	report_str(report, listener->spec->protocol, TABLE_PLAIN);
	report_str(report, listener->spec->hostname, TABLE_PLAIN);
	report_int(report, listener->attached_routes);
	row_conditions(report, call, &conditions);
}

static void text_gateway(struct call *call, struct report *report,
			 const struct gateway_view *gateway)
{
	struct gateway_address addresses[MAX_ADDRESSES];
	struct status_live live = live_status(call, gateway, addresses);
	struct conditions conditions = status_gateway_conditions(gateway, &live);
	const struct meta *meta = &gateway->object->meta;
	struct str address = address_text(call_arena(call), gateway, &live);
	report_row(report);
	report_str(report, object_key(call_arena(call), meta->ns, meta->name), TABLE_BOLD);
	report_cstr(report, "");
	report_str(report, address, TABLE_PLAIN);
	for (int blank = 0; blank < 3; blank++)
		report_cstr(report, "");
	row_conditions(report, call, &conditions);
	for (size_t i = 0; i < gateway->listener_count; i++)
		text_listener(call, report, &gateway->listeners[i], address, &live);
}

static void text_gateways(struct call *call)
{
	static const struct report_column columns[] = {
		{ "gateway", "GATEWAY", TABLE_LEFT },	{ "listener", "LISTENER", TABLE_LEFT },
		{ "address", "ADDRESS", TABLE_LEFT },	{ "protocol", "PROTOCOL", TABLE_LEFT },
		{ "hostname", "HOSTNAME", TABLE_LEFT }, { "routes", "ROUTES", TABLE_RIGHT },
		{ "conditions", "CONDITIONS", TABLE_LEFT },
	};
	const struct gateways_view *view = compiler_gateways(call_app(call)->compiler);
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), REPORT_TABLE,
		    call_colours(call), call_body(call));
	for (size_t i = 0; view && i < view->gateway_count; i++)
		text_gateway(call, &report, &view->gateways[i]);
	report_finish(&report, "No Gateways of ours. A Gateway needs a GatewayClass with "
			       "controllerName tidegate.io/gateway-controller.");
}

static struct str parent_text(struct arena *arena, const struct parent_ref *ref)
{
	struct str name = arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(ref->ns),
				     STR_ARG(ref->name));
	if (!str_empty(ref->section))
		name = arena_strf(arena, STR_FMT "#" STR_FMT, STR_ARG(name), STR_ARG(ref->section));
	if (ref->port)
		name = arena_strf(arena, STR_FMT ":%u", STR_ARG(name), (unsigned)ref->port);
	return name;
}

static void text_routes(struct call *call)
{
	static const struct report_column columns[] = {
		{ "route", "ROUTE", TABLE_LEFT },     { "hostnames", "HOSTNAMES", TABLE_LEFT },
		{ "parent", "PARENT", TABLE_LEFT },   { "conditions", "CONDITIONS", TABLE_LEFT },
		{ "override", "OVERRIDE", TABLE_LEFT },
	};
	const struct app *app = call_app(call);
	struct arena *arena = call_arena(call);
	size_t count;
	const struct route_view *const *routes = compiler_routes(app->compiler, &count);
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), REPORT_TABLE,
		    call_colours(call), call_body(call));
	for (size_t i = 0; i < count; i++) {
		const struct object *object = routes[i]->object;
		const struct route *spec = &object->route;
		struct str hosts = STR_NONE;
		for (size_t h = 0; h < spec->hostname_count; h++)
			hosts = arena_strf(arena, STR_FMT "%s" STR_FMT, STR_ARG(hosts),
					   h ? "," : "", STR_ARG(spec->hostnames[h]));
		for (size_t p = 0; p < routes[i]->parent_count || p == 0; p++) {
			bool has_parent = p < routes[i]->parent_count;
			report_row(&report);
			report_str(&report, p ? STR(" ") : route_key(arena, object), TABLE_BOLD);
			report_str(&report, str_empty(hosts) ? STR("*") : hosts, TABLE_PLAIN);
			report_str(&report,
				   has_parent ? parent_text(arena, routes[i]->parents[p].ref) :
						STR_NONE, TABLE_PLAIN);
			if (has_parent)
				row_conditions(&report, call, &routes[i]->parents[p].conditions);
			else
				report_str(&report, STR("no parent is a Gateway of ours"),
					   TABLE_YELLOW);
			report_bool(&report, overrides_has_route(app->overrides, object),
				    "overridden", "");
		}
	}
	report_finish(&report, "No routes.");
}

void answer_status(struct call *call)
{
	if (call_format(call) != REPORT_TABLE) {
		status_structured(call);
		call_done(call, CALL_OK);
		return;
	}
	text_engine(call);
	text_overrides(call);
	sb_addc(call_body(call), '\n');
	text_gateways(call);
	sb_addc(call_body(call), '\n');
	text_routes(call);
	call_done(call, CALL_OK);
}

/* ---- get ---- */

static bool find_kind(struct str name, enum kind *ret_kind)
{
	struct str singular = str_ends(name, STR("s")) ? str_sub(name, 0, name.n - 1) : name;
	for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
		struct str have = str_of(kind_table[kind].name);
		/* "gatewayclasses" loses two letters. */
		struct str es = str_ends(name, STR("es")) ? str_sub(name, 0, name.n - 2) : name;
		if (str_eq_nocase(have, name) || str_eq_nocase(have, singular) ||
		    str_eq_nocase(have, es)) {
			*ret_kind = (enum kind)kind;
			return true;
		}
	}
	return false;
}

static struct str kind_names(struct arena *arena)
{
	struct str names = STR_NONE;
	for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++)
		names = arena_strf(arena, STR_FMT "%s%s", STR_ARG(names),
				   str_empty(names) ? "" : ", ", kind_table[kind].name);
	return names;
}

static struct str object_summary(struct arena *arena, const struct object *object)
{
	switch (object->kind) {
	case KIND_GATEWAYCLASS:
		return object->gateway_class.controller_name;
	case KIND_GATEWAY:
		return arena_strf(arena, "class " STR_FMT ", %zu listeners",
				  STR_ARG(object->gateway.class_name),
				  object->gateway.listener_count);
	case KIND_HTTPROUTE:
	case KIND_GRPCROUTE:
		return arena_strf(arena, "%zu hostnames, %zu rules",
				  object->route.hostname_count, object->route.rule_count);
	case KIND_SERVICE:
		return arena_strf(arena, "%zu ports", object->service.port_count);
	case KIND_ENDPOINTSLICE:
		return arena_strf(arena, "of " STR_FMT ", %zu endpoints",
				  STR_ARG(object->endpoint_slice.service),
				  object->endpoint_slice.endpoint_count);
	case KIND_SECRET: /* what it is, never what is in it */
		return object->secret.is_tls ? arena_strf(arena, "certificate, %zu names",
							  object->secret.info.name_count) :
					       object->secret.problem;
	case KIND_CONFIGMAP:
		return arena_strf(arena, "%zu keys", object->config_map.data_count);
	case KIND_BACKEND:
		return arena_strf(arena, "%zu addresses", object->backend.address_count);
	case KIND_GATEWAYPARAMETERS:
		return arena_strf(arena, "Services of type " STR_FMT,
				  STR_ARG(object->gateway_parameters.service.type));
	default:
		return STR_NONE;
	}
}

static void get_row(struct report *report, struct arena *arena, const struct object *object)
{
	report_row(report);
	report_cstr(report, kind_table[object->kind].name);
	report_str(report, object->meta.ns, TABLE_PLAIN);
	report_str(report, object->meta.name, TABLE_PLAIN);
	report_int(report, object->meta.generation);
	report_str(report, object->meta.origin, TABLE_DIM);
	report_str(report, object_summary(arena, object), TABLE_PLAIN);
}

static void out_hostnames(struct out *out, const struct route *route)
{
	out_kv_array(out, "hostnames");
	for (size_t i = 0; i < route->hostname_count; i++)
		out_str(out, route->hostnames[i]);
	out_end(out);
}

/* null: it has none, or is of no class of ours. */
static void out_status(struct call *call, const struct object *object, struct out *out)
{
	const struct app *app = call_app(call);
	const struct meta *meta = &object->meta;
	const struct gateways_view *view = compiler_gateways(app->compiler);
	const struct class_view *class = NULL;
	const struct gateway_view *gateway = NULL;
	const struct route_view *route = NULL;
	if (view && object->kind == KIND_GATEWAYCLASS)
		class = gateways_find_class(view, meta->name);
	else if (view && object->kind == KIND_GATEWAY)
		gateway = gateways_find(view, meta->ns, meta->name);
	else if (kind_is_route(object->kind))
		route = compiler_route(app->compiler, object->kind, meta->ns, meta->name);
	/* Of the object as it is now: a view can be older. */
	if (class && class->object == object) {
		out_class_status(call, class, out);
	} else if (gateway && gateway->object == object) {
		out_gateway_status(call, gateway, out);
	} else if (route && route->object == object) {
		out_route_status(app, route, out);
	} else {
		out_key(out, "status");
		out_null(out);
	}
}

/* One object, asked for by name, with its status. */
static void get_one(struct call *call, const struct object *object)
{
	struct out out;
	out_init(&out, call_body(call), report_out_format(call_format(call)));
	out_array(&out);
	out_object(&out);
	out_meta(&out, object);
	out_kv_str(&out, "summary", object_summary(call_arena(call), object));
	if (kind_is_route(object->kind))
		out_hostnames(&out, &object->route);
	out_status(call, object, &out);
	out_end(&out);
	out_end(&out);
	call_done(call, CALL_OK);
}

void answer_get(struct call *call)
{
	static const struct report_column columns[] = {
		{ "kind", "KIND", TABLE_LEFT },		       { "namespace", "NAMESPACE", TABLE_LEFT },
		{ "name", "NAME", TABLE_LEFT },		       { "generation", "GEN", TABLE_RIGHT },
		{ "origin", "FILE", TABLE_LEFT },	       { "summary", "SUMMARY", TABLE_LEFT },
	};
	struct str kind_name, wanted = STR_NONE, ns = STR_NONE, name = STR_NONE;
	enum kind kind;
	if (!call_arg(call, "arg", 0, &kind_name) || !find_kind(kind_name, &kind)) {
		call_fail(call, CALL_BAD, "get needs a kind: " STR_FMT,
			  STR_ARG(kind_names(call_arena(call))));
		return;
	}
	if (call_arg(call, "arg", 1, &wanted))
		split_name(wanted, &ns, &name);
	const struct object *one = str_empty(wanted) ? NULL :
		store_get(call_app(call)->store, kind,
			  kind_table[kind].namespaced ? ns : STR_NONE, name);
	if (one && call_format(call) != REPORT_TABLE) {
		get_one(call, one);
		return;
	}
	size_t count;
	const struct object *const *list = store_list(call_app(call)->store, kind, &count);
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), call_format(call),
		    call_colours(call), call_body(call));
	for (size_t i = 0; i < count; i++) {
		const struct meta *meta = &list[i]->meta;
		if (str_empty(wanted) || (str_eq(meta->name, name) &&
					  (str_empty(meta->ns) || str_eq(meta->ns, ns))))
			get_row(&report, call_arena(call), list[i]);
	}
	bool found = report.row_count > 0;
	report_finish(&report, "None.");
	if (!found && !str_empty(wanted))
		call_fail(call, CALL_NOT_FOUND, "there is no %s " STR_FMT, kind_table[kind].name,
			  STR_ARG(wanted));
	else
		call_done(call, CALL_OK);
}
