/* SPDX-License-Identifier: Apache-2.0 */
/* Findings: what is wrong with a user's objects, as data.
 *
 * A finding names the object, the field, a reason (one CamelCase word, the Gateway API's own
 * where it has one) and one sentence that says what to change. Nobody stops on a finding. */
#pragma once

#include "base/arena.h"
#include "model/model.h"

enum severity {
	SEVERITY_ERROR = 0, /* the object, or the named part of it, is not used */
	SEVERITY_WARNING,   /* used, but probably not as meant */
	SEVERITY_INFO,
};

struct finding {
	enum severity severity;
	enum kind kind; /* KIND_NONE: about a file; name is then its path */
	struct str ns, name;
	struct str field; /* "spec.rules[0].matches[1].path.value"; may be empty */
	struct str reason;
	struct str text;
	struct str origin; /* "routes.yaml:12"; may be empty */
};

/* Grows in its arena; everything added is copied there. */
struct findings {
	struct arena *arena;
	struct finding *items;
	size_t count, capacity;
	size_t error_count;
};

void findings_init(struct findings *findings, struct arena *arena);

/* meta may be NULL only with KIND_NONE. field may be NULL. */
void findings_add(struct findings *findings, enum severity severity, enum kind kind,
		  const struct meta *meta, const char *field, const char *reason, const char *fmt,
		  ...) printf_like(7, 8);

/* Copies all of another arena's; more may be NULL. */
void findings_append(struct findings *findings, const struct findings *more);

const char *severity_name(enum severity severity); /* "error", "warning", "info" */

/* Order for output: kind, namespace, name, field, reason, text. */
int finding_cmp(const void *a, const void *b);
