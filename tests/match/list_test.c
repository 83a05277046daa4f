/* SPDX-License-Identifier: Apache-2.0 */
#include "match/list.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct request request_of(const char *method, const char *path, const char *query)
{
	return (struct request){ .method = str_of(method),
				 .path = str_of(path),
				 .query = str_of(query) };
}

static void add_header(struct request *request, const char *name, const char *value)
{
	request->headers[request->header_count++] =
		(struct request_header){ str_of(name), str_of(value) };
}

/* The verdict of a list that must compile, in a buffer that the next call reuses. */
static const char *decide(const char *text, const struct request *request)
{
	static char verdict[256];
	struct error err = { 0 };
	struct list *list = list_compile(str_of(text), &err);
	if (!list)
		fail_msg("%s: %s", text, err.text);
	struct list_result result = list_decide(list, request);
	assert_true(result.verdict.n < sizeof(verdict));
	memcpy(verdict, result.verdict.p, result.verdict.n);
	verdict[result.verdict.n] = '\0';
	list_free(list);
	return verdict;
}

static void first_entry_that_holds_decides(void **state)
{
	(void)state;
	const char *text = "method=GET header.x-canary=\"always\" => canary.80 default/store/1 ; "
			   "method=GET => web.80 default/store/0";
	struct request request = request_of("GET", "/", "");
	assert_string_equal(decide(text, &request), "web.80 default/store/0");
	add_header(&request, "X-Canary", "always");
	assert_string_equal(decide(text, &request), "canary.80 default/store/1");
	request.headers[0].value = STR("Always");
	assert_string_equal(decide(text, &request), "web.80 default/store/0");
	request.method = STR("get");
	assert_string_equal(decide(text, &request), LIST_NO_MATCH);
}

static void headers_are_joined_in_order(void **state)
{
	(void)state;
	struct request request = request_of("GET", "/", "");
	add_header(&request, "accept", "a");
	add_header(&request, "x", "other");
	add_header(&request, "Accept", "b");
	add_header(&request, "ACCEPT", "");
	assert_string_equal(decide("header.accept=\"a,b,\" => yes", &request), "yes");
	assert_string_equal(decide("header.accept=\"a\" => yes", &request), LIST_NO_MATCH);
	assert_string_equal(decide("header.accept~\"a,[b],\" => yes", &request), "yes");
	assert_string_equal(decide("header.accept~\".*b\" => yes", &request), LIST_NO_MATCH);
	assert_string_equal(decide("header.absent~\".*\" => yes", &request), LIST_NO_MATCH);
	assert_string_equal(decide("header.absent=\"\" => yes", &request), LIST_NO_MATCH);
}

static void query_parameters_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *list, *query;
		bool holds;
	} cases[] = {
		{ "query.a=\"1\" => y", "a=1", true },
		{ "query.a=\"1\" => y", "b=2&a=1&a=2", true },
		{ "query.a=\"2\" => y", "b=2&a=1&a=2", false },
		{ "query.a=\"1\" => y", "A=1", false },
		{ "query.a=\"\" => y", "a", true },
		{ "query.a=\"\" => y", "x&a=&y", true },
		{ "query.a=\"\" => y", "", false },
		{ "query.a=\"x y\" => y", "a=x+y", true },
		{ "query.a=\"x y\" => y", "%61=x%20y", true },
		{ "query.a=\"x+y\" => y", "a=x%2By", true },
		{ "query.a=\"x+y\" => y", "a=x+y", false },
		{ "query.a=\"%4\" => y", "a=%4", true },
		{ "query.a=\"%zz%\" => y", "a=%zz%", true },
		{ "query.a=\"b=c\" => y", "a=b=c", true },
		{ "query.\"a b\"~\"[0-9]{2}\" => y", "a+b=%31%32", true },
		{ "query.a~\"[0-9]{2}\" => y", "a=123", false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct request request = request_of("GET", "/", cases[i].query);
		const char *verdict = decide(cases[i].list, &request);
		if (cases[i].holds != !strcmp(verdict, "y"))
			fail_msg("%s on %s gave %s", cases[i].list, cases[i].query, verdict);
	}
}

static void paths_match_as_a_whole(void **state)
{
	(void)state;
	const char *text = "path~\"/v[0-9]+(/.*)?\" => y";
	struct request request = request_of("GET", "/v1", "");
	assert_string_equal(decide(text, &request), "y");
	request.path = STR("/v1/x");
	assert_string_equal(decide(text, &request), "y");
	request.path = STR("/v1x");
	assert_string_equal(decide(text, &request), LIST_NO_MATCH);
	request.path = STR("/a/v1");
	assert_string_equal(decide(text, &request), LIST_NO_MATCH);
}

static void values_too_long_do_not_match(void **state)
{
	(void)state;
	struct error err;
	size_t n = 70 * 1000;
	char *big = xmalloc(n);
	memset(big, 'a', n);
	struct request request = request_of("GET", "/", "");
	struct list *list = list_compile(STR("header.x~\"a.*\" => y ; query.q~\"a.*\" => z"), &err);
	assert_non_null(list);
	add_header(&request, "x", "a");
	request.headers[request.header_count++] = (struct request_header){ STR("x"), { big, n } };
	char *query = xmalloc(n + 2);
	memcpy(query, "q=", 2);
	memcpy(query + 2, big, n);
	request.query = (struct str){ query, n + 2 };
	struct list_result result = list_decide(list, &request);
	assert_true(str_is(result.verdict, LIST_NO_MATCH));
	assert_int_equal(result.limits_hit, 2);
	assert_int_equal(result.entry, 2);
	list_free(list);
	free(query);
	free(big);
}

static void catastrophic_patterns_are_counted(void **state)
{
	(void)state;
	struct error err;
	char value[3001];
	memset(value, 'a', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	struct request request = request_of("GET", "/", "");
	add_header(&request, "x", value);
	struct list *list =
		list_compile(STR("header.x~\"(a+)+[bc]\" => bad ; header.x~\"(a|b)*\" => y"), &err);
	assert_non_null(list);
	struct list_result result = list_decide(list, &request);
	assert_true(str_is(result.verdict, "y"));
	assert_int_equal(result.limits_hit, 1);
	list_free(list);
}

static uint64_t tick_ns(void)
{
	static uint64_t now_ns;
	return ++now_ns;
}

static void time_runs_out(void **state)
{
	(void)state;
	struct error err;
	struct request request = request_of("GET", "/c", "");
	struct list *list = list_compile(STR("path~\"/a\" => a ; path~\"/b\" => b ; path~\"/c\" => c"
					     " ; method=GET => wrong"), &err);
	assert_non_null(list);
	assert_true(str_is(list_decide(list, &request).verdict, "c"));
	request.clock_ns = tick_ns;
	request.deadline_ns = 3;
	struct list_result result = list_decide(list, &request);
	assert_true(result.timed_out && str_empty(result.verdict));
	assert_int_equal(result.entry, 4);
	assert_int_equal(result.limits_hit, 0);
	request.deadline_ns = 1000;
	assert_true(str_is(list_decide(list, &request).verdict, "c"));
	list_free(list);
}

static void text_goes_round(void **state)
{
	(void)state;
	const struct list_cond conds[] = {
		{ LIST_METHOD, false, STR_NONE, STR_INIT("GET") },
		{ LIST_PATH, true, STR_NONE, STR_INIT("/a \"b\\\\d\"; => x") },
		{ LIST_HEADER, false, STR_INIT("x-y"), STR_INIT("a ; b\t\n\x7f\xc3\xbc") },
		{ LIST_QUERY, true, STR_INIT("a=b ~"), STR_INIT("[\\\\\"]*") },
		{ LIST_QUERY, false, STR_INIT(""), STR_INIT("") },
	};
	const struct list_entry entries[] = { { conds, 5, STR_INIT("one a/b/0") },
					      { NULL, 0, STR_INIT("?next") } };
	struct sb out;
	sb_init(&out, 4096);
	list_print(entries, 2, &out);
	assert_string_equal(out.data,
			    "method=GET path~\"/a \\\"b\\\\\\\\d\\\"; => x\" "
			    "header.x-y=\"a ; b\\t\\x0a\\x7f\xc3\xbc\" "
			    "query.\"a=b ~\"~\"[\\\\\\\\\\\"]*\" query.\"\"=\"\" => one a/b/0 ; "
			    "=> ?next");
	struct request request = request_of("GET", "/a \"b\\d\"; => x", "a%3Db+~=%5C%22&=");
	add_header(&request, "X-Y", "a ; b\t\n\x7f\xc3\xbc");
	assert_string_equal(decide(out.data, &request), "one a/b/0");

	struct error err;
	struct list *list = list_compile(sb_str(&out), &err);
	assert_int_equal(list_entry_count(list), 2);
	assert_int_equal(list_decide(list, &request).entry, 0);
	request.query = STR("a=1");
	assert_int_equal(list_decide(list, &request).entry, 1);
	assert_true(list_bytes(list) > out.len);
	list_free(list);
	sb_fini(&out);
}

static void bad_text_has_a_column(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "column 1: expected method=, path~, header., query. or =>" },
		{ "=> ", "column 4: expected a verdict" },
		{ "=>x", "column 1: expected method=, path~, header., query. or =>" },
		{ "=> a ;  => b", "column 8: expected method=, path~, header., query. or =>" },
		{ "=> a ; ", "column 8: expected method=, path~, header., query. or =>" },
		{ "method= => a", "column 8: expected a name" },
		{ "method=GET", "column 11: expected a space" },
		{ "path=\"/\" => a", "column 1: expected method=, path~, header., query. or =>" },
		{ "path~/ => a", "column 6: expected a string in double quotes" },
		{ "header.x\"a\" => a", "column 9: expected = or ~" },
		{ "header.x=\"a => a", "column 17: the string has no end" },
		{ "header.x=\"\\q\" => a", "column 12: unknown escape in a string" },
		{ "header.x=\"\\x4", "column 12: unknown escape in a string" },
		{ "path~\"(\" => a", "column 6: pattern: column 2: missing closing parenthesis" },
		{ "path~\"a(?=b)\" => a", "column 6: pattern: column 2: look-ahead is not "
					  "supported (patterns are RE2's)" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = { 0 };
		assert_null(list_compile(str_of(cases[i].text), &err));
		assert_string_equal(err.text, cases[i].message);
		assert_int_equal(err.code, ERR_SYNTAX);
	}
}

static void lists_are_bounded(void **state)
{
	(void)state;
	struct error err;
	size_t n = 64 * 1024 + 1;
	char *text = xmalloc(n);
	memset(text, 'x', n);
	memcpy(text, "=> ", 3);
	assert_null(list_compile((struct str){ text, n }, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	struct list *list = list_compile((struct str){ text, n - 1 }, &err);
	assert_non_null(list);
	list_free(list);
	free(text);
}

/* Any bytes: compiles or says why, and decides without touching what is not its own. */
static void mutated_text_is_harmless(void **state)
{
	(void)state;
	static const char *const seeds[] = {
		"method=GET header.x-canary=\"al\\\"w\\x41ys\" => canary.80 a/b/1 ; => web.80 a/b/0",
		"path~\"/v[0-9]+(?P<rest>/.*)?\" query.\"a b\"~\"(?i)x|y{2,3}\" => ?next ; => ~id",
	};
	static const char alphabet[] = "\\\"=~;>(?[]{}*+.|^$x0 \0\xff\xc3q";
	struct request request = request_of("GET", "/v1/\xff\xc3\xbc", "a+b=x&c=%4");
	add_header(&request, "x-canary", "al\"wAys");
	uint32_t random = 12345;
	size_t compiled = 0;
	for (int round = 0; round < 4000; round++) {
		const char *seed = seeds[round % 2];
		size_t n = strlen(seed);
		char *text = xstrndup(seed, n); /* its own block: ASan sees the end */
		for (int change = 0; change < 1 + round % 4; change++) {
			random = random * 1664525u + 1013904223u;
			text[(random >> 8) % n] = alphabet[(random >> 24) % (sizeof(alphabet) - 1)];
		}
		random = random * 1664525u + 1013904223u;
		size_t length = (random >> 16) % 4 ? n : (random >> 8) % n;
		struct error err = { 0 };
		struct list *list = list_compile((struct str){ text, length }, &err);
		if (list) {
			compiled++;
			struct list_result result = list_decide(list, &request);
			assert_true(result.verdict.n > 0);
		} else {
			assert_int_not_equal(err.code, ERR_NONE);
		}
		list_free(list);
		free(text);
	}
	assert_true(compiled > 100 && compiled < 3900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_entry_that_holds_decides),
		cmocka_unit_test(headers_are_joined_in_order),
		cmocka_unit_test(query_parameters_are_decoded),
		cmocka_unit_test(paths_match_as_a_whole),
		cmocka_unit_test(values_too_long_do_not_match),
		cmocka_unit_test(catastrophic_patterns_are_counted),
		cmocka_unit_test(time_runs_out),
		cmocka_unit_test(text_goes_round),
		cmocka_unit_test(bad_text_has_a_column),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(mutated_text_is_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
