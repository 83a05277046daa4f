/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/hostname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void covering(void **state)
{
	static const struct {
		const char *hostname, *host;
		bool covers;
	} cases[] = {
		{ "", "anything.example", true },
		{ "", "", true },
		{ "www.example.com", "www.example.com", true },
		{ "www.example.com", "example.com", false },
		{ "www.example.com", "", false },
		{ "*.example.com", "test.example.com", true },
		{ "*.example.com", "foo.test.example.com", true },
		{ "*.example.com", "example.com", false },
		{ "*.example.com", ".example.com", true }, /* no host's name, but the suffix */
		{ "*.example.com", "badexample.com", false },
		{ "*.example.com", "", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (hostname_covers(str_of(cases[i].hostname), str_of(cases[i].host)) !=
		    cases[i].covers)
			fail_msg("'%s' and '%s'", cases[i].hostname, cases[i].host);
	}
}

static void intersection(void **state)
{
	static const struct {
		const char *a, *b, *common; /* NULL: none */
	} cases[] = {
		{ "", "", "" },
		{ "", "www.example.com", "www.example.com" },
		{ "", "*.example.com", "*.example.com" },
		{ "www.example.com", "www.example.com", "www.example.com" },
		{ "www.example.com", "api.example.com", NULL },
		{ "*.example.com", "www.example.com", "www.example.com" },
		{ "*.example.com", "a.b.example.com", "a.b.example.com" },
		{ "*.example.com", "example.com", NULL },
		{ "*.example.com", "*.example.com", "*.example.com" },
		{ "*.example.com", "*.foo.example.com", "*.foo.example.com" },
		{ "*.example.com", "*.example.org", NULL },
		{ "*.foo.example.com", "*.bar.example.com", NULL },
		{ "*.com", "*.example.com", "*.example.com" },
		{ "*.example.com", "*.badexample.com", NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int turn = 0; turn < 2; turn++) {
			struct str a = str_of(turn ? cases[i].b : cases[i].a);
			struct str b = str_of(turn ? cases[i].a : cases[i].b);
			struct str common = STR("untouched");
			bool found = hostname_intersect(a, b, &common);
			const char *wanted = cases[i].common ? cases[i].common : "untouched";
			if (found != (cases[i].common != NULL) || !str_is(common, wanted))
				fail_msg("'" STR_FMT "' and '" STR_FMT "': '" STR_FMT "'",
					 STR_ARG(a), STR_ARG(b), STR_ARG(common));
		}
	}
}

static void order(void **state)
{
	static const char *const sorted[] = { "www.example.com", "a.example.com", "*.foo.example.com",
					      "*.example.com", "*.com", "" };
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (size_t k = 0; k < 6; k++) {
			int found = hostname_cmp_specific(str_of(sorted[i]), str_of(sorted[k]));
			assert_int_equal((found > 0) - (found < 0), (i > k) - (i < k));
		}
	}
}

static void servable(void **state)
{
	(void)state;
	assert_true(hostname_servable(STR("")));
	assert_true(hostname_servable(STR("a.b.c.d.e.f.g.h.i.j")));
	assert_true(hostname_servable(STR("*.a.b.c.d.e.f.g.h")));
	assert_false(hostname_servable(STR("*.a.b.c.d.e.f.g.h.i")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(covering),
		cmocka_unit_test(intersection),
		cmocka_unit_test(order),
		cmocka_unit_test(servable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
