/* SPDX-License-Identifier: Apache-2.0 */
/* Fills in the texts of haproxy/: ${NAME} by value, and blocks
 *
 *     #{ NAME
 *     lines
 *     #}
 *
 * which the caller's function emits as often as it wants, with more values. */
#pragma once

#include "base/sb.h"

struct template_value {
	const char *name;
	struct str value;
};

struct template_fill {
	struct sb *out;
	const struct template_value *values; /* ends with a NULL name */
	const struct template_fill *outer;   /* looked up next; may be NULL */
	/* Emits a block's text; may be NULL when there are none. */
	void (*block)(void *user, const struct template_fill *fill, struct str name,
		      struct str text);
	void *user;
};

void template_fill(const struct template_fill *fill, struct str text);

/* Emits a block's text once, with more values. */
void template_block(const struct template_fill *fill, const struct template_value *values,
		    struct str text);

/* The texts of haproxy/, embedded by the build. */
extern const char template_base_cfg[], template_frontend_cfg[], template_record_cfg[],
	template_round_cfg[], template_rewrite_cfg[], template_backend_cfg[], template_agent_spoe[];
