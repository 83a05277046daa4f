/* SPDX-License-Identifier: Apache-2.0 */
/* New weights of a route, as a JSON Patch (RFC 6902) of the object that was read.
 *
 *   test  /spec/rules/2/backendRefs/0           as it was read, weight included
 *   add   /spec/rules/2/backendRefs/0/weight    50
 *
 * The tests make the patch fail as a whole when somebody changed one of those backendRefs since;
 * whatever else changed in the object, its status say, does not matter and stays. */
#pragma once

#include "model/weights.h"

struct json_object;

/* json: the route as it was read, route: the same, decoded. An array, the caller's; empty when
 * all is as it is to be. */
struct json_object *route_patch(const struct weights *weights, const struct object *route,
				struct json_object *json);
