/* SPDX-License-Identifier: Apache-2.0 */
/* Which replica writes: the holder of a Lease.
 *
 *   follower ──(no Lease, a released one, or 15 s without a renewal that we saw)──► leader
 *      ▲                                                                             │ renews
 *      └───────── another has it, or 10 to 12 s without a renewal of ours ───────────┘ every 2 s
 *
 * Ages are measured with our own clock, from when a renewal was seen: clocks of replicas may
 * differ. A follower asks every 2 s, and a leader looks as often how old its renewal is. */
#pragma once

#include "source/kube_client.h"

struct json_object;
struct leader;

struct leader_options { /* borrowed */
	const char *ns, *name; /* of the Lease */
	const char *identity;
};

/* The client is its own: what an API server answers to others (429) must not hold a renewal back.
 * changed() is called from the loop when leader_leads() or the trouble changes. Starts at once. */
struct leader *leader_new(struct ev_loop *loop, struct kube_client *client,
			  const struct leader_options *options, void (*changed)(void *user),
			  void *user);
void leader_free(struct leader *leader); /* without a release; accepts NULL */

bool leader_leads(const struct leader *leader);
const char *leader_holder(const struct leader *leader); /* who leads, as last seen; "": nobody */
const char *leader_trouble(const struct leader *leader); /* why the Lease cannot be used; "" */

/* Its next renewal makes the Lease belong to this object, an ownerReference. Borrowed. */
void leader_own(struct leader *leader, struct json_object *owner);

/* Does not lead any more, and gives the Lease back so that another replica need not wait for its
 * end. done() is called from the loop, or from here, after at most 2 s. */
void leader_release(struct leader *leader, void (*done)(void *user), void *user);
