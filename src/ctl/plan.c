/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include "plan/compile.h"

static const struct option_row options[] = {
	{ "files", "DIR|FILE", "the daemon's plan", NULL,
	  "makes the plan of these manifests, without a daemon; may be repeated", 'f', NULL },
	OPTION_END,
};

static int run_offline(const struct cli *cli)
{
	struct offline offline;
	struct error err;
	if (!offline_load(&offline, cli, &err)) {
		offline_free(&offline);
		return ctl_error(cli, &err, EXIT_USAGE);
	}
	struct plan *plan = compiler_plan(offline.compiler);
	struct sb out;
	sb_init(&out, (size_t)1 << 30);
	plan_print(plan, &out);
	fwrite(out.data ? out.data : "", 1, out.len, stdout);
	sb_fini(&out);
	plan_free(plan);
	offline_free(&offline);
	return EXIT_OK;
}

static int run(const struct cli *cli)
{
	return cli_has(cli, "files") ? run_offline(cli) : ask_simply(cli, false);
}

const struct verb verb_plan = {
	.name = "plan",
	.usage = "prints everything that HAProxy is to be",
	.help = "One entry a line: table, key, value, separated by tabs. Two plans can be compared with "
		"diff(1); the same objects always give the same bytes. With --files the output is "
		"always text.",
	.options = options,
	.run = run,
};
