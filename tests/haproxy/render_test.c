/* SPDX-License-Identifier: Apache-2.0 */
/* Golden configurations, each of which a real HAProxy must accept. */
#include "haproxy/render.h"

#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "world.h"

static const char *const cases[] = { "filters", "grpc", "listeners", "matches", "paths", "pool",
				      "services", "tls" };
static const char *const versions[] = { "2.6", "3.4" };
enum { CASE_COUNT = sizeof(cases) / sizeof(cases[0]), VERSION_COUNT = 2 };

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		return NULL;
	struct sb sb;
	sb_init(&sb, 1 << 24);
	char buffer[4096];
	size_t n;
	while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		sb_add(&sb, (struct str){ buffer, n });
	fclose(file);
	return sb_take(&sb, NULL);
}

static void write_file(const char *path, struct str text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	assert_int_equal(fclose(file), 0);
}

static struct state *load(const char *name, const char *version, const char *run_dir)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s.plan", PLAN_DIR, name);
	char *text = read_file(path);
	assert_non_null(text);
	struct state *state = world_state(version, run_dir, text);
	if (!state->caps.add_backend)
		state_set_spares(state, 2);
	free(text);
	return state;
}

static void golden(void **unused)
{
	(void)unused;
	const struct render_options options = { .threads = 2, .log_target = "127.0.0.1:514",
						.access_log = true, .user = "haproxy",
						.group = "haproxy", .maxconn = 2000,
						.ipv6 = true };
	for (size_t i = 0; i < CASE_COUNT * VERSION_COUNT; i++) {
		const char *version = versions[i % VERSION_COUNT];
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s-%s.cfg", CFG_DIR, cases[i / VERSION_COUNT],
			 version);
		struct state *state = load(cases[i / VERSION_COUNT], version, "/run/tidegate");
		struct sb sb;
		sb_init(&sb, 1 << 20);
		render_cfg(state, &options, &sb);
		assert_true(sb_ok(&sb, NULL));
		if (getenv("UPDATE_GOLDEN"))
			write_file(path, sb_str(&sb));
		char *want = read_file(path);
		assert_non_null(want);
		assert_string_equal(sb.data, want);
		free(want);
		sb_fini(&sb);
		state_free(state);
	}
}

/* ---- haproxy -c ---- */

static struct str make_pem(struct arena *arena)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	X509 *cert = X509_new();
	assert_non_null(key);
	assert_non_null(cert);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)"example.com", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	char *data;
	long n = BIO_get_mem_data(bio, &data);
	struct str pem = arena_str(arena, (struct str){ data, (size_t)n });
	BIO_free(bio);
	X509_free(cert);
	EVP_PKEY_free(key);
	return pem;
}

static void write_certs(const struct state *state, struct arena *arena, struct str pem)
{
	const struct texts *certs = state->tables[PLAN_CERTIFICATE];
	const struct texts *defaults = state->tables[PLAN_DEFAULT_CERT];
	const struct texts *frontends = state->tables[PLAN_FRONTEND];
	for (size_t i = 0; i < texts_count(certs); i++)
		write_file(render_cert_path(state, arena, texts_key(certs, i)).p, pem);
	for (size_t i = 0; i < texts_count(defaults); i++)
		write_file(render_default_path(state, arena, texts_key(defaults, i)).p, pem);
	for (size_t i = 0; i < texts_count(frontends); i++) {
		struct str name = texts_key(frontends, i);
		struct sb sb;
		sb_init(&sb, 1 << 16);
		render_crt_list(state, name, &sb);
		write_file(render_crt_list_path(state, arena, name).p, sb_str(&sb));
		sb_fini(&sb);
	}
}

static void write_run_dir(const struct state *state, struct arena *arena, struct str pem)
{
	static const char *const dirs[] = { "maps", "certs", "ask" };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			mkdir(arena_strf(arena, "%s/%s", state->run_dir, dirs[i]).p, 0700), 0);
	struct image *image = image_new(state, STR_NONE);
	struct sb sb;
	sb_init(&sb, 1 << 20);
	for (size_t i = 0; i < image->count; i++) {
		sb_reset(&sb);
		image_print(&image->maps[i], &sb);
		write_file(render_map_path(state, arena, image->maps[i].file).p, sb_str(&sb));
	}
	image_free(image);
	const struct render_options options = { .log_target = "stdout", .access_log = true };
	sb_reset(&sb);
	render_cfg(state, &options, &sb);
	write_file(arena_strf(arena, "%s/haproxy.cfg", state->run_dir).p, sb_str(&sb));
	sb_reset(&sb);
	render_spoe(&sb);
	write_file(arena_strf(arena, "%s/agent.spoe", state->run_dir).p, sb_str(&sb));
	sb_fini(&sb);
	write_certs(state, arena, pem);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* "2.6" of the program at hand; false when it cannot be run. */
static bool version_of(const char *program, struct haproxy_caps *ret_caps)
{
	char command[4096], line[256] = "";
	snprintf(command, sizeof(command), "%s -v 2>/dev/null", program);
	FILE *pipe = popen(command, "r");
	bool ok = pipe && fgets(line, sizeof(line), pipe);
	if (pipe)
		pclose(pipe);
	return ok && caps_parse(str_of(line), ret_caps, NULL);
}

static void check_one(const char *program, const char *version, const char *name, struct str pem)
{
	char dir[] = "/tmp/tidegate-render-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct arena *arena = arena_new();
	struct state *state = load(name, version, dir);
	write_run_dir(state, arena, pem);
	struct str command = arena_strf(arena, "%s -c -f %s/haproxy.cfg >%s/log 2>&1", program,
					dir, dir);
	int status = system(command.p);
	char *log = read_file(arena_strf(arena, "%s/log", dir).p);
	if (status != 0 || strstr(log ? log : "", "[WARNING]"))
		fail_msg("%s %s: %s", program, name, log);
	free(log);
	state_free(state);
	arena_free(arena);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void accepted(void **unused)
{
	(void)unused;
	const char *listed = getenv("HAPROXY");
	struct str programs = str_of(listed ? listed : "haproxy");
	struct arena *arena = arena_new();
	struct str pem = make_pem(arena);
	size_t checked = 0;
	while (programs.n > 0) {
		struct str program = arena_str(arena, str_cut(&programs, ' '));
		struct haproxy_caps caps;
		if (!version_of(program.p, &caps))
			continue;
		struct str version = arena_strf(arena, "%u.%u", caps.major, caps.minor);
		for (size_t i = 0; i < CASE_COUNT; i++, checked++)
			check_one(program.p, version.p, cases[i], pem);
	}
	arena_free(arena);
	if (checked == 0)
		skip();
}

/* ---- what needs a reload ---- */

static void reload_reasons(void **unused)
{
	(void)unused;
	static const struct {
		const char *version;
		struct change change;
		const char *reason; /* NULL: live */
	} rows[] = {
		{ "2.6", { CHANGE_ADD, PLAN_FRONTEND, STR_INIT("a.b.80"), STR_INIT("http *:80"),
			   STR_INIT("") }, "frontend a.b.80" },
		{ "3.4", { CHANGE_DEL, PLAN_LISTENER, STR_INIT("a.b.80 *"), STR_INIT(""),
			   STR_INIT("any") }, "listener a.b.80 *" },
		{ "3.4", { CHANGE_ADD, PLAN_ROUTE, STR_INIT("f a/"), STR_INIT("x"), STR_INIT("") },
		  NULL },
		{ "2.6", { CHANGE_ADD, PLAN_HEADER, STR_INIT("h9/req/set/x-set"), STR_INIT("1"),
			   STR_INIT("") }, NULL },
		{ "2.6", { CHANGE_ADD, PLAN_HEADER, STR_INIT("h9/res/set/x-set"), STR_INIT("1"),
			   STR_INIT("") }, "header name x-set" },
		{ "3.4", { CHANGE_ADD, PLAN_HEADER, STR_INIT("h9/res/set/x-new"), STR_INIT("1"),
			   STR_INIT("") }, NULL },
		{ "2.6", { CHANGE_DEL, PLAN_HEADER, STR_INIT("h9/res/set/x-new"), STR_INIT(""),
			   STR_INIT("1") }, NULL },
		{ "2.6", { CHANGE_ADD, PLAN_DEFAULT_CERT, STR_INIT("f"), STR_INIT("c"),
			   STR_INIT("") }, "default certificate of f" },
		{ "2.6", { CHANGE_SET, PLAN_DEFAULT_CERT, STR_INIT("f"), STR_INIT("c"),
			   STR_INIT("d") }, NULL },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct state *state = load("filters", rows[i].version, "/run/tg");
		char text[160];
		bool reload = render_needs_reload(state, &rows[i].change, text, sizeof(text));
		assert_int_equal(reload, rows[i].reason != NULL);
		if (reload)
			assert_string_equal(text, rows[i].reason);
		state_free(state);
	}
}

/* The digest follows the schema and nothing else. */
static void schema_digest(void **unused)
{
	(void)unused;
	const struct render_options options = { 0 };
	struct state *state = load("filters", "2.6", "/run/tg");
	struct arena *arena = arena_new();
	struct str before = render_schema(state, &options, arena);
	texts_put(state->tables[PLAN_BACKEND], STR("default.more.80"), STR("h1"));
	texts_put(state->tables[PLAN_RULE], STR("@x/y/0"), STR("z"));
	assert_true(str_eq(before, render_schema(state, &options, arena)));
	texts_put(state->tables[PLAN_HEADER], STR("h9/req/set/x-new"), STR("z"));
	assert_false(str_eq(before, render_schema(state, &options, arena)));
	arena_free(arena);
	state_free(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(accepted),
		cmocka_unit_test(reload_reasons),
		cmocka_unit_test(schema_digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
