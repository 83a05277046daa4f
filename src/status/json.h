/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects of the API server, of which nothing is known for sure. */
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

/* Empty: it is not there, or no text. */
static inline struct str json_text(struct json_object *json, const char *name)
{
	struct json_object *value = json_field(json, name);
	return json_object_is_type(value, json_type_string) ? str_of(json_object_get_string(value)) :
							      STR_NONE;
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

/* Makes an object, by its metadata, belong to `owner`, an ownerReference. Other owners stay, but
 * not one of the same kind and name with another uid: that was removed, and made anew. */
void json_own(struct json_object *metadata, struct json_object *owner);
