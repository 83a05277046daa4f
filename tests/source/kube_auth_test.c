/* SPDX-License-Identifier: Apache-2.0 */
/* Files that rotate, and exec plug-ins that run for real. */
#include "source/kube_auth.h"

#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sb.h"

static char dir[] = "/tmp/tidegate-auth-XXXXXX";

/* How far the clocks have been set, and time has passed, by hand. */
static time_t set_s, passed_s;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	long failed = syscall(SYS_clock_gettime, clock, ret);
	ret->tv_sec += passed_s + (clock == CLOCK_REALTIME ? set_s : 0);
	return (int)failed;
}

time_t time(time_t *ret)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

struct fixture {
	struct ev_loop *loop;
	struct kubeconfig config;
	struct kube_auth *auth;
	unsigned settled;
	char why[512];
};

static void on_settled(void *user, const char *why)
{
	struct fixture *f = user;
	f->settled++;
	snprintf(f->why, sizeof(f->why), "%s", why ? why : "");
	ev_break(f->loop, EVBREAK_ALL);
}

static struct str path_of(struct fixture *f, const char *name)
{
	return arena_strf(f->config.arena, "%s/%s", dir, name);
}

/* As the kubelet does it: a new file takes the old one's name. */
static void write_file(struct fixture *f, const char *name, mode_t mode, const char *text)
{
	struct str path = path_of(f, name), temporary = path_of(f, "new");
	int fd = open(temporary.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(rename(temporary.p, path.p), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->loop = ev_default_loop(0);
	f->config.arena = arena_new();
	f->config.server = STR("https://10.0.0.1:6443");
	f->auth = kube_auth_new(f->loop, &f->config, on_settled, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	kube_auth_free(f->auth);
	kubeconfig_fini(&f->config);
	free(f);
	return 0;
}

static void expect_token(struct fixture *f, const char *want)
{
	struct kube_credential credential;
	struct error err;
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_READY);
	assert_int_equal(credential.token.n, strlen(want));
	assert_memory_equal(credential.token.p, want, credential.token.n);
}

static void test_token_file(void **state)
{
	struct fixture *f = *state;
	struct kube_credential credential;
	struct error err;
	f->config.token_file = path_of(f, "token");
	unlink(f->config.token_file.p);
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_FAILED);
	assert_non_null(strstr(err.text, f->config.token_file.p));
	write_file(f, "token", 0600, "one\n");
	expect_token(f, "one");
	write_file(f, "token", 0600, "two\n");
	expect_token(f, "two");
	write_file(f, "token", 0600, "\n"); /* half-written: the last good one stays */
	expect_token(f, "two");
	unlink(f->config.token_file.p);
	expect_token(f, "two");
	write_file(f, "token", 0600, "three");
	expect_token(f, "three");
}

#define PEM(text) "-----BEGIN X-----\n" text "\n-----END X-----"

static void expect_pems(struct fixture *f, const char *cert, const char *key)
{
	struct kube_credential credential;
	struct error err;
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_READY);
	assert_true(str_is(credential.cert_pem, cert));
	assert_true(str_is(credential.key_pem, key));
}

static void test_certificate_files(void **state)
{
	struct fixture *f = *state;
	struct kube_credential credential;
	struct error err;
	f->config.cert_file = path_of(f, "cert");
	f->config.key_file = path_of(f, "key");
	write_file(f, "cert", 0600, PEM("one") "\n");
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_FAILED);
	assert_non_null(strstr(err.text, f->config.key_file.p));
	write_file(f, "key", 0600, PEM("1") "\n");
	expect_pems(f, PEM("one"), PEM("1"));
	write_file(f, "cert", 0600, PEM("two") "\n");
	write_file(f, "key", 0600, "-----BEGIN X-----\n"); /* half-written */
	expect_pems(f, PEM("two"), PEM("1"));
	write_file(f, "key", 0600, PEM("2") "\n");
	expect_pems(f, PEM("two"), PEM("2"));
	unlink(f->config.cert_file.p);
	expect_pems(f, PEM("two"), PEM("2"));
}

/* A plug-in that counts its runs, and prints `status`. */
static void use_plugin(struct fixture *f, const char *status, const char *end)
{
	struct sb text;
	sb_init(&text, 4096);
	sb_addf(&text, "#!/bin/sh\necho x >>%s/runs\n"
		       "echo \"$KUBERNETES_EXEC_INFO $REGION $1\" >%s/told\n"
		       "cat <<'END'\n{\"apiVersion\":\"client.authentication.k8s.io/v1\","
		       "\"kind\":\"ExecCredential\",\"status\":%s}\nEND\n%s\n", dir, dir, status, end);
	write_file(f, "plugin", 0700, sb_str(&text).p);
	sb_fini(&text);
	unlink(path_of(f, "runs").p);
	struct kube_exec *exec = &f->config.exec;
	exec->api_version = STR("client.authentication.k8s.io/v1");
	exec->argv[0] = path_of(f, "plugin");
	exec->argv[1] = STR("word");
	exec->argc = 2;
	exec->env[0] = STR("REGION=north");
	exec->env_count = 1;
	exec->install_hint = STR("Install it.");
	exec->wants_cluster = true;
}

static size_t runs(struct fixture *f)
{
	struct stat st;
	return stat(path_of(f, "runs").p, &st) == 0 ? (size_t)st.st_size / 2 : 0;
}

static void run_plugin(struct fixture *f)
{
	struct kube_credential credential;
	struct error err;
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_WAIT);
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_WAIT);
	ev_run(f->loop, 0);
}

static void test_plugin(void **state)
{
	struct fixture *f = *state;
	use_plugin(f, "{\"token\":\"abc\",\"expirationTimestamp\":\"2100-01-01T00:00:00Z\"}", "");
	run_plugin(f);
	assert_string_equal(f->why, "");
	expect_token(f, "abc");
	expect_token(f, "abc");
	assert_int_equal(runs(f), 1);
	char *told = kube_read_file(path_of(f, "told").p, NULL, NULL);
	assert_non_null(strstr(told, "\"server\":\"https:\\/\\/10.0.0.1:6443\""));
	assert_non_null(strstr(told, "\"interactive\":false"));
	assert_non_null(strstr(told, "} north word\n"));
	free(told);
	/* Refused, but it ran only just now */
	kube_auth_refused(f->auth);
	expect_token(f, "abc");
	assert_int_equal(runs(f), 1);
}

/* How long it is since the plug-in ran does not depend on what the clock is set to. */
static void test_plugin_clock(void **state)
{
	static const time_t steps[] = { -3600, 3600 };
	struct fixture *f = *state;
	use_plugin(f, "{\"token\":\"abc\",\"expirationTimestamp\":\"2100-01-01T00:00:00Z\"}", "");
	run_plugin(f);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		kube_auth_refused(f->auth);
		set_s += steps[i];
		expect_token(f, "abc");
		assert_int_equal(runs(f), i + 1);
		passed_s += 11;
		run_plugin(f);
		assert_int_equal(runs(f), i + 2);
	}
}

static void test_plugin_fails(void **state)
{
	struct fixture *f = *state;
	struct kube_credential credential;
	struct error err;
	use_plugin(f, "{\"token\":\"abc\"}", "exit 3");
	run_plugin(f);
	assert_non_null(strstr(f->why, "its exit status is 3"));
	use_plugin(f, "{}", "");
	run_plugin(f);
	assert_non_null(strstr(f->why, "neither a token nor a certificate"));
	f->config.exec.argv[0] = STR("/nonexistent/plugin");
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_FAILED);
	assert_non_null(strstr(err.text, "Install it."));
	assert_int_equal(f->settled, 2);
}

/* Freed while it runs: it is ended, and nobody is called. */
static void test_plugin_dropped(void **state)
{
	struct fixture *f = *state;
	struct kube_credential credential;
	struct error err;
	use_plugin(f, "{\"token\":\"abc\"}", "sleep 60");
	assert_int_equal(kube_auth_get(f->auth, &credential, &err), KUBE_AUTH_WAIT);
	kube_auth_free(f->auth);
	f->auth = NULL;
	assert_int_equal(f->settled, 0);
}

static void test_parse(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no ExecCredential" },
		{ "[]", "no ExecCredential" },
		{ "{\"apiVersion\":\"v9\"}", "apiVersion 'v9'" },
		{ "{\"apiVersion\":\"v1\"}", "has no status" },
		{ "{\"apiVersion\":\"v1\",\"status\":{\"clientCertificateData\":\"x\"}}", "neither" },
		{ "{\"apiVersion\":\"v1\",\"status\":{\"token\":\"x\",\"expirationTimestamp\":\"soon\"}}",
		  "is no time" },
	};
	struct kube_credential credential;
	struct error err;
	int64_t expires_s;
	struct arena *arena = arena_new();
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(kube_auth_parse(str_of(rows[i].text), STR("v1"), arena, &credential,
					     &expires_s, &err));
		assert_non_null(strstr(err.text, rows[i].why));
	}
	assert_true(kube_auth_parse(STR("{\"apiVersion\":\"v1\",\"status\":{\"clientCertificateData\":"
					"\"C\",\"clientKeyData\":\"K\",\"expirationTimestamp\":"
					"\"1970-01-01T00:01:00Z\"}}"), STR("v1"), arena, &credential,
				    &expires_s, &err));
	assert_string_equal(credential.cert_pem.p, "C");
	assert_int_equal(expires_s, 60);
	arena_free(arena);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "token",  "key",  "cert", "plugin",
					     "runs",   "told", "" };
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_token_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_certificate_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plugin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plugin_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plugin_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plugin_dropped, setup, teardown),
		cmocka_unit_test(test_parse),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
