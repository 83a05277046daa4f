/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/wire.h"

static bool has(struct wire_in *in, size_t n)
{
	if (in->failed || n > (size_t)(in->end - in->at))
		in->failed = true;
	return !in->failed;
}

uint8_t wire_u8(struct wire_in *in)
{
	return has(in, 1) ? *in->at++ : 0;
}

uint32_t wire_u32(struct wire_in *in)
{
	if (!has(in, 4))
		return 0;
	const uint8_t *p = in->at;
	in->at += 4;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first byte carries 4 bits when it is 240 or more; then 7 bits a byte, each added to
 * what is there, so that every number has one form. */
uint64_t wire_varint(struct wire_in *in)
{
	uint64_t value = wire_u8(in);
	if (value < 240)
		return value;
	for (unsigned shift = 4; !in->failed; shift += 7) {
		uint64_t byte = wire_u8(in);
		uint64_t part = byte << shift;
		if (shift > 60 || part >> shift != byte || value + part < value) {
			in->failed = true;
			break;
		}
		value += part;
		if (byte < 128)
			return in->failed ? 0 : value;
	}
	return 0;
}

struct str wire_bytes(struct wire_in *in, size_t n)
{
	if (!has(in, n))
		return STR_NONE;
	struct str bytes = { (const char *)in->at, n };
	in->at += n;
	return bytes;
}

struct str wire_string(struct wire_in *in)
{
	uint64_t n = wire_varint(in);
	if (n > SIZE_MAX)
		in->failed = true;
	return wire_bytes(in, (size_t)n);
}

static bool fits(struct wire_out *out, size_t n)
{
	if (out->failed || n > (size_t)(out->end - out->at))
		out->failed = true;
	return !out->failed;
}

void wire_put_u8(struct wire_out *out, uint8_t value)
{
	if (fits(out, 1))
		*out->at++ = value;
}

void wire_put_u32(struct wire_out *out, uint32_t value)
{
	if (!fits(out, 4))
		return;
	for (int shift = 24; shift >= 0; shift -= 8)
		*out->at++ = (uint8_t)(value >> shift);
}

void wire_put_varint(struct wire_out *out, uint64_t value)
{
	if (value < 240) {
		wire_put_u8(out, (uint8_t)value);
		return;
	}
	wire_put_u8(out, (uint8_t)(value | 240));
	value = (value - 240) >> 4;
	while (value >= 128) {
		wire_put_u8(out, (uint8_t)(value | 128));
		value = (value - 128) >> 7;
	}
	wire_put_u8(out, (uint8_t)value);
}

void wire_put_bytes(struct wire_out *out, struct str bytes)
{
	if (!fits(out, bytes.n) || !bytes.n)
		return;
	memcpy(out->at, bytes.p, bytes.n);
	out->at += bytes.n;
}

void wire_put_string(struct wire_out *out, struct str bytes)
{
	wire_put_varint(out, bytes.n);
	wire_put_bytes(out, bytes);
}
