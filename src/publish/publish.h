/* SPDX-License-Identifier: Apache-2.0 */
/* Status, written to the API server.
 *
 *   mark ──► queue ──► as the watch last showed it? ── yes: nothing to do
 *              ▲                    │ no
 *              │          GET, if something is stored there, and merge
 *              │                    ▼
 *              └── 409, ... ── PATCH of /status, all of the object's conditions in one, only if
 *                             nobody has changed the object since (its resourceVersion), nor
 *                             before what it was made of: a pass over that is to come, then, and
 *                             marks it again
 *
 * Of what is stored only a digest of our own part is kept for each object. An object is written
 * at most once a second; requests have a client apart from the watches' and the Lease's, with its
 * own bounds, so that they never stand in the way of those. */
#pragma once

#include "base/out.h"
#include "model/finding.h"
#include "source/kube_client.h"

struct json_object;
struct publisher;

enum publish_answer {
	PUBLISH_NOTHING = 0, /* gone, or not ours */
	PUBLISH_LATER,	     /* asks again soon */
	PUBLISH_NOW,
};

/* What of the object a status was made of. */
struct publish_basis {
	int64_t generation;
	uint64_t record; /* see record() */
};

struct publish_ops {
	void *user;
	/* Writes what is to stand below `status`. */
	enum publish_answer (*render)(void *user, enum kind kind, struct str ns, struct str name,
				      struct out *out, struct publish_basis *ret_basis);
	/* A digest of what render() reads of a stored status (NULL: there is none). */
	uint64_t (*record)(void *user, enum kind kind, struct json_object *status);
	/* Appends the object's path in the API; false when there is none. */
	bool (*path)(void *user, enum kind kind, struct str ns, struct str name, struct sb *sb);
};

extern const struct kube_limits publish_limits; /* for the client */

/* Everything is borrowed. */
struct publisher *publisher_new(struct ev_loop *loop, struct kube_client *client,
				struct str controller_name, const struct publish_ops *ops);
void publisher_free(struct publisher *publisher); /* accepts NULL */

/* An object as it is stored; also when we do not write. */
void publisher_seen(struct publisher *publisher, enum kind kind, struct json_object *json);
void publisher_gone(struct publisher *publisher, enum kind kind, struct str ns, struct str name);

/* Writes from now on, or not any more; what was marked before is forgotten. */
void publisher_enable(struct publisher *publisher, bool enabled);
bool publisher_enabled(const struct publisher *publisher);

/* What is to be said of the object may have changed. */
void publisher_mark(struct publisher *publisher, enum kind kind, struct str ns, struct str name);
/* Likewise of every object of our own kinds that was seen. What is said of one follows from it
 * alone, so publisher_seen() marks it as well. */
void publisher_mark_our_kinds(struct publisher *publisher);

/* Kinds whose status cannot be written, and why. */
void publisher_findings(const struct publisher *publisher, struct findings *findings);

struct publish_stats {
	uint64_t writes, conflicts, failures;
	uint64_t pending; /* objects */
};
void publisher_stats(const struct publisher *publisher, struct publish_stats *ret_stats);
