/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void predicates(void **state)
{
	(void)state;
	static const struct {
		bool (*is)(struct str s);
		const char *yes[6], *no[12];
	} rows[] = {
		{ is_label, { "a", "a-1", "1a", A63 }, { "", "-a", "a-", "A", "a.b", (A63 "a"), "a b" } },
		{ is_subdomain, { "a", "a.b-c", "1.2", (A63 "a") },
		  { "", ".", "a.", ".a", "a..b", "a.-b", "A.b", "*.a", "a_b" } },
		{ is_hostname, { "a", "*.a", "*.example.com", "www.a" },
		  { "", "*", "*.", "a.*.b", "*a.b", "*.*.a", "A.b", "a.b:80", "http://a" } },
		{ is_group, { "", "a", "a.b" }, { "A", "/", "a/b", "*" } },
		{ is_kind, { "A", "Service", "a-1" }, { "", "1a", "a-", "a.b", "*" } },
		{ is_domain_path, { "a.b/c", "a/B/c-._~%", "a/x:y" }, { "", "a", "a/", "/a", "A/b", "a/b c" } },
		{ is_protocol, { "HTTP", "a-b", "x.y/Z1" }, { "", "-", "H TTP", "x/", "X/y", "x/y/z", "x/y-z" } },
		{ is_label_key, { "a", "a.b/c_D", "A-b.c" }, { "", "/a", "a/", "a/b/c", "-a", "A/b", "a b" } },
		{ is_label_value, { "", "a", "A_b-c.d", A63 }, { "-a", "a-", "a b", "a/b", (A63 "a") } },
		{ is_header_name, { "X-a", "!#$%&'*+-.^_`|~" }, { "", "a b", "a:b", "a/b", "a\n", "\xc3\xa4" } },
		{ is_cors_origin, { "*", "http://a", "https://A-.b:80", "http://*", "https://*.a:1" },
		  { "", "a", "http://", "ftp://a", "http://a.", "http://.a", "http://a..b", "http://*.",
		    "http://a.*", "http://a:", "http://a:123456", "http://a/" } },
		{ is_cors_method, { "GET", "*" }, { "", "get", "GETS" } },
		{ is_data_key, { "a.b_C-1", ".a" }, { "", ".", "..", "..a", "a b", "a/b" } },
		{ is_url_path, { "", "/", "/a%2Fb", "a:@!$&'()*+,;=~_-.", "/%aA" },
		  { " ", "/a b", "/%", "/%2", "/%zz", "/a?b", "/a#b", "/a|b", "/\xc3\xa4", "/\\", "/\"" } },
		{ is_ip, { "10.0.0.1", "::1", "2001:db8::1", "::ffff:1.2.3.4" },
		  { "", "10.0.0", "10.0.0.256", "010.0.0.1", "[::1]", "fe80::1%eth0", "a", "1.2.3.4 " } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t j = 0; j < 6 && rows[i].yes[j]; j++) {
			if (!rows[i].is(str_of(rows[i].yes[j])))
				fail_msg("row %zu refuses '%s'", i, rows[i].yes[j]);
		}
		for (size_t j = 0; j < 12 && rows[i].no[j]; j++) {
			if (rows[i].is(str_of(rows[i].no[j])))
				fail_msg("row %zu takes '%s'", i, rows[i].no[j]);
		}
		assert_false(rows[i].is((struct str){ "a\0b", 3 }));
	}
}

static void durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "0s", 0 },          { "10s", 10000 },       { "500ms", 500 },
		{ "1h30m", 5400000 }, { "1h1m1s1ms", 3661001 }, { "99999h", INT64_C(359996400000) },
		{ "5m5m", 600000 },   { "", -1 },             { "10", -1 },
		{ "s", -1 },          { "1.5s", -1 },         { "-1s", -1 },
		{ "100000s", -1 },    { "1s1s1s1s1s", -1 },   { "1s ", -1 },
		{ "1us", -1 },        { "1d", -1 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = -1;
		assert_int_equal(parse_duration(str_of(rows[i].text), &ms), rows[i].ms >= 0);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t s;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2000-02-29T12:34:56Z", 951827696 },
		{ "2026-11-24T00:00:00Z", 1795478400 },
		{ "2026-11-24T01:30:00.123456+01:30", 1795478400 },
		{ "2026-11-23T23:00:00-01:00", 1795478400 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "2100-03-01T00:00:00Z", INT64_C(4107542400) },
	};
	static const char *const wrong[] = { "",
					     "2026-11-24",
					     "2026-13-01T00:00:00Z",
					     "2026-11-24T24:00:00Z",
					     "2026-11-24T00:00:00",
					     "2026-11-24T00:00:00.Z",
					     "2026-11-24T00:00:00Zx",
					     "2026-11-24T00:00:00+1:00",
					     "2026-11-24 00:00:00Z",
					     "26-11-24T00:00:00Z" };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t s = 0;
		assert_true(parse_time(str_of(rows[i].text), &s));
		assert_int_equal(s, rows[i].s);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int64_t s;
		if (parse_time(str_of(wrong[i]), &s))
			fail_msg("takes '%s'", wrong[i]);
	}
}

static void base64(void **state)
{
	(void)state;
	static const struct {
		const char *text, *bytes;
	} rows[] = {
		{ "", "" },           { "YQ==", "a" },  { "YWI=", "ab" },    { "YWJj", "abc" },
		{ "YW\nJj\r\n", "abc" }, { "Pz8/", "???" }, { "Y", NULL },      { "YQ", NULL },
		{ "YQ=", NULL },      { "YQ===", NULL }, { "=YQ=", NULL },   { "Y===", NULL },
		{ "YQ==YQ==", NULL }, { "YQ-_", NULL }, { "hello world", NULL },
	};
	struct arena *arena = arena_new();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str bytes = STR("?");
		if (parse_base64(arena, str_of(rows[i].text), &bytes) != (rows[i].bytes != NULL))
			fail_msg("row %zu: '%s'", i, rows[i].text);
		if (rows[i].bytes)
			assert_true(str_is(bytes, rows[i].bytes));
	}
	arena_free(arena);
}

static void canonical_addresses(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct str text;
	bool ipv6;
	assert_true(canonical_ip(arena, STR("2001:DB8:0:0::1"), &ipv6, &text));
	assert_true(ipv6 && str_is(text, "2001:db8::1"));
	assert_true(canonical_ip(arena, STR("10.0.0.1"), &ipv6, &text));
	assert_true(!ipv6 && str_is(text, "10.0.0.1"));
	assert_false(canonical_ip(arena, STR("a.b"), &ipv6, &text));
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(predicates),
		cmocka_unit_test(durations),
		cmocka_unit_test(times),
		cmocka_unit_test(base64),
		cmocka_unit_test(canonical_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
