/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "base/sb.h"
#include "base/str.h"
#include "base/texts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void error_texts(void **state)
{
	(void)state;
	struct error err;
	assert_false(error_set(&err, ERR_LIMIT, "%d rules", 17));
	assert_false(error_prefix(&err, "route '%s'", "a/b"));
	assert_string_equal(err.text, "route 'a/b': 17 rules");
	errno = ENOENT;
	error_errno(&err, "cannot open %s", "x");
	assert_string_equal(err.text, "cannot open x: No such file or directory");
	assert_int_equal(err.code, ERR_IO);
	assert_false(error_set(NULL, ERR_IO, "nobody listens"));
}

static void slices(void **state)
{
	(void)state;
	assert_int_equal(str_cmp(STR("a"), STR("ab")), -1);
	assert_true(str_cmp(STR("b"), STR("ab")) > 0);
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
	assert_true(str_eq_nocase(STR("Host"), STR("hOST")));
	struct str rest = STR("a.b.c");
	assert_int_equal(str_behind_last(rest, '.'), 4);
	assert_int_equal(str_behind_last(STR("a."), '.'), 2);
	assert_int_equal(str_behind_last(STR("a"), '.'), 0);
	assert_true(str_is(str_cut(&rest, '.'), "a"));
	assert_true(str_is(rest, "b.c"));
	str_cut(&rest, '.');
	assert_true(str_is(str_cut(&rest, '.'), "c"));
	assert_true(str_empty(rest));
	assert_true(str_is(str_trim(STR(" \t x y \n")), "x y"));
	uint64_t n;
	assert_true(str_u64(STR("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
	assert_false(str_u64(STR("18446744073709551616"), UINT64_MAX, &n));
	assert_false(str_u64(STR("257"), 256, &n));
	assert_false(str_u64(STR("-1"), 256, &n));
	assert_false(str_u64(STR(""), 256, &n));
	assert_true(hex_digit('0') == 0 && hex_digit('f') == 15 && hex_digit('A') == 10);
	assert_true(hex_digit('g') < 0 && hex_digit('/') < 0 && hex_digit('\0') < 0);
	assert_true(str_printable(STR("gr\xc3\xbc\xc3\x9f")));
	assert_false(str_printable(STR("a\nb")));
}

static void builder_limits(void **state)
{
	(void)state;
	struct sb sb;
	struct error err;
	sb_init(&sb, 8);
	sb_adds(&sb, "1234");
	sb_addf(&sb, "%d", 5678);
	assert_true(sb_ok(&sb, &err));
	sb_addc(&sb, '9');
	sb_adds(&sb, "");
	assert_false(sb_ok(&sb, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(str_is(sb_str(&sb), "12345678"));
	sb_reset(&sb);
	sb_adds(&sb, "x");
	assert_true(sb_ok(&sb, &err));
	char *text = sb_take(&sb, NULL);
	assert_string_equal(text, "x");
	free(text);
	sb_fini(&sb);
}

static void arenas(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	for (size_t i = 0; i < 3000; i++) {
		unsigned char *p = arena_alloc(arena, i % 700);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t k = 0; k < i % 700; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, i % 700);
	}
	struct str s = arena_strf(arena, "%s/%d", "x", 7);
	assert_string_equal(s.p, "x/7");
	assert_string_equal(arena_lower(arena, STR("AZ[az]-\xc3\x84")).p, "az[az]-\xc3\x84");
	assert_true(arena_bytes(arena) > 3000 * 300);
	arena_free(arena);
}

static void maps(void **state)
{
	(void)state;
	struct map *map = map_new();
	int values[300];
	char key[16];
	for (int i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_null(map_put(map, str_of(key), &values[i]));
	}
	assert_ptr_equal(map_get(map, STR("k17")), &values[17]);
	assert_ptr_equal(map_put(map, STR("k17"), &values[0]), &values[17]);
	assert_ptr_equal(map_del(map, STR("k18")), &values[18]);
	assert_null(map_get(map, STR("k18")));
	assert_null(map_del(map, STR("none")));
	assert_null(map_get(map, STR_NONE));
	assert_int_equal(map_count(map), 299);
	struct map_entry **sorted = map_sorted(map);
	for (size_t i = 1; i < 299; i++)
		assert_true(str_cmp(map_key(sorted[i - 1]), map_key(sorted[i])) < 0);
	free(sorted);
	map_free(map, NULL);
}

static void sorted_texts(void **state)
{
	(void)state;
	struct texts *texts = texts_new();
	char key[16], value[16];
	for (unsigned i = 0; i < 300; i++) { /* 7 and 300 share no factor: all of 0..299 */
		snprintf(key, sizeof(key), "k%03u", i * 7 % 300);
		snprintf(value, sizeof(value), "v%u", i);
		texts_put(texts, str_of(key), str_of(value));
	}
	assert_int_equal(texts_count(texts), 300);
	for (size_t i = 1; i < 300; i++)
		assert_true(str_cmp(texts_key(texts, i - 1), texts_key(texts, i)) < 0);
	assert_string_equal(texts_get(texts, STR("k014")).p, "v2");
	assert_null(texts_get(texts, STR("k0145")).p);
	assert_null(texts_get(texts, STR("k300")).p);
	/* A value that lies in the line it replaces. */
	texts_put(texts, STR("k014"), str_sub(texts_get(texts, STR("k014")), 1, 2));
	assert_string_equal(texts_get(texts, STR("k014")).p, "2");
	assert_int_equal(texts_count(texts), 300);
	texts_del(texts, STR("k014"));
	texts_del(texts, STR("k014"));
	assert_int_equal(texts_count(texts), 299);
	assert_null(texts_get(texts, STR("k014")).p);
	assert_int_equal(texts_find(texts, STR("k014")), 14);
	assert_string_equal(texts_key(texts, 14).p, "k015");
	assert_int_equal(texts_find(texts, STR("")), 0);
	assert_int_equal(texts_find(texts, STR("z")), 299);
	for (size_t near = 0; near <= 300; near++) {
		assert_int_equal(texts_find_near(texts, STR("k014"), near), 14);
		assert_int_equal(texts_find_near(texts, STR(""), near), 0);
		assert_int_equal(texts_find_near(texts, STR("z"), near), 299);
	}
	texts_put(texts, STR(""), STR(""));
	assert_int_equal(texts_key(texts, 0).n, 0);
	assert_non_null(texts_get(texts, STR("")).p);
	texts_free(texts);
}

static void digests(void **state)
{
	(void)state;
	char hex[DIGEST_HEX_BYTES + 1];
	digest_hex(STR("abc"), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_texts), cmocka_unit_test(slices),
		cmocka_unit_test(builder_limits), cmocka_unit_test(arenas),
		cmocka_unit_test(sorted_texts),
		cmocka_unit_test(maps), cmocka_unit_test(digests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
