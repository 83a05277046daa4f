/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that Gateways are given, where no load balancer gives them any: what
 * --address-pool says.
 *
 *   192.0.2.10               one
 *   192.0.2.0/28             those of hosts: 192.0.2.1 to .14, without the network's own and the
 *                            broadcast address
 *   2001:db8::10-2001:db8::1f   all, both ends included
 *
 * Addresses are texts as inet_ntop() writes them. */
#pragma once

#include "base/arena.h"

enum { POOL_MAX_RANGES = 64, POOL_ADDRESS_BYTES = 16 };

struct address_range { /* in network order, both ends included */
	unsigned char first[POOL_ADDRESS_BYTES], last[POOL_ADDRESS_BYTES];
	size_t bytes; /* of an address: 4 or 16 */
};

struct address_pool {
	struct address_range ranges[POOL_MAX_RANGES];
	size_t count;
};

/* Adds "ADDRESS", "CIDR" or "FIRST-LAST". Fails with ERR_SYNTAX, or ERR_LIMIT. */
bool pool_add(struct address_pool *pool, struct str text, struct error *err) must_check;

bool pool_has(const struct address_pool *pool, struct str ip);

/* A walk over all addresses, range by range; starts zeroed. */
struct pool_walk {
	size_t range;
	bool inside; /* `at` is the one that was given last */
	unsigned char at[POOL_ADDRESS_BYTES];
};

/* The next one, in the arena; false: that was all. */
bool pool_next(const struct address_pool *pool, struct pool_walk *walk, struct arena *arena,
	       struct str *ret_ip);
