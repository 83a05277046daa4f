/* SPDX-License-Identifier: Apache-2.0 */
/* Parents of a route: which listeners of which Gateways take it. Inside resolve/ only. */
#pragma once

#include "resolve/view.h"

/* Fills view->parents with Accepted conditions and attachments, as if the route's rules were
 * all good. Findings for parents that do not take the route. */
void route_attach(const struct gateways_view *gateways, struct route_view *view);
