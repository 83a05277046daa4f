/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding a text in a test. JSON in these tests has single quotes, which json-c takes. */
#pragma once

#include "decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

struct decoding {
	struct arena *arena;
	struct findings findings;
	struct decode_output output;
	enum decode_result result;
};

static inline struct decoding decode_json(struct json_object *json)
{
	struct decoding decoding = { .arena = arena_new() };

	findings_init(&decoding.findings, decoding.arena);
	decoding.result = decode_object(json, STR("test.yaml:7"), &decoding.output,
					&decoding.findings);
	return decoding;
}

static inline struct decoding decode_text(const char *text)
{
	struct json_object *json = json_tokener_parse(text);
	struct decoding decoding;

	if (!json)
		fail_msg("not JSON: %s", text);
	decoding = decode_json(json);
	json_object_put(json); /* whatever was kept must be a copy */
	return decoding;
}

static inline void decoding_free(struct decoding *decoding)
{
	object_free(decoding->output.object);
	arena_free(decoding->arena);
}
