/* SPDX-License-Identifier: Apache-2.0 */
/* Real files, real inotify, a real loop, in a temporary directory. */
#include "source/files.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sb.h"

struct fixture {
	char dir[64];
	struct ev_loop *loop;
	struct files_source *source;
	struct sb log; /* "+name/generation " and "-name " */
	size_t settled_count;
};

static void on_put(void *user, struct object *object)
{
	struct fixture *f = user;
	sb_addf(&f->log, "+" STR_FMT "/%d ", STR_ARG(object->meta.name),
		(int)object->meta.generation);
	object_free(object);
}

static void on_remove(void *user, enum kind kind, struct str ns, struct str name)
{
	struct fixture *f = user;
	(void)kind, (void)ns;
	sb_addf(&f->log, "-" STR_FMT " ", STR_ARG(name));
}

static void on_settled(void *user)
{
	struct fixture *f = user;
	f->settled_count++;
}

static char *path_to(const struct fixture *f, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", f->dir, name);
	return path;
}

static void write_text(struct fixture *f, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A ConfigMap is the smallest object with content. */
static void write_map(struct fixture *f, const char *file, const char *name, const char *value)
{
	char text[400];
	snprintf(text, sizeof(text),
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {v: \"%s\"}\n", name,
		 value);
	write_text(f, file, text);
}

static void stop(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	(void)timer, (void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void run_ms(struct fixture *f, int ms)
{
	struct ev_timer timer;
	ev_now_update(f->loop);
	ev_timer_init(&timer, stop, ms / 1000.0, 0.);
	ev_timer_start(f->loop, &timer);
	ev_run(f->loop, 0);
	ev_timer_stop(f->loop, &timer);
}

/* What was delivered since the last call. */
static void expect(struct fixture *f, int ms, const char *log)
{
	run_ms(f, ms);
	assert_string_equal(sb_str(&f->log).p, log);
	sb_reset(&f->log);
}

static size_t findings_with(struct fixture *f, const char *reason)
{
	struct arena *arena = arena_new();
	struct findings findings;
	size_t count = 0;
	findings_init(&findings, arena);
	files_source_findings(f->source, &findings);
	for (size_t i = 0; i < findings.count; i++)
		count += str_is(findings.items[i].reason, reason);
	arena_free(arena);
	return count;
}

static void start(struct fixture *f, const char *path)
{
	const char *paths[] = { path };
	struct source_sink sink = { f, on_put, on_remove, on_settled };
	f->source = files_source_new(f->loop, paths, 1, &sink);
	files_source_start(f->source);
	assert_int_equal(f->settled_count, 1);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/tidegate-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->loop = ev_loop_new(EVFLAG_AUTO);
	sb_init(&f->log, 1 << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	files_source_free(f->source);
	ev_loop_destroy(f->loop);
	sb_fini(&f->log);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	int rc = system(command);
	free(f);
	return rc;
}

static void edits(void **state)
{
	struct fixture *f = *state;
	write_map(f, "a.yaml", "a", "1");
	write_text(f, ".hidden.yaml", "{");
	write_text(f, "notes.txt", "{");
	start(f, f->dir);
	expect(f, 20, "+a/1 ");
	write_map(f, "a.yaml", "a", "2");
	expect(f, 60, "+a/2 ");
	write_map(f, "a.yaml", "a", "2"); /* touched only */
	expect(f, 60, "");
	write_text(f, "many.yaml",
		   "kind: List\napiVersion: v1\nitems:\n"
		   "- {apiVersion: v1, kind: ConfigMap, metadata: {name: l}}\n"
		   "---\n{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", "
		   "\"metadata\": {\"name\": \"j\"}}\n---\napiVersion: x/v1\nkind: Odd\n"
		   "metadata: {name: o}\n");
	expect(f, 60, "+l/1 +j/1 ");
	assert_int_equal(findings_with(f, "UnknownKind"), 1);
	char path[128];
	snprintf(path, sizeof(path), "%s/many.yaml", f->dir);
	unlink(path);
	expect(f, 200, "-l -j ");
	assert_int_equal(findings_with(f, "UnknownKind"), 0);
}

static void broken_files(void **state)
{
	struct fixture *f = *state;
	write_map(f, "a.yaml", "a", "1");
	start(f, f->dir);
	expect(f, 20, "+a/1 ");
	write_text(f, "a.yaml", "apiVersion: [");
	expect(f, 100, "");
	assert_int_equal(findings_with(f, "ParseFailed"), 0);
	expect(f, 400, "");
	assert_int_equal(findings_with(f, "ParseFailed"), 1);
	write_map(f, "a.yaml", "a", "3");
	expect(f, 60, "+a/2 ");
	assert_int_equal(findings_with(f, "ParseFailed"), 0);
}

static void duplicates(void **state)
{
	struct fixture *f = *state;
	char path[128];
	write_map(f, "a.yaml", "x", "1");
	write_map(f, "b.yaml", "x", "2");
	start(f, f->dir);
	expect(f, 20, "+x/1 ");
	assert_int_equal(findings_with(f, "Duplicate"), 1);
	snprintf(path, sizeof(path), "%s/a.yaml", f->dir);
	unlink(path);
	expect(f, 200, "+x/2 "); /* b.yaml takes over */
	assert_int_equal(findings_with(f, "Duplicate"), 0);
}

static void config_map_swap(void **state)
{
	struct fixture *f = *state;
	char link[128], next[128];
	mkdir(path_to(f, "..1", link, sizeof(link)), 0755);
	mkdir(path_to(f, "..2", link, sizeof(link)), 0755);
	write_map(f, "..1/a.yaml", "a", "1");
	write_map(f, "..2/a.yaml", "a", "2");
	assert_int_equal(symlink("..1", path_to(f, "..data", link, sizeof(link))), 0);
	assert_int_equal(
		symlink("..data/a.yaml", path_to(f, "a.yaml", next, sizeof(next))), 0);
	start(f, f->dir);
	expect(f, 20, "+a/1 ");
	assert_int_equal(symlink("..2", path_to(f, "..data_tmp", next, sizeof(next))), 0);
	assert_int_equal(rename(next, link), 0);
	expect(f, 100, "+a/2 ");
}

static void folders(void **state)
{
	struct fixture *f = *state;
	char root[128], sub[160], moved[128];
	path_to(f, "conf", root, sizeof(root));
	start(f, root);
	expect(f, 20, "");
	assert_int_equal(findings_with(f, "PathMissing"), 1);
	mkdir(root, 0755);
	write_map(f, "conf/a.yaml", "a", "1");
	expect(f, 100, "+a/1 ");
	assert_int_equal(findings_with(f, "PathMissing"), 0);
	snprintf(sub, sizeof(sub), "%s/sub", root);
	mkdir(sub, 0755);
	write_map(f, "conf/sub/b.yaml", "b", "1");
	assert_int_equal(symlink("..", path_to(f, "conf/sub/loop", moved,
							sizeof(moved))), 0);
	expect(f, 100, "+b/1 ");
	assert_int_equal(rename(sub, path_to(f, "away", moved, sizeof(moved))), 0);
	expect(f, 200, "-b ");
	assert_int_equal(rename(root, path_to(f, "gone", moved, sizeof(moved))), 0);
	expect(f, 200, ""); /* a missing source is not a deletion */
	assert_int_equal(findings_with(f, "PathMissing"), 1);
	assert_int_equal(rename(moved, root), 0);
	write_map(f, "conf/a.yaml", "a", "2");
	expect(f, 250, "+a/2 ");
}

static void large_file(void **state)
{
	struct fixture *f = *state;
	struct sb sb;
	sb_init(&sb, 1 << 22);
	for (int round = 0; round < 2; round++) {
		sb_reset(&sb);
		for (int i = 0; i < 10000; i++)
			sb_addf(&sb, "---\n%sapiVersion: v1\nkind: ConfigMap\nmetadata: "
				     "{name: m%d}\ndata: {v: \"%d\"}\n",
				round && i == 0 ? "# shifts all lines\n" : "", i,
				round && i == 777 ? 1 : 0);
		write_text(f, "big.yaml", sb_str(&sb).p);
		if (round == 0) {
			start(f, f->dir);
			sb_reset(&f->log);
		}
	}
	expect(f, 500, "+m777/2 ");
	struct files_stats stats;
	files_source_stats(f->source, &stats);
	assert_int_equal(stats.objects, 10000);
	sb_fini(&sb);
}

/* Without a loop: what can be read is, whatever else is wrong is a finding. */
static void load_once(void **state)
{
	struct fixture *f = *state;
	struct arena *arena = arena_new();
	struct store *store = store_new();
	struct findings findings;
	struct error err = { .code = ERR_NONE };
	char missing[128];
	const char *paths[] = { f->dir, path_to(f, "gone.yaml", missing, sizeof(missing)) };
	findings_init(&findings, arena);
	write_map(f, "a.yaml", "a", "1");
	write_map(f, "b.yaml", "a", "2");
	write_text(f, "broken.yaml", "apiVersion: [");
	write_text(f, "bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: -a}\n");
	assert_int_equal(symlink("gone", path_to(f, "link.yaml", missing, sizeof(missing))), 0);
	assert_true(files_load(paths, 1, store, &findings, &err));
	assert_int_equal(findings.count, 4);
	size_t broken = 0, duplicate = 0, bad = 0, dangling = 0;
	for (size_t i = 0; i < findings.count; i++) {
		const struct finding *finding = &findings.items[i];
		broken += str_is(finding->reason, "ParseFailed");
		dangling += str_is(finding->reason, "Unreadable");
		duplicate += str_is(finding->reason, "Duplicate");
		bad += strstr(finding->origin.p, "bad.yaml") != NULL;
	}
	assert_int_equal(broken, 1);
	assert_int_equal(dangling, 1);
	assert_int_equal(duplicate, 1);
	assert_int_equal(bad, 1);
	assert_non_null(store_get(store, KIND_CONFIGMAP, STR("default"), STR("a")));
	size_t count;
	store_list(store, KIND_CONFIGMAP, &count);
	assert_int_equal(count, 1);

	path_to(f, "gone.yaml", missing, sizeof(missing));
	assert_false(files_load(paths, 2, store, &findings, &err));
	assert_int_equal(err.code, ERR_NOTFOUND);
	assert_non_null(strstr(err.text, "gone.yaml: No such file"));
	store_free(store);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(edits, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_files, setup, teardown),
		cmocka_unit_test_setup_teardown(duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(config_map_swap, setup, teardown),
		cmocka_unit_test_setup_teardown(folders, setup, teardown),
		cmocka_unit_test_setup_teardown(large_file, setup, teardown),
		cmocka_unit_test_setup_teardown(load_once, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
