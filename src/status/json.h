/* SPDX-License-Identifier: Apache-2.0 */
/* What several kinds of objects that we write have in common. */
#pragma once

#include "source/json.h"

/* Makes an object, by its metadata, belong to `owner`, an ownerReference. Other owners stay, but
 * not one of the same kind and name with another uid: that was removed, and made anew. */
void json_own(struct json_object *metadata, struct json_object *owner);
