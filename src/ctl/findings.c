/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_findings = {
	.name = "findings",
	.usage = "shows what is wrong with the manifests",
	.run = run,
};
