/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of an object's status, and what it is to be.
 *
 * Ours in a status are the conditions of the types that we set (wherever they stand), the
 * addresses and listeners of a Gateway, the supportedFeatures of a class, and those entries of a
 * route's parents, and of the controllers of our own kinds, that have our controllerName.
 * Everything else belongs to others and is kept.
 *
 * lastTransitionTime is not compared: it follows from the rest. */
#pragma once

#include "model/model.h"

struct json_object;

enum { STATUS_SUM_BYTES = 16 };

/* A digest of what is ours in a status (NULL: there is none), whatever the order of its keys.
 * Two that are equal need no write. */
void status_sum(enum kind kind, struct json_object *status, struct str controller,
		unsigned char ret_sum[STATUS_SUM_BYTES]);

/* Makes `wanted` what to store: takes over from `stored` (NULL: nothing) what is not ours, and
 * the transition times of conditions that stay as they are; the others get `now`. */
void status_merge(enum kind kind, struct json_object *wanted, struct json_object *stored,
		  struct str controller, const char *now);
