/* SPDX-License-Identifier: Apache-2.0 */
/* ReferenceGrants: who may refer across namespaces. */
#include "resolve/view.h"

static bool allows_from(const struct reference_grant *grant, const struct object *from)
{
	for (size_t i = 0; i < grant->from_count; i++) {
		const struct grant_from *item = &grant->from[i];
		if (kind_find(item->group, item->kind) == from->kind &&
		    str_eq(item->ns, from->meta.ns))
			return true;
	}
	return false;
}

static bool allows_to(const struct reference_grant *grant, enum kind kind, struct str name)
{
	for (size_t i = 0; i < grant->to_count; i++) {
		const struct grant_to *item = &grant->to[i];
		if (kind_find(item->group, item->kind) == kind &&
		    (str_empty(item->name) || str_eq(item->name, name)))
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

bool reference_allowed(const struct store *store, const struct object *from, enum kind kind,
		       struct str ns, struct str name)
{
	if (str_eq(from->meta.ns, ns))
		return true;
	size_t count;
	const struct object *const *grants = store_list(store, KIND_REFERENCEGRANT, &count);
	for (size_t i = first_of_namespace(grants, count, ns);
	     i < count && str_eq(grants[i]->meta.ns, ns); i++) {
		const struct reference_grant *grant = &grants[i]->reference_grant;
		if (allows_from(grant, from) && allows_to(grant, kind, name))
			return true;
	}
	return false;
}
