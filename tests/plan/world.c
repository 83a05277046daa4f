/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <assert.h>

#include "base/digest.h"

#define NEW_ARRAY(object, count, type) arena_array((object)->arena, count, sizeof(type))

uint64_t dice_roll(struct dice *dice, uint64_t sides)
{
	dice->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t x = dice->state;
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % sides;
}

#define PICK(dice, table) str_of((table)[dice_roll(dice, sizeof(table) / sizeof(*(table)))])

static const char *const namespaces[] = { "default", "shop" };
static const char *const hosts[] = {
	"www.example.com", "api.example.com", "*.example.com", "*.com", "a.b.example.com",
	"*.b.example.com", "other.org",
};
static const char *const paths[] = { "/", "/foo", "/foo/bar", "/foobar", "/foo/", "/x/y/z" };
static const char *const regexes[] = { "/foo/[a-z]+", "/x/.*", ".*", "/foo/bar", "/(a|foo)", "/(" };

static struct object *object_new(enum kind kind, struct str ns, struct str name)
{
	struct arena *arena = arena_new();
	struct object *object = arena_alloc(arena, sizeof(*object));
	object->kind = kind;
	object->arena = arena;
	object->meta.ns = arena_str(arena, ns);
	object->meta.name = arena_str(arena, name);
	return object;
}

static struct object *numbered(enum kind kind, struct str ns, const char *name, size_t number)
{
	char buffer[64];
	snprintf(buffer, sizeof(buffer), "%s%zu", name, number);
	return object_new(kind, ns, str_of(buffer));
}

/* ---- Gateways and what they refer to ---- */

static struct object *make_namespace(size_t i, struct dice *dice)
{
	struct object *object = object_new(KIND_NAMESPACE, STR_NONE, str_of(namespaces[i]));
	object->meta.labels = NEW_ARRAY(object, 1, struct pair);
	object->meta.label_count = dice_roll(dice, 2);
	object->meta.labels[0] = (struct pair){ STR("team"), STR("a") };
	return object;
}

static void make_listener(struct object *object, struct listener *listener, size_t i,
			  struct dice *dice)
{
	bool https = dice_roll(dice, 3) == 0;
	listener->name = arena_strf(object->arena, "l%zu", i);
	listener->hostname = dice_roll(dice, 3) ? PICK(dice, hosts) : STR_NONE;
	listener->port = https ? 443 : (uint16_t)(80 + dice_roll(dice, 2));
	listener->protocol = https ? STR("HTTPS") : STR("HTTP");
	listener->from = FROM_ALL;
	if (dice_roll(dice, 4) == 0) {
		listener->from = FROM_SELECTOR;
		listener->selector.match_labels = NEW_ARRAY(object, 1, struct pair);
		listener->selector.match_labels[0] = (struct pair){ STR("team"), STR("a") };
		listener->selector.match_label_count = 1;
	}
	if (!https)
		return;
	listener->tls_mode = TLS_TERMINATE;
	listener->certificate_ref_count = 1 + dice_roll(dice, 2);
	listener->certificate_refs =
		NEW_ARRAY(object, listener->certificate_ref_count, struct object_ref);
	for (size_t j = 0; j < listener->certificate_ref_count; j++)
		listener->certificate_refs[j] = (struct object_ref){
			STR(""), STR("Secret"), STR("default"),
			arena_strf(object->arena, "cert%d", (int)dice_roll(dice, WORLD_SECRETS)),
		};
}

static struct object *make_gateway(size_t i, struct dice *dice)
{
	struct object *object = numbered(KIND_GATEWAY, STR("default"), "gw", i);
	struct gateway *gateway = &object->gateway;
	gateway->class_name = STR("tidegate");
	gateway->listener_count = 1 + dice_roll(dice, 4);
	gateway->listeners = NEW_ARRAY(object, gateway->listener_count, struct listener);
	for (size_t j = 0; j < gateway->listener_count; j++)
		make_listener(object, &gateway->listeners[j], j, dice);
	gateway->addresses = NEW_ARRAY(object, 1, struct gateway_address);
	gateway->address_count = 1; /* one each: their ports do not collide */
	gateway->addresses[0] = (struct gateway_address){
		STR("IPAddress"), arena_strf(object->arena, "127.0.0.%zu", i + 1)
	};
	return object;
}

static struct object *make_secret(size_t i, struct dice *dice)
{
	struct object *object = numbered(KIND_SECRET, STR("default"), "cert", i);
	struct secret *secret = &object->secret;
	char hex[DIGEST_HEX_BYTES + 1];
	secret->type = STR("kubernetes.io/tls");
	secret->is_tls = dice_roll(dice, 5) != 0;
	if (!secret->is_tls)
		secret->problem = STR("certificate and key do not belong together");
	secret->pem = arena_strf(object->arena, "pem %d\n", (int)dice_roll(dice, 4));
	digest_hex(secret->pem, hex);
	secret->digest = arena_str(object->arena, str_of(hex));
	secret->info.name_count = 1 + dice_roll(dice, 2);
	secret->info.names = NEW_ARRAY(object, secret->info.name_count, struct str);
	for (size_t j = 0; j < secret->info.name_count; j++)
		secret->info.names[j] = PICK(dice, hosts);
	secret->info.not_after_s = INT64_MAX;
	return object;
}

static struct object *make_grant(size_t i)
{
	struct object *object =
		numbered(KIND_REFERENCEGRANT, str_of(namespaces[i % 2]), "grant", i);
	struct reference_grant *grant = &object->reference_grant;
	grant->from = NEW_ARRAY(object, 1, struct grant_from);
	grant->to = NEW_ARRAY(object, 1, struct grant_to);
	grant->from[0] = (struct grant_from){ STR(GROUP_GATEWAY),
					      i % 2 ? STR("GRPCRoute") : STR("HTTPRoute"),
					      str_of(namespaces[1 - i % 2]) };
	grant->to[0] = (struct grant_to){ STR(""), STR("Service"), STR("") };
	grant->from_count = grant->to_count = 1;
	return object;
}

/* ---- backends ---- */

/* Of a Gateway: some target ports are another's, too, and some ports have none. */
static struct object *make_gateway_service(size_t i, struct dice *dice)
{
	static const uint16_t ports[] = { 80, 81, 443 };
	struct object *object = numbered(KIND_SERVICE, STR(WORLD_SERVICE_NS), "default--gw", i);
	struct service *service = &object->service;
	service->ports = NEW_ARRAY(object, 3, struct service_port);
	for (size_t j = 0; j < 3; j++) {
		if (dice_roll(dice, 6))
			service->ports[service->port_count++] = (struct service_port){
				STR("p"), ports[j], (uint16_t)(20000 + dice_roll(dice, 12)),
				STR("TCP"), STR("")
			};
	}
	service->gateway = NEW_ARRAY(object, 1, struct gateway_service);
	service->gateway->type = STR("LoadBalancer");
	object->meta.labels = NEW_ARRAY(object, 1, struct pair);
	object->meta.label_count = dice_roll(dice, 6) != 0;
	object->meta.labels[0] = (struct pair){ STR(LABEL_CONTROLLER),
						STR("tidegate.io_gateway-controller") };
	return object;
}

static struct object *make_service(size_t i, struct dice *dice)
{
	struct object *object = numbered(KIND_SERVICE, str_of(namespaces[i % 2]), "svc", i);
	struct service *service = &object->service;
	service->port_count = 1 + dice_roll(dice, 2);
	service->ports = NEW_ARRAY(object, 2, struct service_port);
	service->ports[0] = (struct service_port){ STR("http"), 8080, 0, STR("TCP"), STR("") };
	service->ports[1] =
		(struct service_port){ STR("h2"), 9090, 0, STR("TCP"), STR("kubernetes.io/h2c") };
	return object;
}

static struct object *make_slice(size_t i, struct dice *dice)
{
	struct object *object =
		numbered(KIND_ENDPOINTSLICE, str_of(namespaces[i % 2]), "slice", i);
	struct endpoint_slice *slice = &object->endpoint_slice;
	size_t service = i % 2 + 2 * dice_roll(dice, 2); /* of the same namespace */
	slice->service = arena_strf(object->arena, "svc%zu", service);
	slice->endpoint_count = dice_roll(dice, 4);
	slice->endpoints = NEW_ARRAY(object, slice->endpoint_count, struct endpoint);
	for (size_t j = 0; j < slice->endpoint_count; j++)
		slice->endpoints[j] = (struct endpoint){
			.address = arena_strf(object->arena, "10.0.%zu.%d", i,
					      (int)dice_roll(dice, 20) + 1),
			.pod_name = arena_strf(object->arena, "pod-%zu-%zu", i, j),
			.ready = dice_roll(dice, 4) != 0,
		};
	slice->port_count = 2;
	slice->ports = NEW_ARRAY(object, 2, struct endpoint_port);
	slice->ports[0] = (struct endpoint_port){ STR("http"), 80, STR("TCP") };
	slice->ports[1] = (struct endpoint_port){ STR("h2"), 90, STR("TCP") };
	return object;
}

static struct object *make_backend(size_t i, struct dice *dice)
{
	struct object *object = numbered(KIND_BACKEND, STR("default"), "legacy.host", i);
	struct backend *backend = &object->backend;
	backend->address_count = 1 + dice_roll(dice, 2);
	backend->addresses = NEW_ARRAY(object, backend->address_count, struct backend_address);
	for (size_t j = 0; j < backend->address_count; j++) {
		bool is_name = dice_roll(dice, 2);
		backend->addresses[j] = (struct backend_address){
			.host = is_name ? arena_strf(object->arena, "db%zu.internal", j) :
					  arena_strf(object->arena, "10.1.0.%zu", j + 1),
			.is_name = is_name,
			.port = 7000,
			.weight = 100,
		};
	}
	return object;
}

/* ---- routes ---- */

static void make_values(struct object *object, struct dice *dice, struct value_match **ret_values,
			size_t *ret_count, const char *name)
{
	*ret_count = dice_roll(dice, 5) ? 0 : 1 + dice_roll(dice, 2);
	*ret_values = NEW_ARRAY(object, *ret_count, struct value_match);
	for (size_t i = 0; i < *ret_count; i++) {
		bool regex = dice_roll(dice, 3) == 0;
		(*ret_values)[i] = (struct value_match){
			.type = regex ? MATCH_REGEX : MATCH_EXACT,
			.name = arena_strf(object->arena, "%s%zu", name, i),
			.value = regex ? STR("v[0-9]") : dice_roll(dice, 2) ? STR("v1") : STR("v2"),
		};
	}
}

static void make_match(struct object *object, struct match *match, struct dice *dice)
{
	static const char *const methods[] = { "GET", "POST", "DELETE" };
	match->path_type = (enum match_type)dice_roll(dice, 3);
	match->path = match->path_type == MATCH_REGEX ? PICK(dice, regexes) : PICK(dice, paths);
	if (dice_roll(dice, 4) == 0)
		match->method = PICK(dice, methods);
	make_values(object, dice, &match->headers, &match->header_count, "x-h");
	make_values(object, dice, &match->queries, &match->query_count, "q");
}

static void make_header_mod(struct object *object, struct header_mod *mod, struct dice *dice)
{
	static const char *const names[] = { "X-One", "x-one", "X-Two" };
	mod->set = NEW_ARRAY(object, 1, struct pair);
	mod->add = NEW_ARRAY(object, 1, struct pair);
	mod->remove = NEW_ARRAY(object, 1, struct str);
	mod->set[0] = (struct pair){ PICK(dice, names), STR("set") };
	mod->add[0] = (struct pair){ PICK(dice, names), STR("add") };
	mod->remove[0] = PICK(dice, names);
	mod->set_count = dice_roll(dice, 2);
	mod->add_count = dice_roll(dice, 2);
	mod->remove_count = dice_roll(dice, 2);
}

static void make_filters(struct object *object, const struct rule *rule, struct dice *dice,
			 bool of_rule, struct filter **ret_filters, size_t *ret_count)
{
	*ret_count = dice_roll(dice, 4) == 0;
	*ret_filters = NEW_ARRAY(object, 1, struct filter);
	struct filter *filter = *ret_filters;
	filter->type = (enum filter_type)dice_roll(dice, of_rule ? 5 : 4);
	if (!of_rule && filter->type == FILTER_REDIRECT)
		filter->type = FILTER_UNSUPPORTED; /* explain() knows them on rules only */
	make_header_mod(object, &filter->headers, dice);
	if (filter->type == FILTER_UNSUPPORTED)
		filter->type_name = STR("RequestMirror");
	if (filter->type == FILTER_REDIRECT) {
		filter->status = 302;
		filter->scheme = dice_roll(dice, 2) ? STR("https") : STR_NONE;
		filter->port = (uint16_t)(dice_roll(dice, 2) * 8443);
	}
	if (filter->type == FILTER_REDIRECT || filter->type == FILTER_REWRITE) {
		filter->hostname = dice_roll(dice, 2) ? STR("new.example.com") : STR_NONE;
		bool prefix =
			rule->match_count == 1 && rule->matches[0].path_type == MATCH_PREFIX;
		filter->path_modifier = (enum path_modifier)dice_roll(dice, prefix ? 3 : 2);
		filter->path = PICK(dice, paths);
	}
}

static void make_ref(struct object *object, const struct rule *rule, struct backend_ref *ref,
		     struct dice *dice)
{
	size_t i = dice_roll(dice, WORLD_SERVICES + WORLD_BACKENDS);
	bool service = i < WORLD_SERVICES;
	*ref = (struct backend_ref){
		.group = service ? STR("") : STR(GROUP_TIDEGATE),
		.kind = service ? STR("Service") : STR("Backend"),
		.ns = service ? str_of(namespaces[i % 2]) : STR("default"),
		.name = service ? arena_strf(object->arena, "svc%zu", i) :
				  arena_strf(object->arena, "legacy.host%zu", i - WORLD_SERVICES),
		.has_port = service,
		.port = service ? (dice_roll(dice, 4) ? 8080 : 9090) : 0,
		.weight = dice_roll(dice, 3) ? (uint32_t)dice_roll(dice, 20) : 1,
	};
	make_filters(object, rule, dice, false, &ref->filters, &ref->filter_count);
}

static void make_rule(struct object *object, struct rule *rule, struct dice *dice)
{
	rule->match_count = 1 + dice_roll(dice, 2);
	rule->matches = NEW_ARRAY(object, rule->match_count, struct match);
	for (size_t i = 0; i < rule->match_count; i++)
		make_match(object, &rule->matches[i], dice);
	make_filters(object, rule, dice, true, &rule->filters, &rule->filter_count);
	bool redirects = rule->filter_count && rule->filters[0].type == FILTER_REDIRECT;
	rule->ref_count = redirects ? 0 : dice_roll(dice, 4);
	rule->refs = NEW_ARRAY(object, rule->ref_count, struct backend_ref);
	for (size_t i = 0; i < rule->ref_count; i++)
		make_ref(object, rule, &rule->refs[i], dice);
	bool timed = dice_roll(dice, 5) == 0;
	rule->request_timeout_ms = timed ? (int64_t)dice_roll(dice, 2) * 700 : TIMEOUT_UNSET;
	rule->backend_timeout_ms = timed ? (int64_t)dice_roll(dice, 2) * 500 : TIMEOUT_UNSET;
}

static struct object *make_route(size_t i, struct dice *dice)
{
	/* Some are called as an HTTPRoute is. */
	bool grpc = i % 4 == 3;
	struct object *object = numbered(grpc ? KIND_GRPCROUTE : KIND_HTTPROUTE,
					 str_of(namespaces[i % 2]), "route", grpc ? i - 2 : i);
	struct route *route = &object->route;
	object->meta.created_s = (int64_t)dice_roll(dice, 3);
	route->parent_count = 1 + dice_roll(dice, 2);
	route->parents = NEW_ARRAY(object, route->parent_count, struct parent_ref);
	for (size_t j = 0; j < route->parent_count; j++)
		route->parents[j] = (struct parent_ref){
			.group = STR(GROUP_GATEWAY),
			.kind = STR("Gateway"),
			.ns = STR("default"),
			.name = arena_strf(object->arena, "gw%d",
					   (int)dice_roll(dice, WORLD_GATEWAYS)),
			.section = dice_roll(dice, 3) ? STR_NONE : STR("l0"),
		};
	route->hostname_count = dice_roll(dice, 3);
	route->hostnames = NEW_ARRAY(object, route->hostname_count, struct str);
	for (size_t j = 0; j < route->hostname_count; j++)
		route->hostnames[j] = PICK(dice, hosts);
	route->rule_count = 1 + dice_roll(dice, 3);
	route->rules = NEW_ARRAY(object, route->rule_count, struct rule);
	for (size_t j = 0; j < route->rule_count; j++)
		make_rule(object, &route->rules[j], dice);
	return object;
}

/* ---- slots ---- */

struct object *bench_gateway_class(void)
{
	struct object *object = object_new(KIND_GATEWAYCLASS, STR_NONE, STR("tidegate"));
	object->gateway_class.controller_name = STR(CONTROLLER_NAME);
	return object;
}

struct object *world_object(size_t slot, uint64_t seed)
{
	struct dice dice = { seed * 1000 + slot };
	if (slot < WORLD_CLASSES)
		return bench_gateway_class();
	slot -= WORLD_CLASSES;
	if (slot < WORLD_NAMESPACES)
		return make_namespace(slot, &dice);
	slot -= WORLD_NAMESPACES;
	if (slot < WORLD_GATEWAYS)
		return make_gateway(slot, &dice);
	slot -= WORLD_GATEWAYS;
	if (slot < WORLD_SECRETS)
		return make_secret(slot, &dice);
	slot -= WORLD_SECRETS;
	if (slot < WORLD_SERVICES)
		return make_service(slot, &dice);
	slot -= WORLD_SERVICES;
	if (slot < WORLD_GATEWAY_SERVICES)
		return make_gateway_service(slot, &dice);
	slot -= WORLD_GATEWAY_SERVICES;
	if (slot < WORLD_SLICES)
		return make_slice(slot, &dice);
	slot -= WORLD_SLICES;
	if (slot < WORLD_BACKENDS)
		return make_backend(slot, &dice);
	slot -= WORLD_BACKENDS;
	if (slot < WORLD_GRANTS)
		return make_grant(slot);
	slot -= WORLD_GRANTS;
	assert(slot < WORLD_ROUTES);
	return make_route(slot, &dice);
}

/* ---- the plain world ---- */

struct object *bench_gateway(void)
{
	struct object *object = object_new(KIND_GATEWAY, STR("default"), STR("web"));
	struct gateway *gateway = &object->gateway;
	gateway->class_name = STR("tidegate");
	gateway->listener_count = 1;
	gateway->listeners = NEW_ARRAY(object, 1, struct listener);
	gateway->listeners[0] = (struct listener){ .name = STR("http"),
						   .port = 80,
						   .protocol = STR("HTTP"),
						   .from = FROM_ALL };
	return object;
}

struct object *bench_service(size_t i)
{
	struct object *object = numbered(KIND_SERVICE, STR("default"), "service-", i);
	object->service.port_count = 1;
	object->service.ports = NEW_ARRAY(object, 1, struct service_port);
	object->service.ports[0] = (struct service_port){ STR("http"), 8080, 0, STR("TCP"), STR("") };
	return object;
}

struct object *bench_slice(size_t i, unsigned version)
{
	struct object *object = numbered(KIND_ENDPOINTSLICE, STR("default"), "slice-", i);
	struct endpoint_slice *slice = &object->endpoint_slice;
	slice->service = arena_strf(object->arena, "service-%zu", i);
	slice->endpoint_count = slice->port_count = 1;
	slice->endpoints = NEW_ARRAY(object, 1, struct endpoint);
	slice->endpoints[0] = (struct endpoint){
		.address = arena_strf(object->arena, "10.%u.%zu.%zu", version % 200, i / 250 % 250,
				      i % 250),
		.pod_name = arena_strf(object->arena, "pod-%zu", i),
		.ready = true,
	};
	slice->ports = NEW_ARRAY(object, 1, struct endpoint_port);
	slice->ports[0] = (struct endpoint_port){ STR("http"), 8080, STR("TCP") };
	return object;
}

struct object *bench_route(size_t i, unsigned version, size_t services)
{
	struct object *object = numbered(KIND_HTTPROUTE, STR("default"), "route-", i);
	struct route *route = &object->route;
	route->parent_count = route->hostname_count = route->rule_count = 1;
	route->parents = NEW_ARRAY(object, 1, struct parent_ref);
	route->parents[0] = (struct parent_ref){ .group = STR(GROUP_GATEWAY),
						 .kind = STR("Gateway"),
						 .ns = STR("default"),
						 .name = STR("web") };
	route->hostnames = NEW_ARRAY(object, 1, struct str);
	route->hostnames[0] = arena_strf(object->arena, "host-%zu.example.com", i);
	route->rules = NEW_ARRAY(object, 1, struct rule);
	struct rule *rule = route->rules;
	rule->match_count = rule->ref_count = 1;
	rule->request_timeout_ms = rule->backend_timeout_ms = TIMEOUT_UNSET;
	rule->matches = NEW_ARRAY(object, 1, struct match);
	rule->matches[0] = (struct match){ .path_type = MATCH_PREFIX,
						.path = arena_strf(object->arena, "/v%u", version) };
	rule->refs = NEW_ARRAY(object, 1, struct backend_ref);
	rule->refs[0] = (struct backend_ref){
		.kind = STR("Service"),
		.ns = STR("default"),
		.name = arena_strf(object->arena, "service-%zu", i % services),
		.has_port = true,
		.port = 8080,
		.weight = 1,
	};
	return object;
}
