/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Rule 0 has "stable", the rule "all" has it and "canary", and "far" of another namespace. */
static struct backend_ref first[] = {
	{ .ns = STR_INIT("web"), .name = STR_INIT("stable"), .has_port = true, .port = 80,
	  .weight = 1 },
};
static struct backend_ref second[] = {
	{ .ns = STR_INIT("web"), .name = STR_INIT("stable"), .has_port = true, .port = 80,
	  .weight = 90 },
	{ .ns = STR_INIT("web"), .name = STR_INIT("canary"), .has_port = true, .port = 81,
	  .weight = 1 },
	{ .ns = STR_INIT("other"), .name = STR_INIT("far"), .weight = 0 },
};
static struct rule rules[] = {
	{ .refs = first, .ref_count = 1 },
	{ .name = STR_INIT("all"), .refs = second, .ref_count = 3 },
};
static const struct object route = {
	.kind = KIND_HTTPROUTE,
	.meta = { .ns = STR_INIT("web"), .name = STR_INIT("shop") },
	.route = { .rules = rules, .rule_count = 2 },
};

static void ask(struct weights *weights, const char *rule, const char *words)
{
	struct error err;
	struct str rest = str_of(words);
	*weights = (struct weights){ .rule = str_of(rule) };
	while (rest.n > 0)
		assert_true(weights_add(weights, str_cut(&rest, ' '), &err));
}

static void routes_by_kind_and_name(void **state)
{
	(void)state;
	static const struct {
		const char *text, *ns, *name, *rule;
		enum kind kind;
	} good[] = {
		{ "a", "d", "a", "", KIND_NONE },
		{ "n/a:0", "n", "a", "0", KIND_NONE },
		{ "grpcroute/n/a", "n", "a", "", KIND_GRPCROUTE },
		{ "HTTPRoute/n/a:one", "n", "a", "one", KIND_HTTPROUTE },
		{ "a:b/c", "d", "a", "b/c", KIND_NONE },
	};
	static const char *const bad[] = { "", "/", "/a", "a/", "n//a", "Gateway/n/a", "x/n/a/b",
					   "grpcroute/n/", "grpcroute//a", ":0" };
	struct route_name named;
	struct error err;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(weights_name_route(str_of(good[i].text), STR("d"), &named, &err));
		assert_true(named.kind == good[i].kind && str_is(named.ns, good[i].ns) &&
			    str_is(named.name, good[i].name) && str_is(named.rule, good[i].rule));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (weights_name_route(str_of(bad[i]), STR("d"), &named, &err))
			fail_msg("'%s' is no route", bad[i]);
	}
}

static void rules_by_number_and_name(void **state)
{
	(void)state;
	static const struct {
		const char *selector;
		bool named[2];
	} rows[] = {
		{ "", { true, true } },     { "0", { true, false } },  { "1", { false, true } },
		{ "all", { false, true } }, { "al", { false, false } }, { "2", { false, false } },
		{ "-1", { false, false } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t r = 0; r < 2; r++)
			assert_int_equal(weight_names_rule(str_of(rows[i].selector), &rules[r], r),
					 rows[i].named[r]);
	}
}

static void refs_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *selector;
		bool named[3];
	} rows[] = {
		{ "stable", { true, false, false } },
		{ "canary", { false, true, false } },
		{ "far", { false, false, true } },
		{ "web/stable", { true, false, false } },
		{ "other/stable", { false, false, false } },
		{ "other/far", { false, false, true } },
		{ "stable:80", { true, false, false } },
		{ "stable:81", { false, false, false } },
		{ "web/canary:81", { false, true, false } },
		{ "far:80", { false, false, false } }, /* it has no port */
		{ "stable:", { false, false, false } },
		{ "stable:x", { false, false, false } },
		{ "", { false, false, false } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t r = 0; r < 3; r++)
			assert_int_equal(weight_names_ref(str_of(rows[i].selector), &second[r]),
					 rows[i].named[r]);
	}
}

static void weights_asked_for(void **state)
{
	(void)state;
	static const struct {
		const char *rule, *words;
		uint32_t weights[4]; /* of all backendRefs */
	} rows[] = {
		{ "", "", { 1, 90, 1, 0 } },
		{ "", "stable=7", { 7, 7, 1, 0 } },
		{ "0", "stable=7", { 7, 90, 1, 0 } },
		{ "all", "stable=0 canary=1000000 far=3", { 1, 0, 1000000, 3 } },
		{ "1", "web/stable:80=5 far=2", { 1, 5, 1, 2 } },
		{ "", "canary=5 canary=6", { 1, 90, 6, 0 } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weights weights;
		struct error err;
		ask(&weights, rows[i].rule, rows[i].words);
		assert_true(weights_check(&weights, &route, &err));
		assert_int_equal(weights_of(&weights, &route, 0, 0), rows[i].weights[0]);
		for (size_t r = 0; r < 3; r++)
			assert_int_equal(weights_of(&weights, &route, 1, r),
					 rows[i].weights[1 + r]);
	}
}

static void what_names_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *rule, *words, *text;
	} rows[] = {
		{ "", "stable=1 nobody=1",
		  "HTTPRoute web/shop has no backendRef \"nobody\": it has stable, stable, canary, "
		  "far" },
		{ "0", "canary=1",
		  "rule 0 of HTTPRoute web/shop has no backendRef \"canary\": it has stable" },
		{ "", "stable:81=1",
		  "HTTPRoute web/shop has no backendRef \"stable:81\": it has stable, stable, "
		  "canary, far" },
		{ "2", "stable=1",
		  "HTTPRoute web/shop has no rule \"2\": it has 2, counted from 0, or called by "
		  "their names" },
		{ "none", "",
		  "HTTPRoute web/shop has no rule \"none\": it has 2, counted from 0, or called by "
		  "their names" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weights weights;
		struct error err;
		ask(&weights, rows[i].rule, rows[i].words);
		assert_false(weights_check(&weights, &route, &err));
		assert_string_equal(err.text, rows[i].text);
		assert_int_equal(err.code, ERR_NOTFOUND);
	}
}

static void broken_words(void **state)
{
	(void)state;
	static const char *const rows[] = { "", "stable", "=1", "stable=", "stable=x",
					    "stable=1000001", "stable=-1" };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weights weights = { .count = 0 };
		struct error err;
		assert_false(weights_add(&weights, str_of(rows[i]), &err));
		assert_int_equal(err.code, ERR_SYNTAX);
		assert_non_null(strstr(err.text, "NAME=WEIGHT"));
		assert_non_null(strstr(err.text, rows[i]));
		assert_int_equal(weights.count, 0);
	}
}

static void too_many_words(void **state)
{
	(void)state;
	struct weights weights = { .count = 0 };
	struct error err;
	for (size_t i = 0; i < MAX_WEIGHT_WORDS; i++)
		assert_true(weights_add(&weights, STR("stable=1"), &err));
	assert_false(weights_add(&weights, STR("stable=1"), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_by_kind_and_name),
		cmocka_unit_test(rules_by_number_and_name),
		cmocka_unit_test(refs_by_name),
		cmocka_unit_test(weights_asked_for),
		cmocka_unit_test(what_names_nothing),
		cmocka_unit_test(broken_words),
		cmocka_unit_test(too_many_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
