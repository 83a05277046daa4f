/* SPDX-License-Identifier: Apache-2.0 */
/* State -> the files that HAProxy starts from. Deterministic: same state, same bytes. */
#pragma once

#include "haproxy/state.h"

struct render_options {
	const char *user, *group; /* may be NULL */
	unsigned threads, maxconn; /* 0: HAProxy's own choice */
	const char *log_target;    /* NULL: no log */
	bool access_log;
	bool ipv6; /* the host has it: "*" is both */
};

/* haproxy.cfg and agent.spoe. Call state_settle() first: every backend is rendered under its
 * own name. */
void render_cfg(const struct state *state, const struct render_options *options,
		struct sb *out);
void render_spoe(struct sb *out);

/* The crt-list of an https frontend. */
void render_crt_list(const struct state *state, struct str frontend, struct sb *out);

/* "DIGEST SPARES": a digest of what only a reload can change (frontends, header names, options),
 * and how many spare backends there are. Two states with the same one differ only in what goes
 * through the Runtime API. It is the description in `show info` of a HAProxy that has loaded
 * haproxy.cfg, after the word "schema". */
struct str render_schema(const struct state *state, const struct render_options *options,
			 struct arena *arena);

/* Why this change needs a reload ("listener default.gw.80"), into text; false when it does
 * not. `state` is from before the change. */
bool render_needs_reload(const struct state *state, const struct change *change, char *text,
			 size_t text_bytes);

/* certs/NAME.pem, certs/FRONTEND.default.pem, FRONTEND.crt-list as absolute paths. */
struct str render_cert_path(const struct state *state, struct arena *arena, struct str name);
struct str render_default_path(const struct state *state, struct arena *arena,
			       struct str frontend);
struct str render_crt_list_path(const struct state *state, struct arena *arena,
				struct str frontend);
/* The socket on which a frontend tells its verdict of a request (backend http-ask). */
struct str render_ask_path(const struct state *state, struct arena *arena, struct str frontend);
struct str render_map_path(const struct state *state, struct arena *arena, struct str file);

/* SNI filters of a plan value for a crt-list line: "" or " a.com b.com". */
struct str render_sni_filters(struct arena *arena, struct str value);
