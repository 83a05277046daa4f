/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that are in force, by kind and key.
 *
 * store_put() and store_delete() retire the previous version instead of freeing it, because
 * views (resolve/view.h) of other objects may still point into it; store_reap() frees what
 * was retired once every view that could is remade. */
#pragma once

#include "model/model.h"

struct store;

struct store *store_new(void);
void store_free(struct store *store);

/* Takes ownership. */
void store_put(struct store *store, struct object *object);
/* False when there was none. */
bool store_delete(struct store *store, enum kind kind, struct str ns, struct str name);
void store_reap(struct store *store);

const struct object *store_get(const struct store *store, enum kind kind, struct str ns,
			       struct str name);

/* The same, to change what no view has copied; whoever does marks it. */
struct object *store_edit(struct store *store, enum kind kind, struct str ns, struct str name);

/* All objects of a kind ordered by namespace, then name. The array belongs to the store and
 * is valid until the next put or delete. */
const struct object *const *store_list(const struct store *store, enum kind kind,
				       size_t *ret_count);

/* The EndpointSlices of one Service, ordered by name; same validity as store_list(). */
const struct object *const *store_slices(const struct store *store, struct str ns,
					 struct str service, size_t *ret_count);
