/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes files, with real directories. A directory that is missing stands for
 * a disk that does not take the file: it works for root too. */
#include "daemon/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tests/daemon/loop.h"

struct told { /* of what the writer told */
	bool failed, works;
	size_t count;
	struct error err;
};

static void on_state(void *user, const struct error *err)
{
	struct told *told = user;
	told->count++;
	if (err) {
		told->err = *err;
		told->failed = true;
	} else {
		told->works = true;
	}
}

static struct writer *open_writer(struct told *told)
{
	struct error err;
	struct writer *writer = writer_new(loop_default(), on_state, told, &err);
	assert_non_null(writer);
	return writer;
}

/* In one of four buffers that take turns. */
static const char *in(void *const *state, const char *name)
{
	static char paths[4][256];
	static size_t turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", (const char *)*state, name);
	return path;
}

static void assert_file(const char *path, const char *wanted)
{
	char text[256];
	FILE *file = fopen(path, "re");
	if (!file)
		fail_msg("no %s", path);
	size_t n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	assert_string_equal(text, wanted);
}

static void assert_no_file(const char *path)
{
	if (access(path, F_OK) == 0)
		fail_msg("%s is there", path);
}

static void wait_idle(struct writer *writer)
{
	for (int turn = 0; turn < 1000 && writer_pending(writer) > 0; turn++)
		loop_for(0.01);
	assert_int_equal(writer_pending(writer), 0);
}

/* ---- in the calling thread ---- */

static void replaced(void **state)
{
	struct error err;
	struct stat info;
	const char *path = in(state, "f");
	mode_t mask = umask(077);
	assert_true(file_replace(path, STR("one"), 0644, false, &err));
	assert_file(path, "one");
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0644); /* whatever the umask says */
	assert_true(file_replace(path, STR("two"), 0600, true, &err));
	assert_file(path, "two");
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_true(file_replace(path, STR_NONE, 0600, false, &err));
	assert_file(path, "");
	assert_no_file(in(state, "f.tmp"));
	umask(mask);
}

static void not_replaced(void **state)
{
	struct error err;
	char path[5000];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_false(file_replace(path, STR("x"), 0600, false, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_false(file_replace(in(state, "none/f"), STR("x"), 0600, false, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.text, "none/f"));
	/* A directory in its place: the temporary file does not stay. */
	assert_int_equal(mkdir(in(state, "d"), 0700), 0);
	assert_false(file_replace(in(state, "d"), STR("x"), 0600, false, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_no_file(in(state, "d.tmp"));
}

/* Nobody makes us write somewhere else by a link that waits for us. */
static void links_not_followed(void **state)
{
	struct error err;
	const char *path = in(state, "f"), *target = in(state, "target");
	assert_int_equal(symlink(target, in(state, "f.tmp")), 0);
	assert_false(file_replace(path, STR("secret"), 0600, false, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_no_file(target);
}

/* ---- in the thread ---- */

static void written(void **state)
{
	struct told told = { 0 };
	struct writer *writer = open_writer(&told);
	char text[] = "text";
	writer_put(writer, in(state, "a"), str_of(text), 0600, false);
	memset(text, '-', sizeof(text) - 1); /* copied */
	writer_put(writer, in(state, "b"), STR("durable"), 0640, true);
	wait_idle(writer);
	assert_file(in(state, "a"), "text");
	assert_file(in(state, "b"), "durable");
	writer_remove(writer, in(state, "a"));
	writer_remove(writer, in(state, "never there"));
	wait_idle(writer);
	assert_no_file(in(state, "a"));
	assert_int_equal(told.count, 0);
	writer_free(writer);
}

/* While it fails only the newest of each path is kept, and that is what comes at last. */
static void coalesced(void **state)
{
	struct told told = { 0 };
	struct writer *writer = open_writer(&told);
	char text[32];
	for (int i = 0; i <= 500; i++) {
		snprintf(text, sizeof(text), "version %d", i);
		writer_put(writer, in(state, "d/f"), str_of(text), 0600, false);
		writer_put(writer, in(state, "d/g"), str_of(text), 0600, false);
	}
	writer_remove(writer, in(state, "d/g"));
	loop_until(&told.failed);
	/* What is being tried and what came meanwhile. */
	assert_in_range(writer_pending(writer), 1, 4);
	assert_int_equal(mkdir(in(state, "d"), 0700), 0);
	loop_until(&told.works);
	wait_idle(writer);
	assert_file(in(state, "d/f"), "version 500");
	assert_no_file(in(state, "d/g"));
	writer_free(writer);
}

static void fails_and_recovers(void **state)
{
	struct told told = { 0 };
	struct writer *writer = open_writer(&told);
	writer_put(writer, in(state, "d/f"), STR("kept"), 0600, true);
	writer_put(writer, in(state, "ok"), STR("not held up"), 0600, true);
	loop_until(&told.failed);
	assert_int_equal(told.err.code, ERR_IO);
	assert_non_null(strstr(told.err.text, "d/f"));
	for (int turn = 0; turn < 1000 && access(in(state, "ok"), F_OK) != 0; turn++)
		loop_for(0.01);
	assert_file(in(state, "ok"), "not held up");
	assert_in_range(writer_pending(writer), 1, 2);
	assert_int_equal(mkdir(in(state, "d"), 0700), 0);
	loop_until(&told.works); /* by itself */
	wait_idle(writer);
	assert_file(in(state, "d/f"), "kept");
	assert_int_equal(told.count, 2); /* each change once, not each attempt */
	writer_free(writer);
}

static void freed_with_jobs(void **state)
{
	struct told told = { 0 };
	struct writer *writer = open_writer(&told);
	writer_put(writer, in(state, "a"), STR("at the last moment"), 0600, true);
	writer_put(writer, in(state, "none/b"), STR("tried once"), 0600, true);
	writer_free(writer);
	assert_file(in(state, "a"), "at the last moment");
	assert_no_file(in(state, "none"));
	writer_free(NULL);
}

/* ---- both ---- */

/* HAProxy reads what was written at once: nothing older comes after it, or between. */
static void at_once(void **state)
{
	struct told told = { 0 };
	struct writer *writer = open_writer(&told);
	struct error err;
	char name[16], old[64], new[64];
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 8; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			snprintf(old, sizeof(old), "old %d", round);
			writer_put(writer, in(state, name), str_of(old), 0600, false);
		}
		snprintf(new, sizeof(new), "new %d", round);
		for (int i = 0; i < 8; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			assert_true(writer_replace(writer, in(state, name), str_of(new), 0600,
						   false, &err));
			assert_file(in(state, name), new);
		}
		wait_idle(writer);
		for (int i = 0; i < 8; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			assert_file(in(state, name), new);
		}
	}
	assert_int_equal(told.count, 0);
	writer_free(writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_setup, directory_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replaced),
		TEST(not_replaced),
		TEST(links_not_followed),
		TEST(written),
		TEST(coalesced),
		TEST(fails_and_recovers),
		TEST(freed_with_jobs),
		TEST(at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
