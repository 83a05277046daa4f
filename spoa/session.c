/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/session.h"

void session_init(struct session *session, struct decider *decider, size_t max_frame_bytes,
		  bool pipelining)
{
	*session = (struct session){ .decider = decider,
				     .max_frame_bytes = max_frame_bytes,
				     .pipelining = pipelining };
}

void session_stop(struct session *session, enum spop_status status, struct wire_out *out)
{
	if (session->state == SESSION_CLOSING)
		return;
	spop_disconnect_write(out, SPOP_AGENT_DISCONNECT, status);
	stats_add(session->decider->stats, STAT_FRAMES_OUT, 1);
	session->state = SESSION_CLOSING;
	session->status = status;
}

static void fail(struct session *session, enum spop_status status, enum stat_id reason,
		 struct wire_out *out)
{
	stats_add(session->decider->stats, reason, 1);
	error_set(&session->decider->last_error, ERR_PROTO, "peer disconnected: %s",
		  spop_status_text(status));
	session_stop(session, status, out);
}

/* "2.0" may stand as "2", and newer minor versions are compatible. */
static bool speaks_version_2(struct str versions)
{
	while (!str_empty(versions)) {
		struct str version = str_trim(str_cut(&versions, ','));
		if (str_is(str_cut(&version, '.'), "2"))
			return true;
	}
	return false;
}

static enum spop_status agree(struct session *session, const struct spop_frame *frame,
			      struct spop_hello *ret_theirs)
{
	if (frame->type != SPOP_HAPROXY_HELLO || frame->stream_id || frame->frame_id)
		return SPOP_INVALID;
	enum spop_status status = spop_hello_read(frame->payload, ret_theirs);
	if (status != SPOP_NORMAL)
		return status;
	if (!speaks_version_2(ret_theirs->versions))
		return SPOP_BAD_VERSION;
	if (ret_theirs->max_frame_bytes < SPOP_MIN_MAX_FRAME)
		return SPOP_BAD_FRAME_SIZE;
	if (ret_theirs->max_frame_bytes < session->max_frame_bytes)
		session->max_frame_bytes = (size_t)ret_theirs->max_frame_bytes;
	return SPOP_NORMAL;
}

static void take_hello(struct session *session, const struct spop_frame *frame,
		       struct wire_out *out)
{
	struct spop_hello theirs;
	enum spop_status status = agree(session, frame, &theirs);
	if (status != SPOP_NORMAL) {
		fail(session, status, STAT_BAD_HELLO, out);
		return;
	}
	bool pipelining = session->pipelining &&
			  session->max_frame_bytes >= PIPELINING_MIN_FRAME &&
			  spop_list_has(theirs.capabilities, "pipelining");
	struct spop_hello ours = {
		.versions = STR("2.0"),
		.max_frame_bytes = session->max_frame_bytes,
		.capabilities = pipelining ? STR("pipelining") : STR(""),
	};
	spop_agent_hello_write(out, &ours);
	stats_add(session->decider->stats, STAT_FRAMES_OUT, 1);
	stats_add(session->decider->stats, STAT_HEALTHCHECKS, theirs.healthcheck);
	session->state = theirs.healthcheck ? SESSION_CLOSING : SESSION_OPEN;
}

static void take_frame(struct session *session, const struct spop_frame *frame,
		       struct wire_out *out)
{
	if (!(frame->flags & SPOP_FIN) || frame->type == SPOP_UNSET) {
		fail(session, SPOP_FRAGMENTED, STAT_FRAGMENT, out);
		return;
	}
	if (session->state == SESSION_HELLO) {
		take_hello(session, frame, out);
		return;
	}
	switch (frame->type) {
	case SPOP_NOTIFY:
		if (decider_notify(session->decider, frame, out))
			stats_add(session->decider->stats, STAT_FRAMES_OUT, 1);
		else
			fail(session, SPOP_INVALID, STAT_BAD_FRAME, out);
		break;
	case SPOP_HAPROXY_DISCONNECT:
		session_stop(session, SPOP_NORMAL, out);
		break;
	case SPOP_HAPROXY_HELLO:
	case SPOP_AGENT_HELLO:
	case SPOP_AGENT_DISCONNECT:
	case SPOP_ACK:
		fail(session, SPOP_INVALID, STAT_BAD_FRAME, out);
		break;
	default:
		break; /* the protocol wants unknown types skipped */
	}
}

size_t session_feed(struct session *session, struct str bytes, struct wire_out *out)
{
	struct wire_in in = wire_in_of(bytes);
	while (session->state != SESSION_CLOSING && wire_left(&in) >= SPOP_LENGTH_BYTES &&
	       wire_room(out) >= SESSION_ANSWER_BYTES) {
		struct wire_in peek = in;
		size_t length = wire_u32(&peek);
		if (length > session->max_frame_bytes) {
			fail(session, SPOP_TOO_BIG, STAT_BIG_FRAME, out);
			break;
		}
		if (length > wire_left(&peek))
			break;
		struct spop_frame frame;
		stats_add(session->decider->stats, STAT_FRAMES_IN, 1);
		if (spop_frame_read(wire_bytes(&peek, length), &frame))
			take_frame(session, &frame, out);
		else
			fail(session, SPOP_INVALID, STAT_BAD_FRAME, out);
		in = peek;
	}
	/* Nothing that follows the last frame matters. */
	if (session->state == SESSION_CLOSING)
		return bytes.n;
	return (size_t)(in.at - wire_in_of(bytes).at);
}
