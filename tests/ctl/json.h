/* SPDX-License-Identifier: Apache-2.0 */
/* JSON with ' for ", as C has it. */
#pragma once

#include <json-c/json.h>

#include "base/arena.h"

static inline struct json_object *json_of(const char *text)
{
	char *copy = xstrndup(text, strlen(text));
	for (char *c = copy; (c = strchr(c, '\'')) != NULL;)
		*c = '"';
	struct json_object *json = json_tokener_parse(copy);
	free(copy);
	return json;
}
