/* SPDX-License-Identifier: Apache-2.0 */
#include "status/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/sb.h"

static const char route[] = "{\"apiVersion\": \"gateway.networking.k8s.io/v1\", \"kind\": "
			    "\"HTTPRoute\", \"metadata\": {\"namespace\": \"shop\", \"name\": "
			    "\"web\", \"uid\": \"u1\", \"resourceVersion\": \"7\"}, \"spec\": {}}";

static const struct event missing = { .reason = "BackendNotFound",
				      .note = "spec.rules[0]: there is none",
				      .controller = STR_INIT("tidegate.io/gateway-controller"),
				      .instance = STR_INIT("edge-1_0a") };

static struct json_object *at(struct json_object *json, const char *a, const char *b)
{
	struct json_object *value = NULL;
	assert_true(json_object_object_get_ex(json, a, &value));
	if (b)
		assert_true(json_object_object_get_ex(value, b, &value));
	return value;
}

static void expect_text(struct json_object *json, const char *a, const char *b, const char *want)
{
	assert_string_equal(json_object_get_string(at(json, a, b)), want);
}

static void test_new(void **state)
{
	struct json_object *object = json_tokener_parse(route);
	struct json_object *json = event_new(&missing, object, "2026-01-31T12:00:00.000000Z");
	char name[EVENT_NAME_BYTES];
	(void)state;
	event_name(&missing, object, name);
	assert_int_equal(strlen(name), strlen("web.") + 16);
	expect_text(json, "metadata", "name", name);
	expect_text(json, "metadata", "namespace", "shop");
	expect_text(json, "regarding", "kind", "HTTPRoute");
	expect_text(json, "regarding", "apiVersion", "gateway.networking.k8s.io/v1");
	expect_text(json, "regarding", "uid", "u1");
	expect_text(json, "regarding", "namespace", "shop");
	expect_text(json, "type", NULL, "Warning");
	expect_text(json, "reason", NULL, "BackendNotFound");
	expect_text(json, "note", NULL, missing.note);
	expect_text(json, "eventTime", NULL, "2026-01-31T12:00:00.000000Z");
	expect_text(json, "reportingController", NULL, "tidegate.io/gateway-controller");
	expect_text(json, "reportingInstance", NULL, "edge-1_0a");
	json_object_put(json);
	json_object_put(object);
}

/* Another object of the same name, another reason or note: another Event. */
static void test_names(void **state)
{
	struct json_object *object = json_tokener_parse(route), *metadata = at(object, "metadata", NULL);
	struct event other = missing;
	char first[EVENT_NAME_BYTES], name[EVENT_NAME_BYTES];
	(void)state;
	event_name(&missing, object, first);
	json_object_object_add(metadata, "resourceVersion", json_object_new_string("8"));
	other.instance = STR("edge-2_0b");
	event_name(&other, object, name);
	assert_string_equal(name, first);
	other.note = "spec.rules[1]: there is none";
	event_name(&other, object, name);
	assert_string_not_equal(name, first);
	other = missing;
	other.reason = "InvalidKind";
	event_name(&other, object, name);
	assert_string_not_equal(name, first);
	json_object_object_add(metadata, "uid", json_object_new_string("u2"));
	event_name(&missing, object, name);
	assert_string_not_equal(name, first);
	json_object_put(object);
}

/* What an API server would refuse for its length. */
static void test_long(void **state)
{
	struct json_object *object = json_tokener_parse(route), *metadata = at(object, "metadata", NULL);
	char long_name[254], note[2000], name[EVENT_NAME_BYTES], instance[200];
	struct event event = missing;
	(void)state;
	memset(long_name, 'n', sizeof(long_name));
	long_name[199] = '.';
	long_name[198] = '-';
	long_name[253] = '\0';
	json_object_object_add(metadata, "name", json_object_new_string(long_name));
	json_object_object_del(metadata, "namespace");
	event_name(&event, object, name);
	assert_int_equal(strlen(name), 198 + 1 + 16);
	memset(note, 'x', sizeof(note));
	memcpy(note + 1022, "\xc3\xa4", 2); /* a character across the end */
	note[sizeof(note) - 1] = '\0';
	memset(instance, 'i', sizeof(instance));
	event.note = note;
	event.instance = (struct str){ instance, sizeof(instance) };
	struct json_object *json = event_new(&event, object, "");
	assert_int_equal(json_object_get_string_len(at(json, "note", NULL)), 1022);
	assert_int_equal(json_object_get_string_len(at(json, "reportingInstance", NULL)), 128);
	expect_text(json, "metadata", "namespace", "default");
	json_object_put(json);
	json_object_put(object);
}

static void expect_count(const char *stored, unsigned times, int want)
{
	struct json_object *json = json_tokener_parse(stored);
	struct json_object *patch = event_repeat(json, times, "2026-01-31T12:00:00.000000Z");
	assert_int_equal(json_object_get_int(at(patch, "series", "count")), want);
	expect_text(patch, "series", "lastObservedTime", "2026-01-31T12:00:00.000000Z");
	json_object_put(patch);
	json_object_put(json);
}

static void test_repeat(void **state)
{
	(void)state;
	expect_count("{}", 1, 2);
	expect_count("{\"series\": {\"count\": 4}}", 3, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_repeat),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
