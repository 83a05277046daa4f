/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests all the way: YAML or JSON -> objects -> views -> plan -> what HAProxy would get.
 *
 * An input has one or more versions of a file. Each is compiled on top of the one before, and
 * the incremental result is compared with that of a compiler that sees it for the first time.
 * Requests for the keys of the plan end where explain() says. What manifests say must not reach
 * a map line or a name in the configuration as anything but one word, or one rest of a line. */
#include <assert.h>

#include "fuzz.h"
#include "haproxy/render.h"
#include "match/compiled.h"
#include "model/limits.h"
#include "plan/compile.h"
#include "resolve/explain.h"
#include "source/catalog.h"
#include "tests/plan/apply.h"
#include "tests/plan/walk.h"

enum { MAX_TEXT_BYTES = 1 << 26, MAX_ASKED = 16, MAX_SATISFIED = 32 };

struct world {
	struct store *store;
	struct compiler *compiler;
	struct catalog *catalog;
	struct str text; /* of the file now */
};

/* ---- the source's side ---- */

static void put(void *user, struct object *object)
{
	struct world *world = user;
	enum kind kind = object->kind;
	struct meta meta = object->meta;
	store_put(world->store, object);
	compiler_mark(world->compiler, kind, meta.ns, meta.name);
}

static void take_away(void *user, enum kind kind, struct str ns, struct str name)
{
	struct world *world = user;
	compiler_mark(world->compiler, kind, ns, name);
	assert(store_delete(world->store, kind, ns, name));
}

static char *read_file(void *user, const char *path, size_t *ret_len)
{
	const struct world *world = user;
	(void)path;
	*ret_len = world->text.n;
	return xstrndup(world->text.p, world->text.n);
}

static bool lookup(void *user, struct str host, struct name_addresses *ret_addresses)
{
	static const struct str addresses[] = { STR_INIT("192.0.2.1"), STR_INIT("2001:db8::1") };
	(void)user;
	*ret_addresses = (struct name_addresses){ addresses, 2 };
	return host.n % 2 == 0; /* some names are not known yet */
}

static const struct compile_options options = {
	.resolve = { .now_s = INT64_C(1800000000) },
	.lookup = lookup,
};

/* ---- what must hold ---- */

static void check_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		assert(s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t' && s.p[i] != '\0');
}

/* Names of HAProxy's: nothing that ends a word, a section or a command. */
static void check_name(struct str s)
{
	assert(s.n > 0);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		assert((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		       (c >= '0' && c <= '9') || strchr("._:/-[],*", c));
	}
}

static void check_entry(const struct plan_entry *entry)
{
	struct str rest = entry->key;
	check_line(entry->key);
	check_line(entry->value);
	assert(entry->key.n + entry->value.n <= MAX_MAP_LINE_BYTES);
	switch (entry->table) {
	case PLAN_FRONTEND:
	case PLAN_SERVER:
		check_name(entry->key);
		rest = entry->value;
		while (rest.n)
			check_name(str_cut(&rest, ' '));
		break;
	case PLAN_LISTENER:
	case PLAN_SNI:
	case PLAN_WILDCARD:
		while (rest.n)
			check_name(str_cut(&rest, ' '));
		break;
	case PLAN_BACKEND:
	case PLAN_CERTIFICATE:
	case PLAN_DEFAULT_CERT:
		check_name(entry->key);
		check_name(entry->value);
		break;
	default:
		assert(entry->value.n > 0 || entry->table == PLAN_HEADER);
		break;
	}
}

static void check_lines(const struct image_map *map)
{
	struct sb sb;
	sb_init(&sb, MAX_TEXT_BYTES);
	image_print(map, &sb);
	struct str text = sb_str(&sb);
	size_t lines = 0;
	for (; text.n; lines++) {
		struct str line = str_cut(&text, '\n'), key = str_cut(&line, ' ');
		assert(key.n > 0 && key.p[0] != '#' && line.n > 0);
	}
	assert(lines == map->count);
	sb_fini(&sb);
}

static void check_haproxy(const struct plan *plan, const char *version)
{
	static const struct render_options render = { .log_target = "stdout", .access_log = true };
	struct haproxy_caps caps;
	assert(caps_parse(str_of(version), &caps, NULL));
	struct state *state = state_new(&caps, "/run/tidegate");
	struct sb sb;
	sb_init(&sb, MAX_TEXT_BYTES);
	state_load(state, plan);
	state_settle(state);
	render_cfg(state, &render, &sb);
	assert(sb_ok(&sb, NULL));
	struct image *image = image_new(state, STR_NONE);
	for (size_t i = 0; i < image->count; i++)
		check_lines(&image->maps[i]);
	image_free(image);
	sb_fini(&sb);
	state_free(state);
}

static void check_same(const struct plan *a, const struct plan *b)
{
	struct changes *changes = plan_diff(a, b);
	assert(changes->count == 0);
	changes_free(changes);
}

static void check_plan(const struct plan *plan)
{
	struct sb sb;
	sb_init(&sb, MAX_TEXT_BYTES);
	plan_print(plan, &sb);
	for (size_t i = 0; i < plan->count; i++)
		check_entry(&plan->entries[i]);
	struct plan *parsed = plan_parse(sb_str(&sb), NULL);
	assert(parsed);
	check_same(plan, parsed);
	plan_free(parsed);
	sb_fini(&sb);
	check_haproxy(plan, "2.6.12");
	check_haproxy(plan, "3.4.0");
}

/* ---- requests ---- */

/* "*.example.com" is asked as "a.b.example.com", "*" as a host that nobody names. */
static struct str host_of(struct arena *arena, struct str pattern)
{
	if (str_is(pattern, "*"))
		return STR("nobody.test");
	if (!str_starts(pattern, STR("*.")))
		return pattern;
	return arena_strf(arena, "a.b" STR_FMT, STR_ARG(str_sub(pattern, 1, pattern.n)));
}

static bool has_header(const struct request *request, struct str name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (str_eq_nocase(request->headers[i].name, name))
			return true;
	}
	return false;
}

/* What the entries of the list that the verdict may point at ask for, as far as they agree: so
 * their order decides. */
static void satisfy(const struct plan *plan, struct arena *arena, struct str verdict,
		    struct request *request)
{
	if (verdict.p[0] == '~')
		verdict = plan_longest_prefix(plan, PLAN_METHOD,
					      arena_strf(arena, STR_FMT "/" STR_FMT "/",
							 STR_ARG(verdict),
							 STR_ARG(request->method)))->value;
	const struct plan_entry *entry = plan_find(plan, PLAN_LIST, verdict);
	struct list *list = entry ? list_compile(entry->value, NULL) : NULL;
	for (size_t i = 0; list && i < list->cond_count && i < MAX_SATISFIED; i++) {
		const struct compiled_cond *cond = &list->conds[i];
		struct str name = arena_str(arena, cond->name);
		struct str value = arena_str(arena, cond->value);
		if (cond->subject == LIST_HEADER && !has_header(request, name))
			request->headers[request->header_count++] =
				(struct request_header){ name, value };
		else if (cond->subject == LIST_QUERY)
			request->query = arena_strf(arena, STR_FMT "&" STR_FMT "=" STR_FMT,
						    STR_ARG(request->query), STR_ARG(name),
						    STR_ARG(value));
	}
	list_free(list);
}

static int end_status(const struct end *end)
{
	struct str fields = end->record ? end->record->value : STR_NONE, field = STR_NONE;
	uint64_t status = (uint64_t)end->status;
	for (int i = 0; str_is(end->target, "http-redirect") && i < 7; i++)
		field = str_cut(&fields, '|');
	if (field.n)
		assert(str_u64(field, 399, &status));
	else if (end->record && str_starts(end->target, STR("http-")))
		assert(str_u64(str_sub(end->target, 5, end->target.n), 599, &status));
	return (int)status;
}

/* The plan and explain() send it to the same rule; only the plan has limits. */
static void check_request(const struct explain_world *world, const struct plan *plan,
			  const struct explain_request *request, bool has_limits)
{
	struct arena *arena = arena_new();
	struct sb sb;
	sb_init(&sb, MAX_TEXT_BYTES);
	struct explain_result *want = explain(world, request);
	struct end got = plan_walk(plan, arena, request->frontend, request->host,
				   &request->request, request->host.n % 2);
	int status = end_status(&got), wanted = want->outcome.status;
	bool excused = wanted == 421 || (status == 500 && has_limits) ||
		       (status == 0 && wanted == 503); /* no servers */
	explain_print(want, &sb);
	assert(sb.len > 0);
	assert(excused || (status == wanted &&
			   str_eq(str_is(got.rule, "-") ? STR_NONE : got.rule, want->outcome.rule)));
	explain_free(want);
	sb_fini(&sb);
	arena_free(arena);
}

static bool reports_limits(const struct compiler *compiler)
{
	struct arena *arena = arena_new();
	struct findings findings;
	bool found = false;
	findings_init(&findings, arena);
	compiler_findings(compiler, &findings);
	for (size_t i = 0; i < findings.count; i++)
		found = found || str_is(findings.items[i].reason, "DecisionListTooLong") ||
			str_is(findings.items[i].reason, "FilterTooLong");
	arena_free(arena);
	return found;
}

/* Requests for the first keys of the plan, without and with what their lists ask for. */
static void check_requests(const struct compiler *compiler, const struct plan *plan)
{
	struct explain_world world = { .gateways = compiler_gateways(compiler),
				       .lookup = lookup };
	world.routes = compiler_routes(compiler, &world.route_count);
	bool has_limits = reports_limits(compiler);
	size_t count;
	const struct plan_entry *entries = plan_table(plan, PLAN_ROUTE, &count);
	for (size_t i = 0; i < count && i < MAX_ASKED; i++) {
		struct arena *arena = arena_new();
		struct explain_request *request = arena_alloc(arena, sizeof(*request));
		struct str rest = entries[i].key;
		request->frontend = str_cut(&rest, ' ');
		request->https = str_starts(
			plan_find(plan, PLAN_FRONTEND, request->frontend)->value, STR("https"));
		size_t slash = str_chr(rest, '/', 0);
		request->host = host_of(arena, str_sub(rest, 0, slash));
		request->request.path = str_sub(rest, slash, str_chr(rest, '?', 0));
		request->request.method = i % 2 ? STR("POST") : STR("GET");
		check_request(&world, plan, request, has_limits);
		satisfy(plan, arena, entries[i].value, &request->request);
		check_request(&world, plan, request, has_limits);
		arena_free(arena);
	}
}

static void check_findings(const struct world *world)
{
	struct arena *arena = arena_new();
	struct findings findings;
	findings_init(&findings, arena);
	catalog_findings(world->catalog, &findings);
	compiler_findings(world->compiler, &findings);
	for (size_t i = 0; i < findings.count; i++)
		assert(findings.items[i].reason.n && findings.items[i].text.n);
	arena_free(arena);
}

/* Names that are looked up again without news change nothing. */
static void check_hosts(struct compiler *compiler)
{
	struct arena *arena = arena_new();
	size_t count;
	const struct str *hosts = compiler_hosts(compiler, arena, &count);
	for (size_t i = 0; i < count; i++)
		compiler_mark_host(compiler, hosts[i]);
	struct changes *changes = compile_pass(compiler, &options);
	assert(changes->count == 0);
	changes_free(changes);
	arena_free(arena);
}

static struct plan *compile_fresh(const struct store *store)
{
	struct compiler *compiler = compiler_new(store);
	compiler_mark_all(compiler);
	changes_free(compile_pass(compiler, &options));
	struct plan *plan = compiler_plan(compiler);
	compiler_free(compiler);
	return plan;
}

/* The next version of the file; `before` is the plan so far (freed). Returns the new one. */
static struct plan *take_version(struct world *world, struct str text, struct plan *before)
{
	struct error err = { 0 };
	if (!catalog_set(world->catalog, "fuzz.yaml", text, &err)) {
		assert(err.code != ERR_NONE && err.text[0]);
		return before;
	}
	world->text = text;
	catalog_flush(world->catalog);
	struct changes *changes = compile_pass(world->compiler, &options);
	store_reap(world->store);
	struct plan *after = compiler_plan(world->compiler);
	struct plan *applied = plan_apply(before, changes), *fresh = compile_fresh(world->store);
	check_same(applied, after);
	check_same(fresh, after);
	check_plan(after);
	check_requests(world->compiler, after);
	check_findings(world);
	check_hosts(world->compiler);
	plan_free(fresh);
	plan_free(applied);
	changes_free(changes);
	plan_free(before);
	return after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = { .store = store_new() };
	const struct catalog_ops ops = { &world, put, take_away, read_file };
	world.compiler = compiler_new(world.store);
	world.catalog = catalog_new(&ops);
	struct str rest = fuzz_input(data, size);
	struct plan *plan = compiler_plan(world.compiler);
	do {
		plan = take_version(&world, fuzz_part(&rest), plan);
	} while (rest.n);
	plan_free(plan);
	catalog_free(world.catalog);
	compiler_free(world.compiler);
	store_free(world.store);
	return 0;
}
