/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sb.h"
#include "tests/ctl/json.h"

static void add_pod(struct sb *sb, const char *ns, const char *release, const char *name, bool ready,
		    const char *phase)
{
	sb_addf(sb, "%s{'metadata': {'namespace': '%s', 'name': '%s', 'labels':"
		    " {'app.kubernetes.io/instance': '%s'}}, 'spec': {'nodeName': 'node-%s'},"
		    " 'status': {'phase': '%s', 'conditions': [{'type': 'Initialized', 'status': "
		    "'True'}, {'type': 'Ready', 'status': '%s'}]}}",
		sb->len ? ", " : "{'items': [", ns, name, release, name, phase,
		ready ? "True" : "False");
}

static void read(struct sb *sb, const char *leases, struct arena *arena, struct pods *ret)
{
	sb_adds(sb, "]}");
	struct json_object *list = json_of(sb_str(sb).p);
	struct json_object *json = leases ? json_of(leases) : NULL;
	assert_non_null(list);
	pods_read(list, json, arena, ret);
	json_object_put(list);
	json_object_put(json);
	sb_fini(sb);
}

static void expect_order(const char *leases, const char *want)
{
	struct arena *arena = arena_new();
	struct pods pods;
	struct sb sb, order;
	sb_init(&sb, 65536);
	sb_init(&order, 65536);
	add_pod(&sb, "gates", "edge", "edge-3", true, "Running");
	add_pod(&sb, "gates", "edge", "edge-0", true, "Succeeded");
	add_pod(&sb, "gates", "edge", "edge-1", false, "Running");
	add_pod(&sb, "gates", "edge", "edge-2", true, "Running");
	read(&sb, leases, arena, &pods);
	for (size_t i = 0; i < pods.count; i++)
		sb_addf(&order, "%s" STR_FMT, i ? " " : "", STR_ARG(pods.items[i].name));
	assert_string_equal(sb_str(&order).p, want);
	sb_fini(&order);
	arena_free(arena);
}

static void test_order(void **state)
{
	(void)state;
	expect_order(NULL, "edge-2 edge-3 edge-1");
	expect_order("{'items': [{'metadata': {'namespace': 'gates'}, 'spec': {'holderIdentity': "
		     "'edge-3_0a1b2c3d'}}]}", "edge-3 edge-2 edge-1");
	/* In the network of the node the host is called as the node is. */
	expect_order("{'items': [{'metadata': {'namespace': 'gates'}, 'spec': {'holderIdentity': "
		     "'node-edge-1_0a1b2c3d'}}]}", "edge-1 edge-2 edge-3");
	/* Somebody else's Leases. */
	expect_order("{'items': [{'metadata': {'namespace': 'other'}, 'spec': {'holderIdentity': "
		     "'edge-3_0a1b2c3d'}}, {'metadata': {'namespace': 'gates'}, 'spec': "
		     "{'holderIdentity': 'edge-3'}}, {'metadata': {'namespace': 'gates'}, 'spec': {}}"
		     "]}", "edge-2 edge-3 edge-1");
}

static void test_choice(void **state)
{
	struct arena *arena = arena_new();
	struct pods pods;
	struct error err;
	struct sb sb;
	size_t index;
	(void)state;
	sb_init(&sb, 65536);
	add_pod(&sb, "gates", "inner", "inner-1", true, "Running");
	add_pod(&sb, "gates", "edge", "edge-2", true, "Running");
	add_pod(&sb, "gates", "edge", "edge-1", true, "Running");
	add_pod(&sb, "other", "edge", "edge-9", true, "Running");
	read(&sb, NULL, arena, &pods);
	assert_int_equal(pods.release_count, 3);
	assert_false(pods_choose(&pods, NULL, &index, &err));
	assert_non_null(strstr(err.text, "3 Tidegates: gates/edge, gates/inner, other/edge. "));
	assert_true(pods_choose(&pods, "inner-1", &index, &err));
	assert_true(str_is(pods.items[index].name, "inner-1"));
	assert_false(pods_choose(&pods, "nobody", &index, &err));
	assert_non_null(strstr(err.text, "nobody; there are gates/edge-1, gates/edge-2, "));
	pods.count = 2;
	pods.release_count = 1;
	assert_true(pods_choose(&pods, NULL, &index, &err));
	assert_int_equal(index, 0);
	pods.count = 0;
	assert_false(pods_choose(&pods, NULL, &index, &err));
	assert_string_equal(err.text, "no pod of Tidegate runs");
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_choice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
