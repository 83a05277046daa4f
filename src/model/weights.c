/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weights.h"

enum { LIST_BYTES = 160 };

/* ---- What is named ---- */

bool weight_names_rule(struct str selector, const struct rule *rule, size_t index)
{
	uint64_t number;
	if (str_empty(selector))
		return true;
	if (!str_empty(rule->name) && str_eq(selector, rule->name))
		return true;
	return str_u64(selector, MAX_RULES * 1000, &number) && number == index;
}

bool weight_names_ref(struct str selector, const struct backend_ref *ref)
{
	size_t colon = str_chr(selector, ':', 0);
	uint64_t port;
	if (colon < selector.n) {
		if (!str_u64(str_sub(selector, colon + 1, selector.n), 65535, &port) ||
		    !ref->has_port || port != ref->port)
			return false;
		selector = str_sub(selector, 0, colon);
	}
	size_t slash = str_chr(selector, '/', 0);
	if (slash < selector.n) {
		if (!str_eq(str_sub(selector, 0, slash), ref->ns))
			return false;
		selector = str_sub(selector, slash + 1, selector.n);
	}
	return str_eq(selector, ref->name);
}

/* ---- What is asked for ---- */

static enum kind route_kind(struct str name)
{
	enum kind kind = FIRST_ROUTE_KIND;
	while (kind_is_route(kind) && !str_eq_nocase(name, str_of(kind_table[kind].name)))
		kind++;
	return kind_is_route(kind) ? kind : KIND_NONE;
}

bool weights_name_route(struct str text, struct str default_ns, struct route_name *ret_route,
			struct error *err)
{
	struct str route = str_cut(&text, ':'), rest = route;
	struct str parts[3];
	size_t count = 0;
	while (count < 3 && !str_empty(rest))
		parts[count++] = str_cut(&rest, '/');
	*ret_route = (struct route_name){ .ns = default_ns, .rule = text };
	if (count == 3)
		ret_route->kind = route_kind(parts[0]);
	if (count > 1)
		ret_route->ns = parts[count - 2];
	if (count > 0)
		ret_route->name = parts[count - 1];
	if (str_empty(rest) && !str_ends(route, STR("/")) && ret_route->name.n && ret_route->ns.n &&
	    (count < 3 || ret_route->kind != KIND_NONE))
		return true;
	return error_set(err, ERR_SYNTAX,
			 "\"" STR_FMT "\" is no route: NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME, "
			 "with :RULE behind it where one rule is meant", STR_ARG(route));
}

bool weights_add(struct weights *weights, struct str word, struct error *err)
{
	size_t equals = str_chr(word, '=', 0);
	uint64_t weight;
	if (weights->count == MAX_WEIGHT_WORDS)
		return error_set(err, ERR_LIMIT, "more than %d weights", MAX_WEIGHT_WORDS);
	if (equals == word.n || equals == 0 ||
	    !str_u64(str_sub(word, equals + 1, word.n), MAX_WEIGHT, &weight))
		return error_set(err, ERR_SYNTAX,
				 "\"" STR_FMT "\" is not NAME=WEIGHT with a weight from 0 to %d",
				 STR_ARG(word), MAX_WEIGHT);
	weights->words[weights->count++] = (struct weight_word){
		.backend = str_sub(word, 0, equals),
		.weight = (uint32_t)weight,
	};
	return true;
}

uint32_t weights_of(const struct weights *weights, const struct object *route, size_t rule,
		    size_t ref)
{
	const struct rule *spec = &route->route.rules[rule];
	uint32_t weight = spec->refs[ref].weight;
	if (!weight_names_rule(weights->rule, spec, rule))
		return weight;
	for (size_t i = 0; i < weights->count; i++) {
		if (weight_names_ref(weights->words[i].backend, &spec->refs[ref]))
			weight = weights->words[i].weight;
	}
	return weight;
}

/* ---- What names nothing ---- */

static bool names_ref(struct str backend, const struct rule *rule)
{
	for (size_t i = 0; i < rule->ref_count; i++) {
		if (weight_names_ref(backend, &rule->refs[i]))
			return true;
	}
	return false;
}

static bool no_rule(const struct weights *weights, const struct object *route, struct error *err)
{
	return error_set(err, ERR_NOTFOUND, "%s " STR_FMT "/" STR_FMT " has no rule \""
			 STR_FMT "\": it has %zu, counted from 0, or called by their names",
			 kind_table[route->kind].name, STR_ARG(route->meta.ns),
			 STR_ARG(route->meta.name), STR_ARG(weights->rule), route->route.rule_count);
}

static bool no_ref(const struct weights *weights, const struct object *route, struct str backend,
		   struct error *err)
{
	char list[LIST_BYTES] = "";
	for (size_t r = 0; r < route->route.rule_count; r++) {
		const struct rule *rule = &route->route.rules[r];
		for (size_t i = 0; weight_names_rule(weights->rule, rule, r) &&
				   i < rule->ref_count; i++) {
			size_t used = strlen(list);
			snprintf(list + used, sizeof(list) - used, "%s" STR_FMT, used ? ", " : "",
				 STR_ARG(rule->refs[i].name));
		}
	}
	return error_set(err, ERR_NOTFOUND, "%s" STR_FMT "%s%s " STR_FMT "/" STR_FMT
			 " has no backendRef \"" STR_FMT "\"%s%s",
			 str_empty(weights->rule) ? "" : "rule ", STR_ARG(weights->rule),
			 str_empty(weights->rule) ? "" : " of ", kind_table[route->kind].name,
			 STR_ARG(route->meta.ns), STR_ARG(route->meta.name), STR_ARG(backend),
			 *list ? ": it has " : "", list);
}

bool weights_check(const struct weights *weights, const struct object *route, struct error *err)
{
	const struct route *spec = &route->route;
	bool named = false;
	for (size_t r = 0; r < spec->rule_count; r++)
		named |= weight_names_rule(weights->rule, &spec->rules[r], r);
	if (!named)
		return no_rule(weights, route, err);
	for (size_t i = 0; i < weights->count; i++) {
		bool found = false;
		for (size_t r = 0; r < spec->rule_count; r++)
			found |= weight_names_rule(weights->rule, &spec->rules[r], r) &&
				 names_ref(weights->words[i].backend, &spec->rules[r]);
		if (!found)
			return no_ref(weights, route, weights->words[i].backend, err);
	}
	return true;
}
