/* SPDX-License-Identifier: Apache-2.0 */
/* Names of Backend objects, resolved by c-ares as their TTLs run out.
 *
 * When DNS fails a name keeps its last addresses, also when it fails for one of IPv4 and IPv6
 * alone; retries back off up to 30 s. A TTL below
 * 1 s counts as 1 s, above 1 h as 1 h. /etc/hosts is honoured. */
#pragma once

#include "resolve/view.h"

struct ev_loop;
struct dns;

/* servers: "127.0.0.1:5353,..." or NULL for /etc/resolv.conf. changed() is called from the
 * loop when a name's set of addresses has changed; it may call dns_lookup(), nothing else. */
struct dns *dns_new(struct ev_loop *loop, const char *servers,
		    void (*changed)(void *user, struct str host), void *user, struct error *err);
void dns_free(struct dns *dns); /* accepts NULL */

/* The whole set of names to follow, sorted; names not in it are forgotten. */
void dns_follow(struct dns *dns, const struct str *hosts, size_t count);

/* A lookup_fn; user is the struct dns. */
bool dns_lookup(void *dns, struct str host, struct name_addresses *ret_addresses);

struct dns_stats {
	uint64_t names, queries, failures;
};
void dns_stats(const struct dns *dns, struct dns_stats *ret_stats);
