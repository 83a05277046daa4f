/* SPDX-License-Identifier: Apache-2.0 */
/* JSON object -> model, with every check that an API server's CRD validation makes.
 *
 * source/ makes the JSON. An object with an error finding is not made: whoever asked keeps the
 * version that was in force before. */
#pragma once

#include "model/finding.h"

struct json_object;

enum decode_result {
	DECODE_OK = 0,
	DECODE_INVALID, /* findings say why */
	DECODE_UNKNOWN, /* a kind that is not read */
};

struct decode_output {
	struct object *object; /* DECODE_OK; the caller's */
	enum kind kind;        /* DECODE_OK, DECODE_INVALID */
	struct str ns, name;   /* likewise, as far as known; in findings->arena */
	struct str kind_name;  /* DECODE_UNKNOWN: "group/Kind"; in findings->arena */
};

/* json is borrowed. origin ("file.yaml:12") may be empty. Warnings may be added with
 * DECODE_OK too. A `List` is the source's to unpack. */
enum decode_result decode_object(struct json_object *json, struct str origin,
				 struct decode_output *ret, struct findings *findings);
