/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/route_patch.h"

#include <assert.h>
#include <json-c/json.h>

#include "base/sb.h"
#include "daemon/overrides.h"

enum { LIST_BYTES = 160 };

bool route_weights_parse(struct str rule, const char *const *words, size_t count,
			 struct route_weights *ret, struct error *err)
{
	ret->rule = rule;
	ret->count = 0;
	if (count > MAX_WEIGHT_WORDS)
		return error_set(err, ERR_LIMIT, "more than %d weights", MAX_WEIGHT_WORDS);
	for (; ret->count < count; ret->count++) {
		struct weight_word *word = &ret->words[ret->count];
		if (!override_parse(str_of(words[ret->count]), &word->backend, &word->weight, err))
			return false;
	}
	return true;
}

uint32_t route_weight(const struct route_weights *weights, const struct object *route, size_t rule,
		      size_t ref)
{
	const struct http_rule *spec = &route->http_route.rules[rule];
	uint32_t weight = spec->refs[ref].weight;
	if (!override_names_rule(weights->rule, spec, rule))
		return weight;
	for (size_t i = 0; i < weights->count; i++) {
		if (override_names_ref(weights->words[i].backend, &spec->refs[ref]))
			weight = weights->words[i].weight;
	}
	return weight;
}

/* ---- What names nothing ---- */

static bool names_ref(struct str backend, const struct http_rule *rule)
{
	for (size_t i = 0; i < rule->ref_count; i++) {
		if (override_names_ref(backend, &rule->refs[i]))
			return true;
	}
	return false;
}

static bool no_rule(const struct route_weights *weights, const struct object *route,
		    struct error *err)
{
	return error_set(err, ERR_NOTFOUND, "HTTPRoute " STR_FMT "/" STR_FMT " has no rule \"" STR_FMT
			 "\": it has %zu, counted from 0, or called by their names",
			 STR_ARG(route->meta.ns), STR_ARG(route->meta.name), STR_ARG(weights->rule),
			 route->http_route.rule_count);
}

static bool no_ref(const struct route_weights *weights, const struct object *route,
		   struct str backend, struct error *err)
{
	char list[LIST_BYTES] = "";
	for (size_t r = 0; r < route->http_route.rule_count; r++) {
		const struct http_rule *rule = &route->http_route.rules[r];
		for (size_t i = 0; override_names_rule(weights->rule, rule, r) &&
				   i < rule->ref_count; i++) {
			size_t used = strlen(list);
			snprintf(list + used, sizeof(list) - used, "%s" STR_FMT, used ? ", " : "",
				 STR_ARG(rule->refs[i].name));
		}
	}
	return error_set(err, ERR_NOTFOUND, "%s" STR_FMT "%sHTTPRoute " STR_FMT "/" STR_FMT
			 " has no backendRef \"" STR_FMT "\"%s%s", str_empty(weights->rule) ? "" : "rule ",
			 STR_ARG(weights->rule), str_empty(weights->rule) ? "" : " of ",
			 STR_ARG(route->meta.ns), STR_ARG(route->meta.name), STR_ARG(backend),
			 *list ? ": it has " : "", list);
}

bool route_weights_check(const struct route_weights *weights, const struct object *route,
			 struct error *err)
{
	const struct http_route *spec = &route->http_route;
	bool named = false;
	for (size_t r = 0; r < spec->rule_count; r++)
		named |= override_names_rule(weights->rule, &spec->rules[r], r);
	if (!named)
		return no_rule(weights, route, err);
	for (size_t i = 0; i < weights->count; i++) {
		bool found = false;
		for (size_t r = 0; r < spec->rule_count; r++)
			found |= override_names_rule(weights->rule, &spec->rules[r], r) &&
				 names_ref(weights->words[i].backend, &spec->rules[r]);
		if (!found)
			return no_ref(weights, route, weights->words[i].backend, err);
	}
	return true;
}

/* ---- The patch ---- */

static void add_operation(struct json_object *patch, const char *op, const char *path,
			  struct json_object *value)
{
	struct json_object *operation = json_object_new_object();
	json_object_object_add(operation, "op", json_object_new_string(op));
	json_object_object_add(operation, "path", json_object_new_string(path));
	json_object_object_add(operation, "value", value);
	json_object_array_add(patch, operation);
}

/* NULL when the JSON is not what was decoded. */
static struct json_object *element(struct json_object *json, const char *name, size_t index)
{
	struct json_object *array = NULL;
	if (!json_object_is_type(json, json_type_object) ||
	    !json_object_object_get_ex(json, name, &array) ||
	    !json_object_is_type(array, json_type_array))
		return NULL;
	return json_object_array_get_idx(array, index);
}

static void patch_rule(const struct route_weights *weights, const struct object *route, size_t r,
		       struct json_object *json, struct json_object *patch)
{
	const struct http_rule *rule = &route->http_route.rules[r];
	size_t before = json_object_array_length(patch);
	char path[128];
	for (size_t i = 0; i < rule->ref_count; i++) {
		uint32_t weight = route_weight(weights, route, r, i);
		if (weight == rule->refs[i].weight)
			continue;
		struct json_object *ref = element(json, "backendRefs", i);
		assert(ref);
		/* A rule that was called by its name must be the same one still. */
		if (!str_empty(rule->name) && json_object_array_length(patch) == before) {
			snprintf(path, sizeof(path), "/spec/rules/%zu/name", r);
			add_operation(patch, "test", path,
				      json_object_new_string_len(rule->name.p, (int)rule->name.n));
		}
		snprintf(path, sizeof(path), "/spec/rules/%zu/backendRefs/%zu", r, i);
		add_operation(patch, "test", path, json_object_get(ref));
		snprintf(path, sizeof(path), "/spec/rules/%zu/backendRefs/%zu/weight", r, i);
		add_operation(patch, "add", path, json_object_new_int64(weight));
	}
}

struct json_object *route_patch(const struct route_weights *weights, const struct object *route,
				struct json_object *json)
{
	struct json_object *patch = json_object_new_array(), *spec = NULL;
	json_object_object_get_ex(json, "spec", &spec);
	for (size_t r = 0; r < route->http_route.rule_count; r++)
		patch_rule(weights, route, r, element(spec, "rules", r), patch);
	return patch;
}
