/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that have addresses of a pool. */
#include "resolve/pool.h"

#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define LISTENER "{'name':'http','protocol':'HTTP','port':80}"
#define IP(value) "{'type':'IPAddress','value':'" value "'}"
#define ANY "{'type':'IPAddress'}"

static struct address_pool pool;

/* Three addresses: 192.0.2.1 to .3. */
static int setup(void **state)
{
	struct error err;
	world_setup(state);
	struct world *world = *state;
	pool = (struct address_pool){ .count = 0 };
	assert_true(pool_add(&pool, STR("192.0.2.1-192.0.2.3"), &err));
	world->options.pool = &pool;
	return 0;
}

/* age: the lower, the older. asked: of spec.addresses; recorded: of status.addresses. */
static void put(struct world *world, const char *name, unsigned age, const char *asked,
		const char *recorded)
{
	struct sb text;
	sb_init(&text, 64 * 1024);
	sb_addf(&text, "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway','metadata':{"
		"'name':'%s','creationTimestamp':'2026-01-31T12:00:%02uZ'},'spec':{"
		"'gatewayClassName':'tidegate','listeners':[" LISTENER "],'addresses':[%s]},"
		"'status':{'addresses':[%s]}}", name, age, asked, recorded);
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

/* "192.0.2.1 192.0.2.2+": what it has; with "+" what is not recorded yet. */
static void assert_share(struct world *world, const char *name, const char *want)
{
	const struct gateway_view *view = gateway(world, name);
	struct sb text;
	sb_init(&text, 4096);
	assert_int_equal(view->address_count, view->share->count);
	for (size_t i = 0; i < view->share->count; i++) {
		assert_true(str_is(view->addresses[i].type, "IPAddress"));
		assert_true(str_eq(view->addresses[i].value, view->share->addresses[i]));
		sb_addf(&text, "%s" STR_FMT "%s", i ? " " : "", STR_ARG(view->share->addresses[i]),
			view->share->recorded[i] ? "" : "+");
	}
	assert_string_equal(text.len ? sb_str(&text).p : "", want);
	sb_fini(&text);
}

static void assert_programmed(struct world *world, const char *name, const char *reason)
{
	assert_condition(&gateway(world, name)->conditions, "Programmed",
			 strcmp(reason, "Programmed") == 0, reason);
}

/* What is bound: all of it on port 80. */
static void assert_bound(struct world *world, const char *name, const char *address)
{
	const struct gateway_view *view = gateway(world, name);
	assert_int_equal(view->frontend_count, address ? 1 : 0);
	if (!address)
		return;
	assert_int_equal(view->frontends[0].address_count, 1);
	assert_true(str_is(view->frontends[0].addresses[0], address));
	assert_int_equal(view->frontends[0].bind_port, 80);
	assert_true(view->frontends[0].transparent);
}

/* The leader chooses the lowest; nothing is bound before it is recorded. */
static void chosen(void **state)
{
	struct world *world = *state;
	put(world, "a", 2, "", "");
	put(world, "b", 1, "", "");
	world_resolve(world);
	assert_share(world, "b", "192.0.2.1+");
	assert_share(world, "a", "192.0.2.2+");
	assert_bound(world, "a", NULL);
	assert_programmed(world, "a", "AddressNotAssigned");
	assert_mentions(conditions_get(&gateway(world, "a")->conditions, "Programmed")->message,
			"192.0.2.2");
	assert_condition(&world_listener(world, "default", "a", 0)->conditions, "Programmed", false,
			 "Pending");
	assert_condition(&gateway(world, "a")->conditions, "Accepted", true, "Accepted");
	assert_int_equal(world->gateways->findings.count, 0);
	put(world, "a", 2, "", IP("192.0.2.2"));
	world_resolve(world);
	assert_bound(world, "a", "192.0.2.2");
	assert_bound(world, "b", NULL);
	assert_programmed(world, "a", "Programmed");
}

/* Two with one port are not in each other's way; what is recorded stays, whatever would be lower. */
static void kept(void **state)
{
	struct world *world = *state;
	put(world, "a", 1, "", IP("192.0.2.3"));
	put(world, "b", 2, "", IP("192.0.2.2"));
	put(world, "c", 3, "", "");
	world_resolve(world);
	assert_bound(world, "a", "192.0.2.3");
	assert_bound(world, "b", "192.0.2.2");
	assert_share(world, "c", "192.0.2.1+");
	assert_programmed(world, "a", "Programmed");
	assert_programmed(world, "b", "Programmed");
	assert_int_equal(world->gateways->findings.count, 0);
}

/* Recorded by somebody else, by a leader with another pool, or no address at all. */
static void not_of_the_pool(void **state)
{
	struct world *world = *state;
	put(world, "a", 1, "", IP("198.51.100.1"));
	put(world, "b", 2, "", "{'type':'Hostname','value':'192.0.2.2'}," IP("192.0.2.3"));
	put(world, "c", 3, "", "7,{'type':'IPAddress'},{'type':'IPAddress','value':8},{'value':'x'}");
	world_resolve(world);
	assert_share(world, "a", "192.0.2.1+");
	assert_bound(world, "a", NULL);
	assert_share(world, "b", "192.0.2.3");
	assert_share(world, "c", "192.0.2.2+");
}

/* By creationTimestamp, then by name. */
static void recorded_twice(void **state)
{
	struct world *world = *state;
	put(world, "c", 1, "", IP("192.0.2.1"));
	put(world, "a", 2, "", IP("192.0.2.1"));
	put(world, "b", 2, "", IP("192.0.2.2"));
	world_resolve(world);
	assert_bound(world, "c", "192.0.2.1");
	assert_share(world, "a", "192.0.2.3+");
	assert_bound(world, "a", NULL);
	assert_share(world, "b", "192.0.2.2");
	put(world, "b", 1, "", IP("192.0.2.1"));
	world_resolve(world);
	assert_bound(world, "b", "192.0.2.1");
	assert_bound(world, "c", NULL);
	assert_share(world, "c", "192.0.2.2+");
}

static void exhausted(void **state)
{
	struct world *world = *state;
	put(world, "a", 1, "", IP("192.0.2.1"));
	put(world, "b", 2, "", IP("192.0.2.2"));
	put(world, "c", 3, "", IP("192.0.2.3"));
	put(world, "d", 4, "", "");
	world_resolve(world);
	assert_share(world, "d", "");
	assert_bound(world, "d", NULL);
	assert_programmed(world, "d", "AddressNotAssigned");
	assert_condition(&gateway(world, "d")->conditions, "Accepted", true, "Accepted");
	assert_int_equal(world->gateways->findings.count, 1);
	assert_finding(&world->gateways->findings, "spec.addresses", "AddressNotAssigned");
	assert_int_equal(world->gateways->findings.items[0].severity, SEVERITY_ERROR);
	store_delete(world->store, KIND_GATEWAY, STR("default"), STR("b"));
	world_resolve(world);
	assert_share(world, "d", "192.0.2.2+");
	assert_int_equal(world->gateways->findings.count, 0);
}

static void asked_for(void **state)
{
	struct world *world = *state;
	put(world, "old", 1, "", IP("192.0.2.1"));
	put(world, "any", 2, "", "");
	put(world, "free", 3, IP("192.0.2.2"), "");
	put(world, "taken", 4, IP("192.0.2.1"), "");
	put(world, "outside", 5, IP("198.51.100.1"), IP("198.51.100.1"));
	world_resolve(world);
	/* Who asks for one gets it before those who take any. */
	assert_share(world, "free", "192.0.2.2+");
	assert_share(world, "any", "192.0.2.3+");
	assert_share(world, "taken", "");
	assert_programmed(world, "taken", "AddressNotUsable");
	assert_mentions(conditions_get(&gateway(world, "taken")->conditions, "Programmed")->message,
			"default/old");
	assert_share(world, "outside", "");
	assert_programmed(world, "outside", "AddressNotUsable");
	assert_condition(&gateway(world, "outside")->conditions, "Accepted", true, "Accepted");
	assert_finding(&world->gateways->findings, "spec.addresses[0]", "AddressNotUsable");
	assert_int_equal(world->gateways->findings.count, 2);
	/* It asks for another one than it has. */
	put(world, "old", 1, IP("192.0.2.3"), IP("192.0.2.1"));
	world_resolve(world);
	assert_share(world, "old", "192.0.2.3+");
	assert_bound(world, "old", NULL);
	assert_share(world, "taken", "192.0.2.1+");
	assert_programmed(world, "taken", "AddressNotAssigned");
}

static void several(void **state)
{
	struct world *world = *state;
	struct error err;
	assert_true(pool_add(&pool, STR("2001:db8::1-2001:db8::2"), &err));
	put(world, "a", 1, IP("2001:DB8::1") "," IP("192.0.2.9") "," ANY, IP("2001:db8::1"));
	world_resolve(world);
	/* What it has is served, but that is not what it asks for. */
	assert_share(world, "a", "2001:db8::1 192.0.2.1+");
	assert_bound(world, "a", "2001:db8::1");
	assert_programmed(world, "a", "AddressNotUsable");
	put(world, "a", 1, IP("2001:DB8::1") "," ANY, IP("192.0.2.1") "," IP("2001:db8::1"));
	world_resolve(world);
	assert_share(world, "a", "2001:db8::1 192.0.2.1");
	assert_int_equal(gateway(world, "a")->frontends[0].address_count, 2);
	assert_programmed(world, "a", "Programmed");
	/* One that is written in two ways is one. */
	put(world, "a", 1, IP("2001:DB8::1") "," IP("2001:db8::1"), "");
	world_resolve(world);
	assert_share(world, "a", "2001:db8::1+");
	assert_int_equal(world->gateways->findings.count, 0);
}

/* It keeps what it has, so that it is served there again, and gets nothing new. */
static void rejected(void **state)
{
	struct world *world = *state;
	put(world, "has", 1, "{'type':'test/fake','value':'x'}," ANY, IP("192.0.2.2"));
	put(world, "not", 2, "{'type':'test/fake','value':'x'}," ANY, "");
	put(world, "next", 3, "", "");
	world_resolve(world);
	assert_share(world, "has", "192.0.2.2");
	assert_bound(world, "has", NULL);
	assert_condition(&gateway(world, "has")->conditions, "Accepted", false,
			 "UnsupportedAddress");
	assert_programmed(world, "has", "Invalid");
	assert_share(world, "not", "");
	assert_share(world, "next", "192.0.2.1+");
}

/* Without a pool the record is nothing. */
static void no_pool(void **state)
{
	struct world *world = *state;
	world->options.pool = NULL;
	put(world, "a", 1, "", IP("192.0.2.1"));
	world_resolve(world);
	assert_null(gateway(world, "a")->share);
	assert_int_equal(gateway(world, "a")->address_count, 0);
	assert_true(str_is(gateway(world, "a")->frontends[0].addresses[0], "*"));
	assert_false(gateway(world, "a")->frontends[0].transparent);
	assert_programmed(world, "a", "Programmed");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chosen),	 TEST(kept),	  TEST(not_of_the_pool), TEST(recorded_twice),
		TEST(exhausted), TEST(asked_for), TEST(several),	 TEST(rejected),
		TEST(no_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
