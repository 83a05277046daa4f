/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"

#include "daemon/answers.h"
#include "daemon/app.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	MAX_BODY_BYTES = 256 * 1024 * 1024, /* a whole plan */
	MAX_CALL_ARGS = 512,
	IDLE_TIMEOUT_S = 60,
	MAX_CONNECTIONS = 128,
};

struct call_pair {
	struct str name, value;
};

/* Freed when both the connection and the handler are through with it. */
struct call {
	struct control *control;
	struct MHD_Connection *connection; /* NULL: the caller went away */
	bool started;   /* the handler was called */
	bool held;      /* by the handler: it has not called call_done() yet */
	bool done;      /* there is an answer */
	struct http_port *port;
	bool suspended;
	enum call_status status;
	const char *content_type;
	struct arena *arena;
	void *state;
	struct sb body;
	struct call_pair args[MAX_CALL_ARGS];
	size_t arg_count;
	struct call *next; /* in control->calls */
};

struct http_port {
	struct control *control;
	struct MHD_Daemon *daemon;
	bool public; /* TCP: no verbs */
	ev_io io;
	ev_timer timer;
};

struct control {
	struct app *app;
	struct http_port local, tcp;
	struct call *calls; /* all that live: the server or a handler still knows them */
	char *path; /* of the socket; NULL: not bound */
};

/* ---- calls ---- */

struct app *call_app(const struct call *call)
{
	return call->control->app;
}

struct sb *call_body(struct call *call)
{
	return &call->body;
}

struct arena *call_arena(struct call *call)
{
	return call->arena;
}

void *call_state(const struct call *call)
{
	return call->state;
}

void call_set_state(struct call *call, void *state)
{
	call->state = state;
}

bool call_arg(const struct call *call, const char *name, size_t index, struct str *ret_value)
{
	for (size_t i = 0; i < call->arg_count; i++) {
		if (str_is(call->args[i].name, name) && index-- == 0) {
			*ret_value = call->args[i].value;
			return true;
		}
	}
	return false;
}

size_t call_arg_count(const struct call *call, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < call->arg_count; i++)
		count += str_is(call->args[i].name, name);
	return count;
}

struct str call_first(const struct call *call, const char *name)
{
	struct str value = STR_NONE;
	call_arg(call, name, 0, &value);
	return value;
}

enum report_format call_format(const struct call *call)
{
	enum report_format format = REPORT_TABLE;
	report_format_parse(call_first(call, "format"), &format);
	return format;
}

bool call_colours(const struct call *call)
{
	return str_is(call_first(call, "colours"), "1");
}

static struct call *call_new(struct http_port *port, struct MHD_Connection *connection)
{
	struct control *control = port->control;
	struct call *call = xcalloc(1, sizeof(*call));
	call->control = control;
	call->port = port;
	call->connection = connection;
	call->arena = arena_new();
	call->content_type = "text/plain; charset=utf-8";
	sb_init(&call->body, MAX_BODY_BYTES);
	call->next = control->calls;
	control->calls = call;
	return call;
}

static void call_free(struct call *call)
{
	sb_fini(&call->body);
	arena_free(call->arena);
	free(call);
}

/* Frees the calls that nobody knows any more: not the server, no handler. */
static void reap(struct control *control)
{
	for (struct call **at = &control->calls, *call; (call = *at);) {
		if (call->connection || call->held) {
			at = &call->next;
			continue;
		}
		*at = call->next;
		call_free(call);
	}
}

/* The server looks at resumed connections when it runs next: see to it that it does. */
static void wake(struct call *call)
{
	struct http_port *port = call->port;
	struct ev_loop *loop = call->control->app->loop;
	MHD_resume_connection(call->connection);
	ev_timer_stop(loop, &port->timer);
	ev_timer_set(&port->timer, 0.0, 0.0);
	ev_timer_start(loop, &port->timer);
}

void call_done(struct call *call, enum call_status status)
{
	assert(call->held);
	call->held = false;
	if (!call->connection || call->done) /* nobody waits, or control_stop() has answered */
		return;
	call->done = true;
	call->status = status;
	if (call->body.failed) {
		sb_reset(&call->body);
		sb_addf(&call->body, "the answer is longer than %d bytes\n", MAX_BODY_BYTES);
		call->status = CALL_FAILED;
	}
	if (call->suspended)
		wake(call);
}

void call_fail(struct call *call, enum call_status status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sb_reset(&call->body);
	sb_addf(&call->body, "%s\n", text);
	call_done(call, status);
}

/* ---- the pages that are not verbs ---- */

static void answer_health(struct call *call)
{
	sb_adds(&call->body, "ok\n");
	call_done(call, CALL_OK);
}

static void answer_ready(struct call *call)
{
	const struct app *app = call->control->app;
	const char *why = app_not_ready(app);
	if (*why) {
		call_fail(call, CALL_UNAVAILABLE, "not ready: %s", why);
		return;
	}
	sb_addf(&call->body, "ready%s%s\n", app->holding[0] ? ": " : "", app->holding);
	call_done(call, CALL_OK);
}

static void answer_metrics(struct call *call)
{
	call->content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(call->control->app, &call->body);
	call_done(call, CALL_OK);
}

static void dispatch(struct http_port *port, struct call *call, const char *url, bool post)
{
	static const char prefix[] = "/v1/";
	if (strcmp(url, "/metrics") == 0)
		answer_metrics(call);
	else if (strcmp(url, "/healthz") == 0)
		answer_health(call);
	else if (strcmp(url, "/readyz") == 0)
		answer_ready(call);
	else if (!port->public && strncmp(url, prefix, sizeof(prefix) - 1) == 0)
		answers_run(call, str_of(url + sizeof(prefix) - 1), post);
	else
		call_fail(call, CALL_NOT_FOUND, "there is nothing at %s", url);
}

/* ---- libmicrohttpd ---- */

static enum MHD_Result collect_arg(void *user, enum MHD_ValueKind kind, const char *key,
				   size_t key_size, const char *value, size_t value_size)
{
	(void)kind;
	struct call *call = user;
	if (call->arg_count == MAX_CALL_ARGS)
		return MHD_NO;
	struct call_pair *pair = &call->args[call->arg_count++];
	pair->name = arena_str(call->arena, (struct str){ key, key_size });
	pair->value = arena_str(call->arena, (struct str){ value, value ? value_size : 0 });
	return MHD_YES;
}

static enum MHD_Result send_answer(struct call *call)
{
	size_t len;
	char *text = sb_take(&call->body, &len);
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, text ? text : xcalloc(1, 1),
						MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, call->content_type);
	enum MHD_Result result =
		MHD_queue_response(call->connection, (unsigned)call->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Called first with the head, then for each piece of a body (which nobody reads), then at the
 * end; and again when a sleeping connection is woken. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_size, void **slot)
{
	(void)version;
	(void)data;
	struct http_port *port = user;
	struct call *call = *slot;
	bool post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
	if (!call) {
		*slot = call_new(port, connection);
		return MHD_YES;
	}
	if (*data_size) {
		*data_size = 0;
		return MHD_YES;
	}
	if (!call->started) {
		call->started = call->held = true;
		MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, collect_arg, call);
		if (!post && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
			call_fail(call, CALL_BAD, "%s is not understood here", method);
		else
			dispatch(port, call, url, post);
	}
	if (call->done)
		return send_answer(call);
	call->suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *user, struct MHD_Connection *connection, void **slot,
			 enum MHD_RequestTerminationCode code)
{
	(void)user;
	(void)connection;
	(void)code;
	struct call *call = *slot;
	*slot = NULL;
	if (!call)
		return;
	call->connection = NULL;
	reap(call->control);
}

/* ---- the loop ---- */

static void run_port(struct http_port *port)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	struct ev_loop *loop = port->control->app->loop;
	MHD_run(port->daemon);
	ev_timer_stop(loop, &port->timer);
	if (MHD_get_timeout(port->daemon, &timeout_ms) == MHD_YES) {
		ev_timer_set(&port->timer, (double)timeout_ms / 1000.0, 0.0);
		ev_timer_start(loop, &port->timer);
	}
}

static void on_port_io(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	run_port(io->data);
}

static void on_port_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	run_port(timer->data);
}

static bool port_start(struct control *control, struct http_port *port, int fd, bool public,
		       struct error *err)
{
	port->control = control;
	port->public = public;
	port->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, port,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, port,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_END);
	if (!port->daemon) {
		close(fd);
		return error_set(err, ERR_IO, "cannot start the HTTP server");
	}
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	ev_io_init(&port->io, on_port_io, info->epoll_fd, EV_READ);
	port->io.data = port;
	ev_io_start(control->app->loop, &port->io);
	ev_timer_init(&port->timer, on_port_timer, 0.0, 0.0);
	port->timer.data = port;
	return true;
}

static void port_stop(struct http_port *port)
{
	if (!port->daemon)
		return;
	ev_io_stop(port->control->app->loop, &port->io);
	ev_timer_stop(port->control->app->loop, &port->timer);
	MHD_stop_daemon(port->daemon);
	port->daemon = NULL;
}

/* ---- sockets ---- */

static int listen_unix(const char *path, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof(addr.sun_path)) {
		error_set(err, ERR_LIMIT, "%s: the path of a socket has at most %zu bytes: choose a "
					  "shorter --run-dir or --control", path,
			  sizeof(addr.sun_path) - 1);
		return -1;
	}
	memcpy(addr.sun_path, path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The lock of the run directory is ours: what is there was left by a dead one. */
	unlink(path);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    /* Not for the group that the run directory may be shared with: HAProxy's. */
	    chown(path, (uid_t)-1, getegid()) == 0 && chmod(path, 0660) == 0 &&
	    listen(fd, 64) == 0)
		return fd;
	error_errno(err, "cannot listen on %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

static int bind_first(const struct addrinfo *info, const char *where, struct error *err)
{
	for (; info; info = info->ai_next) {
		int one = 1;
		int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, 64) == 0)
			return fd;
		error_errno(err, "cannot listen on %s", where);
		close(fd);
	}
	return -1;
}

/* "127.0.0.1:9180", "[::1]:9180", ":9180". */
static int listen_tcp(const char *where, struct error *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
	const char *colon = strrchr(where, ':');
	char host[64] = "";
	struct addrinfo *info = NULL;
	size_t len = colon ? (size_t)(colon - where) : 0;
	if (len && where[0] == '[' && where[len - 1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)len - 2, where + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int)len, where);
	if (!colon || getaddrinfo(*host ? host : NULL, colon + 1, &hints, &info) != 0) {
		error_set(err, ERR_SYNTAX, "--metrics takes ADDR:PORT (\"127.0.0.1:9180\", "
					   "\"[::1]:9180\"), not \"%s\"", where);
		return -1;
	}
	error_set(err, ERR_IO, "cannot listen on %s", where);
	int fd = bind_first(info, where, err);
	freeaddrinfo(info);
	return fd;
}

struct control *control_new(struct app *app, struct error *err)
{
	struct control *control = xcalloc(1, sizeof(*control));
	control->app = app;
	int fd = listen_unix(app->options.control, err);
	if (fd < 0 || !port_start(control, &control->local, fd, false, err)) {
		control_free(control);
		return NULL;
	}
	control->path = xstrndup(app->options.control, strlen(app->options.control));
	if (!app->options.metrics)
		return control;
	fd = listen_tcp(app->options.metrics, err);
	if (fd < 0 || !port_start(control, &control->tcp, fd, true, err)) {
		control_free(control);
		return NULL;
	}
	return control;
}

void control_stop(struct control *control)
{
	for (struct call *call = control->calls; call; call = call->next) {
		if (!call->held || call->done)
			continue;
		sb_reset(&call->body);
		sb_adds(&call->body, "tidegate is stopping\n");
		call->status = CALL_UNAVAILABLE;
		call->done = true;
		if (call->suspended)
			MHD_resume_connection(call->connection);
	}
	if (control->local.daemon)
		MHD_run(control->local.daemon);
	port_stop(&control->local);
	port_stop(&control->tcp);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	control_stop(control);
	for (struct call *call = control->calls, *next; call; call = next) {
		next = call->next;
		call_free(call);
	}
	if (control->path)
		unlink(control->path);
	free(control->path);
	free(control);
}
