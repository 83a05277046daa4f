/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent counts. Each thread has its own set, which only it writes; readers add the
 * sets up. The printed form is one "name value" a line, sums over all threads:
 *
 *     requests 1042
 *     error_bad_list 0
 *     processing_us_le_10 998          cumulative, like a Prometheus histogram
 *     processing_us_le_inf 1042
 *     processing_us_sum 5310
 */
#pragma once

#include <stdatomic.h>

#include "base/sb.h"

/* X(identifier in C, name in text) */
#define STATS(X)                                                                                   \
	X(FRAMES_IN, "frames_received")                                                            \
	X(FRAMES_OUT, "frames_sent")                                                               \
	X(REQUESTS, "requests")                                                                    \
	X(VERDICTS, "verdicts")                                                                    \
	X(NO_MATCH, "no_match")                                                                    \
	X(REGEX_LIMITS, "regex_limits")                                                            \
	X(CACHE_HITS, "cache_hits")                                                                \
	X(CACHE_MISSES, "cache_misses")                                                            \
	X(CACHE_EVICTIONS, "cache_evictions")                                                      \
	X(HEALTHCHECKS, "healthchecks")                                                            \
	X(ACCEPTED, "connections_accepted")                                                        \
	X(CLOSED, "connections_closed")                                                            \
	X(REFUSED, "connections_refused")                                                          \
	X(BAD_LIST, "error_bad_list")                                                              \
	X(BAD_ARGUMENTS, "error_bad_arguments")                                                    \
	X(BAD_HEADERS, "error_bad_headers")                                                        \
	X(UNKNOWN_MESSAGE, "error_unknown_message")                                                \
	X(LONG_VERDICT, "error_long_verdict")                                                      \
	X(SLOW_LIST, "error_slow_list")                                                            \
	X(BAD_HELLO, "error_bad_hello")                                                            \
	X(BAD_FRAME, "error_bad_frame")                                                            \
	X(BIG_FRAME, "error_big_frame")                                                            \
	X(FRAGMENT, "error_fragmented_frame")                                                      \
	X(TIMEOUT, "error_timeout")                                                                \
	X(IO, "error_io")                                                                          \
	X(TIME_SUM_US, "processing_us_sum")

enum stat_id {
#define X(id, name) STAT_##id,
	STATS(X)
#undef X
	STAT_COUNT
};

enum { STAT_BUCKETS = 12 }; /* the last one is infinite */

struct stats {
	_Atomic uint64_t counters[STAT_COUNT];
	_Atomic uint64_t buckets[STAT_BUCKETS];
	uint64_t rest_ns; /* not yet a whole microsecond of the sum */
};

/* By the owning thread only. */
void stats_add(struct stats *stats, enum stat_id stat, uint64_t n);
void stats_time(struct stats *stats, uint64_t elapsed_ns);

/* By any thread. */
uint64_t stats_get(const struct stats *stats, enum stat_id stat);
void stats_print(const struct stats *const *sets, size_t count, struct sb *out);
