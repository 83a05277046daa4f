/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing bytes with a sticky error.
 *
 * A reader that runs out, or a writer that has no room, becomes `failed`; from then on reads
 * give zeros and empty slices and writes do nothing, so a caller checks once, at the end.
 * Invariant: at <= end. Every length is compared with what is left before it is used. */
#pragma once

#include "base/str.h"

struct wire_in {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

static inline struct wire_in wire_in_of(struct str bytes)
{
	const uint8_t *p = (const uint8_t *)(bytes.p ? bytes.p : "");
	return (struct wire_in){ p, p + bytes.n, false };
}

static inline size_t wire_left(const struct wire_in *in)
{
	return in->failed ? 0 : (size_t)(in->end - in->at);
}

uint8_t wire_u8(struct wire_in *in);
uint32_t wire_u32(struct wire_in *in); /* big-endian */

/* SPOP's variable-length integer: at most 10 bytes, and nothing above 64 bits. */
uint64_t wire_varint(struct wire_in *in);

struct str wire_bytes(struct wire_in *in, size_t n);
struct str wire_string(struct wire_in *in); /* a varint, then so many bytes */

struct wire_out {
	uint8_t *at;
	uint8_t *end;
	bool failed;
};

static inline struct wire_out wire_out_of(void *buffer, size_t size)
{
	uint8_t *p = buffer;
	return (struct wire_out){ p, p + size, false };
}

static inline size_t wire_room(const struct wire_out *out)
{
	return out->failed ? 0 : (size_t)(out->end - out->at);
}

void wire_put_u8(struct wire_out *out, uint8_t value);
void wire_put_u32(struct wire_out *out, uint32_t value);
void wire_put_varint(struct wire_out *out, uint64_t value);
void wire_put_bytes(struct wire_out *out, struct str bytes);
void wire_put_string(struct wire_out *out, struct str bytes);
