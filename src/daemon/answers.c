/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/answers.h"

#include "daemon/app.h"
#include "daemon/log.h"

#include <time.h>

void split_name(struct str text, struct str *ret_ns, struct str *ret_name)
{
	size_t slash = str_chr(text, '/', 0);
	bool has_ns = slash < text.n;
	*ret_ns = has_ns ? str_sub(text, 0, slash) : STR("default");
	*ret_name = has_ns ? str_sub(text, slash + 1, text.n) : text;
}

static void answer_plan(struct call *call)
{
	const struct app *app = call_app(call);
	const struct plan *plan = app->engine_started ? engine_plan(app->engine) : NULL;
	if (!plan) {
		call_fail(call, CALL_UNAVAILABLE, "there is no plan yet: HAProxy is not started");
		return;
	}
	if (call_format(call) == REPORT_TABLE) {
		plan_print(plan, call_body(call));
		call_done(call, CALL_OK);
		return;
	}
	static const struct report_column columns[] = { { "table", "TABLE", TABLE_LEFT },
							{ "key", "KEY", TABLE_LEFT },
							{ "value", "VALUE", TABLE_LEFT } };
	struct report report;
	report_init(&report, columns, 3, call_format(call), false, call_body(call));
	for (size_t i = 0; i < plan->count; i++) {
		report_row(&report);
		report_cstr(&report, plan_table_names[plan->entries[i].table]);
		report_str(&report, plan->entries[i].key, TABLE_PLAIN);
		report_str(&report, plan->entries[i].value, TABLE_PLAIN);
	}
	report_finish(&report, NULL);
	call_done(call, CALL_OK);
}

static void report_time(struct report *report, int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm tm;
	char date[32], text[48];
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(at_ms % 1000));
	report_cstr(report, text);
}

static void answer_timeline(struct call *call)
{
	static const struct report_column columns[] = {
		{ "time", "TIME", TABLE_LEFT },		  { "what", "WHAT", TABLE_LEFT },
		{ "ok", "RESULT", TABLE_LEFT },		  { "changes", "CHANGES", TABLE_RIGHT },
		{ "commands", "COMMANDS", TABLE_RIGHT },  { "durationMs", "MS", TABLE_RIGHT },
		{ "reason", "REASON", TABLE_LEFT },
	};
	enum { MAX_EVENTS = 256 };
	struct engine_event *events =
		arena_array(call_arena(call), MAX_EVENTS, sizeof(*events));
	size_t count = engine_events(call_app(call)->engine, events, MAX_EVENTS);
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), call_format(call),
		    call_colours(call), call_body(call));
	for (size_t i = 0; i < count; i++) {
		report_row(&report);
		report_time(&report, events[i].at_ms);
		report_cstr(&report, events[i].what);
		report_bool(&report, events[i].ok, "ok", "failed");
		report_int(&report, (int64_t)events[i].change_count);
		report_int(&report, (int64_t)events[i].command_count);
		report_int(&report, events[i].duration_ms);
		report_cstr(&report, events[i].reason);
	}
	report_finish(&report, "Nothing has happened yet.");
	call_done(call, CALL_OK);
}

static void answer_reload_reasons(struct call *call)
{
	static const struct report_column columns[] = { { "count", "RELOADS", TABLE_RIGHT },
							{ "reason", "REASON", TABLE_LEFT } };
	const struct reasons *reasons = engine_reload_reasons(call_app(call)->engine);
	struct report report;
	report_init(&report, columns, 2, call_format(call), call_colours(call), call_body(call));
	for (size_t i = 0; i < reasons->count; i++) {
		report_row(&report);
		report_int(&report, (int64_t)reasons->items[i].count);
		report_str(&report, str_of(reasons->items[i].text), TABLE_PLAIN);
	}
	report_finish(&report, "No reloads.");
	call_done(call, CALL_OK);
}

static void answer_findings(struct call *call)
{
	struct findings findings;
	findings_init(&findings, call_arena(call));
	app_findings(call_app(call), &findings);
	report_findings(&findings, call_format(call), call_colours(call), call_body(call));
	call_done(call, CALL_OK);
}

static void answer_log_level(struct call *call)
{
	struct str wanted;
	enum log_level level;
	if (call_arg(call, "arg", 0, &wanted)) {
		if (!log_level_parse(wanted, &level)) {
			call_fail(call, CALL_BAD, "\"" STR_FMT "\" is no level: error, warning, "
						  "info, debug", STR_ARG(wanted));
			return;
		}
		log_set_level(level);
	}
	if (call_format(call) == REPORT_TABLE) {
		sb_addf(call_body(call), "%s\n", log_level_name(log_level()));
	} else {
		struct out out;
		out_init(&out, call_body(call), report_out_format(call_format(call)));
		out_object(&out);
		out_kv_cstr(&out, "level", log_level_name(log_level()));
		out_end(&out);
	}
	call_done(call, CALL_OK);
}

static const struct {
	const char *name;
	bool changes; /* something: only by POST */
	void (*run)(struct call *call);
} answers[] = {
	{ "status", false, answer_status },
	{ "get", false, answer_get },
	{ "plan", false, answer_plan },
	{ "diff", false, answer_diff },
	{ "explain", false, answer_explain },
	{ "backends", false, answer_backends },
	{ "weights", true, answer_weights },
	{ "drain", true, answer_drain },
	{ "maps", false, answer_maps },
	{ "timeline", false, answer_timeline },
	{ "reload-reasons", false, answer_reload_reasons },
	{ "findings", false, answer_findings },
	{ "log-level", true, answer_log_level },
	{ "socket", true, answer_socket },
};

void answers_run(struct call *call, struct str verb, bool post)
{
	struct str format = call_first(call, "format");
	enum report_format parsed;
	if (!report_format_parse(format, &parsed)) {
		call_fail(call, CALL_BAD, "\"" STR_FMT "\" is no format: table, json, yaml",
			  STR_ARG(format));
		return;
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (!str_is(verb, answers[i].name))
			continue;
		if (answers[i].changes && !post)
			call_fail(call, CALL_BAD, "%s needs POST", answers[i].name);
		else
			answers[i].run(call);
		return;
	}
	call_fail(call, CALL_NOT_FOUND, "this tidegate (%s) has no verb \"" STR_FMT "\"",
		  PACKAGE_VERSION, STR_ARG(verb));
}
