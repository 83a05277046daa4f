/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static const struct option_row options[] = {
	{ "override", NULL, NULL, NULL,
	  "changes this one data plane, and not the route; without a cluster always so", 0, NULL },
	{ "clear", NULL, NULL, NULL, "ends what was overridden", 0, NULL },
	OPTION_END,
};

static int run(const struct cli *cli)
{
	const struct ctl *ctl = cli->user;
	if (ctl->in_cluster && !cli_has(cli, "override") && !cli_has(cli, "clear"))
		return weights_in_cluster(cli);
	struct ask ask;
	ask_init(&ask, cli, "weights", true);
	ask_args(&ask, 0);
	if (cli_has(cli, "clear"))
		ask_add(&ask, "clear", "1");
	if (cli_has(cli, "override"))
		ask_add(&ask, "override", "1");
	return ask_run(&ask);
}

const struct verb verb_weights = {
	.name = "weights",
	.args = "ROUTE[:RULE] [NAME=WEIGHT...]",
	.usage = "shows the weights of a route's backends, or changes them",
	.help = "ROUTE is NAMESPACE/NAME, or a name in the namespace \"default\", and where a GRPCRoute has "
		"the name of an HTTPRoute, GRPCRoute/NAMESPACE/NAME; RULE the number (from 0) or the name "
		"of a rule. NAME is the backend's, with NAMESPACE/ before it or :PORT "
		"behind it where that is needed.\n\n"
		"Manifests are not edited: what they say is overridden. That is live when the command "
		"returns, survives restarts and edits of the manifest until it is cleared, and "
		"\"tidectl status\" shows it. Examples:\n\n"
		"    tidectl weights shop stable=50 canary=50\n"
		"    tidectl weights shop --clear\n\n"
		"In a cluster the route itself is changed, with your own rights (get and patch), for "
		"all data planes; nothing is overwritten that somebody else changed meanwhile. A name "
		"without NAMESPACE/ is then of --namespace, or of the context's. With --override, one "
		"data plane goes its own way, as without a cluster. Examples:\n\n"
		"    kubectl tidegate weights shop stable=50 canary=50\n"
		"    kubectl tidegate weights shop/web stable=0 canary=1 --override",
	.options = options,
	.min_args = 1,
	.max_args = CLI_MAX_VALUES,
	.run = run,
};
