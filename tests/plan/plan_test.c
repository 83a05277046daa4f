/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "apply.h"

static struct plan *parse(const char *text)
{
	struct error err;
	struct plan *plan = plan_parse(str_of(text), &err);
	if (!plan)
		fail_msg("%s", err.text);
	return plan;
}

static void tables_and_keys(void **state)
{
	(void)state;
	struct plan *plan = parse("backend\ta.b.80\th1\nbackend\ta.c.80\th2c\nroute\tf h/\ta.b.80 r\n");
	size_t count;
	const struct plan_entry *first = plan_table(plan, PLAN_BACKEND, &count);
	assert_int_equal(count, 2);
	assert_true(str_is(first[1].value, "h2c"));
	plan_table(plan, PLAN_WILDCARD, &count);
	assert_int_equal(count, 0);
	assert_true(str_is(plan_find(plan, PLAN_ROUTE, STR("f h/"))->value, "a.b.80 r"));
	assert_null(plan_find(plan, PLAN_ROUTE, STR("f h")));
	assert_null(plan_find(plan, PLAN_SERVER, STR("a.b.80")));
	plan_free(plan);
	plan_free(NULL);
}

static void bad_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "backend\ta\th1", "line 1: the last line has no end" },
		{ "backend\ta\n", "line 1: expected table, TAB, key, TAB, value" },
		{ "\n", "line 1: expected table, TAB, key, TAB, value" },
		{ "backed\ta\th1\n", "line 1: unknown table 'backed'" },
		{ "backend\t\th1\n", "line 1: empty key" },
		{ "backend\ta\th1\tx\n", "line 1: TAB, CR or NUL in a key or value" },
		{ "backend\ta\th1\r\n", "line 1: TAB, CR or NUL in a key or value" },
		{ "backend\tb\th1\nbackend\ta\th1\n",
		  "line 2: not sorted by table and key, or a key twice" },
		{ "backend\ta\th1\nbackend\ta\th2\n",
		  "line 2: not sorted by table and key, or a key twice" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err;
		assert_null(plan_parse(str_of(cases[i].text), &err));
		assert_int_equal(err.code, ERR_SYNTAX);
		assert_string_equal(err.text, cases[i].message);
	}
	struct error err;
	assert_null(plan_parse(STR("backend\ta\0b\th1\n"), &err));
	plan_free(parse("")); /* an empty plan is a plan */
}

static void apply_order(void **state)
{
	(void)state;
	struct plan *from = parse("frontend\tf\thttp *:80\n"
				  "backend\told\th1\n"
				  "server\told/s\t10.0.0.1:80 1\n"
				  "split\t%old/\told\n"
				  "rule\t@n/r/0\t%old/2/10\n"
				  "rule\t@n/r/1\told\n"
				  "route\tf h/\t@n/r/0\n"
				  "route\tf h/gone/\t@n/r/1\n"
				  "route\tf h/gone/too/\t@n/r/1\n"
				  "wildcard\tf old\t*.old\n");
	struct plan *to = parse("frontend\tf\thttp *:81\n"
				"backend\tnew\th1\n"
				"server\tnew/s\t10.0.0.2:80 1\n"
				"list\t?new\t=> new r\n"
				"rule\t@n/r/0\tnew\n"
				"rule\t@n/r/0/1\tnew\n"
				"route\tf h/\t?new\n"
				"route\tf h/longer/\tnew r\n"
				"wildcard\tf new\t*.new\n");
	static const char *const order[] = {
		"set frontend f",      "add backend new",   "add server new/s",
		"add list ?new",       "add rule @n/r/0/1", "set rule @n/r/0",
		"add route f h/longer/", "set route f h/",  "add wildcard f new",
		"del wildcard f old",  "del route f h/gone/", "del route f h/gone/too/",
		"del rule @n/r/1",     "del split %old/",   "del server old/s",
		"del backend old",
	};
	static const char *const ops[] = { "add", "set", "del" };
	struct changes *changes = plan_diff(from, to);
	assert_int_equal(changes->count, sizeof(order) / sizeof(*order));
	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->items[i];
		char text[256];
		snprintf(text, sizeof(text), "%s %s " STR_FMT, ops[change->op],
			 plan_table_names[change->table], STR_ARG(change->key));
		assert_string_equal(text, order[i]);
	}
	assert_int_equal(change_phase(&changes->items[0]), 0);
	assert_int_equal(change_phase(&changes->items[changes->count - 1]), 5);
	struct plan *applied = plan_apply(from, changes);
	struct changes *none = plan_diff(applied, to);
	assert_int_equal(none->count, 0);
	changes_free(none);
	changes_free(changes);
	changes_free(NULL);
	plan_free(applied);
	plan_free(from);
	plan_free(to);
}

static void schema(void **state)
{
	(void)state;
	for (int t = 0; t < PLAN_TABLE_COUNT; t++) {
		struct change change = { .table = (enum plan_table)t };
		assert_int_equal(change_phase(&change) == 0, t <= PLAN_LISTENER);
		assert_non_null(plan_table_names[t]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_and_keys),
		cmocka_unit_test(bad_text),
		cmocka_unit_test(apply_order),
		cmocka_unit_test(schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
