/* SPDX-License-Identifier: Apache-2.0 */
#include "source/yaml.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sb.h"

static void collect(void *user, struct json_object *json, size_t line)
{
	sb_addf(user, "%zu:%s\n", line,
		json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* expected: the documents, or the error's text. */
static void check(const char *text, const char *expected)
{
	struct error err = { .code = ERR_NONE };
	struct str rest = str_of(text), part;
	size_t line = 1, start;
	struct sb sb;
	bool ok = true;
	sb_init(&sb, 1 << 20);
	while (ok && yaml_cut(&rest, &line, &part, &start))
		ok = yaml_parse(part, "f", start, collect, &sb, &err);
	assert_string_equal(ok ? sb_str(&sb).p : err.text, expected);
	sb_fini(&sb);
}

static void scalars(void **state)
{
	(void)state;
	check("a: [1, -2, 0x1f, 0o17, 1.5, 1e3, true, yes, ~, null, \"1\", '2', 1.2.3, !!str 7]",
	      "1:{\"a\":[1,-2,31,15,1.5,1e3,true,\"yes\",null,null,\"1\",\"2\",\"1.2.3\",\"7\"]}\n");
	check("{\"a\": \"x\\ud83d\\ude00\\/\", \"b\": \"\\\\ud83d\"}",
	      "1:{\"a\":\"x\xf0\x9f\x98\x80/\",\"b\":\"\\\\ud83d\"}\n");
}

static void documents(void **state)
{
	(void)state;
	check("# c\n---\na: 1\n---\n# only\n---\n\nb: 2\n...\n%YAML 1.2\n---\nc: 3\n",
	      "3:{\"a\":1}\n8:{\"b\":2}\n12:{\"c\":3}\n");
	check("a: |\n  ---\n  x\n", "1:{\"a\":\"---\\nx\\n\"}\n");
	check("", "");
}

static void references(void **state)
{
	(void)state;
	check("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n",
	      "1:{\"a\":{\"p\":1,\"q\":2},\"b\":{\"q\":3,\"p\":1},\"c\":{\"p\":1,\"q\":2}}\n");
	check("a: &x [*x]", "f:1:8: alias '*x' has no finished anchor '&x' before it");
	check("a: {<<: 3}", "f:1:9: the value of '<<' must be a mapping or a list of mappings");
}

static void errors(void **state)
{
	(void)state;
	check("x: 1\n---\na: 1\nb: 2\na: 3\n", "f:5:1: key 'a' is given twice (first on line 3)");
	check("a:\n\tb: 1\n", "f:2:1: found a tab where YAML allows only blanks while scanning "
			      "for the next token (from line 2 on)");
	check("a: [1\n", "f:2:1: did not find expected ',' or ']' while parsing a flow sequence "
			 "(from line 1 on)");
	check("a: !foo 1", "f:1:4: tag '!foo' is not supported here");
}

static void bombs(void **state)
{
	(void)state;
	struct sb sb;
	sb_init(&sb, 1 << 20);
	for (int i = 0; i < 100; i++)
		sb_addc(&sb, '[');
	check(sb_str(&sb).p, "f:1:65: nested deeper than 64 levels");
	sb_reset(&sb);
	for (int i = 0; i < 101; i++)
		sb_addf(&sb, "%%TAG !a%d! tag:example.com,2000:\n", i);
	sb_adds(&sb, "---\na: 1\n");
	check(sb_str(&sb).p, "f: more than 100 %TAG directives");
	size_t first_line = str_chr(sb_str(&sb), '\n', 0) + 1;
	check(sb_str(&sb).p + first_line, "102:{\"a\":1}\n");
	sb_reset(&sb);
	sb_adds(&sb, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 9; i++)
		sb_addf(&sb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
			i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	struct error err;
	assert_false(yaml_parse(sb_str(&sb), "f", 1, collect, &sb, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.text, "aliases expanded"));
	sb_fini(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars), cmocka_unit_test(documents),
		cmocka_unit_test(references), cmocka_unit_test(errors), cmocka_unit_test(bombs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
