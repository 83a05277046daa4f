/* SPDX-License-Identifier: Apache-2.0 */
#include "status/features.h"
#include "status/status.h"

#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void put_objects(struct world *world)
{
	world_service(world, "default", "web", "", true);
	world_gateway(world, "'name':'gw','generation':7",
		      "{'name':'http','protocol':'HTTP','port':80},"
		      "{'name':'tcp','protocol':'TCP','port':81}",
		      ",'addresses':[{'value':'10.0.0.1'}]");
	world_route(world, "'name':'r','generation':3",
		    "'parentRefs':[{'name':'gw','sectionName':'http'}],"
		    "'rules':[{'backendRefs':[{'name':'web','port':80}]}]");
	world_resolve(world);
}

static void assert_text(struct sb *sb, const char *wanted)
{
	assert_true(sb_ok(sb, NULL));
	assert_string_equal(sb_str(sb).p, wanted);
	sb_fini(sb);
}

static void class_status(void **state)
{
	struct world *world = *state;
	struct sb sb;
	struct out out;
	world_resolve(world);
	sb_init(&sb, 4096);
	out_init(&out, &sb, OUT_JSON);
	status_class(&world->gateways->classes[0], STR("v1.6.1"), false, &out);
	struct str text = sb_str(&sb);
	assert_mentions(text, "{\"conditions\":[{\"type\":\"Accepted\",\"status\":\"True\","
			      "\"reason\":\"Accepted\",\"message\":\"Gateways of this class are "
			      "served by Tidegate.\",\"observedGeneration\":0},{"
			      "\"type\":\"SupportedVersion\",\"status\":\"True\"");
	assert_mentions(text, "\"supportedFeatures\":[{\"name\":\"GRPCRoute\"},");
	assert_null(strstr(text.p, "GatewayStaticAddresses"));
	sb_reset(&sb);
	out_init(&out, &sb, OUT_JSON);
	status_class(&world->gateways->classes[0], STR("v1.6.1"), true, &out);
	assert_mentions(sb_str(&sb), "\"GatewayStaticAddresses\"");
	sb_fini(&sb);
	/* Features are claimed in order; of a version that is not known nothing is said. */
	for (size_t i = 1; supported_features[i].name; i++)
		assert_true(strcmp(supported_features[i - 1].name, supported_features[i].name) < 0);
	sb_init(&sb, 4096);
	out_init(&out, &sb, OUT_JSON);
	status_class(&world->gateways->classes[0], STR_NONE, false, &out);
	assert_null(strstr(sb_str(&sb).p, "SupportedVersion"));
	sb_reset(&sb);
	out_init(&out, &sb, OUT_JSON);
	status_class(&world->gateways->classes[0], STR("v2.0.0"), false, &out);
	assert_mentions(sb_str(&sb), "\"reason\":\"UnsupportedVersion\"");
	sb_reset(&sb);
	out_init(&out, &sb, OUT_JSON);
	status_class(&world->gateways->classes[0], STR("v1.1.0"), false, &out);
	assert_mentions(sb_str(&sb), "\"reason\":\"SupportedVersion\"");
	assert_null(strstr(sb_str(&sb).p, "supportedFeatures"));
	sb_fini(&sb);
}

static struct str gateway_text(struct world *world, const struct status_live *live, struct sb *sb)
{
	struct out out;
	sb_init(sb, 64 * 1024);
	out_init(&out, sb, OUT_JSON);
	status_gateway(&world->gateways->gateways[0], live, &out);
	assert_true(sb_ok(sb, NULL));
	return sb_str(sb);
}

static void gateway_status(void **state)
{
	struct world *world = *state;
	struct sb sb;
	put_objects(world);
	struct str text = gateway_text(world, NULL, &sb);
	assert_mentions(text, "{\"addresses\":[{\"type\":\"IPAddress\",\"value\":\"10.0.0.1\"}],"
			      "\"conditions\":[{\"type\":\"Accepted\",\"status\":\"True\","
			      "\"reason\":\"ListenersNotValid\"");
	assert_mentions(text, "\"reason\":\"Programmed\",\"message\":\"The Gateway is served.\","
			      "\"observedGeneration\":7}");
	assert_mentions(text, "{\"name\":\"http\",\"attachedRoutes\":1,\"supportedKinds\":[{"
			      "\"group\":\"gateway.networking.k8s.io\",\"kind\":\"HTTPRoute\"},{"
			      "\"group\":\"gateway.networking.k8s.io\",\"kind\":\"GRPCRoute\"}],"
			      "\"conditions\":[");
	assert_mentions(text, "{\"name\":\"tcp\",\"attachedRoutes\":0,\"supportedKinds\":[],"
			      "\"conditions\":[{\"type\":\"Accepted\",\"status\":\"False\","
			      "\"reason\":\"UnsupportedProtocol\"");
	sb_fini(&sb);
}

/* Programmed is what the data plane says; what is Invalid stays so. */
static void not_programmed(void **state)
{
	static const struct gateway_address address = { STR_INIT("IPAddress"),
							STR_INIT("192.0.2.1") };
	struct world *world = *state;
	struct status_live live = { .programmed = false, .message = STR("HAProxy is down."),
				    .addresses = &address, .address_count = 1 };
	struct sb sb;
	put_objects(world);
	struct str text = gateway_text(world, &live, &sb);
	assert_mentions(text, "\"addresses\":[{\"type\":\"IPAddress\",\"value\":\"192.0.2.1\"}]");
	assert_mentions(text, "{\"type\":\"Programmed\",\"status\":\"False\",\"reason\":"
			      "\"Pending\",\"message\":\"HAProxy is down.\"");
	assert_mentions(text, "{\"type\":\"Programmed\",\"status\":\"False\",\"reason\":"
			      "\"Invalid\"");
	assert_mentions(text, "{\"type\":\"Accepted\",\"status\":\"True\"");
	sb_fini(&sb);
	live.programmed = true;
	text = gateway_text(world, &live, &sb);
	assert_mentions(text, "{\"type\":\"Programmed\",\"status\":\"True\",\"reason\":"
			      "\"Programmed\"");
	sb_fini(&sb);
}

static struct str port_is_taken(void *user, struct str frontend)
{
	(void)user;
	assert_true(frontend.n > 0);
	return STR("cannot bind *:80");
}

/* The listeners whose port somebody else has; and the Gateway, if no listener is left. */
static void port_taken(void **state)
{
	struct world *world = *state;
	struct status_live live = { .programmed = true, .blocked = port_is_taken };
	struct sb sb;
	put_objects(world);
	struct str text = gateway_text(world, &live, &sb);
	assert_mentions(text, "{\"type\":\"Programmed\",\"status\":\"False\",\"reason\":"
			      "\"Pending\",\"message\":\"cannot bind *:80\"");
	assert_mentions(text, "{\"type\":\"Programmed\",\"status\":\"False\",\"reason\":"
			      "\"Invalid\"");
	assert_null(strstr(text.p, "{\"type\":\"Programmed\",\"status\":\"True\""));
	sb_fini(&sb);
}

static void route_status(void **state)
{
	struct world *world = *state;
	struct sb sb;
	struct out out;
	put_objects(world);
	sb_init(&sb, 4096);
	out_init(&out, &sb, OUT_YAML);
	status_route(world->routes[0], STR(CONTROLLER_NAME), &out);
	assert_text(&sb, "parents:\n"
			 "  - parentRef:\n"
			 "      group: gateway.networking.k8s.io\n"
			 "      kind: Gateway\n"
			 "      namespace: default\n"
			 "      name: gw\n"
			 "      sectionName: http\n"
			 "    controllerName: tidegate.io/gateway-controller\n"
			 "    conditions:\n"
			 "      - type: Accepted\n"
			 "        status: \"True\"\n"
			 "        reason: Accepted\n"
			 "        message: The route is attached.\n"
			 "        observedGeneration: 3\n"
			 "      - type: ResolvedRefs\n"
			 "        status: \"True\"\n"
			 "        reason: ResolvedRefs\n"
			 "        message: All backendRefs were found.\n"
			 "        observedGeneration: 3\n");
}

/* Where nothing listens there is no address to go to, whatever the data plane told before. */
static void nothing_served(void **state)
{
	static const struct gateway_address address = { STR_INIT("IPAddress"),
							STR_INIT("192.0.2.1") };
	struct world *world = *state;
	struct status_live live = { .programmed = false, .addresses = &address,
				    .address_count = 1 };
	struct sb sb;
	world_gateway(world, "'name':'gw'", "{'name':'tcp','protocol':'TCP','port':81}",
		      ",'addresses':[{'value':'10.0.0.1'}]");
	world_resolve(world);
	struct str text = gateway_text(world, &live, &sb);
	assert_mentions(text, "{\"addresses\":[],");
	assert_mentions(text, "\"type\":\"Programmed\",\"status\":\"False\",\"reason\":\"Invalid\"");
	assert_null(strstr(text.p, "Pending"));
	sb_fini(&sb);
	put_objects(world);
	text = gateway_text(world, &live, &sb);
	assert_mentions(text, "\"message\":\"Waiting for the data plane.\"");
	sb_fini(&sb);
}

/* Each parent has its own conditions; parents of others have none of ours. */
static void several_parents(void **state)
{
	struct world *world = *state;
	struct sb sb;
	struct out out;
	put_objects(world);
	world_route(world, "'name':'r'",
		    "'parentRefs':[{'name':'elsewhere'},{'name':'gw','sectionName':'none'},"
		    "{'name':'gw','sectionName':'http','port':80}],"
		    "'rules':[{'backendRefs':[{'name':'missing','port':80}]}]");
	world_resolve(world);
	sb_init(&sb, 64 * 1024);
	out_init(&out, &sb, OUT_JSON);
	status_route(world->routes[0], STR("example.com/c"), &out);
	assert_true(sb_ok(&sb, NULL));
	struct str text = sb_str(&sb);
	assert_mentions(text, "{\"parents\":[{\"parentRef\":{"
			      "\"group\":\"gateway.networking.k8s.io\",\"kind\":\"Gateway\","
			      "\"namespace\":\"default\",\"name\":\"gw\",\"sectionName\":\"none\"},"
			      "\"controllerName\":\"example.com/c\",\"conditions\":[{"
			      "\"type\":\"Accepted\",\"status\":\"False\","
			      "\"reason\":\"NoMatchingParent\"");
	assert_mentions(text, "\"sectionName\":\"http\",\"port\":80},"
			      "\"controllerName\":\"example.com/c\",\"conditions\":[{"
			      "\"type\":\"Accepted\",\"status\":\"True\"");
	assert_mentions(text, "\"reason\":\"BackendNotFound\"");
	assert_null(strstr(text.p, "elsewhere"));
	sb_fini(&sb);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* What our own kinds say of themselves: the first error's reason, and all errors. */
static void verdict(void **state)
{
	static const struct meta meta = { .ns = STR_INIT("shop"), .name = STR_INIT("b") };
	struct arena *arena = arena_new();
	struct findings refusal;
	struct sb sb;
	struct out out;
	(void)state;
	sb_init(&sb, 128 * 1024);
	out_init(&out, &sb, OUT_JSON);
	status_verdict(NULL, 4, STR("example.com/c"), &out);
	assert_string_equal(sb_str(&sb).p,
			    "{\"controllers\":[{\"controllerName\":\"example.com/c\","
			    "\"conditions\":[{\"type\":\"Accepted\",\"status\":\"True\",\"reason\":"
			    "\"Accepted\",\"message\":\"The object is valid.\","
			    "\"observedGeneration\":4}]}]}");
	findings_init(&refusal, arena);
	findings_add(&refusal, SEVERITY_WARNING, KIND_BACKEND, &meta, "spec.x", "UnknownField", "u");
	findings_add(&refusal, SEVERITY_ERROR, KIND_BACKEND, &meta, "spec.a", "FieldValueInvalid",
		     "is bad");
	findings_add(&refusal, SEVERITY_ERROR, KIND_BACKEND, &meta, NULL, "FieldValueTooMany", "many");
	sb_reset(&sb);
	out_init(&out, &sb, OUT_JSON);
	status_verdict(&refusal, 5, STR("example.com/c"), &out);
	assert_mentions(sb_str(&sb), "{\"type\":\"Accepted\",\"status\":\"False\",\"reason\":"
				     "\"FieldValueInvalid\",\"message\":\"spec.a: is bad; many\","
				     "\"observedGeneration\":5}");
	/* More than a message may have */
	for (int i = 0; i < 100; i++)
		findings_add(&refusal, SEVERITY_ERROR, KIND_BACKEND, &meta, "spec.a",
			     "FieldValueInvalid", "%0500d", i);
	sb_reset(&sb);
	out_init(&out, &sb, OUT_JSON);
	status_verdict(&refusal, 5, STR("example.com/c"), &out);
	assert_in_range(sb_str(&sb).n, 32 * 1024, 33 * 1024);
	sb_fini(&sb);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(class_status),
		TEST(gateway_status),
		TEST(not_programmed),
		TEST(port_taken),
		TEST(nothing_served),
		TEST(route_status),
		TEST(several_parents),
		TEST(verdict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
