/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/decide.h"

static bool is_text(const struct spop_data *data)
{
	return data->type == SPOP_STRING || data->type == SPOP_BINARY;
}

/* What HAProxy has not: "OPTIONS *" has no path, most requests have no query. */
static bool is_text_or_none(const struct spop_data *data)
{
	return data->type == SPOP_NULL || is_text(data);
}

bool decide_headers(struct str binary, struct request *request, struct error *err)
{
	struct wire_in in = wire_in_of(binary);
	request->header_count = 0;
	for (;;) {
		struct request_header header = { .name = wire_string(&in) };
		header.value = wire_string(&in);
		if (in.failed)
			return error_set(err, ERR_SYNTAX, "the headers end in the middle");
		if (str_empty(header.name) && str_empty(header.value))
			return true;
		if (request->header_count == MAX_REQUEST_HEADERS)
			return error_set(err, ERR_LIMIT, "more than %d headers",
					 MAX_REQUEST_HEADERS);
		request->headers[request->header_count++] = header;
	}
}

/* The arguments of one message, by name. */
struct arguments {
	struct spop_data list, method, path, query, headers;
};

static void read_arguments(struct wire_in *in, unsigned count, struct arguments *args)
{
	*args = (struct arguments){ 0 };
	for (unsigned i = 0; i < count && !in->failed; i++) {
		struct str name;
		struct spop_data data;
		spop_item_read(in, &name, &data);
		if (str_is(name, "list"))
			args->list = data;
		else if (str_is(name, "method"))
			args->method = data;
		else if (str_is(name, "path"))
			args->path = data;
		else if (str_is(name, "query"))
			args->query = data;
		else if (str_is(name, "headers"))
			args->headers = data;
	}
}

static bool refuse(struct decider *decider, enum stat_id reason)
{
	stats_add(decider->stats, reason, 1);
	return false;
}

static bool read_request(struct decider *decider, const struct arguments *args)
{
	struct error *err = &decider->last_error;
	if (!is_text(&args->list) || !is_text(&args->method) || !is_text_or_none(&args->path) ||
	    !is_text(&args->headers) || !is_text_or_none(&args->query)) {
		error_set(err, ERR_PROTO, "a message needs list, method and headers");
		return refuse(decider, STAT_BAD_ARGUMENTS);
	}
	decider->request.method = args->method.bytes;
	decider->request.path = args->path.bytes;
	decider->request.query = args->query.bytes;
	if (!decide_headers(args->headers.bytes, &decider->request, err))
		return refuse(decider, STAT_BAD_HEADERS);
	return true;
}

static bool find_verdict(struct decider *decider, const struct arguments *args,
			 struct str *ret_verdict)
{
	struct error *err = &decider->last_error;
	if (!read_request(decider, args))
		return false;
	struct list *list = cache_get(decider->cache, args->list.bytes, err);
	if (!list)
		return refuse(decider, STAT_BAD_LIST);
	struct list_result result = list_decide(list, &decider->request);
	stats_add(decider->stats, STAT_REGEX_LIMITS, result.limits_hit);
	if (result.timed_out) {
		error_set(err, ERR_LIMIT, "a list's regular expressions took more than %d ms",
			  DECISION_MAX_MS);
		return refuse(decider, STAT_SLOW_LIST);
	}
	stats_add(decider->stats, STAT_NO_MATCH, result.entry == list_entry_count(list));
	if (result.verdict.n > VERDICT_MAX_BYTES) {
		error_set(err, ERR_LIMIT, "a verdict of %zu bytes, the limit is %d",
			  result.verdict.n, VERDICT_MAX_BYTES);
		return refuse(decider, STAT_LONG_VERDICT);
	}
	*ret_verdict = result.verdict;
	return true;
}

static void decide_one(struct decider *decider, const struct arguments *args, struct wire_out *out)
{
	uint64_t start_ns = decider->clock_ns ? decider->clock_ns() : 0;
	struct spop_data value = { .type = SPOP_STRING };
	stats_add(decider->stats, STAT_REQUESTS, 1);
	decider->request.clock_ns = decider->clock_ns;
	decider->request.deadline_ns = start_ns + DECISION_MAX_MS * UINT64_C(1000000);
	if (find_verdict(decider, args, &value.bytes)) {
		spop_set_var_write(out, SPOP_TXN, "route", &value);
		stats_add(decider->stats, STAT_VERDICTS, 1);
	}
	if (decider->clock_ns)
		stats_time(decider->stats, decider->clock_ns() - start_ns);
}

bool decider_notify(struct decider *decider, const struct spop_frame *frame, struct wire_out *out)
{
	struct wire_in in = wire_in_of(frame->payload);
	uint8_t *start = out->at;
	uint8_t *mark = spop_begin(out, SPOP_ACK, frame->stream_id, frame->frame_id);
	bool decided = false;
	while (wire_left(&in)) {
		struct spop_message message;
		struct arguments args;
		spop_message_read(&in, &message);
		read_arguments(&in, message.arg_count, &args);
		if (in.failed)
			break;
		/* One verdict a frame, so that an ACK has its bound. */
		if (str_is(message.name, "decide") && !decided) {
			decide_one(decider, &args, out);
			decided = true;
		} else {
			stats_add(decider->stats, STAT_UNKNOWN_MESSAGE, 1);
			error_set(&decider->last_error, ERR_PROTO,
				  "message '%.*s', expected one 'decide'",
				  (int)(message.name.n < 64 ? message.name.n : 64),
				  message.name.n ? message.name.p : "");
		}
	}
	if (in.failed) {
		out->at = start;
		return false;
	}
	spop_end(out, mark);
	return true;
}
