/* SPDX-License-Identifier: Apache-2.0 */
/* The object that what we make belongs to, our own Deployment or DaemonSet: when it is removed,
 * the cluster removes the rest. It is read once, for its uid. */
#pragma once

#include "model/finding.h"
#include "source/kube_client.h"

struct json_object;
struct owner;

/* text: "deployments/NAME" or "daemonsets/NAME", borrowed. changed() is called from the loop when
 * it is known, or known not to be readable. NULL with ERR_SYNTAX. */
struct owner *owner_new(struct ev_loop *loop, struct kube_client *client, const char *ns,
			const char *text, void (*changed)(void *user), void *user,
			struct error *err);
void owner_free(struct owner *owner); /* accepts NULL */

/* Asks, unless it is known; again every 15 s if it could not be read. */
void owner_look(struct owner *owner);

/* There has been an answer. */
bool owner_asked(const struct owner *owner);
/* An ownerReference; NULL: not known. The owner's. */
struct json_object *owner_reference(const struct owner *owner);

void owner_findings(const struct owner *owner, struct findings *findings);
