/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/worker.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "spoa/session.h"

enum {
	/* What one write() may carry: half of what HAProxy's smallest usual buffer holds. */
	OUT_BYTES = 8 * 1024,
	READS_PER_TURN = 4,   /* then it is another connection's turn */
	ACCEPTS_PER_TURN = 8, /* leaves some for the other threads */
	LINGER_MS = 1000,     /* for the peer to see our good-bye and close */
};

static const double tick_s = 0.5;

/* One connection. Bytes in `in` are from a read, not yet whole frames; bytes in
 * out[out_from, out_to) wait to be written, and while there are any nothing is read. */
struct conn {
	TAILQ_ENTRY(conn) link;
	struct ev_io io;
	struct worker *worker;
	struct session session;
	int64_t deadline_ms;
	bool lingering; /* our side is shut; waits for the peer to close */
	size_t in_len, in_size;
	size_t out_from, out_to;
	uint8_t out[OUT_BYTES];
	uint8_t in[];
};

TAILQ_HEAD(conn_list, conn);

struct worker {
	struct worker_shared *shared;
	struct ev_loop *loop;
	struct ev_io accept_io;
	struct ev_async stop_async;
	struct ev_timer tick;
	struct conn_list conns;
	struct decider decider;
	struct stats stats;
	uint64_t errors_logged;
	bool stopping;
	pthread_t thread;
};

/* Not the loop's time, which jumps with the system's clock. */
static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- connections --- */

static void conn_close(struct conn *conn)
{
	struct worker *worker = conn->worker;
	ev_io_stop(worker->loop, &conn->io);
	close(conn->io.fd);
	TAILQ_REMOVE(&worker->conns, conn, link);
	atomic_fetch_sub(&worker->shared->connections, 1);
	stats_add(&worker->stats, STAT_CLOSED, 1);
	free(conn);
}

static void conn_want(struct conn *conn, int events)
{
	if ((conn->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(conn->worker->loop, &conn->io);
	ev_io_set(&conn->io, conn->io.fd, events);
	ev_io_start(conn->worker->loop, &conn->io);
}

/* How long the peer may take for its next step. A started deadline is not moved by more
 * bytes of the same step: that would let a peer stall for ever, byte by byte. */
static void conn_set_deadline(struct conn *conn, unsigned seconds)
{
	conn->deadline_ms = now_ms() + (int64_t)seconds * 1000;
}

enum io_status { IO_DONE, IO_AGAIN, IO_CLOSED };

static enum io_status io_failed(struct conn *conn)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return IO_AGAIN;
	stats_add(&conn->worker->stats, STAT_IO, 1);
	return IO_CLOSED;
}

static enum io_status conn_write(struct conn *conn)
{
	while (conn->out_from < conn->out_to) {
		ssize_t n = send(conn->io.fd, conn->out + conn->out_from,
				 conn->out_to - conn->out_from, MSG_NOSIGNAL);
		if (n < 0)
			return io_failed(conn);
		conn->out_from += (size_t)n;
	}
	conn->out_from = conn->out_to = 0;
	return IO_DONE;
}

static enum io_status conn_read(struct conn *conn)
{
	assert(conn->in_len < conn->in_size); /* a whole frame always fits, so there is room */
	ssize_t n = read(conn->io.fd, conn->in + conn->in_len, conn->in_size - conn->in_len);
	if (n < 0)
		return io_failed(conn);
	conn->in_len += (size_t)n;
	return n ? IO_DONE : IO_CLOSED;
}

static void conn_consume(struct conn *conn, size_t n)
{
	conn->in_len -= n;
	if (conn->in_len && n)
		memmove(conn->in, conn->in + n, conn->in_len);
}

/* Answers what has been read: all answers of a read in one write, unless they need more than
 * the output buffer. IO_AGAIN: the peer has to read first. */
static enum io_status conn_answer(struct conn *conn)
{
	for (;;) {
		enum io_status status = conn_write(conn);
		if (status != IO_DONE)
			return status;
		struct wire_out out = wire_out_of(conn->out, sizeof(conn->out));
		struct str bytes = { (const char *)conn->in, conn->in_len };
		conn_consume(conn, session_feed(&conn->session, bytes, &out));
		if (conn->worker->stopping)
			session_stop(&conn->session, SPOP_NORMAL, &out);
		assert(!out.failed); /* SESSION_ANSWER_BYTES are kept free */
		conn->out_to = (size_t)(out.at - conn->out);
		if (!conn->out_to)
			return IO_DONE;
	}
}

/* Everything is said: lets the peer read it, and close. Closing at once could take answers
 * away from it. */
static void conn_linger(struct conn *conn)
{
	shutdown(conn->io.fd, SHUT_WR);
	conn->lingering = true;
	conn->deadline_ms = now_ms() + LINGER_MS;
	conn_want(conn, EV_READ);
}

static void conn_rest(struct conn *conn, bool was_partial)
{
	const struct server_options *options = conn->worker->shared->options;
	if (conn->session.state == SESSION_CLOSING) {
		conn_linger(conn);
		return;
	}
	conn_want(conn, EV_READ);
	if (conn->session.state == SESSION_HELLO)
		return;
	if (!conn->in_len)
		conn_set_deadline(conn, options->idle_timeout_s);
	else if (!was_partial)
		conn_set_deadline(conn, options->hello_timeout_s);
}

static void conn_block(struct conn *conn)
{
	conn_want(conn, EV_WRITE);
	conn_set_deadline(conn, conn->worker->shared->options->hello_timeout_s);
}

/* Reads and answers; may free the connection. */
static void conn_turn(struct conn *conn, bool readable)
{
	bool was_partial = conn->in_len > 0;
	enum io_status status = conn_answer(conn);
	for (int i = 0; i < READS_PER_TURN && readable && status == IO_DONE; i++) {
		if (conn->session.state == SESSION_CLOSING)
			break;
		size_t room = conn->in_size - conn->in_len, before = conn->in_len;
		status = conn_read(conn);
		if (status == IO_AGAIN) {
			status = IO_DONE;
			break;
		}
		size_t got = conn->in_len - before;
		if (status == IO_DONE)
			status = conn_answer(conn);
		was_partial = was_partial && conn->in_len > got;
		if (got < room)
			break; /* the socket is empty: spares a read */
	}
	if (status == IO_CLOSED)
		conn_close(conn);
	else if (status == IO_AGAIN)
		conn_block(conn);
	else
		conn_rest(conn, was_partial);
}

static void discard(struct conn *conn)
{
	conn->in_len = 0;
	if (conn_read(conn) == IO_CLOSED)
		conn_close(conn);
	else
		conn->in_len = 0;
}

static void on_conn(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)loop;
	struct conn *conn = io->data;
	if (conn->lingering)
		discard(conn);
	else
		conn_turn(conn, events & EV_READ);
}

static bool conn_new(struct worker *worker, int fd)
{
	const struct server_options *options = worker->shared->options;
	size_t in_size = 2 * (SPOP_LENGTH_BYTES + options->max_frame_bytes);
	/* malloc: out of memory costs this connection only. */
	struct conn *conn = malloc(sizeof(*conn) + in_size);
	if (!conn)
		return false;
	*conn = (struct conn){ .worker = worker, .in_size = in_size };
	session_init(&conn->session, &worker->decider, options->max_frame_bytes,
		     options->pipelining);
	conn_set_deadline(conn, options->hello_timeout_s);
	TAILQ_INSERT_TAIL(&worker->conns, conn, link);
	ev_io_init(&conn->io, on_conn, fd, EV_READ);
	conn->io.data = conn;
	ev_io_start(worker->loop, &conn->io);
	return true;
}

/* --- the thread --- */

static void take_connection(struct worker *worker, int fd)
{
	unsigned before = atomic_fetch_add(&worker->shared->connections, 1);
	if (before < worker->shared->options->max_connections && conn_new(worker, fd)) {
		stats_add(&worker->stats, STAT_ACCEPTED, 1);
		return;
	}
	atomic_fetch_sub(&worker->shared->connections, 1);
	stats_add(&worker->stats, STAT_REFUSED, 1);
	close(fd);
}

static void on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)events;
	struct worker *worker = io->data;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_connection(worker, fd);
			continue;
		}
		/* Out of descriptors: the socket stays readable, so wait for the next tick. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			stats_add(&worker->stats, STAT_REFUSED, 1);
			ev_io_stop(loop, io);
		}
		return;
	}
}

static uint64_t count_errors(const struct stats *stats)
{
	static const enum stat_id reasons[] = { STAT_BAD_LIST,	STAT_BAD_ARGUMENTS,
					     STAT_BAD_HEADERS,	STAT_UNKNOWN_MESSAGE,
					     STAT_LONG_VERDICT, STAT_BAD_HELLO,
					     STAT_BAD_FRAME,	STAT_BIG_FRAME,
					     STAT_FRAGMENT,	STAT_SLOW_LIST };
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		sum += stats_get(stats, reasons[i]);
	return sum;
}

/* At most one line a tick, whatever peers send. */
static void log_errors(struct worker *worker)
{
	uint64_t errors = count_errors(&worker->stats);
	if (errors == worker->errors_logged)
		return;
	log_line(&worker->shared->options->log, LOG_WARNING,
		 "%llu requests or connections without a verdict, the last one: %s",
		 (unsigned long long)(errors - worker->errors_logged),
		 worker->decider.last_error.text);
	worker->errors_logged = errors;
}

static void expire(struct worker *worker)
{
	int64_t now = now_ms();
	struct conn *next;
	for (struct conn *conn = TAILQ_FIRST(&worker->conns); conn; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (now < conn->deadline_ms)
			continue;
		bool idle = conn->session.state == SESSION_OPEN && !conn->in_len && !conn->out_to;
		if (!conn->lingering && !idle)
			stats_add(&worker->stats, STAT_TIMEOUT, 1);
		if (conn->lingering || conn->out_to) {
			conn_close(conn);
			continue;
		}
		struct wire_out out = wire_out_of(conn->out, sizeof(conn->out));
		session_stop(&conn->session, SPOP_TIMEOUT, &out);
		conn->out_to = (size_t)(out.at - conn->out);
		conn_turn(conn, false);
	}
}

static void end_when_empty(struct worker *worker)
{
	if (worker->stopping && TAILQ_EMPTY(&worker->conns))
		ev_break(worker->loop, EVBREAK_ALL);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)events;
	struct worker *worker = timer->data;
	expire(worker);
	log_errors(worker);
	if (!worker->stopping)
		ev_io_start(loop, &worker->accept_io);
	end_when_empty(worker);
}

/* Answers what has arrived, says good-bye, and lets the peers close. */
static void on_stop(struct ev_loop *loop, struct ev_async *async, int events)
{
	(void)events;
	struct worker *worker = async->data;
	if (worker->stopping)
		return;
	worker->stopping = true;
	ev_io_stop(loop, &worker->accept_io);
	ev_timer_stop(loop, &worker->tick);
	ev_timer_set(&worker->tick, 0.02, 0.02);
	ev_timer_start(loop, &worker->tick);
	struct conn *next;
	for (struct conn *conn = TAILQ_FIRST(&worker->conns); conn; conn = next) {
		next = TAILQ_NEXT(conn, link);
		int64_t latest = now_ms() + LINGER_MS;
		if (conn->deadline_ms > latest)
			conn->deadline_ms = latest;
		if (!conn->lingering)
			conn_turn(conn, !conn->out_to);
	}
	end_when_empty(worker);
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	ev_run(worker->loop, 0);
	log_errors(worker);
	return NULL;
}

static void worker_free(struct worker *worker)
{
	cache_free(worker->decider.cache);
	if (worker->loop)
		ev_loop_destroy(worker->loop);
	free(worker);
}

static void start_watchers(struct worker *worker)
{
	ev_io_init(&worker->accept_io, on_accept, worker->shared->listen_fd, EV_READ);
	worker->accept_io.data = worker;
	ev_io_start(worker->loop, &worker->accept_io);
	ev_async_init(&worker->stop_async, on_stop);
	worker->stop_async.data = worker;
	ev_async_start(worker->loop, &worker->stop_async);
	ev_timer_init(&worker->tick, on_tick, tick_s, tick_s);
	worker->tick.data = worker;
	ev_timer_start(worker->loop, &worker->tick);
}

struct worker *worker_start(struct worker_shared *shared, struct error *err)
{
	const struct server_options *options = shared->options;
	struct worker *worker = xcalloc(1, sizeof(*worker));
	worker->shared = shared;
	TAILQ_INIT(&worker->conns);
	worker->decider.stats = &worker->stats;
	worker->decider.clock_ns = clock_ns;
	worker->decider.cache =
		cache_new(options->cache_lists, options->cache_bytes, &worker->stats);
	worker->loop = ev_loop_new(EVFLAG_AUTO);
	if (!worker->loop) {
		worker_free(worker);
		error_set(err, ERR_IO, "cannot make an event loop");
		return NULL;
	}
	start_watchers(worker);
	errno = pthread_create(&worker->thread, NULL, run, worker);
	if (errno) {
		error_errno(err, "cannot start a thread");
		worker_free(worker);
		return NULL;
	}
	return worker;
}

void worker_stop(struct worker *worker)
{
	ev_async_send(worker->loop, &worker->stop_async);
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	worker_free(worker);
}

const struct stats *worker_stats(const struct worker *worker)
{
	return &worker->stats;
}
