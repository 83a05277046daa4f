/* SPDX-License-Identifier: Apache-2.0 */
/* SPOP: a peer's bytes through the session, which is all of the agent but its sockets.
 *
 *   options u8 | step u8 | bytes of the connection
 *
 * With OPTION_FRAMES the bytes are frames without their lengths, separated as in fuzz.h: so
 * mutations reach what is inside. However the bytes arrive, the answers are the same. */
#include <assert.h>

#include "base/arena.h"
#include "fuzz.h"
#include "spoa/session.h"
#include "tests/spoa/peer.h"

enum { OPTION_PIPELINING = 1, OPTION_FRAMES = 2, OPTION_SMALL = 4 };
enum { MAX_ANSWERS = 1 << 17, CACHED_LISTS = 4, CACHED_BYTES = 1 << 16 };

struct peer {
	struct stats stats;
	struct decider decider;
	struct session session;
	uint8_t *answers;
	size_t answer_bytes;
};

static void peer_init(struct peer *peer, unsigned options)
{
	*peer = (struct peer){ .answers = xmalloc(MAX_ANSWERS) };
	peer->decider.stats = &peer->stats;
	peer->decider.cache = cache_new(CACHED_LISTS, CACHED_BYTES, &peer->stats);
	session_init(&peer->session, &peer->decider, options & OPTION_SMALL ? 1024 : 16380,
		     options & OPTION_PIPELINING);
}

static void peer_fini(struct peer *peer)
{
	cache_free(peer->decider.cache);
	free(peer->answers);
}

/* Feeds what has arrived until nothing is used up; returns what is left over. */
static struct str feed(struct peer *peer, struct str bytes)
{
	for (;;) {
		assert(peer->answer_bytes + SESSION_ANSWER_BYTES <= MAX_ANSWERS);
		struct wire_out out = wire_out_of(peer->answers + peer->answer_bytes,
						  SESSION_ANSWER_BYTES);
		uint8_t *start = out.at;
		size_t used = session_feed(&peer->session, bytes, &out);
		assert(used <= bytes.n && !out.failed);
		peer->answer_bytes += (size_t)(out.at - start);
		bytes = str_sub(bytes, used, bytes.n);
		if (used == 0 || peer->session.state == SESSION_CLOSING)
			return bytes;
	}
}

static void check_ack(struct str payload)
{
	struct wire_in in = wire_in_of(payload);
	unsigned actions = 0;
	for (; wire_left(&in); actions++) {
		struct peer_action action;
		peer_read_action(&in, &action);
		assert(action.scope == SPOP_TXN && str_is(action.name, "route") &&
		       action.value.bytes.n <= VERDICT_MAX_BYTES);
	}
	assert(!in.failed && actions <= 1);
}

static void check_answers(const struct peer *peer)
{
	struct wire_in in =
		wire_in_of((struct str){ (const char *)peer->answers, peer->answer_bytes });
	uint64_t frames = 0;
	for (; wire_left(&in); frames++) {
		struct spop_frame frame;
		struct spop_hello hello;
		struct str message;
		uint64_t status;
		size_t length = wire_u32(&in);
		assert(length + SPOP_LENGTH_BYTES <= SESSION_ANSWER_BYTES);
		assert(spop_frame_read(wire_bytes(&in, length), &frame));
		if (frame.type == SPOP_ACK) {
			assert(length + SPOP_LENGTH_BYTES <= ACK_MAX_BYTES);
			check_ack(frame.payload);
		} else if (frame.type == SPOP_AGENT_HELLO) {
			assert(spop_hello_read(frame.payload, &hello) == SPOP_NORMAL);
		} else {
			assert(frame.type == SPOP_AGENT_DISCONNECT);
			assert(peer_read_disconnect(frame.payload, &status, &message));
		}
	}
	assert(!in.failed && frames == stats_get(&peer->stats, STAT_FRAMES_OUT));
}

/* The answers to all bytes at once and to `step` of them at a time. */
static void check_session(struct str bytes, unsigned options, size_t step)
{
	struct peer whole, parts;
	peer_init(&whole, options);
	peer_init(&parts, options);
	(void)feed(&whole, bytes);
	check_answers(&whole);
	size_t arrived = 0, used = 0;
	while (arrived < bytes.n && parts.session.state != SESSION_CLOSING) {
		arrived = bytes.n - arrived < step ? bytes.n : arrived + step;
		used = arrived - feed(&parts, str_sub(bytes, used, arrived)).n;
	}
	assert(whole.session.state == parts.session.state);
	assert(whole.answer_bytes == parts.answer_bytes &&
	       memcmp(whole.answers, parts.answers, whole.answer_bytes) == 0);
	peer_fini(&whole);
	peer_fini(&parts);
}

/* What can be read is written as something that reads the same. */
static void check_data(struct str bytes)
{
	uint8_t copy[4096];
	struct spop_data data, again;
	struct wire_in in = wire_in_of(bytes);
	struct wire_out out = wire_out_of(copy, sizeof(copy));
	spop_data_read(&in, &data);
	spop_data_write(&out, &data);
	if (in.failed || out.failed)
		return;
	in = wire_in_of((struct str){ (const char *)copy, (size_t)(out.at - copy) });
	spop_data_read(&in, &again);
	assert(!in.failed && wire_left(&in) == 0 && again.type == data.type &&
	       again.boolean == data.boolean && again.number == data.number &&
	       str_eq(again.bytes, data.bytes));
}

/* Puts its length before each frame. */
static struct str with_lengths(struct arena *arena, struct str frames)
{
	struct str bytes = { arena_alloc(arena, 2 * frames.n + SPOP_LENGTH_BYTES), 0 };
	struct wire_out out =
		wire_out_of((void *)(uintptr_t)bytes.p, 2 * frames.n + SPOP_LENGTH_BYTES);
	while (frames.n) {
		struct str frame = fuzz_part(&frames);
		wire_put_u32(&out, (uint32_t)frame.n);
		wire_put_bytes(&out, frame);
	}
	assert(!out.failed);
	bytes.n = (size_t)(out.at - (const uint8_t *)bytes.p);
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct arena *arena = arena_new();
	unsigned options = data[0];
	struct str bytes = fuzz_input(data + 2, size - 2);
	check_data(bytes);
	if (options & OPTION_FRAMES)
		bytes = with_lengths(arena, bytes);
	check_session(bytes, options, data[1] ? data[1] : 1);
	arena_free(arena);
	return 0;
}
