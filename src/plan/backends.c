/* SPDX-License-Identifier: Apache-2.0 */
/* Backend units, grouped by the Service or Backend object behind them: the ports of one
 * Service are marked together. */
#include <assert.h>

#include "base/map.h"
#include "plan/units.h"

struct backend_unit {
	struct backend_unit *next; /* other ports of the same object */
	struct entry_list entries;
	struct findings *findings;
	uint32_t refs;
	bool dirty;
	uint16_t name_len;
	char name[];
};

struct backends {
	struct entry_set *set;
	struct map *groups; /* "ns.name" -> first unit */
	struct backend_unit **dirty;
	size_t dirty_count, dirty_capacity;
	bool hosts_changed;
};

struct backends *backends_new(struct entry_set *set)
{
	struct backends *backends = xcalloc(1, sizeof(*backends));
	backends->set = set;
	backends->groups = map_new();
	return backends;
}

static void group_free(void *value)
{
	for (struct backend_unit *unit = value, *next; unit; unit = next) {
		next = unit->next;
		findings_drop(&unit->findings);
		free(unit->entries.items);
		free(unit);
	}
}

void backends_free(struct backends *backends)
{
	if (!backends)
		return;
	map_free(backends->groups, group_free);
	free(backends->dirty);
	free(backends);
}

static struct str unit_name(const struct backend_unit *unit)
{
	return (struct str){ unit->name, unit->name_len };
}

/* A backend's name without its port and what is behind it. */
static struct str group_key(struct str name)
{
	size_t port = str_behind_last(name, '.');
	return str_sub(name, 0, port ? port - 1 : name.n);
}

static void unit_mark(struct backends *backends, struct backend_unit *unit)
{
	if (unit->dirty)
		return;
	unit->dirty = true;
	/* The name of a Backend has a colon: only these have DNS names. */
	backends->hosts_changed |= str_chr(unit_name(unit), ':', 0) < unit->name_len;
	backends->dirty = grow(backends->dirty, backends->dirty_count, &backends->dirty_capacity,
			       sizeof(struct backend_unit *));
	backends->dirty[backends->dirty_count++] = unit;
}

static void group_mark(struct backends *backends, struct backend_unit *first)
{
	for (struct backend_unit *unit = first; unit; unit = unit->next)
		unit_mark(backends, unit);
}

struct backend_unit *backends_ref(struct backends *backends, struct str name)
{
	struct backend_unit *first = map_get(backends->groups, group_key(name)), *unit = first;
	while (unit && !str_eq(unit_name(unit), name))
		unit = unit->next;
	if (!unit) {
		assert(name.n <= UINT16_MAX);
		unit = xcalloc(1, sizeof(*unit) + name.n + 1);
		memcpy(unit->name, name.p, name.n);
		unit->name_len = (uint16_t)name.n;
		unit->next = first;
		map_put(backends->groups, group_key(name), unit);
		unit_mark(backends, unit);
	}
	unit->refs++;
	return unit;
}

void backends_unref(struct backends *backends, struct backend_unit *unit)
{
	assert(unit->refs > 0);
	if (--unit->refs == 0)
		unit_mark(backends, unit);
}

void backends_mark(struct backends *backends, enum kind kind, struct str ns, struct str name)
{
	struct arena *scratch = arena_new();
	const struct backend_id id = { .kind = kind, .ns = ns, .name = name };
	struct str key = group_key(backend_name(scratch, &id));
	group_mark(backends, map_get(backends->groups, key));
	arena_free(scratch);
}

void backends_mark_all(struct backends *backends)
{
	for (struct map_entry *at = map_first(backends->groups); at; at = map_next(at))
		group_mark(backends, map_value(at));
}

/* The Backend object behind a group; NULL for Services. */
static const struct object *group_object(const struct store *store,
					 const struct backend_unit *unit)
{
	struct backend_id id;
	if (!backend_name_parse(unit_name(unit), &id) || id.kind != KIND_BACKEND)
		return NULL;
	return store_get(store, id.kind, id.ns, id.name);
}

void backends_mark_host(struct backends *backends, const struct store *store, struct str host)
{
	for (struct map_entry *at = map_first(backends->groups); at; at = map_next(at)) {
		const struct object *object = group_object(store, map_value(at));
		for (size_t i = 0; object && i < object->backend.address_count; i++) {
			const struct backend_address *address = &object->backend.addresses[i];
			if (address->is_name && str_eq(address->host, host))
				group_mark(backends, map_value(at));
		}
	}
}

/* ---- remaking ---- */

static void unit_delete(struct backends *backends, struct backend_unit *unit)
{
	struct str key = group_key(unit_name(unit));
	struct backend_unit *first = map_get(backends->groups, key);
	entry_list_release(backends->set, &unit->entries);
	findings_drop(&unit->findings);
	if (first != unit) {
		while (first->next != unit)
			first = first->next;
		first->next = unit->next;
	} else if (unit->next) {
		map_put(backends->groups, key, unit->next);
	} else {
		map_del(backends->groups, key);
	}
	free(unit);
}

static void server_emit(struct emit *emit, struct str backend, const struct server_view *server)
{
	bool v6 = str_chr(server->address, ':', 0) < server->address.n;
	emit_fitting(emit, PLAN_SERVER,
		     arena_strf(emit->scratch, STR_FMT "/" STR_FMT, STR_ARG(backend),
				STR_ARG(server->name)),
		     arena_strf(emit->scratch, v6 ? "[" STR_FMT "]:%u %u" : STR_FMT ":%u %u",
				STR_ARG(server->address), server->port, server->weight));
}

static void unit_remake(struct backends *backends, struct backend_unit *unit,
			const struct store *store, const struct compile_options *options)
{
	struct backend_id id;
	bool known = backend_name_parse(unit_name(unit), &id);
	assert(known);
	(void)known;
	struct backend_view *view =
		backend_resolve(store, &id, options->lookup, options->lookup_user);
	struct emit emit;
	emit_begin(&emit, backends->set);
	emit_fitting(&emit, PLAN_BACKEND, unit_name(unit),
		     view && view->h2c ? STR("h2c") : STR("h1"));
	for (size_t i = 0; view && i < view->server_count; i++)
		server_emit(&emit, unit_name(unit), &view->servers[i]);
	findings_append(&emit.findings, view ? &view->findings : NULL);
	emit_end(&emit, &unit->entries, &unit->findings);
	backend_view_free(view);
}

void backends_remake(struct backends *backends, const struct store *store,
		     const struct compile_options *options)
{
	for (size_t i = 0; i < backends->dirty_count; i++) {
		struct backend_unit *unit = backends->dirty[i];
		unit->dirty = false;
		if (unit->refs)
			unit_remake(backends, unit, store, options);
		else
			unit_delete(backends, unit);
	}
	free(backends->dirty);
	backends->dirty = NULL;
	backends->dirty_count = backends->dirty_capacity = 0;
}

/* ---- questions ---- */

void backends_findings(const struct backends *backends, struct findings *findings)
{
	for (struct map_entry *at = map_first(backends->groups); at; at = map_next(at)) {
		for (const struct backend_unit *unit = map_value(at); unit; unit = unit->next)
			findings_append(findings, unit->findings);
	}
}

bool backends_hosts_changed(struct backends *backends)
{
	bool changed = backends->hosts_changed;
	backends->hosts_changed = false;
	return changed;
}

struct str *backends_hosts(const struct backends *backends, const struct store *store,
			   struct arena *arena, size_t *ret_count)
{
	struct map *names = map_new();
	for (struct map_entry *at = map_first(backends->groups); at; at = map_next(at)) {
		const struct object *object = group_object(store, map_value(at));
		for (size_t i = 0; object && i < object->backend.address_count; i++) {
			if (object->backend.addresses[i].is_name)
				map_put(names, object->backend.addresses[i].host, names);
		}
	}
	struct map_entry **sorted = map_sorted(names);
	struct str *hosts = arena_array(arena, map_count(names), sizeof(*hosts));
	*ret_count = map_count(names);
	for (size_t i = 0; i < *ret_count; i++)
		hosts[i] = arena_str(arena, map_key(sorted[i]));
	free(sorted);
	map_free(names, NULL);
	return hosts;
}
