/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks: one that only goes on, and the one on the wall. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* Seconds since some moment, which never jump, unlike those of ev_time() and ev_now(): for pauses
 * and ages. */
static inline double clock_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Likewise in milliseconds; never 0. */
static inline int64_t clock_ms(void)
{
	return (int64_t)(clock_s() * 1000.0) + 1;
}

enum { CLOCK_TEXT_BYTES = 40 };

/* A MicroTime of Kubernetes: "2026-11-25T10:00:00.000000Z". */
static inline void clock_text(char ret_text[CLOCK_TEXT_BYTES])
{
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	size_t n = strftime(ret_text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S",
			    gmtime_r(&ts.tv_sec, &tm));
	snprintf(ret_text + n, CLOCK_TEXT_BYTES - n, ".%06ldZ", ts.tv_nsec / 1000);
}
