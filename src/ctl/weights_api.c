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
	struct route_name name; /* its kind is set once it is found */
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
	if (!weights_name_route(str_of(cli->args[0]), api_namespace(job->api), &job->name, err))
		return false;
	if (!is_name(job->name.ns) || !is_name(job->name.name))
		return error_set(err, ERR_SYNTAX, "no route can be called \"%s\"", cli->args[0]);
	job->weights.rule = job->name.rule;
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

/* "httproutes", as in the API's paths. */
static struct str plural(struct arena *arena, enum kind kind)
{
	return arena_lower(arena, arena_strf(arena, "%ss", kind_table[kind].name));
}

/* Says what to do about it, before or instead of the server's own words. */
static void explain_refusal(const struct job *job, int status, const char *verb, struct error *err)
{
	struct arena *arena = arena_new();
	const char *kind = kind_table[job->name.kind].name;
	struct str resource = *kind ? plural(arena, job->name.kind) : STR("httproutes,grpcroutes");
	if (status == 404)
		error_set(err, ERR_NOTFOUND, "there is no %s " STR_FMT "/" STR_FMT ": see \"kubectl get "
			  STR_FMT " -A\"; a namespace is named with NAMESPACE/NAME or --namespace",
			  *kind ? kind : "route", STR_ARG(job->name.ns), STR_ARG(job->name.name),
			  STR_ARG(resource));
	else if (status == 403)
		error_prefix(err, "it takes the verb \"%s\" for " STR_FMT " of group " GROUP_GATEWAY
			     " in namespace " STR_FMT ", to be granted by a Role (docs/roles.md)",
			     verb, STR_ARG(resource), STR_ARG(job->name.ns));
	else if (status == 401)
		error_prefix(err, "the API server does not know who you are: is the kubeconfig's "
				  "credential still good?");
	arena_free(arena);
}

/* ---- Reading ---- */

static bool decode_route(struct job *job, struct error *err)
{
	const char *kind = kind_table[job->name.kind].name;
	struct arena *arena = arena_new();
	struct findings findings;
	struct decode_output output;
	findings_init(&findings, arena);
	bool ok = decode_object(job->json, STR_NONE, &output, &findings) == DECODE_OK &&
		  output.kind == job->name.kind;
	if (ok)
		job->route = output.object;
	else if (findings.count)
		error_set(err, ERR_SYNTAX, "%s " STR_FMT "/" STR_FMT ": " STR_FMT ": " STR_FMT, kind,
			  STR_ARG(job->name.ns), STR_ARG(job->name.name),
			  STR_ARG(findings.items[0].field), STR_ARG(findings.items[0].text));
	else
		error_set(err, ERR_PROTO, "%s is no %s", job->path, kind);
	arena_free(arena);
	return ok;
}

/* In the first version that the API server has; the HTTP status. */
static int get_route(struct job *job, enum kind kind, struct error *err)
{
	struct arena *arena = arena_new();
	struct str resource = plural(arena, kind);
	const char *const *version = kind_table[kind].versions;
	int status = 404;
	for (; *version && status == 404; version++) {
		snprintf(job->path, PATH_BYTES, "/apis/" GROUP_GATEWAY "/%s/namespaces/" STR_FMT
			 "/" STR_FMT "/" STR_FMT, *version, STR_ARG(job->name.ns),
			 STR_ARG(resource), STR_ARG(job->name.name));
		status = api_get(job->api, job->path, &job->json, err);
	}
	arena_free(arena);
	return status;
}

static bool read_route(struct job *job, struct error *err)
{
	enum kind wanted = job->name.kind, kind = wanted == KIND_NONE ? FIRST_ROUTE_KIND : wanted;
	int status = 404;
	forget_route(job);
	for (; kind_is_route(kind); kind++) {
		int got = get_route(job, kind, err);
		/* Whose rights are for HTTPRoutes alone has not found one, and that is all. */
		bool other = kind != FIRST_ROUTE_KIND && got == 403;
		if (wanted == KIND_NONE && (got == 404 || other))
			continue;
		status = got;
		job->name.kind = kind;
		break;
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
	const struct rule *rule = &job->route->route.rules[r];
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
	for (size_t r = 0; r < job->route->route.rule_count; r++) {
		if (weight_names_rule(job->weights.rule, &job->route->route.rules[r], r))
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
