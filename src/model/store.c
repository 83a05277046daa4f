/* SPDX-License-Identifier: Apache-2.0 */
/* One shelf of objects per kind, and one per Service for its EndpointSlices.
 *
 *   shelf.items: [ sorted by namespace, name ........ | appended, unsorted ]
 *                                        sorted_count ^              count ^
 *
 * The tail is merged in when somebody asks for the list, so that loading many objects costs
 * one sort, and a change afterwards costs one pass over the pointers. */
#include "model/store.h"

#include "base/map.h"

#include <assert.h>

enum { KEY_BYTES = 640 };

struct shelf {
	const struct object **items;
	size_t count, capacity, sorted_count;
};

/* Behind a pointer: settling a shelf's order is not a change that a const store forbids. */
struct store {
	struct shelf *shelves;           /* KIND_COUNT */
	struct map *objects[KIND_COUNT]; /* "ns/name" -> struct object */
	struct map *slices;              /* "ns/service" -> struct shelf */
	struct object **retired;
	size_t retired_count, retired_capacity;
};

static int cmp_objects(const struct object *a, const struct object *b)
{
	return meta_cmp_name(&a->meta, b->meta.ns, b->meta.name);
}

static int cmp_items(const void *a, const void *b)
{
	return cmp_objects(*(const struct object *const *)a, *(const struct object *const *)b);
}

static void shelf_free(void *value)
{
	struct shelf *shelf = value;

	free(shelf->items);
	free(shelf);
}

static void shelf_append(struct shelf *shelf, const struct object *object)
{
	shelf->items = grow(shelf->items, shelf->count, &shelf->capacity, sizeof(*shelf->items));
	shelf->items[shelf->count++] = object;
}

/* Sorts the tail, then merges it into the sorted part from behind. */
static void shelf_settle(struct shelf *shelf)
{
	size_t tail_count = shelf->count - shelf->sorted_count;
	size_t at = shelf->count, left = shelf->sorted_count;
	const struct object **tail;

	if (tail_count == 0)
		return;
	tail = xmalloc(tail_count * sizeof(*tail));
	memcpy(tail, shelf->items + left, tail_count * sizeof(*tail));
	qsort(tail, tail_count, sizeof(*tail), cmp_items);
	while (tail_count > 0) {
		if (left > 0 && cmp_objects(shelf->items[left - 1], tail[tail_count - 1]) > 0)
			shelf->items[--at] = shelf->items[--left];
		else
			shelf->items[--at] = tail[--tail_count];
	}
	free(tail);
	shelf->sorted_count = shelf->count;
}

/* Where the object with this one's key stands; it must be there. */
static const struct object **shelf_find(struct shelf *shelf, const struct object *object)
{
	const struct object **item;

	shelf_settle(shelf);
	item = bsearch(&object, shelf->items, shelf->count, sizeof(*shelf->items), cmp_items);
	assert(item);
	return item;
}

static void shelf_remove(struct shelf *shelf, const struct object *object)
{
	const struct object **item = shelf_find(shelf, object);
	size_t behind = (size_t)(shelf->items + shelf->count - item) - 1;

	memmove(item, item + 1, behind * sizeof(*item));
	shelf->count--;
	shelf->sorted_count = shelf->count;
}

/* False when the key cannot be one of an object: decode/ bounds both parts. */
static bool make_key(char buffer[KEY_BYTES], struct str ns, struct str name, struct str *ret_key)
{
	if (ns.n >= KEY_BYTES || name.n >= KEY_BYTES || ns.n + name.n + 1 > KEY_BYTES)
		return false;
	if (ns.n)
		memcpy(buffer, ns.p, ns.n);
	buffer[ns.n] = '/';
	if (name.n)
		memcpy(buffer + ns.n + 1, name.p, name.n);
	*ret_key = (struct str){ buffer, ns.n + name.n + 1 };
	return true;
}

static void free_object_value(void *value)
{
	object_free(value);
}

struct store *store_new(void)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->shelves = xcalloc(KIND_COUNT, sizeof(*store->shelves));
	for (int i = 0; i < KIND_COUNT; i++)
		store->objects[i] = map_new();
	store->slices = map_new();
	return store;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	store_reap(store);
	for (int i = 0; i < KIND_COUNT; i++) {
		map_free(store->objects[i], free_object_value);
		free(store->shelves[i].items);
	}
	map_free(store->slices, shelf_free);
	free(store->shelves);
	free(store->retired);
	free(store);
}

static void retire(struct store *store, struct object *object)
{
	store->retired = grow(store->retired, store->retired_count, &store->retired_capacity,
			      sizeof(*store->retired));
	store->retired[store->retired_count++] = object;
}

static bool service_key(const struct object *object, char buffer[KEY_BYTES], struct str *ret_key)
{
	if (object->kind != KIND_ENDPOINTSLICE || str_empty(object->endpoint_slice.service))
		return false;
	return make_key(buffer, object->meta.ns, object->endpoint_slice.service, ret_key);
}

static void index_slice(struct store *store, const struct object *object)
{
	char buffer[KEY_BYTES];
	struct shelf *shelf;
	struct str key;

	if (!service_key(object, buffer, &key))
		return;
	shelf = map_get(store->slices, key);
	if (!shelf) {
		shelf = xcalloc(1, sizeof(*shelf));
		map_put(store->slices, key, shelf);
	}
	shelf_append(shelf, object);
}

static void unindex_slice(struct store *store, const struct object *object)
{
	char buffer[KEY_BYTES];
	struct shelf *shelf;
	struct str key;

	if (!service_key(object, buffer, &key))
		return;
	shelf = map_get(store->slices, key);
	assert(shelf);
	shelf_remove(shelf, object);
	if (shelf->count == 0)
		shelf_free(map_del(store->slices, key));
}

void store_put(struct store *store, struct object *object)
{
	struct shelf *shelf = &store->shelves[object->kind];
	char buffer[KEY_BYTES];
	struct object *old;
	struct str key;
	bool fits = make_key(buffer, object->meta.ns, object->meta.name, &key);

	assert(fits);
	(void)fits;
	old = map_put(store->objects[object->kind], key, object);
	if (old) {
		unindex_slice(store, old);
		*shelf_find(shelf, object) = object;
		retire(store, old);
	} else {
		shelf_append(shelf, object);
	}
	index_slice(store, object);
}

bool store_delete(struct store *store, enum kind kind, struct str ns, struct str name)
{
	char buffer[KEY_BYTES];
	struct object *old;
	struct str key;

	if (!make_key(buffer, ns, name, &key))
		return false;
	old = map_del(store->objects[kind], key);
	if (!old)
		return false;
	unindex_slice(store, old);
	shelf_remove(&store->shelves[kind], old);
	retire(store, old);
	return true;
}

void store_reap(struct store *store)
{
	for (size_t i = 0; i < store->retired_count; i++)
		object_free(store->retired[i]);
	store->retired_count = 0;
}

static struct object *find(const struct store *store, enum kind kind, struct str ns,
			   struct str name)
{
	char buffer[KEY_BYTES];
	struct str key;

	if (!make_key(buffer, ns, name, &key))
		return NULL;
	return map_get(store->objects[kind], key);
}

const struct object *store_get(const struct store *store, enum kind kind, struct str ns,
			       struct str name)
{
	return find(store, kind, ns, name);
}

struct object *store_edit(struct store *store, enum kind kind, struct str ns, struct str name)
{
	return find(store, kind, ns, name);
}

static const struct object *const *shelf_list(struct shelf *shelf, size_t *ret_count)
{
	shelf_settle(shelf);
	*ret_count = shelf->count;
	return shelf->items;
}

const struct object *const *store_list(const struct store *store, enum kind kind, size_t *ret_count)
{
	return shelf_list(&store->shelves[kind], ret_count);
}

const struct object *const *store_slices(const struct store *store, struct str ns,
					 struct str service, size_t *ret_count)
{
	char buffer[KEY_BYTES];
	struct shelf *shelf = NULL;
	struct str key;

	if (make_key(buffer, ns, service, &key))
		shelf = map_get(store->slices, key);
	if (!shelf) {
		*ret_count = 0;
		return NULL;
	}
	return shelf_list(shelf, ret_count);
}
