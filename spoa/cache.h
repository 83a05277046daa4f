/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled decision lists, found by their text: the agent's only memory between requests,
 * and one that can be lost at any time. One per thread. Bounded in number and bytes; what has
 * not been used since the clock hand last came by goes first. */
#pragma once

#include "match/list.h"
#include "spoa/stats.h"

struct cache;

struct cache *cache_new(size_t max_count, size_t max_bytes, struct stats *stats);
void cache_free(struct cache *cache); /* accepts NULL */

/* The list of that text, compiled now if it is not there; valid until the next call. NULL
 * with the error of list_compile(). */
struct list *cache_get(struct cache *cache, struct str text, struct error *err);
