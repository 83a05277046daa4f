/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_timeline = {
	.name = "timeline",
	.usage = "shows the last changes: what, when, how many commands, how long",
	.run = run,
};
