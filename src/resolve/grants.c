/* SPDX-License-Identifier: Apache-2.0 */
/* ReferenceGrants: who may refer across namespaces. */
#include "resolve/view.h"

static bool allows_from(const struct reference_grant *grant, struct str group, struct str kind,
			struct str ns)
{
	for (size_t i = 0; i < grant->from_count; i++) {
		const struct grant_from *from = &grant->from[i];
		if (str_eq(from->group, group) && str_eq(from->kind, kind) && str_eq(from->ns, ns))
			return true;
	}
	return false;
}

static bool allows_to(const struct reference_grant *grant, struct str group, struct str kind,
		      struct str name)
{
	for (size_t i = 0; i < grant->to_count; i++) {
		const struct grant_to *to = &grant->to[i];
		if (str_eq(to->group, group) && str_eq(to->kind, kind) &&
		    (str_empty(to->name) || str_eq(to->name, name)))
			return true;
	}
	return false;
}

/* The first object of the namespace in a list that is ordered by namespace. */
static size_t first_of_namespace(const struct object *const *objects, size_t count, struct str ns)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (str_cmp(objects[middle]->meta.ns, ns) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool reference_allowed(const struct store *store, struct str from_group, struct str from_kind,
		       struct str from_ns, struct str to_group, struct str to_kind,
		       struct str to_ns, struct str to_name)
{
	if (str_eq(from_ns, to_ns))
		return true;
	size_t count;
	const struct object *const *grants = store_list(store, KIND_REFERENCEGRANT, &count);
	for (size_t i = first_of_namespace(grants, count, to_ns);
	     i < count && str_eq(grants[i]->meta.ns, to_ns); i++) {
		const struct reference_grant *grant = &grants[i]->reference_grant;
		if (allows_from(grant, from_group, from_kind, from_ns) &&
		    allows_to(grant, to_group, to_kind, to_name))
			return true;
	}
	return false;
}
