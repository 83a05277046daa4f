/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_maps = {
	.name = "maps",
	.args = "[NAME]",
	.usage = "lists HAProxy's maps, or shows one",
	.help = "The maps decide where a request goes; docs/routing.md explains how to read them.",
	.max_args = 1,
	.run = run,
};
