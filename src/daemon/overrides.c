/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/overrides.h"

#include "base/out.h"
#include "daemon/writer.h"
#include "model/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <unistd.h>

enum { MAX_OVERRIDES = 10000, MAX_FILE_BYTES = 8 * 1024 * 1024, FILE_MODE = 0640 };

struct overrides {
	char *path;
	struct weight_override *weights;
	size_t weight_count, weight_capacity;
	struct server_override *servers;
	size_t server_count, server_capacity;
};

struct overrides *overrides_new(const char *state_dir)
{
	struct overrides *overrides = xcalloc(1, sizeof(*overrides));
	struct sb path;
	sb_init(&path, 8192);
	sb_addf(&path, "%s/overrides.json", state_dir);
	overrides->path = sb_take(&path, NULL);
	return overrides;
}

static void weight_fini(struct weight_override *weight)
{
	free(weight->route);
	free(weight->rule);
	free(weight->backend);
}

static void server_fini(struct server_override *server)
{
	free(server->backend);
	free(server->server);
	free(server->state);
}

static void clear_all(struct overrides *overrides)
{
	while (overrides->weight_count)
		weight_fini(&overrides->weights[--overrides->weight_count]);
	while (overrides->server_count)
		server_fini(&overrides->servers[--overrides->server_count]);
}

void overrides_free(struct overrides *overrides)
{
	if (!overrides)
		return;
	clear_all(overrides);
	free(overrides->weights);
	free(overrides->servers);
	free(overrides->path);
	free(overrides);
}

/* ---- the sets ---- */

bool overrides_set_weight(struct overrides *overrides, struct str route, struct str rule,
			  struct str backend, uint32_t weight, struct error *err)
{
	for (size_t i = 0; i < overrides->weight_count; i++) {
		struct weight_override *old = &overrides->weights[i];
		if (str_is(route, old->route) && str_is(rule, old->rule) &&
		    str_is(backend, old->backend)) {
			old->weight = weight;
			return true;
		}
	}
	if (overrides->weight_count == MAX_OVERRIDES)
		return error_set(err, ERR_LIMIT, "more than %d overridden weights: clear some",
				 MAX_OVERRIDES);
	overrides->weights = grow(overrides->weights, overrides->weight_count,
				  &overrides->weight_capacity, sizeof(*overrides->weights));
	overrides->weights[overrides->weight_count++] = (struct weight_override){
		.route = xstrndup(route.p, route.n),
		.rule = xstrndup(rule.n ? rule.p : "", rule.n),
		.backend = xstrndup(backend.p, backend.n),
		.weight = weight,
	};
	return true;
}

size_t overrides_clear_weights(struct overrides *overrides, struct str route, struct str rule)
{
	size_t kept = 0, before = overrides->weight_count;
	for (size_t i = 0; i < before; i++) {
		struct weight_override *weight = &overrides->weights[i];
		if (str_is(route, weight->route) &&
		    (str_empty(rule) || str_is(rule, weight->rule)))
			weight_fini(weight);
		else
			overrides->weights[kept++] = *weight;
	}
	overrides->weight_count = kept;
	return before - kept;
}

bool overrides_set_server(struct overrides *overrides, struct str backend, struct str server,
			  struct str state, struct error *err)
{
	size_t kept = 0;
	for (size_t i = 0; i < overrides->server_count; i++) {
		struct server_override *old = &overrides->servers[i];
		/* A state of the whole backend takes the place of its servers' states. */
		if (str_is(backend, old->backend) &&
		    (str_empty(server) || str_is(server, old->server)))
			server_fini(old);
		else
			overrides->servers[kept++] = *old;
	}
	overrides->server_count = kept;
	if (str_is(state, "ready"))
		return true;
	if (overrides->server_count == MAX_OVERRIDES)
		return error_set(err, ERR_LIMIT, "more than %d drained servers", MAX_OVERRIDES);
	overrides->servers = grow(overrides->servers, overrides->server_count,
				  &overrides->server_capacity, sizeof(*overrides->servers));
	overrides->servers[overrides->server_count++] = (struct server_override){
		.backend = xstrndup(backend.p, backend.n),
		.server = xstrndup(server.n ? server.p : "", server.n),
		.state = xstrndup(state.p, state.n),
	};
	return true;
}

const struct weight_override *overrides_weights(const struct overrides *overrides,
						size_t *ret_count)
{
	*ret_count = overrides->weight_count;
	return overrides->weights;
}

const struct server_override *overrides_servers(const struct overrides *overrides,
						size_t *ret_count)
{
	*ret_count = overrides->server_count;
	return overrides->servers;
}

/* ---- the file ---- */

static struct str json_text(struct json_object *object, const char *key)
{
	struct json_object *value = json_object_object_get(object, key);
	if (!json_object_is_type(value, json_type_string))
		return STR_NONE;
	return (struct str){ json_object_get_string(value),
			     (size_t)json_object_get_string_len(value) };
}

static bool load_weight(struct overrides *overrides, struct json_object *item, struct error *err)
{
	struct str route = json_text(item, "route"), backend = json_text(item, "backend");
	struct json_object *weight = json_object_object_get(item, "weight");
	int64_t value = json_object_is_type(weight, json_type_int) ?
				json_object_get_int64(weight) :
				-1;
	if (str_empty(route) || str_empty(backend) || value < 0 || value > MAX_WEIGHT)
		return error_set(err, ERR_SYNTAX,
				 "an entry of \"weights\" needs route, backend and a weight from 0 "
				 "to %d",
				 MAX_WEIGHT);
	return overrides_set_weight(overrides, route, json_text(item, "rule"), backend,
				    (uint32_t)value, err);
}

static bool load_server(struct overrides *overrides, struct json_object *item, struct error *err)
{
	struct str backend = json_text(item, "backend"), state = json_text(item, "state");
	if (str_empty(backend) || !(str_is(state, "drain") || str_is(state, "maint")))
		return error_set(err, ERR_SYNTAX,
				 "an entry of \"servers\" needs backend and a state, drain or maint");
	return overrides_set_server(overrides, backend, json_text(item, "server"), state, err);
}

typedef bool (*load_fn)(struct overrides *overrides, struct json_object *item, struct error *err);

static bool load_array(struct overrides *overrides, struct json_object *root, const char *key,
		       load_fn load, struct error *err)
{
	struct json_object *array = json_object_object_get(root, key);
	if (!array)
		return true;
	if (!json_object_is_type(array, json_type_array))
		return error_set(err, ERR_SYNTAX, "\"%s\" must be an array", key);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		if (!load(overrides, json_object_array_get_idx(array, i), err))
			return false;
	}
	return true;
}

static bool read_file(const char *path, struct sb *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || error_errno(err, "cannot open %s", path);
	char buf[16384];
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sb_add(out, (struct str){ buf, (size_t)n });
	bool ok = n == 0 || error_errno(err, "cannot read %s", path);
	close(fd);
	return ok && sb_ok(out, err);
}

static bool load_text(struct overrides *overrides, struct str text, struct error *err)
{
	struct json_tokener *tokener = json_tokener_new_ex(8);
	struct json_object *root = json_tokener_parse_ex(tokener, text.p, (int)text.n);
	bool ok = json_object_is_type(root, json_type_object) &&
		  load_array(overrides, root, "weights", load_weight, err) &&
		  load_array(overrides, root, "servers", load_server, err);
	if (!json_object_is_type(root, json_type_object))
		error_set(err, ERR_SYNTAX, "not a JSON object");
	json_object_put(root);
	json_tokener_free(tokener);
	return ok;
}

bool overrides_load(struct overrides *overrides, struct error *err)
{
	struct sb text;
	sb_init(&text, MAX_FILE_BYTES);
	clear_all(overrides);
	bool ok = read_file(overrides->path, &text, err);
	if (ok && text.len && !load_text(overrides, sb_str(&text), err)) {
		clear_all(overrides);
		ok = error_prefix(err, "%s", overrides->path);
	}
	sb_fini(&text);
	return ok;
}

static void print_file(const struct overrides *overrides, struct sb *sb)
{
	struct out out;
	out_init(&out, sb, OUT_JSON_INDENT);
	out_object(&out);
	out_kv_array(&out, "weights");
	for (size_t i = 0; i < overrides->weight_count; i++) {
		out_object(&out);
		out_kv_cstr(&out, "route", overrides->weights[i].route);
		out_kv_cstr(&out, "rule", overrides->weights[i].rule);
		out_kv_cstr(&out, "backend", overrides->weights[i].backend);
		out_kv_int(&out, "weight", overrides->weights[i].weight);
		out_end(&out);
	}
	out_end(&out);
	out_kv_array(&out, "servers");
	for (size_t i = 0; i < overrides->server_count; i++) {
		out_object(&out);
		out_kv_cstr(&out, "backend", overrides->servers[i].backend);
		out_kv_cstr(&out, "server", overrides->servers[i].server);
		out_kv_cstr(&out, "state", overrides->servers[i].state);
		out_end(&out);
	}
	out_end(&out);
	out_end(&out);
}

bool overrides_save(const struct overrides *overrides, struct error *err)
{
	struct sb text;
	sb_init(&text, MAX_FILE_BYTES);
	print_file(overrides, &text);
	bool ok = sb_ok(&text, err) &&
		  file_replace(overrides->path, sb_str(&text), FILE_MODE, true, err);
	sb_fini(&text);
	return ok;
}

/* ---- routes ---- */

bool overrides_has_route(const struct overrides *overrides, const struct object *route)
{
	struct arena *arena = overrides->weight_count ? arena_new() : NULL;
	struct str key = arena ? route_key(arena, route) : STR_NONE;
	bool found = false;
	for (size_t i = 0; i < overrides->weight_count && !found; i++)
		found = str_is(key, overrides->weights[i].route);
	arena_free(arena);
	return found;
}

/* NULL: the refs have their own weights again. */
static void apply_one(const struct weight_override *weight, struct object *object)
{
	for (size_t r = 0; r < object->route.rule_count; r++) {
		struct rule *rule = &object->route.rules[r];
		if (weight && !weight_names_rule(str_of(weight->rule), rule, r))
			continue;
		for (size_t i = 0; i < rule->ref_count; i++) {
			struct backend_ref *ref = &rule->refs[i];
			if (!weight)
				ref->weight = ref->own_weight;
			else if (weight_names_ref(str_of(weight->backend), ref))
				ref->weight = weight->weight;
		}
	}
}

void overrides_apply(const struct overrides *overrides, struct object *object)
{
	if (!kind_is_route(object->kind))
		return;
	apply_one(NULL, object);
	if (overrides->weight_count == 0)
		return;
	struct arena *arena = arena_new();
	struct str key = route_key(arena, object);
	/* What was said of one rule counts more than what was said of all. */
	for (int specific = 0; specific < 2; specific++) {
		for (size_t i = 0; i < overrides->weight_count; i++) {
			const struct weight_override *weight = &overrides->weights[i];
			if (str_is(key, weight->route) && (weight->rule[0] != '\0') == specific)
				apply_one(weight, object);
		}
	}
	arena_free(arena);
}
