/* SPDX-License-Identifier: Apache-2.0 */
#include "model/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct object *make(enum kind kind, const char *ns, const char *name, const char *service)
{
	struct arena *arena = arena_new();
	struct object *object = arena_alloc(arena, sizeof(*object));
	object->arena = arena;
	object->kind = kind;
	object->meta.ns = arena_str(arena, str_of(ns));
	object->meta.name = arena_str(arena, str_of(name));
	if (kind == KIND_ENDPOINTSLICE)
		object->endpoint_slice.service = arena_str(arena, str_of(service));
	return object;
}

static void assert_names(const struct object *const *list, size_t count, const char *expected)
{
	char text[256] = "";
	size_t n = 0;
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s" STR_FMT "/" STR_FMT,
				      i ? " " : "", STR_ARG(list[i]->meta.ns),
				      STR_ARG(list[i]->meta.name));
	assert_string_equal(text, expected);
}

static void lists_are_sorted(void **state)
{
	(void)state;
	struct store *store = store_new();
	size_t count;
	assert_null(store_list(store, KIND_SERVICE, &count));
	assert_int_equal(count, 0);
	store_put(store, make(KIND_SERVICE, "b", "a", NULL));
	store_put(store, make(KIND_SERVICE, "a", "z", NULL));
	store_put(store, make(KIND_SERVICE, "a", "b", NULL));
	assert_names(store_list(store, KIND_SERVICE, &count), 3, "a/b a/z b/a");
	store_put(store, make(KIND_SERVICE, "a", "c", NULL));
	store_put(store, make(KIND_SERVICE, "a", "a", NULL));
	store_put(store, make(KIND_SERVICE, "c", "a", NULL));
	assert_names(store_list(store, KIND_SERVICE, &count), 6, "a/a a/b a/c a/z b/a c/a");
	assert_true(store_delete(store, KIND_SERVICE, STR("a"), STR("c")));
	assert_false(store_delete(store, KIND_SERVICE, STR("a"), STR("c")));
	assert_false(store_delete(store, KIND_SECRET, STR("a"), STR("a")));
	store_put(store, make(KIND_SERVICE, "a", "d", NULL));
	assert_true(store_delete(store, KIND_SERVICE, STR("a"), STR("d")));
	assert_names(store_list(store, KIND_SERVICE, &count), 5, "a/a a/b a/z b/a c/a");
	assert_int_equal(count, 5);
	store_list(store, KIND_SECRET, &count);
	assert_int_equal(count, 0);
	store_free(store);
}

static void old_versions_live_until_reaped(void **state)
{
	(void)state;
	struct store *store = store_new();
	struct object *first = make(KIND_SECRET, "a", "x", NULL);
	struct object *second = make(KIND_SECRET, "a", "x", NULL);
	size_t count;
	store_put(store, first);
	store_list(store, KIND_SECRET, &count);
	store_put(store, second);
	assert_ptr_equal(store_get(store, KIND_SECRET, STR("a"), STR("x")), second);
	assert_ptr_equal(store_list(store, KIND_SECRET, &count)[0], second);
	assert_int_equal(count, 1);
	assert_true(str_is(first->meta.name, "x")); /* ASan: still there */
	assert_true(store_delete(store, KIND_SECRET, STR("a"), STR("x")));
	assert_true(str_is(second->meta.name, "x"));
	assert_null(store_get(store, KIND_SECRET, STR("a"), STR("x")));
	store_reap(store);
	store_reap(store);
	store_put(store, make(KIND_SECRET, "a", "x", NULL));
	store_delete(store, KIND_SECRET, STR("a"), STR("x")); /* store_free() reaps */
	store_free(store);
	store_free(NULL);
}

static void slices_of_a_service(void **state)
{
	(void)state;
	struct store *store = store_new();
	size_t count;
	store_put(store, make(KIND_ENDPOINTSLICE, "a", "web-2", "web"));
	store_put(store, make(KIND_ENDPOINTSLICE, "a", "web-1", "web"));
	store_put(store, make(KIND_ENDPOINTSLICE, "b", "web-1", "web"));
	store_put(store, make(KIND_ENDPOINTSLICE, "a", "orphan", NULL));
	assert_names(store_slices(store, STR("a"), STR("web"), &count), 2, "a/web-1 a/web-2");
	/* a slice moves to another Service */
	store_put(store, make(KIND_ENDPOINTSLICE, "a", "web-2", "api"));
	assert_names(store_slices(store, STR("a"), STR("web"), &count), 1, "a/web-1");
	assert_int_equal(count, 1);
	assert_names(store_slices(store, STR("a"), STR("api"), &count), 1, "a/web-2");
	assert_true(store_delete(store, KIND_ENDPOINTSLICE, STR("a"), STR("web-1")));
	assert_null(store_slices(store, STR("a"), STR("web"), &count));
	assert_int_equal(count, 0);
	assert_null(store_slices(store, STR("x"), STR("web"), &count));
	store_list(store, KIND_ENDPOINTSLICE, &count);
	assert_int_equal(count, 3);
	store_free(store);
}

static void cluster_scope_and_long_names(void **state)
{
	(void)state;
	struct store *store = store_new();
	char text[2000];
	store_put(store, make(KIND_NAMESPACE, "", "a", NULL));
	assert_non_null(store_get(store, KIND_NAMESPACE, STR_NONE, STR("a")));
	assert_null(store_get(store, KIND_NAMESPACE, STR("a"), STR_NONE));
	memset(text, 'a', sizeof(text));
	struct str name = { text, sizeof(text) };
	assert_null(store_get(store, KIND_SERVICE, name, name));
	assert_null(store_get(store, KIND_SERVICE, STR_NONE, name));
	assert_false(store_delete(store, KIND_SERVICE, name, STR("a")));
	store_free(store);
}

/* Against a plain array: the same objects after any sequence of changes. */
static void random_changes(void **state)
{
	(void)state;
	struct store *store = store_new();
	bool is_there[200] = { false };
	uint32_t seed = 42;
	for (int step = 0; step < 4000; step++) {
		char name[16];
		size_t count, expected = 0;
		seed = seed * 1664525 + 1013904223;
		unsigned i = (seed >> 8) % 200;
		snprintf(name, sizeof(name), "n%03u", i);
		if (seed >> 31) {
			store_put(store, make(KIND_CONFIGMAP, "a", name, NULL));
			is_there[i] = true;
		} else {
			assert_int_equal(store_delete(store, KIND_CONFIGMAP, STR("a"), str_of(name)),
					 is_there[i]);
			is_there[i] = false;
		}
		if (step % 37)
			continue;
		const struct object *const *list = store_list(store, KIND_CONFIGMAP, &count);
		for (unsigned j = 0; j < 200; j++) {
			if (!is_there[j])
				continue;
			snprintf(name, sizeof(name), "n%03u", j);
			assert_true(str_is(list[expected++]->meta.name, name));
		}
		assert_int_equal(count, expected);
		store_reap(store);
	}
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_sorted),
		cmocka_unit_test(old_versions_live_until_reaped),
		cmocka_unit_test(slices_of_a_service),
		cmocka_unit_test(cluster_scope_and_long_names),
		cmocka_unit_test(random_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
