/* SPDX-License-Identifier: Apache-2.0 */
/* A source whose API server answers for one kind with a failure. */
#include "source/kube.h"

#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/source/fake_client.h"

#define EMPTY_LIST "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}"
enum { ENOUGH = 5 }; /* attempts; the other kinds have been listed by then */

static char config[] = "/tmp/tidegate-kube-XXXXXX";

static struct {
	struct ev_loop *loop;
	const char *failing; /* what its path ends with */
	unsigned attempts;
} it;

static struct fake_answer answer(const char *path)
{
	struct str rest = str_of(path), name = str_cut(&rest, '?');
	if (strstr(path, "watch=1"))
		return (struct fake_answer){ 200, "", false, true };
	if (!str_ends(name, str_of(it.failing)))
		return (struct fake_answer){ 200, EMPTY_LIST, false, false };
	if (++it.attempts == ENOUGH)
		ev_break(it.loop, EVBREAK_ALL);
	return (struct fake_answer){ 500, "broken", false, false };
}

static void on_put(void *user, struct object *object)
{
	(void)user;
	object_free(object);
}

static void on_remove(void *user, enum kind kind, struct str ns, struct str name)
{
	(void)user;
	(void)kind;
	(void)ns;
	(void)name;
}

static void on_settled(void *user)
{
	(void)user;
}

/* What decides on routes is waited for. Whatever fails must not replace a last-good plan. */
static void test_failing_kind(void **state)
{
	static const struct {
		const char *failing;
		bool complete;
	} rows[] = {
		{ "/gateways", false },	      { "/namespaces", false },
		{ "/referencegrants", false }, { "/backends", true },
		{ "/gatewayparameters", true },
	};
	static const struct source_sink sink = { NULL, on_put, on_remove, on_settled };
	const struct kube_options options = { .kubeconfig = config };
	struct error err;
	(void)state;
	fake_client_answer = answer;
	it.loop = ev_default_loop(0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct source_state says;
		char why[256];
		struct kube_source *source = kube_source_new(it.loop, &options, &sink, &err);
		assert_non_null(source);
		it.failing = rows[i].failing;
		it.attempts = 0;
		kube_source_start(source);
		ev_run(it.loop, 0);
		kube_source_state(source, &says);
		if (says.complete != rows[i].complete)
			fail_msg("%s fails: complete %d", rows[i].failing, says.complete);
		assert_non_null(strstr(says.stale, "broken"));
		kube_source_doubt(source, true, why, sizeof(why));
		assert_string_equal(why, "broken");
		kube_source_free(source);
	}
}

static int write_config(void **state)
{
	static const char text[] = "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
				   "clusters: [{name: c, cluster: {server: 'https://10.0.0.1'}}]\n"
				   "users: [{name: u, user: {token: t}}]\n"
				   "contexts: [{name: c, context: {cluster: c, user: u}}]\n";
	int fd = mkstemp(config);
	(void)state;
	bool ok = fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1;
	close(fd);
	return ok ? 0 : -1;
}

static int remove_config(void **state)
{
	(void)state;
	return unlink(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failing_kind),
	};
	return cmocka_run_group_tests(tests, write_config, remove_config);
}
