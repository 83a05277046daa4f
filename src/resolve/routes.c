/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: rules that can be honoured, references to backends, conditions. */
#include "match/list.h"
#include "resolve/attach.h"

#include <assert.h>
#include <stdarg.h>

enum { FIELD_BYTES = 160 };

/* What is wrong with the rules so far. */
struct rule_scope {
	const struct store *store;
	struct route_view *view;
	size_t broken_count;       /* rules */
	struct str partial;        /* the first thing that is not honoured */
	const char *ref_reason;    /* of ResolvedRefs; NULL: all good */
	struct str ref_text;
	size_t bad_ref_count;
};

static void add_error(const struct rule_scope *scope, const char *field, const char *reason,
		      struct str text)
{
	const struct object *route = scope->view->object;
	findings_add(&scope->view->findings, SEVERITY_ERROR, route->kind, &route->meta, field,
		     reason, STR_FMT, STR_ARG(text));
}

static bool is_grpc(const struct rule_scope *scope)
{
	return scope->view->object->kind == KIND_GRPCROUTE;
}

static unsigned error_status(const struct rule_scope *scope)
{
	return is_grpc(scope) ? 503 : 500;
}

/* ---- what breaks a rule ---- */

static void note_partial(struct rule_scope *scope, const char *field, struct str text)
{
	add_error(scope, field, "UnsupportedValue", text);
	if (str_empty(scope->partial))
		scope->partial = arena_strf(scope->view->arena, "%s: " STR_FMT, field,
					    STR_ARG(text));
}

static bool check_regex(struct rule_scope *scope, struct str pattern, const char *fmt, ...)
	printf_like(3, 4);

/* fmt: the field. */
static bool check_regex(struct rule_scope *scope, struct str pattern, const char *fmt, ...)
{
	char field[FIELD_BYTES];
	struct error err;
	va_list args;
	if (regex_check(pattern, &err))
		return true;
	va_start(args, fmt);
	vsnprintf(field, sizeof(field), fmt, args);
	va_end(args);
	note_partial(scope, field,
		     arena_strf(scope->view->arena, "The regular expression is not usable: %s. "
				"Correct it (PCRE2 syntax).", err.text));
	return false;
}

static bool check_values(struct rule_scope *scope, const struct value_match *values, size_t count,
			 size_t rule, size_t match, const char *what)
{
	bool good = true;
	for (size_t i = 0; i < count; i++) {
		if (values[i].type == MATCH_REGEX &&
		    !check_regex(scope, values[i].value, "spec.rules[%zu].matches[%zu].%s[%zu].value",
				 rule, match, what, i))
			good = false;
	}
	return good;
}

static void check_matches(struct rule_scope *scope, struct rule_view *rule, size_t index)
{
	const struct rule *spec = rule->spec;
	assert(spec->match_count <= MAX_MATCHES_PER_RULE);
	for (size_t i = 0; i < spec->match_count; i++) {
		const struct match *match = &spec->matches[i];
		bool good = match->path_type != MATCH_REGEX ||
			    check_regex(scope, match->path, "spec.rules[%zu].matches[%zu].%s", index,
					i, is_grpc(scope) ? "method" : "path.value");
		good &= check_values(scope, match->headers, match->header_count, index, i,
				     "headers");
		good &= check_values(scope, match->queries, match->query_count, index, i,
				     "queryParams");
		if (!good)
			rule->bad_matches |= UINT64_C(1) << i;
	}
}

static size_t path_segments(struct str path)
{
	size_t count = 0;
	for (size_t i = 0; i < path.n; i++)
		count += path.p[i] != '/' && (i == 0 || path.p[i - 1] == '/');
	return count;
}

static bool prefix_replaceable(const struct rule *spec)
{
	for (size_t i = 0; i < spec->match_count; i++) {
		if (spec->matches[i].path_type == MATCH_PREFIX &&
		    path_segments(spec->matches[i].path) > MAX_REWRITE_SEGMENTS)
			return false;
	}
	return true;
}

/* field_base: "spec.rules[0]" or "spec.rules[0].backendRefs[1]". */
static bool check_filters(struct rule_scope *scope, const struct rule *spec,
			  const struct filter *filters, size_t count, const char *field_base)
{
	bool good = true;
	for (size_t i = 0; i < count; i++) {
		char field[FIELD_BYTES];
		snprintf(field, sizeof(field), "%s.filters[%zu]", field_base, i);
		if (filters[i].type == FILTER_UNSUPPORTED) {
			note_partial(scope, field,
				     arena_strf(scope->view->arena, "Filters of type " STR_FMT
						" are not supported yet, and requests must not pass "
						"without them: they are answered %u. Remove the "
						"filter.", STR_ARG(filters[i].type_name),
						error_status(scope)));
			good = false;
		} else if (filters[i].path_modifier == PATH_REPLACE_PREFIX &&
			   !prefix_replaceable(spec)) {
			note_partial(scope, field,
				     arena_strf(scope->view->arena, "A prefix of more than %d path "
						"segments cannot be replaced. Shorten the prefix, or "
						"use ReplaceFullPath.", MAX_REWRITE_SEGMENTS));
			good = false;
		}
	}
	return good;
}

/* ---- backendRefs ---- */

struct ref_problem {
	const char *reason; /* NULL: none */
	struct str text;
};

/* What the data plane can speak to servers for the route. Names without a prefix are IANA's or
 * anybody's, and say nothing binding. */
static bool can_speak(const struct rule_scope *scope, struct str app_protocol)
{
	return str_is(app_protocol, APP_PROTOCOL_H2C) ||
	       (str_is(app_protocol, APP_PROTOCOL_WS) && !is_grpc(scope)) ||
	       str_chr(app_protocol, '/', 0) == app_protocol.n;
}

static struct ref_problem check_protocol(const struct rule_scope *scope, struct str app_protocol,
					 struct backend_id *id)
{
	if (can_speak(scope, app_protocol)) {
		id->grpc = is_grpc(scope) && !str_is(app_protocol, APP_PROTOCOL_H2C);
		return (struct ref_problem){ 0 };
	}
	return (struct ref_problem){
		"UnsupportedProtocol",
		arena_strf(scope->view->arena, "The appProtocol " STR_FMT " is not supported%s",
			   STR_ARG(app_protocol),
			   is_grpc(scope) ? " for gRPC. Use " APP_PROTOCOL_H2C ", or none." :
					    ". Use " APP_PROTOCOL_H2C ", " APP_PROTOCOL_WS
					    ", or none for HTTP/1.1."),
	};
}

static struct ref_problem check_service(const struct rule_scope *scope, const struct object *object,
					const struct backend_ref *ref, struct backend_id *id)
{
	struct arena *arena = scope->view->arena;
	const struct service *service = &object->service;
	if (service->external_name)
		return (struct ref_problem){
			"InvalidKind",
			arena_strf(arena, "Service " STR_FMT "/" STR_FMT " is of type ExternalName, "
				   "which is not followed. Use a Backend (tidegate.io/v1alpha1) "
				   "with the DNS name as its address.", STR_ARG(ref->ns),
				   STR_ARG(ref->name)),
		};
	const struct service_port *port =
		ref->has_port ? service_find_port(service, ref->port) : NULL;
	if (!port)
		return (struct ref_problem){
			"BackendNotFound",
			arena_strf(arena, "Service " STR_FMT "/" STR_FMT " has no port %u. Refer to "
				   "one of its spec.ports.", STR_ARG(ref->ns), STR_ARG(ref->name),
				   ref->port),
		};
	if (!str_is(port->protocol, "TCP"))
		return (struct ref_problem){
			"UnsupportedProtocol",
			arena_strf(arena, "Port %u of Service " STR_FMT "/" STR_FMT " is " STR_FMT
				   ". %ss need a TCP port.", ref->port, STR_ARG(ref->ns),
				   STR_ARG(ref->name), STR_ARG(port->protocol),
				   kind_table[scope->view->object->kind].name),
		};
	return check_protocol(scope, port->app_protocol, id);
}

static struct ref_problem check_backend(const struct rule_scope *scope, const struct object *object,
					const struct backend_ref *ref, struct backend_id *id)
{
	const struct backend *backend = &object->backend;
	bool found = !ref->has_port;
	for (size_t i = 0; i < backend->address_count && !found; i++)
		found = backend->addresses[i].port == ref->port;
	if (!found)
		return (struct ref_problem){
			"BackendNotFound",
			arena_strf(scope->view->arena, "Backend " STR_FMT "/" STR_FMT
				   " has no address with port %u. Correct the port, or leave it out "
				   "to use all addresses.", STR_ARG(ref->ns), STR_ARG(ref->name),
				   ref->port),
		};
	return check_protocol(scope, backend->app_protocol, id);
}

static struct ref_problem check_target(const struct rule_scope *scope,
				       const struct backend_ref *ref, struct backend_id *id)
{
	struct arena *arena = scope->view->arena;
	const struct object *route = scope->view->object;
	if (id->kind != KIND_SERVICE && id->kind != KIND_BACKEND)
		return (struct ref_problem){
			"InvalidKind",
			arena_strf(arena, "Requests cannot be sent to kind " STR_FMT " (group \""
				   STR_FMT "\"). Refer to a Service, or a Backend of group "
				   GROUP_TIDEGATE ".", STR_ARG(ref->kind), STR_ARG(ref->group)),
		};
	if (!reference_allowed(scope->store, route, id->kind, ref->ns, ref->name))
		return (struct ref_problem){
			"RefNotPermitted",
			arena_strf(arena, "No ReferenceGrant in namespace " STR_FMT " lets %ss of "
				   "namespace " STR_FMT " use " STR_FMT " " STR_FMT
				   ". Create one there.", STR_ARG(ref->ns),
				   kind_table[route->kind].name, STR_ARG(route->meta.ns),
				   STR_ARG(ref->kind), STR_ARG(ref->name)),
		};
	const struct object *object = store_get(scope->store, id->kind, ref->ns, ref->name);
	if (!object)
		return (struct ref_problem){
			"BackendNotFound",
			arena_strf(arena, "There is no " STR_FMT " " STR_FMT "/" STR_FMT
				   ". Create it, or correct the reference.", STR_ARG(ref->kind),
				   STR_ARG(ref->ns), STR_ARG(ref->name)),
		};
	return id->kind == KIND_SERVICE ? check_service(scope, object, ref, id) :
					  check_backend(scope, object, ref, id);
}

static void add_need(struct route_view *view, enum kind kind, const struct backend_ref *ref)
{
	for (size_t i = 0; i < view->need_count; i++) {
		const struct need *need = &view->needs[i];
		if (need->kind == kind && str_eq(need->ns, ref->ns) &&
		    str_eq(need->name, ref->name))
			return;
	}
	view->needs[view->need_count++] = (struct need){
		.kind = kind,
		.ns = arena_str(view->arena, ref->ns),
		.name = arena_str(view->arena, ref->name),
	};
}

static void resolve_ref(struct rule_scope *scope, const struct rule *spec,
			struct ref_view *ref, const char *field)
{
	const struct backend_ref *target = ref->spec;
	struct backend_id id = {
		.kind = kind_find(target->group, target->kind),
		.ns = target->ns,
		.name = target->name,
		.port = target->has_port ? target->port : 0,
	};
	if (id.kind == KIND_SERVICE || id.kind == KIND_BACKEND)
		add_need(scope->view, id.kind, target);
	struct ref_problem problem = check_target(scope, target, &id);
	if (problem.reason) {
		add_error(scope, field, problem.reason, problem.text);
		if (!scope->ref_reason) {
			scope->ref_reason = problem.reason;
			scope->ref_text = problem.text;
		}
		scope->bad_ref_count++;
		ref->state = REF_INVALID;
	}
	if (!check_filters(scope, spec, target->filters, target->filter_count, field))
		ref->state = REF_INVALID;
	if (ref->state == REF_OK)
		ref->backend = backend_name(scope->view->arena, &id);
}

/* ---- rules ---- */

static void resolve_rule(struct rule_scope *scope, struct rule_view *rule, size_t index)
{
	struct route_view *view = scope->view;
	const struct rule *spec = rule->spec;
	char field[FIELD_BYTES];
	rule->name = arena_strf(view->arena, STR_FMT "/%zu",
				STR_ARG(route_key(view->arena, view->object)), index);
	rule->error_status = error_status(scope);
	snprintf(field, sizeof(field), "spec.rules[%zu]", index);
	check_matches(scope, rule, index);
	bool honoured = check_filters(scope, spec, spec->filters, spec->filter_count, field);
	rule->broken = rule->bad_matches || !honoured;
	scope->broken_count += rule->broken;
	rule->refs = arena_array(view->arena, spec->ref_count, sizeof(*rule->refs));
	rule->ref_count = spec->ref_count;
	for (size_t i = 0; i < spec->ref_count; i++) {
		snprintf(field, sizeof(field), "spec.rules[%zu].backendRefs[%zu]", index, i);
		rule->refs[i].spec = &spec->refs[i];
		resolve_ref(scope, spec, &rule->refs[i], field);
	}
}

static void resolve_rules(struct rule_scope *scope)
{
	struct route_view *view = scope->view;
	const struct route *spec = &view->object->route;
	size_t ref_count = 0;
	for (size_t i = 0; i < spec->rule_count; i++)
		ref_count += spec->rules[i].ref_count;
	view->needs = arena_array(view->arena, ref_count, sizeof(*view->needs));
	view->rules = arena_array(view->arena, spec->rule_count, sizeof(*view->rules));
	view->rule_count = spec->rule_count;
	for (size_t i = 0; i < spec->rule_count; i++) {
		view->rules[i].spec = &spec->rules[i];
		resolve_rule(scope, &view->rules[i], i);
	}
}

/* ---- conditions ---- */

static struct str refs_message(const struct rule_scope *scope)
{
	if (scope->bad_ref_count <= 1)
		return scope->ref_text;
	return arena_strf(scope->view->arena, STR_FMT " (and %zu more backendRefs)",
			  STR_ARG(scope->ref_text), scope->bad_ref_count - 1);
}

static void set_conditions(const struct rule_scope *scope, struct parent_view *parent)
{
	struct arena *arena = scope->view->arena;
	struct conditions *conditions = &parent->conditions;
	bool accepted = conditions_get(conditions, "Accepted")->status;
	if (scope->ref_reason)
		conditions_set(conditions, "ResolvedRefs", false, scope->ref_reason,
			       refs_message(scope));
	else
		conditions_set(conditions, "ResolvedRefs", true, "ResolvedRefs",
			       STR("All backendRefs were found."));
	if (!accepted || str_empty(scope->partial))
		return;
	if (scope->broken_count == scope->view->rule_count) {
		conditions_set(conditions, "Accepted", false, "UnsupportedValue",
			       arena_strf(arena, "No rule can be honoured. " STR_FMT,
					  STR_ARG(scope->partial)));
		parent->attachment_count = 0;
		return;
	}
	conditions_set(conditions, "PartiallyInvalid", true, "UnsupportedValue",
		       arena_strf(arena, "Dropped Rule%s are answered %u. " STR_FMT,
				  scope->broken_count ? ", its requests" :
							" in part: requests for the backendRef",
				  error_status(scope), STR_ARG(scope->partial)));
}

struct route_view *route_resolve(const struct gateways_view *gateways, const struct store *store,
				 const struct object *route)
{
	struct arena *arena = arena_new();
	struct route_view *view = arena_alloc(arena, sizeof(*view));
	struct rule_scope scope = { .store = store, .view = view };
	view->arena = arena;
	view->object = route;
	findings_init(&view->findings, arena);
	route_attach(gateways, view);
	/* The findings of a route that no Gateway of ours takes are another controller's. */
	if (view->parent_count == 0)
		return view;
	resolve_rules(&scope);
	for (size_t i = 0; i < view->parent_count; i++)
		set_conditions(&scope, &view->parents[i]);
	return view;
}

void route_view_free(struct route_view *view)
{
	if (view)
		arena_free(view->arena);
}
