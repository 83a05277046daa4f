/* SPDX-License-Identifier: Apache-2.0 */
/* One resource of the API server, followed: listed in pages, then watched.
 *
 *           ┌──────────── 410, or the resource is not there any more ────────────┐
 *           ▼                                                                     │
 *   LIST page ──► page ──► ... ──► WATCH from the list's version ──► ends ──► WATCH from the
 *    │ 404: the next older version of the kind; none left: MISSING              last event's
 *    │ 403: FORBIDDEN                                                           version
 *    └ both are tried again, less and less often
 *
 * Every list begins with the newest version of the kind. While an older one is in use, a watch that
 * has ended is followed by such a list, too, and goes on when that cannot be had: one request more
 * for each watch.
 *
 * A list that is repeated never takes anything away before it is complete: the owner marks what
 * it names and drops the rest at list_ends(). One whose page breaks off starts over: what the page
 * said before, the token of the next one too, is not the whole of it. */
#pragma once

#include "base/sb.h"
#include "model/model.h"
#include "source/kube_client.h"

struct json_object;
struct kube_watch;

struct kube_resource {
	enum kind kind;
	const char *plural;  /* "httproutes" */
	struct str ns, name; /* empty: all; borrowed */
	struct str labels;   /* a selector; empty: all; borrowed */
};

enum kube_watch_state {
	KUBE_WATCH_STARTING = 0, /* nothing is known yet */
	KUBE_WATCH_SYNCED,       /* a complete list is in force, and followed but for the trouble */
	KUBE_WATCH_MISSING,      /* the API server does not have the resource */
	KUBE_WATCH_FORBIDDEN,
	KUBE_WATCH_FAILING, /* it has answered, but not with a list */
};

/* None of them may call the watch or the client. json is borrowed; it has apiVersion and kind. */
struct kube_watch_ops {
	void (*list_begins)(void *user); /* also again, before the last one has ended */
	void (*object)(void *user, struct json_object *json); /* it is there, new or not */
	void (*gone)(void *user, struct json_object *json);
	void (*list_ends)(void *user);
	void (*changed)(void *user); /* the state, or the trouble */
};

/* Starts at once. */
struct kube_watch *kube_watch_new(struct ev_loop *loop, struct kube_client *client,
				  const struct kube_resource *resource,
				  const struct kube_watch_ops *ops, void *user);
void kube_watch_free(struct kube_watch *watch); /* accepts NULL */

enum kube_watch_state kube_watch_state(const struct kube_watch *watch);
const char *kube_watch_text(const struct kube_watch *watch);    /* what is wrong; "" */
/* Why a list that is in force is not followed: five watches in a row have failed. "" until then,
 * and from the next event or bookmark, or watch that has lasted. */
const char *kube_watch_trouble(const struct kube_watch *watch);
const char *kube_watch_version(const struct kube_watch *watch); /* "v1": what is in use */
bool kube_watch_is_newest(const struct kube_watch *watch);      /* that version, of ours */

/* Tries at once what is waiting for its next attempt. */
void kube_watch_hurry(struct kube_watch *watch);

struct kube_watch_stats {
	uint64_t lists, watches, events;
};
void kube_watch_stats(const struct kube_watch *watch, struct kube_watch_stats *ret_stats);

/* "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes" */
void kube_path(struct sb *sb, enum kind kind, const char *version, const char *plural,
	       struct str ns);
/* The text as the value of a query's parameter. */
void kube_add_escaped(struct sb *sb, struct str text);
