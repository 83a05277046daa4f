/* SPDX-License-Identifier: Apache-2.0 */
/* A Gateway's Service, where each Gateway has one: which it is, what HAProxy binds for it, and
 * where the Gateway is reached through it. Inside resolve/ only.
 *
 *   client ──► address:80 ──► Service, port 80 ──► pod, target port 20417 ──► frontend NS.GW.80
 *
 * The replica that leads makes the Service and chooses its target ports; everybody reads them
 * here. */
#pragma once

#include "resolve/listeners.h"

/* Fills service_name and service. */
void service_find(struct gateways_view *view, struct gateway_view *gateway,
		  const struct resolve_options *options);

/* The target port that stands for a listener's; 0: none yet. */
uint16_t service_bind_port(const struct gateway_view *gateway, uint16_t port);

/* What a listener without such a port waits for. */
struct str service_missing(const struct gateways_view *view, const struct gateway_view *gateway);

/* A finding: the port of another's Service is also that of the scope's Gateway. */
void service_port_taken(const struct listener_scope *scope, const struct gateway_view *other,
			uint16_t port, uint16_t bind_port);

/* Fills addresses. A Gateway that has none, or others than it asks for, is not programmed. */
void service_addresses(struct gateways_view *view, struct gateway_view *gateway,
		       const struct resolve_options *options);

/* gateways.c */
bool gateway_rejected(const struct gateway_view *gateway);
