/* SPDX-License-Identifier: Apache-2.0 */
/* Tidegate's pods, out of lists of an API server. Pure. */
#pragma once

#include "base/arena.h"

struct json_object;

struct pod {
	struct str ns, name, node;
	struct str release; /* label app.kubernetes.io/instance; may be empty */
	bool ready, leads;
};

struct pods { /* by namespace, release; of one release the leader first, then those that are ready */
	struct pod *items;
	size_t count;
	size_t release_count; /* of different (namespace, release) */
};

/* Those of a PodList that run; leases: a LeaseList, or NULL. Everything is copied. */
void pods_read(struct json_object *list, struct json_object *leases, struct arena *arena,
	       struct pods *ret);

/* The index of the pod to talk to; name NULL: the first. Fails with a list of what there is. */
bool pods_choose(const struct pods *pods, const char *name, size_t *ret_index, struct error *err)
	must_check;
