/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HTTP_KINDS (kind_bit(KIND_HTTPROUTE) | kind_bit(KIND_GRPCROUTE))

#define HTTP(name, port, more) \
	"{'name':'" name "','protocol':'HTTP','port':" port more "}"
#define HTTPS(name, port, more, refs) \
	"{'name':'" name "','protocol':'HTTPS','port':" port more ",'tls':{'certificateRefs':[" refs \
	"]}}"
#define REF(name) "{'name':'" name "'}"

static const struct gateway_view *gateway(struct world *world, const char *name)
{
	const struct gateway_view *view =
		gateways_find(world->gateways, STR("default"), str_of(name));
	assert_non_null(view);
	return view;
}

static void classes(void **state)
{
	struct world *world = *state;
	world_foreign_gateway(world);
	world_put(world, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway',"
			 "'metadata':{'name':'nobodys'},'spec':{'gatewayClassName':'tidgate',"
			 "'listeners':[" HTTP("a", "80", "") "]}}");
	world_resolve(world);
	assert_int_equal(world->gateways->class_count, 1);
	assert_condition(&world->gateways->classes[0].conditions, "Accepted", true, "Accepted");
	assert_int_equal(world->gateways->gateway_count, 0);
	assert_null(gateways_find(world->gateways, STR("default"), STR("theirs")));
	assert_int_equal(world->gateways->findings.count, 1);
	assert_finding(&world->gateways->findings, "spec.gatewayClassName", "NoSuchGatewayClass");
}

static void valid_gateway(void **state)
{
	struct world *world = *state;
	world_secret(world, "default", "cert", "www.example.com", 0, WORLD_NOW_S + 1);
	world_gateway(world, "'name':'gw'",
		      HTTP("b", "8080", "") "," HTTP("a", "8080", ",'hostname':'a.example.com'") ","
		      HTTPS("c", "8443", "", REF("cert")), "");
	world_resolve(world);
	const struct gateway_view *view = gateway(world, "gw");
	assert_condition(&view->conditions, "Accepted", true, "Accepted");
	assert_condition(&view->conditions, "Programmed", true, "Programmed");
	assert_int_equal(view->frontend_count, 2);
	const struct frontend_view *frontend = &view->frontends[0];
	assert_string_equal(frontend->name.p, "default.gw.8080");
	assert_false(frontend->tls);
	assert_int_equal(frontend->listener_count, 2);
	assert_true(str_is(frontend->listeners[0]->spec->name, "b"));
	assert_int_equal(frontend->address_count, 1);
	assert_true(str_is(frontend->addresses[0], "*"));
	assert_true(view->frontends[1].tls);
	for (size_t i = 0; i < 3; i++) {
		const struct listener_view *listener = &view->listeners[i];
		assert_condition(&listener->conditions, "Accepted", true, "Accepted");
		assert_condition(&listener->conditions, "Programmed", true, "Programmed");
		assert_condition(&listener->conditions, "ResolvedRefs", true, "ResolvedRefs");
		assert_condition(&listener->conditions, "Conflicted", false, "NoConflicts");
		assert_true(listener->serves && listener->kinds == HTTP_KINDS);
	}
	assert_true(str_is(view->listeners[2].frontend, "default.gw.8443"));
	assert_string_equal(view->listeners[2].certificates[0].name.p, "default.cert");
	assert_int_equal(world->gateways->findings.count, 0);
}

static void unsupported_protocols(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'some'",
		      HTTP("ok", "80", "") ",{'name':'tcp','protocol':'TCP','port':81}", "");
	world_gateway(world, "'name':'none'", "{'name':'x','protocol':'example.com/x','port':82}",
		      "");
	world_resolve(world);
	assert_condition(&gateway(world, "some")->conditions, "Accepted", true, "ListenersNotValid");
	assert_condition(&gateway(world, "some")->conditions, "Programmed", true, "Programmed");
	struct listener_view *tcp = world_listener(world, "default", "some", 1);
	assert_condition(&tcp->conditions, "Accepted", false, "UnsupportedProtocol");
	assert_condition(&tcp->conditions, "Programmed", false, "Invalid");
	assert_int_equal(tcp->kinds, 0);
	assert_false(tcp->takes_routes || tcp->serves);
	assert_finding(&world->gateways->findings, "spec.listeners[1].protocol",
		       "UnsupportedProtocol");
	assert_condition(&gateway(world, "none")->conditions, "Accepted", false,
			 "ListenersNotValid");
	assert_condition(&gateway(world, "none")->conditions, "Programmed", false, "Invalid");
	assert_int_equal(gateway(world, "none")->frontend_count, 0);
}

/* The API server would reject the first conflict; a file may have it all the same. */
static void conflicts(void **state)
{
	struct world *world = *state;
	world_secret(world, "default", "cert", "www.example.com", 0, WORLD_NOW_S + 1);
	world_gateway(world, "'name':'gw'",
		      HTTP("plain", "80", "") "," HTTPS("tls", "80", "", REF("cert")) ","
		      HTTP("ok", "81", "") ",{'name':'tcp','protocol':'TCP','port':81}", "");
	world_resolve(world);
	for (size_t i = 0; i < 2; i++) {
		struct listener_view *listener = world_listener(world, "default", "gw", i);
		assert_condition(&listener->conditions, "Conflicted", true, "ProtocolConflict");
		assert_condition(&listener->conditions, "Accepted", false, "ProtocolConflict");
		assert_condition(&listener->conditions, "Programmed", false, "ProtocolConflict");
		assert_false(listener->serves);
	}
	assert_mentions(conditions_get(&world_listener(world, "default", "gw", 0)->conditions,
				       "Accepted")->message, "tls");
	assert_true(world_listener(world, "default", "gw", 2)->serves);
	assert_condition(&gateway(world, "gw")->conditions, "Accepted", true, "ListenersNotValid");
}

/* Built by hand: decode refuses two equal listeners. */
static void hostname_conflicts(void **state)
{
	struct world *world = *state;
	struct arena *arena = arena_new();
	struct object *object = arena_alloc(arena, sizeof(*object));
	object->arena = arena;
	object->kind = KIND_GATEWAY;
	object->meta.ns = STR("default");
	object->meta.name = STR("gw");
	object->gateway.class_name = STR("tidegate");
	object->gateway.listener_count = 3;
	object->gateway.listeners = arena_array(arena, 3, sizeof(struct listener));
	static const char *const names[] = { "a", "b", "c" };
	for (size_t i = 0; i < 3; i++)
		object->gateway.listeners[i] = (struct listener){
			.name = str_of(names[i]), .port = 80, .protocol = STR("HTTP"),
			.hostname = i < 2 ? STR("www.example.com") : STR_NONE,
		};
	store_put(world->store, object);
	world_resolve(world);
	for (size_t i = 0; i < 2; i++) {
		struct listener_view *listener = world_listener(world, "default", "gw", i);
		assert_condition(&listener->conditions, "Conflicted", true, "HostnameConflict");
		assert_condition(&listener->conditions, "Accepted", false, "HostnameConflict");
		assert_condition(&listener->conditions, "Programmed", false, "HostnameConflict");
	}
	assert_true(world_listener(world, "default", "gw", 2)->serves);
	assert_finding(&world->gateways->findings, "spec.listeners[0].hostname",
		       "HostnameConflict");
}

static void ports_between_gateways(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'a-young','creationTimestamp':'2024-01-02T00:00:00Z'",
		      HTTP("x", "80", "") "," HTTP("y", "81", ""), "");
	world_gateway(world, "'name':'z-old','creationTimestamp':'2024-01-01T00:00:00Z'",
		      HTTP("x", "80", ""), "");
	world_gateway(world, "'name':'addressed','creationTimestamp':'2024-01-03T00:00:00Z'",
		      HTTP("x", "80", ""), ",'addresses':[{'value':'10.0.0.9'}]");
	world_resolve(world);
	assert_true(world_listener(world, "default", "z-old", 0)->serves);
	struct listener_view *loser = world_listener(world, "default", "a-young", 0);
	assert_condition(&loser->conditions, "Accepted", false, "PortUnavailable");
	assert_condition(&loser->conditions, "Programmed", false, "Invalid");
	struct str message = conditions_get(&loser->conditions, "Accepted")->message;
	assert_mentions(message, "default/z-old");
	assert_mentions(message, "spec.addresses");
	assert_true(world_listener(world, "default", "a-young", 1)->serves);
	/* "*" overlaps every address. */
	assert_condition(&world_listener(world, "default", "addressed", 0)->conditions, "Accepted",
			 false, "PortUnavailable");
}

static void addresses(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'one'", HTTP("x", "80", ""),
		      ",'addresses':[{'value':'10.0.0.1'},{'value':'2001:DB8::0:1'}]");
	world_gateway(world, "'name':'two'", HTTP("x", "80", ""),
		      ",'addresses':[{'value':'10.0.0.2'}]");
	world_gateway(world, "'name':'empty'", HTTP("x", "8080", ""),
		      ",'addresses':[{'type':'IPAddress'}]");
	world_gateway(world, "'name':'type'", HTTP("x", "81", ""),
		      ",'addresses':[{'type':'example.com/pool','value':'p'}]");
	world_resolve(world);
	const struct frontend_view *frontend = &gateway(world, "one")->frontends[0];
	assert_int_equal(frontend->address_count, 2);
	assert_true(str_is(frontend->addresses[0], "10.0.0.1"));
	assert_true(str_is(frontend->addresses[1], "2001:db8::1"));
	assert_true(world_listener(world, "default", "two", 0)->serves);
	assert_true(str_is(gateway(world, "empty")->frontends[0].addresses[0], "*"));
	const struct gateway_view *type = gateway(world, "type");
	assert_condition(&type->conditions, "Accepted", false, "UnsupportedAddress");
	assert_condition(&type->conditions, "Programmed", false, "Invalid");
	assert_condition(&type->listeners[0].conditions, "Programmed", false, "Invalid");
	assert_int_equal(type->frontend_count, 0);
	assert_finding(&world->gateways->findings, "spec.addresses[0]", "UnsupportedAddress");
}

static void invalid_parameters(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'", HTTP("x", "80", ""),
		      ",'infrastructure':{'parametersRef':{'group':'example.com','kind':'Tuning',"
		      "'name':'t'}}");
	world_resolve(world);
	assert_condition(&gateway(world, "gw")->conditions, "Accepted", false, "InvalidParameters");
	assert_false(world_listener(world, "default", "gw", 0)->serves);
	world_gateway(world, "'name':'gw'", HTTP("x", "80", ""),
		      ",'infrastructure':{'parametersRef':{'group':'tidegate.io','kind':"
		      "'GatewayParameters','name':'none'}}");
	world_resolve(world);
	assert_condition(&gateway(world, "gw")->conditions, "Accepted", false, "InvalidParameters");
	assert_finding(&world->gateways->findings, "spec.infrastructure.parametersRef",
		       "InvalidParameters");
}

static void put_parameters(struct world *world, const char *ns, const char *name,
			   const char *service)
{
	char text[1024];
	snprintf(text, sizeof(text), "{'apiVersion':'tidegate.io/v1alpha1','kind':"
		 "'GatewayParameters','metadata':{'namespace':'%s','name':'%s'},"
		 "'spec':{'service':{%s}}}", ns, name, service);
	world_put(world, text);
}

#define CLASS(ref) \
	"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass','metadata':{'name':" \
	"'tidegate'},'spec':{'controllerName':'tidegate.io/gateway-controller','parametersRef':{" \
	"'group':'tidegate.io','kind':'GatewayParameters','name':'all'" ref "}}}"

/* The Gateway's win over the class's, and those over the installation's, field by field. */
static void parameters(void **state)
{
	struct world *world = *state;
	struct str cidr = STR("192.0.2.0/24");
	const struct service_parameters defaults = {
		.type = STR("NodePort"), .external_traffic_policy = STR("Local"),
		.internal_traffic_policy = STR("Local"), .source_ranges = &cidr,
		.source_range_count = 1
	};
	world->options.service_defaults = &defaults;
	world_put(world, CLASS(",'namespace':'gates'"));
	put_parameters(world, "gates", "all",
		       "'externalTrafficPolicy':'Cluster','type':'LoadBalancer',"
		       "'labels':{'a':'class','b':'class'},'annotations':{'x':'class'}");
	put_parameters(world, "default", "own", "'type':'ClusterIP','labels':{'b':'own','c':'own'}");
	world_gateway(world, "'name':'gw'", HTTP("x", "80", ""),
		      ",'infrastructure':{'labels':{'c':'gateway'},'annotations':{'x':'gateway'},"
		      "'parametersRef':{'group':'tidegate.io','kind':'GatewayParameters',"
		      "'name':'own'}}");
	world_resolve(world);
	assert_condition(&world->gateways->classes[0].conditions, "Accepted", true, "Accepted");
	const struct service_parameters *said = &gateway(world, "gw")->parameters;
	assert_true(str_is(said->type, "ClusterIP"));
	assert_true(str_is(said->external_traffic_policy, "Cluster"));
	assert_true(str_is(said->internal_traffic_policy, "Local"));
	assert_int_equal(said->source_range_count, 1);
	assert_int_equal(said->label_count, 3);
	static const char *const labels[] = { "a=class", "b=own", "c=gateway" };
	for (size_t i = 0; i < 3; i++) {
		char text[64];
		snprintf(text, sizeof(text), STR_FMT "=" STR_FMT, STR_ARG(said->labels[i].key),
			 STR_ARG(said->labels[i].value));
		assert_string_equal(text, labels[i]);
	}
	assert_int_equal(said->annotation_count, 1);
	assert_true(str_is(said->annotations[0].value, "gateway"));
}

/* What a class wants is not known: its Gateways are served all the same. */
static void class_without_parameters(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'", HTTP("x", "80", ""), "");
	static const char *const classes[] = { CLASS(""), CLASS(",'namespace':'gates'") };
	for (size_t i = 0; i < 2; i++) {
		world_put(world, classes[i]);
		world_resolve(world);
		assert_condition(&world->gateways->classes[0].conditions, "Accepted", false,
				 "InvalidParameters");
		assert_true(gateway(world, "gw")->class->parameters_missing);
		assert_condition(&gateway(world, "gw")->conditions, "Accepted", true, "Accepted");
		assert_int_equal(gateway(world, "gw")->frontend_count, 1);
		assert_finding(&world->gateways->findings, "spec.parametersRef",
			       "InvalidParameters");
	}
}

static void certificates(void **state)
{
	static const struct {
		const char *refs, *reason, *field;
	} cases[] = {
		{ REF("missing"), "InvalidCertificateRef", "spec.listeners[0].tls.certificateRefs[0]" },
		{ REF("broken"), "InvalidCertificateRef", "spec.listeners[0].tls.certificateRefs[0]" },
		{ "{'kind':'ConfigMap','name':'x'}", "InvalidCertificateRef",
		  "spec.listeners[0].tls.certificateRefs[0]" },
		{ "{'group':'example.com','name':'x'}", "InvalidCertificateRef",
		  "spec.listeners[0].tls.certificateRefs[0]" },
		{ "{'namespace':'away','name':'far'}", "RefNotPermitted",
		  "spec.listeners[0].tls.certificateRefs[0]" },
	};
	struct world *world = *state;
	world_secret(world, "default", "broken", NULL, 0, 0);
	world_secret(world, "away", "far", "far.example.com", 0, WORLD_NOW_S + 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char listener[256];
		snprintf(listener, sizeof(listener), HTTPS("x", "443", "", "%s"), cases[i].refs);
		world_gateway(world, "'name':'gw'", listener, "");
		world_resolve(world);
		struct listener_view *view = world_listener(world, "default", "gw", 0);
		assert_condition(&view->conditions, "ResolvedRefs", false, cases[i].reason);
		assert_condition(&view->conditions, "Accepted", true, "Accepted");
		assert_condition(&view->conditions, "Programmed", false, "Invalid");
		assert_true(view->takes_routes && view->kinds == HTTP_KINDS && !view->serves);
		assert_finding(&world->gateways->findings, cases[i].field, cases[i].reason);
	}
}

static void certificate_grants(void **state)
{
	struct world *world = *state;
	world_secret(world, "away", "far", "far.example.com", 0, WORLD_NOW_S + 1);
	world_gateway(world, "'name':'gw'", HTTPS("x", "443", "", "{'namespace':'away','name':'far'}"),
		      "");
#define GRANT(ns, name) \
	"{'apiVersion':'gateway.networking.k8s.io/v1beta1','kind':'ReferenceGrant'," \
	"'metadata':{'namespace':'away','name':'g'},'spec':{'from':[{" \
	"'group':'gateway.networking.k8s.io','kind':'Gateway','namespace':'" ns "'}]," \
	"'to':[{'group':'','kind':'Secret'" name "}]}}"
	static const struct {
		const char *grant;
		bool allowed;
	} cases[] = {
		{ GRANT("default", ""), true },
		{ GRANT("default", ",'name':'far'"), true },
		{ GRANT("default", ",'name':'other'"), false },
		{ GRANT("elsewhere", ""), false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		world_put(world, cases[i].grant);
		world_resolve(world);
		struct listener_view *listener = world_listener(world, "default", "gw", 0);
		assert_int_equal(listener->serves, cases[i].allowed);
		assert_condition(&listener->conditions, "ResolvedRefs", cases[i].allowed,
				 cases[i].allowed ? "ResolvedRefs" : "RefNotPermitted");
	}
	assert_true(store_delete(world->store, KIND_REFERENCEGRANT, STR("away"), STR("g")));
	world_resolve(world);
	assert_false(world_listener(world, "default", "gw", 0)->serves);
}

static void half_of_the_certificates(void **state)
{
	struct world *world = *state;
	world_secret(world, "default", "old", "old.example.com", 0, WORLD_NOW_S - 1);
	world_secret(world, "default", "new", "new.example.com", WORLD_NOW_S + 1, WORLD_NOW_S + 2);
	world_gateway(world, "'name':'gw'",
		      HTTPS("x", "443", "", REF("missing") "," REF("old") "," REF("new") "," REF("old")),
		      "");
	world_resolve(world);
	struct listener_view *listener = world_listener(world, "default", "gw", 0);
	assert_true(listener->serves);
	assert_condition(&listener->conditions, "ResolvedRefs", false, "InvalidCertificateRef");
	assert_condition(&listener->conditions, "Programmed", true, "Programmed");
	assert_int_equal(listener->certificate_count, 2);
	assert_finding(&world->gateways->findings, "spec.listeners[0].tls.certificateRefs[1]",
		       "CertificateExpired");
	assert_finding(&world->gateways->findings, "spec.listeners[0].tls.certificateRefs[2]",
		       "CertificateNotYetValid");
}

static void route_kinds(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'",
		      HTTP("none", "80", ",'allowedRoutes':{'kinds':[{'kind':'TLSRoute'}]}") ","
		      HTTP("some", "81", ",'allowedRoutes':{'kinds':[{'kind':'TLSRoute'},"
					 "{'kind':'GRPCRoute'}]}") ","
		      HTTP("group", "82", ",'allowedRoutes':{'kinds':[{'group':'example.com',"
					  "'kind':'HTTPRoute'}]}"), "");
	world_resolve(world);
	const uint32_t kinds[] = { 0, kind_bit(KIND_GRPCROUTE), 0 };
	for (size_t i = 0; i < 3; i++) {
		struct listener_view *listener = world_listener(world, "default", "gw", i);
		assert_condition(&listener->conditions, "ResolvedRefs", false, "InvalidRouteKinds");
		assert_condition(&listener->conditions, "Accepted", true, "Accepted");
		assert_int_equal(listener->kinds, kinds[i]);
	}
	assert_finding(&world->gateways->findings, "spec.listeners[1].allowedRoutes.kinds[0]",
		       "InvalidRouteKinds");
}

/* Valid for an API server, but nothing that can be served. */
static void unusable_tls(void **state)
{
	struct world *world = *state;
	world_secret(world, "default", "cert", NULL, 0, WORLD_NOW_S + 1);
	world_gateway(world, "'name':'gw'",
		      "{'name':'bare','protocol':'HTTPS','port':443,'tls':{'options':{'a':'b'}}},"
		      "{'name':'mutual','protocol':'HTTPS','port':444,'tls':{'certificateRefs':"
		      "[" REF("cert") "],'frontendValidation':{}}}",
		      "");
	world_resolve(world);
	struct listener_view *bare = world_listener(world, "default", "gw", 0);
	assert_condition(&bare->conditions, "ResolvedRefs", false, "InvalidCertificateRef");
	assert_false(bare->serves);
	assert_finding(&world->gateways->findings, "spec.listeners[0].tls.certificateRefs",
		       "InvalidCertificateRef");
	struct listener_view *mutual = world_listener(world, "default", "gw", 1);
	assert_condition(&mutual->conditions, "Accepted", false, "UnsupportedValue");
	assert_false(mutual->serves);
	assert_finding(&world->gateways->findings, "spec.listeners[1].tls", "UnsupportedValue");
}

static void deep_wildcard(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'",
		      HTTP("deep", "80", ",'hostname':'*.a.b.c.d.e.f.g.h.i'") ","
		      HTTP("ok", "80", ",'hostname':'*.a.b.c.d.e.f.g.h'"), "");
	world_resolve(world);
	assert_condition(&world_listener(world, "default", "gw", 0)->conditions, "Accepted", false,
			 "UnsupportedValue");
	assert_true(world_listener(world, "default", "gw", 1)->serves);
	assert_finding(&world->gateways->findings, "spec.listeners[0].hostname",
		       "UnsupportedValue");
}

static void overlapping_tls(void **state)
{
	struct world *world = *state;
	world_secret(world, "default", "wild", "*.example.com", 0, WORLD_NOW_S + 1);
	world_secret(world, "default", "api", "api.example.com", 0, WORLD_NOW_S + 1);
	world_secret(world, "default", "org", "www.example.org", 0, WORLD_NOW_S + 1);
	world_gateway(world, "'name':'gw'",
		      HTTPS("wild", "443", ",'hostname':'*.example.com'", REF("org")) ","
		      HTTPS("api", "443", ",'hostname':'api.example.com'", REF("api")) ","
		      HTTPS("net", "443", ",'hostname':'www.example.net'", REF("wild")) ","
		      HTTPS("other-port", "8443", ",'hostname':'api.example.com'", REF("api")), "");
	world_resolve(world);
	assert_condition(&world_listener(world, "default", "gw", 0)->conditions,
			 "OverlappingTLSConfig", true, "OverlappingHostnames");
	assert_condition(&world_listener(world, "default", "gw", 1)->conditions,
			 "OverlappingTLSConfig", true, "OverlappingCertificates");
	assert_condition(&world_listener(world, "default", "gw", 2)->conditions,
			 "OverlappingTLSConfig", true, "OverlappingCertificates");
	assert_null(conditions_get(&world_listener(world, "default", "gw", 3)->conditions,
				   "OverlappingTLSConfig"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(classes),
		TEST(valid_gateway),
		TEST(unsupported_protocols),
		TEST(conflicts),
		TEST(hostname_conflicts),
		TEST(ports_between_gateways),
		TEST(addresses),
		TEST(invalid_parameters),
		TEST(parameters),
		TEST(class_without_parameters),
		TEST(certificates),
		TEST(certificate_grants),
		TEST(half_of_the_certificates),
		TEST(route_kinds),
		TEST(unusable_tls),
		TEST(deep_wildcard),
		TEST(overlapping_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
