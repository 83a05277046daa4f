/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/route_patch.h"

#include <assert.h>
#include <json-c/json.h>

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

static void patch_rule(const struct weights *weights, const struct object *route, size_t r,
		       struct json_object *json, struct json_object *patch)
{
	const struct rule *rule = &route->route.rules[r];
	size_t before = json_object_array_length(patch);
	char path[128];
	for (size_t i = 0; i < rule->ref_count; i++) {
		uint32_t weight = weights_of(weights, route, r, i);
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

struct json_object *route_patch(const struct weights *weights, const struct object *route,
				struct json_object *json)
{
	struct json_object *patch = json_object_new_array(), *spec = NULL;
	json_object_object_get_ex(json, "spec", &spec);
	for (size_t r = 0; r < route->route.rule_count; r++)
		patch_rule(weights, route, r, element(spec, "rules", r), patch);
	return patch;
}
