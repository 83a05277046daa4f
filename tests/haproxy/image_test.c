/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

#define PLAN                                                              \
	"frontend\tdefault.tls.443\thttps *:443\n"                        \
	"frontend\tdefault.web.80\thttp *:80\n"                           \
	"listener\tdefault.tls.443 *\tany\n"                              \
	"listener\tdefault.tls.443 *.example.com\twild\n"                 \
	"listener\tdefault.tls.443 www.example.com\texact\n"              \
	"header\th1/req/set/x-a\tone\n"                                   \
	"header\th1/req/set/x-b\ttwo words\n"                             \
	"header\th1/res/del/x-c\t-\n"                                     \
	"rule\t@default/r/0\tdefault.a.80|500\n"                          \
	"route\tdefault.tls.443 a.com/\thttp-404 -\n"                     \
	"route\tdefault.web.80 a.com/\t@default/r/0\n"                    \
	"route\tdefault.web.80 a.com/b/?\tdefault.a.80 default/r/1\n"     \
	"wildcard\tdefault.web.80 b.com\t*.b.com\n"

static void expect_map(const struct image *image, const char *file, const char *text)
{
	const struct image_map *map = image_find(image, str_of(file));
	assert_non_null(map);
	struct sb sb;
	sb_init(&sb, 1 << 16);
	image_print(map, &sb);
	assert_string_equal(sb.data ? sb.data : "", text);
	sb_fini(&sb);
}

static void files(void **state)
{
	(void)state;
	struct state *s = world_state("2.6.12", "/run/tg", PLAN);
	struct image *image = image_new(s, STR_NONE);
	expect_map(image, "default.web.80.routes.map",
		   "a.com/ @default/r/0\na.com/b/? default.a.80 default/r/1\n");
	expect_map(image, "default.tls.443.routes.map", "a.com/ http-404 -\n");
	expect_map(image, "default.web.80.wildcards.map", "b.com *.b.com\n");
	expect_map(image, "default.tls.443.listeners.map",
		   "* any\nexample.com/* wild\nwww.example.com exact\n");
	expect_map(image, "rules.map", "@default/r/0 default.a.80|500\n");
	expect_map(image, "headers.map",
		   "h1/req/set/x-a one\nh1/req/set/x-b two words\nh1/res/del/x-c -\n");
	expect_map(image, "splits.map", ""); /* exists, since the configuration names it */
	image_free(image);

	image = image_new(s, STR("rules.map"));
	assert_int_equal(image->count, 1);
	image_free(image);

	/* What cannot be bound has no maps in HAProxy. */
	state_put_str(s->blocked, STR("default.web.80"), STR("taken"));
	image = image_new(s, STR_NONE);
	assert_null(image_find(image, STR("default.web.80.routes.map")));
	assert_non_null(image_find(image, STR("default.tls.443.routes.map")));
	image_free(image);
	state_free(s);
}

/* 3.4: name and value with their lengths, two zero bytes (one for names only), in base64. */
static void header_blobs(void **state)
{
	(void)state;
	struct state *s = world_state("3.4.0", "/run/tg", PLAN);
	struct image *image = image_new(s, STR_NONE);
	expect_map(image, "headers.map",
		   "h1/req/set A3gtYQNvbmUDeC1iCXR3byB3b3JkcwAA\n"
		   "h1/res/del A3gtYwA=\n");
	struct str blob = state_header_blob(s, image->arena, STR("h1/res/del"));
	assert_true(str_is(blob, "A3gtYwA="));
	assert_true(str_empty(state_header_blob(s, image->arena, STR("h1/res/set"))));
	image_free(image);
	state_free(s);
}

/* A length of 240 and more takes more bytes: 300 is fc 03, 2300 is fc 80 00. */
static void long_header(void **state)
{
	(void)state;
	static const struct {
		size_t bytes;
		const char *start; /* 01 'x', the length, 'v'... */
	} rows[] = { { 300, "AXj8A3Z2" }, { 2300, "AXj8gAB2" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char value[2301], text[2400];
		memset(value, 'v', rows[i].bytes);
		value[rows[i].bytes] = '\0';
		snprintf(text, sizeof(text), "header\th1/req/set/x\t%s\n", value);
		struct state *s = world_state("3.4.0", "/run/tg", text);
		struct arena *arena = arena_new();
		struct str blob = state_header_blob(s, arena, STR("h1/req/set"));
		assert_true(str_starts(blob, str_of(rows[i].start)));
		arena_free(arena);
		state_free(s);
	}
}

static void spares(void **state)
{
	(void)state;
	struct state *s = world_state("2.6.12", "/run/tg", "backend\tdefault.a.80\th1\n");
	state_set_spares(s, 2);
	unsigned spare;
	assert_true(state_take_spare(s, &spare));
	state_set_place(s, STR("default.b.80"), PLACE_SPARE, spare);
	struct image *image = image_new(s, STR("spare.map"));
	expect_map(image, "spare.map", "any yes\ndefault.b.80 spare-0\n");
	assert_true(str_is(state_live_name(s, image->arena, STR("default.b.80")), "spare-0"));
	assert_true(str_is(state_live_name(s, image->arena, STR("default.a.80")),
			   "default.a.80"));
	image_free(image);
	assert_true(str_is(state_backend_of(s, STR("spare-0")), "default.b.80"));
	assert_null(state_backend_of(s, STR("spare-1")).p);
	state_settle(s);
	assert_int_equal(state_spares_used(s), 0);
	state_free(s);
}

static void values(void **state)
{
	(void)state;
	struct server_value server;
	assert_true(server_parse(STR("[fd00::1]:8080 256"), &server));
	assert_true(str_is(server.address, "fd00::1"));
	assert_int_equal(server.port, 8080);
	assert_int_equal(server.weight, 256);
	static const char *const bad_servers[] = { "", "1.2.3.4:80", "1.2.3.4 1", ":80 1",
						   "1.2.3.4:80 257", "1.2.3.4:99999 1" };
	for (size_t i = 0; i < sizeof(bad_servers) / sizeof(bad_servers[0]); i++)
		assert_false(server_parse(str_of(bad_servers[i]), &server));
	struct frontend_value frontend;
	assert_true(frontend_parse(STR("https 10.0.0.1,[::1]:8443"), &frontend));
	assert_true(frontend.https);
	assert_true(str_is(frontend.addresses, "10.0.0.1,[::1]"));
	assert_true(str_is(frontend.port, "8443") && str_is(frontend.bind_port, "8443"));
	assert_true(frontend_parse(STR("http *:20417 for 80"), &frontend));
	assert_true(str_is(frontend.port, "80") && str_is(frontend.bind_port, "20417"));
	assert_true(str_is(frontend.addresses, "*"));
	assert_false(frontend.transparent);
	assert_true(frontend_parse(STR("http 192.0.2.1:80 transparent"), &frontend));
	assert_true(frontend.transparent && str_is(frontend.port, "80"));
	assert_true(frontend_parse(STR("http *:20417 for 80 transparent"), &frontend));
	assert_true(frontend.transparent && str_is(frontend.port, "80"));
	static const char *const bad[] = { "http *:80 opaque", "http *:80 transparent for 81",
					   "http *:80 for 81 x", "", "http", "tcp *:80", "http *", "http *:0",
					   "http *:65536", "http :80", "http *:80 80",
					   "http *:80 for", "http *:80 for 0" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(frontend_parse(str_of(bad[i]), &frontend));
}

/* A grace time that a re-add ends. */
static void leaving(void **state)
{
	(void)state;
	struct state *s = world_state("2.6.12", "/run/tg", "");
	state_leave(s, STR("rules.map"), STR("@a"), 5);
	assert_true(state_is_leaving(s, STR("rules.map"), STR("@a")));
	assert_false(state_is_leaving(s, STR("splits.map"), STR("@a")));
	assert_true(state_stay(s, STR("rules.map"), STR("@a")));
	assert_false(state_stay(s, STR("rules.map"), STR("@a")));
	state_free(s);
}

/* Until later, never until earlier; one in maint takes no requests, and waits for none. */
static void postponed(void **state)
{
	(void)state;
	struct state *s = world_state("2.6.12", "/run/tg", "");
	static const struct slot before[] = {
		{ .leaving = true, .due_ms = 5 },
		{ .leaving = true, .due_ms = 90 },
		{ .leaving = true, .maint = true, .due_ms = 5 },
		{ .due_ms = 0 },
	};
	static const int64_t after[] = { 20, 90, 5, 0 };
	static const char *const keys[] = { "b/0", "b/1", "b/2", "b/3" };
	for (size_t i = 0; i < 4; i++)
		*state_slot(s, str_of(keys[i])) = before[i];
	state_leave(s, STR("rules.map"), STR("@a"), 5);
	state_leave(s, STR("rules.map"), STR("@b"), 50);
	state_postpone(s, 30, 20);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(state_find_slot(s, str_of(keys[i]))->due_ms, after[i]);
	assert_int_equal(*(int64_t *)map_get(s->leaving, STR("rules.map @a")), 30);
	assert_int_equal(*(int64_t *)map_get(s->leaving, STR("rules.map @b")), 50);
	state_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),  cmocka_unit_test(header_blobs),
		cmocka_unit_test(spares), cmocka_unit_test(long_header),
		cmocka_unit_test(values), cmocka_unit_test(leaving),
		cmocka_unit_test(postponed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
