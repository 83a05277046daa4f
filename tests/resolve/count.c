/* SPDX-License-Identifier: Apache-2.0 */
#include "count.h"

static bool is_attached(const struct route_view *route, const struct listener_view *listener)
{
	for (size_t i = 0; i < route->parent_count; i++) {
		for (size_t k = 0; k < route->parents[i].attachment_count; k++) {
			if (route->parents[i].attachments[k].listener == listener)
				return true;
		}
	}
	return false;
}

static void count_listener(struct listener_view *listener, const struct route_view *const *routes,
			   size_t route_count)
{
	listener->attached_routes = 0;
	for (size_t i = 0; i < route_count; i++)
		listener->attached_routes += is_attached(routes[i], listener);
}

void count_attached(struct gateways_view *gateways, const struct route_view *const *routes,
		    size_t route_count)
{
	for (size_t i = 0; i < gateways->gateway_count; i++) {
		struct gateway_view *gateway = &gateways->gateways[i];
		for (size_t k = 0; k < gateway->listener_count; k++)
			count_listener(&gateway->listeners[k], routes, route_count);
	}
}
