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
	struct str message;  /* when not: why */
	const struct gateway_address *addresses; /* of the Gateway; none: the view's */
	size_t address_count;
	struct str no_address; /* why none is known yet; STR_NONE: one is, or nobody is asked */
	/* Why the data plane cannot have the frontend of a listener; STR_NONE: it can. May be NULL. */
	struct str (*blocked)(void *user, struct str frontend);
	void *user;
};

/* version: of the Gateway API's definitions in the cluster; empty: not known.
 * own_addresses: each Gateway has addresses of its own, and so can do more. */
void status_class(const struct class_view *class, struct str version, bool own_addresses,
		  struct out *out);

/* live may be NULL: Programmed is then what the views say. */
void status_gateway(const struct gateway_view *gateway, const struct status_live *live,
		    struct out *out);

void status_route(const struct route_view *route, struct str controller_name, struct out *out);

/* Of our own kinds. refusal: what is wrong with that generation; NULL: nothing. */
void status_verdict(const struct findings *refusal, int64_t generation, struct str controller_name,
		    struct out *out);
