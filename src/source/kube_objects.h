/* SPDX-License-Identifier: Apache-2.0 */
/* What one watch has seen: which objects are there, and which version of each is in force.
 *
 * Only a digest is kept of an object. It leaves out what other writers touch all the time and
 * we never read (status, managedFields, annotations, resourceVersion), so that such writes
 * cost nothing behind this point; of the Services that Tidegate makes for Gateways the status is
 * read, though, and of Gateways' the addresses, where that is asked for. An object that decode/
 * refuses leaves its last good version in force, with findings. */
#pragma once

#include "model/finding.h"
#include "source/sink.h"

struct json_object;
struct kube_objects;

struct kube_objects *kube_objects_new(enum kind kind, const struct source_sink *sink);
/* Before the first put: the addresses in the objects' status are read, too. */
void kube_objects_keep_addresses(struct kube_objects *objects);
void kube_objects_free(struct kube_objects *objects); /* removes nothing; accepts NULL */

/* The object is there: json (borrowed, changed) is what it says now. True when something was
 * delivered or a finding has changed. */
bool kube_objects_put(struct kube_objects *objects, struct json_object *json);
bool kube_objects_del(struct kube_objects *objects, struct json_object *json);

/* Between the two, everything that is still there is put; what is not is removed by _ends. */
void kube_objects_list_begins(struct kube_objects *objects);
bool kube_objects_list_ends(struct kube_objects *objects);

/* Removes everything. */
bool kube_objects_clear(struct kube_objects *objects);

size_t kube_objects_count(const struct kube_objects *objects);
/* Those of which no version could be delivered. */
size_t kube_objects_lost(const struct kube_objects *objects);
void kube_objects_findings(const struct kube_objects *objects, struct findings *findings);

/* What is wrong with the last version of an object, and that version's generation; borrowed until
 * the next put or delete. NULL: nothing, or there is no such object. */
const struct findings *kube_objects_refusal(const struct kube_objects *objects, struct str ns,
					    struct str name, int64_t *ret_generation);
