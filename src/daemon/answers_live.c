/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that ask the running HAProxy, or change it by hand. */
#include "base/map.h"
#include "daemon/answers.h"
#include "daemon/app.h"
#include "daemon/log.h"

/* False, with the call ended, while there is no HAProxy to ask. */
static bool need_engine(struct call *call)
{
	if (call_app(call)->engine_started)
		return true;
	call_fail(call, CALL_UNAVAILABLE, "HAProxy is not started yet");
	return false;
}

/* ---- socket, diff ---- */

static void on_text_reply(void *user, struct str reply, const struct error *err)
{
	struct call *call = user;
	if (err) {
		call_fail(call, CALL_FAILED, "%s", err->text);
		return;
	}
	sb_add(call_body(call), reply);
	if (!str_empty(reply) && !str_ends(reply, STR("\n")))
		sb_addc(call_body(call), '\n');
	call_done(call, CALL_OK);
}

void answer_socket(struct call *call)
{
	struct sb command;
	struct str word;
	if (!need_engine(call))
		return;
	sb_init(&command, 15000);
	for (size_t i = 0; call_arg(call, "arg", i, &word); i++) {
		if (i)
			sb_addc(&command, ' ');
		sb_add(&command, word);
	}
	struct error err;
	if (command.len == 0)
		call_fail(call, CALL_BAD, "socket needs a command, such as: show info");
	else if (!sb_ok(&command, &err))
		call_fail(call, CALL_BAD, "%s", err.text);
	else
		engine_command(call_app(call)->engine, arena_str(call_arena(call), sb_str(&command)),
			       on_text_reply, call);
	sb_fini(&command);
}

static void on_diff(void *user, struct str reply, const struct error *err)
{
	struct call *call = user;
	if (err) {
		call_fail(call, CALL_FAILED, "%s", err->text);
		return;
	}
	bool same = str_empty(str_trim(reply));
	if (call_format(call) == REPORT_TABLE) {
		if (same)
			sb_adds(call_body(call), "No differences.\n");
		sb_add(call_body(call), reply);
	} else {
		struct out out;
		out_init(&out, call_body(call), report_out_format(call_format(call)));
		out_array(&out);
		while (!str_empty(reply)) {
			struct str line = str_cut(&reply, '\n');
			if (!str_empty(line))
				out_str(&out, line);
		}
		out_end(&out);
	}
	call_done(call, same ? CALL_OK : CALL_DIFFERS);
}

void answer_diff(struct call *call)
{
	if (need_engine(call))
		engine_diff(call_app(call)->engine, on_diff, call);
}

/* ---- maps ---- */

/* The reference ("#3") and the base name of a line of `show map`: "3 (/run/.../x.map) ...". */
static bool parse_map_line(struct str line, struct str *ret_id, struct str *ret_name)
{
	*ret_id = str_cut(&line, ' ');
	uint64_t id;
	if (!str_u64(*ret_id, UINT32_MAX, &id) || str_empty(line) || line.p[0] != '(')
		return false;
	size_t close = str_chr(line, ')', 0);
	struct str path = str_sub(line, 1, close);
	while (str_chr(path, '/', 0) < path.n)
		str_cut(&path, '/');
	*ret_name = path;
	return true;
}

static bool same_map(struct str name, struct str wanted)
{
	static const struct str suffix = STR_INIT(".map");
	if (str_eq(name, wanted))
		return true;
	return str_ends(name, suffix) && str_eq(str_sub(name, 0, name.n - suffix.n), wanted);
}

static void on_map(void *user, struct str reply, const struct error *err)
{
	static const struct report_column columns[] = { { "key", "KEY", TABLE_LEFT },
							{ "value", "VALUE", TABLE_LEFT } };
	struct call *call = user;
	if (err) {
		call_fail(call, CALL_FAILED, "%s", err->text);
		return;
	}
	struct report report;
	report_init(&report, columns, 2, call_format(call), call_colours(call), call_body(call));
	while (!str_empty(reply)) {
		/* "0x55... key value" */
		struct str line = str_cut(&reply, '\n');
		str_cut(&line, ' ');
		struct str key = str_cut(&line, ' ');
		if (str_empty(key))
			continue;
		report_row(&report);
		report_str(&report, key, TABLE_PLAIN);
		report_str(&report, line, TABLE_PLAIN);
	}
	report_finish(&report, "The map is empty.");
	call_done(call, CALL_OK);
}

static void list_maps(struct call *call, struct str listing)
{
	static const struct report_column columns[] = { { "id", "ID", TABLE_RIGHT },
							{ "name", "NAME", TABLE_LEFT },
							{ "entries", "ENTRIES", TABLE_RIGHT } };
	struct report report;
	report_init(&report, columns, 3, call_format(call), call_colours(call), call_body(call));
	while (!str_empty(listing)) {
		struct str line = str_cut(&listing, '\n'), id, name;
		if (!parse_map_line(line, &id, &name))
			continue;
		static const char mark[] = "entry_cnt=";
		const char *at = memmem(line.p, line.n, mark, sizeof(mark) - 1);
		struct str entries = at ? str_sub(line, (size_t)(at - line.p) + sizeof(mark) - 1,
						  line.n) :
					  STR("-");
		report_row(&report);
		report_str(&report, id, TABLE_PLAIN);
		report_str(&report, name, TABLE_PLAIN);
		report_str(&report, str_trim(entries), TABLE_PLAIN);
	}
	report_finish(&report, "HAProxy has no maps.");
	call_done(call, CALL_OK);
}

static void on_map_list(void *user, struct str reply, const struct error *err)
{
	struct call *call = user;
	struct str wanted;
	if (err) {
		call_fail(call, CALL_FAILED, "%s", err->text);
		return;
	}
	if (!call_arg(call, "arg", 0, &wanted)) {
		list_maps(call, reply);
		return;
	}
	while (!str_empty(reply)) {
		struct str id, name;
		if (!parse_map_line(str_cut(&reply, '\n'), &id, &name) || !same_map(name, wanted))
			continue;
		struct str command = arena_strf(call_arena(call), "show map #" STR_FMT, STR_ARG(id));
		engine_command(call_app(call)->engine, command, on_map, call);
		return;
	}
	call_fail(call, CALL_NOT_FOUND, "HAProxy has no map \"" STR_FMT "\": see tidectl maps",
		  STR_ARG(wanted));
}

void answer_maps(struct call *call)
{
	if (need_engine(call))
		engine_command(call_app(call)->engine, STR("show map"), on_map_list, call);
}

/* ---- backends ---- */

enum { MAX_STAT_FIELDS = 128 };

/* Columns of `show stat`, by their names in the first line. */
enum stat_column { STAT_PXNAME = 0, STAT_SVNAME, STAT_STATUS, STAT_WEIGHT, STAT_ADDR, STAT_SCUR,
		   STAT_STOT, STAT_COLUMN_COUNT };
static const char *const stat_names[STAT_COLUMN_COUNT] = { "pxname", "svname", "status", "weight",
							   "addr",   "scur",   "stot" };

struct stat_layout {
	size_t at[STAT_COLUMN_COUNT]; /* SIZE_MAX: not there */
};

static struct stat_layout read_layout(struct str line)
{
	struct stat_layout layout;
	memset(layout.at, 0xff, sizeof(layout.at));
	if (str_starts(line, STR("# ")))
		line = str_sub(line, 2, line.n);
	for (size_t i = 0; !str_empty(line) && i < MAX_STAT_FIELDS; i++) {
		struct str name = str_cut(&line, ',');
		for (size_t c = 0; c < STAT_COLUMN_COUNT; c++) {
			if (str_is(name, stat_names[c]))
				layout.at[c] = i;
		}
	}
	return layout;
}

static void read_fields(const struct stat_layout *layout, struct str line,
			struct str ret[STAT_COLUMN_COUNT])
{
	memset(ret, 0, STAT_COLUMN_COUNT * sizeof(ret[0]));
	for (size_t i = 0; !str_empty(line) && i < MAX_STAT_FIELDS; i++) {
		struct str field = str_cut(&line, ',');
		for (size_t c = 0; c < STAT_COLUMN_COUNT; c++) {
			if (layout->at[c] == i)
				ret[c] = field;
		}
	}
}

/* Fields of HAProxy's servers, keyed "backend/server" as in the plan. */
struct live_server {
	struct str fields[STAT_COLUMN_COUNT];
};

static struct map *read_servers(const struct app *app, struct arena *arena, struct str csv)
{
	struct map *servers = map_new();
	struct stat_layout layout = read_layout(str_cut(&csv, '\n'));
	while (!str_empty(csv)) {
		struct live_server *server = arena_alloc(arena, sizeof(*server));
		read_fields(&layout, str_cut(&csv, '\n'), server->fields);
		if (str_empty(server->fields[STAT_SVNAME]))
			continue;
		struct str backend = engine_backend_of(app->engine, server->fields[STAT_PXNAME]);
		struct str key = arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(backend),
					    STR_ARG(server->fields[STAT_SVNAME]));
		map_put(servers, key, server);
	}
	return servers;
}

static enum table_colour state_colour(struct str status)
{
	if (str_starts(status, STR("UP")) || str_is(status, "no check"))
		return TABLE_GREEN;
	if (str_starts(status, STR("DOWN")) || str_is(status, "missing"))
		return TABLE_RED;
	return TABLE_YELLOW;
}

static const char *server_override_state(const struct app *app, struct str backend,
					 struct str server)
{
	size_t count;
	const struct server_override *overrides = overrides_servers(app->overrides, &count);
	for (size_t i = 0; i < count; i++) {
		if (str_is(backend, overrides[i].backend) &&
		    (!overrides[i].server[0] || str_is(server, overrides[i].server)))
			return overrides[i].state;
	}
	return "";
}

static void report_server(struct report *report, const struct app *app, struct str backend,
			  const struct plan_entry *entry, const struct live_server *live)
{
	struct str server = str_sub(entry->key, backend.n + 1, entry->key.n);
	struct str rest = entry->value;
	struct str address = str_cut(&rest, ' ');
	report_row(report);
	report_str(report, backend, TABLE_PLAIN);
	report_str(report, server, TABLE_PLAIN);
	report_str(report, address, TABLE_PLAIN);
	report_str(report, rest, TABLE_PLAIN);
	struct str status = live ? live->fields[STAT_STATUS] : STR("missing");
	report_str(report, status, state_colour(status));
	report_cstr(report, server_override_state(app, backend, server));
	report_str(report, live ? live->fields[STAT_SCUR] : STR_NONE, TABLE_PLAIN);
	report_str(report, live ? live->fields[STAT_STOT] : STR_NONE, TABLE_PLAIN);
}

static void report_empty_backend(struct report *report, struct str backend)
{
	report_row(report);
	report_str(report, backend, TABLE_PLAIN);
	for (int i = 0; i < 3; i++)
		report_str(report, STR_NONE, TABLE_PLAIN);
	report_str(report, STR("no servers: 503"), TABLE_RED);
	for (int i = 0; i < 3; i++)
		report_str(report, STR_NONE, TABLE_PLAIN);
}

/* Index of the first server of a backend: the keys "BACKEND/..." stand together. */
static size_t first_server(const struct plan_entry *servers, size_t count, struct str backend)
{
	size_t from = 0, to = count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		struct str key = servers[middle].key;
		int cmp = str_cmp(str_sub(key, 0, backend.n), backend);
		if (cmp < 0 || (cmp == 0 && (key.n == backend.n || key.p[backend.n] < '/')))
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void report_backends(struct report *report, const struct app *app, struct map *live)
{
	size_t backend_count, server_count;
	const struct plan *plan = engine_plan(app->engine);
	const struct plan_entry *backends = plan_table(plan, PLAN_BACKEND, &backend_count);
	const struct plan_entry *servers = plan_table(plan, PLAN_SERVER, &server_count);
	for (size_t i = 0; i < backend_count; i++) {
		struct str name = backends[i].key;
		size_t first = first_server(servers, server_count, name), at = first;
		for (; at < server_count; at++) {
			struct str key = servers[at].key;
			if (!str_eq(str_sub(key, 0, str_chr(key, '/', 0)), name))
				break;
			report_server(report, app, name, &servers[at], map_get(live, key));
		}
		if (at == first)
			report_empty_backend(report, name);
	}
}

static void on_stat(void *user, struct str reply, const struct error *err)
{
	static const struct report_column columns[] = {
		{ "backend", "BACKEND", TABLE_LEFT },	{ "server", "SERVER", TABLE_LEFT },
		{ "address", "ADDRESS", TABLE_LEFT },	{ "weight", "WEIGHT", TABLE_RIGHT },
		{ "state", "STATE", TABLE_LEFT },	{ "override", "OVERRIDE", TABLE_LEFT },
		{ "sessions", "CURRENT", TABLE_RIGHT }, { "total", "TOTAL", TABLE_RIGHT },
	};
	struct call *call = user;
	if (err) {
		call_fail(call, CALL_FAILED, "%s", err->text);
		return;
	}
	struct map *live = read_servers(call_app(call), call_arena(call), reply);
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), call_format(call),
		    call_colours(call), call_body(call));
	report_backends(&report, call_app(call), live);
	report_finish(&report, "No backends.");
	map_free(live, NULL);
	call_done(call, CALL_OK);
}

void answer_backends(struct call *call)
{
	/* Type 4: servers. */
	if (need_engine(call))
		engine_command(call_app(call)->engine, STR("show stat -1 4 -1"), on_stat, call);
}

/* ---- drain ---- */

static const char *wanted_state(const struct call *call)
{
	if (!str_empty(call_first(call, "ready")))
		return "ready";
	return str_empty(call_first(call, "maint")) ? "drain" : "maint";
}

void answer_drain(struct call *call)
{
	struct app *app = call_app(call);
	struct str target;
	struct error err;
	if (!need_engine(call))
		return;
	if (!call_arg(call, "arg", 0, &target)) {
		call_fail(call, CALL_BAD, "drain needs BACKEND or BACKEND/SERVER");
		return;
	}
	struct str server = target;
	struct str backend = str_cut(&server, '/');
	const char *state = wanted_state(call);
	if (!plan_find(engine_plan(app->engine), PLAN_BACKEND, backend)) {
		call_fail(call, CALL_NOT_FOUND, "there is no backend \"" STR_FMT
						"\": see tidectl backends", STR_ARG(backend));
		return;
	}
	if (!str_empty(server) && !plan_find(engine_plan(app->engine), PLAN_SERVER, target)) {
		call_fail(call, CALL_NOT_FOUND, "backend " STR_FMT " has no server \"" STR_FMT
						"\": see tidectl backends",
			  STR_ARG(backend), STR_ARG(server));
		return;
	}
	if (!engine_override_server(app->engine, backend, server, state, &err) ||
	    !overrides_set_server(app->overrides, backend, server, str_of(state), &err) ||
	    !overrides_save(app->overrides, &err)) {
		call_fail(call, CALL_FAILED, "%s", err.text);
		return;
	}
	log_info("tidectl: " STR_FMT " is set to %s", STR_ARG(target), state);
	sb_addf(call_body(call), STR_FMT ": %s\n", STR_ARG(target), state);
	call_done(call, CALL_OK);
}
