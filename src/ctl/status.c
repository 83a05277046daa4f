/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_status = {
	.name = "status",
	.usage = "shows Gateways, listeners, routes, their conditions, and why",
	.help = "Also how HAProxy fares, which version it is, how often it was reloaded, how many "
		"findings there are, and what was overridden by hand.",
	.run = run,
};
