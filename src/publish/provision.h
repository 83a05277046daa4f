/* SPDX-License-Identifier: Apache-2.0 */
/* The Services of Gateways, made, kept and removed by the replica that leads.
 *
 *   enabled ──► LIST ──► walk over the Gateways: what is stored against what is wanted
 *                ▲          │ differs: POST, PUT (if nobody has changed it since), DELETE
 *                └── 409 ───┤ then the next; what the watch shows, or a pass, starts it over
 *                           └ refused: a finding, tried again after 15 s; the next all the same
 *
 * One request at a time: target ports are chosen from what is stored, and so nobody gets one
 * twice. */
#pragma once

#include "source/kube_client.h"
#include "status/service.h"

struct provision;

struct provision_ops {
	void *user;
	/* The Gateways as they are; NULL: not known now, provision_mark() follows. */
	const struct gateways_view *(*gateways)(void *user);
	/* Whether the Gateway of that Service, which is not in the view, is not there at all or is
	 * another controller's. When that becomes so, provision_mark() follows. */
	bool (*may_delete)(void *user, struct str service);
};

/* Everything is borrowed. */
struct provision *provision_new(struct ev_loop *loop, struct kube_client *client,
				const struct service_settings *settings,
				const struct provision_ops *ops);
void provision_free(struct provision *provision); /* accepts NULL */

/* Makes Services from now on, or not any more. */
void provision_enable(struct provision *provision, bool enabled);

/* What is wanted may have changed. */
void provision_mark(struct provision *provision);

/* A Service as it is stored, and one that is gone. */
void provision_seen(struct provision *provision, struct json_object *json);
void provision_gone(struct provision *provision, struct str ns, struct str name);

void provision_findings(const struct provision *provision, struct findings *findings);

/* Counts the changes of what provision_findings() has. */
uint64_t provision_news(const struct provision *provision);

struct provision_stats {
	uint64_t writes, conflicts, failures;
};
void provision_stats(const struct provision *provision, struct provision_stats *ret_stats);
