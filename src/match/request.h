/* SPDX-License-Identifier: Apache-2.0 */
/* A request as routing sees it: borrowed slices, no copy. */
#pragma once

#include "base/str.h"

struct request_header {
	struct str name; /* compared without case */
	struct str value;
};

enum { MAX_REQUEST_HEADERS = 128 }; /* HAProxy's tune.http.maxhdr is 101 */

struct request {
	struct str method;
	struct str path;  /* without the query; as received */
	struct str query; /* without "?"; may be empty */
	struct request_header headers[MAX_REQUEST_HEADERS];
	size_t header_count;
	/* With a clock: from this time on, no regular expression is tried. */
	uint64_t (*clock_ns)(void);
	uint64_t deadline_ns;
};
