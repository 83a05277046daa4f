/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_backends = {
	.name = "backends",
	.usage = "shows backends and servers with their states in HAProxy",
	.run = run,
};
