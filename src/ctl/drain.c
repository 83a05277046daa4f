/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static const struct option_row options[] = {
	{ "maint", NULL, NULL, NULL, "into maintenance: no requests at all", 0, NULL },
	{ "ready", NULL, NULL, NULL, "back into service", 0, NULL },
	OPTION_END,
};

static int run(const struct cli *cli)
{
	struct ask ask;
	if (cli_has(cli, "maint") && cli_has(cli, "ready")) {
		fprintf(stderr, "tidectl: --maint and --ready exclude each other\n");
		return EXIT_USAGE;
	}
	ask_init(&ask, cli, "drain", true);
	ask_args(&ask, 0);
	if (cli_has(cli, "maint"))
		ask_add(&ask, "maint", "1");
	if (cli_has(cli, "ready"))
		ask_add(&ask, "ready", "1");
	return ask_run(&ask);
}

const struct verb verb_drain = {
	.name = "drain",
	.args = "BACKEND[/SERVER]",
	.usage = "lets a server, or all of a backend, finish its requests and take no new ones",
	.help = "The names are those of \"tidectl backends\". The state survives restarts until --ready "
		"ends it, and \"tidectl status\" shows it.",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
