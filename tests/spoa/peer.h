/* SPDX-License-Identifier: Apache-2.0 */
/* HAProxy's side of SPOP: reads what an agent writes. */
#pragma once

#include "spoa/spop.h"

/* False: not whole, or without a status or a message. */
bool peer_read_disconnect(struct str payload, uint64_t *ret_status,
			  struct str *ret_message) must_check;

/* One action of an ACK: a set-var, or the bytes are bad. */
struct peer_action {
	enum spop_scope scope;
	struct str name;
	struct spop_data value;
};
void peer_read_action(struct wire_in *in, struct peer_action *ret_action);
