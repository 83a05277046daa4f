/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and watches as an API server sends them, cut at every place. */
#include "source/kube_json.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sb.h"
#include "model/limits.h"

static bool record(void *user, const char *member, struct json_object *json, struct error *err)
{
	struct sb *log = user;
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	if (strcmp(text, "\"stop\"") == 0)
		return error_set(err, ERR_REFUSED, "stop");
	sb_addf(log, "%s=%s;", member, text);
	return true;
}

/* Feeds `text` in pieces of `step` bytes; what was handed over, or the failure's first word. */
static void run(enum kube_json_shape shape, struct str text, size_t step, struct sb *log)
{
	struct kube_json *parser = kube_json_new(shape, record, log);
	struct error err = { .code = ERR_NONE };
	bool ok = true;
	for (size_t at = 0; at < text.n && ok; at += step)
		ok = kube_json_feed(parser, str_sub(text, at, at + step), &err);
	if (!ok)
		sb_addf(log, "failed %d", (int)err.code);
	else if (!kube_json_end(parser, &err))
		sb_adds(log, "cut");
	kube_json_free(parser);
}

static void expect(enum kube_json_shape shape, const char *text, const char *want)
{
	struct sb log;
	sb_init(&log, 4096);
	for (size_t step = 1; step <= strlen(text) + 1; step++) {
		sb_reset(&log);
		run(shape, str_of(text), step, &log);
		assert_string_equal(sb_str(&log).p, want);
	}
	sb_fini(&log);
}

static void test_lists(void **state)
{
	(void)state;
	expect(KUBE_JSON_LIST, "{}", "");
	expect(KUBE_JSON_LIST, " {\n} \n", "");
	expect(KUBE_JSON_LIST, "{\"kind\":\"L\",\"metadata\":{\"continue\":\"x\",\"n\":12},\"items\":[]}",
	       "kind=\"L\";metadata={\"continue\":\"x\",\"n\":12};");
	expect(KUBE_JSON_LIST, "{\"items\":[{\"a\":[1,{\"b\":\"]}\\\"\"}]},{} , {\"c\":null}],\"z\":-1.5}",
	       "items={\"a\":[1,{\"b\":\"]}\\\"\"}]};items={};items={\"c\":null};z=-1.5;");
	expect(KUBE_JSON_LIST, "{\"items\":null,\"n\":true}", "items=null;n=true;");
	expect(KUBE_JSON_LIST, "{\"n\":12345}", "n=12345;");
	expect(KUBE_JSON_LIST, "{\"items\":[\"\\u00e4\xc3\xa4\"]}", "items=\"\xc3\xa4\xc3\xa4\";");
}

static void test_values(void **state)
{
	(void)state;
	expect(KUBE_JSON_VALUES, "", "");
	expect(KUBE_JSON_VALUES, "\n \n", "");
	expect(KUBE_JSON_VALUES, "{\"type\":\"ADDED\",\"object\":{\"n\":1}}\n{\"type\":\"BOOKMARK\"}\n",
	       "={\"type\":\"ADDED\",\"object\":{\"n\":1}};={\"type\":\"BOOKMARK\"};");
	expect(KUBE_JSON_VALUES, "{}{}", "={};={};");
}

static void test_cut(void **state)
{
	(void)state;
	expect(KUBE_JSON_VALUES, "{}\n{\"a\":", "={};cut");
	expect(KUBE_JSON_LIST, "", "cut");
	expect(KUBE_JSON_LIST, "{\"items\":[{},", "items={};cut");
	expect(KUBE_JSON_LIST, "{\"items\":[{}]", "items={};cut");
}

static void test_bad(void **state)
{
	(void)state;
	char syntax[16];
	snprintf(syntax, sizeof(syntax), "failed %d", (int)ERR_SYNTAX);
	static const char *const lists[] = {
		"[]", "x", "{\"a\" 1}", "{,}", "{\"items\":,}", "{1:2}", "{\"a\":tru}",
		"{\"items\":[,]}", "{\"a\":}",
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		expect(KUBE_JSON_LIST, lists[i], syntax);
	expect(KUBE_JSON_VALUES, "{]", syntax);
	expect(KUBE_JSON_LIST, "{\"a\":1}}", "a=1;failed 3");
	expect(KUBE_JSON_LIST, "{\"a\":1 \"b\":2}", "a=1;failed 3");
	expect(KUBE_JSON_LIST, "{\"items\":[{} {}]}", "items={};failed 3");
	assert_string_equal(syntax, "failed 3");
}

static void test_nul(void **state)
{
	(void)state;
	static const char *const shapes[] = { "{\"a\":1", "{}" };
	for (size_t i = 0; i < 2; i++) {
		struct sb log;
		sb_init(&log, 4096);
		struct str text = { shapes[i], strlen(shapes[i]) + 1 };
		run(i ? KUBE_JSON_VALUES : KUBE_JSON_LIST, text, 64, &log);
		assert_non_null(strstr(sb_str(&log).p, "failed"));
		sb_fini(&log);
	}
}

/* The one who takes a value may refuse to go on. */
static void test_refused(void **state)
{
	(void)state;
	char refused[32];
	snprintf(refused, sizeof(refused), "=1;failed %d", (int)ERR_REFUSED);
	expect(KUBE_JSON_VALUES, "1 \"stop\" 2 ", refused);
}

static void test_limits(void **state)
{
	(void)state;
	struct sb log, big;
	sb_init(&log, 4096);
	sb_init(&big, 2 * MAX_OBJECT_BYTES);
	sb_adds(&big, "{\"items\":[\"");
	while (big.len < MAX_OBJECT_BYTES + 1000)
		sb_adds(&big, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	run(KUBE_JSON_LIST, sb_str(&big), 100000, &log);
	char limit[32];
	snprintf(limit, sizeof(limit), "failed %d", (int)ERR_LIMIT);
	assert_string_equal(sb_str(&log).p, limit);
	sb_reset(&big);
	sb_reset(&log);
	for (int i = 0; i <= MAX_DOCUMENT_DEPTH; i++)
		sb_adds(&big, "{\"a\":");
	run(KUBE_JSON_VALUES, sb_str(&big), 7, &log);
	snprintf(limit, sizeof(limit), "failed %d", (int)ERR_SYNTAX);
	assert_string_equal(sb_str(&log).p, limit);
	sb_fini(&big);
	sb_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),   cmocka_unit_test(test_values),
		cmocka_unit_test(test_cut),     cmocka_unit_test(test_bad),
		cmocka_unit_test(test_nul),     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
