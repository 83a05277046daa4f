/* SPDX-License-Identifier: Apache-2.0 */
/* Which routes meet in which virtual host.
 *
 * A node per (frontend, hostname pattern) holds the routes that are attached with exactly
 * that pattern, with the listener each came through. The virtual host of a pattern belongs to
 * the most specific listener that covers it; its candidates come from its own node and from
 * the nodes of the wildcards above it, as far as they came through that same listener. */
#include <assert.h>

#include "base/map.h"
#include "plan/rule.h"
#include "plan/units.h"
#include "plan/vhost.h"
#include "resolve/hostname.h"

struct attached {
	struct route_unit *unit;
	const struct listener_view *listener;
};

struct vhost {
	struct map_entry *at; /* "FRONTEND HOST" */
	const struct frontend_view *frontend; /* NULL: gone */
	struct attached *items; /* those of one unit stand together */
	size_t count, capacity;
	bool own;   /* a listener's own hostname */
	bool dirty;
	struct entry_list entries;
	struct findings *findings;
};

struct hosts {
	struct entry_set *set;
	struct map *vhosts;
	struct map *frontends; /* name -> struct frontend_view, of the current view */
	struct vhost **dirty;
	size_t dirty_count, dirty_capacity;
	uint32_t stamp;
};

struct hosts *hosts_new(struct entry_set *set)
{
	struct hosts *hosts = xcalloc(1, sizeof(*hosts));
	hosts->set = set;
	hosts->vhosts = map_new();
	hosts->frontends = map_new();
	return hosts;
}

static void vhost_free(void *value)
{
	struct vhost *vhost = value;
	findings_drop(&vhost->findings);
	free(vhost->entries.items);
	free(vhost->items);
	free(vhost);
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	map_free(hosts->vhosts, vhost_free);
	map_free(hosts->frontends, NULL);
	free(hosts->dirty);
	free(hosts);
}

/* ---- nodes ---- */

enum { VHOST_KEY_BYTES = 1024 };

/* Names, a port and a host name fit: 63 + 253 + 5 + 253 and three separators. */
static struct str vhost_key(char buffer[VHOST_KEY_BYTES], struct str frontend, struct str pattern)
{
	int n = snprintf(buffer, VHOST_KEY_BYTES, STR_FMT " " STR_FMT, STR_ARG(frontend),
			 STR_ARG(pattern.n ? pattern : STR("*")));
	assert(n > 0 && n < VHOST_KEY_BYTES);
	return (struct str){ buffer, (size_t)n };
}

static struct vhost *vhost_find(const struct hosts *hosts, struct str frontend, struct str pattern)
{
	char buffer[VHOST_KEY_BYTES];
	return map_get(hosts->vhosts, vhost_key(buffer, frontend, pattern));
}

static struct str vhost_pattern(const struct vhost *vhost)
{
	struct str pattern = map_key(vhost->at);
	str_cut(&pattern, ' ');
	return str_is(pattern, "*") ? STR_NONE : pattern;
}

static void vhost_mark(struct hosts *hosts, struct vhost *vhost)
{
	if (vhost->dirty)
		return;
	vhost->dirty = true;
	hosts->dirty = grow(hosts->dirty, hosts->dirty_count, &hosts->dirty_capacity,
			    sizeof(struct vhost *));
	hosts->dirty[hosts->dirty_count++] = vhost;
}

static struct vhost *vhost_at(struct hosts *hosts, const struct frontend_view *frontend,
			      struct str pattern)
{
	char buffer[VHOST_KEY_BYTES];
	struct str key = vhost_key(buffer, frontend->name, pattern);
	struct vhost *vhost = map_get(hosts->vhosts, key);
	if (!vhost) {
		vhost = xcalloc(1, sizeof(*vhost));
		map_put(hosts->vhosts, key, vhost);
		vhost->at = map_at(hosts->vhosts, key);
	}
	vhost->frontend = frontend;
	vhost_mark(hosts, vhost);
	return vhost;
}

static void frontend_reset(struct hosts *hosts, const struct gateway_view *gateway, size_t index)
{
	struct frontend_view *frontend = &gateway->frontends[index];
	map_put(hosts->frontends, frontend->name, frontend);
	for (size_t i = 0; i < frontend->listener_count; i++)
		vhost_at(hosts, frontend, frontend->listeners[i]->spec->hostname)->own = true;
}

void hosts_reset(struct hosts *hosts, const struct gateways_view *gateways)
{
	map_free(hosts->frontends, NULL);
	hosts->frontends = map_new();
	for (struct map_entry *at = map_first(hosts->vhosts); at; at = map_next(at)) {
		struct vhost *vhost = map_value(at);
		vhost->count = 0;
		vhost->own = false;
		vhost->frontend = NULL;
		vhost_mark(hosts, vhost);
	}
	for (size_t i = 0; i < gateways->gateway_count; i++) {
		for (size_t j = 0; j < gateways->gateways[i].frontend_count; j++)
			frontend_reset(hosts, &gateways->gateways[i], j);
	}
}

/* ---- attachment ---- */

bool attachment_serves(const struct attachment *attachment)
{
	return attachment->listener->serves && attachment->listener->frontend.n;
}

static void vhost_add(struct vhost *vhost, struct route_unit *unit,
		      const struct listener_view *listener)
{
	for (size_t i = vhost->count; i-- && vhost->items[i].unit == unit;) {
		if (vhost->items[i].listener == listener)
			return;
	}
	if (vhost->count == vhost->capacity) { /* mostly one route: do not start with many */
		vhost->capacity = vhost->capacity ? vhost->capacity * 2 : 1;
		vhost->items = xrealloc(vhost->items, vhost->capacity * sizeof(*vhost->items));
	}
	vhost->items[vhost->count++] = (struct attached){ unit, listener };
}

static void vhost_remove(struct vhost *vhost, const struct route_unit *unit)
{
	size_t kept = 0;
	for (size_t i = 0; i < vhost->count; i++) {
		if (vhost->items[i].unit != unit)
			vhost->items[kept++] = vhost->items[i];
	}
	vhost->count = kept;
}

/* A route may name one listener through two parentRefs; it counts once. */
static bool listener_seen(const struct route_view *view, size_t parent, size_t attachment)
{
	const struct listener_view *listener = view->parents[parent].attachments[attachment].listener;
	for (size_t i = 0; i <= parent; i++) {
		size_t end = i == parent ? attachment : view->parents[i].attachment_count;
		for (size_t j = 0; j < end; j++) {
			if (view->parents[i].attachments[j].listener == listener)
				return true;
		}
	}
	return false;
}

void hosts_attach(struct hosts *hosts, struct route_unit *unit)
{
	const struct route_view *view = unit->view;
	for (size_t i = 0; i < view->parent_count; i++) {
		for (size_t j = 0; j < view->parents[i].attachment_count; j++) {
			const struct attachment *attachment = &view->parents[i].attachments[j];
			attachment->listener->attached_routes += !listener_seen(view, i, j);
			if (!attachment_serves(attachment))
				continue;
			const struct frontend_view *frontend =
				map_get(hosts->frontends, attachment->listener->frontend);
			assert(frontend);
			for (size_t k = 0; k < attachment->hostname_count; k++)
				vhost_add(vhost_at(hosts, frontend, attachment->hostnames[k]), unit,
					  attachment->listener);
		}
	}
}

void hosts_detach(struct hosts *hosts, struct route_unit *unit)
{
	const struct route_view *view = unit->view;
	for (size_t i = 0; i < view->parent_count; i++) {
		for (size_t j = 0; j < view->parents[i].attachment_count; j++) {
			const struct attachment *attachment = &view->parents[i].attachments[j];
			attachment->listener->attached_routes -= !listener_seen(view, i, j);
			if (!attachment_serves(attachment))
				continue;
			for (size_t k = 0; k < attachment->hostname_count; k++) {
				struct vhost *vhost = vhost_find(hosts,
								 attachment->listener->frontend,
								 attachment->hostnames[k]);
				assert(vhost);
				vhost_remove(vhost, unit);
				vhost_mark(hosts, vhost);
			}
		}
	}
}

/* ---- flattening ---- */

struct collection {
	struct candidate *items;
	size_t count, capacity;
};

static void collect_route(struct collection *all, struct arena *scratch,
			  const struct route_unit *unit, uint32_t tier)
{
	const struct route_view *view = unit->view;
	for (uint32_t i = 0; i < view->rule_count; i++) {
		const struct rule_view *rule = &view->rules[i];
		struct str verdict = rule_verdict(scratch, rule, unit->failed_rules >> i & 1);
		for (uint32_t j = 0; j < rule->spec->match_count; j++) {
			/* In a decision list a bad one would spoil the list for everybody else. */
			if (rule->bad_matches >> j & 1)
				continue;
			all->items = grow(all->items, all->count, &all->capacity,
					  sizeof(*all->items));
			struct candidate *candidate = &all->items[all->count++];
			*candidate = (struct candidate){
				.route = view,
				.rule = rule,
				.match = &rule->spec->matches[j],
				.verdict = verdict,
				.tier = tier,
				.rule_index = i,
				.match_index = j,
			};
			candidate_file(scratch, candidate);
		}
	}
}

/* A route that is attached in several tiers has its say in the closest. */
static void collect_tier(const struct hosts *hosts, struct collection *all, struct arena *scratch,
			 const struct vhost *node, const struct listener_view *owner,
			 uint32_t tier)
{
	for (size_t i = 0; i < node->count; i++) {
		struct route_unit *unit = node->items[i].unit;
		if (node->items[i].listener != owner || unit->stamp == hosts->stamp)
			continue;
		unit->stamp = hosts->stamp;
		collect_route(all, scratch, unit, tier);
	}
}

/* The next wider pattern; false behind "every host". */
static bool pattern_widen(struct arena *scratch, struct str *pattern)
{
	if (str_empty(*pattern))
		return false;
	struct str rest = *pattern;
	if (str_starts(rest, STR("*.")))
		rest = str_sub(rest, 2, rest.n);
	str_cut(&rest, '.');
	*pattern = rest.n ? arena_strf(scratch, "*." STR_FMT, STR_ARG(rest)) : STR_NONE;
	return true;
}

static void collect(struct hosts *hosts, const struct vhost *vhost, struct arena *scratch,
		    const struct listener_view *owner, struct collection *ret_all)
{
	struct str pattern = vhost_pattern(vhost);
	const struct vhost *node = vhost;
	uint32_t tier = 0;
	hosts->stamp++;
	do {
		if (node)
			collect_tier(hosts, ret_all, scratch, node, owner, tier);
		tier++;
		if (!pattern_widen(scratch, &pattern))
			break;
		node = vhost_find(hosts, vhost->frontend->name, pattern);
	} while (true);
}

static const struct listener_view *vhost_owner(const struct vhost *vhost)
{
	const struct listener_view *best = NULL;
	struct str pattern = vhost_pattern(vhost);
	for (size_t i = 0; i < vhost->frontend->listener_count; i++) {
		const struct listener_view *listener = vhost->frontend->listeners[i];
		struct str hostname = listener->spec->hostname;
		if (!hostname_covers(hostname, pattern))
			continue;
		if (!best || hostname_cmp_specific(hostname, best->spec->hostname) < 0)
			best = listener;
	}
	return best;
}

/* Someone must be there through the owner; else the owner's wider virtual host does it. */
static bool vhost_needed(const struct vhost *vhost, const struct listener_view *owner)
{
	for (size_t i = 0; i < vhost->count; i++) {
		if (vhost->items[i].listener == owner)
			return true;
	}
	return vhost->own;
}

static void vhost_emit(struct hosts *hosts, const struct vhost *vhost, struct emit *emit)
{
	const struct listener_view *owner = vhost->frontend ? vhost_owner(vhost) : NULL;
	if (!owner || !vhost_needed(vhost, owner))
		return;
	struct collection all = { 0 };
	collect(hosts, vhost, emit->scratch, owner, &all);
	vhost_flatten(emit, map_key(vhost->at), all.items, all.count);
	free(all.items);
	struct str pattern = vhost_pattern(vhost);
	if (!str_starts(pattern, STR("*.")))
		return;
	struct str key = arena_strf(emit->scratch, STR_FMT " " STR_FMT,
				    STR_ARG(vhost->frontend->name),
				    STR_ARG(str_sub(pattern, 2, pattern.n)));
	emit_fitting(emit, PLAN_WILDCARD, key, pattern);
}

static void vhost_remake(struct hosts *hosts, struct vhost *vhost)
{
	struct emit emit;
	emit_begin(&emit, hosts->set);
	vhost_emit(hosts, vhost, &emit);
	emit_end(&emit, &vhost->entries, &vhost->findings);
	vhost->dirty = false;
	if (vhost->count || vhost->own)
		return;
	map_del(hosts->vhosts, map_key(vhost->at));
	vhost_free(vhost);
}

/* What changed at a wildcard shows in every virtual host below it. */
static void mark_covered(struct hosts *hosts)
{
	size_t direct = hosts->dirty_count, wide_count = 0;
	if (direct == map_count(hosts->vhosts))
		return;
	const struct vhost **wide = xcalloc(direct, sizeof(struct vhost *));
	for (size_t i = 0; i < direct; i++) {
		struct str pattern = vhost_pattern(hosts->dirty[i]);
		if (str_empty(pattern) || pattern.p[0] == '*')
			wide[wide_count++] = hosts->dirty[i];
	}
	struct map_entry *at = wide_count ? map_first(hosts->vhosts) : NULL;
	for (; at; at = map_next(at)) {
		struct vhost *vhost = map_value(at);
		for (size_t i = 0; !vhost->dirty && i < wide_count; i++) {
			if (vhost->frontend == wide[i]->frontend &&
			    hostname_covers(vhost_pattern(wide[i]), vhost_pattern(vhost)))
				vhost_mark(hosts, vhost);
		}
	}
	free(wide);
}

void hosts_remake(struct hosts *hosts)
{
	mark_covered(hosts);
	/* Nodes that are deleted are empty: those after them lose nothing. */
	for (size_t i = 0; i < hosts->dirty_count; i++)
		vhost_remake(hosts, hosts->dirty[i]);
	free(hosts->dirty);
	hosts->dirty = NULL;
	hosts->dirty_count = hosts->dirty_capacity = 0;
}

void hosts_findings(const struct hosts *hosts, struct findings *findings)
{
	for (struct map_entry *at = map_first(hosts->vhosts); at; at = map_next(at)) {
		const struct vhost *vhost = map_value(at);
		findings_append(findings, vhost->findings);
	}
}
