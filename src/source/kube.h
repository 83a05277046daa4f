/* SPDX-License-Identifier: Apache-2.0 */
/* The Kubernetes source: objects of an API server, listed and watched.
 *
 * Watched as a whole (or in each of the named namespaces): GatewayClass, Gateway, HTTPRoute,
 * GRPCRoute, ReferenceGrant, Namespace, Service, EndpointSlice, Backend, GatewayParameters. Secrets
 * and ConfigMaps are watched one by one, and only those that kube_source_follow() names.
 *
 * While the API server is away everything stays as it was. A kind that the API server does not
 * have, or does not let us read, is a finding; the others go on, and it is picked up when that
 * changes. */
#pragma once

#include "model/finding.h"
#include "resolve/view.h"
#include "source/sink.h"

struct ev_loop;
struct json_object;
struct kube_source;
struct sb;

struct kube_options { /* copied */
	const char *kubeconfig; /* NULL: see source/kubeconfig.h */
	const char *context;	/* NULL: the current one */
	const char *const *namespaces;
	size_t namespace_count; /* 0: all */
};

/* NULL when no API server is configured, or not rightly. */
struct kube_source *kube_source_new(struct ev_loop *loop, const struct kube_options *options,
				    const struct source_sink *sink, struct error *err);
void kube_source_free(struct kube_source *source); /* accepts NULL */

/* fn sees every object that a list or a watch shows, with all that the sink is not told of, and
 * before the sink. json is borrowed. fn may not call the source. */
typedef void (*kube_seen_fn)(void *user, enum kind kind, struct json_object *json);
void kube_source_observe(struct kube_source *source, kube_seen_fn fn, void *user);

/* Before the start: objects of this namespace are read even if the namespace is not, the one of
 * that name ("": any) or those that a selector of labels takes ("": all). Copied; at most two. */
void kube_source_add(struct kube_source *source, enum kind kind, const char *ns, const char *name,
		     const char *labels);

/* Before the start: the addresses in Gateways' status are read, too. */
void kube_source_keep_addresses(struct kube_source *source);

void kube_source_start(struct kube_source *source);

/* Appends the path of one object, in the version that is read. False when its kind is not. */
bool kube_source_path(const struct kube_source *source, enum kind kind, struct str ns,
		      struct str name, struct sb *sb);

/* Tries what failed at once (SIGHUP). */
void kube_source_hurry(struct kube_source *source);

/* The whole set of Secrets and ConfigMaps to follow; others are removed. Until new ones have
 * been read (or none came for 3 s) the state says `waiting`. */
void kube_source_follow(struct kube_source *source, const struct need *needs, size_t count);

/* A whole list of the kind is in force, in every namespace that is read. */
bool kube_source_has_all(const struct kube_source *source, enum kind kind);
/* There is an object of the kind of which every version that was seen was refused. */
bool kube_source_lacks_any(const struct kube_source *source, enum kind kind);

/* Why what it has must not be the first plan; "" when it may. last_good: one is served meanwhile. */
void kube_source_doubt(const struct kube_source *source, bool last_good, char *ret_why,
		       size_t size);

void kube_source_state(const struct kube_source *source, struct source_state *ret_state);
void kube_source_findings(const struct kube_source *source, struct findings *findings);

/* What is wrong with the last version of an object, when that is refused, and its generation;
 * borrowed until the loop goes on. NULL: nothing, or there is no such object. */
const struct findings *kube_source_refusal(const struct kube_source *source, enum kind kind,
					   struct str ns, struct str name, int64_t *ret_generation);

/* "https://10.0.0.1:6443, context dev of /root/.kube/config" */
const char *kube_source_name(const struct kube_source *source);

struct kube_stats {
	uint64_t objects, watches, lists, watch_requests, events;
	uint64_t requests, failures, answers[6]; /* see source/kube_client.h */
	uint64_t connections, bytes;
	bool away;
};
void kube_source_stats(const struct kube_source *source, struct kube_stats *ret_stats);
