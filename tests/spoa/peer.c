/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/spoa/peer.h"

enum { SET_VAR = 1, SET_VAR_ARGS = 3 };

bool peer_read_disconnect(struct str payload, uint64_t *ret_status, struct str *ret_message)
{
	struct wire_in in = wire_in_of(payload);
	bool status = false, message = false;
	while (wire_left(&in)) {
		struct str name;
		struct spop_data data;
		spop_item_read(&in, &name, &data);
		if (str_is(name, "status-code") && data.type == SPOP_UINT32) {
			*ret_status = data.number;
			status = true;
		} else if (str_is(name, "message") && data.type == SPOP_STRING) {
			*ret_message = data.bytes;
			message = true;
		}
	}
	return !in.failed && status && message;
}

void peer_read_action(struct wire_in *in, struct peer_action *ret_action)
{
	uint8_t action = wire_u8(in), count = wire_u8(in), scope = wire_u8(in);
	if (action != SET_VAR || count != SET_VAR_ARGS || scope > SPOP_RES)
		in->failed = true;
	ret_action->scope = scope;
	ret_action->name = wire_string(in);
	spop_data_read(in, &ret_action->value);
}
