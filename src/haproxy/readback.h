/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what HAProxy answers with what it must be: differences as text for people, and the
 * commands that repair them. Comparing also learns: places of backends and ids of servers are
 * taken from HAProxy, so a controller that finds a running HAProxy knows it afterwards. */
#pragma once

#include "haproxy/command.h"
#include "haproxy/reply.h"

struct readback {
	struct state *state;
	struct sb *differences;    /* a line each; may be NULL */
	struct commands *commands; /* repairs; NULL: only compare (state is not changed) */
	/* What takes something away, to be sent after the repairs: first everything points
	 * elsewhere. NULL: among the commands. */
	struct commands *removals;
	/* What lends spares to backends, to be sent after their servers. NULL: likewise. */
	struct commands *lends;
	int64_t record_due_ms; /* until when an unknown record stays: requests may be on it */
	size_t found;
	bool need_reload; /* something only a reload repairs: no spare, a missing map */
	int64_t server_due_ms; /* until when a server that is leaving stays */
	/* Gets the names of backends that HAProxy has and the plan has not; NULL: not wanted. */
	struct map *strays;
};

/* `show backend` and `show map spare.map`: learns and repairs places. Call it first. */
bool readback_backends(struct readback *readback, struct str backends, struct str spares,
		       struct error *err) must_check;
bool readback_servers(struct readback *readback, struct str reply, struct error *err) must_check;
bool readback_map(struct readback *readback, const struct image_map *want, struct str reply,
		  struct error *err) must_check;
/* `show map`: calls `suspect` for each file whose number of entries is wrong. */
void readback_counts(struct readback *readback, const struct image *image, struct str reply,
		     void (*suspect)(void *user, struct str file), void *user);

/* A certificate: `present` from `show ssl cert`, fingerprint of `show ssl cert FILE`. */
void readback_cert(struct readback *readback, struct str path, struct str pem, bool present,
		   struct str fingerprint);
/* One that nobody has committed; while it is open, no other certificate can be changed. */
void readback_transaction(struct readback *readback, struct str path);
/* `show ssl crt-list -n FILE` of a frontend. */
void readback_crt_list(struct readback *readback, struct str frontend, struct str reply);

/* SHA-1 of the first certificate of a PEM, as HAProxy prints it; false when there is none. */
bool readback_pem_fingerprint(struct str pem, char ret_hex[41]);
