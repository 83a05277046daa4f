/* SPDX-License-Identifier: Apache-2.0 */
/* Our part in a Kubernetes cluster beyond reading it: one replica leads, and writes what it
 * makes of the objects into their status. It has connections of its own. */
#pragma once

#include "base/error.h"
#include "model/finding.h"
#include "source/kube_client.h"
#include "publish/events.h"
#include "publish/provision.h"
#include "publish/publish.h"
#include "status/status.h"

struct app;
struct cluster;

enum { CLUSTER_MAX_POOL = 64 };

struct cluster_options { /* borrowed */
	bool disabled; /* --no-status */
	const char *lease_ns; /* NULL: the pod's namespace */
	const char *lease_name;
	const char *addresses[MAX_ADDRESSES]; /* where Gateways are reached */
	size_t address_count;
	const char *address_service; /* where they are reached is where it is; NULL: none */
	const char *selector; /* each Gateway has a Service for these pods; NULL: it has none */
	const char *ports;    /* their target ports: "20000-29999" */
	const char *defaults; /* what they are like: {"type":"NodePort"}; NULL: as usual */
	const char *pool[CLUSTER_MAX_POOL]; /* Gateways have addresses of these, and bind them */
	size_t pool_count;
	const char *owner;    /* what they belong to: "deployments/NAME"; NULL: nothing */
};

/* app's source, an API server, must be there already, and outlive the cluster. */
struct cluster *cluster_new(struct app *app, const struct cluster_options *options,
			    struct error *err);
void cluster_free(struct cluster *cluster); /* accepts NULL */

/* Where the Gateways' Services are; empty: they have none. */
struct str cluster_service_ns(const struct cluster *cluster);
/* What Gateways have their addresses of; NULL: there is no pool. */
const struct address_pool *cluster_pool(const struct cluster *cluster);
/* What Services are like unless GatewayParameters say else; NULL: as usual. */
const struct service_parameters *cluster_service_defaults(const struct cluster *cluster);

/* Of the Gateway API's definitions; empty: not known. */
struct str cluster_version(const struct cluster *cluster);

/* Where a Gateway is reached, if it is the cluster's to say: in live, borrowed from addresses.
 * cluster may be NULL. */
void cluster_tell_addresses(const struct cluster *cluster, const struct gateway_view *gateway,
			    struct gateway_address addresses[MAX_ADDRESSES],
			    struct status_live *live);

/* The compiler has made a pass. waiting: over objects of which some are still to come. */
void cluster_passed(struct cluster *cluster, bool waiting);
/* What HAProxy is has changed, or how it fares. */
void cluster_applied(struct cluster *cluster);
/* A frontend cannot be bound, or can be again. */
void cluster_rebound(struct cluster *cluster);
void cluster_gone(struct cluster *cluster, enum kind kind, struct str ns, struct str name);

/* Gives the lead back; stopped() is called when that is done, at once or from the loop. Nothing
 * is written any more, and the source may go. */
void cluster_stop(struct cluster *cluster, void (*stopped)(void *user), void *user);

/* Problems that a person must act on are told as Events: whenever there are other findings, and
 * when cluster_turned(). */
bool cluster_turned(const struct cluster *cluster);
void cluster_problems(struct cluster *cluster, const struct findings *findings);

void cluster_findings(const struct cluster *cluster, struct findings *findings);

struct cluster_state {
	bool leads;
	const char *identity, *holder; /* us; who leads ("": nobody) */
	const char *trouble;	       /* why there is no lead; "" */
	struct publish_stats publish;
	uint64_t requests; /* for the lead, status, Services and Events */
	struct events_stats events;
	struct provision_stats services; /* zero: none are made */
};
void cluster_state(const struct cluster *cluster, struct cluster_state *ret_state);
