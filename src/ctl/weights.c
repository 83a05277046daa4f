/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static const struct option_row options[] = {
	{ "clear", NULL, NULL, NULL, "goes back to the weights of the manifest", 0, NULL },
	OPTION_END,
};

static int run(const struct cli *cli)
{
	struct ask ask;
	ask_init(&ask, cli, "weights", true);
	ask_args(&ask, 0);
	if (cli_has(cli, "clear"))
		ask_add(&ask, "clear", "1");
	return ask_run(&ask);
}

const struct verb verb_weights = {
	.name = "weights",
	.args = "ROUTE[:RULE] [NAME=WEIGHT...]",
	.usage = "shows the weights of a route's backends, or overrides them",
	.help = "ROUTE is NAMESPACE/NAME, or a name in the namespace \"default\"; RULE the number (from "
		"0) or the name of a rule. NAME is the backend's, with NAMESPACE/ before it or :PORT "
		"behind it where that is needed.\n\n"
		"A change is live when the command returns. It survives restarts, edits of the manifest "
		"included, until it is cleared, and \"tidectl status\" shows it. Examples:\n\n"
		"    tidectl weights shop stable=50 canary=50\n"
		"    tidectl weights shop --clear",
	.options = options,
	.min_args = 1,
	.max_args = CLI_MAX_VALUES,
	.run = run,
};
