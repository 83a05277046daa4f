/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP servers of the daemon, in the daemon's own loop.
 *
 *     RUN_DIR/control.sock   /v1/VERB for tidectl, /metrics, /healthz, /readyz
 *     --metrics ADDR:PORT    /metrics, /healthz, /readyz only
 *
 * A request becomes a struct call. Its handler answers at once, or keeps the call and answers
 * later (the connection sleeps meanwhile); a caller that goes away costs nothing. */
#pragma once

#include "daemon/report.h"

struct app;
struct control;
struct call;

struct control *control_new(struct app *app, struct error *err);
/* Answers every waiting call with 503 and stops listening. Handlers may still call
 * call_done() for those until control_free(). */
void control_stop(struct control *control);
void control_free(struct control *control); /* accepts NULL */

/* ---- for handlers (answers.c) ---- */

enum call_status {
	CALL_OK = 200,
	CALL_BAD = 400,       /* the question is wrong */
	CALL_NOT_FOUND = 404, /* what it names is not there */
	CALL_DIFFERS = 409,   /* the answer is "no, they differ"; the body tells */
	CALL_FAILED = 500,
	CALL_UNAVAILABLE = 503,
};

struct app *call_app(const struct call *call);
struct sb *call_body(struct call *call);
enum report_format call_format(const struct call *call);
bool call_colours(const struct call *call);

/* The index-th value of a query parameter; false when there are fewer. */
bool call_arg(const struct call *call, const char *name, size_t index, struct str *ret_value);
size_t call_arg_count(const struct call *call, const char *name);
/* The first value, or empty. */
struct str call_first(const struct call *call, const char *name);

/* An arena that lives as long as the call, and a slot for the handler's own state in it. */
struct arena *call_arena(struct call *call);
void *call_state(const struct call *call);
void call_set_state(struct call *call, void *state);

/* Ends the call: exactly once for each. What is in call_body() is sent. */
void call_done(struct call *call, enum call_status status);
/* Ends it with one sentence instead of the body. */
void call_fail(struct call *call, enum call_status status, const char *fmt, ...)
	printf_like(3, 4);
