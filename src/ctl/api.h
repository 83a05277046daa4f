/* SPDX-License-Identifier: Apache-2.0 */
/* An API server, asked one thing after the other with the user's own rights. */
#pragma once

#include "base/error.h"
#include "source/kube_client.h"

struct api;
struct cli;
struct json_object;

/* Of --kubeconfig and --context, see source/kubeconfig.h. Connects with the first call. */
struct api *api_open(const struct cli *cli, struct error *err);
void api_close(struct api *api); /* accepts NULL */

/* --namespace, else the context's, else "default". */
struct str api_namespace(const struct api *api);

/* A GET when the method is NULL. Returns the answer's status: with 2xx *ret_json is what came
 * (the caller's; NULL: no JSON); otherwise *err has the server's own words. 0: no answer; *err
 * says why. */
int api_call(struct api *api, const struct kube_call *call, struct json_object **ret_json,
	     struct error *err);
int api_get(struct api *api, const char *path, struct json_object **ret_json, struct error *err);
