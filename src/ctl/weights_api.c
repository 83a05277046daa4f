/* SPDX-License-Identifier: Apache-2.0 */
/* `tidectl weights` in a cluster: reads the route, and patches it if nobody was faster. */
#include "ctl/ctl.h"

#include <json-c/json.h>

#include "ctl/api.h"
#include "ctl/route_patch.h"
#include "decode/decode.h"

enum { MAX_ATTEMPTS = 5, PATH_BYTES = 1024 };

struct job {
	const struct cli *cli;
	struct api *api;
	struct str ns, name;
	struct weights weights;
	char path[PATH_BYTES]; /* in the API, of the version that there is */
	struct json_object *json;
	struct object *route;
};

static bool is_name(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
			return false;
	}
	return text.n > 0 && text.n <= MAX_NAME_BYTES;
}

/* The first argument, ROUTE[:RULE], and the others. */
static bool read_job(const struct cli *cli, struct job *job, struct error *err)
{
	struct str text = str_of(cli->args[0]);
	struct str route = str_cut(&text, ':');
	job->name = route;
	job->ns = api_namespace(job->api);
	if (str_chr(route, '/', 0) < route.n) {
		job->ns = str_cut(&route, '/');
		job->name = route;
	}
	if (!is_name(job->ns) || !is_name(job->name))
		return error_set(err, ERR_SYNTAX, "\"%s\" is no route: NAME or NAMESPACE/NAME, with "
						  ":RULE behind it where one rule is meant",
				 cli->args[0]);
	job->weights.rule = text;
	for (size_t i = 1; i < cli->arg_count; i++) {
		if (!weights_add(&job->weights, str_of(cli->args[i]), err))
			return false;
	}
	return true;
}

static void forget_route(struct job *job)
{
	object_free(job->route);
	json_object_put(job->json);
	job->route = NULL;
	job->json = NULL;
}

/* ---- What the API server refuses ---- */

/* Says what to do about it, before or instead of the server's own words. */
static void explain_refusal(const struct job *job, int status, const char *verb, struct error *err)
{
	if (status == 404)
		error_set(err, ERR_NOTFOUND, "there is no HTTPRoute " STR_FMT "/" STR_FMT
			  ": see \"kubectl get httproutes -A\"; a namespace is named with "
			  "NAMESPACE/NAME or --namespace", STR_ARG(job->ns), STR_ARG(job->name));
	else if (status == 403)
		error_prefix(err, "it takes the verb \"%s\" for httproutes of group " GROUP_GATEWAY
			     " in namespace " STR_FMT ", to be granted by a Role (docs/roles.md)",
			     verb, STR_ARG(job->ns));
	else if (status == 401)
		error_prefix(err, "the API server does not know who you are: is the kubeconfig's "
				  "credential still good?");
}

/* ---- Reading ---- */

static bool decode_route(struct job *job, struct error *err)
{
	struct arena *arena = arena_new();
	struct findings findings;
	struct decode_output output;
	findings_init(&findings, arena);
	bool ok = decode_object(job->json, STR_NONE, &output, &findings) == DECODE_OK &&
		  output.kind == KIND_HTTPROUTE;
	if (ok)
		job->route = output.object;
	else if (findings.count)
		error_set(err, ERR_SYNTAX, "HTTPRoute " STR_FMT "/" STR_FMT ": " STR_FMT ": " STR_FMT,
			  STR_ARG(job->ns), STR_ARG(job->name), STR_ARG(findings.items[0].field),
			  STR_ARG(findings.items[0].text));
	else
		error_set(err, ERR_PROTO, "%s is no HTTPRoute", job->path);
	arena_free(arena);
	return ok;
}

/* In the first version that the API server has. */
static bool read_route(struct job *job, struct error *err)
{
	const char *const *version = kind_table[KIND_HTTPROUTE].versions;
	int status = 404;
	forget_route(job);
	for (; *version && status == 404; version++) {
		snprintf(job->path, PATH_BYTES, "/apis/" GROUP_GATEWAY "/%s/namespaces/" STR_FMT
			 "/httproutes/" STR_FMT, *version, STR_ARG(job->ns), STR_ARG(job->name));
		status = api_get(job->api, job->path, &job->json, err);
	}
	if (status == 200)
		return decode_route(job, err);
	explain_refusal(job, status, "get", err);
	return false;
}

/* ---- Writing ---- */

static int send_patch(struct job *job, struct str patch, struct error *err)
{
	char path[PATH_BYTES + 64];
	struct json_object *answer;
	snprintf(path, sizeof(path), "%s?fieldManager=tidectl", job->path);
	const struct kube_call call = {
		.method = "PATCH", .path = path, .type = "application/json-patch+json", .body = patch
	};
	int status = api_call(job->api, &call, &answer, err);
	json_object_put(answer);
	return status;
}

/* A test of the patch that fails is a 422, as is a weight that the API server does not like:
 * what a second look shows unchanged is not tried again. */
static bool write_weights(struct job *job, struct error *err)
{
	char *last = NULL;
	bool ok = false, again = true;
	for (int i = 0; i < MAX_ATTEMPTS && again; i++) {
		again = false;
		if (i > 0 && (!read_route(job, err) ||
			      !weights_check(&job->weights, job->route, err)))
			break;
		struct json_object *patch = route_patch(&job->weights, job->route, job->json);
		struct str text = str_of(json_object_to_json_string_ext(patch,
									JSON_C_TO_STRING_PLAIN));
		if (json_object_array_length(patch) == 0) {
			ok = true;
		} else if (!last || !str_is(text, last)) {
			int status = send_patch(job, text, err);
			ok = status == 200;
			again = status == 409 || status == 422;
			if (!ok && !again)
				explain_refusal(job, status, "patch", err);
			free(last);
			last = xstrndup(text.p, text.n);
		}
		json_object_put(patch);
	}
	free(last);
	return ok;
}

/* ---- Telling ---- */

static void report_rule(struct report *report, const struct job *job, size_t r)
{
	const struct http_rule *rule = &job->route->http_route.rules[r];
	struct weight_row row = { .rule = rule, .rule_index = r };
	for (size_t i = 0; i < rule->ref_count; i++)
		row.total += weights_of(&job->weights, job->route, r, i);
	for (size_t i = 0; i < rule->ref_count; i++) {
		row.ref = &rule->refs[i];
		row.weight = weights_of(&job->weights, job->route, r, i);
		row.before = rule->refs[i].weight;
		report_weight(report, &row, "changed");
	}
}

static void report_weights(const struct job *job)
{
	static const struct report_column columns[] = {
		{ "rule", "RULE", TABLE_LEFT },	     { "backend", "BACKEND", TABLE_LEFT },
		{ "weight", "WEIGHT", TABLE_RIGHT }, { "share", "SHARE", TABLE_RIGHT },
		{ "before", "BEFORE", TABLE_RIGHT }, { "changed", "ROUTE", TABLE_LEFT },
	};
	struct report report;
	struct sb out;
	sb_init(&out, 16 * 1024 * 1024);
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), ctl_format(job->cli),
		    ctl_colours(job->cli), &out);
	for (size_t r = 0; r < job->route->http_route.rule_count; r++) {
		if (weight_names_rule(job->weights.rule, &job->route->http_route.rules[r], r))
			report_rule(&report, job, r);
	}
	report_finish(&report, "No backends.");
	fwrite(out.data ? out.data : "", 1, out.len, stdout);
	sb_fini(&out);
}

int weights_in_cluster(const struct cli *cli)
{
	struct job job = { .cli = cli };
	struct error err = { .code = ERR_NONE };
	job.api = api_open(cli, &err);
	bool ok = job.api && read_job(cli, &job, &err);
	int status = ok || !job.api ? EXIT_FAILED : EXIT_USAGE;
	ok = ok && read_route(&job, &err) && weights_check(&job.weights, job.route, &err) &&
	     write_weights(&job, &err);
	if (ok)
		report_weights(&job);
	forget_route(&job);
	api_close(job.api);
	return ok ? EXIT_OK : ctl_error(cli, &err, status);
}
