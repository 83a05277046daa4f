/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

static int run(const struct cli *cli)
{
	return ask_simply(cli, false);
}

const struct verb verb_get = {
	.name = "get",
	.args = "KIND [NAME]",
	.usage = "lists objects as they were read",
	.help = "KIND is the name of a kind in any case, also in the plural. NAME is NAMESPACE/NAME, or "
		"a name in the namespace \"default\".",
	.max_args = 2,
	.min_args = 1,
	.run = run,
};
