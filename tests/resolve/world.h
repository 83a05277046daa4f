/* SPDX-License-Identifier: Apache-2.0 */
/* A small world for tests: objects from JSON text (single quotes allowed), resolved. */
#pragma once

#include "base/sb.h"
#include "model/store.h"
#include "resolve/view.h"

enum { WORLD_NOW_S = 1700000000, WORLD_MAX_ROUTES = 16 };

struct world {
	struct store *store;
	struct resolve_options options;
	struct gateways_view *gateways;
	struct route_view *routes[WORLD_MAX_ROUTES]; /* all, by kind, namespace, name */
	size_t route_count;
};

/* With the GatewayClass "tidegate". cmocka set-up and tear-down; *state is the world. */
int world_setup(void **state);
int world_teardown(void **state);

/* One object; must decode without errors. */
void world_put(struct world *world, const char *json);
/* meta: "'name':'gw'", plus whatever else; the rest of the spec follows its opening. */
void world_gateway(struct world *world, const char *meta, const char *listeners,
		   const char *more);
/* The Gateway "theirs", of another controller. */
void world_foreign_gateway(struct world *world);
void world_route(struct world *world, const char *meta, const char *spec);
/* A Service with port 80 (and one ready pod 10.0.0.1:8080 when has_pod). */
void world_service(struct world *world, const char *ns, const char *name, const char *port_more,
		   bool has_pod);
void world_secret(struct world *world, const char *ns, const char *name, const char *dns_name,
		  int64_t not_before_s, int64_t not_after_s);

/* Makes all views anew, and counts attached routes. */
void world_resolve(struct world *world);

struct listener_view *world_listener(struct world *world, const char *ns, const char *gateway,
				     size_t index);
const struct route_view *world_find_route(const struct world *world, const char *ns,
					  const char *name);

/* Fails the test with a readable message. */
void assert_condition(const struct conditions *conditions, const char *type, bool status,
		      const char *reason);
void assert_finding(const struct findings *findings, const char *field, const char *reason);
void assert_mentions(struct str text, const char *part);
