/* SPDX-License-Identifier: Apache-2.0 */
/* `tidectl weights ROUTE[:RULE] [NAME=WEIGHT...]`, `--clear`: shows and overrides the weights
 * of a route's backendRefs. The answer to a change is given when it is live. */
#include "daemon/answers.h"
#include "daemon/app.h"
#include "daemon/log.h"
#include "model/weights.h"

struct question {
	struct route_name route; /* its kind is set once it is found */
	struct weights weights;
};

static const struct object *find_route(const struct call *call, struct route_name *route)
{
	for (enum kind kind = FIRST_ROUTE_KIND; kind_is_route(kind); kind++) {
		const struct object *object =
			store_get(call_app(call)->store, kind, route->ns, route->name);
		if (object && (route->kind == KIND_NONE || route->kind == kind)) {
			route->kind = kind;
			return object;
		}
	}
	return NULL;
}

static size_t backend_servers(const struct app *app, struct str backend)
{
	const struct plan *plan = app->engine_started ? engine_plan(app->engine) : NULL;
	size_t count = 0, servers = 0;
	const struct plan_entry *entries = plan ? plan_table(plan, PLAN_SERVER, &count) : NULL;
	for (size_t i = 0; i < count; i++) {
		struct str key = entries[i].key;
		size_t slash = str_chr(key, '/', 0);
		servers += slash < key.n && str_eq(str_sub(key, 0, slash), backend);
	}
	return servers;
}

/* NULL: the route is not attached, or was read again meanwhile. */
static const struct rule_view *find_rule_view(const struct app *app, const struct object *route,
					      size_t rule)
{
	const struct route_view *view = compiler_route(app->compiler, route->kind, route->meta.ns,
						       route->meta.name);
	return view && view->object == route && rule < view->rule_count ? &view->rules[rule] : NULL;
}

static void report_ref_state(struct report *report, const struct app *app,
			     const struct rule_view *rule, size_t index)
{
	const struct ref_view *view = rule ? &rule->refs[index] : NULL;
	size_t servers = view && view->state == REF_OK ? backend_servers(app, view->backend) : 0;
	report_int(report, (int64_t)servers);
	if (view && view->spec->weight == 0)
		report_str(report, STR("none"), TABLE_DIM);
	else if (!view)
		report_str(report, STR("not attached"), TABLE_YELLOW);
	else if (view->state != REF_OK)
		report_str(report, rule->error_status == 500 ? STR("500: invalid reference") :
							       STR("503: invalid reference"),
			   TABLE_RED);
	else if (servers == 0)
		report_str(report, STR("503: no servers"), TABLE_RED);
	else
		report_str(report, STR("live"), TABLE_GREEN);
}

static void report_rule(struct report *report, const struct app *app, const struct object *route,
			size_t index)
{
	const struct rule *rule = &route->route.rules[index];
	struct weight_row row = { .rule = rule, .rule_index = index };
	for (size_t i = 0; i < rule->ref_count; i++)
		row.total += rule->refs[i].weight;
	for (size_t i = 0; i < rule->ref_count; i++) {
		row.ref = &rule->refs[i];
		row.weight = rule->refs[i].weight;
		row.before = rule->refs[i].own_weight;
		report_weight(report, &row, "overridden");
		report_ref_state(report, app, find_rule_view(app, route, index), i);
	}
}

static void show(struct call *call)
{
	static const struct report_column columns[] = {
		{ "rule", "RULE", TABLE_LEFT },	       { "backend", "BACKEND", TABLE_LEFT },
		{ "weight", "WEIGHT", TABLE_RIGHT },   { "share", "SHARE", TABLE_RIGHT },
		{ "fileWeight", "FILE", TABLE_RIGHT }, { "overridden", "OVERRIDE", TABLE_LEFT },
		{ "servers", "SERVERS", TABLE_RIGHT }, { "state", "STATE", TABLE_LEFT },
	};
	struct question *question = call_state(call);
	const struct object *route = find_route(call, &question->route);
	if (!route) {
		call_fail(call, CALL_NOT_FOUND, "the route is gone");
		return;
	}
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), call_format(call),
		    call_colours(call), call_body(call));
	for (size_t i = 0; i < route->route.rule_count; i++) {
		if (weight_names_rule(question->weights.rule, &route->route.rules[i], i))
			report_rule(&report, call_app(call), route, i);
	}
	report_finish(&report, "No backends.");
	call_done(call, CALL_OK);
}

static void on_applied(void *user, const struct error *err)
{
	struct call *call = user;
	if (err)
		call_fail(call, CALL_FAILED, "kept, but not in HAProxy yet: %s", err->text);
	else
		show(call);
}

/* All or nothing: every word is looked at before the first takes effect. */
static bool read_weights(struct call *call, const struct object *route, struct error *err)
{
	struct question *question = call_state(call);
	struct str text;
	for (size_t i = 1; call_arg(call, "arg", i, &text); i++) {
		if (!weights_add(&question->weights, text, err))
			return false;
	}
	return weights_check(&question->weights, route, err);
}

static bool set_weights(struct call *call, const struct object *route, struct error *err)
{
	const struct question *question = call_state(call);
	const struct weights *weights = &question->weights;
	struct overrides *overrides = call_app(call)->overrides;
	struct str key = route_key(call_arena(call), route);
	for (size_t i = 0; i < weights->count; i++) {
		if (!overrides_set_weight(overrides, key, weights->rule, weights->words[i].backend,
					  weights->words[i].weight, err))
			return false;
	}
	return overrides_save(overrides, err);
}

/* The rule may be gone. */
static bool clear_weights(struct call *call, const struct object *route, struct error *err)
{
	const struct question *question = call_state(call);
	struct overrides *overrides = call_app(call)->overrides;
	struct str key = route_key(call_arena(call), route);
	overrides_clear_weights(overrides, key, question->weights.rule);
	return overrides_save(overrides, err);
}

void answer_weights(struct call *call)
{
	struct app *app = call_app(call);
	struct str text;
	if (!call_arg(call, "arg", 0, &text)) {
		call_fail(call, CALL_BAD, "weights needs a route: NAMESPACE/NAME[:RULE]");
		return;
	}
	struct question *question = arena_alloc(call_arena(call), sizeof(*question));
	struct error err;
	if (!weights_name_route(text, STR("default"), &question->route, &err)) {
		call_fail(call, CALL_BAD, "%s", err.text);
		return;
	}
	question->weights.rule = question->route.rule;
	call_set_state(call, question);
	const struct object *route = find_route(call, &question->route);
	if (!route) {
		const char *kind = kind_table[question->route.kind].name;
		call_fail(call, CALL_NOT_FOUND, "there is no %s " STR_FMT "/" STR_FMT
						": see tidectl status",
			  *kind ? kind : "route", STR_ARG(question->route.ns),
			  STR_ARG(question->route.name));
		return;
	}
	bool clear = !str_empty(call_first(call, "clear"));
	bool sets = call_arg_count(call, "arg") > 1 && !clear;
	/* One of several data planes would go its own way: only if that is meant. */
	if (app->sources.kube && sets && str_empty(call_first(call, "override"))) {
		call_fail(call, CALL_BAD, "the route is in an API server: with --override this data "
					  "plane alone gets other weights; \"kubectl tidegate "
					  "weights\", or --kubeconfig FILE, changes the route itself");
		return;
	}
	bool done = clear ? clear_weights(call, route, &err) :
			    read_weights(call, route, &err) &&
				    (!sets || set_weights(call, route, &err));
	if (!done) {
		call_fail(call, err.code == ERR_NOTFOUND ? CALL_NOT_FOUND :
				err.code == ERR_SYNTAX	 ? CALL_BAD :
							   CALL_FAILED, "%s", err.text);
		return;
	}
	if (!sets && !clear) {
		show(call);
		return;
	}
	const struct log_object object = { kind_table[route->kind].name, route->meta.ns,
					   route->meta.name };
	log_about(LOG_LEVEL_INFO, &object, "weights changed by tidectl");
	app_route_changed(app, route, on_applied, call);
}
