/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a stored status, and what counts as the same. Quotes are written as '. */
#include "status/merge.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define US STR("tidegate.io/gateway-controller")
#define NOW "2026-01-02T03:04:05Z"

static struct json_object *parse(const char *text)
{
	char *copy = strdup(text);
	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	struct json_object *json = json_tokener_parse(copy);
	assert_non_null(json);
	free(copy);
	return json;
}

/* stored NULL: nothing. */
static void assert_merged(enum kind kind, const char *wanted, const char *stored, const char *result)
{
	struct json_object *json = parse(wanted), *old = stored ? parse(stored) : NULL;
	struct json_object *expected = parse(result);
	status_merge(kind, json, old, US, NOW);
	if (!json_object_equal(json, expected))
		assert_string_equal(json_object_to_json_string(json),
				    json_object_to_json_string(expected));
	json_object_put(json);
	json_object_put(old);
	json_object_put(expected);
}

static bool same(enum kind kind, const char *a, const char *b)
{
	struct json_object *left = a ? parse(a) : NULL, *right = b ? parse(b) : NULL;
	unsigned char one[STATUS_SUM_BYTES], two[STATUS_SUM_BYTES];
	status_sum(kind, left, US, one);
	status_sum(kind, right, US, two);
	json_object_put(left);
	json_object_put(right);
	return memcmp(one, two, STATUS_SUM_BYTES) == 0;
}

#define REF "'parentRef':{'group':'g','kind':'Gateway','name':'gw'}"
#define OURS REF ",'controllerName':'tidegate.io/gateway-controller'"
#define THEIRS "{" REF ",'controllerName':'example.com/x','conditions':[{'type':'Accepted'," \
	       "'status':'False','lastTransitionTime':'2020-01-01T00:00:00Z'}]}"

static void transition_times(void **state)
{
	(void)state;
	assert_merged(KIND_GATEWAY, "{'conditions':[{'type':'Accepted','status':'True'}]}", NULL,
		      "{'conditions':[{'type':'Accepted','status':'True',"
		      "'lastTransitionTime':'" NOW "'}]}");
	/* Another reason is no transition; another status is. CRDs come with Unknown. */
	assert_merged(KIND_GATEWAY,
		      "{'conditions':[{'type':'Accepted','status':'True','reason':'B'},"
		      "{'type':'Programmed','status':'True'},"
		      "{'type':'ResolvedRefs','status':'True'}],"
		      "'listeners':[{'name':'a','conditions':[{'type':'Accepted','status':'True'}]},"
		      "{'name':'b','conditions':[{'type':'Accepted','status':'True'}]}]}",
		      "{'conditions':[{'type':'Programmed','status':'Unknown',"
		      "'lastTransitionTime':'1970-01-01T00:00:00Z'},"
		      "{'type':'ResolvedRefs','status':'True'},"
		      "{'type':'Accepted','status':'True','reason':'A',"
		      "'lastTransitionTime':'2020-01-01T00:00:00Z'}],"
		      "'listeners':[{'name':'b','conditions':[{'type':'Accepted','status':'True',"
		      "'lastTransitionTime':'2021-01-01T00:00:00Z'}]}]}",
		      "{'conditions':[{'type':'Accepted','status':'True','reason':'B',"
		      "'lastTransitionTime':'2020-01-01T00:00:00Z'},"
		      "{'type':'Programmed','status':'True','lastTransitionTime':'" NOW "'},"
		      "{'type':'ResolvedRefs','status':'True','lastTransitionTime':'" NOW "'}],"
		      "'listeners':[{'name':'a','conditions':[{'type':'Accepted','status':'True',"
		      "'lastTransitionTime':'" NOW "'}]},"
		      "{'name':'b','conditions':[{'type':'Accepted','status':'True',"
		      "'lastTransitionTime':'2021-01-01T00:00:00Z'}]}]}");
}

/* Conditions of types that are not ours stay; ours that are over go. */
static void others_conditions(void **state)
{
	(void)state;
	assert_merged(KIND_GATEWAYCLASS, "{'conditions':[{'type':'Accepted','status':'True'}]}",
		      "{'conditions':[{'type':'SupportedVersion','status':'True'},"
		      "{'type':'example.com/Billed','status':'True','reason':'R'}]}",
		      "{'conditions':[{'type':'Accepted','status':'True',"
		      "'lastTransitionTime':'" NOW "'},"
		      "{'type':'example.com/Billed','status':'True','reason':'R'}]}");
}

static void others_parents(void **state)
{
	(void)state;
	const char *wanted = "{'parents':[{" OURS ",'conditions':[{'type':'Accepted',"
			     "'status':'True'}]}]}";
	assert_merged(KIND_HTTPROUTE, wanted,
		      "{'parents':[{" OURS ",'conditions':[{'type':'Accepted','status':'True',"
		      "'lastTransitionTime':'2020-01-01T00:00:00Z'}]}," THEIRS
		      ",{'parentRef':{'name':'gone'},'controllerName':"
		      "'tidegate.io/gateway-controller','conditions':[]}]}",
		      "{'parents':[" THEIRS ",{" OURS ",'conditions':[{'type':'Accepted',"
		      "'status':'True','lastTransitionTime':'2020-01-01T00:00:00Z'}]}]}");
	/* The other's entry for the same Gateway does not lend its time. */
	assert_merged(KIND_HTTPROUTE, wanted, "{'parents':[" THEIRS "]}",
		      "{'parents':[" THEIRS ",{" OURS ",'conditions':[{'type':'Accepted',"
		      "'status':'True','lastTransitionTime':'" NOW "'}]}]}");
	assert_merged(KIND_HTTPROUTE, "{'parents':[]}", "{'parents':[" THEIRS "]}",
		      "{'parents':[" THEIRS "]}");
}

/* Never more than the schema allows: the others came first. */
static void many_parents(void **state)
{
	(void)state;
	struct json_object *stored = json_object_new_object(), *list = json_object_new_array();
	struct json_object *wanted = parse("{'parents':[{" OURS ",'conditions':[]},{'parentRef':"
					   "{'name':'two'},'controllerName':"
					   "'tidegate.io/gateway-controller','conditions':[]}]}");
	for (int i = 0; i < MAX_PARENT_REFS - 1; i++)
		json_object_array_add(list, parse(THEIRS));
	json_object_object_add(stored, "parents", list);
	status_merge(KIND_HTTPROUTE, wanted, stored, US, NOW);
	json_object_object_get_ex(wanted, "parents", &list);
	assert_int_equal(json_object_array_length(list), MAX_PARENT_REFS);
	json_object_put(wanted);
	json_object_put(stored);
}

#define OUR_VERDICT "'controllerName':'tidegate.io/gateway-controller','conditions':[{'type':" \
		    "'Accepted','status':'True'"
#define THEIR_VERDICT "{'controllerName':'example.com/x','conditions':[{'type':'Accepted'," \
		      "'status':'False','lastTransitionTime':'2020-01-01T00:00:00Z'}]}"

/* Of our own kinds each controller has an entry, and none touches another's. */
static void verdicts(void **state)
{
	static const enum kind kinds[] = { KIND_BACKEND, KIND_GATEWAYPARAMETERS };
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *wanted = "{'controllers':[{" OUR_VERDICT "}]}]}";
		assert_merged(kinds[i], wanted, NULL,
			      "{'controllers':[{" OUR_VERDICT ",'lastTransitionTime':'" NOW "'}]}]}");
		assert_merged(kinds[i], wanted,
			      "{'controllers':[{" OUR_VERDICT ",'lastTransitionTime':"
			      "'2021-01-01T00:00:00Z'}]}," THEIR_VERDICT "]}",
			      "{'controllers':[" THEIR_VERDICT ",{" OUR_VERDICT
			      ",'lastTransitionTime':'2021-01-01T00:00:00Z'}]}]}");
		assert_true(same(kinds[i], wanted, "{'controllers':[" THEIR_VERDICT ",{" OUR_VERDICT
						   ",'lastTransitionTime':'x'}]}]}"));
		assert_true(same(kinds[i], NULL, "{'controllers':[" THEIR_VERDICT "]}"));
		assert_false(same(kinds[i], wanted, "{'controllers':[" THEIR_VERDICT "]}"));
		assert_false(same(kinds[i], wanted,
				  "{'controllers':[{" OUR_VERDICT ",'observedGeneration':2}]}]}"));
	}
}

static void sums(void **state)
{
	(void)state;
	const char *route = "{'parents':[{" OURS ",'conditions':[{'type':'Accepted',"
			    "'status':'True'}]}]}";
	/* What others write, times, the order of keys, and what is empty make no difference. */
	assert_true(same(KIND_HTTPROUTE, route,
			 "{'parents':[" THEIRS ",{'conditions':[{'status':'True','type':'Accepted',"
			 "'lastTransitionTime':'x'},{'type':'example.com/Y','status':'True'}]," OURS
			 "}]}"));
	assert_true(same(KIND_HTTPROUTE, NULL, "{'parents':[" THEIRS "]}"));
	assert_true(same(KIND_GATEWAY, "{'addresses':[],'attachedListenerSets':1}", NULL));
	assert_true(same(KIND_GATEWAY, "{'listeners':[{'name':'a','supportedKinds':[]}]}",
			 "{'listeners':[{'name':'a'}]}"));
	/* Everything else does. */
	assert_false(same(KIND_HTTPROUTE, route, NULL));
	assert_false(same(KIND_HTTPROUTE, route,
			  "{'parents':[{" OURS ",'conditions':[{'type':'Accepted',"
			  "'status':'False'}]}]}"));
	assert_false(same(KIND_HTTPROUTE, route,
			  "{'parents':[{" OURS ",'conditions':[{'type':'Accepted','status':'True',"
			  "'observedGeneration':2}]}]}"));
	assert_false(same(KIND_GATEWAY, "{'addresses':[{'value':'a'}]}", "{'addresses':[]}"));
	assert_false(same(KIND_GATEWAYCLASS, "{'supportedFeatures':[{'name':'A'}]}",
			  "{'supportedFeatures':[{'name':'B'}]}"));
}

/* The API server stores whatever a status of ours is: nothing here may stumble. */
static void odd_shapes(void **state)
{
	static const char *const texts[] = { "[]", "'x'", "{'parents':{}}", "{'parents':[1,null]}",
					     "{'parents':[{'controllerName':7}]}",
					     "{'controllers':[1,{'controllerName':[]}]}",
					     "{'conditions':[[]],'listeners':[{'conditions':3}]}" };
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (int kind = KIND_GATEWAYCLASS; kind < KIND_COUNT; kind++) {
			struct json_object *wanted = parse("{'parents':[{" OURS "}],'listeners':[{}],"
							   "'conditions':[],'controllers':[{}]}");
			struct json_object *stored = parse(texts[i]);
			status_merge((enum kind)kind, wanted, stored, US, NOW);
			assert_true(same((enum kind)kind, texts[i], texts[i]));
			json_object_put(wanted);
			json_object_put(stored);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transition_times), cmocka_unit_test(others_conditions),
		cmocka_unit_test(others_parents),   cmocka_unit_test(many_parents),
		cmocka_unit_test(verdicts),	    cmocka_unit_test(sums),
		cmocka_unit_test(odd_shapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
