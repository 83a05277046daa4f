/* SPDX-License-Identifier: Apache-2.0 */
/* Which findings become Events: errors of GatewayClasses and Gateways of ours, of routes to them,
 * and of Backends; and certificates that have expired, which are served, but which no client
 * likes. */
#pragma once

#include "model/finding.h"

struct app;
struct events;

/* Gives the whole set. failing: why HAProxy is not what the Gateways ask for; "": it is. */
void problems_tell(struct events *events, const struct app *app, const struct findings *findings,
		   const char *failing);
