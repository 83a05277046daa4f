/* SPDX-License-Identifier: Apache-2.0 */
/* One thread of the agent: spoa/server.h has the picture. */
#pragma once

#include <stdatomic.h>

#include "spoa/server.h"

struct worker;

/* Shared by all workers; outlives them. */
struct worker_shared {
	const struct server_options *options;
	int listen_fd;
	atomic_uint connections;
};

/* Starts the thread. NULL: failed. */
struct worker *worker_start(struct worker_shared *shared, struct error *err);

/* Asks the thread to end; from any thread. */
void worker_stop(struct worker *worker);

/* Waits for the thread and frees it. */
void worker_join(struct worker *worker);

const struct stats *worker_stats(const struct worker *worker);
