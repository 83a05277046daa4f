/* SPDX-License-Identifier: Apache-2.0 */
/* One unit for each kind (and namespace, or object) that is watched:
 *
 *   unit = kube_watch ──► kube_objects ──► sink.put, sink.remove ... (2 ms) ──► sink.settled
 */
#include "source/kube.h"

#include <assert.h>
#include <ev.h>
#include <json-c/json.h>

#include "base/map.h"
#include "base/sb.h"
#include "source/clock.h"
#include "source/kube_objects.h"
#include "source/kube_watch.h"

enum {
	QUIET_MS = 2,	  /* since the last change */
	PATIENCE_MS = 50, /* since the first one */
	MAX_FURTHER = 2,
	WAIT_MS = 3000,	  /* for an object that another refers to, since the last one came */
	NAME_BYTES = 512,
};

/* What is watched, and how it matters when it cannot be read. */
struct kube_kind {
	enum kind kind;
	const char *plural;
	bool referenced; /* followed object by object */
	bool essential;	 /* without it nothing can be said of traffic */
	enum severity missing; /* when the API server does not have it */
};

static const struct kube_kind kinds[] = {
	{ KIND_GATEWAYCLASS, "gatewayclasses", false, true, SEVERITY_ERROR },
	{ KIND_GATEWAY, "gateways", false, true, SEVERITY_ERROR },
	{ KIND_HTTPROUTE, "httproutes", false, true, SEVERITY_ERROR },
	{ KIND_GRPCROUTE, "grpcroutes", false, true, SEVERITY_INFO },
	{ KIND_REFERENCEGRANT, "referencegrants", false, false, SEVERITY_WARNING },
	{ KIND_NAMESPACE, "namespaces", false, false, SEVERITY_ERROR },
	{ KIND_SERVICE, "services", false, true, SEVERITY_ERROR },
	{ KIND_ENDPOINTSLICE, "endpointslices", false, true, SEVERITY_ERROR },
	{ KIND_BACKEND, "backends", false, false, SEVERITY_INFO },
	{ KIND_GATEWAYPARAMETERS, "gatewayparameters", false, false, SEVERITY_INFO },
	{ KIND_SECRET, "secrets", true, false, SEVERITY_ERROR },
	{ KIND_CONFIGMAP, "configmaps", true, false, SEVERITY_ERROR },
};
enum { KIND_ROWS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kube_kind *kind_row(enum kind kind)
{
	for (size_t i = 0; i < KIND_ROWS; i++) {
		if (kinds[i].kind == kind)
			return &kinds[i];
	}
	return NULL;
}

struct unit {
	struct kube_source *source;
	const struct kube_kind *kind;
	struct kube_watch *watch;
	struct kube_objects *objects;
	struct str ns, name; /* empty: all; they point into `text` */
	struct str labels;   /* the source's; empty: all */
	bool awaited;	     /* by others: it has not spoken yet */
	bool wanted;	     /* during kube_source_follow() */
	char text[];
};

/* What is read of a namespace that is not read. */
struct further {
	enum kind kind;
	char *ns, *name, *labels;
};

struct kube_source {
	struct ev_loop *loop;
	struct source_sink sink;
	kube_seen_fn seen; /* NULL: nobody asked */
	void *seen_user;
	struct kubeconfig config;
	struct kube_client *client;
	char **namespaces;
	size_t namespace_count;
	struct further further[MAX_FURTHER];
	size_t further_count;
	bool keeps_addresses; /* of Gateways' status */
	struct map *units;	/* those of whole kinds, by "plural/namespace" */
	struct map *followed;	/* those of one object, by "plural/namespace/name" */
	ev_timer settle, wait;
	int64_t first_change_ms; /* 0: nothing to settle */
	int64_t wait_until_ms;	 /* for those of `followed` that are awaited */
	bool complete;
	char name[NAME_BYTES];
};

/* ---- Settling ---- */

/* Something has changed: settled() follows after QUIET_MS, or at the end of PATIENCE_MS. */
static void touch(struct kube_source *source)
{
	int64_t now = clock_ms();
	if (!source->first_change_ms)
		source->first_change_ms = now;
	int64_t left_ms = source->first_change_ms + PATIENCE_MS - now;
	int64_t pause_ms = left_ms < QUIET_MS ? (left_ms > 0 ? left_ms : 0) : QUIET_MS;
	ev_timer_stop(source->loop, &source->settle);
	ev_timer_set(&source->settle, (double)pause_ms / 1000.0, 0);
	ev_timer_start(source->loop, &source->settle);
}

static void on_settle(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct kube_source *source = timer->data;
	source->first_change_ms = 0;
	source->sink.settled(source->sink.user);
}

/* True when the unit has said all that it can say now. For a kind that routing can do without nobody
 * waits until it can be read. */
static bool has_spoken(const struct unit *unit)
{
	enum kube_watch_state state = kube_watch_state(unit->watch);
	bool optional = unit->kind->missing == SEVERITY_INFO && !unit->kind->essential;
	return state == KUBE_WATCH_SYNCED || state == KUBE_WATCH_MISSING ||
	       state == KUBE_WATCH_FORBIDDEN || (state == KUBE_WATCH_FAILING && optional);
}

static bool all_have_spoken(const struct kube_source *source)
{
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e)) {
		if (!has_spoken(map_value(e)))
			return false;
	}
	return true;
}

/* ---- Units ---- */

static void on_list_begins(void *user)
{
	struct unit *unit = user;
	kube_objects_list_begins(unit->objects);
}

static void on_object(void *user, struct json_object *json)
{
	struct unit *unit = user;
	struct kube_source *source = unit->source;
	if (source->seen)
		source->seen(source->seen_user, unit->kind->kind, json);
	if (kube_objects_put(unit->objects, json))
		touch(source);
}

static void on_gone(void *user, struct json_object *json)
{
	struct unit *unit = user;
	if (kube_objects_del(unit->objects, json))
		touch(unit->source);
}

static void on_list_ends(void *user)
{
	struct unit *unit = user;
	if (kube_objects_list_ends(unit->objects))
		touch(unit->source);
}

static void on_state(void *user)
{
	struct unit *unit = user;
	struct kube_source *source = unit->source;
	source->complete = source->complete || all_have_spoken(source);
	if (unit->awaited && has_spoken(unit)) {
		unit->awaited = false;
		source->wait_until_ms = clock_ms() + WAIT_MS;
	}
	touch(source);
}

static const struct kube_watch_ops unit_ops = { on_list_begins, on_object, on_gone, on_list_ends,
						on_state };

/* "httproutes/default", "secrets/default/web-cert": the unit's name in its map, too. */
static struct unit *unit_new(struct kube_source *source, const struct kube_kind *kind, struct str ns,
			     struct str name)
{
	size_t n = strlen(kind->plural) + ns.n + name.n + 3;
	struct unit *unit = xcalloc(1, sizeof(*unit) + n);
	snprintf(unit->text, n, "%s/" STR_FMT "/" STR_FMT, kind->plural, STR_ARG(ns),
		 STR_ARG(name));
	unit->source = source;
	unit->kind = kind;
	unit->ns = (struct str){ unit->text + strlen(kind->plural) + 1, ns.n };
	unit->name = (struct str){ unit->ns.p + ns.n + 1, name.n };
	unit->objects = kube_objects_new(kind->kind, &source->sink);
	if (source->keeps_addresses && kind->kind == KIND_GATEWAY)
		kube_objects_keep_addresses(unit->objects);
	return unit;
}

static void unit_watch(struct unit *unit)
{
	const struct kube_resource resource = { unit->kind->kind, unit->kind->plural, unit->ns,
						unit->name, unit->labels };
	unit->watch = kube_watch_new(unit->source->loop, unit->source->client, &resource, &unit_ops,
				     unit);
}

static void unit_free(void *user)
{
	struct unit *unit = user;
	kube_watch_free(unit->watch);
	kube_objects_free(unit->objects);
	free(unit);
}

static struct unit *add_unit(struct kube_source *source, const struct kube_kind *kind,
			     struct str ns, struct str name)
{
	struct unit *unit = unit_new(source, kind, ns, name);
	map_put(source->units, str_of(unit->text), unit);
	return unit;
}

/* Kinds without a namespace: Namespaces are watched by name where namespaces are. */
static void add_units(struct kube_source *source, const struct kube_kind *kind)
{
	bool whole = !source->namespace_count || kind->kind == KIND_GATEWAYCLASS;
	if (kind->referenced)
		return;
	if (whole)
		add_unit(source, kind, STR_NONE, STR_NONE);
	for (size_t i = 0; !whole && i < source->namespace_count; i++) {
		struct str ns = str_of(source->namespaces[i]);
		bool by_name = kind->kind == KIND_NAMESPACE;
		add_unit(source, kind, by_name ? STR_NONE : ns, by_name ? ns : STR_NONE);
	}
}

static bool reads_namespace(const struct kube_source *source, const char *ns)
{
	bool found = source->namespace_count == 0;
	for (size_t i = 0; !found && i < source->namespace_count; i++)
		found = strcmp(source->namespaces[i], ns) == 0;
	return found;
}

void kube_source_add(struct kube_source *source, enum kind kind, const char *ns, const char *name,
		     const char *labels)
{
	assert(source->further_count < MAX_FURTHER);
	if (reads_namespace(source, ns))
		return;
	source->further[source->further_count++] =
		(struct further){ kind, xstrndup(ns, strlen(ns)), xstrndup(name, strlen(name)),
				  xstrndup(labels, strlen(labels)) };
}

void kube_source_keep_addresses(struct kube_source *source)
{
	source->keeps_addresses = true;
}

static void add_further(struct kube_source *source, const struct further *further)
{
	const struct kube_kind *kind = kind_row(further->kind);
	assert(kind);
	struct unit *unit = add_unit(source, kind, str_of(further->ns), str_of(further->name));
	unit->labels = str_of(further->labels);
}

void kube_source_observe(struct kube_source *source, kube_seen_fn fn, void *user)
{
	source->seen = fn;
	source->seen_user = user;
}

void kube_source_start(struct kube_source *source)
{
	for (size_t i = 0; i < KIND_ROWS; i++)
		add_units(source, &kinds[i]);
	for (size_t i = 0; i < source->further_count; i++)
		add_further(source, &source->further[i]);
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e))
		unit_watch(map_value(e));
}

void kube_source_hurry(struct kube_source *source)
{
	kube_client_hurry(source->client);
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e))
		kube_watch_hurry(((struct unit *)map_value(e))->watch);
	for (struct map_entry *e = map_first(source->followed); e; e = map_next(e))
		kube_watch_hurry(((struct unit *)map_value(e))->watch);
}

/* ---- Objects that others refer to ---- */

static struct unit *find_followed(const struct kube_source *source, const struct kube_kind *kind,
				  const struct need *need)
{
	struct sb key;
	sb_init(&key, 1024);
	sb_addf(&key, "%s/" STR_FMT "/" STR_FMT, kind->plural, STR_ARG(need->ns),
		STR_ARG(need->name));
	struct unit *unit = map_get(source->followed, sb_str(&key));
	sb_fini(&key);
	return unit;
}

static void wait_for(struct kube_source *source, int64_t ms)
{
	ev_timer_set(&source->wait, (double)ms / 1000.0, 0);
	ev_timer_start(source->loop, &source->wait);
}

static void want(struct kube_source *source, const struct kube_kind *kind, const struct need *need)
{
	struct unit *unit = find_followed(source, kind, need);
	if (unit) {
		unit->wanted = true;
		return;
	}
	unit = unit_new(source, kind, need->ns, need->name);
	unit->wanted = unit->awaited = true;
	map_put(source->followed, str_of(unit->text), unit);
	unit_watch(unit);
	source->wait_until_ms = clock_ms() + WAIT_MS;
	if (!ev_is_active(&source->wait))
		wait_for(source, WAIT_MS);
}

static bool is_waiting(const struct kube_source *source)
{
	bool found = false;
	for (struct map_entry *e = map_first(source->followed); e && !found; e = map_next(e))
		found = ((const struct unit *)map_value(e))->awaited;
	return found;
}

/* Whoever waits has waited long enough, unless others have come meanwhile: many take their time. One
 * that cannot be read has had its answer. */
static void on_wait(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct kube_source *source = timer->data;
	int64_t left_ms = source->wait_until_ms - clock_ms();
	(void)loop;
	(void)events;
	for (struct map_entry *e = map_first(source->followed); e; e = map_next(e)) {
		struct unit *unit = map_value(e);
		unit->awaited &= left_ms > 0 &&
				 kube_watch_state(unit->watch) == KUBE_WATCH_STARTING;
	}
	if (is_waiting(source))
		wait_for(source, left_ms);
	else
		touch(source);
}

/* Why none of them has been read, which is nobody's fault who refers to one; "": some have, or there
 * are none. */
static const char *followed_fail(const struct kube_source *source)
{
	const char *why = "";
	for (struct map_entry *e = map_first(source->followed); e; e = map_next(e)) {
		const struct unit *unit = map_value(e);
		if (kube_objects_count(unit->objects))
			return "";
		if (kube_watch_state(unit->watch) == KUBE_WATCH_FAILING)
			why = kube_watch_text(unit->watch);
		else if (kube_watch_state(unit->watch) == KUBE_WATCH_STARTING && !*why)
			why = "no Secret has been read yet";
	}
	return why;
}

static void release(struct kube_source *source, struct unit *unit)
{
	if (kube_objects_clear(unit->objects))
		touch(source);
	map_del(source->followed, str_of(unit->text));
	unit_free(unit);
}

void kube_source_follow(struct kube_source *source, const struct need *needs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct kube_kind *row = kind_row(needs[i].kind);
		if (row && row->referenced)
			want(source, row, &needs[i]);
	}
	for (struct map_entry *e = map_first(source->followed), *next; e; e = next) {
		struct unit *unit = map_value(e);
		next = map_next(e);
		if (!unit->wanted)
			release(source, unit);
		else
			unit->wanted = false;
	}
}

/* The unit of the whole kind that has this namespace. */
static struct unit *find_unit(const struct kube_source *source, enum kind kind, struct str ns)
{
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e)) {
		struct unit *unit = map_value(e);
		if (unit->kind->kind == kind && (str_empty(unit->ns) || str_eq(unit->ns, ns)))
			return unit;
	}
	return NULL;
}

bool kube_source_path(const struct kube_source *source, enum kind kind, struct str ns,
		      struct str name, struct sb *sb)
{
	const struct unit *unit = find_unit(source, kind, ns);
	if (!unit)
		return false;
	kube_path(sb, kind, kube_watch_version(unit->watch), unit->kind->plural, ns);
	sb_addf(sb, "/" STR_FMT, STR_ARG(name));
	return true;
}

/* ---- What it says about itself ---- */

static void add_problem(struct findings *findings, const struct unit *unit, enum severity severity,
			const char *reason, const char *text)
{
	struct meta meta = { .ns = unit->ns,
			     .name = str_empty(unit->name) ? STR("*") : unit->name };
	findings_add(findings, severity, unit->kind->kind, &meta, NULL, reason, "%s", text);
}

/* "httproutes.gateway.networking.k8s.io" */
static void resource_name(const struct unit *unit, char *ret_text, size_t size)
{
	const char *group = kind_table[unit->kind->kind].group;
	snprintf(ret_text, size, "%s%s%s", unit->kind->plural, *group ? "." : "", group);
}

static void forbidden_finding(const struct unit *unit, struct findings *findings)
{
	char text[1024];
	const char *group = kind_table[unit->kind->kind].group;
	snprintf(text, sizeof(text),
		 "reading is forbidden, what was read before stays: grant the verbs list and watch "
		 "(and get) on %s of apiGroup \"%s\" %s" STR_FMT ". The API server says: %s",
		 unit->kind->plural, group, str_empty(unit->ns) ? "in a ClusterRole" : "in namespace ",
		 STR_ARG(unit->ns), kube_watch_text(unit->watch));
	add_problem(findings, unit, SEVERITY_ERROR, "Forbidden", text);
}

static void missing_finding(const struct unit *unit, struct findings *findings)
{
	char name[128], text[512];
	const char *group = kind_table[unit->kind->kind].group;
	resource_name(unit, name, sizeof(name));
	bool ours = strcmp(group, GROUP_TIDEGATE) == 0;
	snprintf(text, sizeof(text),
		 "the API server has no %s: install the %s CRDs; they are picked up when they "
		 "appear", name, ours ? "Tidegate" : "Gateway API");
	add_problem(findings, unit, unit->kind->missing, "NoSuchResource", text);
}

static void older_finding(const struct unit *unit, struct findings *findings)
{
	char name[128], text[512];
	resource_name(unit, name, sizeof(name));
	snprintf(text, sizeof(text), "%s is read as %s: the API server has no %s. Update the CRDs",
		 name, kube_watch_version(unit->watch), kind_table[unit->kind->kind].versions[0]);
	add_problem(findings, unit, SEVERITY_INFO, "OlderVersion", text);
}

static void unwatched_finding(const struct unit *unit, struct findings *findings)
{
	char name[128], text[1024];
	resource_name(unit, name, sizeof(name));
	snprintf(text, sizeof(text),
		 "%s cannot be watched, so changes are seen up to 30 s late (if it is forbidden: "
		 "grant the verb watch): %s", name, kube_watch_trouble(unit->watch));
	add_problem(findings, unit, SEVERITY_WARNING, "WatchFails", text);
}

static void unit_findings(const struct unit *unit, struct findings *findings)
{
	switch (kube_watch_state(unit->watch)) {
	case KUBE_WATCH_FORBIDDEN:
		forbidden_finding(unit, findings);
		break;
	case KUBE_WATCH_MISSING:
		missing_finding(unit, findings);
		break;
	case KUBE_WATCH_FAILING:
		add_problem(findings, unit, SEVERITY_ERROR, "NotReadable",
			    kube_watch_text(unit->watch));
		break;
	case KUBE_WATCH_SYNCED:
		if (!kube_watch_is_newest(unit->watch))
			older_finding(unit, findings);
		if (*kube_watch_trouble(unit->watch))
			unwatched_finding(unit, findings);
		break;
	case KUBE_WATCH_STARTING:
		break;
	}
	kube_objects_findings(unit->objects, findings);
}

void kube_source_findings(const struct kube_source *source, struct findings *findings)
{
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e))
		unit_findings(map_value(e), findings);
	for (struct map_entry *e = map_first(source->followed); e; e = map_next(e))
		unit_findings(map_value(e), findings);
}

const struct findings *kube_source_refusal(const struct kube_source *source, enum kind kind,
					   struct str ns, struct str name, int64_t *ret_generation)
{
	const struct unit *unit = find_unit(source, kind, ns);
	return unit ? kube_objects_refusal(unit->objects, ns, name, ret_generation) : NULL;
}

bool kube_source_has_all(const struct kube_source *source, enum kind kind)
{
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e)) {
		const struct unit *unit = map_value(e);
		if (unit->kind->kind == kind &&
		    kube_watch_state(unit->watch) != KUBE_WATCH_SYNCED)
			return false;
	}
	return true;
}

bool kube_source_lacks_any(const struct kube_source *source, enum kind kind)
{
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e)) {
		const struct unit *unit = map_value(e);
		if (unit->kind->kind == kind && kube_objects_lost(unit->objects))
			return true;
	}
	return false;
}

/* The first kind that routing needs and that may not be read, or that cannot be read now. */
void kube_source_doubt(const struct kube_source *source, bool last_good, char *ret_why, size_t size)
{
	snprintf(ret_why, size, "%s", followed_fail(source));
	for (struct map_entry *e = map_first(source->units); e && !*ret_why; e = map_next(e)) {
		const struct unit *unit = map_value(e);
		enum kube_watch_state state = kube_watch_state(unit->watch);
		if (last_good && (state == KUBE_WATCH_FAILING ||
				  (state == KUBE_WATCH_FORBIDDEN && unit->kind->essential)))
			snprintf(ret_why, size, "%s", kube_watch_text(unit->watch));
	}
}

static void judge_age(const struct kube_source *source, struct source_state *state)
{
	const char *away = kube_client_away(source->client, &state->stale_s);
	if (away)
		snprintf(state->stale, sizeof(state->stale), "%s", away);
	for (struct map_entry *e = map_first(source->units); !away && e; e = map_next(e)) {
		const struct unit *unit = map_value(e);
		bool fails = kube_watch_state(unit->watch) == KUBE_WATCH_FAILING;
		const char *why = fails ? kube_watch_text(unit->watch) :
					  kube_watch_trouble(unit->watch);
		if (*why) {
			snprintf(state->stale, sizeof(state->stale), "%s: %s", unit->kind->plural,
				 why);
			return;
		}
	}
}

void kube_source_state(const struct kube_source *source, struct source_state *ret_state)
{
	*ret_state = (struct source_state){ .complete = source->complete,
					    .waiting = is_waiting(source) };
	judge_age(source, ret_state);
}

const char *kube_source_name(const struct kube_source *source)
{
	return source->name;
}

static void count_unit(const struct unit *unit, struct kube_stats *stats)
{
	struct kube_watch_stats watch;
	kube_watch_stats(unit->watch, &watch);
	stats->objects += kube_objects_count(unit->objects);
	stats->watches++;
	stats->lists += watch.lists;
	stats->watch_requests += watch.watches;
	stats->events += watch.events;
}

void kube_source_stats(const struct kube_source *source, struct kube_stats *ret_stats)
{
	struct kube_client_stats client;
	double seconds;
	kube_client_stats(source->client, &client);
	*ret_stats = (struct kube_stats){ .requests = client.requests,
					  .failures = client.failures,
					  .connections = client.connections,
					  .bytes = client.bytes };
	memcpy(ret_stats->answers, client.answers, sizeof(client.answers));
	ret_stats->away = kube_client_away(source->client, &seconds) != NULL;
	for (struct map_entry *e = map_first(source->units); e; e = map_next(e))
		count_unit(map_value(e), ret_stats);
	for (struct map_entry *e = map_first(source->followed); e; e = map_next(e))
		count_unit(map_value(e), ret_stats);
}

/* ---- Lifetime ---- */

static void on_client_changed(void *user)
{
	touch(user);
}

static void set_name(struct kube_source *source)
{
	const struct kubeconfig *config = &source->config;
	bool has_context = !str_empty(config->context);
	snprintf(source->name, sizeof(source->name), "%s (%s%s%s%s)", config->server.p,
		 has_context ? "context " : "", has_context ? config->context.p : "",
		 has_context ? " of " : "", config->origin.p);
}

static void copy_namespaces(struct kube_source *source, const struct kube_options *options)
{
	source->namespaces = xcalloc(options->namespace_count + 1, sizeof(char *));
	for (size_t i = 0; i < options->namespace_count; i++)
		source->namespaces[source->namespace_count++] =
			xstrndup(options->namespaces[i], strlen(options->namespaces[i]));
}

struct kube_source *kube_source_new(struct ev_loop *loop, const struct kube_options *options,
				    const struct source_sink *sink, struct error *err)
{
	struct kube_source *source = xcalloc(1, sizeof(*source));
	source->loop = loop;
	source->sink = *sink;
	source->units = map_new();
	source->followed = map_new();
	copy_namespaces(source, options);
	ev_timer_init(&source->settle, on_settle, 0, 0);
	ev_timer_init(&source->wait, on_wait, 0, 0);
	source->settle.data = source->wait.data = source;
	if (!kubeconfig_load(options->kubeconfig, options->context, &source->config, err)) {
		kube_source_free(source);
		return NULL;
	}
	set_name(source);
	source->client = kube_client_new(loop, &source->config, &kube_read_limits,
					 on_client_changed, source, err);
	if (!source->client) {
		kube_source_free(source);
		return NULL;
	}
	return source;
}

void kube_source_free(struct kube_source *source)
{
	if (!source)
		return;
	map_free(source->followed, unit_free);
	map_free(source->units, unit_free);
	kube_client_free(source->client);
	kubeconfig_fini(&source->config);
	ev_timer_stop(source->loop, &source->settle);
	ev_timer_stop(source->loop, &source->wait);
	for (size_t i = 0; i < source->namespace_count; i++)
		free(source->namespaces[i]);
	free(source->namespaces);
	for (size_t i = 0; i < source->further_count; i++) {
		free(source->further[i].ns);
		free(source->further[i].name);
		free(source->further[i].labels);
	}
	free(source);
}
