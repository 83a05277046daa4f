/* SPDX-License-Identifier: Apache-2.0 */
/* A state machine for what stands between values; json-c's tokener, which can be fed piecemeal,
 * for the values themselves. */
#include "source/kube_json.h"

#include <json-c/json.h>

#include "base/arena.h"
#include "model/limits.h"

enum expect {
	EXPECT_OPEN = 0,     /* the list's { */
	EXPECT_FIRST_KEY,    /* or } */
	EXPECT_KEY,
	EXPECT_COLON,
	EXPECT_VALUE,
	EXPECT_FIRST_ITEM,   /* or ] */
	EXPECT_ITEM,
	EXPECT_ITEM_COMMA,   /* or ] */
	EXPECT_MEMBER_COMMA, /* or } */
	EXPECT_NOTHING,
};

struct kube_json {
	enum kube_json_shape shape;
	kube_json_fn fn;
	void *user;
	struct json_tokener *tokener;
	enum expect expect;
	bool inside;  /* a value has begun */
	size_t bytes; /* of that value */
	char member[64]; /* the key whose value is read; cut when longer */
};

struct kube_json *kube_json_new(enum kube_json_shape shape, kube_json_fn fn, void *user)
{
	struct kube_json *parser = xcalloc(1, sizeof(*parser));
	parser->shape = shape;
	parser->fn = fn;
	parser->user = user;
	parser->expect = shape == KUBE_JSON_LIST ? EXPECT_OPEN : EXPECT_VALUE;
	parser->tokener = json_tokener_new_ex(MAX_DOCUMENT_DEPTH);
	if (!parser->tokener)
		abort();
	/* Strict, but for what stands behind a value: that is ours. (json-c's check of UTF-8 does
	 * not get over a character that is cut in two.) */
	json_tokener_set_flags(parser->tokener,
			       JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	return parser;
}

void kube_json_free(struct kube_json *parser)
{
	if (!parser)
		return;
	json_tokener_free(parser->tokener);
	free(parser);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool unexpected(struct error *err, char c)
{
	return error_set(err, ERR_SYNTAX, "the API server's JSON has byte 0x%02x where none may be",
			 (unsigned)(unsigned char)c);
}

/* A value is complete: what comes next, and who gets it. */
static bool take_value(struct kube_json *parser, struct json_object *json, struct error *err)
{
	switch (parser->expect) {
	case EXPECT_FIRST_KEY:
	case EXPECT_KEY:
		if (!json_object_is_type(json, json_type_string))
			return error_set(err, ERR_SYNTAX, "the API server's JSON has a member "
							  "without a name");
		snprintf(parser->member, sizeof(parser->member), "%s", json_object_get_string(json));
		parser->expect = EXPECT_COLON;
		return true;
	case EXPECT_FIRST_ITEM:
	case EXPECT_ITEM:
		parser->expect = EXPECT_ITEM_COMMA;
		break;
	default:
		if (parser->shape == KUBE_JSON_LIST)
			parser->expect = EXPECT_MEMBER_COMMA;
	}
	return parser->fn(parser->user, parser->member, json, err);
}

/* Feeds the tokener; ret_used is how far it came. */
static bool feed_value(struct kube_json *parser, struct str bytes, size_t *ret_used,
		       struct error *err)
{
	int n = bytes.n > INT32_MAX ? INT32_MAX : (int)bytes.n;
	struct json_object *json = json_tokener_parse_ex(parser->tokener, bytes.p, n);
	enum json_tokener_error state = json_tokener_get_error(parser->tokener);
	*ret_used = json_tokener_get_parse_end(parser->tokener);
	parser->bytes += *ret_used;
	bool ok = true;
	if (state == json_tokener_success) {
		parser->inside = false;
		ok = take_value(parser, json, err);
		json_tokener_reset(parser->tokener);
	} else if (state != json_tokener_continue) {
		ok = error_set(err, ERR_SYNTAX, "the API server's JSON cannot be parsed: %s",
			       json_tokener_error_desc(state));
	} else if (parser->bytes > MAX_OBJECT_BYTES) {
		ok = error_set(err, ERR_LIMIT, "an object is larger than %d MiB",
			       MAX_OBJECT_BYTES / (1024 * 1024));
	}
	json_object_put(json);
	return ok;
}

static bool starts_value(enum expect expect)
{
	return expect == EXPECT_FIRST_KEY || expect == EXPECT_KEY || expect == EXPECT_VALUE ||
	       expect == EXPECT_FIRST_ITEM || expect == EXPECT_ITEM;
}

/* One byte between values; false when a value begins with it. */
static bool take_sign(struct kube_json *parser, char c)
{
	static const struct {
		enum expect at, next;
		char sign;
	} signs[] = {
		{ EXPECT_OPEN, EXPECT_FIRST_KEY, '{' },
		{ EXPECT_FIRST_KEY, EXPECT_NOTHING, '}' },
		{ EXPECT_COLON, EXPECT_VALUE, ':' },
		{ EXPECT_FIRST_ITEM, EXPECT_MEMBER_COMMA, ']' },
		{ EXPECT_ITEM_COMMA, EXPECT_ITEM, ',' },
		{ EXPECT_ITEM_COMMA, EXPECT_MEMBER_COMMA, ']' },
		{ EXPECT_MEMBER_COMMA, EXPECT_KEY, ',' },
		{ EXPECT_MEMBER_COMMA, EXPECT_NOTHING, '}' },
	};
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (parser->expect == signs[i].at && c == signs[i].sign) {
			parser->expect = signs[i].next;
			return true;
		}
	}
	bool is_items = parser->shape == KUBE_JSON_LIST && parser->expect == EXPECT_VALUE &&
			strcmp(parser->member, "items") == 0;
	if (is_items && c == '[')
		parser->expect = EXPECT_FIRST_ITEM;
	return is_items && c == '[';
}

bool kube_json_feed(struct kube_json *parser, struct str bytes, struct error *err)
{
	size_t at = 0;
	while (at < bytes.n) {
		if (parser->inside) {
			size_t used;
			if (!feed_value(parser, str_sub(bytes, at, bytes.n), &used, err))
				return false;
			at += used;
			continue;
		}
		char c = bytes.p[at];
		if (is_blank(c) || take_sign(parser, c)) {
			at++;
		} else if (c && starts_value(parser->expect)) {
			parser->inside = true;
			parser->bytes = 0;
		} else {
			return unexpected(err, c);
		}
	}
	return true;
}

bool kube_json_end(const struct kube_json *parser, struct error *err)
{
	bool whole = !parser->inside && (parser->shape == KUBE_JSON_VALUES ||
					 parser->expect == EXPECT_NOTHING);
	return whole || error_set(err, ERR_SYNTAX, "the API server's answer is cut off");
}
