/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/server.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "spoa/listen.h"
#include "spoa/worker.h"

enum { STATS_TEXT_BYTES = 16 * 1024 }; /* fits a socket's buffer: one send is enough */

struct server {
	const struct server_options *options;
	struct worker_shared shared;
	struct worker **workers;
	size_t worker_count;
	struct ev_loop *loop;
	struct ev_io stats_io;
	struct ev_signal on_term, on_int;
	char *stats_address;
	int stats_fd;
};

static void print_stats(const struct server *server, struct sb *out)
{
	const struct stats **sets = xcalloc(server->worker_count, sizeof(struct stats *));
	for (size_t i = 0; i < server->worker_count; i++)
		sets[i] = worker_stats(server->workers[i]);
	stats_print(sets, server->worker_count, out);
	sb_addf(out, "connections %u\n", atomic_load(&server->shared.connections));
	sb_addf(out, "threads %zu\n", server->worker_count);
	free(sets);
}

static void on_stats(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)loop;
	(void)events;
	const struct server *server = io->data;
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct sb text;
	sb_init(&text, STATS_TEXT_BYTES);
	print_stats(server, &text);
	/* A reader that went away gets nothing; it can ask again. */
	ssize_t sent = send(fd, text.data, text.len, MSG_NOSIGNAL);
	(void)sent;
	sb_fini(&text);
	close(fd);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *signal, int events)
{
	(void)signal;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static bool open_sockets(struct server *server, struct error *err)
{
	server->shared.listen_fd = listen_open(server->options->listen, err);
	if (server->shared.listen_fd < 0)
		return false;
	if (!server->options->stats_socket)
		return true;
	size_t size = strlen(server->options->stats_socket) + sizeof("unix@");
	server->stats_address = xmalloc(size);
	snprintf(server->stats_address, size, "unix@%s", server->options->stats_socket);
	server->stats_fd = listen_open(server->stats_address, err);
	return server->stats_fd >= 0;
}

/* Signals are for the main thread's loop; threads inherit the mask. */
static bool start_workers(struct server *server, struct error *err)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	bool ok = true;
	while (ok && server->worker_count < server->options->threads) {
		struct worker *worker = worker_start(&server->shared, err);
		ok = worker != NULL;
		if (ok)
			server->workers[server->worker_count++] = worker;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ok;
}

static void start_watchers(struct server *server)
{
	ev_signal_init(&server->on_term, on_signal, SIGTERM);
	ev_signal_start(server->loop, &server->on_term);
	ev_signal_init(&server->on_int, on_signal, SIGINT);
	ev_signal_start(server->loop, &server->on_int);
	if (server->stats_fd < 0)
		return;
	ev_io_init(&server->stats_io, on_stats, server->stats_fd, EV_READ);
	server->stats_io.data = server;
	ev_io_start(server->loop, &server->stats_io);
}

static void server_fini(struct server *server)
{
	for (size_t i = 0; i < server->worker_count; i++)
		worker_stop(server->workers[i]);
	for (size_t i = 0; i < server->worker_count; i++)
		worker_join(server->workers[i]);
	free(server->workers);
	if (server->shared.listen_fd >= 0) {
		close(server->shared.listen_fd);
		listen_unlink(server->options->listen);
	}
	if (server->stats_fd >= 0) {
		close(server->stats_fd);
		listen_unlink(server->stats_address);
	}
	free(server->stats_address);
	if (server->loop)
		ev_loop_destroy(server->loop);
}

bool server_run(const struct server_options *options, struct error *err)
{
	struct server server = { .options = options, .stats_fd = -1 };
	server.shared.options = options;
	server.shared.listen_fd = -1;
	server.workers = xcalloc(options->threads, sizeof(struct worker *));
	server.loop = ev_default_loop(EVFLAG_AUTO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* there is nothing to read again */
	bool ok = server.loop != NULL;
	if (!ok)
		error_set(err, ERR_IO, "cannot make an event loop");
	ok = ok && open_sockets(&server, err);
	if (ok)
		start_watchers(&server);
	ok = ok && start_workers(&server, err);
	if (ok) {
		log_line(&options->log, LOG_INFO, "listening on %s with %u threads",
			 options->listen, options->threads);
		ev_run(server.loop, 0);
		log_line(&options->log, LOG_INFO, "stopping");
	}
	server_fini(&server);
	return ok;
}
