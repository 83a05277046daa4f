/* SPDX-License-Identifier: Apache-2.0 */
/* A Gateway's Service as it is to be. */
#include "status/service.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/resolve/world.h"

#define HTTP(name, port) "{'name':'" name "','protocol':'HTTP','port':" port "}"

struct fixture {
	struct world *world;
	struct arena *arena;
	struct service_settings settings;
	struct port_book *book;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	void *world = NULL;
	struct error err;
	world_setup(&world);
	f->world = world;
	f->world->options.service_ns = STR("gates");
	f->arena = arena_new();
	f->book = xcalloc(1, sizeof(*f->book));
	f->settings.ns = STR("gates");
	f->settings.controller = STR("tidegate.io_gateway-controller");
	assert_true(service_parse_selector(STR("app=tidegate,x/i=edge"), f->arena, &f->settings,
					   &err));
	assert_true(service_parse_ports(STR("20000-20099"), &f->settings, &err));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *world = f->world;
	world_teardown(&world);
	arena_free(f->arena);
	free(f->book);
	free(f);
	return 0;
}

static const struct gateway_view *put_gateway(struct fixture *f, const char *listeners,
					      const char *more)
{
	world_gateway(f->world, "'name':'web'", listeners, more);
	world_resolve(f->world);
	return gateways_find(f->world->gateways, STR("default"), STR("web"));
}

/* What is wanted next; takes `stored`. */
static struct json_object *next(struct fixture *f, const struct gateway_view *gateway,
				struct json_object *stored)
{
	struct error err;
	port_book_add(f->book, stored);
	struct json_object *wanted =
		service_wanted(gateway, &f->settings, stored, f->book, &err);
	assert_non_null(wanted);
	port_book_remove(f->book, stored);
	json_object_put(stored);
	return wanted;
}

static struct json_object *at(struct json_object *json, const char *path)
{
	struct json_object *value = NULL;
	assert_int_equal(json_pointer_get(json, path, &value), 0);
	return value;
}

static bool has(struct json_object *json, const char *path)
{
	return json_pointer_get(json, path, NULL) == 0;
}

static const char *text(struct json_object *json, const char *path)
{
	return json_object_get_string(at(json, path));
}

static int number(struct json_object *json, const char *path)
{
	return json_object_get_int(at(json, path));
}

static void set(struct json_object *json, const char *path, const char *value)
{
	assert_int_equal(json_pointer_set(&json, path, json_tokener_parse(value)), 0);
}

static void fresh(void **state)
{
	struct fixture *f = *state;
	struct json_object *made = next(f, put_gateway(f, HTTP("b", "443") "," HTTP("a", "80") ","
						       "{'name':'c','protocol':'HTTP',"
						       "'port':443,'hostname':'c.test'},"
						       "{'name':'u','protocol':'UDP','port':53}", ""),
				        NULL);
	assert_string_equal(text(made, "/metadata/name"), "default--web");
	assert_string_equal(text(made, "/metadata/namespace"), "gates");
	assert_string_equal(text(made, "/metadata/labels/app.kubernetes.io~1managed-by"),
			    "tidegate");
	assert_string_equal(
		text(made, "/metadata/labels/gateway.networking.k8s.io~1gateway-name"), "web");
	assert_string_equal(text(made, "/metadata/labels/tidegate.io~1gateway-namespace"),
			    "default");
	assert_false(has(made, "/metadata/annotations"));
	assert_false(has(made, "/metadata/ownerReferences"));
	assert_string_equal(text(made, "/spec/type"), "LoadBalancer");
	assert_string_equal(text(made, "/spec/selector"),
			    "{ \"app\": \"tidegate\", \"x\\/i\": \"edge\" }");
	assert_int_equal(json_object_array_length(at(made, "/spec/ports")), 2);
	assert_string_equal(text(made, "/spec/ports/0/name"), "port-80");
	assert_int_equal(number(made, "/spec/ports/1/port"), 443);
	assert_in_range(number(made, "/spec/ports/0/targetPort"), 20000, 20099);
	assert_int_not_equal(number(made, "/spec/ports/0/targetPort"),
			     number(made, "/spec/ports/1/targetPort"));
	assert_true(service_is_ours(made, f->settings.controller));
	assert_false(service_is_ours(made, STR("other")));
	json_object_put(made);
}

/* What is there and right is not touched, and what is others' stays. */
static void stable(void **state)
{
	struct fixture *f = *state;
	const struct gateway_view *gateway = put_gateway(f, HTTP("a", "80"), "");
	struct json_object *made = next(f, gateway, NULL), *copy = NULL;
	int target = number(made, "/spec/ports/0/targetPort");
	set(made, "/spec/ports/0/nodePort", "30001");
	set(made, "/spec/clusterIP", "\"10.0.0.1\"");
	set(made, "/metadata/labels/team", "\"edge\"");
	set(made, "/metadata/annotations", "{\"a\":\"b\"}");
	json_object_deep_copy(made, &copy, NULL);
	made = next(f, gateway, made);
	assert_true(json_object_equal(made, copy));
	/* Ours are put right. */
	set(made, "/spec/selector/app", "\"wrong\"");
	json_object_object_add(at(made, "/metadata/labels"), "tidegate.io/gateway-namespace",
			       json_object_new_string("wrong"));
	set(made, "/spec/type", "\"NodePort\"");
	made = next(f, gateway, made);
	assert_true(json_object_equal(made, copy));
	json_object_put(copy);
	/* Another listener leaves the first one's ports alone. */
	made = next(f, put_gateway(f, HTTP("a", "80") "," HTTP("b", "79"), ""), made);
	assert_int_equal(number(made, "/spec/ports/0/port"), 79);
	assert_int_equal(number(made, "/spec/ports/1/targetPort"), target);
	assert_int_equal(number(made, "/spec/ports/1/nodePort"), 30001);
	made = next(f, put_gateway(f, HTTP("a", "80"), ""), made);
	assert_int_equal(json_object_array_length(at(made, "/spec/ports")), 1);
	assert_int_equal(number(made, "/spec/ports/0/targetPort"), target);
	json_object_put(made);
}

static void addresses(void **state)
{
	struct fixture *f = *state;
	const char *http = HTTP("a", "80");
	struct json_object *made =
		next(f, put_gateway(f, http, ",'addresses':[{'value':'192.0.2.1'}]"), NULL);
	assert_string_equal(text(made, "/spec/loadBalancerIP"), "192.0.2.1");
	made = next(f, put_gateway(f, http, ",'addresses':[{'value':'192.0.2.1'},"
					    "{'type':'IPAddress'},{'value':'2001:db8::1'}]"), made);
	assert_false(has(made, "/spec/loadBalancerIP"));
	assert_string_equal(text(made, "/metadata/annotations/metallb.io~1loadBalancerIPs"),
			    "192.0.2.1,2001:db8::1");
	set(made, "/metadata/annotations/a", "\"b\"");
	made = next(f, put_gateway(f, http, ",'addresses':[{'type':'IPAddress'}]"), made);
	assert_string_equal(text(made, "/metadata/annotations"), "{ \"a\": \"b\" }");
	/* An address that somebody else asked for is not ours to take back. */
	set(made, "/spec/loadBalancerIP", "\"192.0.2.9\"");
	made = next(f, put_gateway(f, http, ""), made);
	assert_string_equal(text(made, "/spec/loadBalancerIP"), "192.0.2.9");
	json_object_put(made);
}

/* Fields, labels and annotations come and go; ours and others' stay. */
static void parameters(void **state)
{
	struct fixture *f = *state;
	const char *http = HTTP("a", "80");
	struct error err;
	struct object *defaults = service_parse_defaults(
		STR("{\"externalTrafficPolicy\":\"Local\",\"loadBalancerClass\":\"a.test/b\","
		    "\"ipFamilies\":[\"IPv6\"],\"loadBalancerSourceRanges\":[\"192.0.2.0/24\"],"
		    "\"allocateLoadBalancerNodePorts\":false,\"labels\":{\"team\":\"a\","
		    "\"tidegate.io/controller\":\"x\"}}"), &err);
	assert_non_null(defaults);
	f->world->options.service_defaults = &defaults->gateway_parameters.service;
	struct json_object *made = next(
		f, put_gateway(f, http, ",'infrastructure':{'annotations':{'note':'yes'}}"), NULL);
	assert_string_equal(text(made, "/spec/externalTrafficPolicy"), "Local");
	assert_string_equal(text(made, "/spec/loadBalancerClass"), "a.test/b");
	assert_string_equal(text(made, "/spec/ipFamilies"), "[ \"IPv6\" ]");
	assert_string_equal(text(made, "/spec/allocateLoadBalancerNodePorts"), "false");
	assert_string_equal(text(made, "/metadata/labels/team"), "a");
	assert_true(service_is_ours(made, f->settings.controller));
	assert_string_equal(text(made, "/metadata/annotations/note"), "yes");
	set(made, "/metadata/labels/other", "\"b\"");
	struct object *other = service_parse_defaults(
		STR("{\"type\":\"ClusterIP\",\"externalTrafficPolicy\":\"Local\","
		    "\"loadBalancerClass\":\"a.test/b\"}"), &err);
	f->world->options.service_defaults = &other->gateway_parameters.service;
	made = next(f, put_gateway(f, http, ",'addresses':[{'value':'192.0.2.1'}]"), made);
	assert_string_equal(text(made, "/spec/type"), "ClusterIP");
	static const char *const gone[] = { "/spec/externalTrafficPolicy", "/spec/loadBalancerClass",
					    "/spec/ipFamilies", "/spec/loadBalancerSourceRanges",
					    "/spec/allocateLoadBalancerNodePorts",
					    "/spec/loadBalancerIP", "/metadata/labels/team",
					    "/metadata/annotations" };
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_false(has(made, gone[i]));
	assert_string_equal(text(made, "/metadata/labels/other"), "b");
	assert_true(service_is_ours(made, f->settings.controller));
	json_object_put(made);
	object_free(defaults);
	object_free(other);
}

static void bad_defaults(void **state)
{
	static const char *const bad[] = { "", "x", "[]", "{\"type\":\"x\"}", "{\"typ\":1}" };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(service_parse_defaults(str_of(bad[i]), &err));
	assert_non_null(strstr(err.text, "spec.service.typ"));
}

static void owners(void **state)
{
	struct fixture *f = *state;
	const struct gateway_view *gateway = put_gateway(f, HTTP("a", "80"), "");
	struct json_object *made = next(f, gateway, NULL), *copy = NULL;
	set(made, "/metadata/ownerReferences",
	    "[{\"kind\":\"Other\",\"name\":\"x\",\"uid\":\"1\"}]");
	f->settings.owner = json_tokener_parse(
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"e\",\"uid\":\"2\"}");
	made = next(f, gateway, made);
	assert_int_equal(json_object_array_length(at(made, "/metadata/ownerReferences")), 2);
	assert_string_equal(text(made, "/metadata/ownerReferences/1/uid"), "2");
	json_object_deep_copy(made, &copy, NULL);
	made = next(f, gateway, made);
	assert_true(json_object_equal(made, copy));
	json_object_put(copy);
	set(f->settings.owner, "/uid", "\"3\"");
	made = next(f, gateway, made);
	assert_int_equal(json_object_array_length(at(made, "/metadata/ownerReferences")), 2);
	assert_string_equal(text(made, "/metadata/ownerReferences/1/uid"), "3");
	json_object_put(f->settings.owner);
	json_object_put(made);
}

/* No port is given twice, and when there is none left it says so. */
static void full(void **state)
{
	struct fixture *f = *state;
	const struct gateway_view *gateway = put_gateway(f, HTTP("a", "80") "," HTTP("b", "81"), "");
	struct error err;
	for (int port = 20000; port < 20098; port++)
		f->book->users[port] = 1;
	struct json_object *made = next(f, gateway, NULL);
	assert_int_equal(number(made, "/spec/ports/0/targetPort") +
				 number(made, "/spec/ports/1/targetPort"), 20098 + 20099);
	json_object_put(made);
	f->book->users[20099] = 1;
	assert_null(service_wanted(gateway, &f->settings, NULL, f->book, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.text, "--gateway-ports"));
	gateway = put_gateway(f, "{'name':'u','protocol':'UDP','port':53}", "");
	assert_null(service_wanted(gateway, &f->settings, NULL, f->book, &err));
	assert_int_equal(err.code, ERR_REFUSED);
}

/* Two Services have one port: whose Gateway binds it keeps it. */
static void shared(void **state)
{
	struct fixture *f = *state;
	const struct gateway_view *gateway = put_gateway(f, HTTP("a", "80"), "");
	struct json_object *made = next(f, gateway, NULL), *stored = NULL;
	int target = number(made, "/spec/ports/0/targetPort");
	f->book->users[target] = 1; /* another's */
	json_object_deep_copy(made, &stored, NULL);
	made = next(f, gateway, made);
	assert_int_not_equal(number(made, "/spec/ports/0/targetPort"), target);
	json_object_put(made);
	gateway->listeners[0].bind_port = (uint16_t)target;
	made = next(f, gateway, stored);
	assert_int_equal(number(made, "/spec/ports/0/targetPort"), target);
	json_object_put(made);
}

static void settings(void **state)
{
	static const char *const bad[] = { "", "a", "=b", "a=b,", "a=b,c", "a=b c", "a b=c" };
	static const char *const bad_ports[] = { "", "1", "0-1", "2-1", "1-65536", "a-b", "1-2-3" };
	struct service_settings parsed = { .selector_count = 0 };
	struct fixture *f = *state;
	struct error err;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* A comma at the end says nothing more. */
		bool want = strcmp(bad[i], "a=b,") == 0;
		assert_int_equal(service_parse_selector(str_of(bad[i]), f->arena, &parsed, &err),
				 want);
	}
	for (size_t i = 0; i < sizeof(bad_ports) / sizeof(bad_ports[0]); i++)
		assert_false(service_parse_ports(str_of(bad_ports[i]), &parsed, &err));
	assert_true(service_parse_ports(STR("1-65535"), &parsed, &err));
	assert_int_equal(parsed.max_port, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fresh, setup, teardown),
		cmocka_unit_test_setup_teardown(stable, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(parameters, setup, teardown),
		cmocka_unit_test(bad_defaults),
		cmocka_unit_test_setup_teardown(owners, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(shared, setup, teardown),
		cmocka_unit_test_setup_teardown(settings, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
