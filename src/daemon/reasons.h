/* SPDX-License-Identifier: Apache-2.0 */
/* Why HAProxy was reloaded, and how often. Each reason is a label of a metric, so that there is a
 * limit to how many are told apart: what comes after is counted under one, "other reasons". The
 * counts always add up to all reloads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MAX_RELOAD_REASONS = 64, REASON_BYTES = 160 };

struct reasons {
	struct {
		char text[REASON_BYTES];
		uint64_t count;
	} items[MAX_RELOAD_REASONS]; /* in the order in which they were seen first */
	size_t count;
};

/* Counts one; a longer text is cut. All zero is none. */
void reasons_add(struct reasons *reasons, const char *text);
