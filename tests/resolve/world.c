/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/resolve/world.h"

#include "decode/decode.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/resolve/count.h"

static void drop_views(struct world *world)
{
	for (size_t i = 0; i < world->route_count; i++)
		route_view_free(world->routes[i]);
	world->route_count = 0;
	gateways_free(world->gateways);
	world->gateways = NULL;
}

int world_setup(void **state)
{
	struct world *world = xcalloc(1, sizeof(*world));
	world->store = store_new();
	world->options.now_s = WORLD_NOW_S;
	world_put(world, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass',"
			 "'metadata':{'name':'tidegate'},"
			 "'spec':{'controllerName':'tidegate.io/gateway-controller'}}");
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;
	drop_views(world);
	store_free(world->store);
	free(world);
	return 0;
}

void world_put(struct world *world, const char *json)
{
	struct arena *arena = arena_new();
	struct findings findings;
	struct decode_output output = { 0 };
	findings_init(&findings, arena);
	struct json_object *object = json_tokener_parse(json);
	if (!object)
		fail_msg("not JSON: %s", json);
	enum decode_result result = decode_object(object, STR("test.yaml:1"), &output, &findings);
	for (size_t i = 0; i < findings.count && result != DECODE_OK; i++)
		print_error("%s: %s\n", findings.items[i].field.p, findings.items[i].text.p);
	if (result != DECODE_OK)
		fail_msg("not accepted: %s", json);
	store_put(world->store, output.object);
	json_object_put(object);
	arena_free(arena);
}

static void put_text(struct world *world, struct sb *text)
{
	assert_true(sb_ok(text, NULL));
	world_put(world, sb_str(text).p);
	sb_fini(text);
}

void world_gateway(struct world *world, const char *meta, const char *listeners, const char *more)
{
	struct sb text;
	sb_init(&text, 64 * 1024);
	sb_addf(&text, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway',"
		"'metadata':{%s},'spec':{'gatewayClassName':'tidegate','listeners':[%s]%s}}",
		meta, listeners, more);
	put_text(world, &text);
}

void world_foreign_gateway(struct world *world)
{
	world_put(world, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass',"
			 "'metadata':{'name':'other'},'spec':{'controllerName':'example.com/c'}}");
	world_put(world, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway',"
			 "'metadata':{'name':'theirs'},'spec':{'gatewayClassName':'other',"
			 "'listeners':[{'name':'a','protocol':'HTTP','port':80}]}}");
}

void world_route(struct world *world, const char *meta, const char *spec)
{
	struct sb text;
	sb_init(&text, 64 * 1024);
	sb_addf(&text, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute',"
		"'metadata':{%s},'spec':{%s}}", meta, spec);
	put_text(world, &text);
}

void world_service(struct world *world, const char *ns, const char *name, const char *port_more,
		   bool has_pod)
{
	struct sb text;
	sb_init(&text, 64 * 1024);
	sb_addf(&text, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'%s',"
		"'name':'%s'},'spec':{'ports':[{'name':'web','port':80%s}]}}", ns, name,
		port_more);
	put_text(world, &text);
	if (!has_pod)
		return;
	sb_init(&text, 64 * 1024);
	sb_addf(&text, "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice',"
		"'metadata':{'namespace':'%s','name':'%s-1','labels':{"
		"'kubernetes.io/service-name':'%s'}},'addressType':'IPv4',"
		"'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':true},"
		"'targetRef':{'kind':'Pod','name':'%s-pod'}}],"
		"'ports':[{'name':'web','port':8080,'protocol':'TCP'}]}", ns, name, name, name);
	put_text(world, &text);
}

/* The views only read what decode found out about a certificate. */
void world_secret(struct world *world, const char *ns, const char *name, const char *dns_name,
		  int64_t not_before_s, int64_t not_after_s)
{
	struct arena *arena = arena_new();
	struct object *object = arena_alloc(arena, sizeof(*object));
	object->arena = arena;
	object->kind = KIND_SECRET;
	object->meta.ns = arena_str(arena, str_of(ns));
	object->meta.name = arena_str(arena, str_of(name));
	struct secret *secret = &object->secret;
	secret->is_tls = dns_name != NULL;
	secret->problem = dns_name ? STR_NONE : STR("tls.key does not belong to tls.crt");
	secret->digest = arena_strf(arena, "digest-of-%s", name);
	secret->info.names = arena_array(arena, 1, sizeof(struct str));
	secret->info.names[0] = arena_str(arena, str_of(dns_name));
	secret->info.name_count = 1;
	secret->info.not_before_s = not_before_s;
	secret->info.not_after_s = not_after_s;
	store_put(world->store, object);
}

void world_resolve(struct world *world)
{
	drop_views(world);
	world->gateways = gateways_resolve(world->store, &world->options);
	for (enum kind kind = FIRST_ROUTE_KIND; kind_is_route(kind); kind++) {
		size_t count;
		const struct object *const *routes = store_list(world->store, kind, &count);
		assert_in_range(world->route_count + count, 0, WORLD_MAX_ROUTES);
		for (size_t i = 0; i < count; i++)
			world->routes[world->route_count++] =
				route_resolve(world->gateways, world->store, routes[i]);
	}
	count_attached(world->gateways, (const struct route_view *const *)world->routes,
		       world->route_count);
}

struct listener_view *world_listener(struct world *world, const char *ns, const char *gateway,
				     size_t index)
{
	const struct gateway_view *view =
		gateways_find(world->gateways, str_of(ns), str_of(gateway));
	assert_non_null(view);
	assert_true(index < view->listener_count);
	return &view->listeners[index];
}

const struct route_view *world_find_route(const struct world *world, const char *ns,
					  const char *name)
{
	for (size_t i = 0; i < world->route_count; i++) {
		const struct meta *meta = &world->routes[i]->object->meta;
		if (str_is(meta->ns, ns) && str_is(meta->name, name))
			return world->routes[i];
	}
	fail_msg("no route %s/%s", ns, name);
	return NULL;
}

void assert_condition(const struct conditions *conditions, const char *type, bool status,
		      const char *reason)
{
	const struct condition *condition = conditions_get(conditions, type);
	if (!condition)
		fail_msg("no condition %s", type);
	else if (condition->status != status || strcmp(condition->reason, reason) != 0)
		fail_msg("%s is %d %s (" STR_FMT "), wanted %d %s", type, condition->status,
			 condition->reason, STR_ARG(condition->message), status, reason);
	else if (str_empty(condition->message))
		fail_msg("%s has no message", type);
}

void assert_finding(const struct findings *findings, const char *field, const char *reason)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		if (str_is(finding->field, field) && str_is(finding->reason, reason))
			return;
	}
	for (size_t i = 0; i < findings->count; i++)
		print_error("%s %s: %s\n", findings->items[i].field.p, findings->items[i].reason.p,
			    findings->items[i].text.p);
	fail_msg("no finding %s %s", field, reason);
}

void assert_mentions(struct str text, const char *part)
{
	struct str wanted = str_of(part);
	for (size_t i = 0; i + wanted.n <= text.n; i++) {
		if (str_eq(str_sub(text, i, i + wanted.n), wanted))
			return;
	}
	fail_msg("'" STR_FMT "' does not mention '%s'", STR_ARG(text), part);
}
