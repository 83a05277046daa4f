/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HTTP(name, port, more) \
	"{'name':'" name "','protocol':'HTTP','port':" port more "}"
#define PARENT(more) "'parentRefs':[{'name':'gw'" more "}]"
#define RULES(rules) ",'rules':[" rules "]"
#define TO(refs) "{'backendRefs':[" refs "]}"
#define WEB "{'name':'web','port':80}"

/* The only parent of the only route, after resolving. */
static const struct parent_view *parent(struct world *world)
{
	world_resolve(world);
	assert_int_equal(world->route_count, 1);
	assert_int_equal(world->routes[0]->parent_count, 1);
	return &world->routes[0]->parents[0];
}

static void attached(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	world_gateway(world, "'name':'gw'", HTTP("a", "80", "") "," HTTP("b", "81", ""), "");
	world_route(world, "'name':'r'",
		    "'parentRefs':[{'name':'gw','sectionName':'a'},{'name':'gw','sectionName':'b'}]"
		    RULES(TO(WEB)));
	world_resolve(world);
	const struct route_view *route = world->routes[0];
	assert_int_equal(route->parent_count, 2);
	assert_int_equal(route->parents[0].attachment_count, 1);
	assert_int_equal(route->parents[1].attachment_count, 1);
	assert_ptr_equal(route->parents[1].attachments[0].listener,
			 world_listener(world, "default", "gw", 1));
	assert_condition(&route->parents[1].conditions, "Accepted", true, "Accepted");
	assert_condition(&route->parents[1].conditions, "ResolvedRefs", true, "ResolvedRefs");
	assert_null(conditions_get(&route->parents[0].conditions, "PartiallyInvalid"));
	assert_string_equal(route->rules[0].name.p, "default/r/0");
	assert_int_equal(route->rules[0].refs[0].state, REF_OK);
	assert_true(str_is(route->rules[0].refs[0].backend, "default.web.80"));
	assert_int_equal(route->findings.count, 0);
	assert_int_equal(route->need_count, 1);
	assert_true(str_is(route->needs[0].name, "web"));
	assert_int_equal(world_listener(world, "default", "gw", 0)->attached_routes, 1);
	assert_int_equal(world_listener(world, "default", "gw", 1)->attached_routes, 1);
}

static void every_listener(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	world_gateway(world, "'name':'gw'",
		      HTTP("a", "80", "") "," HTTP("b", "81", "") ","
		      HTTP("c", "82", ",'hostname':'c.example.com'"), "");
	world_route(world, "'name':'r'", PARENT("") ",'hostnames':['x.org']" RULES(TO(WEB)));
	const struct parent_view *view = parent(world);
	assert_condition(&view->conditions, "Accepted", true, "Accepted");
	assert_int_equal(view->attachment_count, 2);
	assert_int_equal(world_listener(world, "default", "gw", 2)->attached_routes, 0);
}

/* Built by hand: decode wants a sectionName in parentRefs that name one Gateway twice. */
static void listener_named_twice(void **state)
{
	struct world *world = *state;
	struct parent_ref parents[2];
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	world_route(world, "'name':'r'", PARENT("") RULES(TO(WEB)));
	world_resolve(world);
	struct object route = *world->routes[0]->object;
	parents[0] = parents[1] = route.route.parents[0];
	parents[1].section = STR("a");
	route.route.parents = parents;
	route.route.parent_count = 2;
	struct route_view *view = route_resolve(world->gateways, world->store, &route);
	assert_int_equal(view->parents[0].attachment_count, 1);
	assert_int_equal(view->parents[1].attachment_count, 1);
	route_view_free(view);
}

static void parents_of_others(void **state)
{
	struct world *world = *state;
	world_foreign_gateway(world);
	world_route(world, "'name':'r'",
		    "'parentRefs':[{'name':'theirs'},{'name':'missing'},"
		    "{'group':'','kind':'Service','name':'mesh'}]" RULES(TO(WEB)));
	world_resolve(world);
	assert_int_equal(world->routes[0]->parent_count, 0);
	assert_int_equal(world->routes[0]->findings.count, 2);
	assert_int_equal(world->routes[0]->findings.error_count, 0);
	assert_finding(&world->routes[0]->findings, "spec.parentRefs[1]", "NoSuchGateway");
	assert_finding(&world->routes[0]->findings, "spec.parentRefs[2]", "UnsupportedParent");
}

static void rejections(void **state)
{
	static const struct {
		const char *listener, *spec, *reason;
	} cases[] = {
		{ HTTP("a", "80", ""), PARENT(",'sectionName':'b'"), "NoMatchingParent" },
		{ HTTP("a", "80", ""), PARENT(",'port':81"), "NoMatchingParent" },
		{ HTTP("a", "80", ""), PARENT(",'sectionName':'a','port':81"), "NoMatchingParent" },
		{ "{'name':'a','protocol':'TCP','port':80}", PARENT(""), "NotAllowedByListeners" },
		{ HTTP("a", "80", ",'allowedRoutes':{'kinds':[{'kind':'GRPCRoute'}]}"), PARENT(""),
		  "NotAllowedByListeners" },
		{ HTTP("a", "80", ",'hostname':'www.example.com'"),
		  PARENT("") ",'hostnames':['api.example.com','*.www.example.com']",
		  "NoMatchingListenerHostname" },
		{ HTTP("a", "80", ""), PARENT("") ",'hostnames':['*.a.b.c.d.e.f.g.h.i']",
		  "UnsupportedValue" },
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char spec[1024];
		snprintf(spec, sizeof(spec), "%s" RULES(TO("{'name':'none','port':80}")),
			 cases[i].spec);
		world_gateway(world, "'name':'gw'", cases[i].listener, "");
		world_route(world, "'name':'r'", spec);
		const struct parent_view *view = parent(world);
		assert_condition(&view->conditions, "Accepted", false, cases[i].reason);
		/* Set also when the route is not accepted. */
		assert_condition(&view->conditions, "ResolvedRefs", false, "BackendNotFound");
		assert_int_equal(view->attachment_count, 0);
		assert_finding(&world->routes[0]->findings, "spec.parentRefs[0]", cases[i].reason);
		assert_int_equal(world_listener(world, "default", "gw", 0)->attached_routes, 0);
	}
}

static void namespaces(void **state)
{
#define FROM(what) ",'allowedRoutes':{'namespaces':{'from':" what "}}"
#define LABEL(key, value) FROM("'Selector','selector':{'matchLabels':{'" key "':'" value "'}}")
	static const struct {
		const char *listener;
		bool accepted;
	} cases[] = {
		{ HTTP("a", "80", ""), false }, /* Same is the default */
		{ HTTP("a", "80", FROM("'Same'")), false },
		{ HTTP("a", "80", FROM("'All'")), true },
		{ HTTP("a", "80", LABEL("team", "blue")), true },
		{ HTTP("a", "80", LABEL("team", "red")), false },
		{ HTTP("a", "80", LABEL("kubernetes.io/metadata.name", "apps")), true },
		{ HTTP("a", "80", LABEL("kubernetes.io/metadata.name", "default")), false },
	};
	struct world *world = *state;
	world_put(world, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'apps',"
			 "'labels':{'team':'blue'}}}");
	world_route(world, "'name':'r','namespace':'apps'",
		    "'parentRefs':[{'name':'gw','namespace':'default'}]" RULES(TO(WEB)));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		world_gateway(world, "'name':'gw'", cases[i].listener, "");
		assert_condition(&parent(world)->conditions, "Accepted", cases[i].accepted,
				 cases[i].accepted ? "Accepted" : "NotAllowedByListeners");
	}
	/* The name is a label even when nobody made the Namespace. */
	assert_true(store_delete(world->store, KIND_NAMESPACE, STR_NONE, STR("apps")));
	world_gateway(world, "'name':'gw'",
		      HTTP("a", "80", LABEL("kubernetes.io/metadata.name", "apps")), "");
	assert_condition(&parent(world)->conditions, "Accepted", true, "Accepted");
}

static void narrowed_hostnames(void **state)
{
	static const struct {
		const char *listener, *hostnames, *common; /* joined by a space */
	} cases[] = {
		{ "", "", "''" },
		{ ",'hostname':'*.example.com'", "", "*.example.com" },
		{ "", ",'hostnames':['b.example.com','a.example.com']",
		  "a.example.com b.example.com" },
		{ ",'hostname':'abc.foo.example.com'", ",'hostnames':['*.example.com']",
		  "abc.foo.example.com" },
		{ ",'hostname':'abc.foo.example.com'",
		  ",'hostnames':['*.example.com','*.foo.example.com','x.org']",
		  "abc.foo.example.com" },
		{ ",'hostname':'*.foo.example.com'",
		  ",'hostnames':['*.example.com','a.foo.example.com','foo.example.com']",
		  "*.foo.example.com a.foo.example.com" },
		{ "", ",'hostnames':['*.a.b.c.d.e.f.g.h.i','ok.example.com']", "ok.example.com" },
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[1024];
		snprintf(text, sizeof(text), HTTP("a", "80", "%s"), cases[i].listener);
		world_gateway(world, "'name':'gw'", text, "");
		snprintf(text, sizeof(text), PARENT("") "%s" RULES(TO(WEB)), cases[i].hostnames);
		world_route(world, "'name':'r'", text);
		const struct parent_view *view = parent(world);
		assert_int_equal(view->attachment_count, 1);
		struct sb joined;
		sb_init(&joined, 4096);
		for (size_t k = 0; k < view->attachments[0].hostname_count; k++) {
			struct str hostname = view->attachments[0].hostnames[k];
			sb_adds(&joined, k ? " " : "");
			sb_add(&joined, str_empty(hostname) ? STR("''") : hostname);
		}
		assert_string_equal(sb_str(&joined).p, cases[i].common);
		sb_fini(&joined);
	}
}

/* ---- backendRefs ---- */

static void put_backend(struct world *world, const char *protocol)
{
	char text[512];
	snprintf(text, sizeof(text),
		 "{'apiVersion':'tidegate.io/v1alpha1','kind':'Backend','metadata':{'name':'host'},"
		 "'spec':{'addresses':[{'host':'10.1.1.1','port':9000}]%s}}", protocol);
	world_put(world, text);
}

static void bad_refs(void **state)
{
#define BACKEND(more) "{'group':'tidegate.io','kind':'Backend','name':'host'" more "}"
	static const struct {
		const char *ref, *reason, *mention;
	} cases[] = {
		{ "{'kind':'Pod','name':'x','port':80}", "InvalidKind", "Backend" },
		{ "{'group':'example.com','kind':'Service','name':'web','port':80}", "InvalidKind",
		  "example.com" },
		{ "{'name':'missing','port':80}", "BackendNotFound", "default/missing" },
		{ "{'name':'web','port':81}", "BackendNotFound", "port 81" },
		{ "{'namespace':'away','name':'web','port':80}", "RefNotPermitted",
		  "ReferenceGrant" },
		{ "{'name':'wss','port':80}", "UnsupportedProtocol", "kubernetes.io/wss" },
		{ "{'name':'dns','port':80}", "UnsupportedProtocol", "UDP" },
		{ "{'name':'cname','port':80}", "InvalidKind", "Backend" },
		{ BACKEND(",'port':9001"), "BackendNotFound", "9001" },
	};
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	world_service(world, "away", "web", "", true);
	world_service(world, "default", "wss", ",'appProtocol':'kubernetes.io/wss'", true);
	world_service(world, "default", "dns", ",'protocol':'UDP'", false);
	world_put(world, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'cname'},'spec':{"
			 "'type':'ExternalName','externalName':'example.com','ports':[{'port':80}]}}");
	put_backend(world, "");
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char spec[1024];
		snprintf(spec, sizeof(spec), PARENT("") RULES(TO(WEB) "," TO(WEB ",%s")),
			 cases[i].ref);
		world_route(world, "'name':'r'", spec);
		const struct parent_view *view = parent(world);
		assert_condition(&view->conditions, "Accepted", true, "Accepted");
		assert_condition(&view->conditions, "ResolvedRefs", false, cases[i].reason);
		assert_mentions(conditions_get(&view->conditions, "ResolvedRefs")->message,
				cases[i].mention);
		const struct rule_view *rule = &world->routes[0]->rules[1];
		assert_int_equal(rule->refs[0].state, REF_OK);
		assert_int_equal(rule->refs[1].state, REF_INVALID);
		assert_false(rule->broken);
		assert_finding(&world->routes[0]->findings, "spec.rules[1].backendRefs[1]",
			       cases[i].reason);
	}
}

static void good_refs(void **state)
{
	static const char *const protocols[] = { "kubernetes.io/h2c", "kubernetes.io/ws", "http",
						 "HTTP", "HTTPS", "tcp", "grpc" };
	struct world *world = *state;
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") RULES(TO(WEB "," BACKEND("") "," BACKEND(",'port':9000"))));
	put_backend(world, ",'appProtocol':'kubernetes.io/h2c'");
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		char more[128];
		snprintf(more, sizeof(more), ",'appProtocol':'%s'", protocols[i]);
		world_service(world, "default", "web", more, true);
		assert_condition(&parent(world)->conditions, "ResolvedRefs", true, "ResolvedRefs");
	}
	const struct rule_view *rule = &world->routes[0]->rules[0];
	assert_true(str_is(rule->refs[1].backend, "default:host.0"));
	assert_true(str_is(rule->refs[2].backend, "default:host.9000"));
	assert_int_equal(world->routes[0]->need_count, 2);
}

static void grants(void **state)
{
#define GRANT(from, kind, name) \
	"{'apiVersion':'gateway.networking.k8s.io/v1beta1','kind':'ReferenceGrant'," \
	"'metadata':{'namespace':'away','name':'g'},'spec':{'from':[{" \
	"'group':'gateway.networking.k8s.io','kind':'HTTPRoute','namespace':'" from "'}]," \
	"'to':[{'group':'','kind':'" kind "'" name "}]}}"
	static const struct {
		const char *grant;
		bool allowed;
	} cases[] = {
		{ GRANT("default", "Service", ""), true },
		{ GRANT("default", "Service", ",'name':'web'"), true },
		{ GRANT("default", "Service", ",'name':'other'"), false },
		{ GRANT("default", "Secret", ""), false },
		{ GRANT("other", "Service", ""), false },
	};
	struct world *world = *state;
	world_service(world, "away", "web", "", true);
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") RULES(TO("{'namespace':'away','name':'web','port':80}")));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		world_put(world, cases[i].grant);
		assert_condition(&parent(world)->conditions, "ResolvedRefs", cases[i].allowed,
				 cases[i].allowed ? "ResolvedRefs" : "RefNotPermitted");
	}
}

/* ---- rules that cannot be honoured ---- */

#define REGEX_PATH "{'matches':[{'path':{'type':'RegularExpression','value':'/a(b'}}]," \
	"'backendRefs':[" WEB "]}"

static void some_rules_broken(void **state)
{
	static const struct {
		const char *rule, *field, *mention;
		uint64_t bad_matches;
	} cases[] = {
		{ REGEX_PATH, "spec.rules[1].matches[0].path.value", "column", 1 },
		{ "{'matches':[{'headers':[{'name':'x','type':'RegularExpression','value':'['}]}],"
		  "'backendRefs':[" WEB "]}", "spec.rules[1].matches[0].headers[0].value", "column",
		  1 },
		{ "{'matches':[{},{'queryParams':[{'name':'x','type':'RegularExpression',"
		  "'value':'+'}]}],'backendRefs':[" WEB "]}",
		  "spec.rules[1].matches[1].queryParams[0].value", "column", 2 },
		{ "{'filters':[{'type':'RequestMirror','requestMirror':{'backendRef':" WEB "}}],"
		  "'backendRefs':[" WEB "]}", "spec.rules[1].filters[0]", "RequestMirror", 0 },
		{ "{'matches':[{'path':{'value':'/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16'}}],"
		  "'filters':[{'type':'URLRewrite','urlRewrite':{'path':{'type':"
		  "'ReplacePrefixMatch','replacePrefixMatch':'/x'}}}],'backendRefs':[" WEB "]}",
		  "spec.rules[1].filters[0]", "15", 0 },
	};
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char spec[2048];
		snprintf(spec, sizeof(spec), PARENT("") RULES(TO(WEB) ",%s"), cases[i].rule);
		world_route(world, "'name':'r'", spec);
		const struct parent_view *view = parent(world);
		assert_condition(&view->conditions, "Accepted", true, "Accepted");
		assert_condition(&view->conditions, "PartiallyInvalid", true, "UnsupportedValue");
		struct str message = conditions_get(&view->conditions, "PartiallyInvalid")->message;
		assert_true(str_starts(message, STR("Dropped Rule")));
		assert_mentions(message, cases[i].field);
		assert_mentions(message, cases[i].mention);
		assert_int_equal(view->attachment_count, 1);
		assert_false(world->routes[0]->rules[0].broken);
		assert_true(world->routes[0]->rules[1].broken);
		assert_int_equal(world->routes[0]->rules[1].bad_matches, cases[i].bad_matches);
		assert_finding(&world->routes[0]->findings, cases[i].field, "UnsupportedValue");
	}
}

static void all_rules_broken(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	world_route(world, "'name':'r'", PARENT("") RULES(REGEX_PATH "," REGEX_PATH));
	const struct parent_view *view = parent(world);
	assert_condition(&view->conditions, "Accepted", false, "UnsupportedValue");
	assert_condition(&view->conditions, "ResolvedRefs", true, "ResolvedRefs");
	assert_null(conditions_get(&view->conditions, "PartiallyInvalid"));
	assert_int_equal(view->attachment_count, 0);
	assert_int_equal(world_listener(world, "default", "gw", 0)->attached_routes, 0);
}

static void broken_ref_filter(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	world_gateway(world, "'name':'gw'", HTTP("a", "80", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") RULES(TO(WEB ",{'name':'web','port':80,'filters':[{"
					"'type':'RequestMirror','requestMirror':{'backendRef':" WEB
					"}}]}")));
	const struct parent_view *view = parent(world);
	const struct rule_view *rule = &world->routes[0]->rules[0];
	assert_condition(&view->conditions, "Accepted", true, "Accepted");
	assert_condition(&view->conditions, "PartiallyInvalid", true, "UnsupportedValue");
	assert_false(rule->broken);
	assert_int_equal(rule->refs[0].state, REF_OK);
	assert_int_equal(rule->refs[1].state, REF_INVALID);
	assert_finding(&world->routes[0]->findings, "spec.rules[0].backendRefs[1].filters[0]",
		       "UnsupportedValue");
}

/* Counted even where the listener's certificate or the route's backend is missing. */
static void counted_without_serving(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'",
		      "{'name':'tls','protocol':'HTTPS','port':443,'tls':{'certificateRefs':["
		      "{'name':'missing'}]}}", "");
	world_route(world, "'name':'r'", PARENT("") RULES(TO("{'name':'none','port':80}")));
	assert_condition(&parent(world)->conditions, "Accepted", true, "Accepted");
	assert_int_equal(world_listener(world, "default", "gw", 0)->attached_routes, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attached),
		TEST(every_listener),
		TEST(listener_named_twice),
		TEST(parents_of_others),
		TEST(rejections),
		TEST(namespaces),
		TEST(narrowed_hostnames),
		TEST(bad_refs),
		TEST(good_refs),
		TEST(grants),
		TEST(some_rules_broken),
		TEST(all_rules_broken),
		TEST(broken_ref_filter),
		TEST(counted_without_serving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
