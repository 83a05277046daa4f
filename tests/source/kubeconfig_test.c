/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kubeconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sb.h"

static char dir[] = "/tmp/tidegate-kubeconfig-XXXXXX";

static struct str path_of(struct arena *arena, const char *name)
{
	return arena_strf(arena, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	struct arena *arena = arena_new();
	FILE *file = fopen(path_of(arena, name).p, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	arena_free(arena);
}

static bool load(const char *name, const char *context, struct kubeconfig *config,
		 struct error *err)
{
	struct arena *arena = arena_new();
	bool ok = kubeconfig_load(path_of(arena, name).p, context, config, err);
	arena_free(arena);
	return ok;
}

static const char full[] =
	"apiVersion: v1\n"
	"kind: Config\n"
	"current-context: dev\n"
	"clusters:\n"
	"- name: near\n"
	"  cluster: {server: 'https://127.0.0.1:6443/', certificate-authority: pki/ca.crt,\n"
	"            tls-server-name: kubernetes, proxy-url: 'http://proxy:3128'}\n"
	"- name: far\n"
	"  cluster: {server: 'https://far.example.com/k8s', insecure-skip-tls-verify: true,\n"
	"            certificate-authority-data: Q0EK}\n"
	"users:\n"
	"- name: by-cert\n"
	"  user: {client-certificate-data: Q0VSVA==, client-key: /etc/key.pem}\n"
	"- name: by-token\n"
	"  user: {token: abc, tokenFile: token}\n"
	"- name: by-plugin\n"
	"  user:\n"
	"    exec:\n"
	"      apiVersion: client.authentication.k8s.io/v1\n"
	"      command: ./login\n"
	"      args: [get, token]\n"
	"      env: [{name: REGION, value: north}]\n"
	"      installHint: Install login.\n"
	"      interactiveMode: Never\n"
	"      provideClusterInfo: true\n"
	"contexts:\n"
	"- name: dev\n"
	"  context: {cluster: near, user: by-cert, namespace: shop}\n"
	"- name: prod\n"
	"  context: {cluster: far, user: by-token}\n"
	"- name: cloud\n"
	"  context: {cluster: far, user: by-plugin}\n"
	"- name: open\n"
	"  context: {cluster: far}\n";

#define assert_text(have, want) assert_string_equal((have).n ? (have).p : "", want)

static void test_current_context(void **state)
{
	struct kubeconfig config;
	struct error err;
	(void)state;
	write_file("config", full);
	assert_true(load("config", NULL, &config, &err));
	assert_text(config.context, "dev");
	assert_text(config.ns, "shop");
	assert_text(config.server, "https://127.0.0.1:6443");
	assert_text(config.tls_server_name, "kubernetes");
	assert_text(config.proxy_url, "http://proxy:3128");
	struct str ca = path_of(config.arena, "pki/ca.crt");
	assert_text(config.ca_file, ca.p); /* beside the file */
	assert_text(config.cert_pem, "CERT");
	assert_text(config.key_file, "/etc/key.pem");
	assert_false(config.insecure);
	assert_int_equal(config.exec.argc, 0);
	kubeconfig_fini(&config);
}

static void test_named_context(void **state)
{
	struct kubeconfig config;
	struct error err;
	(void)state;
	write_file("config", full);
	assert_true(load("config", "prod", &config, &err));
	assert_text(config.server, "https://far.example.com/k8s");
	assert_true(config.insecure);
	assert_text(config.ca_pem, "CA\n");
	assert_text(config.token, "abc");
	struct str token = path_of(config.arena, "token");
	assert_text(config.token_file, token.p);
	kubeconfig_fini(&config);
	assert_true(load("config", "open", &config, &err));
	assert_text(config.token, "");
	kubeconfig_fini(&config);
	assert_false(load("config", "none", &config, &err));
	assert_non_null(strstr(err.text, "there is no context 'none'"));
}

static void test_exec(void **state)
{
	struct kubeconfig config;
	struct error err;
	(void)state;
	write_file("config", full);
	assert_true(load("config", "cloud", &config, &err));
	struct str command = path_of(config.arena, "./login");
	assert_int_equal(config.exec.argc, 3);
	assert_text(config.exec.argv[0], command.p);
	assert_text(config.exec.argv[2], "token");
	assert_int_equal(config.exec.env_count, 1);
	assert_text(config.exec.env[0], "REGION=north");
	assert_text(config.exec.install_hint, "Install login.");
	assert_true(config.exec.wants_cluster);
	kubeconfig_fini(&config);
}

static void test_merge(void **state)
{
	struct kubeconfig config;
	struct error err;
	struct arena *arena = arena_new();
	(void)state;
	write_file("config", full);
	write_file("first", "current-context: mine\n"
			    "contexts: [{name: mine, context: {cluster: near, user: by-token}}]\n"
			    "users: [{name: by-token, user: {token: mine}}]\n");
	struct str list = arena_strf(arena, "%s/missing:%s/first::%s/config", dir, dir, dir);
	setenv("KUBECONFIG", list.p, 1);
	assert_true(kubeconfig_load(NULL, NULL, &config, &err));
	assert_text(config.token, "mine"); /* the first file that has the name counts */
	assert_text(config.server, "https://127.0.0.1:6443");
	kubeconfig_fini(&config);
	setenv("KUBECONFIG", path_of(arena, "missing").p, 1);
	assert_false(kubeconfig_load(NULL, NULL, &config, &err));
	assert_int_equal(err.code, ERR_NOTFOUND);
	unsetenv("KUBECONFIG");
	arena_free(arena);
}

static void test_in_cluster(void **state)
{
	struct kubeconfig config;
	struct error err;
	(void)state;
	write_file("token", "abc\n");
	assert_true(kubeconfig_in_cluster(dir, "10.0.0.1", "443", &config, &err));
	assert_text(config.server, "https://10.0.0.1:443");
	kubeconfig_fini(&config);
	assert_true(kubeconfig_in_cluster(dir, "fd00::1", "443", &config, &err));
	assert_text(config.server, "https://[fd00::1]:443");
	struct str ca = path_of(config.arena, "ca.crt"), token = path_of(config.arena, "token");
	assert_text(config.ca_file, ca.p);
	assert_text(config.token_file, token.p);
	kubeconfig_fini(&config);
	assert_false(kubeconfig_in_cluster("/nonexistent", "h", "1", &config, &err));
	assert_non_null(strstr(err.text, "automountServiceAccountToken"));
}

static void test_home(void **state)
{
	struct kubeconfig config;
	struct error err;
	struct arena *arena = arena_new();
	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", dir, 1);
	assert_false(kubeconfig_load(NULL, NULL, &config, &err));
	assert_non_null(strstr(err.text, "--kubeconfig"));
	assert_int_equal(mkdir(path_of(arena, ".kube").p, 0700), 0);
	write_file(".kube/config", full);
	assert_true(kubeconfig_load(NULL, NULL, &config, &err));
	assert_text(config.context, "dev");
	kubeconfig_fini(&config);
	arena_free(arena);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "clusters: [", "did not find expected" },
		{ "{}", "has no current-context" },
		{ "", "has no current-context" },
		{ "[1]", "has no current-context" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b}}]}",
		  "there is no cluster 'b'" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b}}],\n"
		  " clusters: [{name: b, cluster: {server: 'ftp://x'}}]}", "must be a URL" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b}}],\n"
		  " clusters: [{name: b, cluster: {server: 'https://x', "
		  "certificate-authority-data: '%%'}}]}", "is not base64" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b, user: u}}],\n"
		  " clusters: [{name: b, cluster: {server: 'https://x'}}], users: []}",
		  "there is no user 'u'" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b, user: u}}],\n"
		  " clusters: [{name: b, cluster: {server: 'https://x'}}],\n"
		  " users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, "
		  "command: c, interactiveMode: Always}}}]}", "wants a terminal" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b, user: u}}],\n"
		  " clusters: [{name: b, cluster: {server: 'https://x'}}],\n"
		  " users: [{name: u, user: {exec: {apiVersion: v9, command: c}}}]}",
		  "client.authentication.k8s.io/v1 is needed" },
		{ "{current-context: a, contexts: [{name: a, context: {cluster: b, user: u}}],\n"
		  " clusters: [{name: b, cluster: {server: 'https://x'}}],\n"
		  " users: [{name: u, user: {auth-provider: {name: gcp}}}]}", "use an exec plug-in" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kubeconfig config;
		struct error err;
		write_file("config", rows[i].text);
		assert_false(load("config", NULL, &config, &err));
		if (!strstr(err.text, rows[i].why))
			fail_msg("row %zu: '%s' is not in: %s", i, rows[i].why, err.text);
	}
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = { "config", "first", "token", ".kube/config", ".kube", "" };
	struct arena *arena = arena_new();
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove(path_of(arena, names[i]).p);
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_current_context), cmocka_unit_test(test_named_context),
		cmocka_unit_test(test_exec),	    cmocka_unit_test(test_merge),
		cmocka_unit_test(test_in_cluster),	    cmocka_unit_test(test_home),
		cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
