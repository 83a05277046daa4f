/* SPDX-License-Identifier: Apache-2.0 */
/* What reaches the sink, and what does not. */
#include "source/kube_objects.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sb.h"

struct fixture {
	struct kube_objects *objects;
	struct sb log;
};

static void on_put(void *user, struct object *object)
{
	struct fixture *f = user;
	sb_addf(&f->log, "+" STR_FMT "/" STR_FMT " ", STR_ARG(object->meta.ns),
		STR_ARG(object->meta.name));
	object_free(object);
}

static void on_remove(void *user, enum kind kind, struct str ns, struct str name)
{
	struct fixture *f = user;
	assert_int_equal(kind, KIND_SERVICE);
	sb_addf(&f->log, "-" STR_FMT "/" STR_FMT " ", STR_ARG(ns), STR_ARG(name));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct source_sink sink = { f, on_put, on_remove, NULL };
	f->objects = kube_objects_new(KIND_SERVICE, &sink);
	sb_init(&f->log, 4096);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	kube_objects_free(f->objects);
	sb_fini(&f->log);
	free(f);
	return 0;
}

/* A Service; `more` is text behind its metadata's first fields. */
static struct json_object *service(const char *name, const char *version, const char *more, int port)
{
	struct sb text;
	sb_init(&text, 4096);
	sb_addf(&text, "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s\","
		       "\"namespace\":\"shop\",\"resourceVersion\":\"%s\"%s},"
		       "\"spec\":{\"ports\":[{\"port\":%d}]},\"status\":{\"x\":%s}}",
		name, version, more, port, version);
	struct json_object *json = json_tokener_parse(sb_str(&text).p);
	sb_fini(&text);
	assert_non_null(json);
	return json;
}

static bool put(struct fixture *f, const char *name, const char *version, const char *more, int port)
{
	struct json_object *json = service(name, version, more, port);
	bool changed = kube_objects_put(f->objects, json);
	json_object_put(json);
	return changed;
}

#define assert_log(f, want) do { \
	assert_string_equal(sb_str(&(f)->log).p ? sb_str(&(f)->log).p : "", want); \
	sb_reset(&(f)->log); \
} while (0)

static void test_only_changes(void **state)
{
	struct fixture *f = *state;
	assert_true(put(f, "a", "1", "", 80));
	assert_log(f, "+shop/a ");
	/* status, managedFields, annotations and the version are not read */
	assert_false(put(f, "a", "2", ",\"annotations\":{\"k\":\"v\"},\"managedFields\":[{}]", 80));
	assert_log(f, "");
	assert_true(put(f, "a", "3", ",\"labels\":{\"k\":\"v\"}", 80));
	assert_true(put(f, "a", "4", "", 81));
	assert_log(f, "+shop/a +shop/a ");
}

static void test_list_again(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1", "", 80);
	put(f, "b", "2", "", 80);
	put(f, "c", "3", "", 80);
	kube_objects_list_begins(f->objects);
	put(f, "b", "2", "", 80);
	/* It broke off, and begins again: nothing is lost */
	kube_objects_list_begins(f->objects);
	put(f, "c", "9", "", 81);
	put(f, "d", "9", "", 80);
	assert_log(f, "+shop/a +shop/b +shop/c +shop/c +shop/d ");
	assert_true(kube_objects_list_ends(f->objects));
	assert_log(f, "-shop/a -shop/b ");
	assert_int_equal(kube_objects_count(f->objects), 2);
	kube_objects_list_begins(f->objects);
	put(f, "c", "9", "", 81);
	put(f, "d", "9", "", 80);
	assert_false(kube_objects_list_ends(f->objects));
	assert_true(kube_objects_clear(f->objects));
	assert_log(f, "-shop/c -shop/d ");
}

/* Of a status its addresses count, where that is asked for, and nothing else. */
static void test_addresses(void **state)
{
	static const struct {
		const char *status;
		bool delivered;
	} rows[] = {
		{ "{\"addresses\":[{\"type\":\"IPAddress\",\"value\":\"192.0.2.1\"}]}", true },
		{ "{\"x\":1,\"addresses\":[{\"type\":\"IPAddress\",\"value\":\"192.0.2.1\"}]}",
		  false },
		{ "{\"addresses\":[{\"type\":\"IPAddress\",\"value\":\"192.0.2.2\"}]}", true },
		{ "{}", true },
		{ "{\"x\":2}", false },
		{ "null", false },
	};
	struct fixture *f = *state;
	for (int keeps = 0; keeps < 2; keeps++) {
		const struct source_sink sink = { f, on_put, on_remove, NULL };
		struct kube_objects *objects = kube_objects_new(KIND_GATEWAY, &sink);
		if (keeps)
			kube_objects_keep_addresses(objects);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct sb text;
			sb_init(&text, 4096);
			sb_addf(&text, "{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":"
				"\"Gateway\",\"metadata\":{\"name\":\"g\",\"namespace\":\"shop\"},"
				"\"spec\":{\"gatewayClassName\":\"c\",\"listeners\":[{\"name\":\"h\","
				"\"port\":80,\"protocol\":\"HTTP\"}]},\"status\":%s}",
				rows[i].status);
			struct json_object *json = json_tokener_parse(sb_str(&text).p);
			sb_fini(&text);
			assert_int_equal(kube_objects_put(objects, json),
					 keeps ? rows[i].delivered : i == 0);
			json_object_put(json);
		}
		kube_objects_free(objects);
	}
	assert_log(f, "+shop/g +shop/g +shop/g +shop/g ");
}

static void test_delete(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1", "", 80);
	struct json_object *json = service("a", "2", "", 80);
	assert_true(kube_objects_del(f->objects, json));
	assert_false(kube_objects_del(f->objects, json));
	json_object_put(json);
	assert_log(f, "+shop/a -shop/a ");
}

static size_t finding_count(struct fixture *f)
{
	struct arena *arena = arena_new();
	struct findings findings;
	findings_init(&findings, arena);
	kube_objects_findings(f->objects, &findings);
	size_t count = findings.count;
	arena_free(arena);
	return count;
}

/* A version that is refused leaves the one before in force, and says so once. */
static void test_refused(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1", "", 80);
	assert_true(put(f, "a", "2", "", 70000));
	assert_log(f, "+shop/a ");
	assert_int_equal(finding_count(f), 1);
	assert_false(put(f, "a", "3", "", 70000));
	assert_true(put(f, "a", "4", "", 80));
	assert_int_equal(finding_count(f), 0);
	assert_log(f, "+shop/a ");
	assert_true(put(f, "new", "1", "", 0));
	struct json_object *json = service("new", "2", "", 0);
	assert_true(kube_objects_del(f->objects, json)); /* its finding goes */
	json_object_put(json);
	assert_log(f, "");
	assert_int_equal(finding_count(f), 0);
}

/* Of the last version, with its generation; what it says stays until the next one. */
static void test_refusal(void **state)
{
	struct fixture *f = *state;
	int64_t generation = -1;
	put(f, "a", "1", ",\"generation\":1", 80);
	assert_null(kube_objects_refusal(f->objects, STR("shop"), STR("a"), &generation));
	put(f, "a", "2", ",\"generation\":2", 70000);
	assert_null(kube_objects_refusal(f->objects, STR("other"), STR("a"), &generation));
	assert_int_equal(generation, -1);
	const struct findings *refusal =
		kube_objects_refusal(f->objects, STR("shop"), STR("a"), &generation);
	assert_non_null(refusal);
	assert_int_equal(generation, 2);
	assert_true(str_is(refusal->items[0].reason, "FieldValueInvalid"));
	put(f, "a", "3", ",\"generation\":3", 80);
	assert_null(kube_objects_refusal(f->objects, STR("shop"), STR("a"), &generation));
	/* A warning is no refusal */
	struct json_object *json = service("a", "4", "", 80);
	json_object_object_add(json, "specc", json_object_new_object());
	assert_true(kube_objects_put(f->objects, json));
	json_object_put(json);
	assert_int_equal(finding_count(f), 1);
	assert_null(kube_objects_refusal(f->objects, STR("shop"), STR("a"), &generation));
}

static void test_nameless(void **state)
{
	static const char *const texts[] = { "{}", "{\"metadata\":1}", "{\"metadata\":{\"name\":7}}" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json_object *json = json_tokener_parse(texts[i]);
		assert_false(kube_objects_put(f->objects, json));
		assert_false(kube_objects_del(f->objects, json));
		json_object_put(json);
	}
	assert_int_equal(kube_objects_count(f->objects), 0);
}

/* Where a Gateway is reached stands in its Service's status, and nowhere else. */
static void status_of_gateways(void **state)
{
	struct fixture *f = *state;
	const char *ours = ",\"labels\":{\"tidegate.io/controller\":\"c\"}";
	const char *theirs = ",\"labels\":{\"app.kubernetes.io/managed-by\":\"tidegate\"}";
	assert_true(put(f, "gw", "1", ours, 80));
	assert_true(put(f, "gw", "2", ours, 80));
	assert_log(f, "+shop/gw +shop/gw ");
	assert_true(put(f, "other", "3", theirs, 80));
	assert_false(put(f, "other", "4", theirs, 80));
	assert_log(f, "+shop/other ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nameless, setup, teardown),
		cmocka_unit_test_setup_teardown(status_of_gateways, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
