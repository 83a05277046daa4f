/* SPDX-License-Identifier: Apache-2.0 */
/* The passes: from marks to changes.
 *
 *     marks ──► gateways (all or nothing) ──► routes ──► backends, virtual hosts ──► commit
 *
 * Routes are kept sorted in an array. A Service's change looks for its routes by walking all
 * of them once a pass: cheaper in memory than an index, and EndpointSlices, which change most,
 * never need it. */
#include "plan/compile.h"

#include <assert.h>

#include "base/map.h"
#include "plan/gateway.h"
#include "plan/rule.h"
#include "plan/units.h"

enum {
	KEY_BYTES = 640,        /* a kind, a namespace and a name */
	MANY_ROUTES = 256,      /* from here on one merge is cheaper than insertions */
	MAX_COMPILED_RULES = 64 /* bits of route_unit.failed_rules; the schema says 16 */
};

struct compiler {
	const struct store *store;
	struct entry_set *set;
	struct backends *backends;
	struct hosts *hosts;

	struct gateways_view *gateways; /* NULL before the first pass */
	struct entry_list gateway_entries;
	struct findings *gateway_findings;

	struct route_unit **routes; /* by kind, namespace, name */
	const struct route_view **views; /* of the same index */
	size_t route_count, route_capacity;
	struct compile_news news; /* but for `made` */
	const struct route_view **made;
	size_t made_capacity;
	struct map *slices; /* kind_key() of an EndpointSlice -> its Service's name */

	/* Marks. Values of the maps mean nothing. */
	bool all_dirty, gateways_dirty, needs_changed;
	struct map *dirty_routes, *dirty_needs; /* "kind/ns/name" */
};

struct compiler *compiler_new(const struct store *store)
{
	struct compiler *compiler = xcalloc(1, sizeof(*compiler));
	compiler->store = store;
	compiler->set = entry_set_new();
	compiler->backends = backends_new(compiler->set);
	compiler->hosts = hosts_new(compiler->set);
	compiler->slices = map_new();
	compiler->dirty_routes = map_new();
	compiler->dirty_needs = map_new();
	compiler->all_dirty = true;
	return compiler;
}

/* Without its entries: either they are released already, or the whole set goes. */
static void route_unit_free(struct route_unit *unit)
{
	findings_drop(&unit->findings);
	route_view_free(unit->view);
	free(unit->entries.items);
	free(unit->backends);
	free(unit);
}

void compiler_free(struct compiler *compiler)
{
	if (!compiler)
		return;
	for (size_t i = 0; i < compiler->route_count; i++)
		route_unit_free(compiler->routes[i]);
	free(compiler->routes);
	free(compiler->views);
	free(compiler->made);
	findings_drop(&compiler->gateway_findings);
	free(compiler->gateway_entries.items);
	gateways_free(compiler->gateways);
	hosts_free(compiler->hosts);
	backends_free(compiler->backends);
	entry_set_free(compiler->set);
	map_free(compiler->slices, free);
	map_free(compiler->dirty_routes, NULL);
	map_free(compiler->dirty_needs, NULL);
	free(compiler);
}

/* ---- marks ---- */

static struct str kind_key(char buffer[KEY_BYTES], enum kind kind, struct str ns, struct str name)
{
	int n = snprintf(buffer, KEY_BYTES, "%d/" STR_FMT "/" STR_FMT, (int)kind, STR_ARG(ns),
			 STR_ARG(name));
	assert(n > 0 && n < KEY_BYTES);
	return (struct str){ buffer, (size_t)n };
}

static void mark_target(struct compiler *compiler, enum kind kind, struct str ns, struct str name)
{
	char buffer[KEY_BYTES];
	map_put(compiler->dirty_needs, kind_key(buffer, kind, ns, name), compiler);
	backends_mark(compiler->backends, kind, ns, name);
}

/* A slice belongs to a Service by its label. A deleted one cannot be asked any more, so its
 * Service is remembered. */
static void mark_slice(struct compiler *compiler, struct str ns, struct str name)
{
	char buffer[KEY_BYTES];
	struct str key = kind_key(buffer, KIND_ENDPOINTSLICE, ns, name);
	const struct object *object = store_get(compiler->store, KIND_ENDPOINTSLICE, ns, name);
	struct str now = object ? object->endpoint_slice.service : STR_NONE;
	char *before = map_get(compiler->slices, key);
	if (before)
		backends_mark(compiler->backends, KIND_SERVICE, ns, str_of(before));
	if (now.n)
		backends_mark(compiler->backends, KIND_SERVICE, ns, now);
	if (now.n && before && str_is(now, before))
		return;
	free(now.n ? map_put(compiler->slices, key, xstrndup(now.p, now.n)) :
		     map_del(compiler->slices, key));
}

static bool secret_used(const struct compiler *compiler, struct str ns, struct str name)
{
	size_t count;
	const struct object *const *gateways = store_list(compiler->store, KIND_GATEWAY, &count);
	for (size_t i = 0; i < count; i++) {
		const struct gateway *gateway = &gateways[i]->gateway;
		for (size_t j = 0; j < gateway->listener_count; j++) {
			const struct listener *listener = &gateway->listeners[j];
			for (size_t k = 0; k < listener->certificate_ref_count; k++) {
				if (str_eq(listener->certificate_refs[k].ns, ns) &&
				    str_eq(listener->certificate_refs[k].name, name))
					return true;
			}
		}
	}
	return false;
}

void compiler_mark(struct compiler *compiler, enum kind kind, struct str ns, struct str name)
{
	char buffer[KEY_BYTES];
	if (compiler->all_dirty) /* nothing to add to that, and a first load is large */
		return;
	switch (kind) {
	case KIND_GATEWAYCLASS:
	case KIND_GATEWAY:
	case KIND_REFERENCEGRANT:
	case KIND_NAMESPACE:
	case KIND_GATEWAYPARAMETERS:
		compiler->gateways_dirty = true;
		return;
	case KIND_SECRET:
		compiler->gateways_dirty |= secret_used(compiler, ns, name);
		return;
	case KIND_HTTPROUTE:
	case KIND_GRPCROUTE:
		map_put(compiler->dirty_routes, kind_key(buffer, kind, ns, name), compiler);
		return;
	case KIND_SERVICE:
		compiler->gateways_dirty |= gateways_use_service(compiler->gateways, ns, name);
		mark_target(compiler, kind, ns, name);
		return;
	case KIND_BACKEND:
		mark_target(compiler, kind, ns, name);
		return;
	case KIND_ENDPOINTSLICE:
		mark_slice(compiler, ns, name);
		return;
	case KIND_CONFIGMAP:
	case KIND_NONE:
	case KIND_COUNT:
		return;
	}
}

void compiler_mark_host(struct compiler *compiler, struct str host)
{
	backends_mark_host(compiler->backends, compiler->store, host);
}

void compiler_mark_all(struct compiler *compiler)
{
	compiler->all_dirty = true;
}

static void marks_clear(struct compiler *compiler)
{
	compiler->all_dirty = compiler->gateways_dirty = false;
	map_free(compiler->dirty_routes, NULL);
	map_free(compiler->dirty_needs, NULL);
	compiler->dirty_routes = map_new();
	compiler->dirty_needs = map_new();
}

/* ---- one route ---- */

static bool route_serves(const struct route_view *view)
{
	for (size_t i = 0; i < view->parent_count; i++) {
		for (size_t j = 0; j < view->parents[i].attachment_count; j++) {
			if (attachment_serves(&view->parents[i].attachments[j]))
				return true;
		}
	}
	return false;
}

static void unit_drop_backends(struct compiler *compiler, struct backend_unit **units,
			       size_t count)
{
	for (size_t i = 0; i < count; i++)
		backends_unref(compiler->backends, units[i]);
	free(units);
}

/* New references are taken before old ones go, so that what stays is not remade. */
static void unit_take_backends(struct compiler *compiler, struct route_unit *unit, bool serves)
{
	struct backend_unit **taken = NULL;
	size_t count = 0, capacity = 0;
	for (size_t i = 0; serves && i < unit->view->rule_count; i++) {
		const struct rule_view *rule = &unit->view->rules[i];
		for (size_t j = 0; j < rule->ref_count; j++) {
			if (rule->refs[j].state != REF_OK)
				continue;
			taken = grow(taken, count, &capacity, sizeof(*taken));
			taken[count++] = backends_ref(compiler->backends, rule->refs[j].backend);
		}
	}
	unit_drop_backends(compiler, unit->backends, unit->backend_count);
	unit->backends = count ? xrealloc(taken, count * sizeof(*taken)) : NULL;
	unit->backend_count = (uint32_t)count;
}

static void unit_compile(struct compiler *compiler, struct route_unit *unit)
{
	struct emit emit;
	bool serves = route_serves(unit->view);
	assert(unit->view->rule_count <= MAX_COMPILED_RULES);
	emit_begin(&emit, compiler->set);
	unit->failed_rules = 0;
	for (size_t i = 0; serves && i < unit->view->rule_count; i++) {
		if (!rule_emit(&emit, unit->view, i))
			unit->failed_rules |= UINT64_C(1) << i;
	}
	emit_end(&emit, &unit->entries, &unit->findings);
	unit_take_backends(compiler, unit, serves);
}

/* `attached`: the old view still is in the virtual hosts. */
static void unit_remake(struct compiler *compiler, struct route_unit *unit,
			const struct object *object, bool attached)
{
	if (unit->view && attached)
		hosts_detach(compiler->hosts, unit);
	route_view_free(unit->view);
	unit->view = route_resolve(compiler->gateways, compiler->store, object);
	unit_compile(compiler, unit);
	hosts_attach(compiler->hosts, unit);
	compiler->made = grow(compiler->made, compiler->news.made_count, &compiler->made_capacity,
			      sizeof(*compiler->made));
	compiler->made[compiler->news.made_count++] = unit->view;
	compiler->news.routes = true;
}

static void unit_delete(struct compiler *compiler, struct route_unit *unit, bool attached)
{
	if (attached)
		hosts_detach(compiler->hosts, unit);
	entry_list_release(compiler->set, &unit->entries);
	unit_drop_backends(compiler, unit->backends, unit->backend_count);
	unit->backends = NULL;
	compiler->news.routes = true;
	route_unit_free(unit);
}

/* ---- the array of routes ---- */

static int cmp_route(const struct object *route, enum kind kind, struct str ns, struct str name)
{
	if (route->kind != kind)
		return route->kind < kind ? -1 : 1;
	return meta_cmp_name(&route->meta, ns, name);
}

/* Where it is, or belongs. */
static size_t routes_find(const struct compiler *compiler, enum kind kind, struct str ns,
			  struct str name, bool *ret_found)
{
	size_t low = 0, high = compiler->route_count;
	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = cmp_route(compiler->routes[mid]->view->object, kind, ns, name);
		if (order == 0) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void routes_reserve(struct compiler *compiler, size_t count)
{
	if (count <= compiler->route_capacity)
		return;
	compiler->route_capacity = count + count / 8 + 8;
	compiler->routes = xrealloc(compiler->routes,
				    compiler->route_capacity * sizeof(*compiler->routes));
	compiler->views =
		xrealloc(compiler->views, compiler->route_capacity * sizeof(*compiler->views));
}

static void routes_insert(struct compiler *compiler, size_t at, struct route_unit *unit)
{
	routes_reserve(compiler, compiler->route_count + 1);
	size_t behind = compiler->route_count++ - at;
	memmove(&compiler->routes[at + 1], &compiler->routes[at],
		behind * sizeof(*compiler->routes));
	memmove(&compiler->views[at + 1], &compiler->views[at], behind * sizeof(*compiler->views));
	compiler->routes[at] = unit;
}

static void routes_remove(struct compiler *compiler, size_t at)
{
	size_t behind = --compiler->route_count - at;
	memmove(&compiler->routes[at], &compiler->routes[at + 1],
		behind * sizeof(*compiler->routes));
	memmove(&compiler->views[at], &compiler->views[at + 1], behind * sizeof(*compiler->views));
}

static void route_update(struct compiler *compiler, enum kind kind, struct str ns,
			 struct str name)
{
	bool found;
	size_t at = routes_find(compiler, kind, ns, name, &found);
	const struct object *object = store_get(compiler->store, kind, ns, name);
	if (!object) {
		if (!found)
			return;
		unit_delete(compiler, compiler->routes[at], true);
		routes_remove(compiler, at);
		return;
	}
	if (!found)
		routes_insert(compiler, at, xcalloc(1, sizeof(struct route_unit)));
	unit_remake(compiler, compiler->routes[at], object, true);
	compiler->views[at] = compiler->routes[at]->view;
}

/* The old units beside the store's lists. */
struct merge {
	struct route_unit **old;
	size_t old_count, next;
	bool all;
};

static void merge_kind(struct compiler *compiler, struct merge *merge, enum kind kind)
{
	size_t count;
	const struct object *const *objects = store_list(compiler->store, kind, &count);
	routes_reserve(compiler, compiler->route_count + count);
	for (size_t i = 0; i < count; i++) {
		const struct meta *meta = &objects[i]->meta;
		int order = -1;
		while (merge->next < merge->old_count &&
		       (order = cmp_route(merge->old[merge->next]->view->object, kind, meta->ns,
					  meta->name)) < 0)
			unit_delete(compiler, merge->old[merge->next++], !merge->all);
		bool known = merge->next < merge->old_count && order == 0;
		struct route_unit *unit =
			known ? merge->old[merge->next++] : xcalloc(1, sizeof(*unit));
		char buffer[KEY_BYTES];
		if (merge->all || !known ||
		    map_get(compiler->dirty_routes, kind_key(buffer, kind, meta->ns, meta->name)))
			unit_remake(compiler, unit, objects[i], !merge->all);
		compiler->routes[compiler->route_count] = unit;
		compiler->views[compiler->route_count++] = unit->view;
	}
}

/* Walks all routes; remakes the marked ones, or all of them. */
static void routes_merge(struct compiler *compiler, bool all)
{
	struct merge merge = { compiler->routes, compiler->route_count, 0, all };
	compiler->routes = NULL;
	compiler->route_count = compiler->route_capacity = 0;
	for (enum kind kind = FIRST_ROUTE_KIND; kind_is_route(kind); kind++)
		merge_kind(compiler, &merge, kind);
	while (merge.next < merge.old_count)
		unit_delete(compiler, merge.old[merge.next++], !all);
	free(merge.old);
}

/* ---- passes ---- */

static bool view_needs_marked(const struct compiler *compiler, const struct route_view *view)
{
	char buffer[KEY_BYTES];
	for (size_t i = 0; i < view->need_count; i++) {
		const struct need *need = &view->needs[i];
		if (map_get(compiler->dirty_needs,
			    kind_key(buffer, need->kind, need->ns, need->name)))
			return true;
	}
	return false;
}

/* Routes that refer to a marked Service or Backend are marked themselves. */
static void mark_needing(struct compiler *compiler)
{
	if (map_count(compiler->dirty_needs) == 0)
		return;
	for (size_t i = 0; i < compiler->route_count; i++) {
		const struct route_view *view = compiler->views[i];
		char buffer[KEY_BYTES];
		if (view_needs_marked(compiler, view))
			map_put(compiler->dirty_routes,
				kind_key(buffer, view->object->kind, view->object->meta.ns,
					 view->object->meta.name),
				compiler);
	}
}

static void pass_routes(struct compiler *compiler)
{
	mark_needing(compiler);
	if (map_count(compiler->dirty_routes) > MANY_ROUTES) {
		routes_merge(compiler, false);
		return;
	}
	struct map_entry *at = map_first(compiler->dirty_routes);
	for (; at; at = map_next(at)) {
		struct str name = map_key(at), kind = str_cut(&name, '/');
		uint64_t number = KIND_NONE;
		bool known = str_u64(kind, KIND_COUNT, &number);
		assert(known);
		(void)known;
		struct str ns = str_cut(&name, '/');
		route_update(compiler, (enum kind)number, ns, name);
	}
}

/* Route views borrow from the view of the Gateways, so a new one remakes them all; the old one
 * goes last. */
static void pass_gateways(struct compiler *compiler, const struct compile_options *options)
{
	struct gateways_view *old = compiler->gateways;
	compiler->gateways = gateways_resolve(compiler->store, &options->resolve);
	struct emit emit;
	emit_begin(&emit, compiler->set);
	gateways_emit(&emit, compiler->gateways);
	emit_end(&emit, &compiler->gateway_entries, &compiler->gateway_findings);
	hosts_reset(compiler->hosts, compiler->gateways);
	compiler->needs_changed = compiler->news.gateways = true;
	routes_merge(compiler, true);
	gateways_free(old);
}

static void slices_remember(struct compiler *compiler)
{
	size_t count;
	const struct object *const *slices =
		store_list(compiler->store, KIND_ENDPOINTSLICE, &count);
	map_free(compiler->slices, free);
	compiler->slices = map_new();
	for (size_t i = 0; i < count; i++) {
		char buffer[KEY_BYTES];
		const struct meta *meta = &slices[i]->meta;
		struct str service = slices[i]->endpoint_slice.service;
		if (service.n)
			map_put(compiler->slices,
				kind_key(buffer, KIND_ENDPOINTSLICE, meta->ns, meta->name),
				xstrndup(service.p, service.n));
	}
}

struct changes *compile_pass(struct compiler *compiler, const struct compile_options *options)
{
	compiler->news = (struct compile_news){ .gateways = false };
	if (compiler->all_dirty) {
		slices_remember(compiler);
		backends_mark_all(compiler->backends);
	}
	if (compiler->all_dirty || compiler->gateways_dirty)
		pass_gateways(compiler, options);
	else
		pass_routes(compiler);
	backends_remake(compiler->backends, compiler->store, options);
	hosts_remake(compiler->hosts);
	marks_clear(compiler);
	return entry_set_commit(compiler->set);
}

/* ---- questions ---- */

struct plan *compiler_plan(const struct compiler *compiler)
{
	return entry_set_plan(compiler->set);
}

bool compiler_needs_changed(struct compiler *compiler)
{
	bool changed = compiler->needs_changed;
	compiler->needs_changed = false;
	return changed;
}

const struct gateways_view *compiler_gateways(const struct compiler *compiler)
{
	return compiler->gateways;
}

const struct route_view *const *compiler_routes(const struct compiler *compiler, size_t *ret_count)
{
	*ret_count = compiler->route_count;
	return compiler->views;
}

void compiler_news(const struct compiler *compiler, struct compile_news *ret_news)
{
	*ret_news = compiler->news;
	ret_news->made = compiler->made;
}

const struct route_view *compiler_route(const struct compiler *compiler, enum kind kind,
					struct str ns, struct str name)
{
	bool found;
	size_t at = routes_find(compiler, kind, ns, name, &found);
	return found ? compiler->views[at] : NULL;
}

void compiler_findings(const struct compiler *compiler, struct findings *findings)
{
	if (compiler->gateways)
		findings_append(findings, &compiler->gateways->findings);
	findings_append(findings, compiler->gateway_findings);
	for (size_t i = 0; i < compiler->route_count; i++) {
		findings_append(findings, &compiler->routes[i]->view->findings);
		findings_append(findings, compiler->routes[i]->findings);
	}
	backends_findings(compiler->backends, findings);
	hosts_findings(compiler->hosts, findings);
	if (findings->count)
		qsort(findings->items, findings->count, sizeof(*findings->items), finding_cmp);
}

bool compiler_hosts_changed(struct compiler *compiler)
{
	return backends_hosts_changed(compiler->backends);
}

struct str *compiler_hosts(const struct compiler *compiler, struct arena *arena, size_t *ret_count)
{
	return backends_hosts(compiler->backends, compiler->store, arena, ret_count);
}
