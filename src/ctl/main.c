/* SPDX-License-Identifier: Apache-2.0 */
/* tidectl(1): the table of its verbs. */
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

/* Of cobra, which kubectl uses for completion. */
enum { COMPLETE_FILES = 0, COMPLETE_THESE = 4 };

static const char *const formats[] = { "table", "json", "yaml", NULL };

static const struct option_row global_options[] = {
	{ "run-dir", "DIR", "as tidegate chooses it", NULL, "the run directory of the daemon", 0,
	  NULL },
	{ "control", "SOCK", "RUN_DIR/control.sock", NULL, "the daemon's control socket", 0, NULL },
	{ "output", "FORMAT", "table", NULL, "table, json or yaml", 'o', formats },
	{ "no-color", NULL, NULL, NULL, "no colours, on a terminal either", 0, NULL },
	{ "color", NULL, NULL, NULL, "colours, without a terminal too", 0, NULL },
	{ "kubeconfig", "FILE", NULL, NULL,
	  "asks Tidegate in this kubeconfig's cluster; with the options below it is that of "
	  "$KUBECONFIG, or ~/.kube/config", 0, NULL },
	{ "context", "NAME", "the current one", NULL, "the same, in this context of it", 0, NULL },
	{ "namespace", "NAMESPACE", "all; of a route: the context's", NULL,
	  "in a cluster: where Tidegate's pods are, or the route of \"weights\" is", 'n', NULL },
	{ "pod", "NAME", "the one that leads", NULL, "in a cluster: which of them", 0, NULL },
	{ "selector", "LABELS", "app.kubernetes.io/name=tidegate", NULL,
	  "in a cluster: what Tidegate's pods are labelled with", 'l', NULL },
	OPTION_END,
};

static const struct verb *const verbs[] = {
	&verb_status,	&verb_get,	&verb_findings, &verb_explain,	&verb_plan,
	&verb_diff,	&verb_backends, &verb_weights,	&verb_drain,	&verb_maps,
	&verb_timeline, &verb_reload_reasons, &verb_log_level, &verb_socket, &verb_version,
	&verb_help,	NULL,
};

static const struct cli_section sections[] = {
	{ "IN A CLUSTER",
	  "As \"kubectl tidegate\" (the name kubectl-tidegate in PATH makes it a plug-in of kubectl), "
	  "or with one of --kubeconfig, --context, --namespace, --pod and --selector, the commands are "
	  "those of a Tidegate in a cluster. So they are, too, where KUBECONFIG is set and no daemon "
	  "has its socket.\n\n"
	  "The pod is found by its labels; \"kubectl exec\" runs tidectl in it, and its exit status "
	  "is the command's. That takes the verbs get and list for pods, and create for pods/exec, in "
	  "its namespace. With list for leases as well, the replica that leads is asked.\n\n"
	  "\"weights\" changes the route itself; with --files, \"explain\" and \"plan\" ask nobody." },
	{ "EXIT STATUS",
	  "0 done, 1 failed, not found, or the answer is that things differ (diff, explain --live), "
	  "2 wrong usage." },
	{ "FILES", "RUN_DIR/control.sock: where the daemon listens. Its file permissions decide who "
		   "may use tidectl." },
	{ NULL, NULL },
};

static const struct program program = {
	.name = "tidectl",
	.section = "1",
	.usage = "looks into a running tidegate, and steers it by hand",
	.help = "Asks the daemon tidegate(8) over a Unix socket, or in a cluster with \"kubectl exec\". "
		"Options may stand anywhere.",
	.options = global_options,
	.verbs = verbs,
	.sections = sections,
	.see_also = "tidegate(8), kubectl(1)",
};

/* The socket of --control, of --run-dir, or of the daemon's default directories. */
static bool find_socket(const struct cli *cli, struct ctl *ctl, struct error *err)
{
	const char *control = cli_option(cli, "control"), *run_dir = cli_option(cli, "run-dir");
	const char *session = getenv("XDG_RUNTIME_DIR");
	size_t size = sizeof(ctl->socket);
	int len;
	if (control)
		len = snprintf(ctl->socket, size, "%s", control);
	else if (run_dir)
		len = snprintf(ctl->socket, size, "%s/control.sock", run_dir);
	else if (geteuid() == 0 || access("/run/tidegate/control.sock", F_OK) == 0)
		len = snprintf(ctl->socket, size, "/run/tidegate/control.sock");
	else if (session && *session)
		len = snprintf(ctl->socket, size, "%s/tidegate/control.sock", session);
	else
		len = snprintf(ctl->socket, size, "/tmp/tidegate-%u/control.sock",
			       (unsigned)geteuid());
	if (len < 0 || (size_t)len >= size)
		return error_set(err, ERR_LIMIT, "the path of a socket has at most %zu bytes",
				 size - 1);
	return true;
}

/* ---- Here, or in a cluster ---- */

static bool names_cluster(const struct cli *cli)
{
	return cli_has(cli, "kubeconfig") || cli_has(cli, "context") || cli_has(cli, "namespace") ||
	       cli_has(cli, "pod") || cli_has(cli, "selector");
}

static bool find_place(const struct cli *cli, bool plugin, struct ctl *ctl, struct error *err)
{
	const char *kubeconfig = getenv("KUBECONFIG");
	bool here = cli_has(cli, "control") || cli_has(cli, "run-dir");
	if (here && (plugin || names_cluster(cli)))
		return error_set(err, ERR_SYNTAX, "--control and --run-dir name a daemon of this "
						  "machine, not one of a cluster: leave them out");
	ctl->in_cluster = plugin || names_cluster(cli);
	if (!find_socket(cli, ctl, err))
		return false;
	if (!here && kubeconfig && *kubeconfig)
		ctl->in_cluster |= access(ctl->socket, F_OK) != 0 && errno == ENOENT;
	return true;
}

/* What kubectl_complete-tidegate is to print: candidates, and that they are all. */
static int complete(int argc, char *const *argv)
{
	struct sb out;
	sb_init(&out, 1 << 20);
	bool files = !cli_candidates(&program, argc, argv, &out);
	sb_addf(&out, ":%d\n", files ? COMPLETE_FILES : COMPLETE_THESE);
	fwrite(out.data, 1, out.len, stdout);
	sb_fini(&out);
	return EXIT_OK;
}

static bool is_called(const char *argv0, const char *name)
{
	const char *slash = strrchr(argv0, '/');
	return strcmp(slash ? slash + 1 : argv0, name) == 0;
}

int main(int argc, char **argv)
{
	struct program self = program;
	struct ctl ctl = { .in_cluster = false };
	struct cli cli;
	struct error err;
	bool plugin = is_called(argv[0], "kubectl-tidegate");
	if (is_called(argv[0], "kubectl_complete-tidegate"))
		return complete(argc, argv);
	if (plugin)
		self.name = "kubectl tidegate";
	/* What is wrong with the command line itself is cli_main()'s to say. */
	if (cli_parse(&self, argc, argv, &cli, &err) && !find_place(&cli, plugin, &ctl, &err)) {
		fprintf(stderr, "%s: %s\n", self.name, err.text);
		return EXIT_USAGE;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int status = cli_main(&self, argc, argv, &ctl);
	curl_global_cleanup();
	return status;
}
