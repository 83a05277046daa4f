/* SPDX-License-Identifier: Apache-2.0 */
/* tidegate(8): the tables of its command line, and what each command does. */
#include "daemon/app.h"
#include "daemon/cli.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/report.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

enum {
	MAX_THREADS = 256,
	MAX_CONNECTIONS = 10 * 1000 * 1000,
	MAX_SPARES = 100 * 1000,
	MAX_SECONDS = 86400,
	DEFAULT_STOP_S = 60,
};

/* Below the ports of nodes (30000) and of connections out (32768), above a node's own services. */
#define DEFAULT_GATEWAY_PORTS "20000-29999"

static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const log_formats[] = { "text", "json", NULL };
static const char *const validate_formats[] = { "text", "table", "json", "yaml", NULL };

static const struct option_row run_options[] = {
	{ "kubernetes", NULL, NULL, NULL,
	  "reads an API server instead of manifests: of $KUBECONFIG, of the pod, or of "
	  "~/.kube/config", 0, NULL },
	{ "kubeconfig", "FILE", NULL, NULL, "the same, of this kubeconfig", 0, NULL },
	{ "context", "NAME", "the current one", NULL, "the kubeconfig's context to use", 0, NULL },
	{ "watch-namespace", "NAMESPACE", "all", NULL,
	  "reads only this namespace; may be given several times", 0, NULL },
	{ "no-status", NULL, NULL, NULL,
	  "writes nothing to the API server: no status, no Lease", 0, NULL },
	{ "lease-namespace", "NAMESPACE", "the pod's, else default", NULL,
	  "where the Lease is whose holder, one of all replicas, writes status", 0, NULL },
	{ "lease-name", "NAME", "tidegate", NULL, "its name", 0, NULL },
	{ "address", "ADDRESS", "none", NULL,
	  "an IP address or host name under which Gateways without addresses of their own are "
	  "reached, for their status; may be given several times", 0, NULL },
	{ "address-service", "NAME", "none", NULL,
	  "without --address, those of this Service in the namespace of the Lease: its load balancer's, "
	  "or its ClusterIPs; if it is headless, its endpoints'", 0, NULL },
	{ "gateway-services", "SELECTOR", "off", NULL,
	  "the leader makes a Service for each Gateway, in the namespace of the Lease, for the pods "
	  "with these labels: our own, as KEY=VALUE,KEY=VALUE; HAProxy binds its target ports", 0,
	  NULL },
	{ "gateway-ports", "MIN-MAX", DEFAULT_GATEWAY_PORTS, NULL, "what target ports are chosen from", 0,
	  NULL },
	{ "gateway-service", "JSON", "{\"type\":\"LoadBalancer\"}", NULL,
	  "what these Services are like unless GatewayParameters say else: their spec.service", 0,
	  NULL },
	{ "address-pool", "ADDRESS|CIDR|FIRST-LAST", "off", NULL,
	  "each Gateway has an address of these to itself, which HAProxy binds, even while the host "
	  "does not have it; the leader records it in the status; may be given several times", 0,
	  NULL },
	{ "owner", "RESOURCE/NAME", "none", NULL,
	  "deployments/NAME or daemonsets/NAME, ours: what the leader has made goes with it", 0,
	  NULL },
	{ "run-dir", "DIR", "$RUNTIME_DIRECTORY, /run/tidegate as root, "
			    "$XDG_RUNTIME_DIR/tidegate or /tmp/tidegate-UID otherwise", NULL,
	  "where sockets, haproxy.cfg, maps and the last-good plan live", 0, NULL },
	{ "state-dir", "DIR", "$STATE_DIRECTORY, else the run directory", NULL,
	  "where overrides of tidectl are kept", 0, NULL },
	{ "haproxy", "BIN", "haproxy in PATH or /usr/sbin", NULL, "the HAProxy to run, 2.6 or newer",
	  0, NULL },
	{ "agent", "BIN", "beside tidegate, else in PATH", NULL, "the tidegate-spoa to run", 0,
	  NULL },
	{ "external", NULL, NULL, NULL,
	  "somebody else runs HAProxy and the agent, in containers or units of their own: see "
	  "EXTERNAL HAPROXY", 0, NULL },
	{ "control", "SOCK", "RUN_DIR/control.sock", NULL, "the socket for tidectl, mode 0660", 0,
	  NULL },
	{ "metrics", "ADDR:PORT", "off", NULL, "serves /metrics, /healthz and /readyz there", 0,
	  NULL },
	{ "log-level", "LEVEL", "info", NULL, "error, warning, info or debug", 0, log_levels },
	{ "log-format", "FORMAT", "text", NULL, "text or json, to standard error", 0, log_formats },
	{ "threads", "N", "HAProxy's own choice", NULL, "threads of HAProxy", 0, NULL },
	{ "agent-threads", "N", "1", NULL, "threads of the agent", 0, NULL },
	{ "maxconn", "N", "HAProxy's own choice", NULL, "connections that HAProxy takes at once", 0,
	  NULL },
	{ "spare-backends", "N", "64", NULL,
	  "backends kept ready for new Services on HAProxy before 3.4", 0, NULL },
	{ "drain", "SECONDS", "0", NULL,
	  "at a stop, all goes on for so long, but /readyz says 503: for load balancers that ask it",
	  0, NULL },
	{ "stop-timeout", "SECONDS", "60", NULL,
	  "at a stop, HAProxy gives its requests so long to end, and then cuts them", 0, NULL },
	{ "user", "USER", "haproxy, when started as root", NULL, "HAProxy runs as", 0, NULL },
	{ "group", "GROUP", "the user's", NULL, "HAProxy runs as", 0, NULL },
	{ "access-log", "[TARGET]", "off; TARGET: stdout", NULL,
	  "HAProxy logs requests with gateway, route, rule and backend", 0, NULL },
	{ "dns", "SERVER", "/etc/resolv.conf", NULL,
	  "ADDR[:PORT],... that resolve the names of Backends", 0, NULL },
	{ "controller-name", "NAME", CONTROLLER_NAME, NULL,
	  "the controllerName of our GatewayClasses", 0, NULL },
	OPTION_END,
};

/* What run_options say, with the defaults filled in; strings are ours until the end. */
struct paths {
	char run_dir[PATH_MAX], state_dir[PATH_MAX], control[PATH_MAX], haproxy[PATH_MAX],
		agent[PATH_MAX], self[PATH_MAX];
};

static void copy_path(char ret[PATH_MAX], const char *path)
{
	snprintf(ret, PATH_MAX, "%s", path);
}

static void join_path(char ret[PATH_MAX], const char *dir, const char *name)
{
	size_t len = strnlen(dir, PATH_MAX - 1);
	memcpy(ret, dir, len);
	snprintf(ret + len, PATH_MAX - len, "/%s", name);
}

static bool find_in_path(const char *name, char ret[PATH_MAX])
{
	const char *env = getenv("PATH");
	struct str rest = str_of(env ? env : "/usr/bin:/bin");
	while (!str_empty(rest)) {
		struct str dir = str_cut(&rest, ':');
		snprintf(ret, PATH_MAX, STR_FMT "/%s", STR_ARG(dir), name);
		if (access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

/* Where systemd or the user's session want it; /run only for root. */
static void default_run_dir(char ret[PATH_MAX])
{
	const char *systemd = getenv("RUNTIME_DIRECTORY"), *session = getenv("XDG_RUNTIME_DIR");
	if (systemd && *systemd)
		copy_path(ret, systemd);
	else if (geteuid() == 0)
		copy_path(ret, "/run/tidegate");
	else if (session && *session)
		join_path(ret, session, "tidegate");
	else
		snprintf(ret, PATH_MAX, "/tmp/tidegate-%u", (unsigned)geteuid());
}

static void find_self(const char *argv0, char ret[PATH_MAX])
{
	/* The path as it is now: after an upgrade /proc/self/exe names a deleted file. */
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	if (n > 0)
		ret[n] = '\0';
	else if (!realpath(argv0, ret))
		copy_path(ret, argv0);
}

static void find_binaries(const struct cli *cli, struct paths *paths)
{
	const char *haproxy = cli_option_or(cli, "haproxy", "haproxy");
	const char *agent = cli_option(cli, "agent");
	if (strchr(haproxy, '/'))
		copy_path(paths->haproxy, haproxy);
	else if (!find_in_path(haproxy, paths->haproxy))
		join_path(paths->haproxy, "/usr/sbin", haproxy);

	copy_path(paths->agent, paths->self);
	char *slash = strrchr(paths->agent, '/');
	if (slash)
		*slash = '\0';
	char beside[PATH_MAX];
	join_path(beside, paths->agent, "tidegate-spoa");
	if (agent && strchr(agent, '/'))
		copy_path(paths->agent, agent);
	else if (!agent && access(beside, X_OK) == 0)
		copy_path(paths->agent, beside);
	else if (!find_in_path(agent ? agent : "tidegate-spoa", paths->agent))
		copy_path(paths->agent, beside);
}

static void find_directories(const struct cli *cli, struct paths *paths)
{
	const char *systemd = getenv("STATE_DIRECTORY");
	char run_dir[PATH_MAX], control[PATH_MAX];
	default_run_dir(run_dir);
	copy_path(paths->run_dir, cli_option_or(cli, "run-dir", run_dir));
	copy_path(paths->state_dir,
		  cli_option_or(cli, "state-dir", systemd && *systemd ? systemd : paths->run_dir));
	join_path(control, paths->run_dir, "control.sock");
	copy_path(paths->control, cli_option_or(cli, "control", control));
}

static bool read_numbers(const struct cli *cli, struct app_options *options, struct error *err)
{
	struct engine_options *engine = &options->engine;
	const struct {
		const char *name;
		uint64_t max, otherwise;
		unsigned *value;
	} rows[] = {
		{ "threads", MAX_THREADS, 0, &engine->haproxy_threads },
		{ "agent-threads", MAX_THREADS, 0, &engine->agent_threads },
		{ "maxconn", MAX_CONNECTIONS, 0, &engine->maxconn },
		{ "spare-backends", MAX_SPARES, 0, &engine->spare_backends },
		{ "drain", MAX_SECONDS, 0, &options->drain_s },
		{ "stop-timeout", MAX_SECONDS, DEFAULT_STOP_S, &engine->stop_timeout_s },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value;
		if (!cli_number(cli, rows[i].name, rows[i].max, rows[i].otherwise, &value, err))
			return false;
		*rows[i].value = (unsigned)value;
	}
	return true;
}

static void setup_log(const struct cli *cli)
{
	enum log_level level = LOG_LEVEL_INFO;
	log_level_parse(str_of(cli_option(cli, "log-level")), &level);
	log_setup(level, strcmp(cli_option_or(cli, "log-format", "text"), "json") == 0);
}

static struct app_options read_options(const struct cli *cli, const struct paths *paths)
{
	const char *access_log = cli_option(cli, "access-log");
	const char *user = cli_option(cli, "user");
	if (!user && geteuid() == 0 && getpwnam("haproxy"))
		user = "haproxy";
	return (struct app_options){
		.engine = { .external = cli_has(cli, "external"),
			    .run_dir = paths->run_dir,
			    .haproxy = paths->haproxy,
			    .agent = paths->agent,
			    .user = user,
			    .group = cli_option(cli, "group"),
			    .access_log = access_log != NULL,
			    .log_target = access_log && *access_log ? access_log : "stdout" },
		.sources = { .paths = cli->args, .path_count = cli->arg_count },
		.state_dir = paths->state_dir,
		.control = paths->control,
		.metrics = cli_option(cli, "metrics"),
		.dns = cli_option(cli, "dns"),
		.controller_name = cli_option_or(cli, "controller-name", CONTROLLER_NAME),
		.self = paths->self,
		.argv = cli->user,
	};
}

/* namespaces: room for CLI_MAX_VALUES. */
static bool read_sources(const struct cli *cli, struct sources_options *sources,
			 const char **namespaces, struct error *err)
{
	sources->kube = (struct kube_options){ .kubeconfig = cli_option(cli, "kubeconfig"),
					       .context = cli_option(cli, "context"),
					       .namespaces = namespaces };
	sources->kubernetes = cli_has(cli, "kubernetes") || sources->kube.kubeconfig;
	for (size_t i = 0; i < cli->option_count; i++) {
		if (strcmp(cli->options[i].row->name, "watch-namespace") == 0)
			namespaces[sources->kube.namespace_count++] = cli->options[i].value;
	}
	if (sources->kubernetes && sources->path_count)
		return error_set(err, ERR_SYNTAX, "objects come from an API server or from "
						  "manifests, not from both: leave one out");
	if (!sources->kubernetes && !sources->path_count)
		return error_set(err, ERR_SYNTAX, "run needs a directory or file of manifests, "
						  "or --kubernetes");
	if (!sources->kubernetes && (sources->kube.context || sources->kube.namespace_count))
		return error_set(err, ERR_SYNTAX, "--context and --watch-namespace go with "
						  "--kubernetes");
	return true;
}

/* The values of an option that may be given several times. */
static bool read_several(const struct cli *cli, const char *name, const char **ret_values,
			 size_t max, size_t *ret_count, struct error *err)
{
	*ret_count = 0;
	for (size_t i = 0; i < cli->option_count; i++) {
		if (strcmp(cli->options[i].row->name, name) != 0)
			continue;
		if (*ret_count == max)
			return error_set(err, ERR_SYNTAX, "--%s: more than %zu", name, max);
		ret_values[(*ret_count)++] = cli->options[i].value;
	}
	return true;
}

/* What goes with what. */
static bool check_cluster(const struct cluster_options *cluster, bool kubernetes, struct error *err)
{
	bool pool = cluster->pool_count > 0;
	if (!kubernetes && (cluster->disabled || cluster->lease_ns || cluster->address_count ||
			    cluster->address_service || cluster->selector || pool || cluster->owner))
		return error_set(err, ERR_SYNTAX, "--no-status, --lease-namespace, --address, "
						  "--address-service, --gateway-services, "
						  "--address-pool and --owner go with --kubernetes");
	if (cluster->disabled && (cluster->selector || pool))
		return error_set(err, ERR_SYNTAX, "--%s needs a leader: leave --no-status out",
				 pool ? "address-pool" : "gateway-services");
	const char *other = cluster->selector		? "gateway-services" :
			    cluster->address_service	? "address-service" :
			    cluster->address_count	? "address" : NULL;
	if (pool && other)
		return error_set(err, ERR_SYNTAX, "Gateways have their addresses either of "
						  "--address-pool or as --%s says: leave one out",
				 other);
	if (cluster->selector && cluster->address_service)
		return error_set(err, ERR_SYNTAX, "Gateways have either each a Service, as "
						  "--gateway-services says, or the one of "
						  "--address-service: leave one out");
	return true;
}

static bool read_cluster(const struct cli *cli, bool kubernetes, struct cluster_options *cluster,
			 struct error *err)
{
	*cluster = (struct cluster_options){
		.disabled = cli_has(cli, "no-status"),
		.lease_ns = cli_option(cli, "lease-namespace"),
		.lease_name = cli_option_or(cli, "lease-name", "tidegate"),
		.address_service = cli_option(cli, "address-service"),
		.selector = cli_option(cli, "gateway-services"),
		.ports = cli_option_or(cli, "gateway-ports", DEFAULT_GATEWAY_PORTS),
		.defaults = cli_option(cli, "gateway-service"),
		.owner = cli_option(cli, "owner"),
	};
	if (!read_several(cli, "address", cluster->addresses, MAX_ADDRESSES,
			  &cluster->address_count, err) ||
	    !read_several(cli, "address-pool", cluster->pool, CLUSTER_MAX_POOL,
			  &cluster->pool_count, err))
		return false;
	if (!kubernetes && cli_has(cli, "lease-name"))
		return error_set(err, ERR_SYNTAX, "--lease-name goes with --kubernetes");
	return check_cluster(cluster, kubernetes, err);
}

static bool check_external(const struct cli *cli, struct error *err)
{
	static const char *const ours[] = { "haproxy", "agent", "agent-threads", "stop-timeout" };
	for (size_t i = 0; cli_has(cli, "external") && i < sizeof(ours) / sizeof(*ours); i++) {
		if (cli_has(cli, ours[i]))
			return error_set(err, ERR_SYNTAX, "--%s is of programs that tidegate starts; "
							  "with --external it starts none", ours[i]);
	}
	return true;
}

static int run_run(const struct cli *cli)
{
	struct paths paths;
	struct error err;
	char *const *argv = cli->user;
	find_self(argv[0], paths.self);
	find_directories(cli, &paths);
	find_binaries(cli, &paths);
	const char *namespaces[CLI_MAX_VALUES];
	struct app_options options = read_options(cli, &paths);
	if (!check_external(cli, &err) || !read_numbers(cli, &options, &err) ||
	    !read_sources(cli, &options.sources, namespaces, &err) ||
	    !read_cluster(cli, options.sources.kubernetes, &options.cluster, &err)) {
		fprintf(stderr, "tidegate: %s\n", err.text);
		return EXIT_USAGE;
	}
	setup_log(cli);
	if (!privileges_drop(&err)) {
		fprintf(stderr, "tidegate: %s\n", err.text);
		return EXIT_FAILURE;
	}
	return app_run(&options);
}

static const struct verb verb_run = {
	.name = "run",
	.args = "[DIR|FILE...]",
	.usage = "follows manifests or an API server, and runs HAProxy and the agent as they say",
	.help = "Reads Gateway API manifests (YAML or JSON) from directories, with their "
		"sub-directories, and files; starts HAProxy and the agent; and turns every later edit "
		"into commands to the running HAProxy. HAProxy is reloaded only when listeners "
		"change.\n\n"
		"With --kubernetes or --kubeconfig the objects come from an API server instead, "
		"listed and watched. While it is away, everything stays as it was.\n\n"
		"A file that cannot be read keeps what it said before. When the manifests are missing "
		"or broken at the start, the last-good plan of the run directory is served.\n\n"
		"An example:\n\n"
		"    tidegate run --run-dir /tmp/gate --metrics 127.0.0.1:9180 examples/quickstart",
	.options = run_options,
	.min_args = 0,
	.max_args = CLI_MAX_VALUES,
	.run = run_run,
};

/* ---- validate ---- */

static const struct option_row validate_options[] = {
	{ "output", "FORMAT", "text", NULL, "text, json or yaml", 'o', validate_formats },
	{ "strict", NULL, NULL, NULL, "warnings fail too", 0, NULL },
	{ "controller-name", "NAME", CONTROLLER_NAME, NULL,
	  "the controllerName of our GatewayClasses", 0, NULL },
	OPTION_END,
};

static void resolve_all(struct store *store, const char *controller_name,
			struct findings *findings)
{
	struct compiler *compiler = compiler_new(store);
	struct compile_options options = {
		.resolve = { .now_s = (int64_t)ev_time(),
			     .controller_name = str_of(controller_name) },
	};
	compiler_mark_all(compiler);
	changes_free(compile_pass(compiler, &options));
	compiler_findings(compiler, findings);
	compiler_free(compiler);
}

static int judge(const struct findings *findings, bool strict)
{
	for (size_t i = 0; i < findings->count; i++) {
		if (findings->items[i].severity == SEVERITY_ERROR ||
		    (strict && findings->items[i].severity == SEVERITY_WARNING))
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int run_validate(const struct cli *cli)
{
	enum report_format format = REPORT_TABLE;
	struct arena *arena = arena_new();
	struct store *store = store_new();
	struct findings findings;
	struct error err;
	int status = EXIT_USAGE;
	findings_init(&findings, arena);
	report_format_parse(str_of(cli_option(cli, "output")), &format);
	if (files_load(cli->args, cli->arg_count, store, &findings, &err)) {
		struct sb out;
		sb_init(&out, (size_t)1 << 30);
		resolve_all(store, cli_option_or(cli, "controller-name", CONTROLLER_NAME),
			    &findings);
		if (findings.count)
			qsort(findings.items, findings.count, sizeof(*findings.items), finding_cmp);
		report_findings(&findings, format, isatty(STDOUT_FILENO), &out);
		fwrite(out.data, 1, out.len, stdout);
		sb_fini(&out);
		status = judge(&findings, cli_has(cli, "strict"));
	} else {
		fprintf(stderr, "tidegate: %s\n", err.text);
	}
	store_free(store);
	arena_free(arena);
	return status;
}

static const struct verb verb_validate = {
	.name = "validate",
	.args = "DIR|FILE...",
	.usage = "checks manifests without running anything",
	.help = "Makes every check that an API server would make, and resolves references, so that "
		"a CI job sees what \"tidegate run\" would complain about.\n\n"
		"Exit status: 0 clean (warnings allowed, unless --strict), 1 errors found, "
		"2 wrong usage or unreadable paths.",
	.options = validate_options,
	.min_args = 1,
	.max_args = CLI_MAX_VALUES,
	.run = run_validate,
};

/* ---- the program ---- */

static const struct verb *const verbs[] = { &verb_run, &verb_validate, &verb_version, &verb_help,
					    NULL };

static const struct option_row global_options[] = { OPTION_END };

static const struct cli_section sections[] = {
	{ "EXTERNAL HAPROXY",
	  "With --external tidegate starts, signals and stops nothing. Who runs HAProxy writes what "
	  "\"haproxy -v\" prints to RUN_DIR/haproxy.version, waits until RUN_DIR/haproxy.cfg is there, "
	  "and then starts\n\n"
	  "    haproxy -W -S RUN_DIR/master.sock,mode,600 -f RUN_DIR/haproxy.cfg\n\n"
	  "as the same user as tidegate. Before HAProxy of another version he removes haproxy.cfg. "
	  "files/haproxy.sh of the chart does all that, in any image that has HAProxy. The agent is\n\n"
	  "    tidegate-spoa --listen unix@RUN_DIR/agent.sock --stats-socket "
	  "RUN_DIR/agent-stats.sock\n\n"
	  "The order does not matter, and each may be started anew without the others. tidegate is "
	  "ready when HAProxy is what the objects say; a HAProxy that has hung up is counted as "
	  "restarted. HAProxy and the agent go on when tidegate ends." },
	{ "SIGNALS",
	  "SIGHUP: looks at all files again, and accepts what they say even if it is nothing. With an "
	  "API server: tries at once what failed.\n\n"
	  "SIGTERM, SIGINT: after what --drain says, stops HAProxy and the agent once their requests "
	  "have ended, or after --stop-timeout; with --external only itself. A second one ends the "
	  "first wait, or leaves at once.\n\n"
	  "SIGUSR2: becomes the binary that is now at the path of tidegate, in the same process; "
	  "HAProxy and the agent keep running and are adopted." },
	{ "FILES",
	  "RUN_DIR/control.sock: for tidectl.\n\n"
	  "RUN_DIR/haproxy.cfg, RUN_DIR/maps, RUN_DIR/certs: what HAProxy reads; written by tidegate "
	  "only.\n\n"
	  "RUN_DIR/plan.last: the last-good plan.\n\n"
	  "STATE_DIR/overrides.json: weights and drained servers set with tidectl." },
	{ "ENVIRONMENT",
	  "KUBECONFIG, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT: where the API server is. "
	  "RUNTIME_DIRECTORY, STATE_DIRECTORY, XDG_RUNTIME_DIR: default directories. NOTIFY_SOCKET, "
	  "WATCHDOG_USEC: the service manager's." },
	{ "EXIT STATUS", "0 stopped as asked, 1 failed, 2 wrong usage." },
	{ NULL, NULL },
};

static const struct program program = {
	.name = "tidegate",
	.section = "8",
	.usage = "runs HAProxy as a Kubernetes Gateway API data plane",
	.help = "Gateway API objects in a directory or an API server become a running HAProxy, and "
		"every edit of them becomes live commands to it.",
	.options = global_options,
	.verbs = verbs,
	.sections = sections,
	.see_also = "tidectl(1), haproxy(1)",
};

int main(int argc, char **argv)
{
	return cli_main(&program, argc, argv, argv);
}
