/* SPDX-License-Identifier: Apache-2.0 */
/* Records of rules and decision lists of hosts, from hand-made views. */
#include "plan/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/vhost.h"

#define PAIR(k, v) { STR_INIT(k), STR_INIT(v) }

static struct entry_set *set;
static struct entry_list entries;
static struct findings *found;

static int setup(void **state)
{
	(void)state;
	set = entry_set_new();
	entries = (struct entry_list){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	entry_list_release(set, &entries);
	entry_set_free(set);
	findings_drop(&found);
	return 0;
}

/* ---- header filters ---- */

static void headers_compose(void **state)
{
	(void)state;
	struct pair v = PAIR("X-A", "v"), w = PAIR("x-a", "w");
	struct str name = STR("x-A");
	const struct header_mod set_v = { .set = &v, .set_count = 1 };
	const struct header_mod add_w = { .add = &w, .add_count = 1 };
	const struct header_mod add_v = { .add = &v, .add_count = 1 };
	const struct header_mod del = { .remove = &name, .remove_count = 1 };
	const struct header_mod all = { &v, &w, 1, 1, &name, 1 };
	const struct {
		const struct header_mod *first, *second;
		int op;
		const char *value;
	} cases[] = {
		{ &set_v, &add_w, HEADER_SET, "v,w" }, { &del, &add_w, HEADER_SET, "w" },
		{ &add_v, &add_w, HEADER_ADD, "v,w" }, { &add_w, &set_v, HEADER_SET, "v" },
		{ &del, &set_v, HEADER_SET, "v" },     { &set_v, &del, HEADER_DEL, "" },
		{ &add_w, &del, HEADER_DEL, "" },      { &all, &add_w, HEADER_SET, "w" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct header_ops ops = { .arena = arena_new() };
		header_ops_apply(&ops, false, cases[i].first);
		header_ops_apply(&ops, true, &add_v); /* the other direction is apart */
		header_ops_apply(&ops, false, cases[i].second);
		header_ops_sort(&ops);
		assert_int_equal(ops.count, 2);
		assert_true(str_is(ops.items[0].name, "x-a"));
		assert_int_equal(ops.items[0].op, cases[i].op);
		assert_true(str_is(ops.items[0].value, cases[i].value));
		assert_true(ops.items[1].response);
		arena_free(ops.arena);
	}
}

static void timeouts(void **state)
{
	(void)state;
	static const struct {
		int64_t request, backend;
		const char *text;
	} cases[] = {
		{ -1, -1, "" },       { 500, -1, "500" },   { -1, 300, "300" },    { 500, 300, "300" },
		{ 0, 300, "300" },    { 500, 0, "500" },    { 0, 0, "86400000" },  { 0, -1, "86400000" },
		{ -1, 0, "86400000" }, { 360000000, -1, "86400000" },
	};
	struct arena *arena = arena_new();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rule rule = { .request_timeout_ms = cases[i].request,
					  .backend_timeout_ms = cases[i].backend };
		assert_true(str_is(rule_timeout(arena, &rule), cases[i].text));
	}
	arena_free(arena);
}

/* ---- one rule, its record and verdict ---- */

struct sample {
	struct object object;
	struct match match;
	struct filter filters[2];
	struct backend_ref specs[3];
	struct ref_view refs[3];
	struct rule spec;
	struct rule_view rule;
	struct route_view view;
};

/* A rule for prefix "/foo/" with `refs` good refs of weight 1 to "b0", "b1", ... */
static void sample_init(struct sample *sample, size_t refs)
{
	static const char *const names[] = { "b0", "b1", "b2" };
	*sample = (struct sample){ .match = { .path_type = MATCH_PREFIX, .path = STR("/foo/") } };
	sample->object.kind = KIND_HTTPROUTE;
	sample->object.meta = (struct meta){ .ns = STR("n"), .name = STR("r") };
	for (size_t i = 0; i < refs; i++) {
		sample->specs[i].weight = 1;
		sample->refs[i] = (struct ref_view){ &sample->specs[i], REF_OK, str_of(names[i]) };
	}
	sample->spec = (struct rule){ .matches = &sample->match,
					   .match_count = 1,
					   .filters = sample->filters,
					   .request_timeout_ms = TIMEOUT_UNSET,
					   .backend_timeout_ms = TIMEOUT_UNSET };
	sample->rule = (struct rule_view){ .spec = &sample->spec,
					   .name = STR("n/r/0"),
					   .refs = sample->refs,
					   .ref_count = refs,
					   .error_status = 500 };
	sample->view = (struct route_view){ .object = &sample->object,
					    .rules = &sample->rule,
					    .rule_count = 1 };
}

/* Compiles the rule; the plan must be `text` (ids written as they are). */
static bool sample_emit(struct sample *sample, const char *verdict, const char *text)
{
	struct emit emit;
	emit_begin(&emit, set);
	bool ok = rule_emit(&emit, &sample->view, 0);
	assert_true(str_is(rule_verdict(emit.scratch, &sample->rule, !ok), verdict));
	emit_end(&emit, &entries, &found);
	changes_free(entry_set_commit(set));
	struct plan *plan = entry_set_plan(set);
	struct sb out;
	sb_init(&out, 100000);
	plan_print(plan, &out);
	assert_string_equal(sb_str(&out).p, text);
	sb_fini(&out);
	plan_free(plan);
	return ok;
}

static void plain_and_errors(void **state)
{
	(void)state;
	struct sample sample;
	sample_init(&sample, 1);
	assert_true(sample_emit(&sample, "b0 n/r/0", ""));
	sample.refs[0].state = REF_INVALID;
	assert_true(sample_emit(&sample, "http-500 n/r/0", ""));
	sample_init(&sample, 0);
	assert_true(sample_emit(&sample, "http-500 n/r/0", ""));
	sample_init(&sample, 2);
	sample.specs[0].weight = 0;
	assert_true(sample_emit(&sample, "b1 n/r/0", ""));
	sample.specs[1].weight = 0;
	assert_true(sample_emit(&sample, "http-500 n/r/0", ""));
	sample_init(&sample, 2);
	sample.refs[1].backend = STR("b0"); /* twice the same */
	assert_true(sample_emit(&sample, "b0 n/r/0", ""));
	sample.rule.broken = true;
	assert_true(sample_emit(&sample, "http-500 n/r/0", ""));
}

static void records(void **state)
{
	(void)state;
	struct sample sample;
	sample_init(&sample, 1);
	sample.spec.request_timeout_ms = 500;
	sample_emit(&sample, "@n/r/0", "rule\t@n/r/0\tb0|500\n");

	sample_init(&sample, 1);
	sample.spec.filter_count = 1;
	sample.filters[0] = (struct filter){ .type = FILTER_REWRITE,
					     .hostname = STR("new.org"),
					     .path_modifier = PATH_REPLACE_PREFIX,
					     .path = STR("/a b|\xc3\xa9/") };
	sample_emit(&sample, "@n/r/0",
		    "rule\t@n/r/0\tb0||new.org|1|/a%20b%7C%C3%A9\n");
	sample.match.path = STR("/");
	sample.filters[0].path = STR("/");
	sample_emit(&sample, "@n/r/0", "rule\t@n/r/0\tb0||new.org|0\n");

	sample.filters[0] = (struct filter){ .type = FILTER_REDIRECT,
					     .scheme = STR("https"),
					     .hostname = STR("w.org"),
					     .port = 8443,
					     .status = 301,
					     .path_modifier = PATH_REPLACE_FULL,
					     .path = STR("x") };
	sample.rule.ref_count = 0;
	sample_emit(&sample, "@n/r/0",
		    "rule\t@n/r/0\thttp-redirect|||=|/x||301|https|w.org|8443\n");
}

static void prefix_too_deep(void **state)
{
	(void)state;
	struct sample sample;
	sample_init(&sample, 1);
	sample.match.path = STR("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16");
	sample.spec.filter_count = 1;
	sample.filters[0] = (struct filter){ .type = FILTER_REWRITE,
					     .path_modifier = PATH_REPLACE_PREFIX,
					     .path = STR("/x") };
	assert_false(sample_emit(&sample, "http-500 n/r/0", ""));
	assert_int_equal(found->count, 1);
	assert_true(str_is(found->items[0].field, "spec.rules[0].filters"));
}

/* Rule's filter first, then the ref's; nothing is left behind when it does not fit. */
static void headers_of_refs(void **state)
{
	(void)state;
	static char big[MAX_HEADER_VALUE_BYTES];
	memset(big, 'x', sizeof(big));
	struct str long_value = { big, sizeof(big) };
	struct pair one = PAIR("X-A", "1"), two = PAIR("x-a", "2");
	struct filter of_ref = { .type = FILTER_REQUEST_HEADERS,
				 .headers = { .add = &two, .add_count = 1 } };
	struct sample sample;
	sample_init(&sample, 1);
	sample.spec.filter_count = sample.specs[0].filter_count = 1;
	sample.specs[0].filters = &of_ref;
	sample.filters[0] = (struct filter){ .type = FILTER_REQUEST_HEADERS,
					     .headers = { .set = &one, .set_count = 1 } };
	sample_emit(&sample, "@n/r/0",
		    "header\th82e9ec6ec05dfb7b/req/set/x-a\t1,2\n"
		    "rule\t@n/r/0\tb0|||||h82e9ec6ec05dfb7b\n");

	one.value = two.value = long_value;
	struct pair three = two;
	sample.filters[1] = (struct filter){ .type = FILTER_REQUEST_HEADERS,
					     .headers = { .add = &three, .add_count = 1 } };
	sample.spec.filter_count = 2;
	assert_false(sample_emit(&sample, "http-500 n/r/0", ""));
	assert_int_equal(found->count, 1);
	assert_true(str_is(found->items[0].reason, "FilterTooLong"));
}

static void splits(void **state)
{
	(void)state;
	struct sample sample;
	struct filter rewrite = { .type = FILTER_REWRITE, .hostname = STR("h.org") };
	sample_init(&sample, 3);
	sample.specs[0].weight = 8;
	sample.refs[1].state = REF_INVALID;
	sample.specs[2].filters = &rewrite;
	sample.specs[2].filter_count = 1;
	sample_emit(&sample, "@n/r/0",
		    "split\t%75e9b3e6dd078614/\tb0\n"
		    "split\t%75e9b3e6dd078614/18\thttp-500\n"
		    "split\t%75e9b3e6dd078614/19\t@n/r/0/2\n"
		    "rule\t@n/r/0\t%75e9b3e6dd078614/10/10\n"
		    "rule\t@n/r/0/2\tb2||h.org\n");
}

/* ---- decision lists ---- */

enum { LONG_LIST = 100 };

/* Candidates with one long header each, the last without a condition. */
static void long_lists(void **state)
{
	(void)state;
	static char text[LONG_LIST][1024];
	static struct value_match headers[LONG_LIST];
	static struct match matches[LONG_LIST];
	struct candidate candidates[LONG_LIST] = { { 0 } };
	struct sample sample;
	sample_init(&sample, 1);
	struct emit emit;
	emit_begin(&emit, set);
	for (uint32_t i = 0; i < LONG_LIST; i++) {
		memset(text[i], 'a', sizeof(text[i]));
		headers[i] = (struct value_match){ MATCH_EXACT, STR("x"),
						   { text[i], sizeof(text[i]) } };
		matches[i] = (struct match){ .path_type = MATCH_PREFIX,
						  .path = STR("/"),
						  .headers = &headers[i],
						  .header_count = 1 };
		candidates[i] = (struct candidate){ .route = &sample.view,
						    .rule = &sample.rule,
						    .match = &matches[i],
						    .verdict = STR("b0 n/r/0"),
						    .match_index = i };
		candidate_file(emit.scratch, &candidates[i]);
	}
	vhost_flatten(&emit, STR("f *"), candidates, LONG_LIST);
	/* 5 entries a segment, 8 segments: 60 do not fit, and the first of them says so. */
	assert_int_equal(emit.findings.count, 1);
	assert_true(str_is(emit.findings.items[0].field, "spec.rules[0].matches[40]"));
	emit_end(&emit, &entries, &found);
	struct plan *plan = entry_set_plan(set);
	size_t count, ends = 0;
	const struct plan_entry *lists = plan_table(plan, PLAN_LIST, &count);
	assert_int_equal(count, MAX_LIST_SEGMENTS);
	for (size_t i = 0; i < count; i++) {
		assert_true(lists[i].value.n <= MAX_LIST_BYTES);
		ends += str_ends(lists[i].value, STR(" ; => http-500 -"));
	}
	assert_int_equal(ends, 1);
	plan_free(plan);
}

/* A match that fits no segment fails what it may take, and nothing else. */
static void long_match(void **state)
{
	(void)state;
	static char text[4096];
	memset(text, 'a', sizeof(text));
	struct value_match headers[2] = { { MATCH_EXACT, STR("x"), { text, sizeof(text) } },
					  { MATCH_EXACT, STR("y"), { text, sizeof(text) } } };
	struct match match = { .path_type = MATCH_PREFIX, .path = STR("/"),
				    .headers = headers, .header_count = 2 };
	struct sample sample;
	sample_init(&sample, 1);
	struct candidate candidate = { .route = &sample.view, .rule = &sample.rule,
				       .match = &match, .verdict = STR("b0 n/r/0") };
	struct emit emit;
	emit_begin(&emit, set);
	candidate_file(emit.scratch, &candidate);
	vhost_flatten(&emit, STR("f *"), &candidate, 1);
	assert_int_equal(emit.findings.count, 1);
	emit_end(&emit, &entries, &found);
	struct plan *plan = entry_set_plan(set);
	size_t count;
	const struct plan_entry *lists = plan_table(plan, PLAN_LIST, &count);
	assert_int_equal(count, 1);
	assert_true(str_starts(lists[0].value, STR("header.x=\"aaaa")));
	assert_true(str_ends(lists[0].value, STR("\" => http-500 n/r/0")));
	plan_free(plan);
}

/* Keys that say nothing new are left out; "/" never is. */
static void flat_keys(void **state)
{
	(void)state;
	static const struct {
		enum match_type type;
		const char *path, *verdict;
	} cases[] = {
		{ MATCH_PREFIX, "/", "root" },       { MATCH_PREFIX, "/foo", "foo" },
		{ MATCH_PREFIX, "/foo/same", "foo" }, { MATCH_PREFIX, "/foo/back", "root" },
		{ MATCH_EXACT, "/foo", "exact" },    { MATCH_EXACT, "/foo/x", "foo" },
	};
	struct match matches[6];
	struct candidate candidates[6];
	struct sample sample;
	sample_init(&sample, 1);
	struct emit emit;
	emit_begin(&emit, set);
	for (uint32_t i = 0; i < 6; i++) {
		matches[i] = (struct match){ .path_type = cases[i].type,
						  .path = str_of(cases[i].path) };
		candidates[i] = (struct candidate){ .route = &sample.view,
						    .rule = &sample.rule,
						    .match = &matches[i],
						    .verdict = str_of(cases[i].verdict),
						    .match_index = i };
		candidate_file(emit.scratch, &candidates[i]);
	}
	vhost_flatten(&emit, STR("f h"), candidates, 6);
	vhost_flatten(&emit, STR("f empty"), NULL, 0);
	emit_end(&emit, &entries, &found);
	struct plan *plan = entry_set_plan(set);
	struct sb out;
	sb_init(&out, 10000);
	plan_print(plan, &out);
	assert_string_equal(sb_str(&out).p, "route\tf empty/\thttp-404 -\n"
					    "route\tf h/\troot\n"
					    "route\tf h/foo/\tfoo\n"
					    "route\tf h/foo/?\texact\n"
					    "route\tf h/foo/back/\troot\n");
	sb_fini(&out);
	plan_free(plan);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(headers_compose), TEST(timeouts),	      TEST(plain_and_errors), TEST(records),
		TEST(prefix_too_deep), TEST(headers_of_refs), TEST(splits),	      TEST(long_lists),
		TEST(long_match),      TEST(flat_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
