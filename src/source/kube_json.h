/* SPDX-License-Identifier: Apache-2.0 */
/* The API server's JSON as it streams in, cut anywhere: values are handed over one by one, so
 * that a page of 500 objects is never in memory as a whole.
 *
 *   {"kind":"ServiceList","metadata":{...},"items":[{...},{...}]}   KUBE_JSON_LIST
 *          └─ member ─┘   └─── member ───┘          └item┘└item┘
 *   {"type":"ADDED","object":{...}} LF {...} LF ...                 KUBE_JSON_VALUES
 *
 * No value may be larger than MAX_OBJECT_BYTES. */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct json_object;
struct kube_json;

enum kube_json_shape { KUBE_JSON_VALUES = 0, KUBE_JSON_LIST };

/* member: "" for a value of KUBE_JSON_VALUES, "items" for each item of a list. json is
 * borrowed, may be changed, and is NULL for null. False stops with *err. */
typedef bool (*kube_json_fn)(void *user, const char *member, struct json_object *json,
			     struct error *err);

struct kube_json *kube_json_new(enum kube_json_shape shape, kube_json_fn fn, void *user);
void kube_json_free(struct kube_json *parser); /* accepts NULL */

/* ERR_SYNTAX, ERR_LIMIT, or what fn said. Must not be called again after a failure. */
bool kube_json_feed(struct kube_json *parser, struct str bytes, struct error *err) must_check;

/* False with ERR_SYNTAX when the text stops inside a value, or a list has not ended. */
bool kube_json_end(const struct kube_json *parser, struct error *err) must_check;
