/* SPDX-License-Identifier: Apache-2.0 */
/* The units of compilation: what is remade as a whole, and the entries it contributed.
 *
 *     route_unit ──refs──► backend_unit
 *         └──attached to──► vhost (hosts.c)
 *
 * Every unit owns an entry_list; remaking it changes only the entries that differ. */
#pragma once

#include "plan/compile.h"
#include "plan/emit.h"

struct backend_unit;

struct route_unit {
	struct route_view *view;
	struct entry_list entries; /* rules, splits, header filters */
	struct findings *findings; /* of compiling; may be NULL */
	struct backend_unit **backends; /* one reference each; repeats are fine */
	uint32_t backend_count;
	uint32_t stamp;            /* of the virtual host that collected it last */
	uint64_t failed_rules;     /* bit per rule: its records cannot be expressed */
};

/* ---- backends (backends.c) ---- */

struct backends;

struct backends *backends_new(struct entry_set *set);
void backends_free(struct backends *backends);

/* A backend is in the plan while somebody has a reference. */
struct backend_unit *backends_ref(struct backends *backends, struct str name);
void backends_unref(struct backends *backends, struct backend_unit *unit);

/* A Service (or its EndpointSlices) or a Backend changed. */
void backends_mark(struct backends *backends, enum kind kind, struct str ns, struct str name);
void backends_mark_host(struct backends *backends, const struct store *store, struct str host);
void backends_mark_all(struct backends *backends);

void backends_remake(struct backends *backends, const struct store *store,
		     const struct compile_options *options);
void backends_findings(const struct backends *backends, struct findings *findings);
/* Whether names or users of Backends may have changed since the last question. */
bool backends_hosts_changed(struct backends *backends);
struct str *backends_hosts(const struct backends *backends, const struct store *store,
			   struct arena *arena, size_t *ret_count);

/* ---- virtual hosts (hosts.c) ---- */

struct hosts;

struct hosts *hosts_new(struct entry_set *set);
void hosts_free(struct hosts *hosts);

/* Forgets every attachment: all routes are to be attached again, to this view. */
void hosts_reset(struct hosts *hosts, const struct gateways_view *gateways);

/* The route's view is new, or about to go. Also counts attached_routes of its listeners. */
void hosts_attach(struct hosts *hosts, struct route_unit *unit);
void hosts_detach(struct hosts *hosts, struct route_unit *unit);

/* Flattens what attachments touched. */
void hosts_remake(struct hosts *hosts);
void hosts_findings(const struct hosts *hosts, struct findings *findings);

/* True when requests reach the route through this attachment. */
bool attachment_serves(const struct attachment *attachment);
