/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the running HAProxy, and through it the agent, for a verdict.
 *
 * Every frontend also listens on a socket of the run directory; a request that comes in there
 * goes through the same rules, and the backend http-ask answers it with its verdict. */
#include "daemon/engine_internal.h"

#include "match/request.h"

enum { MAX_REQUEST_BYTES = 16000, VERDICT_BYTES = 1 << 16 };

struct question {
	struct runtime *runtime; /* of its own: one connection */
	engine_reply_fn reply;
	void *user;
};

/* The body of a 200; false with what HAProxy said instead. */
static bool verdict_of(struct str reply, struct str *ret_verdict, struct error *err)
{
	const char *end = reply.n ? memmem(reply.p, reply.n, "\r\n\r\n", 4) : NULL;
	if (!end || !str_starts(str_sub(reply, 8, reply.n), STR(" 200"))) {
		struct str first = str_trim(str_cut(&reply, '\n'));
		return error_set(err, ERR_PROTO, "HAProxy answers: " STR_FMT,
				 STR_ARG(str_sub(first, 0, 200)));
	}
	*ret_verdict = str_trim(str_sub(reply, (size_t)(end - reply.p), reply.n));
	return true;
}

static void on_answer(void *user, struct str reply, const struct error *failed)
{
	struct question *question = user;
	struct error err;
	struct str verdict = STR_NONE;
	if (!failed && !verdict_of(reply, &verdict, &err))
		failed = &err;
	question->reply(question->user, verdict, failed);
	runtime_free(question->runtime);
	free(question);
}

static bool line_safe(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r' || text.p[i] == '\n' || text.p[i] == '\0')
			return false;
	}
	return true;
}

static bool print_request(struct str host, const struct request *request, struct sb *out)
{
	bool safe = line_safe(host) && line_safe(request->method) && line_safe(request->path) &&
		    line_safe(request->query);
	sb_addf(out, STR_FMT " " STR_FMT "%s" STR_FMT " HTTP/1.1\r\nHost: " STR_FMT
		     "\r\nConnection: close\r\n",
		STR_ARG(request->method), STR_ARG(request->path), request->query.n ? "?" : "",
		STR_ARG(request->query), STR_ARG(host));
	for (size_t i = 0; i < request->header_count; i++) {
		const struct request_header *header = &request->headers[i];
		safe = safe && line_safe(header->name) && line_safe(header->value);
		if (!str_eq_nocase(header->name, STR("host")) &&
		    !str_eq_nocase(header->name, STR("connection")))
			sb_addf(out, STR_FMT ": " STR_FMT "\r\n", STR_ARG(header->name),
				STR_ARG(header->value));
	}
	sb_adds(out, "\r\n");
	return safe;
}

void engine_ask(struct engine *engine, struct str frontend, struct str host,
		const struct request *request, engine_reply_fn reply, void *user)
{
	struct error err;
	struct sb sb;
	sb_init(&sb, MAX_REQUEST_BYTES);
	bool safe = print_request(host, request, &sb);
	if (!safe || !sb_ok(&sb, &err)) {
		error_set(&err, ERR_SYNTAX, "the request cannot be sent as HTTP");
		reply(user, STR_NONE, &err);
	} else {
		struct arena *arena = arena_new();
		struct question *question = xcalloc(1, sizeof(*question));
		struct str path = render_ask_path(engine->state, arena, frontend);
		question->reply = reply;
		question->user = user;
		question->runtime = runtime_new(engine->loop, path.p, COMMAND_TIMEOUT_MS);
		runtime_send(question->runtime, sb_str(&sb), VERDICT_BYTES, on_answer, question);
		arena_free(arena);
	}
	sb_fini(&sb);
}
