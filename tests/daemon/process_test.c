/* SPDX-License-Identifier: Apache-2.0 */
/* Real processes: started, signalled, adopted, and run for their output. */
#include "daemon/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tests/daemon/loop.h"

struct ended {
	struct process *process;
	bool done;
	size_t starts_left;
	char how[64];
};

static const char *const exit_7[] = { "sh", "-c", "exit 7", NULL };
static const char *const sleep_long[] = { "sleep", "60", NULL };

static void on_ended(void *user, const char *how)
{
	struct ended *ended = user;
	struct error err;
	assert_int_equal(process_pid(ended->process), 0);
	snprintf(ended->how, sizeof(ended->how), "%s", how);
	if (ended->starts_left == 0) {
		ended->done = true;
		return;
	}
	ended->starts_left--;
	assert_true(process_start(ended->process, exit_7, &err));
}

static void begin(struct ended *ended)
{
	*ended = (struct ended){ 0 };
	ended->process = process_new(loop_default(), on_ended, ended);
}

static void started(void **state)
{
	struct ended ended;
	struct error err;
	(void)state;
	begin(&ended);
	assert_int_equal(process_pid(ended.process), 0);
	process_signal(ended.process, SIGKILL); /* nobody there: nothing happens */
	assert_true(process_start(ended.process, exit_7, &err));
	assert_true(process_pid(ended.process) > 1);
	loop_until(&ended.done);
	assert_string_equal(ended.how, "exit status 7");
	process_free(ended.process);
	process_free(NULL);
}

static void signalled(void **state)
{
	struct ended ended;
	struct error err;
	(void)state;
	begin(&ended);
	assert_true(process_start(ended.process, sleep_long, &err));
	process_signal(ended.process, SIGSTOP); /* to be stopped is not the end */
	loop_for(0.05);
	assert_false(ended.done);
	process_signal(ended.process, SIGCONT);
	process_signal(ended.process, SIGTERM);
	loop_until(&ended.done);
	assert_string_equal(ended.how, "signal 15");
	process_free(ended.process);
}

static void started_again(void **state)
{
	struct ended ended;
	struct error err;
	(void)state;
	begin(&ended);
	ended.starts_left = 3; /* from the callback */
	assert_true(process_start(ended.process, exit_7, &err));
	loop_until(&ended.done);
	assert_string_equal(ended.how, "exit status 7");
	process_free(ended.process);
}

static void not_started(void **state)
{
	static const char *const missing[] = { "/nonexistent/program", NULL };
	struct ended ended;
	struct error err;
	(void)state;
	begin(&ended);
	assert_false(process_start(ended.process, missing, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.text, "/nonexistent/program"));
	assert_int_equal(process_pid(ended.process), 0);
	process_free(ended.process);
}

/* It outlives the object that looks after it. */
static void let_go(void **state)
{
	struct ended ended;
	struct error err;
	(void)state;
	begin(&ended);
	assert_true(process_start(ended.process, sleep_long, &err));
	pid_t pid = process_pid(ended.process);
	process_free(ended.process);
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	loop_for(0.05); /* reaped, and nobody is told */
	assert_false(ended.done);
}

/* ---- short commands ---- */

struct output {
	bool done, success;
	char *text;
	size_t len;
};

static void on_output(void *user, struct str text, bool success)
{
	struct output *output = user;
	output->done = true;
	output->success = success;
	output->text = xstrndup(text.p, text.n);
	output->len = text.n;
}

static void run_shell(const char *script, struct output *output)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct error err;
	*output = (struct output){ 0 };
	assert_true(process_run(loop_default(), argv, on_output, output, &err));
	assert_false(output->done);
	loop_until(&output->done);
}

static void assert_run(const char *script, bool success, const char *text)
{
	struct output output;
	run_shell(script, &output);
	assert_int_equal(output.success, success);
	assert_string_equal(output.text, text);
	free(output.text);
}

static void outputs(void **state)
{
	(void)state;
	assert_run("echo out; echo err >&2", true, "out\nerr\n");
	assert_run("echo bad; exit 1", false, "bad\n");
	assert_run("kill -9 $$", false, "");
	assert_run("exec >&- 2>&-; sleep 0.05; exit 0", true, ""); /* closed before its end */
	assert_run("cat", true, ""); /* its input is empty */
}

static void output_limit(void **state)
{
	struct output output;
	(void)state;
	run_shell("head -c 100000 /dev/zero | tr '\\0' x; echo end", &output);
	assert_true(output.success);
	assert_int_equal(output.len, 64 * 1024);
	assert_int_equal(output.text[output.len - 1], 'x');
	free(output.text);
}

/* A session of its own, and signals as a program expects them. */
static void surroundings(void **state)
{
	struct output output;
	int pid, group, session;
	(void)state;
	run_shell("exec cat /proc/self/stat", &output);
	assert_int_equal(sscanf(output.text, "%d (cat) %*c %*d %d %d", &pid, &group, &session), 3);
	assert_int_equal(session, pid);
	free(output.text);
	sigset_t usr1, before;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	signal(SIGUSR2, SIG_IGN);
	assert_run("kill -USR1 $$; echo blocked", false, "");
	assert_run("kill -USR2 $$; echo ignored", false, "");
	signal(SIGUSR2, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void run_missing(void **state)
{
	static const char *const missing[] = { "/nonexistent/program", NULL };
	char text[16];
	struct output output = { 0 };
	struct error err;
	(void)state;
	assert_false(process_run(loop_default(), missing, on_output, &output, &err));
	assert_non_null(strstr(err.text, "/nonexistent/program"));
	assert_false(process_run_wait(missing, text, sizeof(text), &err));
	loop_for(0.02);
	assert_false(output.done);
}

static void run_waiting(void **state)
{
	static const char *const good[] = { "sh", "-c", "echo out; echo err >&2", NULL };
	static const char *const bad[] = { "sh", "-c", "echo why; exit 1", NULL };
	char text[64], small[4];
	struct error err;
	(void)state;
	assert_true(process_run_wait(good, text, sizeof(text), &err));
	assert_string_equal(text, "out\nerr\n");
	assert_true(process_run_wait(good, small, sizeof(small), &err));
	assert_string_equal(small, "out");
	assert_false(process_run_wait(bad, text, sizeof(text), &err));
	assert_non_null(strstr(err.text, "why"));
}

/* ---- adoption ---- */

/* A process that is nobody's child any more, with `path` in its command line. */
static pid_t start_orphan(const char *path)
{
	char script[512], text[64];
	struct error err;
	snprintf(script, sizeof(script), "tail -f %s >/dev/null 2>&1 & echo $!", path);
	const char *const argv[] = { "sh", "-c", script, NULL };
	if (!process_run_wait(argv, text, sizeof(text), &err))
		fail_msg("%s", err.text);
	uint64_t pid = 0;
	assert_true(str_u64(str_sub(str_of(text), 0, strlen(text) - 1), INT32_MAX, &pid));
	/* Between fork and exec it still has the shell's command line, which has the path too. */
	loop_for(0.05);
	return (pid_t)pid;
}

static void adopted(void **state)
{
	struct ended ended;
	char path[256], text[300];
	snprintf(path, sizeof(path), "%s/mark", (const char *)*state);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
	pid_t pid = start_orphan(path);
	struct str words = { text, (size_t)snprintf(text, sizeof(text), "-f%c%s", 0, path) + 1 };
	begin(&ended);
	assert_false(process_adopt(ended.process, STR("-f\0/another/directory\0")));
	text[words.n - 2] = '\0'; /* whole words: not the beginning of one */
	assert_false(process_adopt(ended.process, str_sub(words, 0, words.n - 1)));
	text[words.n - 2] = 'k';
	assert_true(process_adopt(ended.process, words));
	assert_int_equal(process_pid(ended.process), pid);
	loop_for(0.05);
	assert_false(ended.done);
	process_signal(ended.process, SIGKILL);
	loop_until(&ended.done);
	assert_string_equal(ended.how, "ended");
	assert_false(process_adopt(ended.process, words)); /* dead */
	process_free(ended.process);
}

/* ---- somebody else's ---- */

static void followed(void **state)
{
	struct ended ended;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", (const char *)*state);
	begin(&ended);
	assert_false(process_follow(ended.process, address.sun_path));
	assert_false(process_accepts(address.sun_path));
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_true(process_accepts(address.sun_path));
	close(accept(listener, NULL, NULL));
	assert_false(process_runs(ended.process));
	assert_true(process_follow(ended.process, address.sun_path));
	assert_true(process_runs(ended.process));
	assert_int_equal(process_pid(ended.process), 0);
	process_signal(ended.process, SIGKILL); /* not ours to signal */
	int peer = accept(listener, NULL, NULL);
	loop_for(0.05);
	assert_false(ended.done);
	close(peer);
	loop_until(&ended.done);
	assert_string_equal(ended.how, "hung up");
	assert_false(process_runs(ended.process));
	close(listener);
	assert_false(process_follow(ended.process, address.sun_path)); /* the file is still there */
	process_free(ended.process);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_setup, directory_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(started),
		TEST(signalled),
		TEST(started_again),
		TEST(not_started),
		TEST(let_go),
		TEST(outputs),
		TEST(output_limit),
		TEST(surroundings),
		TEST(run_missing),
		TEST(run_waiting),
		TEST(adopted),
		TEST(followed),
	};
	loop_default(); /* before the first child: it reaps them */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
