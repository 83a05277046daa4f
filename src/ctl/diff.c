/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_diff = {
	.name = "diff",
	.usage = "compares the plan with the running HAProxy",
	.help = "Reads maps, servers, backends and certificates back from HAProxy; repairs nothing.\n\n"
		"Exit status: 0 no differences, 1 there are some.",
	.run = run,
};
