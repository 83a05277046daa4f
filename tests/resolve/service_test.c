/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that have a Service each. */
#include "resolve/explain.h"

#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HTTP(name, port) "{'name':'" name "','protocol':'HTTP','port':" port "}"
#define PORT(port, target) "{'name':'p" port "','port':" port ",'targetPort':" target "}"
#define IP(value) "{'ip':'" value "'}"
#define ADDRESSES(list) ",'addresses':[" list "]"

static int setup(void **state)
{
	world_setup(state);
	struct world *world = *state;
	world->options.service_ns = STR("gates");
	return 0;
}

static void put_service(struct world *world, const char *name, const char *ports,
			const char *spec, const char *ingress)
{
	struct sb text;
	sb_init(&text, 64 * 1024);
	sb_addf(&text, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'gates',"
		"'name':'%s','labels':{'app.kubernetes.io/managed-by':'tidegate',"
		"'tidegate.io/controller':'tidegate.io_gateway-controller'}},"
		"'spec':{'ports':[%s]%s},'status':{'loadBalancer':{'ingress':[%s]}}}", name, ports,
		spec, ingress);
	assert_true(sb_ok(&text, NULL));
	world_put(world, sb_str(&text).p);
	sb_fini(&text);
}

static const struct gateway_view *gateway(struct world *world, const char *name)
{
	const struct gateway_view *view =
		gateways_find(world->gateways, STR("default"), str_of(name));
	assert_non_null(view);
	return view;
}

#define BALANCED ",'type':'LoadBalancer'"

/* ---- names ---- */

static void names(void **state)
{
	static const struct {
		const char *ns, *name, *want; /* want: all of it, or how it begins */
		bool plain;
	} rows[] = {
		{ "default", "web", "default--web", true },
		{ "a-b", "c", "a-b--c", true },
		{ "a", "b-c", "a--b-c", true },
		{ "a--b", "c", "gw-a--b--c---", false },
		{ "a", "b--c", "gw-a--b--c---", false },
		{ "a", "b.c", "gw-a--b-c---", false },
		{ "1st", "web", "gw-1st--web---", false },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddd", "aaaaaaaaaabbbbbbbbbbcccccccc",
		  "aaaaaaaaaabbbbbbbbbbccccccccccddd--aaaaaaaaaabbbbbbbbbbcccccccc", true },
		{ "aaaaaaaaaabbbbbbbbbbccccccccccddd", "aaaaaaaaaabbbbbbbbbbccccccccc",
		  "gw-aaaaaaaaaabbbbbbbbbbccccccccccddd--aaaaaa---", false },
	};
	(void)state;
	struct arena *arena = arena_new();
	struct str seen[sizeof(rows) / sizeof(rows[0])];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str got =
			gateway_service_name(arena, str_of(rows[i].ns), str_of(rows[i].name));
		assert_in_range(got.n, 1, MAX_LABEL_BYTES);
		assert_true(str_starts(got, str_of(rows[i].want)));
		assert_int_equal(got.n, strlen(rows[i].want) + (rows[i].plain ? 0 : 16));
		for (size_t j = 0; j < i; j++)
			assert_false(str_eq(got, seen[j]));
		seen[i] = got;
	}
	arena_free(arena);
}

static void labels(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	char text[200];
	assert_true(str_is(label_value_of(arena, STR(CONTROLLER_NAME)),
			   "tidegate.io_gateway-controller"));
	assert_true(str_is(label_value_of(arena, STR("web")), "web"));
	/* What could be taken for another has a digest. */
	assert_true(str_starts(label_value_of(arena, STR("a.test/x_y")), STR("xa-test-x-y__")));
	assert_true(str_starts(label_value_of(arena, STR("a.test/%")), STR("xa-test--__")));
	memset(text, 'a', sizeof(text));
	struct str one = label_value_of(arena, (struct str){ text, 64 });
	struct str two = label_value_of(arena, (struct str){ text, 65 });
	assert_int_equal(one.n, MAX_LABEL_BYTES);
	assert_false(str_eq(one, two));
	assert_true(str_is(label_value_of(arena, (struct str){ text, 63 }),
			   arena_str(arena, (struct str){ text, 63 }).p));
	arena_free(arena);
}

/* ---- ports ---- */

/* The same port twice, bound on two others; clients see the listeners'. */
static void target_ports(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'one'", HTTP("a", "80") "," HTTP("b", "8080"), "");
	world_gateway(world, "'name':'two'", HTTP("a", "80"), "");
	put_service(world, "default--one", PORT("80", "20001") "," PORT("8080", "20002"), BALANCED,
		    IP("192.0.2.1"));
	put_service(world, "default--two", PORT("80", "20003"), BALANCED, IP("192.0.2.2"));
	world_route(world, "'name':'r'", "'parentRefs':[{'name':'one','port':8080}]");
	world_resolve(world);
	const struct gateway_view *one = gateway(world, "one"), *two = gateway(world, "two");
	assert_int_equal(one->frontend_count, 2);
	assert_string_equal(one->frontends[0].name.p, "default.one.80");
	assert_int_equal(one->frontends[0].port, 80);
	assert_int_equal(one->frontends[0].bind_port, 20001);
	assert_int_equal(one->frontends[1].bind_port, 20002);
	assert_true(str_is(one->frontends[0].addresses[0], "*"));
	assert_int_equal(two->frontends[0].bind_port, 20003);
	assert_condition(&one->conditions, "Programmed", true, "Programmed");
	assert_condition(&two->conditions, "Programmed", true, "Programmed");
	assert_int_equal(world->gateways->findings.count, 0);
	static const char *const names[] = { "default/one", "default/two", "default/none" };
	for (size_t i = 0; i < 3; i++) {
		struct explain_world all = { .gateways = world->gateways };
		struct explain_request request = { .port = 80, .host = STR("a.test"),
						   .gateway = str_of(names[i]),
						   .request = { .path = STR("/") } };
		struct explain_result *result = explain(&all, &request);
		assert_ptr_equal(result->frontend, i == 0 ? &one->frontends[0] :
						   i == 1 ? &two->frontends[0] : NULL);
		explain_free(result);
	}
	const struct parent_view *parent = &world_find_route(world, "default", "r")->parents[0];
	assert_int_equal(parent->attachment_count, 1);
	assert_true(str_is(parent->attachments[0].listener->spec->name, "b"));
}

/* Nothing is bound that no Service has; routes attach all the same. */
static void waiting(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'", HTTP("a", "80") "," HTTP("b", "81"), "");
	world_route(world, "'name':'r'", "'parentRefs':[{'name':'gw','sectionName':'b'}]");
	world_resolve(world);
	assert_int_equal(gateway(world, "gw")->frontend_count, 0);
	assert_condition(&gateway(world, "gw")->conditions, "Accepted", true, "Accepted");
	assert_condition(&gateway(world, "gw")->conditions, "Programmed", false,
			 "AddressNotAssigned");
	assert_mentions(conditions_get(&gateway(world, "gw")->conditions, "Programmed")->message,
			"gates/default--gw");
	put_service(world, "default--gw", PORT("80", "20001"), BALANCED, IP("192.0.2.1"));
	world_resolve(world);
	assert_int_equal(gateway(world, "gw")->frontend_count, 1);
	assert_condition(&gateway(world, "gw")->conditions, "Programmed", true, "Programmed");
	struct listener_view *b = world_listener(world, "default", "gw", 1);
	assert_condition(&b->conditions, "Accepted", true, "Accepted");
	assert_condition(&b->conditions, "Programmed", false, "Pending");
	assert_int_equal(b->attached_routes, 1);
	assert_false(b->serves);
}

/* Another installation's, or somebody's own, is none of ours. */
static void of_others(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'gw'", HTTP("a", "80"), "");
	world_put(world, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'gates',"
			 "'name':'default--gw','labels':{'app.kubernetes.io/managed-by':'tidegate',"
			 "'tidegate.io/controller':'example.com_other'}},"
			 "'spec':{'ports':[{'port':80,'targetPort':20001}]}}");
	world_resolve(world);
	assert_null(gateway(world, "gw")->service);
	world_put(world, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'gates',"
			 "'name':'default--gw'},'spec':{'ports':[{'port':80,'targetPort':20001}]}}");
	world_resolve(world);
	assert_null(gateway(world, "gw")->service);
	world->options.controller_name = STR("example.com/other");
	assert_true(gateways_use_service(world->gateways, STR("gates"), STR("default--gw")));
	assert_false(gateways_use_service(world->gateways, STR("other"), STR("default--gw")));
	assert_false(gateways_use_service(world->gateways, STR("gates"), STR("default--no")));
	assert_false(gateways_use_service(NULL, STR("gates"), STR("default--gw")));
}

/* Two Services with one target port: the older Gateway has it, and nobody gets the other's
 * requests. */
static void ports_twice(void **state)
{
	struct world *world = *state;
	world_gateway(world, "'name':'old','creationTimestamp':'2020-01-01T00:00:00Z'",
		      HTTP("a", "80"), "");
	world_gateway(world, "'name':'new','creationTimestamp':'2021-01-01T00:00:00Z'",
		      HTTP("a", "80") "," HTTP("b", "81") "," HTTP("c", "82"), "");
	put_service(world, "default--old", PORT("80", "20001"), BALANCED, IP("192.0.2.1"));
	put_service(world, "default--new",
		    PORT("80", "20001") "," PORT("81", "20002") "," PORT("82", "20002"), BALANCED,
		    IP("192.0.2.2"));
	world_resolve(world);
	assert_int_equal(gateway(world, "old")->frontend_count, 1);
	assert_int_equal(gateway(world, "new")->frontend_count, 1);
	assert_string_equal(gateway(world, "new")->frontends[0].name.p, "default.new.81");
	assert_condition(&world_listener(world, "default", "new", 0)->conditions, "Programmed",
			 false, "Pending");
	assert_finding(&world->gateways->findings, "spec.listeners", "PortUnavailable");
}

/* ---- addresses ---- */

static void given_addresses(void **state)
{
	static const struct {
		const char *spec, *ingress, *reason; /* NULL: programmed */
		const char *addresses;
	} rows[] = {
		{ BALANCED, "", "AddressNotAssigned", "" },
		{ BALANCED, IP("192.0.2.1") "," IP("2001:db8::1"), NULL,
		  "IPAddress 192.0.2.1 IPAddress 2001:db8::1 " },
		{ BALANCED, "{'hostname':'lb.test'}", NULL, "Hostname lb.test " },
		{ ",'type':'ClusterIP','clusterIPs':['10.0.0.1']", "", NULL, "IPAddress 10.0.0.1 " },
		{ ",'type':'NodePort','clusterIPs':['10.0.0.1']", "", NULL, "IPAddress 10.0.0.1 " },
		{ ",'type':'ClusterIP','clusterIPs':['None']", "", "AddressNotAssigned", "" },
	};
	struct world *world = *state;
	world_gateway(world, "'name':'gw'", HTTP("a", "80"), "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sb got;
		put_service(world, "default--gw", PORT("80", "20001"), rows[i].spec,
			    rows[i].ingress);
		world_resolve(world);
		const struct gateway_view *view = gateway(world, "gw");
		assert_condition(&view->conditions, "Programmed", !rows[i].reason,
				 rows[i].reason ? rows[i].reason : "Programmed");
		sb_init(&got, 1024);
		for (size_t j = 0; j < view->address_count; j++)
			sb_addf(&got, STR_FMT " " STR_FMT " ", STR_ARG(view->addresses[j].type),
				STR_ARG(view->addresses[j].value));
		assert_string_equal(sb_str(&got).p ? sb_str(&got).p : "", rows[i].addresses);
		sb_fini(&got);
	}
}

/* Somebody who knows has said where Gateways are reached. */
static void told_addresses(void **state)
{
	struct world *world = *state;
	world->options.addresses_told = true;
	world_gateway(world, "'name':'gw'", HTTP("a", "80"), "");
	world_gateway(world, "'name':'own'", HTTP("a", "80"), ADDRESSES("{'value':'192.0.2.1'}"));
	put_service(world, "default--gw", PORT("80", "20001"), BALANCED, "");
	put_service(world, "default--own", PORT("80", "20002"), BALANCED, "");
	world_resolve(world);
	assert_condition(&gateway(world, "gw")->conditions, "Programmed", true, "Programmed");
	assert_condition(&gateway(world, "own")->conditions, "Programmed", false,
			 "AddressNotUsable");
}

static void requested_addresses(void **state)
{
	static const struct {
		const char *spec, *ingress, *reason;
	} rows[] = {
		{ "{'value':'192.0.2.1'}", "", "AddressNotUsable" },
		{ "{'value':'192.0.2.1'}", IP("192.0.2.2"), "AddressNotUsable" },
		{ "{'value':'192.0.2.1'}", IP("192.0.2.1") "," IP("192.0.2.2"), "AddressNotUsable" },
		{ "{'value':'192.0.2.1'}", IP("192.0.2.1"), "Programmed" },
		{ "{'value':'2001:DB8:0::1'}", IP("2001:db8::1"), "Programmed" },
		{ "{'value':'192.0.2.1'},{'value':'192.0.2.2'}", IP("192.0.2.1"),
		  "AddressNotUsable" },
		{ "{'value':'192.0.2.1'},{'value':'192.0.2.2'}", IP("192.0.2.2") "," IP("192.0.2.1"),
		  "Programmed" },
		{ "{'type':'IPAddress'}", "", "AddressNotAssigned" },
		{ "{'type':'IPAddress'}", IP("192.0.2.7"), "Programmed" },
		{ "{'value':'192.0.2.1'},{'type':'IPAddress'}", IP("192.0.2.7") "," IP("192.0.2.1"),
		  "Programmed" },
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char more[256];
		snprintf(more, sizeof(more), ADDRESSES("%s"), rows[i].spec);
		world_gateway(world, "'name':'gw'", HTTP("a", "80"), more);
		put_service(world, "default--gw", PORT("80", "20001"), BALANCED, rows[i].ingress);
		world_resolve(world);
		assert_condition(&gateway(world, "gw")->conditions, "Accepted", true, "Accepted");
		assert_condition(&gateway(world, "gw")->conditions, "Programmed",
				 strcmp(rows[i].reason, "Programmed") == 0, rows[i].reason);
	}
	world_gateway(world, "'name':'gw'", HTTP("a", "80"),
		      ADDRESSES("{'type':'test/fake','value':'x'},{'value':'192.0.2.1'}"));
	world_resolve(world);
	assert_condition(&gateway(world, "gw")->conditions, "Accepted", false,
			 "UnsupportedAddress");
	assert_condition(&gateway(world, "gw")->conditions, "Programmed", false, "Invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(labels),
		cmocka_unit_test_setup_teardown(target_ports, setup, world_teardown),
		cmocka_unit_test_setup_teardown(waiting, setup, world_teardown),
		cmocka_unit_test_setup_teardown(of_others, setup, world_teardown),
		cmocka_unit_test_setup_teardown(ports_twice, setup, world_teardown),
		cmocka_unit_test_setup_teardown(given_addresses, setup, world_teardown),
		cmocka_unit_test_setup_teardown(told_addresses, setup, world_teardown),
		cmocka_unit_test_setup_teardown(requested_addresses, setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
