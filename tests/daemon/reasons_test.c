/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reasons.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static void test_counts_each(void **state)
{
	(void)state;
	struct reasons reasons = { 0 };
	reasons_add(&reasons, "listener a");
	reasons_add(&reasons, "listener b");
	reasons_add(&reasons, "listener a");
	assert_int_equal(reasons.count, 2);
	assert_string_equal(reasons.items[0].text, "listener a");
	assert_int_equal(reasons.items[0].count, 2);
	assert_int_equal(reasons.items[1].count, 1);
}

static void test_counts_all(void **state)
{
	(void)state;
	struct reasons reasons = { 0 };
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MAX_RELOAD_REASONS + 10; i++) {
			char text[32];
			snprintf(text, sizeof(text), "listener %d", i);
			reasons_add(&reasons, text);
		}
	}
	assert_int_equal(reasons.count, MAX_RELOAD_REASONS);
	assert_string_equal(reasons.items[MAX_RELOAD_REASONS - 1].text, "other reasons");
	assert_int_equal(reasons.items[MAX_RELOAD_REASONS - 1].count, 22);
	uint64_t sum = 0;
	for (size_t i = 0; i < reasons.count; i++)
		sum += reasons.items[i].count;
	assert_int_equal(sum, 2 * (MAX_RELOAD_REASONS + 10));
}

static void test_cuts_what_is_too_long(void **state)
{
	(void)state;
	struct reasons reasons = { 0 };
	char text[2 * REASON_BYTES];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	reasons_add(&reasons, text);
	reasons_add(&reasons, text);
	assert_int_equal(reasons.count, 1);
	assert_int_equal(strlen(reasons.items[0].text), REASON_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_each),
		cmocka_unit_test(test_counts_all),
		cmocka_unit_test(test_cuts_what_is_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
