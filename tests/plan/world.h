/* SPDX-License-Identifier: Apache-2.0 */
/* A small random world of objects for tests and benchmarks: what stands in a slot is a
 * function of the slot and a seed, so that the same world can be built again in another
 * order. */
#pragma once

#include "model/store.h"

struct dice {
	uint64_t state;
};

uint64_t dice_roll(struct dice *dice, uint64_t sides); /* 0..sides-1 */

enum {
	WORLD_CLASSES = 1,
	WORLD_NAMESPACES = 2,
	WORLD_GATEWAYS = 3,
	WORLD_SECRETS = 3,
	WORLD_SERVICES = 5,
	WORLD_GATEWAY_SERVICES = WORLD_GATEWAYS,
	WORLD_SLICES = 6,
	WORLD_BACKENDS = 2,
	WORLD_GRANTS = 2,
	WORLD_ROUTES = 14,
	WORLD_SLOTS = WORLD_CLASSES + WORLD_NAMESPACES + WORLD_GATEWAYS + WORLD_SECRETS +
		      WORLD_SERVICES + WORLD_GATEWAY_SERVICES + WORLD_SLICES + WORLD_BACKENDS +
		      WORLD_GRANTS + WORLD_ROUTES,
};

#define WORLD_SERVICE_NS "gates" /* of the Gateways' Services */

/* The object of a slot; its kind, namespace and name depend on the slot alone. */
struct object *world_object(size_t slot, uint64_t seed);

/* A plain world for benchmarks: route i has a host, a path and a Service of its own. */
struct object *bench_gateway_class(void);
struct object *bench_gateway(void);
struct object *bench_service(size_t i);
struct object *bench_slice(size_t i, unsigned version);
struct object *bench_route(size_t i, unsigned version, size_t services);
