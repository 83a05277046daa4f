/* SPDX-License-Identifier: Apache-2.0 */
/* The source in use: manifests or an API server, behind one face. */
#pragma once

#include "source/files.h"
#include "source/kube.h"

struct sources { /* exactly one of the two is set while the daemon runs */
	struct files_source *files;
	struct kube_source *kube;
};

struct sources_options {
	const char *const *paths; /* of manifests */
	size_t path_count;
	bool kubernetes; /* an API server instead */
	struct kube_options kube;
};

bool sources_init(struct sources *sources, struct ev_loop *loop,
		  const struct sources_options *options, const struct source_sink *sink,
		  struct error *err) must_check;
void sources_fini(struct sources *sources); /* accepts a zeroed one */

void sources_start(struct sources *sources);
/* Looks at everything again, tries what failed. */
void sources_rescan(struct sources *sources);
/* What objects refer to, and is to be read for their sake. */
void sources_follow(struct sources *sources, const struct need *needs, size_t count);

void sources_state(const struct sources *sources, struct source_state *ret_state);
/* Why what the source has must not be the first plan; "" when it may. last_good: one is served
 * meanwhile. */
void sources_doubt(const struct sources *sources, bool last_good, char *ret_why, size_t size);
void sources_findings(const struct sources *sources, struct findings *findings);
