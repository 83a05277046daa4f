/* SPDX-License-Identifier: Apache-2.0 */
#include "base/out.h"
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Every shape: containers in containers, empty ones, scalars of all kinds. */
static void write_sample(struct out *out)
{
	out_object(out);
	out_kv_cstr(out, "name", "web");
	out_kv_int(out, "count", -3);
	out_kv_bool(out, "ok", true);
	out_key(out, "none");
	out_null(out);
	out_kv_array(out, "list");
	out_cstr(out, "a");
	out_object(out);
	out_kv_cstr(out, "x", "1");
	out_kv_object(out, "y");
	out_kv_int(out, "z", 2);
	out_end(out);
	out_end(out);
	out_array(out);
	out_int(out, 1);
	out_strf(out, "%s-%d", "n", 2);
	out_end(out);
	out_array(out);
	out_end(out);
	out_end(out);
	out_kv_object(out, "empty");
	out_end(out);
	out_end(out);
}

static void check_sample(enum out_format format, const char *expected)
{
	struct sb sb;
	struct out out;
	sb_init(&sb, 4096);
	out_init(&out, &sb, format);
	write_sample(&out);
	assert_true(sb_ok(&sb, NULL));
	assert_string_equal(sb_str(&sb).p, expected);
	sb_fini(&sb);
}

static void formats(void **state)
{
	(void)state;
	check_sample(OUT_JSON, "{\"name\":\"web\",\"count\":-3,\"ok\":true,\"none\":null,"
			       "\"list\":[\"a\",{\"x\":\"1\",\"y\":{\"z\":2}},[1,\"n-2\"],[]],"
			       "\"empty\":{}}");
	check_sample(OUT_JSON_INDENT, "{\n  \"name\": \"web\",\n  \"count\": -3,\n  \"ok\": true,\n"
				      "  \"none\": null,\n  \"list\": [\n    \"a\",\n    {\n"
				      "      \"x\": \"1\",\n      \"y\": {\n        \"z\": 2\n"
				      "      }\n    },\n    [\n      1,\n      \"n-2\"\n    ],\n"
				      "    []\n  ],\n  \"empty\": {}\n}\n");
	check_sample(OUT_YAML, "name: web\ncount: -3\nok: true\nnone: null\nlist:\n  - a\n"
			       "  - x: \"1\"\n    \"y\":\n      z: 2\n  - - 1\n    - n-2\n"
			       "  - []\nempty: {}\n");
}

static void check_string(enum out_format format, struct str value, const char *expected)
{
	struct sb sb;
	struct out out;
	sb_init(&sb, 4096);
	out_init(&out, &sb, format);
	out_str(&out, value);
	assert_string_equal(sb_str(&sb).p, expected);
	sb_fini(&sb);
}

static void escapes(void **state)
{
	(void)state;
	check_string(OUT_JSON, STR("a\"b\\c/\n\t\x01\x7f"), "\"a\\\"b\\\\c/\\n\\t\\u0001\\u007f\"");
	check_string(OUT_JSON, STR("gr\xc3\xbc\xf0\x9f\x98\x80"), "\"gr\xc3\xbc\xf0\x9f\x98\x80\"");
	check_string(OUT_JSON, STR_NONE, "\"\"");
	/* Not UTF-8: a lone byte, an overlong form, a surrogate, a cut sequence. */
	check_string(OUT_JSON, STR("\xff"), "\"\xef\xbf\xbd\"");
	check_string(OUT_JSON, STR("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string(OUT_JSON, STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string(OUT_JSON, STR("a\xe2\x82"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string(OUT_JSON, STR("\xe2\x80\xa8"), "\"\\u2028\"");
}

static void yaml_quotes(void **state)
{
	(void)state;
	static const char *const plain[] = { "web", "default/web:80", "a.b-c_d", "/api/v1",
					     "http://x/y", "no such Service, really", "nope" };
	static const char *const quoted[] = { "",     "yes",  "NO",   "y",    "null", "True", "~",
					      "1",    "1.5",  "0x1f", "-1",   ".inf", "- a",  "a: b",
					      "a:",   "a #b", "#a",   "*a",   "&a",   "!t",   "{a",
					      "[a",   "a ",   " a",   "<<",   "=",    "%d",   "@a",
					      "'a",   "|",    ">",    "2024-01-01", "a,", "1:30" };
	struct sb sb;
	sb_init(&sb, 256);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		sb_reset(&sb);
		sb_addf(&sb, "%s\n", plain[i]);
		check_string(OUT_YAML, str_of(plain[i]), sb_str(&sb).p);
	}
	for (size_t i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++) {
		sb_reset(&sb);
		sb_addf(&sb, "\"%s\"\n", quoted[i]);
		check_string(OUT_YAML, str_of(quoted[i]), sb_str(&sb).p);
	}
	sb_fini(&sb);
}

static void tables(void **state)
{
	(void)state;
	struct table *table = table_new();
	struct sb sb;
	sb_init(&sb, 4096);
	table_column(table, "NAME", TABLE_LEFT);
	table_column(table, "N", TABLE_RIGHT);
	table_column(table, "STATE", TABLE_LEFT);
	table_row(table);
	table_cell(table, STR("gr\xc3\xbc\xc3\x9f" "e"));
	table_cellf(table, "%d", 100);
	table_cell_colour(table, STR("ok"), TABLE_GREEN);
	table_row(table);
	table_cell(table, STR("a\033[2Jb"));
	table_cellf(table, "%d", 7);
	table_row(table);
	table_cell(table, STR("c"));
	table_cell(table, STR(""));
	table_cell(table, STR("down"));
	table_write(table, false, &sb);
	assert_string_equal(sb_str(&sb).p, "NAME      N  STATE\n"
					   "gr\xc3\xbc\xc3\x9f" "e   100  ok\n"
					   "a?[2Jb    7\n"
					   "c            down\n");
	sb_reset(&sb);
	table_write(table, true, &sb);
	assert_non_null(strstr(sb_str(&sb).p, "  \033[32mok\033[0m\n"));
	assert_non_null(strstr(sb_str(&sb).p, "\033[1mNAME\033[0m"));
	table_free(table);
	sb_fini(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(escapes),
		cmocka_unit_test(yaml_quotes),
		cmocka_unit_test(tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
