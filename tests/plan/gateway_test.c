/* SPDX-License-Identifier: Apache-2.0 */
/* Frontends and SNI filters, from hand-made views. */
#include "plan/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_TEST_LISTENERS = 4, MAX_TEST_CERTS = 4, MANY_NAMES = 64 };

struct sample_listener {
	const char *hostname;
	const char *certificates; /* letters: a, b, c, d */
};

static struct str names_a[] = { STR_INIT("www.example.com"), STR_INIT("*.example.org") };
static struct str names_b[] = { STR_INIT("*.example.com") };
static struct certificate_view certificates[MAX_TEST_CERTS] = {
	{ .name = STR_INIT("n.a"), .digest = STR_INIT("1"), .names = names_a, .name_count = 2 },
	{ .name = STR_INIT("n.b"), .digest = STR_INIT("2"), .names = names_b, .name_count = 1 },
	{ .name = STR_INIT("n.c"), .digest = STR_INIT("3") }, /* no DNS names */
	{ .name = STR_INIT("n.d"), .digest = STR_INIT("4") }, /* too_many_names() */
};

/* The SNI and default-cert entries of one frontend with these listeners. */
static void assert_sni(const struct sample_listener *samples, size_t count, const char *want)
{
	struct listener specs[MAX_TEST_LISTENERS];
	struct listener_view listeners[MAX_TEST_LISTENERS];
	memset(listeners, 0, sizeof(listeners));
	memset(specs, 0, sizeof(specs));
	struct certificate_view held[MAX_TEST_LISTENERS][MAX_TEST_CERTS];
	struct object object = { .kind = KIND_GATEWAY };
	struct frontend_view frontend = { .name = STR("f"), .port = 443, .bind_port = 443,
					  .tls = true };
	struct gateway_view gateway = { .object = &object, .frontends = &frontend,
					.frontend_count = 1 };
	struct gateways_view view = { .gateways = &gateway, .gateway_count = 1 };
	frontend.addresses[frontend.address_count++] = STR("*");
	frontend.addresses[frontend.address_count++] = STR("2001:db8::1");
	for (size_t i = 0; i < count; i++) {
		specs[i].name = STR("l");
		specs[i].hostname = str_of(samples[i].hostname);
		listeners[i].spec = &specs[i];
		for (const char *c = samples[i].certificates; *c; c++)
			held[i][listeners[i].certificate_count++] = certificates[*c - 'a'];
		listeners[i].certificates = held[i];
		frontend.listeners[frontend.listener_count++] = &listeners[i];
	}
	struct entry_set *set = entry_set_new();
	struct entry_list entries = { 0 };
	struct findings *findings = NULL;
	struct emit emit;
	emit_begin(&emit, set);
	gateways_emit(&emit, &view);
	emit_end(&emit, &entries, &findings);
	struct plan *plan = entry_set_plan(set);
	assert_true(str_is(plan_find(plan, PLAN_FRONTEND, STR("f"))->value,
			   "https *,[2001:db8::1]:443"));
	struct sb out;
	sb_init(&out, 10000);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_entry *entry = &plan->entries[i];
		if (entry->table == PLAN_SNI || entry->table == PLAN_DEFAULT_CERT)
			sb_addf(&out, STR_FMT ": " STR_FMT "\n", STR_ARG(entry->key),
				STR_ARG(entry->value));
	}
	assert_string_equal(sb_str(&out).p, want);
	sb_fini(&out);
	plan_free(plan);
	entry_list_release(set, &entries);
	entry_set_free(set);
	findings_drop(&findings);
}

static void one_certificate(void **state)
{
	(void)state;
	assert_sni(&(struct sample_listener){ "", "a" }, 1, "f n.a: -\nf: n.a\n");
	assert_sni(&(struct sample_listener){ "x.example.com", "a" }, 1, "f n.a: x.example.com\n");
	assert_sni(&(struct sample_listener){ "*.example.com", "a" }, 1,
		   "f n.a: *.example.com\nf: n.a\n");
}

static void several_certificates(void **state)
{
	(void)state;
	/* Each for its own names; the whole hostname goes to the one that covers it. */
	assert_sni(&(struct sample_listener){ "*.example.com", "ab" }, 1,
		   "f n.a: www.example.com\nf n.b: *.example.com\nf: n.a\n");
	/* Nobody covers it: to the first. */
	assert_sni(&(struct sample_listener){ "*.net", "cb" }, 1, "f n.c: *.net\nf: n.c\n");
	/* A certificate's wildcard stands for one label. */
	assert_sni(&(struct sample_listener){ "q.example.com", "cb" }, 1,
		   "f n.b: q.example.com\n");
	assert_sni(&(struct sample_listener){ "q.r.example.com", "cb" }, 1,
		   "f n.c: q.r.example.com\n");
}

static void several_listeners(void **state)
{
	(void)state;
	/* One certificate on two listeners merges; the name of another's filter is not taken. */
	const struct sample_listener merged[] = { { "b.net", "a" }, { "a.net", "a" } };
	assert_sni(merged, 2, "f n.a: a.net b.net\n");
	const struct sample_listener twice[] = { { "a.net", "b" }, { "a.net", "a" } };
	/* A certificate without a name left is not served. */
	assert_sni(twice, 2, "f n.b: a.net\n");
	/* "All names" becomes filters when one of them belongs to another listener. */
	const struct sample_listener open[] = { { "", "a" }, { "www.example.com", "b" } };
	assert_sni(open, 2, "f n.a: *.example.org\nf n.b: www.example.com\nf: n.a\n");
	/* The default comes from the least specific listener. */
	const struct sample_listener defaults[] = { { "*.a.net", "b" }, { "*.net", "c" } };
	assert_sni(defaults, 2, "f n.b: *.a.net\nf n.c: *.net\nf: n.c\n");
}

/* What does not fit a line of the crt-list is served for all of its names. */
static void too_many_names(void **state)
{
	(void)state;
	static char text[MANY_NAMES][250];
	static struct str names[MANY_NAMES];
	for (size_t i = 0; i < MANY_NAMES; i++) {
		snprintf(text[i], sizeof(text[i]), "%0200zu.example.net", i);
		names[i] = str_of(text[i]);
	}
	certificates[3].names = names;
	certificates[3].name_count = MANY_NAMES;
	/* The second listener has one of the names: the others become filters. */
	const struct sample_listener open[] = { { "", "d" }, { text[0], "b" } };
	char want[400];
	snprintf(want, sizeof(want), "f n.b: %s\nf n.d: -\nf: n.d\n", text[0]);
	assert_sni(open, 2, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_certificate),
		cmocka_unit_test(several_certificates),
		cmocka_unit_test(several_listeners),
		cmocka_unit_test(too_many_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
