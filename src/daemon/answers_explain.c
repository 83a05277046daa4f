/* SPDX-License-Identifier: Apache-2.0 */
/* `tidectl explain METHOD URL`: the explanation works on the daemon's own objects; --live
 * asks the running HAProxy too. */
#include "daemon/answers.h"
#include "daemon/app.h"
#include "daemon/explain_report.h"

struct question {
	struct explain_request request;
	struct explain_result *result;
};

static void finish(struct call *call, struct str live)
{
	struct question *question = call_state(call);
	bool agrees = str_empty(live) || explain_agrees(question->result, live);
	explain_report(question->result, live, call_format(call), call_body(call));
	explain_free(question->result);
	question->result = NULL;
	call_done(call, agrees ? CALL_OK : CALL_DIFFERS);
}

static void run_explain(struct call *call)
{
	struct app *app = call_app(call);
	struct question *question = call_state(call);
	struct explain_world world = {
		.gateways = compiler_gateways(app->compiler),
		.lookup = dns_lookup,
		.lookup_user = app->dns,
	};
	world.routes = compiler_routes(app->compiler, &world.route_count);
	question->result = explain(&world, &question->request);
}

static void on_live(void *user, struct str reply, const struct error *err)
{
	struct call *call = user;
	if (err) {
		call_fail(call, CALL_FAILED, "HAProxy cannot be asked: %s", err->text);
		return;
	}
	/* The views may have been remade since the question was asked. */
	run_explain(call);
	finish(call, reply);
}

static bool read_question(struct call *call, struct error *err)
{
	struct question *question = arena_alloc(call_arena(call), sizeof(*question));
	struct str method, url;
	size_t count = call_arg_count(call, "header");
	struct str *headers = arena_array(call_arena(call), count, sizeof(*headers));
	for (size_t i = 0; i < count; i++)
		call_arg(call, "header", i, &headers[i]);
	call_set_state(call, question);
	if (!call_arg(call, "arg", 0, &method) || !call_arg(call, "arg", 1, &url))
		return error_set(err, ERR_SYNTAX, "explain needs METHOD URL, such as: explain GET "
						  "http://www.example.com/");
	if (!explain_request_make(method, url, headers, count, call_first(call, "sni"),
				  &question->request, err))
		return false;
	question->request.gateway = call_first(call, "gateway");
	return true;
}

void answer_explain(struct call *call)
{
	struct app *app = call_app(call);
	struct error err;
	if (!read_question(call, &err)) {
		call_fail(call, CALL_BAD, "%s", err.text);
		return;
	}
	if (!compiler_gateways(app->compiler)) {
		call_fail(call, CALL_UNAVAILABLE, "the manifests are not read yet");
		return;
	}
	run_explain(call);
	struct question *question = call_state(call);
	const struct frontend_view *frontend = question->result->frontend;
	if (str_empty(call_first(call, "live")) || !frontend || !app->engine_started) {
		finish(call, STR_NONE);
		return;
	}
	struct str name = arena_str(call_arena(call), frontend->name);
	explain_free(question->result);
	question->result = NULL;
	engine_ask(app->engine, name, question->request.host, &question->request.request, on_live,
		   call);
}
