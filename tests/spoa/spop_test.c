/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/spop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/spoa/peer.h"

static struct str written(const struct wire_out *out, const uint8_t *start)
{
	assert_false(out->failed);
	return (struct str){ (const char *)start, (size_t)(out->at - start) };
}

static void varints_go_round(void **state)
{
	(void)state;
	static const uint64_t values[] = { 0,	    1,	   239,	     240,	2287,	    2288,
					   264431, 264432, 0xffffffff, 1ull << 60, UINT64_MAX };
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		uint8_t bytes[16];
		struct wire_out out = wire_out_of(bytes, sizeof(bytes));
		wire_put_varint(&out, values[i]);
		struct str text = written(&out, bytes);
		assert_true(text.n <= 10);
		struct wire_in in = wire_in_of(text);
		assert_true(wire_varint(&in) == values[i]);
		assert_false(in.failed);
		assert_int_equal(wire_left(&in), 0);
		in = wire_in_of(str_sub(text, 0, text.n - 1));
		assert_true(wire_varint(&in) == 0 && in.failed);
	}
}

static void varints_are_capped(void **state)
{
	(void)state;
	static const struct str bad[] = {
		STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		STR_INIT("\xf0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
		STR_INIT("\xf0\x80\x80\x80\x80\x80\x80\x80\x80\x7f"),
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct wire_in in = wire_in_of(bad[i]);
		assert_true(wire_varint(&in) == 0);
		assert_true(in.failed);
	}
}

static void errors_stick(void **state)
{
	(void)state;
	struct wire_in in = wire_in_of(STR("\x05" "ab"));
	assert_int_equal(wire_string(&in).n, 0);
	assert_true(in.failed);
	assert_int_equal(wire_u8(&in), 0);
	assert_int_equal(wire_left(&in), 0);

	uint8_t bytes[3];
	struct wire_out out = wire_out_of(bytes, sizeof(bytes));
	wire_put_u32(&out, 1);
	assert_true(out.failed);
	wire_put_u8(&out, 1);
	assert_ptr_equal(out.at, bytes);
	assert_int_equal(wire_room(&out), 0);
}

static void data_of_all_types(void **state)
{
	(void)state;
	static const struct spop_data values[] = {
		{ .type = SPOP_NULL },
		{ .type = SPOP_BOOL, .boolean = true },
		{ .type = SPOP_BOOL, .boolean = false },
		{ .type = SPOP_INT32, .number = (uint64_t)-5 },
		{ .type = SPOP_UINT32, .number = 16380 },
		{ .type = SPOP_INT64, .number = (uint64_t)INT64_MIN },
		{ .type = SPOP_UINT64, .number = UINT64_MAX },
		{ .type = SPOP_IPV4, .bytes = STR_INIT("\x7f\0\0\x01") },
		{ .type = SPOP_IPV6, .bytes = STR_INIT("0123456789abcdef") },
		{ .type = SPOP_STRING, .bytes = STR_INIT("gr\xc3\xbc") },
		{ .type = SPOP_BINARY, .bytes = STR_INIT("\0\1\2") },
		{ .type = SPOP_STRING },
	};
	uint8_t bytes[256];
	struct wire_out out = wire_out_of(bytes, sizeof(bytes));
	const size_t count = sizeof(values) / sizeof(*values);
	for (size_t i = 0; i < count; i++)
		spop_item_write(&out, "name", &values[i]);
	struct str text = written(&out, bytes);
	struct wire_in in = wire_in_of(text);
	for (size_t i = 0; i < count; i++) {
		struct str name;
		struct spop_data data;
		spop_item_read(&in, &name, &data);
		assert_true(str_is(name, "name"));
		assert_int_equal(data.type, values[i].type);
		assert_int_equal(data.boolean, values[i].boolean);
		assert_true(data.number == values[i].number);
		assert_true(str_eq(data.bytes, values[i].bytes));
	}
	assert_false(in.failed);
	assert_int_equal(wire_left(&in), 0);
	struct spop_data data;
	in = wire_in_of(STR("\x0a"));
	spop_data_read(&in, &data);
	assert_true(in.failed);
	in = wire_in_of(STR("\x07\x01\x02"));
	spop_data_read(&in, &data);
	assert_true(in.failed);
}

/* Bytes that HAProxy 2.6.12 sent, without the length. */
static const struct str recorded_check = STR_INIT(
	"\x01\0\0\0\x01\0\0\x12supported-versions\x08\x03" "2.0\x0emax-frame-size\x03\xfc\xf0\x06"
	"\x0c" "capabilities\x08\0\x0bhealthcheck\x11");
static const struct str recorded_hello = STR_INIT(
	"\x01\0\0\0\x01\0\0\x12supported-versions\x08\x03" "2.0\x0emax-frame-size\x03\xfc\xf0\x06"
	"\x0c" "capabilities\x08\x10pipelining,async\tengine-id\x08$"
	"9b2776e9-22f4-41a7-bccc-f205fa05fd9c");

static void hellos_of_haproxy(void **state)
{
	(void)state;
	struct spop_frame frame;
	struct spop_hello hello;
	assert_true(spop_frame_read(recorded_hello, &frame));
	assert_int_equal(frame.type, SPOP_HAPROXY_HELLO);
	assert_int_equal(frame.flags, SPOP_FIN);
	assert_int_equal(spop_hello_read(frame.payload, &hello), SPOP_NORMAL);
	assert_true(str_is(hello.versions, "2.0"));
	assert_int_equal(hello.max_frame_bytes, 16380);
	assert_true(spop_list_has(hello.capabilities, "async"));
	assert_false(spop_list_has(hello.capabilities, "pipe"));
	assert_true(str_starts(hello.engine_id, STR("9b2776e9")));
	assert_false(hello.healthcheck);

	assert_true(spop_frame_read(recorded_check, &frame));
	assert_int_equal(spop_hello_read(frame.payload, &hello), SPOP_NORMAL);
	assert_true(hello.healthcheck);
	assert_true(str_empty(hello.capabilities));
}

static void hellos_of_agents(void **state)
{
	(void)state;
	const struct spop_hello hello = { .versions = STR("2.0"),
					  .max_frame_bytes = 300,
					  .capabilities = STR("pipelining") };
	uint8_t bytes[256];
	struct wire_out out = wire_out_of(bytes, sizeof(bytes));
	spop_agent_hello_write(&out, &hello);
	struct spop_frame frame;
	assert_true(spop_frame_read(str_sub(written(&out, bytes), 4, 256), &frame));
	assert_int_equal(frame.type, SPOP_AGENT_HELLO);
	struct spop_hello back;
	assert_int_equal(spop_hello_read(frame.payload, &back), SPOP_NORMAL);
	assert_int_equal(back.max_frame_bytes, 300);
	assert_true(str_is(back.versions, "2.0") && str_is(back.capabilities, "pipelining"));
}

static void hellos_that_lack_something(void **state)
{
	(void)state;
	static const struct {
		struct str payload;
		enum spop_status status;
	} cases[] = {
		{ STR_INIT(""), SPOP_NO_VERSION },
		{ STR_INIT("\x07version\x08\x01" "2"), SPOP_NO_FRAME_SIZE },
		{ STR_INIT("\x07version\x08\x01" "2\x0emax-frame-size\x03\x09"),
		  SPOP_NO_CAPABILITIES },
		{ STR_INIT("\x07version\x03\x02"), SPOP_INVALID },
		{ STR_INIT("\x07version\x08\x09" "2"), SPOP_INVALID },
		{ STR_INIT("\x0emax-frame-size\x08\x01" "9"), SPOP_INVALID },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct spop_hello hello;
		assert_int_equal(spop_hello_read(cases[i].payload, &hello), cases[i].status);
	}
}

static void disconnects(void **state)
{
	(void)state;
	uint8_t bytes[256];
	for (int status = SPOP_NORMAL; status <= SPOP_UNKNOWN; status++) {
		struct wire_out out = wire_out_of(bytes, sizeof(bytes));
		spop_disconnect_write(&out, SPOP_HAPROXY_DISCONNECT, status);
		struct spop_frame frame;
		assert_true(spop_frame_read(str_sub(written(&out, bytes), 4, 256), &frame));
		assert_int_equal(frame.type, SPOP_HAPROXY_DISCONNECT);
		uint64_t code;
		struct str message;
		assert_true(peer_read_disconnect(frame.payload, &code, &message));
		assert_int_equal(code, status);
		assert_true(str_is(message, spop_status_text(status)));
		assert_false(peer_read_disconnect(str_sub(frame.payload, 0, 20), &code, &message));
	}
}

static void actions(void **state)
{
	(void)state;
	uint8_t bytes[64];
	struct wire_out out = wire_out_of(bytes, sizeof(bytes));
	spop_set_var_write(&out, SPOP_TXN, "route",
			   &(struct spop_data){ .type = SPOP_STRING, .bytes = STR("a b/c/0") });
	struct wire_in in = wire_in_of(written(&out, bytes));
	struct peer_action action;
	peer_read_action(&in, &action);
	assert_false(in.failed);
	assert_int_equal(wire_left(&in), 0);
	assert_int_equal(action.scope, SPOP_TXN);
	assert_true(str_is(action.name, "route") && str_is(action.value.bytes, "a b/c/0"));
}

static void frames_too_short(void **state)
{
	(void)state;
	struct spop_frame frame;
	for (size_t n = 0; n < SPOP_MIN_FRAME_BYTES; n++)
		assert_false(spop_frame_read(str_sub(recorded_hello, 0, n), &frame));
	assert_true(spop_frame_read(str_sub(recorded_hello, 0, SPOP_MIN_FRAME_BYTES), &frame));
	assert_true(str_empty(frame.payload));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints_go_round),  cmocka_unit_test(varints_are_capped),
		cmocka_unit_test(errors_stick),	     cmocka_unit_test(data_of_all_types),
		cmocka_unit_test(hellos_of_haproxy), cmocka_unit_test(hellos_of_agents),
		cmocka_unit_test(hellos_that_lack_something),
		cmocka_unit_test(disconnects),	     cmocka_unit_test(actions),
		cmocka_unit_test(frames_too_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
