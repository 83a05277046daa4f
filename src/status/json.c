/* SPDX-License-Identifier: Apache-2.0 */
#include "status/json.h"

void json_own(struct json_object *metadata, struct json_object *owner)
{
	struct json_object *before = json_field(metadata, "ownerReferences");
	struct json_object *owners = json_object_new_array();
	for (size_t i = 0; i < json_length(before); i++) {
		struct json_object *other = json_object_array_get_idx(before, i);
		if (!str_eq(json_text(other, "kind"), json_text(owner, "kind")) ||
		    !str_eq(json_text(other, "name"), json_text(owner, "name")))
			json_object_array_add(owners, json_object_get(other));
	}
	json_object_array_add(owners, json_object_get(owner));
	json_object_object_add(metadata, "ownerReferences", owners);
}
