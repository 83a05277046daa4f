/* SPDX-License-Identifier: Apache-2.0 */
/* One listener by itself: protocol, hostname, route kinds, certificates. What depends on its
 * neighbours (conflicts, ports) is gateways.c. Inside resolve/ only. */
#pragma once

#include "resolve/view.h"

/* What a listener is resolved with. */
struct listener_scope {
	struct arena *arena;
	const struct store *store;
	const struct resolve_options *options;
	struct findings *findings;
	struct gateways_view *view; /* its needs grow */
	const struct object *gateway;
};

void listener_resolve(const struct listener_scope *scope, struct listener_view *listener,
		      size_t index);

/* Accepted becomes False, with an error finding for spec.listeners[index].field. The first
 * rejection of a listener stays its reason. text is borrowed. */
void listener_reject(const struct listener_scope *scope, struct listener_view *listener,
		     size_t index, const char *field, const char *reason, struct str text);

bool listener_accepted(const struct listener_view *listener);
