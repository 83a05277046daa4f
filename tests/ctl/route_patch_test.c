/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/route_patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/decode.h"
#include "tests/ctl/json.h"

static const char shop[] =
	"{'apiVersion': 'gateway.networking.k8s.io/v1', 'kind': 'HTTPRoute',"
	" 'metadata': {'name': 'shop', 'namespace': 'web'},"
	" 'spec': {'parentRefs': [{'name': 'gw'}], 'rules': ["
	"  {'backendRefs': [{'name': 'stable', 'port': 80, 'weight': 1}]},"
	"  {'name': 'all', 'matches': [{'path': {'value': '/all'}}], 'backendRefs': ["
	"   {'name': 'stable', 'port': 80, 'weight': 90}, {'name': 'canary', 'port': 81}]}]}}";

struct world {
	struct arena *arena;
	struct json_object *json;
	struct object *route;
	struct weights weights;
};

static void make(struct world *world, const char *rule, const char *const *words, size_t count)
{
	struct findings findings;
	struct decode_output output;
	struct error err;
	*world = (struct world){ .arena = arena_new(), .json = json_of(shop),
				 .weights.rule = str_of(rule) };
	findings_init(&findings, world->arena);
	assert_int_equal(decode_object(world->json, STR_NONE, &output, &findings), DECODE_OK);
	world->route = output.object;
	for (size_t i = 0; i < count; i++)
		assert_true(weights_add(&world->weights, str_of(words[i]), &err));
}

static void drop(struct world *world)
{
	object_free(world->route);
	json_object_put(world->json);
	arena_free(world->arena);
}

static void expect_patch(const char *rule, const char *const *words, size_t count, const char *want)
{
	struct world world;
	struct error err;
	make(&world, rule, words, count);
	assert_true(weights_check(&world.weights, world.route, &err));
	struct json_object *patch = route_patch(&world.weights, world.route, world.json);
	struct json_object *wanted = json_of(want);
	assert_string_equal(json_object_to_json_string(patch), json_object_to_json_string(wanted));
	json_object_put(wanted);
	json_object_put(patch);
	drop(&world);
}

static void test_one_rule(void **state)
{
	const char *const words[] = { "stable=50", "canary=50" };
	(void)state;
	/* The name of the rule is tested as well: "all" may be another one by now. */
	expect_patch("all", words, 2,
		     "[{'op': 'test', 'path': '/spec/rules/1/name', 'value': 'all'},"
		     "{'op': 'test', 'path': '/spec/rules/1/backendRefs/0',"
		     " 'value': {'name': 'stable', 'port': 80, 'weight': 90}},"
		     "{'op': 'add', 'path': '/spec/rules/1/backendRefs/0/weight', 'value': 50},"
		     "{'op': 'test', 'path': '/spec/rules/1/backendRefs/1',"
		     " 'value': {'name': 'canary', 'port': 81}},"
		     "{'op': 'add', 'path': '/spec/rules/1/backendRefs/1/weight', 'value': 50}]");
}

static void test_every_rule(void **state)
{
	const char *const words[] = { "web/stable:80=7" };
	(void)state;
	expect_patch("", words, 1,
		     "[{'op': 'test', 'path': '/spec/rules/0/backendRefs/0',"
		     " 'value': {'name': 'stable', 'port': 80, 'weight': 1}},"
		     "{'op': 'add', 'path': '/spec/rules/0/backendRefs/0/weight', 'value': 7},"
		     "{'op': 'test', 'path': '/spec/rules/1/name', 'value': 'all'},"
		     "{'op': 'test', 'path': '/spec/rules/1/backendRefs/0',"
		     " 'value': {'name': 'stable', 'port': 80, 'weight': 90}},"
		     "{'op': 'add', 'path': '/spec/rules/1/backendRefs/0/weight', 'value': 7}]");
}

/* The default counts as a weight, and the last word of one name does. */
static void test_nothing_to_do(void **state)
{
	const char *const words[] = { "canary=5", "canary=1", "stable=90" };
	(void)state;
	expect_patch("1", words, 3, "[]");
	expect_patch("1", NULL, 0, "[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_rule),
		cmocka_unit_test(test_every_rule),
		cmocka_unit_test(test_nothing_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
