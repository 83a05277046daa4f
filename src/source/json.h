/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON of which nothing is known for sure, as the API server and users write it. */
#pragma once

#include <json-c/json.h>

#include "base/str.h"

/* NULL: there is none, or `json` is no object. */
static inline struct json_object *json_field(struct json_object *json, const char *name)
{
	struct json_object *value = NULL;
	if (json_object_is_type(json, json_type_object))
		json_object_object_get_ex(json, name, &value);
	return value;
}

/* "": it is not there, or no text. */
static inline const char *json_cstr(struct json_object *json, const char *name)
{
	struct json_object *value = json_field(json, name);
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* The same; empty instead of "". */
static inline struct str json_text(struct json_object *json, const char *name)
{
	return str_of(json_cstr(json, name));
}

static inline size_t json_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static inline void json_put_text(struct json_object *json, const char *name, struct str text)
{
	json_object_object_add(json, name,
			       json_object_new_string_len(text.n ? text.p : "", (int)text.n));
}
