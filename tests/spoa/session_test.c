/* SPDX-License-Identifier: Apache-2.0 */
/* A whole session over bytes: hello, requests, errors, and any garbage. */
#include "spoa/session.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/spoa/peer.h"

/* What HAProxy 2.6.12 sent for a health check, and for one request. */
static const struct str recorded_check = STR_INIT(
	"\0\0\0N\x01\0\0\0\x01\0\0\x12supported-versions\x08\x03" "2.0\x0emax-frame-size\x03\xfc"
	"\xf0\x06\x0c" "capabilities\x08\0\x0bhealthcheck\x11");
static const struct str recorded_hello = STR_INIT(
	"\0\0\0\x81\x01\0\0\0\x01\0\0\x12supported-versions\x08\x03" "2.0\x0emax-frame-size\x03"
	"\xfc\xf0\x06\x0c" "capabilities\x08\x10pipelining,async\tengine-id\x08$"
	"9b2776e9-22f4-41a7-bccc-f205fa05fd9c");
static const struct str recorded_notify = STR_INIT(
	"\0\0\0\xc9\x03\0\0\0\x01\0\x01\x06" "decide\x05\x04list\x08Q"
	"header.x-canary=\"always\" => canary.80 default/store/0 ; => web.80 default/store/1"
	"\x06method\x08\x03GET\x04path\x08\x05/shop\x05query\x08\x03" "a=b\x07headers\t5"
	"\x04host\x04test\x0f" "accept-encoding\x08identity\x08x-canary\x06" "always\0\0");

struct fixture {
	struct stats stats;
	struct decider decider;
	struct session session;
	uint8_t bytes[8192];
	struct wire_out out;
};

static void empty_out(struct fixture *f)
{
	f->out = wire_out_of(f->bytes, sizeof(f->bytes));
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	f->decider.stats = &f->stats;
	f->decider.cache = cache_new(100, 1 << 20, &f->stats);
	session_init(&f->session, &f->decider, 16380, true);
	empty_out(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	cache_free(f->decider.cache);
	free(f);
	return 0;
}

static uint64_t count(const struct fixture *f, enum stat_id id)
{
	return stats_get(&f->stats, id);
}

/* Takes the next frame out of `answers`. */
static struct spop_frame next_frame(struct wire_in *answers)
{
	struct spop_frame frame = { 0 };
	size_t length = wire_u32(answers);
	assert_true(spop_frame_read(wire_bytes(answers, length), &frame));
	return frame;
}

static struct wire_in answers_of(const struct fixture *f)
{
	assert_false(f->out.failed);
	return wire_in_of((struct str){ (const char *)f->bytes, (size_t)(f->out.at - f->bytes) });
}

static void open_session(struct fixture *f)
{
	assert_int_equal(session_feed(&f->session, recorded_hello, &f->out), recorded_hello.n);
	assert_int_equal(f->session.state, SESSION_OPEN);
	empty_out(f);
}

static void answers_recorded_bytes(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(session_feed(&f->session, recorded_hello, &f->out), recorded_hello.n);
	struct wire_in answers = answers_of(f);
	struct spop_frame frame = next_frame(&answers);
	struct spop_hello hello;
	assert_int_equal(frame.type, SPOP_AGENT_HELLO);
	assert_int_equal(spop_hello_read(frame.payload, &hello), SPOP_NORMAL);
	assert_true(str_is(hello.versions, "2.0") && str_is(hello.capabilities, "pipelining"));
	assert_int_equal(hello.max_frame_bytes, 16380);
	empty_out(f);
	assert_int_equal(session_feed(&f->session, recorded_notify, &f->out), recorded_notify.n);
	static const struct str ack = STR_INIT(
		"\0\0\0+g\0\0\0\x01\0\x01\x01\x03\x02\x05route\x08\x19" "canary.80 default/store/0");
	assert_int_equal(f->out.at - f->bytes, ack.n);
	assert_memory_equal(f->bytes, ack.p, ack.n);
	assert_int_equal(count(f, STAT_VERDICTS), 1);
	assert_int_equal(count(f, STAT_CACHE_MISSES), 1);
	session_feed(&f->session, recorded_notify, &f->out);
	assert_int_equal(count(f, STAT_CACHE_HITS), 1);
}

static void health_check_is_answered_and_closed(void **state)
{
	struct fixture *f = *state;
	session_feed(&f->session, recorded_check, &f->out);
	struct wire_in answers = answers_of(f);
	assert_int_equal(next_frame(&answers).type, SPOP_AGENT_HELLO);
	assert_int_equal(wire_left(&answers), 0);
	assert_int_equal(f->session.state, SESSION_CLOSING);
	assert_int_equal(count(f, STAT_HEALTHCHECKS), 1);
}

static void partial_frames_wait(void **state)
{
	struct fixture *f = *state;
	open_session(f);
	for (size_t n = 0; n < recorded_notify.n; n++)
		assert_int_equal(session_feed(&f->session, str_sub(recorded_notify, 0, n),
					      &f->out), 0);
	assert_ptr_equal(f->out.at, f->bytes);
}

static void full_output_stops_the_feeding(void **state)
{
	struct fixture *f = *state;
	open_session(f);
	enum { FRAMES = 50 };
	char *bytes = xmalloc(FRAMES * recorded_notify.n);
	for (size_t i = 0; i < FRAMES; i++)
		memcpy(bytes + i * recorded_notify.n, recorded_notify.p, recorded_notify.n);
	struct str rest = { bytes, FRAMES * recorded_notify.n };
	size_t rounds = 0;
	while (rest.n) {
		f->out = wire_out_of(f->bytes, SESSION_ANSWER_BYTES + 100);
		size_t used = session_feed(&f->session, rest, &f->out);
		assert_true(used > 0 && used % recorded_notify.n == 0);
		rest = str_sub(rest, used, rest.n);
		rounds++;
	}
	assert_true(rounds > 5);
	assert_int_equal(count(f, STAT_VERDICTS), FRAMES);
	free(bytes);
}

static void pipelining_needs_large_frames(void **state)
{
	struct fixture *f = *state;
	session_init(&f->session, &f->decider, PIPELINING_MIN_FRAME - 1, true);
	session_feed(&f->session, recorded_hello, &f->out);
	struct wire_in answers = answers_of(f);
	struct spop_frame frame = next_frame(&answers);
	struct spop_hello hello;
	assert_int_equal(spop_hello_read(frame.payload, &hello), SPOP_NORMAL);
	assert_true(str_empty(hello.capabilities));
	assert_int_equal(hello.max_frame_bytes, PIPELINING_MIN_FRAME - 1);
}

/* --- one message, of any arguments --- */

struct message {
	const char *name;
	struct spop_data list, method, path, headers;
};

static struct message good_message(void)
{
	return (struct message){ "decide",
				 { .type = SPOP_STRING, .bytes = STR("=> web a/b/0") },
				 { .type = SPOP_STRING, .bytes = STR("GET") },
				 { .type = SPOP_STRING, .bytes = STR("/") },
				 { .type = SPOP_BINARY, .bytes = STR("\0\0") } };
}

/* Feeds it and returns how many actions the ACK has. */
static unsigned ask(struct fixture *f, const struct message *message)
{
	static uint8_t bytes[16384];
	struct wire_out out = wire_out_of(bytes, sizeof(bytes));
	uint8_t *mark = spop_begin(&out, SPOP_NOTIFY, 300, 1);
	wire_put_string(&out, str_of(message->name));
	wire_put_u8(&out, 4);
	spop_item_write(&out, "list", &message->list);
	spop_item_write(&out, "method", &message->method);
	spop_item_write(&out, "path", &message->path);
	spop_item_write(&out, "headers", &message->headers);
	spop_end(&out, mark);
	assert_false(out.failed);
	empty_out(f);
	session_feed(&f->session, (struct str){ (char *)bytes, (size_t)(out.at - bytes) }, &f->out);
	struct wire_in answers = answers_of(f);
	assert_true(wire_left(&answers) <= ACK_MAX_BYTES);
	struct spop_frame ack = next_frame(&answers);
	assert_int_equal(ack.type, SPOP_ACK);
	assert_int_equal(ack.stream_id, 300);
	struct wire_in in = wire_in_of(ack.payload);
	unsigned actions = 0;
	for (; wire_left(&in); actions++) {
		struct peer_action action;
		peer_read_action(&in, &action);
	}
	assert_false(in.failed);
	return actions;
}

static void fails_closed(void **state)
{
	struct fixture *f = *state;
	open_session(f);
	struct message message = good_message();
	assert_int_equal(ask(f, &message), 1);
	message.path = (struct spop_data){ .type = SPOP_NULL }; /* OPTIONS * */
	assert_int_equal(ask(f, &message), 1);
	message.list.bytes = STR("nonsense");
	assert_int_equal(ask(f, &message), 0);
	assert_int_equal(count(f, STAT_BAD_LIST), 1);
	message = good_message();
	message.list.type = SPOP_NULL; /* the map had no such key */
	assert_int_equal(ask(f, &message), 0);
	message = good_message();
	message.path = (struct spop_data){ .type = SPOP_UINT32, .number = 5 };
	assert_int_equal(ask(f, &message), 0);
	assert_int_equal(count(f, STAT_BAD_ARGUMENTS), 2);
	message = good_message();
	message.name = "other";
	assert_int_equal(ask(f, &message), 0);
	assert_int_equal(count(f, STAT_UNKNOWN_MESSAGE), 1);
	message = good_message();
	message.headers.bytes = STR("\x04host\x09" "a");
	assert_int_equal(ask(f, &message), 0);
	message.headers.bytes = STR("\x04host\x01" "a"); /* without its end */
	assert_int_equal(ask(f, &message), 0);
	assert_int_equal(count(f, STAT_BAD_HEADERS), 2);
	assert_int_equal(f->session.state, SESSION_OPEN);
	message = good_message();
	assert_int_equal(ask(f, &message), 1);
}

/* Each look at it is half the time that a decision has. */
static uint64_t hasty_clock_ns(void)
{
	static uint64_t now_ns;
	return now_ns += DECISION_MAX_MS * UINT64_C(500000);
}

/* Not the verdict of a later entry: that would be a guess. */
static void slow_lists_have_no_verdict(void **state)
{
	struct fixture *f = *state;
	open_session(f);
	f->decider.clock_ns = hasty_clock_ns;
	struct message message = good_message();
	assert_int_equal(ask(f, &message), 1);
	message.list.bytes = STR("path~\"/.*\" => a");
	assert_int_equal(ask(f, &message), 1);
	message.list.bytes = STR("path~\"/a\" => a ; path~\"/b\" => b ; => c");
	assert_int_equal(ask(f, &message), 0);
	assert_int_equal(count(f, STAT_SLOW_LIST), 1);
}

static void verdicts_are_bounded(void **state)
{
	struct fixture *f = *state;
	open_session(f);
	char text[VERDICT_MAX_BYTES + 4];
	memset(text, 'v', sizeof(text));
	memcpy(text, "=> ", 3);
	struct message message = good_message();
	message.list.bytes = (struct str){ text, sizeof(text) - 1 };
	assert_int_equal(ask(f, &message), 1);
	message.list.bytes.n++;
	assert_int_equal(ask(f, &message), 0);
	assert_int_equal(count(f, STAT_LONG_VERDICT), 1);
}

static void headers_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char many[(MAX_REQUEST_HEADERS + 2) * 3] = "";
	struct str binary = { many, 0 };
	for (size_t i = 0; i <= MAX_REQUEST_HEADERS; i++) {
		memcpy(many + binary.n, "\x01x\0", 3);
		binary.n += 3;
	}
	binary.n += 2;
	assert_false(decide_headers(binary, &f->decider.request, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(decide_headers(str_sub(binary, 3, binary.n), &f->decider.request, &err));
	assert_int_equal(f->decider.request.header_count, MAX_REQUEST_HEADERS);
}

static void cache_is_bounded(void **state)
{
	(void)state;
	struct stats stats = { 0 };
	struct error err;
	struct cache *cache = cache_new(3, 1 << 20, &stats);
	assert_non_null(cache_get(cache, STR("=> a"), &err));
	assert_non_null(cache_get(cache, STR("=> b"), &err));
	assert_non_null(cache_get(cache, STR("=> c"), &err));
	struct list *hot = cache_get(cache, STR("=> a"), &err);
	for (int c = 'd'; c < 'z'; c++) {
		char text[] = "=> x";
		text[3] = (char)c;
		assert_non_null(cache_get(cache, str_of(text), &err));
		assert_ptr_equal(cache_get(cache, STR("=> a"), &err), hot);
		assert_int_equal(stats_get(&stats, STAT_CACHE_EVICTIONS), c - 'd' + 1);
	}
	assert_null(cache_get(cache, STR("bad"), &err));
	assert_int_equal(stats_get(&stats, STAT_CACHE_EVICTIONS), 22);
	cache_free(cache);
	cache = cache_new(100, 1, &stats); /* one list is always kept: it is in use */
	assert_non_null(cache_get(cache, STR("=> a"), &err));
	assert_non_null(cache_get(cache, STR("=> b"), &err));
	assert_int_equal(stats_get(&stats, STAT_CACHE_EVICTIONS), 23);
	cache_free(cache);
}

/* Bytes of any kind end in answers, in waiting, or in a DISCONNECT; never in a crash. */
static void mutated_frames_are_harmless(void **state)
{
	struct fixture *f = *state;
	uint32_t random = 99;
	size_t closed = 0, open = 0;
	for (int round = 0; round < 4000; round++) {
		struct str seeds[] = { recorded_hello, recorded_notify, recorded_notify };
		size_t n = seeds[0].n + seeds[1].n + seeds[2].n, at = 0;
		char *bytes = xmalloc(n);
		for (size_t i = 0; i < 3; i++) {
			memcpy(bytes + at, seeds[i].p, seeds[i].n);
			at += seeds[i].n;
		}
		for (int change = 0; change < 1 + round % 5; change++) {
			random = random * 1664525u + 1013904223u;
			bytes[(random >> 8) % n] = (char)(random >> 24);
		}
		random = random * 1664525u + 1013904223u;
		if (!(random >> 30))
			n = (random >> 8) % n;
		session_init(&f->session, &f->decider, 16380, true);
		empty_out(f);
		size_t used = session_feed(&f->session, (struct str){ bytes, n }, &f->out);
		assert_true(used <= n);
		struct wire_in answers = answers_of(f);
		while (wire_left(&answers))
			(void)next_frame(&answers);
		assert_false(answers.failed);
		closed += f->session.state == SESSION_CLOSING;
		open += f->session.state == SESSION_OPEN;
		free(bytes);
	}
	assert_true(closed > 100 && open > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_recorded_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(health_check_is_answered_and_closed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(partial_frames_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(full_output_stops_the_feeding, setup, teardown),
		cmocka_unit_test_setup_teardown(pipelining_needs_large_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(fails_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_lists_have_no_verdict, setup, teardown),
		cmocka_unit_test_setup_teardown(verdicts_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(headers_are_bounded, setup, teardown),
		cmocka_unit_test(cache_is_bounded),
		cmocka_unit_test_setup_teardown(mutated_frames_are_harmless, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
