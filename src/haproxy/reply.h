/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers for what the Runtime API answers. HAProxy has no machine-readable status: whatever
 * is not a known success is a failure, and the caller reads back. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "haproxy/state.h"

/* True when the reply to changing commands holds nothing but known successes; otherwise the
 * first other line is in err. */
bool reply_ok(struct str reply, struct error *err) must_check;

/* HAProxy ends every answer with an empty line, also that of an empty map. The answer of a
 * worker that dies meanwhile does not have it, and what such an answer lacks is not missing in
 * HAProxy. The tables below are checked for it. Fails with ERR_PROTO. */
bool reply_whole(struct str reply, struct error *err) must_check;

struct reply_info {
	struct str version;
	int pid;
	bool stopping;
	uint64_t uptime_s;
	struct str description; /* of the configuration: see render_schema() */
};
bool reply_info(struct str reply, struct reply_info *ret_info, struct error *err) must_check;

struct live_server {
	struct str key; /* BACKEND/SERVER, HAProxy's names */
	struct str address;
	unsigned port, id, admin, weight;
};
enum { ADMIN_MAINT = 0x01, ADMIN_DRAIN = 0x08 }; /* set through the CLI */

/* `show servers state`, in its order: a backend's servers follow each other. Borrows the reply. */
bool reply_servers(struct arena *arena, struct str reply, struct live_server **ret_servers,
		   size_t *ret_count, struct error *err) must_check;

/* `show map FILE`; sorted by key. */
bool reply_map(struct arena *arena, struct str reply, struct image_entry **ret_entries,
	       size_t *ret_count, struct error *err) must_check;

/* `show map`: file -> number of entries, as a map of uintptr_t + 1. */
struct map *reply_map_counts(struct str reply);

/* `show backend`, `show ssl cert`, `show ssl crt-list FILE`: the lines that are not comments. */
size_t reply_lines(struct arena *arena, struct str reply, struct str **ret_lines);

/* `show ssl cert FILE`: the SHA-1 fingerprint; empty when there is none. */
struct str reply_fingerprint(struct str reply);

struct reply_proc {
	int master_pid, worker_pid; /* newest worker; 0: none */
	uint64_t failed;            /* reloads that failed in a row */
};
bool reply_proc(struct str reply, struct reply_proc *ret_proc, struct error *err) must_check;
