/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is done to a valid object, decoding ends in one of three ways, and never in a crash. */
#include "decoding.h"

#include <json-c/linkhash.h>

static const char *const seeds[] = {
	"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{'name':'r',"
	"'namespace':'n','labels':{'a':'b'},'creationTimestamp':'2026-01-01T00:00:00Z'},'spec':{"
	"'parentRefs':[{'name':'g','sectionName':'s'},{'name':'g','sectionName':'t'}],"
	"'hostnames':['a.example','*.b.example'],'rules':[{'matches':[{'path':{'type':'Exact',"
	"'value':'/a/b'},'headers':[{'name':'X','value':'y'},{'name':'x','value':'z'}],'method':"
	"'GET','queryParams':[{'name':'q','type':'RegularExpression','value':'.*'}]}],'filters':["
	"{'type':'RequestHeaderModifier','requestHeaderModifier':{'set':[{'name':'a','value':"
	"'b'}],'add':[{'name':'c','value':'d'}],'remove':['e']}},{'type':'URLRewrite',"
	"'urlRewrite':{'hostname':'h','path':{'type':'ReplaceFullPath','replaceFullPath':'/x'}}}"
	"],'backendRefs':[{'name':'s','port':80,'weight':3,'filters':[{'type':'RequestMirror',"
	"'requestMirror':{'backendRef':{'name':'m','port':1}}}]}],'timeouts':{'request':'10s',"
	"'backendRequest':'1s'}},{'filters':[{'type':'RequestRedirect','requestRedirect':{"
	"'scheme':'https','port':443,'statusCode':301}}]}]}}",
	"{'apiVersion':'gateway.networking.k8s.io/v1beta1','kind':'Gateway','metadata':{'name':'g'"
	"},'spec':{'gatewayClassName':'c','listeners':[{'name':'a','port':80,'protocol':'HTTP',"
	"'hostname':'*.x','allowedRoutes':{'kinds':[{'kind':'HTTPRoute'}],'namespaces':{'from':"
	"'Selector','selector':{'matchLabels':{'a':'b'},'matchExpressions':[{'key':'k',"
	"'operator':'In','values':['v']}]}}}},{'name':'b','port':443,'protocol':'HTTPS','tls':{"
	"'certificateRefs':[{'name':'s'}],'options':{'a':'b'}}}],'addresses':[{'value':'1.2.3.4'}"
	"],'infrastructure':{'labels':{'a':'b'},'parametersRef':{'group':'','kind':'ConfigMap',"
	"'name':'n'}},'tls':{'frontend':{}}}}",
	"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':'e','labels':"
	"{'kubernetes.io/service-name':'s'}},'addressType':'IPv4','endpoints':[{'addresses':["
	"'1.2.3.4'],'conditions':{'ready':true},'targetRef':{'kind':'Pod','name':'p'}}],'ports':["
	"{'name':'','port':80,'protocol':'TCP'}]}",
	"{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s'},'type':'kubernetes.io/tls',"
	"'data':{'tls.crt':'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSQ==','tls.key':'YQ=='},"
	"'stringData':{'a':'b'}}",
	"{'apiVersion':'v1','kind':'Service','metadata':{'name':'s'},'spec':{'type':'ClusterIP',"
	"'ports':[{'name':'a','port':80,'appProtocol':'kubernetes.io/h2c'},{'name':'b','port':81}"
	"]}}",
	"{'apiVersion':'tidegate.io/v1alpha1','kind':'Backend','metadata':{'name':'b'},'spec':{"
	"'addresses':[{'host':'a.example','port':80,'weight':1},{'host':'::1','port':81}]}}",
	"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'ReferenceGrant','metadata':{'name':"
	"'r'},'spec':{'from':[{'group':'','kind':'A','namespace':'n'}],'to':[{'group':'','kind':"
	"'Secret','name':'x'}]}}",
	"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},'data':{'b':'1','a':'2'}}",
};

static uint32_t next_random(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

static struct json_object *random_value(uint32_t *seed)
{
	char text[600];

	switch (next_random(seed, 10)) {
	case 0:
		return NULL;
	case 1:
		return json_object_new_boolean(1);
	case 2:
		return json_object_new_int64(next_random(seed, 2) ? INT64_MIN : INT64_MAX);
	case 3:
		return json_object_new_int64(next_random(seed, 70000));
	case 4:
		return json_object_new_double(0.5);
	case 5:
		return json_object_new_array();
	case 6:
		return json_object_new_object();
	case 7:
		return json_object_new_string_len("a\0b", 3);
	case 8:
		memset(text, "a/\x01\xff*"[next_random(seed, 5)], sizeof(text));
		return json_object_new_string_len(text, (int)next_random(seed, sizeof(text)));
	default:
		return json_object_new_string("");
	}
}

/* Walks down at random and replaces, copies or adds a value where it stops. */
static void mutate(struct json_object *json, uint32_t *seed)
{
	for (;;) {
		struct json_object *child = NULL;

		if (json_object_is_type(json, json_type_object) && json_object_object_length(json)) {
			uint32_t skip = next_random(seed, (uint32_t)json_object_object_length(json));
			const char *key = NULL;
			json_object_object_foreach(json, k, v) {
				if (skip-- == 0) {
					key = k;
					child = v;
					break;
				}
			}
			if (next_random(seed, 4) == 0 || !child) {
				char name[64];
				snprintf(name, sizeof(name), "%s", key);
				json_object_object_add(json, next_random(seed, 8) ? name : "Typo",
						       random_value(seed));
				return;
			}
		} else if (json_object_is_type(json, json_type_array) &&
			   json_object_array_length(json)) {
			size_t at = next_random(seed, (uint32_t)json_object_array_length(json));
			child = json_object_array_get_idx(json, at);
			if (next_random(seed, 4) == 0 || !child) {
				json_object_array_put_idx(json, at, random_value(seed));
				return;
			}
			if (next_random(seed, 4) == 0) {
				json_object_array_add(json, json_object_get(child));
				return;
			}
		} else {
			return;
		}
		json = child;
	}
}

static void mutations_never_crash(void **state)
{
	(void)state;
	uint32_t seed = 7;
	size_t invalid_count = 0;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		for (int round = 0; round < 1500; round++) {
			struct json_object *json = json_tokener_parse(seeds[i]);
			assert_non_null(json);
			for (uint32_t n = next_random(&seed, 4); n > 0; n--)
				mutate(json, &seed);
			struct decoding decoding = decode_json(json);
			json_object_put(json);
			assert_int_equal(decoding.result == DECODE_OK, decoding.output.object != NULL);
			assert_int_equal(decoding.result == DECODE_INVALID,
					 decoding.findings.error_count > 0);
			for (size_t j = 0; j < decoding.findings.count; j++)
				assert_true(str_printable(decoding.findings.items[j].text));
			invalid_count += decoding.result == DECODE_INVALID;
			decoding_free(&decoding);
		}
	}
	assert_true(invalid_count > 2000);
}

static void seeds_are_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		struct decoding decoding = decode_text(seeds[i]);
		if (decoding.result != DECODE_OK)
			fail_msg("seed %zu: " STR_FMT, i, STR_ARG(decoding.findings.items[0].text));
		decoding_free(&decoding);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seeds_are_valid),
		cmocka_unit_test(mutations_never_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
