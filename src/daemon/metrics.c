/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"

#include "daemon/app.h"
#include "source/clock.h"

static void head(struct sb *out, const char *name, const char *type, const char *help)
{
	sb_addf(out, "# HELP tidegate_%s %s\n# TYPE tidegate_%s %s\n", name, help, name, type);
}

static void number(struct sb *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	head(out, name, type, help);
	sb_addf(out, "tidegate_%s %llu\n", name, (unsigned long long)value);
}

/* A label's value, escaped as the format asks. */
static void label(struct sb *out, struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\n')
			sb_adds(out, "\\n");
		else if (value.p[i] == '"' || value.p[i] == '\\')
			sb_addf(out, "\\%c", value.p[i]);
		else
			sb_addc(out, value.p[i]);
	}
}

static void histogram(struct sb *out, const char *name, const char *help,
		      const struct histogram *histogram)
{
	uint64_t cumulative = 0;
	head(out, name, "histogram", help);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		cumulative += histogram->buckets[i];
		sb_addf(out, "tidegate_%s_bucket{le=\"%g\"} %llu\n", name, histogram_bounds[i],
			(unsigned long long)cumulative);
	}
	sb_addf(out, "tidegate_%s_bucket{le=\"+Inf\"} %llu\ntidegate_%s_sum %.6f\n"
		     "tidegate_%s_count %llu\n",
		name, (unsigned long long)histogram->count, name, histogram->sum, name,
		(unsigned long long)histogram->count);
}

static void engine_metrics(const struct app *app, struct sb *out)
{
	struct engine_stats s;
	engine_stats(app->engine, &s);
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{ "updates_total", "counter", "Updates given to HAProxy.", s.updates },
		{ "commands_total", "counter", "Runtime API commands sent.", s.commands },
		{ "command_failures_total", "counter", "Runtime API commands that HAProxy refused.",
		  s.command_failures },
		{ "drift_found_total", "counter", "Differences between HAProxy and the plan found.",
		  s.drift_found },
		{ "drift_repaired_total", "counter", "Differences repaired.", s.drift_repaired },
		{ "readbacks_total", "counter", "Times that HAProxy was read back.", s.readbacks },
		{ "haproxy_restarts_total", "counter", "Times that HAProxy was started again.",
		  s.haproxy_restarts },
		{ "agent_restarts_total", "counter", "Times that the agent was started again.",
		  s.agent_restarts },
		{ "spare_backends_free", "gauge", "Spare backends left (HAProxy before 3.4).",
		  s.spare_backends_free },
		{ "frontends_blocked", "gauge", "Frontends that HAProxy cannot bind.", s.blocked },
		{ "files_failing", "gauge", "1 while files of the run directory cannot be written.",
		  s.files_failing },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		number(out, rows[i].name, rows[i].type, rows[i].help, rows[i].value);

	const struct reasons *reasons = engine_reload_reasons(app->engine);
	head(out, "reloads_total", "counter", "Reloads of HAProxy by reason.");
	if (reasons->count == 0)
		sb_adds(out, "tidegate_reloads_total{reason=\"\"} 0\n");
	for (size_t i = 0; i < reasons->count; i++) {
		sb_adds(out, "tidegate_reloads_total{reason=\"");
		label(out, str_of(reasons->items[i].text));
		sb_addf(out, "\"} %llu\n", (unsigned long long)reasons->items[i].count);
	}
}

static void object_metrics(const struct app *app, struct sb *out)
{
	head(out, "objects", "gauge", "Objects in force by kind.");
	for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
		size_t count;
		store_list(app->store, (enum kind)kind, &count);
		sb_addf(out, "tidegate_objects{kind=\"%s\"} %zu\n", kind_table[kind].name, count);
	}
	size_t routes;
	compiler_routes(app->compiler, &routes);
	number(out, "routes", "gauge", "Routes that are resolved.", routes);

	struct arena *arena = arena_new();
	struct findings findings;
	size_t counts[SEVERITY_INFO + 1] = { 0 };
	findings_init(&findings, arena);
	app_findings(app, &findings);
	for (size_t i = 0; i < findings.count; i++)
		counts[findings.items[i].severity]++;
	arena_free(arena);
	head(out, "findings", "gauge", "What is wrong with the objects, by severity.");
	for (int i = 0; i <= SEVERITY_INFO; i++)
		sb_addf(out, "tidegate_findings{severity=\"%s\"} %zu\n",
			severity_name((enum severity)i), counts[i]);

	const struct plan *plan = app->engine_started ? engine_plan(app->engine) : NULL;
	head(out, "plan_entries", "gauge", "Entries of the plan by table.");
	for (int table = 0; plan && table < PLAN_TABLE_COUNT; table++) {
		size_t count;
		plan_table(plan, (enum plan_table)table, &count);
		sb_addf(out, "tidegate_plan_entries{table=\"%s\"} %zu\n", plan_table_names[table],
			count);
	}
}

static void files_metrics(const struct files_source *source, struct sb *out)
{
	struct files_stats files;
	files_source_stats(source, &files);
	number(out, "files", "gauge", "Files that are followed.", files.files);
	number(out, "file_parses_total", "counter", "Files parsed.", files.parse_count);
	number(out, "file_parse_failures_total", "counter", "Files that could not be parsed.",
	       files.parse_failures);
	number(out, "unknown_objects", "gauge", "Objects of kinds that are not read.",
	       files.unknown_objects);
	number(out, "missing_paths", "gauge", "Named paths that are missing.", files.missing_paths);
}

static void kube_metrics(const struct kube_source *source, struct sb *out)
{
	struct kube_stats s;
	kube_source_stats(source, &s);
	number(out, "kube_watches", "gauge", "Resources of the API server that are watched.",
	       s.watches);
	number(out, "kube_lists_total", "counter", "Pages of lists asked for.", s.lists);
	number(out, "kube_watch_requests_total", "counter", "Watches asked for.",
	       s.watch_requests);
	number(out, "kube_events_total", "counter", "Events of watches.", s.events);
	number(out, "kube_requests_total", "counter", "Requests sent to the API server.",
	       s.requests);
	number(out, "kube_request_failures_total", "counter",
	       "Requests that the API server did not answer.", s.failures);
	number(out, "kube_connections_total", "counter", "Connections made to the API server.",
	       s.connections);
	number(out, "kube_received_bytes_total", "counter",
	       "Bytes of answers of the API server.", s.bytes);
	head(out, "kube_answers_total", "counter", "Answers of the API server by status.");
	for (int i = 2; i < 6; i++)
		sb_addf(out, "tidegate_kube_answers_total{code=\"%dxx\"} %llu\n", i,
			(unsigned long long)s.answers[i]);
}

static void cluster_metrics(const struct cluster *cluster, struct sb *out)
{
	struct cluster_state s;
	cluster_state(cluster, &s);
	number(out, "leader", "gauge", "1 while this replica writes status.", s.leads);
	number(out, "status_requests_total", "counter",
	       "Requests for the lead, status, Services and Events.", s.requests);
	number(out, "status_writes_total", "counter", "Writes of objects' status.",
	       s.publish.writes);
	number(out, "status_conflicts_total", "counter",
	       "Writes that another writer was faster than; tried again.", s.publish.conflicts);
	number(out, "status_failures_total", "counter",
	       "Writes that the API server refused; tried again.", s.publish.failures);
	number(out, "events_created_total", "counter", "Kubernetes Events created.",
	       s.events.created);
	number(out, "events_repeated_total", "counter", "Kubernetes Events counted up.",
	       s.events.repeated);
	number(out, "events_failures_total", "counter",
	       "Kubernetes Events that the API server refused; tried again.", s.events.failures);
	number(out, "status_pending", "gauge", "Objects whose status may have to be written.",
	       s.publish.pending);
	number(out, "services_writes_total", "counter",
	       "Gateways' Services made, changed or removed.", s.services.writes);
	number(out, "services_conflicts_total", "counter",
	       "Writes of Services that were not as they were thought to be; tried again.",
	       s.services.conflicts);
	number(out, "services_failures_total", "counter",
	       "Writes of Services that the API server refused; tried again.", s.services.failures);
}

static void source_metrics(const struct app *app, struct sb *out)
{
	struct source_state state;
	struct dns_stats dns;
	if (app->sources.files)
		files_metrics(app->sources.files, out);
	if (app->sources.kube)
		kube_metrics(app->sources.kube, out);
	if (app->cluster)
		cluster_metrics(app->cluster, out);
	sources_state(&app->sources, &state);
	number(out, "source_stale", "gauge", "1 while what the source said last may be old.",
	       state.stale[0] != '\0');
	head(out, "source_stale_seconds", "gauge", "For how long it has been so.");
	sb_addf(out, "tidegate_source_stale_seconds %.3f\n", state.stale_s);
	dns_stats(app->dns, &dns);
	number(out, "dns_names", "gauge", "DNS names that are followed.", dns.names);
	number(out, "dns_queries_total", "counter", "DNS queries.", dns.queries);
	number(out, "dns_failures_total", "counter", "DNS queries without an answer.",
	       dns.failures);
}

static void process_metrics(const struct app *app, struct sb *out)
{
	head(out, "build_info", "gauge", "The version, as labels; always 1.");
	sb_addf(out, "tidegate_build_info{version=\"%s\"", PACKAGE_VERSION);
	const struct haproxy_caps *caps = app->engine_started ? engine_caps(app->engine) : NULL;
	if (caps)
		sb_addf(out, ",haproxy=\"%u.%u.%u\"", caps->major, caps->minor, caps->patch);
	sb_adds(out, "} 1\n");
	number(out, "ready", "gauge", "1 when HAProxy is what the plan says.",
	       *app_not_ready(app) == '\0');
	number(out, "holding_last_good", "gauge",
	       "1 while the last-good plan is served instead of the manifests.",
	       *app_holding(app) != '\0');
	size_t weights, servers;
	overrides_weights(app->overrides, &weights);
	overrides_servers(app->overrides, &servers);
	number(out, "overrides", "gauge", "Overrides by tidectl in force.", weights + servers);
	head(out, "uptime_seconds", "gauge", "Seconds since the start of tidegate.");
	sb_addf(out, "tidegate_uptime_seconds %.3f\n", clock_s() - app->started_at);
}

static bool agent_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return name.n > 0 && name.n < 100;
}

/* "processing_us_le_10" is a bucket of a histogram in microseconds. */
static void agent_line(struct sb *out, struct str name, uint64_t value)
{
	static const char bucket[] = "processing_us_le_";
	struct str limit = str_sub(name, sizeof(bucket) - 1, name.n);
	uint64_t limit_us;
	if (!str_starts(name, STR("processing_us_le_")))
		sb_addf(out, "tidegate_agent_" STR_FMT "_total %llu\n", STR_ARG(name),
			(unsigned long long)value);
	else if (str_is(limit, "inf"))
		sb_addf(out, "tidegate_agent_processing_seconds_bucket{le=\"+Inf\"} %llu\n"
			     "tidegate_agent_processing_seconds_count %llu\n",
			(unsigned long long)value, (unsigned long long)value);
	else if (str_u64(limit, UINT32_MAX, &limit_us))
		sb_addf(out, "tidegate_agent_processing_seconds_bucket{le=\"%g\"} %llu\n",
			(double)limit_us / 1e6, (unsigned long long)value);
}

/* "name value" lines of the agent (spoa/stats.h) as metrics; lines that do not look so are
 * skipped. */
static void agent_metrics(struct str text, struct sb *out)
{
	while (!str_empty(text)) {
		struct str line = str_cut(&text, '\n');
		struct str name = str_cut(&line, ' ');
		uint64_t value;
		if (!agent_name(name) || !str_u64(str_trim(line), UINT64_MAX, &value))
			continue;
		if (str_is(name, "processing_us_sum"))
			sb_addf(out, "tidegate_agent_processing_seconds_sum %.6f\n",
				(double)value / 1e6);
		else
			agent_line(out, name, value);
	}
}

void metrics_write(const struct app *app, struct sb *out)
{
	process_metrics(app, out);
	object_metrics(app, out);
	source_metrics(app, out);
	engine_metrics(app, out);
	number(out, "passes_total", "counter", "Passes of the compiler.", app->pass_count);
	number(out, "changes_total", "counter", "Changes of plan entries.", app->change_count);
	agent_metrics(engine_agent_stats(app->engine), out);
	histogram(out, "pass_duration_seconds", "Time of a pass of the compiler.",
		  &app->pass_seconds);
	histogram(out, "apply_duration_seconds",
		  "Time from a pass to HAProxy's last answer to its changes.", &app->apply_seconds);
}
