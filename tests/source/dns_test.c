/* SPDX-License-Identifier: Apache-2.0 */
/* c-ares against a DNS server on loopback UDP, in the same loop. The server answers from a
 * table that the tests change as they go. */
#include "source/dns.h"

#include <arpa/inet.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sb.h"

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3 };
enum { MAX_RECORDS = 4, QUERY_BYTES = 512, HEADER_BYTES = 12 };

struct zone_name {
	const char *name; /* of one label and "test" */
	const char *v4[MAX_RECORDS], *v6[MAX_RECORDS];
	const char *alias; /* the addresses are this name's, behind a CNAME; a label of "test" */
	uint32_t ttl;
	int rcode, rcode_v6; /* rcode_v6: for AAAA alone */
	bool silent, silent_v6;
};

struct fixture {
	struct ev_loop *loop;
	struct ev_io io;
	int fd;
	struct zone_name names[3];
	unsigned int asked; /* queries that reached the server */
	struct dns *dns;
	struct sb log; /* "name=address,address " for each call of changed() */
};

/* ---- The server ---- */

static void put16(struct sb *out, unsigned int value)
{
	sb_addc(out, (char)(value >> 8));
	sb_addc(out, (char)value);
}

static void put_label(struct sb *out, const char *label)
{
	sb_addc(out, (char)strlen(label));
	sb_adds(out, label);
}

/* The name is the question's (offset 12), or with an alias the CNAME's target. */
static void put_head(struct sb *out, unsigned int name_at, unsigned int type, uint32_t ttl,
		     size_t data_bytes)
{
	put16(out, 0xc000 | name_at);
	put16(out, type);
	put16(out, 1);
	put16(out, ttl >> 16);
	put16(out, ttl & 0xffff);
	put16(out, (unsigned int)data_bytes);
}

static unsigned int put_answers(struct sb *out, const struct zone_name *name, unsigned int type)
{
	const char *const *addresses = type == TYPE_A ? name->v4 : name->v6;
	unsigned int count = 0, name_at = HEADER_BYTES;
	if (name->alias) {
		/* label, then a pointer to "test" in the question */
		unsigned int test_at = HEADER_BYTES + 1 + (unsigned int)strcspn(name->name, ".");
		put_head(out, HEADER_BYTES, TYPE_CNAME, name->ttl, strlen(name->alias) + 3);
		name_at = (unsigned int)out->len;
		put_label(out, name->alias);
		put16(out, 0xc000 | test_at);
		count++;
	}
	for (size_t i = 0; i < MAX_RECORDS && addresses[i]; i++) {
		unsigned char raw[16];
		size_t n = type == TYPE_A ? 4 : 16;
		assert_int_equal(inet_pton(n == 4 ? AF_INET : AF_INET6, addresses[i], raw), 1);
		/* a CNAME's target lives longer than the CNAME */
		put_head(out, name_at, type, name->ttl + (name->alias ? 1000 : 0), n);
		sb_add(out, (struct str){ (const char *)raw, n });
		count++;
	}
	return count;
}

/* The question's name as text; its type. */
static unsigned int parse(const unsigned char *query, size_t n, char *name, size_t *ret_end)
{
	size_t at = HEADER_BYTES, len = 0;
	while (at < n && query[at]) {
		assert_true(at + 1 + query[at] < n && len + query[at] + 1 < 256);
		memcpy(name + len, query + at + 1, query[at]);
		len += query[at];
		name[len++] = '.';
		at += 1u + query[at];
	}
	assert_true(len && at + 5 <= n);
	name[len - 1] = '\0';
	*ret_end = at + 5;
	return (unsigned int)query[at + 1] << 8 | query[at + 2];
}

static const struct zone_name *zone_find(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < sizeof(f->names) / sizeof(*f->names); i++) {
		if (f->names[i].name && strcmp(f->names[i].name, name) == 0)
			return &f->names[i];
	}
	return NULL;
}

static void on_query(struct ev_loop *loop, struct ev_io *io, int revents)
{
	struct fixture *f = io->data;
	unsigned char query[QUERY_BYTES];
	char text[256];
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	struct sb out;
	size_t end;
	(void)loop, (void)revents;
	ssize_t n = recvfrom(f->fd, query, sizeof(query), 0, (struct sockaddr *)&peer, &peer_len);
	assert_true(n > HEADER_BYTES);
	f->asked++;
	unsigned int type = parse(query, (size_t)n, text, &end);
	const struct zone_name *name = zone_find(f, text);
	if (name && (name->silent || (name->silent_v6 && type == TYPE_AAAA)))
		return;
	int rcode = !name ? NXDOMAIN : type == TYPE_AAAA && name->rcode_v6 ? name->rcode_v6
									   : name->rcode;
	sb_init(&out, QUERY_BYTES);
	sb_add(&out, (struct str){ (const char *)query, 2 });
	put16(&out, 0x8180 | (unsigned int)rcode);
	put16(&out, 1);
	for (int i = 0; i < 3; i++)
		put16(&out, 0);
	sb_add(&out, (struct str){ (const char *)query + HEADER_BYTES, end - HEADER_BYTES });
	if (rcode == NOERROR)
		out.data[7] = (char)put_answers(&out, name, type);
	assert_int_equal(sendto(f->fd, out.data, out.len, 0, (struct sockaddr *)&peer, peer_len),
			 (ssize_t)out.len);
	sb_fini(&out);
}

/* ---- The client ---- */

static void on_changed(void *user, struct str host)
{
	struct fixture *f = user;
	struct name_addresses known;
	assert_true(dns_lookup(f->dns, host, &known));
	sb_addf(&f->log, STR_FMT "=", STR_ARG(host));
	for (size_t i = 0; i < known.count; i++)
		sb_addf(&f->log, "%s" STR_FMT, i ? "," : "", STR_ARG(known.addresses[i]));
	sb_addc(&f->log, ' ');
}

static void stop(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	(void)timer, (void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* What was reported since the last call, after so many milliseconds. */
static void expect(struct fixture *f, int ms, const char *log)
{
	struct ev_timer timer;
	ev_now_update(f->loop);
	ev_timer_init(&timer, stop, ms / 1000.0, 0.);
	ev_timer_start(f->loop, &timer);
	ev_run(f->loop, 0);
	assert_string_equal(sb_str(&f->log).p ? sb_str(&f->log).p : "", log);
	sb_reset(&f->log);
}

static void follow(struct fixture *f, const char *a, const char *b)
{
	struct str hosts[] = { str_of(a), str_of(b) };
	dns_follow(f->dns, hosts, b ? 2 : a ? 1 : 0);
}

static struct dns_stats stats(const struct fixture *f)
{
	struct dns_stats stats;
	dns_stats(f->dns, &stats);
	return stats;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	char servers[64];
	struct error err;
	f->loop = ev_loop_new(EVFLAG_AUTO);
	sb_init(&f->log, 4096);
	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&address, &len), 0);
	ev_io_init(&f->io, on_query, f->fd, EV_READ);
	f->io.data = f;
	ev_io_start(f->loop, &f->io);
	snprintf(servers, sizeof(servers), "127.0.0.1:%d", ntohs(address.sin_port));
	f->dns = dns_new(f->loop, servers, on_changed, f, &err);
	assert_non_null(f->dns);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	dns_free(f->dns);
	ev_io_stop(f->loop, &f->io);
	close(f->fd);
	ev_loop_destroy(f->loop);
	sb_fini(&f->log);
	free(f);
	return 0;
}

/* ---- Tests ---- */

static void answers_change(void **state)
{
	struct fixture *f = *state;
	struct name_addresses known;
	f->names[0] = (struct zone_name){ .name = "a.test", .v4 = { "10.0.0.2", "10.0.0.1" },
					  .ttl = 1 };
	f->names[1] = (struct zone_name){ .name = "b.test", .v4 = { "10.0.0.9" }, .ttl = 300 };
	follow(f, "a.test", "b.test");
	assert_false(dns_lookup(f->dns, STR("a.test"), &known)); /* nothing yet, and no wait */
	expect(f, 100, "a.test=10.0.0.1,10.0.0.2 b.test=10.0.0.9 ");
	f->names[0].v4[0] = "10.0.0.1"; /* the same set in another order */
	f->names[0].v4[1] = "10.0.0.2";
	expect(f, 1200, "");
	assert_int_equal(stats(f).queries, 3); /* a.test twice */
	f->names[0].v4[0] = "10.0.0.3";
	f->names[0].v6[0] = "2001:db8::1";
	f->names[1].v4[0] = "10.0.0.8"; /* its TTL has not run out */
	expect(f, 1200, "a.test=10.0.0.2,10.0.0.3,2001:db8::1 ");
	assert_int_equal(stats(f).failures, 0);
	assert_int_equal(stats(f).names, 2);
}

/* A CNAME that runs out sooner than its target; a name with IPv6 only. */
static void aliases_and_ipv6(void **state)
{
	struct fixture *f = *state;
	f->names[0] = (struct zone_name){ .name = "a.test", .alias = "real", .v4 = { "10.0.0.1" },
					  .ttl = 1 };
	f->names[1] = (struct zone_name){ .name = "b.test", .v6 = { "2001:db8::2", "2001:db8::1" },
					  .ttl = 1 };
	follow(f, "a.test", "b.test");
	expect(f, 100, "a.test=10.0.0.1 b.test=2001:db8::1,2001:db8::2 ");
	f->names[0].v4[0] = "10.0.0.2";
	expect(f, 1200, "a.test=10.0.0.2 ");
}

/* Every kind of failure leaves the addresses alone; the first answer after it counts. */
static void failures(void **state)
{
	struct fixture *f = *state;
	struct zone_name good = { .name = "a.test", .v4 = { "10.0.0.1" }, .ttl = 1 };
	struct name_addresses known;
	f->names[0] = good;
	follow(f, "a.test", NULL);
	expect(f, 100, "a.test=10.0.0.1 ");
	f->names[0].rcode = NXDOMAIN;
	expect(f, 1100, "");
	assert_int_equal(stats(f).failures, 1);
	f->names[0] = (struct zone_name){ .name = "a.test", .ttl = 1 }; /* no addresses at all */
	expect(f, 1000, "");
	assert_int_equal(stats(f).failures, 2);
	f->names[0].rcode = SERVFAIL;
	expect(f, 2000, "");
	assert_int_equal(stats(f).failures, 3);
	assert_true(dns_lookup(f->dns, STR("a.test"), &known));
	assert_int_equal(known.count, 1);
	f->names[0] = good;
	f->names[0].v4[0] = "10.0.0.7";
	expect(f, 4200, "a.test=10.0.0.7 ");
	f->names[0].v4[0] = "10.0.0.8"; /* back to the TTL, not to the back-off */
	expect(f, 1200, "a.test=10.0.0.8 ");
}

/* Asked at 0, 1, 3 s: each wait doubles. */
static void backs_off(void **state)
{
	struct fixture *f = *state;
	follow(f, "none.test", NULL);
	expect(f, 600, "");
	assert_int_equal(stats(f).queries, 1);
	expect(f, 1000, "");
	assert_int_equal(stats(f).queries, 2);
	expect(f, 1000, "");
	assert_int_equal(stats(f).queries, 2);
	expect(f, 1000, "");
	assert_int_equal(stats(f).queries, 3);
	assert_int_equal(stats(f).failures, 3);
}

/* One family fails: its last addresses stay, and the other family goes on. */
static void half_failures(void **state)
{
	struct fixture *f = *state;
	f->names[0] = (struct zone_name){ .name = "a.test", .v4 = { "10.0.0.1" },
					  .v6 = { "2001:db8::1" }, .ttl = 1 };
	f->names[1] = (struct zone_name){ .name = "b.test", .v4 = { "10.0.0.3" },
					  .silent_v6 = true, .ttl = 300 };
	follow(f, "a.test", "b.test");
	expect(f, 100, "a.test=10.0.0.1,2001:db8::1 ");
	f->names[0].rcode_v6 = SERVFAIL;
	f->names[0].v4[0] = "10.0.0.2";
	expect(f, 1200, "a.test=10.0.0.2,2001:db8::1 ");
	f->names[0].rcode_v6 = NOERROR; /* and now the name has no IPv6 address any more */
	f->names[0].v6[0] = NULL;
	expect(f, 2200, "a.test=10.0.0.2 ");
	expect(f, 4000, "b.test=10.0.0.3 "); /* when c-ares has given up on the other one */
}

static void silence(void **state)
{
	struct fixture *f = *state;
	f->names[0] = (struct zone_name){ .name = "a.test", .v4 = { "10.0.0.1" }, .ttl = 1 };
	follow(f, "a.test", NULL);
	expect(f, 100, "a.test=10.0.0.1 ");
	f->names[0].silent = true;
	f->names[0].v4[0] = "10.0.0.2";
	expect(f, 1500, "");
	f->names[0].silent = false; /* the question is asked again by itself */
	expect(f, 3000, "a.test=10.0.0.2 ");
	f->names[0].silent = true;
	expect(f, 1500, ""); /* and dns_free() while a question is open */
}

static void forgets(void **state)
{
	struct fixture *f = *state;
	struct name_addresses known;
	f->names[0] = (struct zone_name){ .name = "a.test", .v4 = { "10.0.0.1" }, .ttl = 1 };
	f->names[1] = (struct zone_name){ .name = "b.test", .v4 = { "10.0.0.2" }, .ttl = 1 };
	follow(f, "a.test", "b.test");
	expect(f, 100, "a.test=10.0.0.1 b.test=10.0.0.2 ");
	follow(f, "b.test", NULL);
	assert_false(dns_lookup(f->dns, STR("a.test"), &known));
	assert_true(dns_lookup(f->dns, STR("b.test"), &known)); /* kept, and not asked again */
	f->names[0].v4[0] = "10.0.0.5";
	expect(f, 1200, "");
	/* forgotten while the question is under way, and wanted again before the answer */
	follow(f, "a.test", "b.test");
	ev_run(f->loop, EVRUN_ONCE);
	follow(f, NULL, NULL);
	assert_int_equal(stats(f).names, 0);
	follow(f, "a.test", NULL);
	expect(f, 100, "a.test=10.0.0.5 ");
	unsigned int asked = f->asked;
	follow(f, NULL, NULL);
	expect(f, 1200, "");
	assert_int_equal(f->asked, asked);
}

/* More names than may be asked at the same time. */
static void many_names(void **state)
{
	struct fixture *f = *state;
	static char names[400][16];
	struct str hosts[400];
	for (int i = 0; i < 400; i++) {
		snprintf(names[i], sizeof(names[i]), "n%03d.test", i);
		hosts[i] = str_of(names[i]);
	}
	f->names[0] = (struct zone_name){ .name = names[399], .v4 = { "10.0.0.1" }, .ttl = 9 };
	dns_follow(f->dns, hosts, 400);
	expect(f, 900, "n399.test=10.0.0.1 ");
	assert_true(stats(f).queries >= 400);
}

/* /etc/hosts of every system has this one; DNS is not asked. */
static void hosts_file(void **state)
{
	struct fixture *f = *state;
	struct name_addresses known;
	follow(f, "localhost", NULL);
	while (!dns_lookup(f->dns, STR("localhost"), &known)) /* with or without ::1 */
		ev_run(f->loop, EVRUN_ONCE);
	assert_true(str_is(known.addresses[0], "127.0.0.1"));
	assert_int_equal(f->asked, 0);
}

static void bad_servers(void **state)
{
	struct error err;
	(void)state;
	assert_null(dns_new(ev_default_loop(0), "not an address", on_changed, NULL, &err));
	assert_int_equal(err.code, ERR_SYNTAX);
	assert_non_null(strstr(err.text, "not an address"));
	dns_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	alarm(60); /* a name that never resolves fails the test instead of hanging it */
	const struct CMUnitTest tests[] = {
		TEST(answers_change), TEST(aliases_and_ipv6),	    TEST(failures),
		TEST(backs_off),      TEST(half_failures),	    TEST(silence),
		TEST(forgets),	      TEST(many_names),		    TEST(hosts_file),
		cmocka_unit_test(bad_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
