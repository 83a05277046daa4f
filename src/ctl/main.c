/* SPDX-License-Identifier: Apache-2.0 */
/* tidectl(1): the table of its verbs. */
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <unistd.h>

static const char *const formats[] = { "table", "json", "yaml", NULL };

static const struct option_row global_options[] = {
	{ "run-dir", "DIR", "as tidegate chooses it", NULL, "the run directory of the daemon", 0,
	  NULL },
	{ "control", "SOCK", "RUN_DIR/control.sock", NULL, "the daemon's control socket", 0, NULL },
	{ "output", "FORMAT", "table", NULL, "table, json or yaml", 'o', formats },
	{ "no-color", NULL, NULL, NULL, "no colours, on a terminal either", 0, NULL },
	OPTION_END,
};

static const struct verb *const verbs[] = {
	&verb_status,	&verb_get,	&verb_findings, &verb_explain,	&verb_plan,
	&verb_diff,	&verb_backends, &verb_weights,	&verb_drain,	&verb_maps,
	&verb_timeline, &verb_reload_reasons, &verb_log_level, &verb_socket, &verb_version,
	&verb_help,	NULL,
};

static const struct cli_section sections[] = {
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
	.help = "Asks the daemon tidegate(8) over a Unix socket. Options may stand anywhere.",
	.options = global_options,
	.verbs = verbs,
	.sections = sections,
	.see_also = "tidegate(8)",
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

int main(int argc, char **argv)
{
	struct ctl ctl;
	struct cli cli;
	struct error err;
	/* The socket is found before the verb runs; what is wrong with the command line itself is
	 * cli_main()'s to say. */
	if (cli_parse(&program, argc, argv, &cli, &err) && !find_socket(&cli, &ctl, &err)) {
		fprintf(stderr, "tidectl: %s\n", err.text);
		return EXIT_USAGE;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int status = cli_main(&program, argc, argv, &ctl);
	curl_global_cleanup();
	return status;
}
