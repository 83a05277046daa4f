/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include "daemon/explain_report.h"
#include "plan/compile.h"

static const struct option_row options[] = {
	{ "header", "NAME: VALUE", NULL, NULL, "a header of the request; may be repeated", 'H', NULL },
	{ "files", "DIR|FILE", "the daemon's objects", NULL,
	  "explains with these manifests, without a daemon; may be repeated", 'f', NULL },
	{ "live", NULL, NULL, NULL,
	  "asks the running HAProxy's maps and the agent too, and says where they disagree", 0, NULL },
	{ "gateway", "NAMESPACE/NAME", "the first that has the port", NULL,
	  "to which Gateway the request goes, when several have the port", 0, NULL },
	{ "sni", "NAME", "the host of the URL", NULL, "the server name of the TLS connection", 0,
	  NULL },
	OPTION_END,
};

static void print_explanation(const struct cli *cli, const struct offline *offline,
			      const struct explain_request *request)
{
	struct explain_world world = { .gateways = compiler_gateways(offline->compiler) };
	world.routes = compiler_routes(offline->compiler, &world.route_count);
	struct explain_result *result = explain(&world, request);
	struct sb out;
	sb_init(&out, 16 * 1024 * 1024);
	explain_report(result, STR_NONE, ctl_format(cli), &out);
	fwrite(out.data ? out.data : "", 1, out.len, stdout);
	sb_fini(&out);
	explain_free(result);
}

static int run_offline(const struct cli *cli)
{
	struct str headers[CLI_MAX_VALUES];
	size_t count = 0;
	for (size_t i = 0; i < cli->option_count; i++) {
		if (cli->options[i].row->letter == 'H')
			headers[count++] = str_of(cli->options[i].value);
	}
	struct explain_request request;
	struct offline offline;
	struct error err;
	if (!explain_request_make(str_of(cli->args[0]), str_of(cli->args[1]), headers, count,
				  str_of(cli_option(cli, "sni")), &request, &err))
		return ctl_error(cli, &err, EXIT_USAGE);
	request.gateway = str_of(cli_option(cli, "gateway"));
	bool ok = offline_load(&offline, cli, &err);
	if (ok)
		print_explanation(cli, &offline, &request);
	offline_free(&offline);
	return ok ? EXIT_OK : ctl_error(cli, &err, EXIT_USAGE);
}

static int run(const struct cli *cli)
{
	if (cli_has(cli, "files"))
		return run_offline(cli);
	struct ask ask;
	ask_init(&ask, cli, "explain", false);
	ask_args(&ask, 0);
	for (size_t i = 0; i < cli->option_count; i++) {
		const char *name = cli->options[i].row->name;
		if (strcmp(name, "header") == 0 || strcmp(name, "sni") == 0 ||
		    strcmp(name, "gateway") == 0)
			ask_add(&ask, name, cli->options[i].value);
	}
	if (cli_has(cli, "live"))
		ask_add(&ask, "live", "1");
	return ask_run(&ask);
}

const struct verb verb_explain = {
	.name = "explain",
	.args = "METHOD URL",
	.usage = "says which listener, route, rule and match take a request, and why no other",
	.help = "Every candidate is listed in the order of precedence, with the reason why it does not "
		"match. Examples:\n\n"
		"    tidectl explain GET http://www.example.com/shop?x=1 -H 'x-canary: always'\n"
		"    tidectl explain GET https://www.example.com/ --live\n\n"
		"Exit status: 1 when HAProxy disagrees (--live).",
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
