/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's threads and connections.
 *
 *   main thread:  signals, statistics socket
 *   worker 1..N:  a loop, a cache, counters and the connections it accepted; all accept from
 *                 the same listening socket and share nothing else
 *
 * A connection's memory is reserved when it is accepted. A peer that lies, stalls or does not
 * read costs its own connection and nothing more. */
#pragma once

#include "spoa/log.h"
#include "spoa/stats.h"

struct server_options {
	const char *listen;       /* an address of spoa/listen.h */
	const char *stats_socket; /* a path; NULL: none */
	unsigned threads;
	size_t max_frame_bytes;
	unsigned max_connections; /* over all threads */
	unsigned hello_timeout_s; /* also for the rest of a frame, and for reading answers */
	unsigned idle_timeout_s;
	unsigned cache_lists;
	size_t cache_bytes; /* of each thread */
	bool pipelining;
	struct log log;
};

/* Serves until SIGTERM or SIGINT: then says good-bye on each connection, waits at most a
 * second for the peers, and returns true. False: could not start. */
bool server_run(const struct server_options *options, struct error *err) must_check;
