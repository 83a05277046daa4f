/* SPDX-License-Identifier: Apache-2.0 */
/* From a NOTIFY to its ACK: the message "decide" has a list and a request; the answer sets
 * txn.PREFIX.route to the verdict.
 *
 *   list     string   the text of the list (match/list.h)
 *   method   string
 *   path     string   without the query
 *   query    string, or null
 *   headers  binary   req.hdrs_bin: ( name, value )*, then an empty pair; each a varint
 *                     length and its bytes
 *
 * Fails closed: whatever is wrong, the ACK comes without the variable, HAProxy answers 503,
 * and a counter says why. */
#pragma once

#include "match/request.h"
#include "spoa/cache.h"
#include "spoa/spop.h"

enum {
	/* With pipelining, 20 streams share a connection, and HAProxy 3.2 to 3.5 never reads a
	 * connection again on which more than its buffer (16 KiB) of ACKs arrives at once. */
	ACK_MAX_BYTES = 744,
	VERDICT_MAX_BYTES = 680, /* leaves room for the frame around it */
	DECISION_MAX_MS = 100,   /* for all regular expressions together: others wait behind it */
};

struct decider {
	struct cache *cache; /* borrowed, as is stats */
	struct stats *stats;
	uint64_t (*clock_ns)(void); /* NULL: times are not measured, and not limited */
	struct error last_error;    /* of the latest request that got no verdict */
	struct request request;
};

/* Writes one ACK of at most ACK_MAX_BYTES. False when the payload of the frame cannot be
 * read as messages: nothing is written, and the peer should be disconnected. */
bool decider_notify(struct decider *decider, const struct spop_frame *frame,
		    struct wire_out *out) must_check;

/* Decodes req.hdrs_bin; false with ERR_SYNTAX or ERR_LIMIT. */
bool decide_headers(struct str binary, struct request *request, struct error *err) must_check;
