/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#include <assert.h>

#include "match/list.h"

enum { MAX_HOPS = 12 };

const struct plan_entry *plan_longest_prefix(const struct plan *plan, enum plan_table table,
					     struct str key)
{
	for (;; key.n--) {
		const struct plan_entry *entry = plan_find(plan, table, key);
		if (entry || key.n == 0)
			return entry;
	}
}

static struct str joined(struct arena *arena, struct str frontend, struct str host, struct str path)
{
	return arena_strf(arena, STR_FMT " " STR_FMT STR_FMT "/?", STR_ARG(frontend),
			  STR_ARG(host), STR_ARG(path));
}

/* The verdict of routes.map: the host itself, then one label off at a time, then "*". */
static const struct plan_entry *find_route(const struct plan *plan, struct arena *arena,
					   struct str frontend, struct str host, struct str path)
{
	const struct plan_entry *entry =
		plan_longest_prefix(plan, PLAN_ROUTE, joined(arena, frontend, host, path));
	struct str suffix = host;
	while (!entry && suffix.n) {
		str_cut(&suffix, '.');
		const struct plan_entry *wildcard =
			plan_find(plan, PLAN_WILDCARD,
				  arena_strf(arena, STR_FMT " " STR_FMT, STR_ARG(frontend),
					     STR_ARG(suffix)));
		if (wildcard)
			entry = plan_longest_prefix(plan, PLAN_ROUTE,
						    joined(arena, frontend, wildcard->value, path));
	}
	if (entry)
		return entry;
	return plan_longest_prefix(plan, PLAN_ROUTE, joined(arena, frontend, STR("*"), path));
}

static struct str ask_agent(const struct plan *plan, struct arena *arena, struct str id,
			    const struct request *request)
{
	const struct plan_entry *entry = plan_find(plan, PLAN_LIST, id);
	assert(entry);
	struct list *list = list_compile(entry->value, NULL);
	assert(list);
	struct str verdict = arena_str(arena, list_decide(list, request).verdict);
	list_free(list);
	return verdict;
}

/* What a header alone decides; a header sent twice is left to the agent. */
static struct str ask_switch(const struct plan *plan, struct arena *arena, struct str id,
			     const struct request *request)
{
	const struct plan_entry *entry = plan_find(plan, PLAN_SWITCH, id);
	if (!entry)
		return id;
	struct str verdict = entry->value, name = str_cut(&verdict, ' '), value = STR_NONE;
	size_t found = 0;
	for (size_t i = 0; i < request->header_count; i++) {
		if (str_eq_nocase(request->headers[i].name, name) && ++found)
			value = request->headers[i].value;
	}
	if (found > 1)
		return id;
	entry = plan_find(plan, PLAN_SWITCH, arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(id),
							STR_ARG(value)));
	return entry ? entry->value : verdict;
}

static struct str ask_methods(const struct plan *plan, struct arena *arena, struct str id,
			      const struct request *request)
{
	struct str key =
		arena_strf(arena, STR_FMT "/" STR_FMT "/", STR_ARG(id), STR_ARG(request->method));
	const struct plan_entry *entry = plan_longest_prefix(plan, PLAN_METHOD, key);
	assert(entry);
	return entry->value;
}

static struct end end_of(const struct plan *plan, struct str verdict)
{
	if (verdict.p[0] == '@') {
		const struct plan_entry *record = plan_find(plan, PLAN_RULE, verdict);
		assert(record);
		struct str rest = record->value, target = str_cut(&rest, '|');
		struct str rule = str_sub(verdict, 1, verdict.n);
		return (struct end){ .rule = rule, .target = target, .record = record };
	}
	struct str rule = verdict, target = str_cut(&rule, ' ');
	struct end end = { .rule = rule, .target = target };
	if (str_starts(target, STR("http-")))
		end.status = (int)strtol(target.p + 5, NULL, 10);
	return end;
}

struct end plan_walk(const struct plan *plan, struct arena *arena, struct str frontend,
		     struct str host, const struct request *request, bool asks_first)
{
	const struct plan_entry *entry = find_route(plan, arena, frontend, host, request->path);
	if (!entry)
		return (struct end){ .status = 404 };
	struct str verdict = entry->value;
	for (int hops = 0; hops < MAX_HOPS; hops++) {
		if (verdict.p[0] == '?' && !asks_first)
			verdict = ask_switch(plan, arena, verdict, request), asks_first = true;
		else if (verdict.p[0] == '?')
			verdict = ask_agent(plan, arena, verdict, request);
		else if (verdict.p[0] == '~')
			verdict = ask_methods(plan, arena, verdict, request);
		else
			return end_of(plan, verdict);
	}
	assert(false && "no end");
	return (struct end){ .status = 500 };
}
