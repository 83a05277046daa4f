/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted choice as decimal prefixes (docs/routing.md, "splits.map").
 *
 *     number drawn: 0 ........ 8 9          TOTAL 10, OFFSET 10
 *     looked up as: 10 ...... 18 19
 *     prefixes:     "" (default)  "19" */
#pragma once

#include "base/arena.h"

struct split_share {
	struct str target;
	uint64_t weight;
};

struct split_entry {
	struct str digits; /* "" is the default, others start with the offset's "1" */
	struct str target;
};

struct split {
	uint64_t total, offset;
	struct split_entry *entries; /* default first */
	size_t count;
	struct split_share *shares; /* what is left of the input, reduced */
	size_t share_count;
};

/* Weight 0 is dropped, equal targets are merged into the first, weights are divided by their
 * greatest common divisor. At least one weight must not be 0. */
void split_make(struct arena *arena, const struct split_share *shares, size_t count,
		struct split *ret_split);
