/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kube_watch.h"

#include <bsd/stdlib.h>
#include <ev.h>

#include "source/json.h"
#include "source/kube_json.h"

enum {
	PAGE_COUNT = 500,
	LIST_LIMIT_S = 60,
	WATCH_MIN_S = 300, /* the server ends a watch after so long, and up to twice that */
	WATCH_GRACE_S = 30,
	PAUSE_MIN_MS = 500,
	PAUSE_MAX_MS = 30000,
	MISSING_PAUSE_MS = 10000,
	FRUITLESS_MAX = 5, /* watches; more in a row are no accident */
	VERSION_BYTES = 128,
	TEXT_BYTES = 512,
};
#define SOUND_S 5.0 /* a watch that lasted so long was a good one */

struct kube_watch {
	struct ev_loop *loop;
	struct kube_client *client;
	struct kube_resource resource;
	const struct kube_watch_ops *ops;
	void *user;
	size_t version, asked;	    /* in use, of the request: into kind_table[].versions */
	struct kube_request *request; /* NULL: the timer runs */
	struct kube_json *parser;
	ev_timer timer;
	bool listing;	       /* or watching */
	bool relist;	       /* the watch said that it cannot go on */
	bool resumes;	       /* if that list cannot be had, the watch goes on */
	unsigned attempt;
	unsigned fruitless;    /* watches in a row that said nothing and did not last */
	double started_s;      /* of the watch */
	char resource_version[VERSION_BYTES]; /* "" while listing: not known yet */
	char *next_page;	      /* the continue token; NULL: none */
	enum kube_watch_state state;
	char text[TEXT_BYTES];
	char trouble[TEXT_BYTES]; /* why watches are fruitless */
	struct kube_watch_stats stats;
};

static void start(struct kube_watch *watch);

static void set_state(struct kube_watch *watch, enum kube_watch_state state, struct str text)
{
	bool same = watch->state == state && str_is(text, watch->text);
	watch->state = state;
	snprintf(watch->text, sizeof(watch->text), STR_FMT, STR_ARG(text));
	if (!same)
		watch->ops->changed(watch->user);
}

static void set_trouble(struct kube_watch *watch, struct str text)
{
	bool same = str_is(text, watch->trouble);
	snprintf(watch->trouble, sizeof(watch->trouble), STR_FMT, STR_ARG(text));
	if (!same)
		watch->ops->changed(watch->user);
}

static void pause_for(struct kube_watch *watch, int64_t pause_ms)
{
	ev_timer_stop(watch->loop, &watch->timer);
	ev_timer_set(&watch->timer, (double)pause_ms / 1000.0, 0);
	ev_timer_start(watch->loop, &watch->timer);
}

static void back_off(struct kube_watch *watch, int64_t at_least_ms)
{
	int64_t pause_ms = kube_backoff_ms(watch->attempt++, PAUSE_MIN_MS, PAUSE_MAX_MS);
	pause_for(watch, pause_ms > at_least_ms ? pause_ms : at_least_ms);
}

static void forget_page(struct kube_watch *watch)
{
	free(watch->next_page);
	watch->next_page = NULL;
}

/* The next list starts over, in the first version: it may be there by now. */
static void begin_list(struct kube_watch *watch)
{
	watch->listing = true;
	watch->relist = watch->resumes = false;
	watch->asked = 0;
	forget_page(watch);
	watch->ops->list_begins(watch->user);
}

/* ---- What the objects' envelope says ---- */

static void keep_version(struct kube_watch *watch, struct json_object *metadata)
{
	const char *version = json_cstr(metadata, "resourceVersion");
	if (*version && strlen(version) < VERSION_BYTES)
		memcpy(watch->resource_version, version, strlen(version) + 1);
}

/* Items of the core kinds come without them. */
static void add_envelope(const struct kube_watch *watch, struct json_object *json)
{
	const struct kind_info *info = &kind_table[watch->resource.kind];
	char version[VERSION_BYTES];
	snprintf(version, sizeof(version), "%s%s%s", info->group, *info->group ? "/" : "",
		 info->versions[watch->asked]);
	if (!*json_cstr(json, "kind"))
		json_object_object_add(json, "kind", json_object_new_string(info->name));
	if (!*json_cstr(json, "apiVersion"))
		json_object_object_add(json, "apiVersion", json_object_new_string(version));
}

static bool take_list_member(void *user, const char *member, struct json_object *json,
			     struct error *err)
{
	struct kube_watch *watch = user;
	(void)err;
	if (strcmp(member, "items") == 0 && json_object_is_type(json, json_type_object)) {
		add_envelope(watch, json);
		watch->ops->object(watch->user, json);
	} else if (strcmp(member, "metadata") == 0) {
		const char *next = json_cstr(json, "continue");
		keep_version(watch, json);
		forget_page(watch);
		if (*next)
			watch->next_page = xstrndup(next, strlen(next));
	}
	return true;
}

/* A watch is good for something. */
static void note_fruit(struct kube_watch *watch)
{
	watch->fruitless = 0;
	set_trouble(watch, STR_NONE);
}

/* An event of type ERROR holds a Status: 410 when the version is too old, or what broke. */
static bool take_error(struct kube_watch *watch, struct json_object *status, struct error *err)
{
	watch->relist = true;
	return error_set(err, ERR_PROTO, "%s", json_cstr(status, "message"));
}

static bool take_event(void *user, const char *member, struct json_object *json, struct error *err)
{
	struct kube_watch *watch = user;
	struct json_object *object = json_field(json, "object");
	const char *type = json_cstr(json, "type");
	(void)member;
	if (!*type || !json_object_is_type(object, json_type_object))
		return error_set(err, ERR_PROTO, "an event of the watch has no type or object");
	if (strcmp(type, "ERROR") == 0)
		return take_error(watch, object, err);
	watch->stats.events++;
	note_fruit(watch);
	if (strcmp(type, "DELETED") == 0)
		watch->ops->gone(watch->user, object);
	else if (strcmp(type, "BOOKMARK") != 0)
		watch->ops->object(watch->user, object);
	keep_version(watch, json_field(object, "metadata"));
	return true;
}

/* ---- Ends of requests ---- */

static void missing(struct kube_watch *watch, const struct kube_answer *answer)
{
	size_t next = watch->asked + 1;
	begin_list(watch);
	if (kind_table[watch->resource.kind].versions[next]) {
		watch->asked = next;
		start(watch);
		return;
	}
	set_state(watch, KUBE_WATCH_MISSING, answer->text);
	pause_for(watch, kube_backoff_ms(0, MISSING_PAUSE_MS, MISSING_PAUSE_MS));
}

/* The version that is asked for is there. */
static void use_asked(struct kube_watch *watch)
{
	bool same = watch->version == watch->asked;
	watch->version = watch->asked;
	watch->resumes = false;
	if (!same && watch->state == KUBE_WATCH_SYNCED)
		watch->ops->changed(watch->user);
}

/* A page that is cut off may have named the next one, and objects that are gone when it is asked
 * for again: the list starts over. */
static void break_page(struct kube_watch *watch, struct str why)
{
	begin_list(watch);
	set_state(watch, KUBE_WATCH_FAILING, why);
	back_off(watch, 0);
}

static void end_page(struct kube_watch *watch)
{
	struct error err;
	if (!kube_json_end(watch->parser, &err)) {
		break_page(watch, str_of(err.text));
		return;
	}
	use_asked(watch);
	if (!watch->next_page) {
		watch->listing = false;
		watch->ops->list_ends(watch->user);
		set_state(watch, KUBE_WATCH_SYNCED, STR_NONE);
	}
	start(watch);
}

/* The watch in the version that is in use, from where it was. */
static void resume(struct kube_watch *watch)
{
	watch->listing = watch->resumes = false;
	watch->asked = watch->version;
	start(watch);
}

static void end_list(struct kube_watch *watch, const struct kube_answer *answer)
{
	if (watch->resumes && answer->status / 100 >= 4) {
		resume(watch);
		return;
	}
	switch (answer->status) {
	case 0:
		break_page(watch, answer->text);
		return;
	case 200:
		end_page(watch);
		return;
	case 403:
		set_state(watch, KUBE_WATCH_FORBIDDEN, answer->text);
		break;
	case 404:
		missing(watch, answer);
		return;
	case 410: /* the pages' version is too old by now */
		begin_list(watch);
		break;
	default:
		set_state(watch, KUBE_WATCH_FAILING, answer->text);
	}
	back_off(watch, answer->retry_after_ms);
}

/* The watch goes on, but for a newer version that may be there by now: that begins with a list. */
static void go_on(struct kube_watch *watch)
{
	if (!kube_watch_is_newest(watch)) {
		begin_list(watch);
		watch->resumes = true;
	}
	start(watch);
}

/* A watch that ends as agreed, or with its connection, goes on at once; but not if it never
 * lasts. One that is refused again and again may be so for its version: a new list has another, and
 * the changes meanwhile. */
static void end_watch(struct kube_watch *watch, const struct kube_answer *answer)
{
	bool ended = !watch->relist && (answer->status == 200 || answer->status == 0);
	if (ended && ev_now(watch->loop) - watch->started_s >= SOUND_S) {
		watch->attempt = 0;
		note_fruit(watch);
	} else if (!answer->busy && ++watch->fruitless >= FRUITLESS_MAX) {
		set_trouble(watch, str_empty(answer->text) ? STR("it ends at once") : answer->text);
	}
	if (watch->relist || answer->status == 410 || answer->status == 403 ||
	    answer->status == 404 || (!ended && watch->fruitless >= FRUITLESS_MAX))
		begin_list(watch);
	if (ended && watch->attempt == 0) {
		watch->attempt = 1;
		go_on(watch);
	} else {
		back_off(watch, answer->retry_after_ms);
	}
}

static void on_done(void *user, const struct kube_answer *answer)
{
	struct kube_watch *watch = user;
	watch->request = NULL;
	if (answer->unanswered)
		start(watch); /* the client holds it back */
	else if (watch->listing)
		end_list(watch, answer);
	else
		end_watch(watch, answer);
}

static bool on_body(void *user, struct str bytes, struct error *err)
{
	struct kube_watch *watch = user;
	return kube_json_feed(watch->parser, bytes, err);
}

/* ---- Starts of requests ---- */

void kube_path(struct sb *sb, enum kind kind, const char *version, const char *plural,
	       struct str ns)
{
	const char *group = kind_table[kind].group;
	sb_addf(sb, "%s%s/%s", *group ? "/apis/" : "/api", group, version);
	if (!str_empty(ns))
		sb_addf(sb, "/namespaces/" STR_FMT, STR_ARG(ns));
	sb_addf(sb, "/%s", plural);
}

void kube_add_escaped(struct sb *sb, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
		if (plain)
			sb_addc(sb, (char)c);
		else
			sb_addf(sb, "%%%02X", (unsigned)c);
	}
}

static unsigned add_query(struct kube_watch *watch, struct sb *sb)
{
	unsigned seconds = WATCH_MIN_S + arc4random_uniform(WATCH_MIN_S);
	if (watch->listing) {
		sb_addf(sb, "?limit=%d", PAGE_COUNT);
		if (watch->next_page) {
			sb_adds(sb, "&continue=");
			kube_add_escaped(sb, str_of(watch->next_page));
		}
	} else {
		sb_addf(sb, "?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=",
			seconds);
		kube_add_escaped(sb, str_of(watch->resource_version));
	}
	if (!str_empty(watch->resource.name)) {
		sb_adds(sb, "&fieldSelector=metadata.name%3D");
		kube_add_escaped(sb, watch->resource.name);
	}
	if (!str_empty(watch->resource.labels)) {
		sb_adds(sb, "&labelSelector=");
		kube_add_escaped(sb, watch->resource.labels);
	}
	return watch->listing ? LIST_LIMIT_S : seconds + WATCH_GRACE_S;
}

/* The list's page, or the watch, that is due. */
static void start(struct kube_watch *watch)
{
	static const struct kube_request_ops ops = { on_body, on_done };
	struct sb path;
	sb_init(&path, 64 * 1024);
	kube_path(&path, watch->resource.kind,
		  kind_table[watch->resource.kind].versions[watch->asked], watch->resource.plural,
		  watch->resource.ns);
	unsigned limit_s = add_query(watch, &path);
	kube_json_free(watch->parser);
	watch->parser = watch->listing ?
				kube_json_new(KUBE_JSON_LIST, take_list_member, watch) :
				kube_json_new(KUBE_JSON_VALUES, take_event, watch);
	if (watch->listing)
		watch->stats.lists++;
	else
		watch->stats.watches++;
	watch->started_s = ev_now(watch->loop);
	watch->request = kube_get(watch->client, sb_str(&path).p, limit_s, &ops, watch);
	sb_fini(&path);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	start(timer->data);
}

void kube_watch_hurry(struct kube_watch *watch)
{
	if (!watch->request)
		pause_for(watch, 0);
}

/* ---- Lifetime ---- */

struct kube_watch *kube_watch_new(struct ev_loop *loop, struct kube_client *client,
				  const struct kube_resource *resource,
				  const struct kube_watch_ops *ops, void *user)
{
	struct kube_watch *watch = xcalloc(1, sizeof(*watch));
	watch->loop = loop;
	watch->client = client;
	watch->resource = *resource;
	watch->ops = ops;
	watch->user = user;
	ev_timer_init(&watch->timer, on_timer, 0, 0);
	watch->timer.data = watch;
	begin_list(watch);
	start(watch);
	return watch;
}

void kube_watch_free(struct kube_watch *watch)
{
	if (!watch)
		return;
	ev_timer_stop(watch->loop, &watch->timer);
	kube_cancel(watch->request);
	kube_json_free(watch->parser);
	forget_page(watch);
	free(watch);
}

enum kube_watch_state kube_watch_state(const struct kube_watch *watch)
{
	return watch->state;
}

const char *kube_watch_text(const struct kube_watch *watch)
{
	return watch->text;
}

const char *kube_watch_trouble(const struct kube_watch *watch)
{
	return watch->state == KUBE_WATCH_SYNCED ? watch->trouble : "";
}

const char *kube_watch_version(const struct kube_watch *watch)
{
	return kind_table[watch->resource.kind].versions[watch->version];
}

bool kube_watch_is_newest(const struct kube_watch *watch)
{
	return watch->version == 0;
}

void kube_watch_stats(const struct kube_watch *watch, struct kube_watch_stats *ret_stats)
{
	*ret_stats = watch->stats;
}
