/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, true);
}

const struct verb verb_log_level = {
	.name = "log-level",
	.args = "[LEVEL]",
	.usage = "shows or sets the daemon's log level",
	.help = "LEVEL is error, warning, info or debug; it holds until the daemon ends.",
	.max_args = 1,
	.run = run,
};
