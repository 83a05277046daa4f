/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/spop.h"

enum {
	TYPE_MASK = 0x0f,
	FLAG_TRUE = 0x10,
	ACTION_SET_VAR = 1,
	SET_VAR_ARGS = 3,
};

const char *spop_status_text(enum spop_status status)
{
	switch (status) {
	case SPOP_NORMAL:
		return "normal";
	case SPOP_IO:
		return "I/O error";
	case SPOP_TIMEOUT:
		return "a timeout occurred";
	case SPOP_TOO_BIG:
		return "frame is too big";
	case SPOP_INVALID:
		return "invalid frame received";
	case SPOP_NO_VERSION:
		return "version value not found";
	case SPOP_NO_FRAME_SIZE:
		return "max-frame-size value not found";
	case SPOP_NO_CAPABILITIES:
		return "capabilities value not found";
	case SPOP_BAD_VERSION:
		return "unsupported version";
	case SPOP_BAD_FRAME_SIZE:
		return "max-frame-size too big or too small";
	case SPOP_FRAGMENTED:
		return "payload fragmentation is not supported";
	case SPOP_INTERLACED:
		return "invalid interlaced frames";
	case SPOP_NO_FRAME_ID:
		return "frame-id not found";
	case SPOP_RESOURCES:
		return "resource allocation error";
	case SPOP_UNKNOWN:
		break;
	}
	return "an unknown error occurred";
}

bool spop_frame_read(struct str bytes, struct spop_frame *ret_frame)
{
	struct wire_in in = wire_in_of(bytes);
	struct spop_frame frame = { .type = wire_u8(&in) };
	frame.flags = wire_u32(&in);
	frame.stream_id = wire_varint(&in);
	frame.frame_id = wire_varint(&in);
	frame.payload = wire_bytes(&in, wire_left(&in));
	if (in.failed)
		return false;
	*ret_frame = frame;
	return true;
}

uint8_t *spop_begin(struct wire_out *out, enum spop_type type, uint64_t stream_id,
		    uint64_t frame_id)
{
	uint8_t *mark = out->at;
	wire_put_u32(out, 0);
	wire_put_u8(out, (uint8_t)type);
	wire_put_u32(out, SPOP_FIN);
	wire_put_varint(out, stream_id);
	wire_put_varint(out, frame_id);
	return mark;
}

void spop_end(struct wire_out *out, uint8_t *mark)
{
	if (out->failed)
		return;
	struct wire_out length = wire_out_of(mark, SPOP_LENGTH_BYTES);
	wire_put_u32(&length, (uint32_t)(out->at - mark - SPOP_LENGTH_BYTES));
}

void spop_data_read(struct wire_in *in, struct spop_data *ret_data)
{
	uint8_t head = wire_u8(in);
	*ret_data = (struct spop_data){ .type = head & TYPE_MASK };
	switch (ret_data->type) {
	case SPOP_NULL:
		break;
	case SPOP_BOOL:
		ret_data->boolean = head & FLAG_TRUE;
		break;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
	case SPOP_UINT64:
		ret_data->number = wire_varint(in);
		break;
	case SPOP_IPV4:
		ret_data->bytes = wire_bytes(in, 4);
		break;
	case SPOP_IPV6:
		ret_data->bytes = wire_bytes(in, 16);
		break;
	case SPOP_STRING:
	case SPOP_BINARY:
		ret_data->bytes = wire_string(in);
		break;
	default:
		in->failed = true;
	}
}

void spop_data_write(struct wire_out *out, const struct spop_data *data)
{
	uint8_t flags = data->type == SPOP_BOOL && data->boolean ? FLAG_TRUE : 0;
	wire_put_u8(out, (uint8_t)data->type | flags);
	switch (data->type) {
	case SPOP_NULL:
	case SPOP_BOOL:
		break;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
	case SPOP_UINT64:
		wire_put_varint(out, data->number);
		break;
	case SPOP_IPV4:
	case SPOP_IPV6:
		wire_put_bytes(out, data->bytes);
		break;
	case SPOP_STRING:
	case SPOP_BINARY:
		wire_put_string(out, data->bytes);
		break;
	}
}

void spop_item_read(struct wire_in *in, struct str *ret_name, struct spop_data *ret_data)
{
	*ret_name = wire_string(in);
	spop_data_read(in, ret_data);
}

void spop_item_write(struct wire_out *out, const char *name, const struct spop_data *data)
{
	wire_put_string(out, str_of(name));
	spop_data_write(out, data);
}

bool spop_list_has(struct str list, const char *item)
{
	while (!str_empty(list))
		if (str_is(str_trim(str_cut(&list, ',')), item))
			return true;
	return false;
}

static bool is_integer(const struct spop_data *data)
{
	return data->type >= SPOP_INT32 && data->type <= SPOP_UINT64;
}

/* One item of a HELLO; items nobody knows are skipped. False: of the wrong type. */
static bool hello_item(struct str name, const struct spop_data *data, struct spop_hello *hello,
		       bool *capabilities)
{
	bool is_string = data->type == SPOP_STRING;
	if (str_is(name, "supported-versions") || str_is(name, "version")) {
		hello->versions = data->bytes;
		return is_string;
	}
	if (str_is(name, "max-frame-size")) {
		hello->max_frame_bytes = data->number;
		return is_integer(data);
	}
	if (str_is(name, "capabilities")) {
		hello->capabilities = data->bytes;
		*capabilities = true;
		return is_string;
	}
	if (str_is(name, "healthcheck")) {
		hello->healthcheck = data->boolean;
		return data->type == SPOP_BOOL;
	}
	if (str_is(name, "engine-id")) {
		hello->engine_id = data->bytes;
		return is_string;
	}
	return true;
}

enum spop_status spop_hello_read(struct str payload, struct spop_hello *ret_hello)
{
	struct wire_in in = wire_in_of(payload);
	struct spop_hello hello = { 0 };
	bool capabilities = false; /* may be present and empty */
	while (wire_left(&in)) {
		struct str name;
		struct spop_data data;
		spop_item_read(&in, &name, &data);
		if (in.failed || !hello_item(name, &data, &hello, &capabilities))
			return SPOP_INVALID;
	}
	if (str_empty(hello.versions))
		return SPOP_NO_VERSION;
	if (!hello.max_frame_bytes)
		return SPOP_NO_FRAME_SIZE;
	if (!capabilities)
		return SPOP_NO_CAPABILITIES;
	*ret_hello = hello;
	return SPOP_NORMAL;
}

static void write_string_item(struct wire_out *out, const char *name, struct str value)
{
	spop_item_write(out, name, &(struct spop_data){ .type = SPOP_STRING, .bytes = value });
}

static void write_uint_item(struct wire_out *out, const char *name, uint64_t value)
{
	spop_item_write(out, name, &(struct spop_data){ .type = SPOP_UINT32, .number = value });
}

void spop_agent_hello_write(struct wire_out *out, const struct spop_hello *hello)
{
	uint8_t *mark = spop_begin(out, SPOP_AGENT_HELLO, 0, 0);
	write_string_item(out, "version", hello->versions);
	write_uint_item(out, "max-frame-size", hello->max_frame_bytes);
	write_string_item(out, "capabilities", hello->capabilities);
	spop_end(out, mark);
}

void spop_disconnect_write(struct wire_out *out, enum spop_type type, enum spop_status status)
{
	uint8_t *mark = spop_begin(out, type, 0, 0);
	write_uint_item(out, "status-code", status);
	write_string_item(out, "message", str_of(spop_status_text(status)));
	spop_end(out, mark);
}

void spop_message_read(struct wire_in *in, struct spop_message *ret_message)
{
	ret_message->name = wire_string(in);
	ret_message->arg_count = wire_u8(in);
}

void spop_set_var_write(struct wire_out *out, enum spop_scope scope, const char *name,
			const struct spop_data *value)
{
	wire_put_u8(out, ACTION_SET_VAR);
	wire_put_u8(out, SET_VAR_ARGS);
	wire_put_u8(out, (uint8_t)scope);
	wire_put_string(out, str_of(name));
	spop_data_write(out, value);
}
