/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct backend_view *resolve(struct world *world, enum kind kind, const char *name,
				    uint16_t port)
{
	const struct backend_id id = { kind, STR("default"), str_of(name), port, false };
	return backend_resolve(world->store, &id, NULL, NULL);
}

static void put_slice(struct world *world, const char *name, const char *type,
		      const char *endpoints, const char *port)
{
	char text[2048];
	snprintf(text, sizeof(text),
		 "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{"
		 "'name':'%s','labels':{'kubernetes.io/service-name':'web'}},'addressType':'%s',"
		 "'endpoints':[%s],'ports':[{'name':'other','port':1},{'name':'web','port':%s}]}",
		 name, type, endpoints, port);
	world_put(world, text);
}

#define POD(address, name) \
	"{'addresses':['" address "'],'targetRef':{'kind':'Pod','name':'" name "'}}"
#define BARE(address, more) "{'addresses':['" address "']" more "}"

static void assert_server(const struct backend_view *view, size_t index, const char *name,
			  const char *address, uint16_t port, uint32_t weight)
{
	assert_true(index < view->server_count);
	const struct server_view *server = &view->servers[index];
	assert_string_equal(server->name.p, name);
	assert_string_equal(server->address.p, address);
	assert_int_equal(server->port, port);
	assert_int_equal(server->weight, weight);
}

static void service_endpoints(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", false);
	put_slice(world, "s2", "IPv4",
		  POD("10.0.0.3", "web-c") "," POD("10.0.0.1", "web-a") ","
		  BARE("10.0.0.9", ",'conditions':{'ready':false}") ","
		  BARE("10.0.0.8", ",'conditions':{'ready':false,'serving':true,"
				   "'terminating':true}") ","
		  BARE("10.0.0.7", ""), "8080");
	put_slice(world, "s1", "IPv4", POD("10.0.0.1", "web-a") "," POD("10.0.0.2", "web-b"), "8081");
	put_slice(world, "s3", "IPv4", POD("10.0.0.3", "web-c"), "8080");
	struct backend_view *view = resolve(world, KIND_SERVICE, "web", 80);
	assert_non_null(view);
	assert_string_equal(view->name.p, "default.web.80");
	assert_false(view->h2c);
	assert_int_equal(view->server_count, 5);
	assert_server(view, 0, "10.0.0.1-8081", "10.0.0.1", 8081, 1); /* same pod, other port */
	assert_server(view, 1, "10.0.0.7-8080", "10.0.0.7", 8080, 1);
	assert_server(view, 2, "web-a", "10.0.0.1", 8080, 1);
	assert_server(view, 3, "web-b", "10.0.0.2", 8081, 1);
	assert_server(view, 4, "web-c", "10.0.0.3", 8080, 1);
	backend_view_free(view);
}

/* One server per pod, by IPv4; endpoints that are no pods are what their addresses are. */
static void dual_stack(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", false);
	put_slice(world, "v6", "IPv6",
		  POD("2001:db8::1", "web-a") "," POD("2001:db8::2", "web-b") ","
		  BARE("2001:db8::3", ""), "8080");
	put_slice(world, "v4", "IPv4", POD("10.0.0.1", "web-a"), "8080");
	struct backend_view *view = resolve(world, KIND_SERVICE, "web", 80);
	assert_int_equal(view->server_count, 3);
	assert_server(view, 0, "2001:db8::3-8080", "2001:db8::3", 8080, 1);
	assert_server(view, 1, "web-a", "10.0.0.1", 8080, 1);
	assert_server(view, 2, "web-b", "2001:db8::2", 8080, 1);
	backend_view_free(view);
}

static void names_are_unique(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", false);
	put_slice(world, "s", "IPv4",
		  POD("10.0.0.1", "same") "," POD("10.0.0.2", "same") "," BARE("10.0.0.3", "") ","
		  POD("10.0.0.4", "10.0.0.3-8080"), "8080");
	struct backend_view *view = resolve(world, KIND_SERVICE, "web", 80);
	assert_int_equal(view->server_count, 4);
	for (size_t i = 1; i < view->server_count; i++)
		assert_true(str_cmp(view->servers[i - 1].name, view->servers[i].name) < 0);
	assert_server(view, 0, "10.0.0.2-8080", "10.0.0.2", 8080, 1);
	assert_server(view, 3, "same", "10.0.0.1", 8080, 1);
	backend_view_free(view);
}

static void service_protocol(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", ",'appProtocol':'kubernetes.io/h2c'", false);
	struct backend_view *view = resolve(world, KIND_SERVICE, "web", 80);
	assert_true(view->h2c);
	assert_int_equal(view->server_count, 0);
	backend_view_free(view);
}

static void not_there(void **state)
{
	struct world *world = *state;
	world_service(world, "default", "web", "", true);
	assert_null(resolve(world, KIND_SERVICE, "missing", 80));
	assert_null(resolve(world, KIND_SERVICE, "web", 81));
	assert_null(resolve(world, KIND_BACKEND, "web", 80));
}

/* ---- Backends ---- */

static void put_backend(struct world *world, const char *addresses)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "{'apiVersion':'tidegate.io/v1alpha1','kind':'Backend','metadata':{'name':'host'},"
		 "'spec':{'addresses':[%s]}}", addresses);
	world_put(world, text);
}

static const struct backend_id any_port = { KIND_BACKEND, STR_INIT("default"), STR_INIT("host"), 0,
					false };

static bool lookup_two(void *user, struct str host, struct name_addresses *ret_addresses)
{
	static const struct str addresses[] = { STR_INIT("10.2.0.1"), STR_INIT("10.2.0.2") };
	(*(int *)user)++;
	if (!str_is(host, "known.example.com"))
		return false;
	*ret_addresses = (struct name_addresses){ addresses, 2 };
	return true;
}

static void backend_addresses(void **state)
{
	struct world *world = *state;
	put_backend(world, "{'host':'10.1.0.2','port':9000},{'host':'10.1.0.1','port':9000,"
			   "'weight':0},{'host':'10.1.0.3','port':9001,'weight':7}");
	struct backend_view *view = resolve(world, KIND_BACKEND, "host", 0);
	assert_string_equal(view->name.p, "default:host.0");
	assert_int_equal(view->server_count, 3);
	assert_server(view, 0, "10.1.0.1-9000", "10.1.0.1", 9000, 0);
	assert_server(view, 1, "10.1.0.2-9000", "10.1.0.2", 9000, 100);
	assert_server(view, 2, "10.1.0.3-9001", "10.1.0.3", 9001, 7);
	backend_view_free(view);
	view = resolve(world, KIND_BACKEND, "host", 9001);
	assert_int_equal(view->server_count, 1);
	backend_view_free(view);
	assert_null(resolve(world, KIND_BACKEND, "host", 9002));
}

static void backend_dns_names(void **state)
{
	struct world *world = *state;
	int asked = 0;
	put_backend(world, "{'host':'known.example.com','port':80,'weight':1},"
			   "{'host':'10.1.0.1','port':80,'weight':1},"
			   "{'host':'unknown.example.com','port':80}");
	struct backend_view *view = backend_resolve(world->store, &any_port, lookup_two, &asked);
	assert_int_equal(asked, 2);
	assert_int_equal(view->server_count, 3);
	/* The two addresses of a name share its weight. */
	assert_server(view, 0, "10.1.0.1-80", "10.1.0.1", 80, 256);
	assert_server(view, 1, "10.2.0.1-80", "10.2.0.1", 80, 128);
	assert_server(view, 2, "10.2.0.2-80", "10.2.0.2", 80, 128);
	assert_finding(&view->findings, "spec.addresses[2]", "NameNotResolved");
	backend_view_free(view);
	view = resolve(world, KIND_BACKEND, "host", 0);
	assert_int_equal(view->server_count, 1);
	backend_view_free(view);
}

static void duplicate_addresses(void **state)
{
	struct world *world = *state;
	int asked = 0;
	put_backend(world, "{'host':'known.example.com','port':80,'weight':256},"
			   "{'host':'10.2.0.1','port':80,'weight':256},"
			   "{'host':'10.1.0.1','port':80,'weight':1}");
	struct backend_view *view = backend_resolve(world->store, &any_port, lookup_two, &asked);
	assert_int_equal(view->server_count, 3);
	assert_server(view, 0, "10.1.0.1-80", "10.1.0.1", 80, 1); /* never rounded to 0 */
	assert_server(view, 1, "10.2.0.1-80", "10.2.0.1", 80, 256);
	assert_server(view, 2, "10.2.0.2-80", "10.2.0.2", 80, 85);
	backend_view_free(view);
}

static void names(void **state)
{
	static const char *const bad[] = { "", ".", "a", "a.b", "a..80", "a:.80", ".b.80",
					   "a.b.x", "a.b.65536", "a.b.", "a.b.-grpc", "a.b.1-h2c" };
	struct world *world = *state;
	struct arena *arena = arena_new();
	static const struct {
		struct backend_id id;
		const char *name;
	} good[] = {
		{ { KIND_SERVICE, STR_INIT("default"), STR_INIT("web"), 8080, false },
		  "default.web.8080" },
		{ { KIND_SERVICE, STR_INIT("default"), STR_INIT("web"), 8080, true },
		  "default.web.8080-grpc" },
		{ { KIND_BACKEND, STR_INIT("default"), STR_INIT("a.b"), 0, false },
		  "default:a.b.0" },
		{ { KIND_BACKEND, STR_INIT("default"), STR_INIT("a.1-grpc"), 0, true },
		  "default:a.1-grpc.0-grpc" },
	};
	struct backend_id id;
	(void)world;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct str text = backend_name(arena, &good[i].id);
		assert_string_equal(text.p, good[i].name);
		assert_true(backend_name_parse(text, &id));
		assert_true(id.kind == good[i].id.kind && str_eq(id.ns, good[i].id.ns) &&
			    str_eq(id.name, good[i].id.name) && id.port == good[i].id.port &&
			    id.grpc == good[i].id.grpc);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (backend_name_parse(str_of(bad[i]), &id))
			fail_msg("'%s' is no backend", bad[i]);
	}
	arena_free(arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(service_endpoints),
		TEST(dual_stack),
		TEST(names_are_unique),
		TEST(service_protocol),
		TEST(not_there),
		TEST(backend_addresses),
		TEST(backend_dns_names),
		TEST(duplicate_addresses),
		TEST(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
