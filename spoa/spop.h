/* SPDX-License-Identifier: Apache-2.0 */
/* SPOP 2.0, the protocol between HAProxy and its agents: bytes <-> structs on the agent's side,
 * no I/O.
 *
 *   length u32 | type u8 | flags u32 | stream varint | frame varint | payload
 *              `------------------------ length bytes ------------------------'
 *
 *   HELLO, DISCONNECT: *( name string, typed value )
 *   NOTIFY:            *( message name string, argument count u8, *( name string, value ) )
 *   ACK:               *( action u8, argument count u8, arguments )
 *
 * Everything read borrows the bytes it was read from. */
#pragma once

#include "base/error.h"
#include "spoa/wire.h"

enum {
	SPOP_LENGTH_BYTES = 4,
	SPOP_MIN_FRAME_BYTES = 7,   /* type, flags, two ids */
	SPOP_MIN_MAX_FRAME = 256,   /* the least that may be negotiated */
};

enum spop_type {
	SPOP_UNSET = 0, /* continues a fragmented frame */
	SPOP_HAPROXY_HELLO = 1,
	SPOP_HAPROXY_DISCONNECT = 2,
	SPOP_NOTIFY = 3,
	SPOP_AGENT_HELLO = 101,
	SPOP_AGENT_DISCONNECT = 102,
	SPOP_ACK = 103,
};

enum { SPOP_FIN = 1, SPOP_ABORT = 2 };

/* Status codes of DISCONNECT. */
enum spop_status {
	SPOP_NORMAL = 0,
	SPOP_IO = 1,
	SPOP_TIMEOUT = 2,
	SPOP_TOO_BIG = 3,
	SPOP_INVALID = 4,
	SPOP_NO_VERSION = 5,
	SPOP_NO_FRAME_SIZE = 6,
	SPOP_NO_CAPABILITIES = 7,
	SPOP_BAD_VERSION = 8,
	SPOP_BAD_FRAME_SIZE = 9,
	SPOP_FRAGMENTED = 10,
	SPOP_INTERLACED = 11,
	SPOP_NO_FRAME_ID = 12,
	SPOP_RESOURCES = 13,
	SPOP_UNKNOWN = 99,
};

/* "payload fragmentation is not supported"; never NULL. */
const char *spop_status_text(enum spop_status status);

struct spop_frame {
	enum spop_type type;
	uint32_t flags;
	uint64_t stream_id, frame_id;
	struct str payload;
};

/* A frame without its length field. False: too short for a frame. */
bool spop_frame_read(struct str bytes, struct spop_frame *ret_frame) must_check;

/* Writes everything before the payload; returns the mark for spop_end(), which fills in the
 * length once the payload is written. */
uint8_t *spop_begin(struct wire_out *out, enum spop_type type, uint64_t stream_id,
		    uint64_t frame_id);
void spop_end(struct wire_out *out, uint8_t *mark);

enum spop_data_type {
	SPOP_NULL = 0,
	SPOP_BOOL,
	SPOP_INT32,
	SPOP_UINT32,
	SPOP_INT64,
	SPOP_UINT64,
	SPOP_IPV4,
	SPOP_IPV6,
	SPOP_STRING,
	SPOP_BINARY,
};

struct spop_data {
	enum spop_data_type type;
	bool boolean;
	uint64_t number;  /* all integers; signed ones in two's complement */
	struct str bytes; /* addresses (4 or 16 bytes), strings, binaries */
};

void spop_data_read(struct wire_in *in, struct spop_data *ret_data);
void spop_data_write(struct wire_out *out, const struct spop_data *data);

/* A named value: an argument of a message, an item of HELLO and DISCONNECT. */
void spop_item_read(struct wire_in *in, struct str *ret_name, struct spop_data *ret_data);
void spop_item_write(struct wire_out *out, const char *name, const struct spop_data *data);

/* HELLO of both sides: `versions` is a list from HAProxy, one from an agent. */
struct spop_hello {
	struct str versions;
	uint64_t max_frame_bytes;
	struct str capabilities;
	struct str engine_id; /* HAProxy's; may be empty */
	bool healthcheck;     /* HAProxy's */
};

/* SPOP_NORMAL, or why the peer must be disconnected. Checks what is present and its type,
 * not what it says. */
enum spop_status spop_hello_read(struct str payload, struct spop_hello *ret_hello);
void spop_agent_hello_write(struct wire_out *out, const struct spop_hello *hello);

/* True when the comma-separated list has that item. */
bool spop_list_has(struct str list, const char *item);

/* type: SPOP_HAPROXY_DISCONNECT or SPOP_AGENT_DISCONNECT. */
void spop_disconnect_write(struct wire_out *out, enum spop_type type, enum spop_status status);

/* One message of a NOTIFY; its arguments follow as items. */
struct spop_message {
	struct str name;
	uint8_t arg_count;
};
void spop_message_read(struct wire_in *in, struct spop_message *ret_message);

enum spop_scope { SPOP_PROC = 0, SPOP_SESS, SPOP_TXN, SPOP_REQ, SPOP_RES };

/* One action of an ACK. */
void spop_set_var_write(struct wire_out *out, enum spop_scope scope, const char *name,
			const struct spop_data *value);
