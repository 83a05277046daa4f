/* SPDX-License-Identifier: Apache-2.0 */
/* Events (events.k8s.io/v1): what a person must act on, beside the object that it is about.
 *
 * An Event's name follows from what it says and of which object (its UID included), so that one
 * that is created a second time, after a restart or by another leader, is already there. */
#pragma once

#include "base/str.h"

struct json_object;

enum { EVENT_NAME_BYTES = 254, EVENT_NOTE_BYTES = 1024 /* of the API, with the end */ };

struct event { /* borrowed */
	const char *reason; /* CamelCase */
	const char *note;   /* shortened to what the API takes */
	struct str controller, instance; /* who says so */
};

/* What the Event is called that says this of an object, which is as it is stored. */
void event_name(const struct event *event, struct json_object *object,
		char ret_name[EVENT_NAME_BYTES]);

/* To be created. now: "2026-01-31T12:00:00.000000Z". */
struct json_object *event_new(const struct event *event, struct json_object *object,
			      const char *now);

/* A merge patch for the stored Event: it came up so many times more, last now. */
struct json_object *event_repeat(struct json_object *stored, unsigned times, const char *now);
