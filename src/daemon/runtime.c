/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/runtime.h"

#include <assert.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <ev.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sb.h"

struct batch {
	STAILQ_ENTRY(batch) link;
	char *text;
	size_t len;
	size_t max_reply_bytes;
	runtime_reply_fn reply;
	void *user;
};

struct runtime {
	struct ev_loop *loop;
	char *path;
	double timeout_s;
	STAILQ_HEAD(batch_queue, batch) queue; /* the first is on the wire when fd >= 0 */
	size_t pending;
	int fd;
	size_t written;
	struct sb in;
	ev_io io;
	ev_timer timeout;
	ev_idle next; /* starts a batch from the loop, so that callbacks never nest */
};

static void batch_free(struct batch *batch)
{
	free(batch->text);
	free(batch);
}

static void disconnect(struct runtime *runtime)
{
	ev_io_stop(runtime->loop, &runtime->io);
	ev_timer_stop(runtime->loop, &runtime->timeout);
	if (runtime->fd >= 0)
		close(runtime->fd);
	runtime->fd = -1;
}

/* Takes the first batch off the queue and tells its owner; the next one starts from the loop. */
static void finish(struct runtime *runtime, const struct error *err)
{
	struct batch *batch = STAILQ_FIRST(&runtime->queue);
	assert(batch);
	disconnect(runtime);
	STAILQ_REMOVE_HEAD(&runtime->queue, link);
	runtime->pending--;
	struct sb in = runtime->in; /* the callback may send, drop, or look at the reply */
	sb_init(&runtime->in, 0);
	if (!STAILQ_EMPTY(&runtime->queue))
		ev_idle_start(runtime->loop, &runtime->next);
	if (batch->reply)
		batch->reply(batch->user, sb_str(&in), err);
	sb_fini(&in);
	batch_free(batch);
}

static void fail_errno(struct runtime *runtime, const char *what)
{
	struct error err;
	error_errno(&err, "%s %s", what, runtime->path);
	finish(runtime, &err);
}

static void read_some(struct runtime *runtime)
{
	char buf[65536];
	for (int turn = 0; turn < 16; turn++) { /* bounded work in one turn of the loop */
		ssize_t n = recv(runtime->fd, buf, sizeof(buf), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			fail_errno(runtime, "reading from");
			return;
		}
		if (n == 0) {
			struct error err;
			finish(runtime, sb_ok(&runtime->in, &err) ? NULL : &err);
			return;
		}
		sb_add(&runtime->in, (struct str){ buf, (size_t)n });
	}
}

static void write_some(struct runtime *runtime)
{
	const struct batch *batch = STAILQ_FIRST(&runtime->queue);
	while (runtime->written < batch->len) {
		ssize_t n = send(runtime->fd, batch->text + runtime->written,
				 batch->len - runtime->written, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			fail_errno(runtime, "writing to");
			return;
		}
		runtime->written += (size_t)n;
	}
	ev_io_stop(runtime->loop, &runtime->io);
	ev_io_set(&runtime->io, runtime->fd, EV_READ);
	ev_io_start(runtime->loop, &runtime->io);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct runtime *runtime = io->data;
	if (events & EV_WRITE)
		write_some(runtime);
	else
		read_some(runtime);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct runtime *runtime = timer->data;
	struct error err;
	error_set(&err, ERR_TIMEOUT, "%s does not answer within %.1f s", runtime->path,
		  runtime->timeout_s);
	finish(runtime, &err);
}

static void start_batch(struct runtime *runtime)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	assert(strlen(runtime->path) < sizeof(address.sun_path));
	memcpy(address.sun_path, runtime->path, strlen(runtime->path) + 1);
	sb_fini(&runtime->in);
	sb_init(&runtime->in, STAILQ_FIRST(&runtime->queue)->max_reply_bytes);
	runtime->written = 0;
	runtime->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (runtime->fd < 0) {
		fail_errno(runtime, "no socket for");
		return;
	}
	/* A Unix socket connects at once, or its backlog is full (EAGAIN): HAProxy is stuck. */
	if (connect(runtime->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		fail_errno(runtime, "cannot connect to");
		return;
	}
	ev_io_set(&runtime->io, runtime->fd, EV_WRITE);
	ev_io_start(runtime->loop, &runtime->io);
	ev_timer_set(&runtime->timeout, runtime->timeout_s, 0.0);
	ev_timer_start(runtime->loop, &runtime->timeout);
	write_some(runtime);
}

static void on_next(struct ev_loop *loop, ev_idle *idle, int events)
{
	(void)events;
	struct runtime *runtime = idle->data;
	ev_idle_stop(loop, idle);
	if (runtime->fd < 0 && !STAILQ_EMPTY(&runtime->queue))
		start_batch(runtime);
}

struct runtime *runtime_new(struct ev_loop *loop, const char *socket_path, int64_t timeout_ms)
{
	struct runtime *runtime = xcalloc(1, sizeof(*runtime));
	runtime->loop = loop;
	runtime->path = xstrndup(socket_path, strlen(socket_path));
	runtime->timeout_s = (double)timeout_ms / 1000.0;
	runtime->fd = -1;
	STAILQ_INIT(&runtime->queue);
	ev_io_init(&runtime->io, on_io, -1, EV_READ);
	ev_timer_init(&runtime->timeout, on_timeout, 0.0, 0.0);
	ev_idle_init(&runtime->next, on_next);
	ev_set_priority(&runtime->next, EV_MAXPRI); /* not after everything else, but before */
	runtime->io.data = runtime->timeout.data = runtime->next.data = runtime;
	return runtime;
}

void runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return;
	runtime_drop(runtime);
	sb_fini(&runtime->in);
	free(runtime->path);
	free(runtime);
}

void runtime_send(struct runtime *runtime, struct str text, size_t max_reply_bytes,
		  runtime_reply_fn reply, void *user)
{
	struct batch *batch = xcalloc(1, sizeof(*batch));
	batch->text = xstrndup(text.p, text.n);
	batch->len = text.n;
	batch->max_reply_bytes = max_reply_bytes;
	batch->reply = reply;
	batch->user = user;
	STAILQ_INSERT_TAIL(&runtime->queue, batch, link);
	runtime->pending++;
	if (runtime->fd < 0)
		ev_idle_start(runtime->loop, &runtime->next);
}

void runtime_drop(struct runtime *runtime)
{
	disconnect(runtime);
	ev_idle_stop(runtime->loop, &runtime->next);
	while (!STAILQ_EMPTY(&runtime->queue)) {
		struct batch *batch = STAILQ_FIRST(&runtime->queue);
		STAILQ_REMOVE_HEAD(&runtime->queue, link);
		batch_free(batch);
	}
	runtime->pending = 0;
}

size_t runtime_pending(const struct runtime *runtime)
{
	return runtime->pending;
}
