/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/readback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

#define PLAN                                              \
	"frontend\tdefault.tls.443\thttps *:443\n"        \
	"certificate\tdefault.c\t00\n"                    \
	"sni\tdefault.tls.443 default.c\ta.com b.com\n"   \
	"backend\tdefault.a.80\th1\n"                     \
	"server\tdefault.a.80/p\t10.0.0.1:80 3\n"         \
	"rule\t@r/a/0\tone\n"                             \
	"rule\t@r/b/0\ttwo\n"

struct fixture {
	struct readback rb;
	struct sb differences;
};

static void begin(struct fixture *f, const char *version)
{
	memset(f, 0, sizeof(*f));
	sb_init(&f->differences, 1 << 16);
	f->rb.state = world_state(version, "/run/tg", PLAN);
	f->rb.commands = commands_new();
	f->rb.differences = &f->differences;
}

static void end(struct fixture *f)
{
	sb_fini(&f->differences);
	commands_free(f->rb.commands);
	state_free(f->rb.state);
}

static void expect(struct fixture *f, size_t found, const char *commands)
{
	commands_flush(f->rb.commands);
	struct sb sb;
	sb_init(&sb, 1 << 16);
	for (size_t i = 0; i < f->rb.commands->count; i++)
		sb_add(&sb, f->rb.commands->batches[i]);
	assert_string_equal(sb.data ? sb.data : "", commands);
	assert_int_equal(f->rb.found, found);
	sb_fini(&sb);
}

static void compare_rules(struct fixture *f, const char *reply)
{
	struct error err;
	struct image *image = image_new(f->rb.state, STR("rules.map"));
	assert_true(readback_map(&f->rb, &image->maps[0], str_of(reply), &err));
	image_free(image);
}

static void maps(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "2.6.12");
	compare_rules(&f, "0x1 @r/b/0 two\n0x2 @r/a/0 one\n\n");
	expect(&f, 0, "");
	end(&f);

	begin(&f, "2.6.12");
	compare_rules(&f, "0x1 @r/a/0 changed\n0x2 @r/x/0 extra\n\n");
	expect(&f, 3,
	       "add map /run/tg/maps/rules.map @r/b/0 two;"
	       "set map /run/tg/maps/rules.map @r/a/0 one\n");
	/* A record that is too much stays until no request can be on it. */
	assert_true(state_is_leaving(f.rb.state, STR("rules.map"), STR("@r/x/0")));
	assert_non_null(strstr(f.differences.data,
			       "map rules.map @r/a/0: HAProxy has changed, plan has one\n"));
	end(&f);

	/* An entry in its grace time is no difference; a double one is. */
	begin(&f, "2.6.12");
	state_leave(f.rb.state, STR("rules.map"), STR("@r/x/0"), 0);
	compare_rules(&f, "0x1 @r/a/0 one\n0x2 @r/x/0 extra\n0x3 @r/b/0 two\n0x4 @r/b/0 two\n\n");
	expect(&f, 1,
	       "del map /run/tg/maps/rules.map @r/b/0;"
	       "add map /run/tg/maps/rules.map @r/b/0 two\n");
	end(&f);

	/* What a shorter key would take meanwhile, or point at, comes before it. */
	begin(&f, "2.6.12");
	texts_put(f.rb.state->tables[PLAN_RULE], STR("@r/a/0/1"), STR("three"));
	compare_rules(&f, "0x1 @r/a/0 old\n0x2 @r/b/0 two\n\n");
	expect(&f, 2,
	       "add map /run/tg/maps/rules.map @r/a/0/1 three;"
	       "set map /run/tg/maps/rules.map @r/a/0 one\n");
	end(&f);

	/* Thought to be waiting for its deletion, but not there: it can be added again. */
	begin(&f, "2.6.12");
	state_leave(f.rb.state, STR("rules.map"), STR("@r/x/0"), 0);
	state_leave(f.rb.state, STR("splits.map"), STR("@r/x/0"), 0);
	compare_rules(&f, "0x1 @r/b/0 two\n0x2 @r/a/0 one\n\n");
	expect(&f, 0, "");
	assert_false(state_is_leaving(f.rb.state, STR("rules.map"), STR("@r/x/0")));
	assert_true(state_is_leaving(f.rb.state, STR("splits.map"), STR("@r/x/0")));
	end(&f);

	/* An answer that is none changes nothing. */
	begin(&f, "2.6.12");
	struct error err;
	struct image *image = image_new(f.rb.state, STR("rules.map"));
	assert_false(readback_map(&f.rb, &image->maps[0], STR("Unknown map\n\n"), &err));
	assert_false(readback_map(&f.rb, &image->maps[0], STR("0x1 @r/a/0 one\n"), &err));
	assert_false(readback_map(&f.rb, &image->maps[0], STR_NONE, &err));
	image_free(image);
	expect(&f, 0, "");
	end(&f);
}

#define HEADER "1\n# be_name srv_id srv_name srv_addr srv_admin_state srv_uweight srv_port\n"

static void compare_servers(struct fixture *f, const char *lines)
{
	struct error err;
	char reply[1000];
	snprintf(reply, sizeof(reply), "%s%s\n", HEADER, lines);
	assert_true(readback_servers(&f->rb, str_of(reply), &err));
}

static void servers(void **state)
{
	(void)state;
	static const struct {
		const char *live;
		size_t found;
		const char *commands;
	} rows[] = {
		{ "default.a.80 1 p 10.0.0.1 0 3 80\n", 0, "" },
		{ "http-404 9 other 10.0.0.1 1 3 80\ndefault.a.80 1 p 10.0.0.1 0 3 80\n", 0, "" },
		{ "default.a.80 1 p 10.0.0.1 1 3 80\n", 1,
		  "set server default.a.80/p state ready\n" },
		{ "default.a.80 1 p 10.0.0.1 8 3 80\n", 1,
		  "set server default.a.80/p state ready\n" },
		{ "default.a.80 1 p 10.0.0.1 0 9 80\n", 1, "set server default.a.80/p weight 3\n" },
		{ "default.a.80 1 p 10.0.0.2 0 3 81\n", 1,
		  "set server default.a.80/p state maint;"
		  "set server default.a.80/p addr 10.0.0.1 port 80;"
		  "set server default.a.80/p state ready;set server default.a.80/p weight 3\n" },
		{ "default.a.80 1 p 10.0.0.1 0 3 80\ndefault.a.80 7 q 10.0.0.1 0 3 80\n", 1,
		  "set server default.a.80/q state maint\n" },
		/* Deleted while it was listed, perhaps. */
		{ "default.a.80 1 p 10.0.0.1 0 3 80\ndefault.a.80 7 q 10.0.0.1 1 3 80\n", 1, "" },
		/* Gone: a new one with an id that was never used. */
		{ "", 1,
		  "add server default.a.80/p 10.0.0.1:80 weight 3 id 2;"
		  "set server default.a.80/p state ready\n" },
		{ "default.b.80 41 x 10.0.0.1 0 3 80\n", 1,
		  "add server default.a.80/p 10.0.0.1:80 weight 3 id 42;"
		  "set server default.a.80/p state ready\n" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		begin(&f, "3.4.0");
		compare_servers(&f, rows[i].live);
		expect(&f, rows[i].found, rows[i].commands);
		end(&f);
	}
}

/* A backend that goes keeps its servers up for those who are on the way to them. */
static void leaving_backend(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "3.4.0");
	f.rb.server_due_ms = 77;
	state_set_place(f.rb.state, STR("default.b.80"), PLACE_DYNAMIC, 0);
	const char *live = "default.a.80 1 p 10.0.0.1 0 3 80\ndefault.b.80 2 q 10.0.0.1 0 3 80\n";
	compare_servers(&f, live);
	expect(&f, 1, "");
	const struct slot *slot = state_find_slot(f.rb.state, STR("default.b.80/q"));
	assert_true(slot && slot->leaving && !slot->maint);
	assert_int_equal(slot->due_ms, 77);
	compare_servers(&f, live);
	expect(&f, 1, "");
	compare_servers(&f, "default.a.80 1 p 10.0.0.1 0 3 80\n");
	assert_null(state_find_slot(f.rb.state, STR("default.b.80/q")));
	end(&f);
}

/* What an operator has set is no drift; that it is undone by somebody else is. */
static void overrides(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "3.4.0");
	state_put_str(f.rb.state->overrides, STR("default.a.80/p"), STR("drain"));
	compare_servers(&f, "default.a.80 1 p 10.0.0.1 8 3 80\n");
	expect(&f, 0, "");
	compare_servers(&f, "default.a.80 1 p 10.0.0.1 1 3 80\n");
	expect(&f, 1,
	       "set server default.a.80/p state ready;set server default.a.80/p state drain\n");
	end(&f);

	/* After a reload: no request before it drains. */
	begin(&f, "3.4.0");
	state_put_str(f.rb.state->overrides, STR("default.a.80/p"), STR("drain"));
	compare_servers(&f, "default.a.80 1 p 10.0.0.1 0 0 80\n");
	expect(&f, 2,
	       "set server default.a.80/p state ready;set server default.a.80/p state drain;"
	       "set server default.a.80/p weight 3\n");
	end(&f);
}

static void backends(void **state)
{
	(void)state;
	struct error err;
	struct fixture f;
	begin(&f, "3.4.0");
	assert_true(readback_backends(&f.rb, STR("# name\nhttp-404\n\n"), STR_NONE, &err));
	expect(&f, 1, "add backend default.a.80 from tidegate;publish backend default.a.80\n");
	end(&f);

	/* A controller that finds a running HAProxy learns what somebody has added. */
	begin(&f, "3.4.0");
	state_drop_place(f.rb.state, STR("default.a.80"));
	assert_true(readback_backends(&f.rb, STR("# name\ndefault.a.80\n\n"), STR_NONE, &err));
	expect(&f, 0, "publish backend default.a.80\n");
	assert_int_equal(state_find_place(f.rb.state, STR("default.a.80"))->kind, PLACE_DYNAMIC);
	end(&f);

	/* A controller that finds a running 2.6 learns where its backends are. */
	begin(&f, "2.6.12");
	state_set_spares(f.rb.state, 4);
	state_drop_place(f.rb.state, STR("default.a.80"));
	assert_true(readback_backends(&f.rb, STR("# name\nspare-0\nspare-2\n\n"),
				      STR("0x1 any yes\n0x2 default.a.80 spare-2\n\n"), &err));
	expect(&f, 0, "");
	assert_int_equal(state_find_place(f.rb.state, STR("default.a.80"))->spare, 2);
	compare_servers(&f, "spare-2 1 p 10.0.0.1 0 3 80\n");
	expect(&f, 0, "");
	end(&f);

	/* A spare that HAProxy was never told of. */
	begin(&f, "2.6.12");
	state_set_spares(f.rb.state, 4);
	state_drop_place(f.rb.state, STR("default.a.80"));
	state_set_place(f.rb.state, STR("default.a.80"), PLACE_SPARE, 3);
	assert_true(readback_backends(&f.rb, STR("# name\nspare-3\n\n"), STR("\n"), &err));
	expect(&f, 2, "add map /run/tg/maps/spare.map any yes;"
		      "add map /run/tg/maps/spare.map default.a.80 spare-3\n");
	end(&f);

	/* One taken while another HAProxy answered, for a backend that ours has. */
	begin(&f, "2.6.12");
	state_set_spares(f.rb.state, 4);
	state_drop_place(f.rb.state, STR("default.a.80"));
	state_set_place(f.rb.state, STR("default.a.80"), PLACE_SPARE, 3);
	assert_true(readback_backends(&f.rb, STR("# name\nspare-3\ndefault.a.80\n\n"), STR("\n"),
				      &err));
	expect(&f, 0, "");
	assert_int_equal(state_find_place(f.rb.state, STR("default.a.80"))->kind, PLACE_STATIC);
	assert_int_equal(state_spares_used(f.rb.state), 0);
	end(&f);

	/* One taken while another HAProxy answered, although ours has lent it to another. */
	begin(&f, "2.6.12");
	state_set_spares(f.rb.state, 4);
	state_drop_place(f.rb.state, STR("default.a.80"));
	state_set_place(f.rb.state, STR("default.a.80"), PLACE_SPARE, 2);
	state_set_place(f.rb.state, STR("default.b.80"), PLACE_SPARE, 2);
	assert_true(readback_backends(&f.rb, STR("# name\ndefault.a.80\nspare-2\n\n"),
				      STR("0x1 any yes\n0x2 default.b.80 spare-2\n\n"), &err));
	expect(&f, 0, "");
	assert_int_equal(state_find_place(f.rb.state, STR("default.a.80"))->kind, PLACE_STATIC);
	assert_int_equal(state_spares_used(f.rb.state), 1);
	end(&f);

	/* A spare is lent after its servers are there. */
	begin(&f, "2.6.12");
	state_set_spares(f.rb.state, 4);
	state_drop_place(f.rb.state, STR("default.a.80"));
	struct commands *lends = f.rb.lends = commands_new();
	assert_true(readback_backends(&f.rb, STR("# name\nspare-0\n\n"), STR("\n"), &err));
	compare_servers(&f, "");
	expect(&f, 1,
	       "add server spare-0/p 10.0.0.1:80 weight 3 id 2 pool-max-conn -1 "
	       "pool-purge-delay 5s;set server spare-0/p state ready\n");
	commands_append(f.rb.commands, lends);
	assert_true(str_is(f.rb.commands->batches[1],
			   "add map /run/tg/maps/spare.map any yes;"
			   "add map /run/tg/maps/spare.map default.a.80 spare-0\n"));
	end(&f);

	/* "any" without one. */
	begin(&f, "2.6.12");
	state_set_spares(f.rb.state, 4);
	assert_true(readback_backends(&f.rb, STR("# name\ndefault.a.80\n\n"),
				      STR("0x1 any yes\n\n"), &err));
	expect(&f, 1, "del map /run/tg/maps/spare.map any\n");
	end(&f);

	/* Backends that a controller could not delete any more. */
	static const struct {
		const char *version, *listed, *spares;
	} rows[] = {
		{ "3.4.0", "# name\nhttp-404\ndefault.a.80\ndefault.b.80\n\n", NULL },
		{ "2.6.12", "# name\nhttp-404\nspare-1\ndefault.a.80\n\n",
		  "0x1 any yes\n0x2 default.b.80 spare-1\n\n" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&f, rows[i].version);
		state_set_spares(f.rb.state, 4);
		f.rb.strays = map_new();
		assert_true(readback_backends(&f.rb, str_of(rows[i].listed),
					      rows[i].spares ? str_of(rows[i].spares) : STR_NONE,
					      &err));
		expect(&f, 0, "");
		assert_int_equal(map_count(f.rb.strays), 1);
		assert_non_null(map_get(f.rb.strays, STR("default.b.80")));
		assert_non_null(state_find_place(f.rb.state, STR("default.b.80")));
		map_free(f.rb.strays, NULL);
		end(&f);
	}

	/* No spare: only a reload helps. */
	begin(&f, "2.6.12");
	state_drop_place(f.rb.state, STR("default.a.80"));
	assert_true(readback_backends(&f.rb, STR("# name\nhttp-404\n\n"), STR("\n"), &err));
	assert_true(f.rb.need_reload);
	end(&f);

	begin(&f, "3.4.0");
	assert_false(readback_backends(&f.rb, STR(""), STR_NONE, &err));
	assert_false(readback_backends(&f.rb, STR("# name\nhttp-404\n"), STR_NONE, &err));
	expect(&f, 0, "");
	end(&f);
}

static void note(void *user, struct str file)
{
	struct sb *sb = user;
	sb_add(sb, file);
	sb_addc(sb, '\n');
}

static void counts(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "2.6.12");
	struct image *image = image_new(f.rb.state, STR_NONE);
	state_leave(f.rb.state, STR("splits.map"), STR("%x/"), 0);
	struct sb sb;
	sb_init(&sb, 1000);
	readback_counts(&f.rb, image,
			STR("0 (/run/tg/maps/rules.map) x. entry_cnt=1\n"
			    "1 (/run/tg/maps/splits.map) x. entry_cnt=1\n"
			    "2 (/run/tg/maps/lists.map) x. entry_cnt=0\n"),
			note, &sb);
	assert_string_equal(sb.data, "rules.map\n");
	sb_fini(&sb);
	image_free(image);
	end(&f);
}

static void crt_lists(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "2.6.12");
	readback_crt_list(&f.rb, STR("default.tls.443"),
			  STR("# /run/tg/certs/default.tls.443.crt-list\n"
			      "/run/tg/certs/default.c.pem:1 a.com b.com\n\n"));
	expect(&f, 0, "");
	readback_crt_list(&f.rb, STR("default.tls.443"), STR("/run/tg/certs/old.pem:7 x.com\n"));
	expect(&f, 2,
	       "add ssl crt-list /run/tg/certs/default.tls.443.crt-list <<\n"
	       "/run/tg/certs/default.c.pem a.com b.com\n\n"
	       "del ssl crt-list /run/tg/certs/default.tls.443.crt-list /run/tg/certs/old.pem:7\n");
	end(&f);
}

/* What a change of filters leaves goes, and is no drift. */
static void crt_list_twice(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "2.6.12");
	readback_crt_list(&f.rb, STR("default.tls.443"),
			  STR("/run/tg/certs/default.c.pem:1 b.com\n"
			      "/run/tg/certs/default.c.pem:4 a.com b.com\n"));
	expect(&f, 0,
	       "del ssl crt-list /run/tg/certs/default.tls.443.crt-list "
	       "/run/tg/certs/default.c.pem:1\n");
	end(&f);
}

/* A line that no command can carry: only a reload helps. */
static void long_crt_list(void **state)
{
	(void)state;
	struct fixture f;
	char name[256], value[17000];
	size_t n = 0;
	memset(name, 'x', 250);
	name[250] = '\0';
	for (int i = 0; i < 64; i++)
		n += (size_t)snprintf(value + n, sizeof(value) - n, "%s%s.a", i ? " " : "", name);
	begin(&f, "2.6.12");
	texts_put(f.rb.state->tables[PLAN_SNI], STR("default.tls.443 default.c"),
		  (struct str){ value, n });
	readback_crt_list(&f.rb, STR("default.tls.443"), STR("# empty\n\n"));
	expect(&f, 1, "");
	assert_true(f.rb.need_reload);
	end(&f);
}

static const char pem[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBbTCCAROgAwIBAgIUTorHSrCw5fX/KGGdouQH3BJP1MswCgYIKoZIzj0EAwIw\n"
	"DDEKMAgGA1UEAwwBYTAeFw0yNjExMjQwMzUxNTdaFw0yNjExMjUwMzUxNTdaMAwx\n"
	"CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ9w4nNqOtX8/aK\n"
	"MF/b/5kdVLNCRZhLduQEDJKf8chFDd9Kc3V+W5a2D2ytPyLWLlL1AjvynaK9PMbT\n"
	"VORsCrlco1MwUTAdBgNVHQ4EFgQU0pQGDErFN0686AcvkZ4vq2Pxq1MwHwYDVR0j\n"
	"BBgwFoAU0pQGDErFN0686AcvkZ4vq2Pxq1MwDwYDVR0TAQH/BAUwAwEB/zAKBggq\n"
	"hkjOPQQDAgNIADBFAiEA4AUu6yzkvKjwHHqELqW1NKj2YfUfZOx5oWOmgjaBueMC\n"
	"IFeD9a/faPW2zxaM0kYWBIGuEyzU17SmV8d3UfHd5zjO\n"
	"-----END CERTIFICATE-----\n";

static void certificates(void **state)
{
	(void)state;
	static const struct {
		bool present;
		const char *fingerprint, *command, *difference;
	} rows[] = {
		{ true, "57C80CE7EB7A4B8ACB74C2A099CA141416EFF540", NULL, NULL },
		{ true, "AAAA", "set ssl cert /c/a.pem <<\n", "HAProxy has AAAA, plan has 57C80CE7" },
		{ false, "", "new ssl cert /c/a.pem\n", "not in HAProxy" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		begin(&f, "2.6.12");
		readback_cert(&f.rb, STR("/c/a.pem"), str_of(pem), rows[i].present,
			      str_of(rows[i].fingerprint));
		commands_flush(f.rb.commands);
		assert_int_equal(f.rb.found, rows[i].command ? 1 : 0);
		assert_true((f.rb.commands->count > 0) == (rows[i].command != NULL));
		if (rows[i].command) {
			assert_true(str_starts(f.rb.commands->batches[0], str_of(rows[i].command)));
			assert_non_null(strstr(f.differences.data, rows[i].difference));
		}
		end(&f);
	}

	struct fixture f;
	begin(&f, "2.6.12");
	readback_transaction(&f.rb, STR("/c/a.pem"));
	expect(&f, 1, "abort ssl cert /c/a.pem\n");
	end(&f);

	/* What is no certificate cannot be compared. */
	begin(&f, "2.6.12");
	readback_cert(&f.rb, STR("/c/a.pem"), STR("garbage"), false, STR_NONE);
	expect(&f, 0, "");
	end(&f);
}

static void fingerprints(void **state)
{
	(void)state;
	char hex[41];
	assert_false(readback_pem_fingerprint(STR("garbage"), hex));
	assert_false(readback_pem_fingerprint(STR_NONE, hex));
	assert_false(readback_pem_fingerprint(
		STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), hex));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),	     cmocka_unit_test(servers), cmocka_unit_test(overrides),
		cmocka_unit_test(leaving_backend),
		cmocka_unit_test(backends),  cmocka_unit_test(counts),	cmocka_unit_test(crt_lists),
		cmocka_unit_test(crt_list_twice),
		cmocka_unit_test(certificates),
		cmocka_unit_test(fingerprints), cmocka_unit_test(long_crt_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
