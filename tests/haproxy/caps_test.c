/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/caps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void versions(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned major, minor, patch;
		bool quirks, wait, spop, backends, sync_reload;
	} rows[] = {
		{ "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", 2, 6, 12,
		  true, false, false, false, false },
		{ "2.8.5", 2, 8, 5, true, false, false, false, true },
		{ "2.9.1", 2, 9, 1, true, false, false, false, true },
		{ "3.0.11-1+deb13u4", 3, 0, 11, false, true, false, false, true },
		{ "3.3.0", 3, 3, 0, false, true, true, false, true },
		{ "HAProxy version 3.4.7-1 2026/10/14", 3, 4, 7, false, true, true, true, true },
		{ "3.5-dev5-abcdef", 3, 5, 0, false, true, true, true, true },
		{ "10.0.1", 10, 0, 1, false, true, true, true, true },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct haproxy_caps caps;
		assert_true(caps_parse(str_of(rows[i].text), &caps, NULL));
		assert_int_equal(caps.major, rows[i].major);
		assert_int_equal(caps.minor, rows[i].minor);
		assert_int_equal(caps.patch, rows[i].patch);
		assert_int_equal(caps.server_quirks, rows[i].quirks);
		assert_int_equal(caps.unsafe_del_server, rows[i].quirks);
		assert_int_equal(caps.wait_removable, rows[i].wait);
		assert_int_equal(caps.hot_memory, rows[i].wait);
		assert_int_equal(caps.client_timeout, caps.major * 1000 + caps.minor >= 2009);
		assert_int_equal(caps.spop_mode, rows[i].spop);
		assert_int_equal(caps.add_backend, rows[i].backends);
		assert_int_equal(caps.headers_bin, rows[i].backends);
		assert_int_equal(caps.sync_reload, rows[i].sync_reload);
	}
}

static void refused(void **state)
{
	(void)state;
	struct haproxy_caps caps = { .major = 77 };
	struct error err;
	assert_false(caps_parse(STR("HAProxy version 2.5.9"), &caps, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	assert_non_null(strstr(err.text, "is too old"));
	static const char *const garbage[] = { "", "HAProxy", "2", "2.", "3,4", "99999999.1",
					       "nonsense 3.x" };
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		assert_false(caps_parse(str_of(garbage[i]), &caps, &err));
		assert_int_equal(err.code, ERR_SYNTAX);
	}
	assert_int_equal(caps.major, 77); /* outputs are not touched on failure */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
