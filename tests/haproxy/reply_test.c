/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void successes(void **state)
{
	(void)state;
	static const char *const good[] = {
		"\n",
		"\n\nNew server registered.\n\n\n",
		"Transaction created for certificate /c/a.pem!\n\n",
		"Committing /c/a.pem\nSuccess!\n\n",
		"New empty certificate store '/c/a.pem'!\n",
		"Inserting certificate '/c/a.pem' in crt-list '/c/l'.\nSuccess!\n",
		"IP changed from '10.0.0.1' to '10.0.0.2' by 'stats socket command'\n",
		"Server deleted.\n",
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct error err;
		if (!reply_ok(str_of(good[i]), &err))
			fail_msg("'%s': %s", good[i], err.text);
	}
}

static void failures(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\nentry not found.\n\n",
		"New server registered.\n\nAlready exists a server with the same name in backend.\n",
		"No such server.\n",
		"Unknown map identifier. Please use #<id> or <file>.\n",
		"Only servers in maintenance mode can be deleted.\n",
		"Server still has connections attached to it, cannot remove it.\n",
		"Unknown command: 'bogus', but maybe one of the following ones is a better match:\n",
		"unable to load certificate\n",
		"Permission denied\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err;
		if (reply_ok(str_of(bad[i]), &err))
			fail_msg("'%s' is no success", bad[i]);
		assert_int_equal(err.code, ERR_REFUSED);
	}
	struct error err;
	assert_false(reply_ok(STR(""), &err));
	assert_int_equal(err.code, ERR_PROTO);
}

static void info(void **state)
{
	(void)state;
	struct reply_info got;
	struct error err;
	assert_true(reply_info(STR("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 4711\n"
				   "Uptime_sec: 9\nStopping: 1\n"
				   "description: schema 0a1b 64\n"),
			       &got, &err));
	assert_true(str_is(got.version, "2.6.12-1+deb12u4"));
	assert_int_equal(got.pid, 4711);
	assert_int_equal(got.uptime_s, 9);
	assert_true(got.stopping);
	assert_true(str_is(got.description, "schema 0a1b 64"));
	assert_false(reply_info(STR("Permission denied\n"), &got, &err));
	assert_false(reply_info(STR("Version: 3\nPid: -4\n"), &got, &err));
	assert_false(reply_info(STR_NONE, &got, &err));
}

#define STATE_HEADER                                                                            \
	"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight " \
	"srv_iweight srv_time_since_last_change srv_check_status srv_check_result "             \
	"srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id "      \
	"srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "                \
	"srv_agent_addr srv_agent_port\n"

static void servers(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct live_server *got;
	size_t count;
	struct error err;
	assert_true(reply_servers(arena,
				  STR(STATE_HEADER
				      "5 z.be 3 pod-b fd00::1 2 0 7 1 1 1 0 0 0 0 0 1 - 8080 - 0 "
				      "0 - - 0\n"
				      "4 a.be 2 pod-a 10.0.0.1 0 1 256 1 1 1 0 0 0 0 0 1 - 80 - 0 "
				      "0 - - 0\n\n"),
				  &got, &count, &err));
	assert_int_equal(count, 2);
	assert_true(str_is(got[0].address, "fd00::1"));
	assert_int_equal(got[0].port, 8080);
	assert_int_equal(got[0].id, 3);
	assert_true(str_is(got[1].key, "a.be/pod-a"));
	assert_int_equal(got[1].admin, ADMIN_MAINT);
	assert_int_equal(got[1].weight, 256);
	static const char *const bad[] = {
		"", "2\n\n", "1\n\n", "1\n# be_id be_name\n\n", STATE_HEADER "4 a.be 2\n\n",
		STATE_HEADER "4 a.be x pod 10.0.0.1 0 1 1 1 1 1 0 0 0 0 0 1 - 80 - 0 0 - - 0\n\n",
		STATE_HEADER "4 a.be 2 pod 10.0.0.1 0 1 1 1 1 1 0 0 0 0 0 1 - 99999 - 0 0 - - 0\n\n",
		STATE_HEADER "4 a.be 2 pod 10.0.0.1 0 1 1 1 1 1 0 0 0 0 0 1 - 80 - 0 0 - - 0\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(reply_servers(arena, str_of(bad[i]), &got, &count, &err));
		assert_int_equal(err.code, ERR_PROTO);
	}
	arena_free(arena);
}

static void maps(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct image_entry *got;
	size_t count;
	struct error err;
	assert_true(reply_map(arena, STR("0x55d b two words \n0x55e a x|y;\"z\"\n\n"), &got,
			      &count, &err));
	assert_int_equal(count, 2);
	assert_true(str_is(got[0].key, "a"));
	assert_true(str_is(got[0].value, "x|y;\"z\""));
	assert_true(str_is(got[1].value, "two words "));
	assert_true(reply_map(arena, STR("\n"), &got, &count, &err));
	assert_int_equal(count, 0);
	assert_false(reply_map(arena, STR("Unknown map identifier.\n"), &got, &count, &err));
	arena_free(arena);

	struct map *counts = reply_map_counts(
		STR("# id (file) description\n"
		    "0 (/m/rules.map) pattern loaded from file '/m/rules.map' used by map at line "
		    "1. curr_ver=0 next_ver=0 entry_cnt=12\n"
		    "1 (/m/empty.map) x. curr_ver=0 next_ver=0 entry_cnt=0\n"
		    "2 (/m/bad.map) x. entry_cnt=many\nrubbish )( entry_cnt=3\n"));
	assert_int_equal((uintptr_t)map_get(counts, STR("/m/rules.map")), 13);
	assert_int_equal((uintptr_t)map_get(counts, STR("/m/empty.map")), 1);
	assert_null(map_get(counts, STR("/m/bad.map")));
	map_free(counts, NULL);
}

static void processes(void **state)
{
	(void)state;
	struct reply_proc got;
	struct error err;
	assert_true(reply_proc(
		STR("#<PID>          <type>          <reloads>       <uptime>        <version>\n"
		    "10              master          1 [failed: 2]   0d00h00m02s     2.6.12\n"
		    "# workers\n12              worker          0               0d00h00m01s  2.6\n"
		    "# old workers\n11              worker          1               0d00h00m02s\n"
		    "# programs\n\n"),
		&got, &err));
	assert_int_equal(got.master_pid, 10);
	assert_int_equal(got.worker_pid, 12);
	assert_int_equal(got.failed, 2);
	assert_false(reply_proc(STR("Permission denied\n"), &got, &err));
}

/* Every prefix of a good answer: refused or taken, never read past its end. */
static void cut_short(void **state)
{
	(void)state;
	static const char good[] = STATE_HEADER
		"5 z.be 3 pod-b fd00::1 2 0 7 1 1 1 0 0 0 0 0 1 - 8080 - 0 0 - - 0\n\n";
	for (size_t n = 0; n <= sizeof(good) - 1; n++) {
		char *copy = xmalloc(n + 1);
		memcpy(copy, good, n);
		struct str text = { copy, n };
		struct arena *arena = arena_new();
		struct live_server *servers_got;
		struct image_entry *entries;
		struct str *lines;
		size_t count;
		struct reply_info info_got;
		struct reply_proc proc;
		bool whole = reply_servers(arena, text, &servers_got, &count, NULL);
		assert_int_equal(whole, n == sizeof(good) - 1);
		(void)!reply_map(arena, text, &entries, &count, NULL);
		(void)!reply_info(text, &info_got, NULL);
		(void)!reply_proc(text, &proc, NULL);
		(void)!reply_ok(text, NULL);
		(void)reply_lines(arena, text, &lines);
		map_free(reply_map_counts(text), NULL);
		assert_true(str_empty(reply_fingerprint(text)));
		arena_free(arena);
		free(copy);
	}
}

/* Whole lines are not enough: the rest of the map would be added a second time. */
static void maps_cut_short(void **state)
{
	(void)state;
	static const char good[] = "0x55aa a.com/ab one\n0x55ab a.com/b two\n\n";
	for (size_t n = 0; n <= sizeof(good) - 1; n++) {
		struct arena *arena = arena_new();
		struct image_entry *entries;
		struct error err = { 0 };
		size_t count;
		bool whole = reply_map(arena, (struct str){ good, n }, &entries, &count, &err);
		assert_int_equal(whole, n == sizeof(good) - 1);
		assert_int_equal(err.code, whole ? ERR_NONE : ERR_PROTO);
		arena_free(arena);
	}
}

/* Bytes changed at random (but the same each time) in answers to everything. */
static void garbage(void **state)
{
	(void)state;
	static const char good[] = STATE_HEADER
		"5 z.be 3 pod-b fd00::1 2 0 7 1 1 1 0 0 0 0 0 1 - 8080 - 0 0 - - 0\n"
		"0x55aa a.com/ab one\n1 (/run/x.map) pattern loaded entry_cnt=5\n"
		"SHA1 FingerPrint: 00\n10 master 2 [failed: 1] 0d\nPid: 1\nVersion: 2.6\n";
	static const char signs[] = "\n \t0x9#:()[]\0\377";
	uint32_t seed = 1;
	for (int turn = 0; turn < 2000; turn++) {
		char text[sizeof(good)];
		memcpy(text, good, sizeof(good));
		for (int i = 0; i < 4; i++) {
			seed = seed * 1664525u + 1013904223u;
			text[(seed >> 8) % (sizeof(good) - 1)] = signs[(seed >> 24) % sizeof(signs)];
		}
		size_t start = (seed >> 16) % sizeof(good), count;
		struct str reply = { text + start, sizeof(good) - 1 - start };
		struct arena *arena = arena_new();
		struct live_server *servers_got;
		struct image_entry *entries;
		struct str *lines;
		struct reply_info info_got;
		struct reply_proc proc;
		struct error err;
		(void)!reply_servers(arena, reply, &servers_got, &count, &err);
		(void)!reply_map(arena, reply, &entries, &count, &err);
		(void)!reply_info(reply, &info_got, &err);
		(void)!reply_proc(reply, &proc, &err);
		(void)!reply_ok(reply, &err);
		assert_in_range(reply_lines(arena, reply, &lines), 0, reply.n);
		map_free(reply_map_counts(reply), NULL);
		(void)reply_fingerprint(reply);
		arena_free(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(successes), cmocka_unit_test(failures),  cmocka_unit_test(info),
		cmocka_unit_test(servers),   cmocka_unit_test(maps),	  cmocka_unit_test(processes),
		cmocka_unit_test(cut_short), cmocka_unit_test(maps_cut_short),
		cmocka_unit_test(garbage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
