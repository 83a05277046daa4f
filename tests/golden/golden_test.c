/* SPDX-License-Identifier: Apache-2.0 */
/* Golden plans: NAME.yaml here compiles to NAME.plan. UPDATE_GOLDEN=1 in the environment
 * writes the plans instead of comparing; read the difference before committing it. */
#include "plan/compile.h"
#include "resolve/pool.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/files.h"

enum { MAX_GOLDEN_BYTES = 4 * 1024 * 1024, PATH_BYTES = 4096 };

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("cannot open %s (UPDATE_GOLDEN=1 makes it)", path);
	char *text = xcalloc(1, MAX_GOLDEN_BYTES + 1);
	size_t n = fread(text, 1, MAX_GOLDEN_BYTES, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void write_file(const char *path, struct str text)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	assert_int_equal(fclose(file), 0);
}

/* The plan of one manifest; a golden manifest has no findings at load. In "services" Gateways have
 * Services of their own, in "pool" addresses. */
static void compile_manifest(const char *name, const char *path, struct sb *out)
{
	bool by_service = strcmp(name, "services") == 0;
	struct address_pool pool = { .count = 0 };
	struct error err;
	assert_true(pool_add(&pool, STR("192.0.2.0/28"), &err) &&
		    pool_add(&pool, STR("2001:db8::/124"), &err));
	const struct compile_options options = {
		.resolve = { .now_s = INT64_C(1800000000),
			     .service_ns = by_service ? STR("gates") : STR_NONE,
			     .pool = strcmp(name, "pool") == 0 ? &pool : NULL }
	};
	struct store *store = store_new();
	struct arena *arena = arena_new();
	struct findings findings;
	findings_init(&findings, arena);
	if (!files_load(&path, 1, store, &findings, &err))
		fail_msg("%s: %s", path, err.text);
	for (size_t i = 0; i < findings.count; i++)
		fail_msg("%s: " STR_FMT ": " STR_FMT, path, STR_ARG(findings.items[i].field),
			 STR_ARG(findings.items[i].text));
	struct compiler *compiler = compiler_new(store);
	changes_free(compile_pass(compiler, &options));
	struct plan *plan = compiler_plan(compiler);
	plan_print(plan, out);
	plan_free(plan);
	compiler_free(compiler);
	store_free(store);
	arena_free(arena);
}

static void check_case(const char *name)
{
	char manifest[PATH_BYTES], golden[PATH_BYTES];
	snprintf(manifest, sizeof(manifest), "%s/%s.yaml", GOLDEN_DIR, name);
	snprintf(golden, sizeof(golden), "%s/%s.plan", GOLDEN_DIR, name);
	struct sb out;
	sb_init(&out, MAX_GOLDEN_BYTES);
	compile_manifest(name, manifest, &out);
	assert_true(sb_ok(&out, NULL));
	if (getenv("UPDATE_GOLDEN")) {
		write_file(golden, sb_str(&out));
	} else {
		char *want = read_file(golden);
		print_message("%s\n", name);
		assert_string_equal(sb_str(&out).p, want);
		free(want);
	}
	sb_fini(&out);
}

static void golden_plans(void **state)
{
	(void)state;
	DIR *dir = opendir(GOLDEN_DIR);
	assert_non_null(dir);
	int cases = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct str name = str_of(entry->d_name);
		if (!str_ends(name, STR(".yaml")))
			continue;
		entry->d_name[name.n - 5] = '\0';
		check_case(entry->d_name);
		cases++;
	}
	closedir(dir);
	assert_true(cases > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(golden_plans) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
