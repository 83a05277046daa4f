/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_reload_reasons = {
	.name = "reload-reasons",
	.usage = "shows why HAProxy was reloaded, with counts",
	.run = run,
};
