/* SPDX-License-Identifier: Apache-2.0 */
/* What --address-pool takes, and which addresses that are. */
#include "resolve/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void good(void **state)
{
	static const struct {
		const char *text, *first, *last;
		unsigned count; /* 0: too many to count */
	} rows[] = {
		{ "192.0.2.10", "192.0.2.10", "192.0.2.10", 1 },
		{ "192.0.2.0/28", "192.0.2.1", "192.0.2.14", 14 },
		{ "192.0.2.0/30", "192.0.2.1", "192.0.2.2", 2 },
		{ "192.0.2.0/31", "192.0.2.0", "192.0.2.1", 2 },
		{ "192.0.2.7/32", "192.0.2.7", "192.0.2.7", 1 },
		{ "192.0.2.250-192.0.3.4", "192.0.2.250", "192.0.3.4", 11 },
		{ "2001:DB8::10-2001:db8:0::1f", "2001:db8::10", "2001:db8::1f", 16 },
		{ "2001:db8::/126", "2001:db8::1", "2001:db8::3", 3 },
		{ "2001:db8::/127", "2001:db8::", "2001:db8::1", 2 },
		{ "2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", 0 },
		{ "255.255.255.255", "255.255.255.255", "255.255.255.255", 1 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address_pool pool = { .count = 0 };
		struct pool_walk walk = { .range = 0 };
		struct arena *arena = arena_new();
		struct error err;
		struct str ip;
		assert_true(pool_add(&pool, str_of(rows[i].text), &err));
		assert_true(pool_has(&pool, str_of(rows[i].first)));
		assert_true(pool_has(&pool, str_of(rows[i].last)));
		unsigned count = 0;
		for (; count < 100 && pool_next(&pool, &walk, arena, &ip); count++) {
			assert_true(pool_has(&pool, ip));
			if (count == 0)
				assert_string_equal(ip.p, rows[i].first);
			if (count + 1 == rows[i].count)
				assert_string_equal(ip.p, rows[i].last);
		}
		assert_int_equal(count, rows[i].count ? rows[i].count : 100);
		arena_free(arena);
	}
}

/* Range by range; an address that is in two of them comes twice. */
static void several(void **state)
{
	static const char *const want[] = { "192.0.2.9", "2001:db8::1", "192.0.2.8", "192.0.2.9" };
	struct address_pool pool = { .count = 0 };
	struct pool_walk walk = { .range = 0 };
	struct arena *arena = arena_new();
	struct error err;
	struct str ip;
	(void)state;
	assert_false(pool_next(&pool, &walk, arena, &ip));
	assert_false(pool_has(&pool, STR("192.0.2.9")));
	assert_true(pool_add(&pool, STR("192.0.2.9"), &err));
	assert_true(pool_add(&pool, STR("2001:db8::1"), &err));
	assert_true(pool_add(&pool, STR("192.0.2.8-192.0.2.9"), &err));
	for (size_t i = 0; i < 4; i++) {
		assert_true(pool_next(&pool, &walk, arena, &ip));
		assert_string_equal(ip.p, want[i]);
	}
	assert_false(pool_next(&pool, &walk, arena, &ip));
	assert_false(pool_next(&pool, &walk, arena, &ip));
	static const char *const outside[] = { "192.0.2.7", "192.0.2.10", "2001:db8::2", "::",
					       "c000:209::", "x", "" };
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_false(pool_has(&pool, str_of(outside[i])));
	arena_free(arena);
}

static void bad(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "not an address" },
		{ "gw.example.com", "not an address" },
		{ "192.0.2.1-", "not an address" },
		{ "-192.0.2.1", "not an address" },
		{ "192.0.2.1-2001:db8::1", "not an address" },
		{ "192.0.2.1-192.0.2.2-192.0.2.3", "not an address" },
		{ "192.0.2.9-192.0.2.8", "ends before it begins" },
		{ "192.0.2.0/33", "not a network" },
		{ "192.0.2.0/", "not a network" },
		{ "2001:db8::/129", "not a network" },
		{ "192.0.2.1/28", "bits behind its prefix" },
		{ "0.0.0.0", "every address" },
		{ "::-::ff", "every address" },
		{ "1111:1111:1111:1111:1111:1111:1111:11111111", "not an address" },
		{ "[2001:db8::1]", "not an address" },
	};
	struct address_pool pool = { .count = 0 };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(pool_add(&pool, str_of(rows[i].text), &err));
		assert_int_equal(err.code, ERR_SYNTAX);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
	assert_int_equal(pool.count, 0);
	for (size_t i = 0; i < POOL_MAX_RANGES; i++)
		assert_true(pool_add(&pool, STR("192.0.2.1"), &err));
	assert_false(pool_add(&pool, STR("192.0.2.1"), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(several),
		cmocka_unit_test(bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
