/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/api.h"

#include <ev.h>
#include <json-c/json.h>

#include "daemon/cli.h"

enum { LIMIT_S = 30, BODY_BYTES = 64 * 1024 * 1024 };

struct api {
	struct ev_loop *loop;
	struct kubeconfig config;
	struct kube_client *client;
	const char *ns; /* of the command line, or NULL */
	struct sb body;
	struct error *err; /* of the call that runs */
	int status;
	bool done;
};

static bool on_body(void *user, struct str bytes, struct error *err)
{
	struct api *api = user;
	sb_add(&api->body, bytes);
	return sb_ok(&api->body, err);
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct api *api = user;
	api->done = true;
	api->status = answer->status;
	if (answer->status / 100 != 2)
		error_set(api->err, ERR_IO, STR_FMT, STR_ARG(answer->text));
	ev_break(api->loop, EVBREAK_ALL);
}

/* Credentials that cannot be had, too: nobody tries again here. */
static void on_changed(void *user)
{
	struct api *api = user;
	double seconds;
	const char *why = kube_client_away(api->client, &seconds);
	if (!why || api->done)
		return;
	error_set(api->err, ERR_IO, "%s", why);
	ev_break(api->loop, EVBREAK_ALL);
}

struct api *api_open(const struct cli *cli, struct error *err)
{
	struct api *api = xcalloc(1, sizeof(*api));
	api->loop = ev_default_loop(0);
	api->ns = cli_option(cli, "namespace");
	sb_init(&api->body, BODY_BYTES);
	if (kubeconfig_load(cli_option(cli, "kubeconfig"), cli_option(cli, "context"), &api->config,
			    err))
		api->client = kube_client_new(api->loop, &api->config, &kube_read_limits, on_changed,
					      api, err);
	if (api->client)
		return api;
	api_close(api);
	return NULL;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	kube_client_free(api->client);
	if (api->config.arena)
		kubeconfig_fini(&api->config);
	sb_fini(&api->body);
	ev_loop_destroy(api->loop);
	free(api);
}

struct str api_namespace(const struct api *api)
{
	if (api->ns)
		return str_of(api->ns);
	return str_empty(api->config.ns) ? STR("default") : api->config.ns;
}

int api_call(struct api *api, const struct kube_call *call, struct json_object **ret_json,
	     struct error *err)
{
	static const struct kube_request_ops ops = { on_body, on_done };
	sb_reset(&api->body);
	api->err = err;
	api->done = false;
	api->status = 0;
	struct kube_request *request =
		call->method ? kube_send(api->client, call, LIMIT_S, &ops, api) :
			       kube_get(api->client, call->path, LIMIT_S, &ops, api);
	ev_run(api->loop, 0);
	if (!api->done)
		kube_cancel(request);
	*ret_json = NULL;
	if (api->status / 100 == 2)
		*ret_json = json_tokener_parse(sb_str(&api->body).n ? sb_str(&api->body).p : "null");
	return api->status;
}

int api_get(struct api *api, const char *path, struct json_object **ret_json, struct error *err)
{
	const struct kube_call call = { .path = path };
	return api_call(api, &call, ret_json, err);
}
