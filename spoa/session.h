/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's side of SPOP: bytes in, bytes out, no I/O and no clock.
 *
 *   HELLO ──hello──► OPEN ──disconnect, stop, error──► CLOSING
 *     └──────────── health check, error ────────────────┘
 *
 * CLOSING: what is in the output is the last; send it, then close. */
#pragma once

#include "spoa/decide.h"

enum {
	SESSION_ANSWER_BYTES = 1024, /* room that the answer to any frame needs */
	/* With frames below this, 20 pipelined ACKs could fill HAProxy's buffer. */
	PIPELINING_MIN_FRAME = 20 * ACK_MAX_BYTES,
};

enum session_state { SESSION_HELLO = 0, SESSION_OPEN, SESSION_CLOSING };

struct session {
	enum session_state state;
	size_t max_frame_bytes; /* ours, then what was agreed on */
	bool pipelining;        /* offered */
	struct decider *decider;
	enum spop_status status; /* why CLOSING */
};

void session_init(struct session *session, struct decider *decider, size_t max_frame_bytes,
		  bool pipelining);

/* Answers the whole frames at the start of `bytes` as long as `out` has SESSION_ANSWER_BYTES
 * of room; returns how many bytes were used up. Must not be called with the same bytes again
 * unless it used up some or `out` has been emptied. */
size_t session_feed(struct session *session, struct str bytes, struct wire_out *out);

/* Says good-bye. Needs SESSION_ANSWER_BYTES of room; does nothing when already CLOSING. */
void session_stop(struct session *session, enum spop_status status, struct wire_out *out);
