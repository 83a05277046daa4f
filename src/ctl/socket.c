/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, true);
}

const struct verb verb_socket = {
	.name = "socket",
	.args = "COMMAND...",
	.usage = "sends one Runtime API command to HAProxy, for debugging",
	.help = "The command goes through the daemon's own client. What it changes is drift to the "
		"daemon: found and repaired. An example:\n\n"
		"    tidectl socket show info",
	.max_args = CLI_MAX_VALUES,
	.min_args = 1,
	.run = run,
};
