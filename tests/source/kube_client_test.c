/* SPDX-License-Identifier: Apache-2.0 */
/* How long is waited before the next attempt. */
#include "source/kube_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { DRAWS = 200 };

struct range {
	int64_t min_ms, max_ms;
};

static void expect_in(int64_t pause_ms, struct range range, const char *what)
{
	if (pause_ms < range.min_ms || pause_ms > range.max_ms)
		fail_msg("%s: %lld ms", what, (long long)pause_ms);
}

/* A range begins where the one before it ends: whoever waits for longer has waited longer. */
static void test_backoff(void **state)
{
	static const struct {
		unsigned attempt;
		struct range range;
	} rows[] = {
		{ 0, { 125, 250 } },   { 1, { 250, 500 } },	{ 2, { 500, 1000 } },
		{ 4, { 2000, 4000 } }, { 5, { 4000, 8000 } },	{ 6, { 5000, 10000 } },
		{ 7, { 5000, 10000 } }, { 100, { 5000, 10000 } }, { UINT32_MAX, { 5000, 10000 } },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct range range = rows[i].range;
		int64_t middle_ms = (range.min_ms + range.max_ms) / 2;
		unsigned early = 0;
		for (unsigned draw = 0; draw < DRAWS; draw++) {
			int64_t pause_ms = kube_backoff_ms(rows[i].attempt, 250, 10000);
			expect_in(pause_ms, range, "a pause");
			early += pause_ms <= middle_ms;
		}
		/* Those that fail together do not come back together. */
		assert_in_range(early, DRAWS / 10, DRAWS - DRAWS / 10);
	}
}

static void test_smallest(void **state)
{
	(void)state;
	assert_int_equal(kube_backoff_ms(0, 0, 10), 0);
	expect_in(kube_backoff_ms(3, 20, 10), (struct range){ 5, 10 }, "a base above the limit");
}

/* What is refused waits for somebody's change, and does not count as an attempt. */
static void test_retry(void **state)
{
	static const struct {
		const char *name;
		int status;
		int64_t retry_after_ms;
		unsigned attempt;
		struct range range;
		unsigned attempt_after;
	} rows[] = {
		{ "forbidden", 403, 0, 3, { 15000, 15000 }, 3 },
		{ "invalid", 422, 0, 0, { 15000, 15000 }, 0 },
		{ "refused for longer", 403, 20000, 0, { 20000, 20000 }, 0 },
		{ "refused, come back soon", 409, 1000, 0, { 15000, 15000 }, 0 },
		{ "old token", 401, 0, 0, { 125, 250 }, 1 },
		{ "broken off", 0, 0, 1, { 250, 500 }, 2 },
		{ "server's failure", 500, 0, 3, { 1000, 2000 }, 4 },
		{ "still", 500, 0, 40, { 15000, 30000 }, 41 },
		{ "busy", 429, 5000, 0, { 5000, 5000 }, 1 },
		{ "away for a moment", 503, 1, 2, { 500, 1000 }, 3 },
		{ "away for long", 503, 60000, 40, { 60000, 60000 }, 41 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct kube_answer answer = { .status = rows[i].status,
						    .retry_after_ms = rows[i].retry_after_ms };
		for (unsigned draw = 0; draw < DRAWS; draw++) {
			unsigned attempt = rows[i].attempt;
			expect_in(kube_retry_ms(&answer, &attempt), rows[i].range, rows[i].name);
			assert_int_equal(attempt, rows[i].attempt_after);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_retry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
