/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/limits.h"
#include "world.h"

#define PLAN                                              \
	"frontend\tdefault.web.80\thttp *:80\n"           \
	"backend\tdefault.h2.80\th2c\n"                   \
	"backend\tdefault.store.80\th1\n"                 \
	"server\tdefault.store.80/a\t10.0.0.1:8080 1\n"

static struct state *make(const char *version)
{
	return world_state(version, "/run/tg", PLAN);
}

/* All batches, joined: a line each. */
static void expect(struct commands *commands, const char *text)
{
	commands_flush(commands);
	struct sb sb;
	sb_init(&sb, 1 << 20);
	for (size_t i = 0; i < commands->count; i++)
		sb_add(&sb, commands->batches[i]);
	assert_string_equal(sb_str(&sb).p ? sb_str(&sb).p : "", text);
	sb_fini(&sb);
	commands_free(commands);
}

static void quoting(void **state)
{
	(void)state;
	struct sb sb;
	sb_init(&sb, 1000);
	command_quote(&sb, STR("a b;c\\d\"e<<f'#$%\xc3\xbc"));
	assert_string_equal(sb.data, "a\\ b\\;c\\\\d\\\"e\\<\\<f'#$%\xc3\xbc");
	sb_reset(&sb);
	/* Nothing can start a second line. */
	command_quote(&sb, (struct str){ "x\ny\rz\0w", 7 });
	assert_string_equal(sb.data, "x?y?z?w");
	sb_fini(&sb);
}

static void map_commands(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	struct commands *c = commands_new();
	command_map_add(c, s, STR("rules.map"), STR("@a/b/0"), STR("x y|;z"));
	command_map_set(c, s, STR("rules.map"), STR("@a/b/0"), STR("w"));
	command_map_del(c, s, STR("rules.map"), STR("@a/b/0"));
	assert_int_equal(c->command_count, 3);
	expect(c, "add map /run/tg/maps/rules.map @a/b/0 x\\ y|\\;z;"
		  "set map /run/tg/maps/rules.map @a/b/0 w;"
		  "del map /run/tg/maps/rules.map @a/b/0\n");
	state_free(s);
}

/* The others are sent. */
static void too_long_for_any_batch(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	struct commands *c = commands_new();
	char *key = xmalloc(MAX_COMMAND_BYTES);
	memset(key, 'k', MAX_COMMAND_BYTES);
	size_t head = strlen("del map /run/tg/maps/rules.map ");
	command_map_del(c, s, STR("rules.map"), (struct str){ key, MAX_COMMAND_BYTES });
	command_map_del(c, s, STR("rules.map"), (struct str){ key, MAX_COMMAND_BYTES - head });
	assert_int_equal(c->command_count, 0);
	command_map_del(c, s, STR("rules.map"), (struct str){ key, MAX_COMMAND_BYTES - head - 1 });
	command_map_del(c, s, STR("rules.map"), STR("@a/b/0"));
	commands_flush(c);
	assert_int_equal(c->command_count, 2);
	assert_int_equal(c->count, 2);
	assert_int_equal(c->batches[0].n, MAX_COMMAND_BYTES);
	assert_true(str_is(c->batches[1], "del map /run/tg/maps/rules.map @a/b/0\n"));
	commands_free(c);
	free(key);
	state_free(s);
}

static void appended(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	struct commands *first = commands_new(), *then = commands_new();
	command_map_set(first, s, STR("rules.map"), STR("a"), STR("x"));
	command_map_del(then, s, STR("rules.map"), STR("b"));
	commands_append(first, then);
	assert_int_equal(first->command_count, 2);
	expect(first, "set map /run/tg/maps/rules.map a x\ndel map /run/tg/maps/rules.map b\n");
	state_free(s);
}

/* The longest entry that a plan may hold goes into a payload, where nothing is escaped. */
static void long_values(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	struct commands *c = commands_new();
	char *value = xmalloc(MAX_MAP_LINE_BYTES);
	memset(value, '"', MAX_MAP_LINE_BYTES);
	struct str long_value = { value, MAX_MAP_LINE_BYTES };
	command_map_add(c, s, STR("rules.map"), STR("first"), STR("1"));
	command_map_add(c, s, STR("lists.map"), STR("?k"), long_value);
	commands_flush(c);
	assert_int_equal(c->count, 2);
	assert_true(str_starts(c->batches[1], STR("add map /run/tg/maps/lists.map <<\n?k \"\"")));
	assert_true(str_ends(c->batches[1], STR("\"\n\n")));
	assert_true(c->batches[1].n <= MAX_COMMAND_BYTES);
	commands_free(c);

	c = commands_new();
	command_map_set(c, s, STR("lists.map"), STR("?k"), long_value);
	commands_flush(c);
	assert_int_equal(c->count, 2);
	assert_true(str_starts(c->batches[0], STR("del map ")));
	assert_true(str_starts(c->batches[1], STR("add map ")));
	commands_free(c);
	free(value);
	state_free(s);
}

static void batches_are_bounded(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	struct commands *c = commands_new();
	char key[64];
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "host-%d.example.com/", i);
		command_map_add(c, s, STR("default.web.80.routes.map"), str_of(key),
				STR("default.store.80 default/store/0"));
	}
	commands_flush(c);
	assert_true(c->count > 10);
	assert_int_equal(c->command_count, 2000);
	for (size_t i = 0; i < c->count; i++) {
		struct str batch = c->batches[i];
		assert_true(batch.n <= MAX_COMMAND_BYTES);
		/* HAProxy >= 3.0 executes the first line only. */
		assert_int_equal(str_chr(batch, '\n', 0), batch.n - 1);
	}
	commands_free(c);
	state_free(s);
}

/* Around the limit, whatever has to be escaped: never over it, never two lines. */
static void lengths_at_the_limit(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	char *value = xmalloc(MAX_COMMAND_BYTES);
	for (size_t n = MAX_MAP_LINE_BYTES / 2 - 100; n < MAX_MAP_LINE_BYTES; n += 101) {
		struct commands *c = commands_new();
		memset(value, n % 2 ? ';' : 'x', n);
		for (int i = 0; i < 3; i++) {
			command_map_add(c, s, STR("lists.map"), STR("?k"), (struct str){ value, n });
			command_map_set(c, s, STR("lists.map"), STR("?k"), (struct str){ value, n });
		}
		commands_flush(c);
		for (size_t i = 0; i < c->count; i++) {
			assert_in_range(c->batches[i].n, 1, MAX_COMMAND_BYTES);
			assert_true(str_ends(c->batches[i], STR("\n")));
		}
		commands_free(c);
	}
	free(value);
	state_free(s);
}

static void crt_list_lines(void **state)
{
	(void)state;
	struct str list = STR("/run/tg/certs/a.crt-list"), path = STR("/run/tg/certs/c.pem");
	char *filters = xmalloc(MAX_COMMAND_BYTES);
	size_t taken = 0;
	memset(filters, 'x', MAX_COMMAND_BYTES);
	filters[0] = ' ';
	for (size_t n = MAX_COMMAND_BYTES - 200; n <= MAX_COMMAND_BYTES; n++) {
		struct commands *c = commands_new();
		bool fits = command_crt_list_add(c, list, path, (struct str){ filters, n });
		commands_flush(c);
		assert_int_equal(c->count, fits ? 1 : 0);
		if (fits)
			assert_in_range(c->batches[0].n, n, MAX_COMMAND_BYTES);
		taken += fits;
		commands_free(c);
	}
	assert_in_range(taken, 50, 190);
	free(filters);
}

static void servers(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	struct commands *c = commands_new();
	command_server_add(c, s, STR("default.h2.80/p"), STR("[fd00::1]:80 7"));
	expect(c, "add server default.h2.80/p [fd00::1]:80 weight 7 id 2 pool-max-conn -1 "
		  "pool-purge-delay 5s proto h2;set server default.h2.80/p state ready\n");
	c = commands_new();
	command_server_set(c, s, STR("default.h2.80/p"), STR("[fd00::2]:81 7"),
			   STR("[fd00::1]:80 7"));
	expect(c, "set server default.h2.80/p state maint;"
		  "set server default.h2.80/p addr fd00::2 port 81;"
		  "set server default.h2.80/p state ready\n");
	c = commands_new();
	command_server_set(c, s, STR("default.h2.80/p"), STR("[fd00::2]:81 0"),
			   STR("[fd00::2]:81 7"));
	expect(c, "set server default.h2.80/p weight 0\n");
	state_free(s);
}

/* A server that comes back before it was deleted is not added a second time, and an id is
 * never given to another server. */
static void server_returns(void **state)
{
	(void)state;
	struct state *s = make("3.4.0");
	struct commands *c = commands_new();
	command_server_maint(c, s, STR("default.store.80/a"));
	command_server_add(c, s, STR("default.store.80/a"), STR("10.0.0.9:80 2"));
	expect(c, "set server default.store.80/a state maint;"
		  "set server default.store.80/a addr 10.0.0.9 port 80;"
		  "set server default.store.80/a weight 2;"
		  "set server default.store.80/a state ready\n");
	assert_false(state_find_slot(s, STR("default.store.80/a"))->leaving);
	c = commands_new();
	command_server_del(c, s, STR("default.store.80/a"));
	expect(c, "wait 20ms srv-removable default.store.80/a;del server default.store.80/a\n");
	state_drop_slot(s, STR("default.store.80/a"));
	c = commands_new();
	command_server_add(c, s, STR("default.store.80/a"), STR("10.0.0.9:80 2"));
	expect(c, "add server default.store.80/a 10.0.0.9:80 weight 2 id 2;"
		  "set server default.store.80/a state ready\n");
	state_free(s);
}

static void server_under_override(void **state)
{
	(void)state;
	struct state *s = make("3.0.0");
	state_put_str(s->overrides, STR("default.store.80/b"), STR("drain"));
	struct commands *c = commands_new();
	command_server_add(c, s, STR("default.store.80/b"), STR("10.0.0.2:80 1"));
	expect(c, "add server default.store.80/b 10.0.0.2:80 weight 1 id 2;"
		  "set server default.store.80/b state drain\n");
	state_free(s);
}

static void backends_34(void **state)
{
	(void)state;
	struct state *s = make("3.4.0");
	struct commands *c = commands_new();
	assert_true(command_backend_add(c, s, STR("default.new.80")));
	assert_true(command_backend_add(c, s, STR("default.new.80"))); /* has its place */
	command_backend_del(c, s, STR("default.new.80"));
	command_backend_del(c, s, STR("default.store.80")); /* static: stays */
	expect(c, "add backend default.new.80 from tidegate;publish backend default.new.80\n"
		  "unpublish backend default.new.80;wait 100ms be-removable default.new.80;"
		  "del backend default.new.80\n");
	assert_non_null(state_find_place(s, STR("default.store.80")));
	state_free(s);
}

static void backends_26(void **state)
{
	(void)state;
	struct state *s = make("2.6.12");
	state_set_spares(s, 2);
	struct commands *c = commands_new();
	assert_true(command_backend_add(c, s, STR("default.new.80")));
	assert_true(command_backend_add(c, s, STR("default.second.80")));
	assert_false(command_backend_add(c, s, STR("default.more.80")));
	command_server_add(c, s, STR("default.new.80/p"), STR("10.0.0.1:80 1"));
	command_backend_del(c, s, STR("default.new.80"));
	command_backend_del(c, s, STR("default.second.80"));
	/* "any" is there as long as one of them is. */
	expect(c, "add map /run/tg/maps/spare.map any yes;"
		  "add map /run/tg/maps/spare.map default.new.80 spare-0;"
		  "add map /run/tg/maps/spare.map default.second.80 spare-1;"
		  "add server spare-0/p 10.0.0.1:80 weight 1 id 2 pool-max-conn -1 "
		  "pool-purge-delay 5s;set server spare-0/p state ready;"
		  "del map /run/tg/maps/spare.map default.new.80;"
		  "del map /run/tg/maps/spare.map default.second.80;"
		  "del map /run/tg/maps/spare.map any\n");
	assert_int_equal(state_spares_used(s), 0);
	state_free(s);
}

static void certificates(void **state)
{
	(void)state;
	struct commands *c = commands_new();
	command_cert_new(c, STR("/c/a.pem"), STR("BEGIN\r\n\n  \nEND"));
	command_crt_list_add(c, STR("/c/f.crt-list"), STR("/c/a.pem"), STR(" a.com *.b.com"));
	command_crt_list_del(c, STR("/c/f.crt-list"), STR("/c/a.pem"));
	command_cert_del(c, STR("/c/a.pem"));
	expect(c, "new ssl cert /c/a.pem\n"
		  "set ssl cert /c/a.pem <<\nBEGIN\nEND\n\n"
		  "commit ssl cert /c/a.pem\n"
		  "add ssl crt-list /c/f.crt-list <<\n/c/a.pem a.com *.b.com\n\n"
		  "del ssl crt-list /c/f.crt-list /c/a.pem;del ssl cert /c/a.pem\n");
	char *big = xcalloc(1, MAX_COMMAND_BYTES);
	assert_false(command_cert_fits(STR("/c/a.pem"), (struct str){ big, MAX_COMMAND_BYTES - 70 }));
	assert_true(command_cert_fits(STR("/c/a.pem"), (struct str){ big, 8000 }));
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quoting),	  cmocka_unit_test(map_commands),
		cmocka_unit_test(too_long_for_any_batch),
		cmocka_unit_test(appended),
		cmocka_unit_test(long_values),	  cmocka_unit_test(batches_are_bounded),
		cmocka_unit_test(lengths_at_the_limit),
		cmocka_unit_test(crt_list_lines),
		cmocka_unit_test(servers),	  cmocka_unit_test(server_returns),
		cmocka_unit_test(server_under_override), cmocka_unit_test(backends_34),
		cmocka_unit_test(backends_26),	  cmocka_unit_test(certificates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
