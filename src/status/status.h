/* SPDX-License-Identifier: Apache-2.0 */
/* The status objects of the Gateway API, from views, as structured output.
 *
 * Each function writes one object: what stands below `status` in the API. Conditions carry the
 * generation of their object as observedGeneration. lastTransitionTime belongs to whoever
 * stores a status and can compare it with the one before. */
#pragma once

#include "base/out.h"
#include "resolve/view.h"

/* What the data plane says about what the views ask for. */
struct status_live {
	bool programmed;     /* the last plan is in HAProxy */
	struct str message;  /* when not: why; empty: it is not yet */
	const struct gateway_address *addresses; /* of the Gateway; none: the view's */
	size_t address_count;
	struct str no_address; /* why none is known yet; STR_NONE: one is, or nobody is asked */
	/* Why the data plane cannot have the frontend of a listener; STR_NONE: it can. May be NULL. */
	struct str (*blocked)(void *user, struct str frontend);
	void *user;
};

/* version: of the Gateway API's definitions in the cluster; empty: not known.
 * own_addresses: as in gateways_view. */
void status_class(const struct class_view *class, struct str version, bool own_addresses,
		  struct out *out);

/* live may be NULL: Programmed is then what the views say. The parts of it, which are borrowed from
 * both, are for those who write texts. */
void status_gateway(const struct gateway_view *gateway, const struct status_live *live,
		    struct out *out);
struct conditions status_gateway_conditions(const struct gateway_view *gateway,
					    const struct status_live *live);
struct conditions status_listener_conditions(const struct listener_view *listener,
					     const struct status_live *live);
const struct gateway_address *status_gateway_addresses(const struct gateway_view *gateway,
						       const struct status_live *live,
						       size_t *ret_count);

void status_route(const struct route_view *route, struct str controller_name, struct out *out);

/* Of our own kinds. refusal: what is wrong with that generation; NULL: nothing. */
void status_verdict(const struct findings *refusal, int64_t generation, struct str controller_name,
		    struct out *out);
