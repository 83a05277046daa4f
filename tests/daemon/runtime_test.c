/* SPDX-License-Identifier: Apache-2.0 */
/* The Runtime API client against a real socket whose other end behaves badly. */
#include "daemon/runtime.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tests/daemon/loop.h"

enum { TIMEOUT_MS = 5000, BIG_BYTES = 1024 * 1024, MAX_REPLY_BYTES = 64 * 1024 };

/* ---- the other end: one connection for each act ---- */

enum act {
	ACT_END = 0,
	ACT_ECHO,    /* the command comes back */
	ACT_COUNT,   /* reads slowly, answers how many bytes came */
	ACT_SLOW,    /* the reply in single bytes with pauses */
	ACT_GARBAGE, /* every byte there is */
	ACT_HALF,    /* a reply that stops in the middle of a line */
	ACT_NOTHING, /* reads, and closes */
	ACT_CLOSE,   /* closes at once */
	ACT_LONG,    /* one byte more than the limit */
	ACT_FULL,    /* just the limit */
	ACT_HANG,    /* says something, and then nothing more */
};

struct server {
	char path[108];
	int fd;
	pthread_t thread;
	const enum act *acts;
};

static void say(int fd, const void *data, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t sent = send(fd, (const char *)data + at, n - at, MSG_NOSIGNAL);
		if (sent <= 0)
			return; /* the client may have gone, and often should */
		at += (size_t)sent;
	}
}

/* Reads to the end of the line; keeps what fits. */
static size_t hear(int fd, char *text, size_t text_bytes, useconds_t pause_us)
{
	char buf[32 * 1024];
	size_t total = 0;
	for (ssize_t n; (n = recv(fd, buf, sizeof(buf), 0)) > 0;) {
		for (ssize_t i = 0; i < n && total + (size_t)i < text_bytes; i++)
			text[total + (size_t)i] = buf[i];
		total += (size_t)n;
		if (buf[n - 1] == '\n')
			break;
		usleep(pause_us);
	}
	return total;
}

static void say_many(int fd, size_t n)
{
	char *text = xcalloc(1, n);
	memset(text, 'x', n);
	say(fd, text, n);
	free(text);
}

static void say_all_bytes(int fd)
{
	unsigned char bytes[256];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	say(fd, bytes, sizeof(bytes));
}

static void perform(enum act act, int fd)
{
	char text[1024];
	if (act == ACT_CLOSE)
		return;
	size_t n = hear(fd, text, sizeof(text), act == ACT_COUNT ? 1000 : 0);
	switch (act) {
	case ACT_ECHO:
		say(fd, text, n);
		break;
	case ACT_COUNT:
		snprintf(text, sizeof(text), "%zu", n);
		say(fd, text, strlen(text));
		break;
	case ACT_SLOW:
		for (size_t i = 0; i < n; i++) {
			say(fd, text + i, 1);
			usleep(3000);
		}
		break;
	case ACT_GARBAGE:
		say_all_bytes(fd);
		break;
	case ACT_HALF:
		say(fd, "1\nno newl", 9);
		break;
	case ACT_LONG:
		say_many(fd, MAX_REPLY_BYTES + 1);
		break;
	case ACT_FULL:
		say_many(fd, MAX_REPLY_BYTES);
		break;
	case ACT_HANG:
		say(fd, "wait", 4);
		hear(fd, text, sizeof(text), 0); /* until the client closes */
		break;
	case ACT_END:
	case ACT_NOTHING:
	case ACT_CLOSE:
		break;
	}
}

static void *server_main(void *arg)
{
	struct server *server = arg;
	for (const enum act *act = server->acts; *act != ACT_END; act++) {
		int fd = accept(server->fd, NULL, NULL);
		if (fd < 0)
			break; /* stopped */
		perform(*act, fd);
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *server, const char *directory, const enum act *acts)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(server->path, sizeof(server->path), "%s/s", directory);
	memcpy(address.sun_path, server->path, sizeof(server->path));
	server->acts = acts;
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, 16), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void server_stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
}

/* ---- replies ---- */

enum { MAX_ANSWERS = 8 };

struct answers {
	struct runtime *runtime;
	size_t count, wanted;
	bool done;
	struct error errs[MAX_ANSWERS];
	char *texts[MAX_ANSWERS];
	size_t lens[MAX_ANSWERS];
};

static void on_reply(void *user, struct str reply, const struct error *err)
{
	struct answers *answers = user;
	size_t i = answers->count++;
	assert_true(i < MAX_ANSWERS);
	if (err)
		answers->errs[i] = *err;
	answers->texts[i] = xstrndup(reply.p, reply.n);
	answers->lens[i] = reply.n;
	answers->done = answers->count == answers->wanted;
}

static void answers_free(struct answers *answers)
{
	for (size_t i = 0; i < answers->count; i++)
		free(answers->texts[i]);
}

static void send_text(struct answers *answers, const char *text)
{
	runtime_send(answers->runtime, str_of(text), MAX_REPLY_BYTES, on_reply, answers);
	answers->wanted++;
}

/* One command for each act, all answered. */
static void converse(const char *directory, const enum act *acts, int64_t timeout_ms,
		     struct answers *answers)
{
	struct server server;
	server_start(&server, directory, acts);
	answers->runtime = runtime_new(loop_default(), server.path, timeout_ms);
	for (const enum act *act = acts; *act != ACT_END; act++) {
		char text[32];
		snprintf(text, sizeof(text), "command %zu\n", answers->wanted);
		send_text(answers, text);
	}
	assert_int_equal(answers->count, 0); /* never from inside runtime_send() */
	assert_int_equal(runtime_pending(answers->runtime), answers->wanted);
	loop_until(&answers->done);
	assert_int_equal(runtime_pending(answers->runtime), 0);
	runtime_free(answers->runtime);
	server_stop(&server);
}

static void in_order(void **state)
{
	struct answers answers = { 0 };
	converse(*state, (const enum act[]){ ACT_ECHO, ACT_SLOW, ACT_ECHO, ACT_END }, TIMEOUT_MS,
		 &answers);
	for (size_t i = 0; i < 3; i++) {
		char text[32];
		snprintf(text, sizeof(text), "command %zu\n", i);
		assert_int_equal(answers.errs[i].code, ERR_NONE);
		assert_string_equal(answers.texts[i], text);
	}
	answers_free(&answers);
}

/* The framing is the end of file: what came before it is handed on as it is. */
static void strange_replies(void **state)
{
	struct answers answers = { 0 };
	converse(*state,
		 (const enum act[]){ ACT_GARBAGE, ACT_HALF, ACT_NOTHING, ACT_ECHO, ACT_END },
		 TIMEOUT_MS, &answers);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(answers.errs[i].code, ERR_NONE);
	assert_int_equal(answers.lens[0], 256);
	for (size_t i = 0; i < 256; i++)
		assert_int_equal((unsigned char)answers.texts[0][i], i);
	assert_string_equal(answers.texts[1], "1\nno newl");
	assert_int_equal(answers.lens[2], 0);
	assert_string_equal(answers.texts[3], "command 3\n");
	answers_free(&answers);
}

static void closed_at_once(void **state)
{
	struct answers answers = { 0 };
	converse(*state, (const enum act[]){ ACT_CLOSE, ACT_ECHO, ACT_END }, TIMEOUT_MS, &answers);
	assert_int_equal(answers.errs[0].code, ERR_IO);
	assert_int_equal(answers.errs[1].code, ERR_NONE);
	answers_free(&answers);
}

static void reply_limit(void **state)
{
	struct answers answers = { 0 };
	converse(*state, (const enum act[]){ ACT_FULL, ACT_LONG, ACT_ECHO, ACT_END }, TIMEOUT_MS,
		 &answers);
	assert_int_equal(answers.errs[0].code, ERR_NONE);
	assert_int_equal(answers.lens[0], MAX_REPLY_BYTES);
	assert_int_equal(answers.errs[1].code, ERR_LIMIT);
	assert_int_equal(answers.errs[2].code, ERR_NONE);
	answers_free(&answers);
}

/* One that hangs costs its own time, and not the turn of the next. */
static void time_out(void **state)
{
	struct answers answers = { 0 };
	converse(*state, (const enum act[]){ ACT_HANG, ACT_ECHO, ACT_END }, 200, &answers);
	assert_int_equal(answers.errs[0].code, ERR_TIMEOUT);
	assert_non_null(strstr(answers.errs[0].text, "does not answer"));
	assert_int_equal(answers.errs[1].code, ERR_NONE);
	assert_string_equal(answers.texts[1], "command 1\n");
	answers_free(&answers);
}

static void nobody_listens(void **state)
{
	struct answers answers = { 0 };
	char path[108];
	snprintf(path, sizeof(path), "%s/none", (const char *)*state);
	answers.runtime = runtime_new(loop_default(), path, TIMEOUT_MS);
	send_text(&answers, "a\n");
	send_text(&answers, "b\n");
	loop_until(&answers.done);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(answers.errs[i].code, ERR_IO);
		assert_non_null(strstr(answers.errs[i].text, path));
	}
	runtime_free(answers.runtime);
	answers_free(&answers);
}

/* More than a socket takes at once. */
static void big_batch(void **state)
{
	struct server server;
	struct answers answers = { .wanted = 1 };
	char *text = xcalloc(1, BIG_BYTES);
	memset(text, 'x', BIG_BYTES - 1);
	text[BIG_BYTES - 1] = '\n';
	server_start(&server, *state, (const enum act[]){ ACT_COUNT, ACT_END });
	answers.runtime = runtime_new(loop_default(), server.path, TIMEOUT_MS);
	runtime_send(answers.runtime, (struct str){ text, BIG_BYTES }, MAX_REPLY_BYTES, on_reply,
		     &answers);
	free(text); /* copied */
	loop_until(&answers.done);
	assert_string_equal(answers.texts[0], "1048576");
	runtime_free(answers.runtime);
	server_stop(&server);
	answers_free(&answers);
}

/* ---- what a callback may do ---- */

static void send_another(void *user, struct str reply, const struct error *err)
{
	struct answers *answers = user;
	assert_null(err);
	assert_true(str_is(reply, "first\n"));
	runtime_send(answers->runtime, STR("second\n"), MAX_REPLY_BYTES, on_reply, answers);
}

static void free_client(void *user, struct str reply, const struct error *err)
{
	struct answers *answers = user;
	runtime_free(answers->runtime);
	answers->runtime = NULL;
	assert_null(err);
	assert_true(str_is(reply, "last\n")); /* still there */
	answers->done = true;
}

static void callbacks(void **state)
{
	struct server server;
	struct answers answers = { .wanted = 1 };
	server_start(&server, *state,
		     (const enum act[]){ ACT_ECHO, ACT_ECHO, ACT_ECHO, ACT_ECHO, ACT_END });
	answers.runtime = runtime_new(loop_default(), server.path, TIMEOUT_MS);
	runtime_send(answers.runtime, STR("first\n"), MAX_REPLY_BYTES, send_another, &answers);
	loop_until(&answers.done);
	assert_string_equal(answers.texts[0], "second\n");
	answers.done = false;
	runtime_send(answers.runtime, STR("nobody asks\n"), MAX_REPLY_BYTES, NULL, NULL);
	runtime_send(answers.runtime, STR("last\n"), MAX_REPLY_BYTES, free_client, &answers);
	runtime_send(answers.runtime, STR("never sent\n"), MAX_REPLY_BYTES, on_reply, &answers);
	loop_until(&answers.done);
	loop_for(0.05);
	assert_int_equal(answers.count, 1);
	server_stop(&server);
	answers_free(&answers);
}

static void dropped(void **state)
{
	struct server server;
	struct answers answers = { 0 };
	server_start(&server, *state, (const enum act[]){ ACT_HANG, ACT_ECHO, ACT_END });
	answers.runtime = runtime_new(loop_default(), server.path, TIMEOUT_MS);
	send_text(&answers, "on the wire\n");
	send_text(&answers, "waits\n");
	loop_for(0.05);
	runtime_drop(answers.runtime);
	assert_int_equal(runtime_pending(answers.runtime), 0);
	loop_for(0.05);
	assert_int_equal(answers.count, 0);
	answers.wanted = 0;
	send_text(&answers, "after\n"); /* and it works as before */
	loop_until(&answers.done);
	assert_string_equal(answers.texts[0], "after\n");
	runtime_free(answers.runtime);
	server_stop(&server);
	answers_free(&answers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, directory_setup, directory_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_order),
		TEST(strange_replies),
		TEST(closed_at_once),
		TEST(reply_limit),
		TEST(time_out),
		TEST(nobody_listens),
		TEST(big_batch),
		TEST(callbacks),
		TEST(dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
