/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of objects, told as Events.
 *
 *   begin, add ..., end: what is wrong now
 *
 *   new ──► queue ──► GET the object, POST the Event ──► told
 *             ▲                                           │ over and back, or half an hour old
 *             └───────────────────────────────────────────┘ (then: GET the Event, PATCH its count,
 *                                                             unless the object is another one)
 *
 * One at a time, at most four a second, and each at most once a minute. What is over before its
 * turn is not told at all. Problems are kept, told or not, while another replica leads. */
#pragma once

#include "model/model.h"
#include "source/kube_client.h"

struct events;
struct sb;

struct events_ops {
	void *user;
	/* Appends the path of an object in the API; false when there is none. */
	bool (*path)(void *user, enum kind kind, struct str ns, struct str name, struct sb *sb);
	/* Events may not be written; it is told only once until they may. */
	void (*refused)(void *user, struct str why);
};

/* Everything is borrowed. instance: of this process. */
struct events *events_new(struct ev_loop *loop, struct kube_client *client, struct str controller,
			  struct str instance, const struct events_ops *ops);
void events_free(struct events *events); /* accepts NULL */

/* Tells from now on, or not any more. */
void events_enable(struct events *events, bool enabled);

/* The whole set of problems. reason and note are copied. */
void events_begin(struct events *events);
void events_add(struct events *events, enum kind kind, struct str ns, struct str name,
		struct str reason, struct str note);
void events_end(struct events *events);

/* The object is gone: another of that name has not been told of. */
void events_gone(struct events *events, enum kind kind, struct str ns, struct str name);

struct events_stats {
	uint64_t created, repeated, failures;
};
void events_stats(const struct events *events, struct events_stats *ret_stats);
