/* SPDX-License-Identifier: Apache-2.0 */
/* A verb in a cluster: kubectl runs this very program in Tidegate's pod, beside the socket. */
#include "ctl/ctl.h"

#include <errno.h>
#include <json-c/json.h>
#include <unistd.h>

#include "ctl/api.h"
#include "ctl/pods.h"

enum { MAX_WORDS = 2 * CLI_MAX_VALUES + 32 };

#define DEFAULT_SELECTOR "app.kubernetes.io/name=tidegate"

struct search {
	const struct cli *cli;
	struct api *api;
	struct arena *arena;
	struct pods pods;
};

/* A namespace that is empty means all of them. */
static int list(const struct search *search, const char *group, struct str ns, const char *kinds,
		const char *selector, struct json_object **ret_json, struct error *err)
{
	struct sb path;
	sb_init(&path, 8192);
	sb_addf(&path, "%s%s" STR_FMT "/%s", group, str_empty(ns) ? "" : "/namespaces/", STR_ARG(ns),
		kinds);
	if (selector) {
		sb_adds(&path, "?labelSelector=");
		ctl_escape(&path, selector);
	}
	*ret_json = NULL;
	int status = sb_ok(&path, err) ? api_get(search->api, path.data, ret_json, err) : 0;
	sb_fini(&path);
	return status;
}

static bool no_pods(const struct search *search, struct str ns, struct error *err)
{
	const char *selector = cli_option(search->cli, "selector");
	return error_prefix(err, "%s" STR_FMT " with label %s%s", str_empty(ns) ? "in all namespaces" :
			    "in namespace ", STR_ARG(ns), selector ? selector : DEFAULT_SELECTOR,
			    str_empty(ns) ? "" : " (--namespace names another)");
}

/* All namespaces, or the context's for those who may not look into all. */
static bool list_pods(struct search *search, struct str *ret_ns, struct json_object **ret_list,
		      struct error *err)
{
	const char *selector = cli_option_or(search->cli, "selector", DEFAULT_SELECTOR);
	*ret_ns = str_of(cli_option(search->cli, "namespace"));
	int status = list(search, "/api/v1", *ret_ns, "pods", selector, ret_list, err);
	if (status == 403 && str_empty(*ret_ns)) {
		*ret_ns = api_namespace(search->api);
		status = list(search, "/api/v1", *ret_ns, "pods", selector, ret_list, err);
	}
	if (status == 403)
		error_prefix(err, "it takes the verb \"list\" for pods in Tidegate's namespace "
				  "(--namespace); without it, name --pod as well");
	return status == 200;
}

/* Who leads is good to know, and no more. */
static bool find_pods(struct search *search, struct error *err)
{
	struct json_object *pods = NULL, *leases = NULL;
	struct error ignored;
	struct str ns;
	bool ok = list_pods(search, &ns, &pods, err);
	if (ok && list(search, "/apis/coordination.k8s.io/v1", ns, "leases", NULL, &leases,
		       &ignored) != 200)
		leases = NULL;
	pods_read(pods, leases, search->arena, &search->pods);
	json_object_put(pods);
	json_object_put(leases);
	if (ok && search->pods.count == 0) {
		error_set(err, ERR_NOTFOUND, "no pod of Tidegate runs");
		return no_pods(search, ns, err);
	}
	return ok;
}

/* With both names there is nothing to look for, and so no right to look is needed. */
static bool find_pod(struct search *search, struct pod *ret, struct error *err)
{
	const char *name = cli_option(search->cli, "pod"), *ns = cli_option(search->cli, "namespace");
	size_t index;
	if (name && ns) {
		*ret = (struct pod){ .ns = str_of(ns), .name = str_of(name) };
		return true;
	}
	search->api = api_open(search->cli, err);
	if (!search->api || !find_pods(search, err) ||
	    !pods_choose(&search->pods, name, &index, err))
		return false;
	*ret = search->pods.items[index];
	return true;
}

/* ---- kubectl's command line ---- */

struct words {
	const char *items[MAX_WORDS];
	size_t count;
	struct arena *arena; /* of those that are made */
};

static void add(struct words *words, const char *word)
{
	if (words->count < MAX_WORDS - 1)
		words->items[words->count++] = word;
}

/* Global options that say where; they mean nothing in the pod. */
static bool stays_here(const struct option_row *row)
{
	static const char *const names[] = { "kubeconfig", "context", "namespace", "pod", "selector",
					     "run-dir", "control", "color", NULL };
	for (const char *const *name = names; *name; name++) {
		if (strcmp(*name, row->name) == 0)
			return true;
	}
	return false;
}

static void add_option(struct words *words, const struct option_row *row, const char *value)
{
	const char *equals = row->arg ? "=" : "";
	add(words, arena_strf(words->arena, "--%s%s%s", row->name, equals, value).p);
}

static void add_verb(struct words *words, const struct cli *cli)
{
	add(words, "tidectl");
	add(words, cli->verb->name); /* its own options are known only behind it */
	if (ctl_colours(cli))
		add(words, "--color");
	for (size_t i = 0; i < cli->option_count; i++) {
		if (!stays_here(cli->options[i].row))
			add_option(words, cli->options[i].row, cli->options[i].value);
	}
	add(words, "--");
	for (size_t i = 0; i < cli->arg_count; i++)
		add(words, cli->args[i]);
}

static void make_words(struct words *words, const struct cli *cli, const struct pod *pod)
{
	const char *const passed[] = { "kubeconfig", "context" };
	add(words, "kubectl");
	for (size_t i = 0; i < 2; i++) {
		const char *value = cli_option(cli, passed[i]);
		if (value)
			add(words, arena_strf(words->arena, "--%s=%s", passed[i], value).p);
	}
	add(words, "exec");
	add(words, arena_strf(words->arena, "--namespace=" STR_FMT, STR_ARG(pod->ns)).p);
	add(words, "--container=tidegate");
	add(words, pod->name.p);
	add(words, "--");
	add_verb(words, cli);
	words->items[words->count] = NULL;
}

/* That only one of several data planes is changed has to be seen. */
static void tell_pod(const struct search *search, const struct pod *pod)
{
	size_t others = 0;
	for (size_t i = 0; i < search->pods.count; i++)
		others += str_eq(search->pods.items[i].ns, pod->ns) &&
			  str_eq(search->pods.items[i].release, pod->release);
	if (others > 1)
		fprintf(stderr, "%s: in pod " STR_FMT "/" STR_FMT " alone, one of %zu\n",
			search->cli->program->name, STR_ARG(pod->ns), STR_ARG(pod->name), others);
}

static bool changes(const struct cli *cli)
{
	const char *verb = cli->verb->name;
	return strcmp(verb, "weights") == 0 || strcmp(verb, "drain") == 0 ||
	       (strcmp(verb, "log-level") == 0 && cli->arg_count);
}

static bool run_kubectl(const struct words *words, struct error *err)
{
	fflush(stdout);
	/* execvp() changes nothing that the pointers point to. */
	execvp("kubectl", (char *const *)(uintptr_t)words->items);
	if (errno == ENOENT)
		return error_set(err, ERR_NOTFOUND, "kubectl is not in PATH: the pod is reached with "
						    "\"kubectl exec\"");
	return error_errno(err, "kubectl cannot be run");
}

int run_in_pod(const struct cli *cli)
{
	struct search search = { .cli = cli, .arena = arena_new() };
	struct words words = { .arena = search.arena };
	struct pod pod;
	struct error err;
	if (find_pod(&search, &pod, &err)) {
		make_words(&words, cli, &pod);
		if (changes(cli))
			tell_pod(&search, &pod);
		api_close(search.api);
		search.api = NULL;
		run_kubectl(&words, &err); /* comes back only when it cannot */
	}
	api_close(search.api);
	arena_free(search.arena);
	return ctl_error(cli, &err, EXIT_FAILED);
}
