/* SPDX-License-Identifier: Apache-2.0 */
/* Hostnames of listeners and routes, in lower case.
 *
 *   ""                 every host
 *   "*.example.com"    every host that ends in ".example.com" (any number of labels)
 *   "www.example.com"  that host
 */
#pragma once

#include "base/str.h"

bool hostname_is_wildcard(struct str hostname);

/* True when a request for `host` (exact, or "" for none) falls under the hostname. */
bool hostname_covers(struct str hostname, struct str host);

/* The hosts that both have in common are again one hostname, the narrower of the two; false
 * when there are none. ret_hostname borrows from one of the arguments. */
bool hostname_intersect(struct str a, struct str b, struct str *ret_hostname);

/* Most specific first: exact, then wildcards from the longest to the shortest, then "".
 * <0 when a comes first, 0 when they are equally specific. */
int hostname_cmp_specific(struct str a, struct str b);

/* False when the data plane cannot serve it: more than MAX_WILDCARD_LABELS labels behind
 * "*.". */
bool hostname_servable(struct str hostname);
