/* SPDX-License-Identifier: Apache-2.0 */
#include "model/finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void kinds_by_group(void **state)
{
	(void)state;
	for (int i = KIND_NONE + 1; i < KIND_COUNT; i++) {
		assert_int_equal(kind_find(str_of(kind_table[i].group), str_of(kind_table[i].name)), i);
		assert_non_null(kind_table[i].versions[0]);
	}
	assert_int_equal(kind_find(STR("apps"), STR("Service")), KIND_NONE);
	assert_int_equal(kind_find(STR(""), STR("service")), KIND_NONE);
	assert_int_equal(kind_find(STR(""), STR("")), KIND_NONE);
	assert_string_equal(kind_table[KIND_HTTPROUTE].versions[1], "v1beta1");
	assert_false(kind_table[KIND_GATEWAYCLASS].namespaced);
	assert_false(kind_table[KIND_NAMESPACE].namespaced);
}

static void age_then_full_name(void **state)
{
	(void)state;
	struct meta old = { .ns = STR("z"), .name = STR("z"), .created_s = 1 };
	struct meta young = { .ns = STR("a"), .name = STR("a"), .created_s = 2 };
	struct meta same = { .ns = STR("a"), .name = STR("b"), .created_s = 2 };
	struct meta dash = { .ns = STR("a-b"), .name = STR("a"), .created_s = 2 };
	struct meta longer = { .ns = STR("a"), .name = STR("aa"), .created_s = 2 };
	assert_true(meta_cmp_age(&old, &young) < 0);
	assert_true(meta_cmp_age(&young, &same) < 0);
	assert_true(meta_cmp_age(&young, &longer) < 0);
	assert_true(meta_cmp_age(&dash, &young) < 0); /* '-' sorts before '/' */
	assert_true(meta_cmp_age(&young, &dash) > 0);
	assert_int_equal(meta_cmp_age(&same, &same), 0);
}

static void selectors(void **state)
{
	(void)state;
	struct pair labels[] = { { STR("env"), STR("prod") }, { STR("team"), STR("a") } };
	struct meta meta = { .labels = labels, .label_count = 2 };
	struct str values[] = { STR("prod"), STR("test") };
	struct selector_expr expr = { .key = STR("env"), .values = values, .value_count = 2 };
	struct selector selector = { .exprs = &expr, .expr_count = 1 };
	static const struct {
		const char *key;
		int op;
		bool matches;
	} rows[] = {
		{ "env", SELECT_IN, true },      { "env", SELECT_NOT_IN, false },
		{ "env", SELECT_EXISTS, true },  { "env", SELECT_NOT_EXISTS, false },
		{ "team", SELECT_IN, false },    { "team", SELECT_NOT_IN, true },
		{ "none", SELECT_IN, false },    { "none", SELECT_NOT_IN, true },
		{ "none", SELECT_EXISTS, false }, { "none", SELECT_NOT_EXISTS, true },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expr.key = str_of(rows[i].key);
		expr.op = rows[i].op;
		assert_int_equal(selector_matches(&selector, &meta), rows[i].matches);
	}
	struct selector empty = { 0 };
	assert_true(selector_matches(&empty, &meta));
	struct selector both = { .match_labels = labels, .match_label_count = 2 };
	assert_true(selector_matches(&both, &meta));
	meta.label_count = 1;
	assert_false(selector_matches(&both, &meta));
}

static void keys(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	assert_true(str_is(object_key(arena, STR("a"), STR("b")), "a/b"));
	assert_true(str_is(object_key(arena, STR_NONE, STR("b")), "b"));
	arena_free(arena);
	object_free(NULL);
}

static void findings_are_copied_and_ordered(void **state)
{
	(void)state;
	struct arena *arena = arena_new(), *other = arena_new();
	struct findings findings, copies;
	char name[] = "one";
	struct meta meta = { .ns = STR("ns"), .name = { name, 3 }, .origin = STR("f.yaml:1") };
	findings_init(&findings, arena);
	for (int i = 0; i < 20; i++)
		findings_add(&findings, i % 2 ? SEVERITY_WARNING : SEVERITY_ERROR, KIND_SERVICE, &meta,
			     "spec", "Reason", "number %02d", 19 - i);
	findings_add(&findings, SEVERITY_INFO, KIND_NONE, NULL, NULL, "Reason", "of a file");
	name[0] = 'x';
	assert_int_equal(findings.count, 21);
	assert_int_equal(findings.error_count, 10);
	assert_true(str_is(findings.items[0].name, "one"));
	assert_true(str_is(findings.items[0].origin, "f.yaml:1"));
	findings_init(&copies, other);
	findings_append(&copies, &findings);
	findings_append(&copies, NULL);
	arena_free(arena);
	assert_int_equal(copies.error_count, 10);
	qsort(copies.items, copies.count, sizeof(*copies.items), finding_cmp);
	assert_true(str_is(copies.items[0].text, "of a file"));
	assert_true(str_is(copies.items[1].text, "number 00"));
	assert_true(str_is(copies.items[20].text, "number 19"));
	assert_string_equal(severity_name(SEVERITY_WARNING), "warning");
	arena_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_by_group),
		cmocka_unit_test(age_then_full_name),
		cmocka_unit_test(selectors),
		cmocka_unit_test(keys),
		cmocka_unit_test(findings_are_copied_and_ordered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
