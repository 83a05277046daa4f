/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope, metadata, and what decoded objects hold. */
#include "decoding.h"

#define SMALL_ROUTE                                                                                \
	"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{'name':"      \
	"'web','namespace':'shop'},'spec':{'parentRefs':[{'name':'gw'}],'hostnames':['"            \
	"www.example.com'],'rules':[{'matches':[{'path':{'type':'PathPrefix','value':'/cart'}}],"  \
	"'backendRefs':[{'name':'cart','port':8080}]}]}}"

static void assert_str(struct str s, const char *expected)
{
	if (!str_is(s, expected))
		fail_msg("got '" STR_FMT "', not '%s'", STR_ARG(s), expected);
}

static void envelope(void **state)
{
	(void)state;
	static const struct {
		const char *text, *field;
	} rows[] = {
		{ "[]", "" },
		{ "'text'", "" },
		{ "{}", "apiVersion" },
		{ "{'apiVersion':1,'kind':'Service'}", "apiVersion" },
		{ "{'apiVersion':'v1'}", "kind" },
		{ "{'apiVersion':'v1','kind':''}", "kind" },
		{ "{'apiVersion':'v1','kind':'a\\nb'}", "kind" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct decoding decoding = decode_text(rows[i].text);
		assert_int_equal(decoding.result, DECODE_INVALID);
		assert_int_equal(decoding.output.kind, KIND_NONE);
		assert_int_equal(decoding.findings.count, 1);
		assert_str(decoding.findings.items[0].field, rows[i].field);
		assert_str(decoding.findings.items[0].name, "test.yaml");
		assert_str(decoding.findings.items[0].origin, "test.yaml:7");
		decoding_free(&decoding);
	}
}

static void unknown_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
	} rows[] = {
		{ "{'apiVersion':'apps/v1','kind':'Deployment'}", "apps/Deployment" },
		{ "{'apiVersion':'v1','kind':'Pod'}", "Pod" },
		{ "{'apiVersion':'x/v1','kind':'Service'}", "x/Service" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct decoding decoding = decode_text(rows[i].text);
		assert_int_equal(decoding.result, DECODE_UNKNOWN);
		assert_str(decoding.output.kind_name, rows[i].name);
		assert_int_equal(decoding.findings.count, 0);
		decoding_free(&decoding);
	}
}

static void versions(void **state)
{
	(void)state;
	struct decoding decoding = decode_text("{'apiVersion':'gateway.networking.k8s.io/v1alpha2',"
					       "'kind':'HTTPRoute','metadata':{'name':'r'},'spec':{}}");
	assert_int_equal(decoding.result, DECODE_INVALID);
	assert_int_equal(decoding.output.kind, KIND_HTTPROUTE);
	assert_str(decoding.output.name, "r");
	assert_str(decoding.findings.items[0].field, "apiVersion");
	decoding_free(&decoding);
	decoding = decode_text("{'apiVersion':'gateway.networking.k8s.io/v1beta1','kind':'HTTPRoute',"
			       "'metadata':{'name':'r'},'spec':{}}");
	assert_int_equal(decoding.result, DECODE_OK);
	decoding_free(&decoding);
}

static void metadata(void **state)
{
	(void)state;
	static const struct {
		const char *metadata, *field; /* NULL: valid */
	} rows[] = {
		{ "'metadata':{'name':'a'}", NULL },
		{ "'metadata':{'name':'a.b-c'}", "metadata.name" },
		{ "'metadata':{'name':'A'}", "metadata.name" },
		{ "'metadata':{'name':''}", "metadata.name" },
		{ "'metadata':{'generateName':'a-'}", "metadata.name" },
		{ "'x':1", "metadata" },
		{ "'metadata':[]", "metadata" },
		{ "'metadata':{'name':'a','namespace':'a.b'}", "metadata.namespace" },
		{ "'metadata':{'name':'a','labels':{'a':1}}", "metadata.labels.a" },
		{ "'metadata':{'name':'a','labels':{'a b':'c'}}", "metadata.labels[a b]" },
		{ "'metadata':{'name':'a','labels':{'a.b/c':'d e'}}", "metadata.labels[a.b/c]" },
		{ "'metadata':{'name':'a','creationTimestamp':'yesterday'}",
		  "metadata.creationTimestamp" },
		{ "'metadata':{'name':'a','creationTimestamp':null}", NULL },
		{ "'metadata':{'name':'a','generation':-1}", "metadata.generation" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[400];
		snprintf(text, sizeof(text), "{'apiVersion':'v1','kind':'Service',%s,'spec':{}}",
			 rows[i].metadata);
		struct decoding decoding = decode_text(text);
		assert_int_equal(decoding.result, rows[i].field ? DECODE_INVALID : DECODE_OK);
		if (rows[i].field)
			assert_str(decoding.findings.items[0].field, rows[i].field);
		decoding_free(&decoding);
	}
	struct decoding decoding = decode_text(
		"{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'n','namespace':'x','labels':"
		"{'env':'prod'},'creationTimestamp':'1970-01-02T00:00:00Z','generation':3}}");
	const struct meta *meta = &decoding.output.object->meta;
	struct str value;
	assert_int_equal(decoding.findings.count, 1); /* the namespace */
	assert_str(meta->ns, "");
	assert_int_equal(meta->created_s, 86400);
	assert_int_equal(meta->generation, 3);
	assert_true(meta_label(meta, STR("env"), &value) && str_is(value, "prod"));
	assert_str(meta->origin, "test.yaml:7");
	decoding_free(&decoding);
}

/* A GRPCRoute is what an HTTPRoute for the same requests would be. */
static void grpc_paths(void **state)
{
	(void)state;
	static const struct {
		const char *method;
		enum match_type type;
		const char *path;
		bool any_service;
	} rows[] = {
		{ "{}", MATCH_PREFIX, "/", false },
		{ "{'method':{'service':'a.B','method':'Get'}}", MATCH_EXACT, "/a.B/Get", false },
		{ "{'method':{'service':'a.B'}}", MATCH_PREFIX, "/a.B", false },
		{ "{'method':{'method':'Get'}}", MATCH_REGEX, "/[^/]+/Get", true },
		{ "{'method':{'type':'RegularExpression','service':'a|b','method':'G.*'}}",
		  MATCH_REGEX, "/(?:a|b)/(?:G.*)", false },
		{ "{'method':{'type':'RegularExpression','service':'a|b'}}", MATCH_REGEX,
		  "/(?:a|b)/[^/]+", false },
		{ "{'method':{'type':'RegularExpression','method':'G.*'}}", MATCH_REGEX,
		  "/[^/]+/(?:G.*)", true },
		{ "{'method':{'type':'RegularExpression','method':''}}", MATCH_PREFIX, "/", false },
		{ "{'method':{'type':'RegularExpression','service':'^a$','method':'^$'}}",
		  MATCH_REGEX, "/(?:a)/[^/]+", false },
		{ "{'method':{'type':'RegularExpression','service':'a\\\\$'}}", MATCH_REGEX,
		  "/(?:a\\$)/[^/]+", false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[400];
		snprintf(text, sizeof(text),
			 "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GRPCRoute','metadata':"
			 "{'name':'r'},'spec':{'rules':[{'matches':[%s]}]}}", rows[i].method);
		struct decoding decoding = decode_text(text);
		assert_int_equal(decoding.result, DECODE_OK);
		const struct rule *rule = &decoding.output.object->route.rules[0];
		assert_int_equal(rule->matches[0].path_type, rows[i].type);
		assert_str(rule->matches[0].path, rows[i].path);
		assert_int_equal(rule->matches[0].any_service, rows[i].any_service);
		assert_int_equal(rule->request_timeout_ms, TIMEOUT_UNSET);
		decoding_free(&decoding);
	}
	/* No rules take no requests. */
	struct decoding decoding = decode_text(
		"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GRPCRoute','metadata':{'name':'r'},"
		"'spec':{}}");
	assert_int_equal(decoding.result, DECODE_OK);
	assert_int_equal(decoding.output.object->route.rule_count, 0);
	decoding_free(&decoding);
}

/* More is kept of a Service that Gateways are reached by, and of no other. */
static void gateway_service_values(void **state)
{
	(void)state;
#define GATEWAY_SERVICE(labels) \
	"{'apiVersion':'v1','kind':'Service','metadata':{'name':'gw','labels':{" labels "}}," \
	"'spec':{'type':'LoadBalancer','clusterIPs':['10.0.0.1','fd00::1'],'ports':[" \
	"{'name':'a','port':80,'targetPort':20417},{'name':'b','port':81,'targetPort':'web'}]}," \
	"'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1','ipMode':'VIP'}," \
	"{'hostname':'lb.test'}]}}}"
	struct decoding decoding = decode_text(GATEWAY_SERVICE(
		"'app.kubernetes.io/managed-by':'tidegate','tidegate.io/controller':'c'"));
	assert_int_equal(decoding.result, DECODE_OK);
	assert_int_equal(decoding.findings.count, 0);
	const struct service *service = &decoding.output.object->service;
	assert_int_equal(service->ports[0].target_port, 20417);
	assert_int_equal(service->ports[1].target_port, 0);
	assert_non_null(service->gateway);
	assert_str(service->gateway->type, "LoadBalancer");
	assert_int_equal(service->gateway->cluster_ip_count, 2);
	assert_str(service->gateway->cluster_ips[1], "fd00::1");
	assert_int_equal(service->gateway->ingress_count, 2);
	assert_str(service->gateway->ingress[0].type, "IPAddress");
	assert_str(service->gateway->ingress[0].value, "192.0.2.1");
	assert_str(service->gateway->ingress[1].type, "Hostname");
	assert_str(service->gateway->ingress[1].value, "lb.test");
	decoding_free(&decoding);
	decoding = decode_text(GATEWAY_SERVICE("'app.kubernetes.io/managed-by':'tidegate'"));
	assert_null(decoding.output.object->service.gateway);
	assert_int_equal(decoding.output.object->service.ports[0].target_port, 0);
	decoding_free(&decoding);
#undef GATEWAY_SERVICE
}

static void small_route_is_small(void **state)
{
	(void)state;
	struct decoding decoding = decode_text(SMALL_ROUTE);
	const struct object *object = decoding.output.object;
	const struct route *route = &object->route;
	assert_int_equal(decoding.findings.count, 0);
	assert_true(arena_bytes(object->arena) <= 3 * 1024); /* ASan's red zones included */
	assert_str(object->meta.ns, "shop");
	assert_str(route->parents[0].group, "gateway.networking.k8s.io");
	assert_str(route->parents[0].kind, "Gateway");
	assert_str(route->parents[0].ns, "shop");
	assert_int_equal(route->rules[0].matches[0].path_type, MATCH_PREFIX);
	assert_str(route->rules[0].matches[0].path, "/cart");
	assert_str(route->rules[0].refs[0].kind, "Service");
	assert_str(route->rules[0].refs[0].ns, "shop");
	assert_int_equal(route->rules[0].refs[0].weight, 1);
	assert_int_equal(route->rules[0].request_timeout_ms, TIMEOUT_UNSET);
	decoding_free(&decoding);
}

static void route_defaults(void **state)
{
	(void)state;
	static const char *const specs[] = { "", "'rules':[{}]", "'rules':[{'matches':[]}]",
					     "'rules':[{'matches':[{}]}]" };
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		char text[300];
		snprintf(text, sizeof(text),
			 "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{"
			 "'name':'r'},'spec':{%s}}",
			 specs[i]);
		struct decoding decoding = decode_text(text);
		const struct route *route = &decoding.output.object->route;
		assert_str(decoding.output.object->meta.ns, "default");
		assert_int_equal(route->rule_count, 1);
		assert_int_equal(route->rules[0].match_count, 1);
		assert_int_equal(route->rules[0].matches[0].path_type, MATCH_PREFIX);
		assert_str(route->rules[0].matches[0].path, "/");
		assert_int_equal(route->rules[0].backend_timeout_ms, TIMEOUT_UNSET);
		decoding_free(&decoding);
	}
}

static void route_values(void **state)
{
	(void)state;
	struct decoding decoding = decode_text(
		"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{'name':'r'"
		"},'spec':{'rules':[{'name':'first','matches':[{'method':'POST','headers':[{'name':'X-A',"
		"'value':'one'},{'name':'x-a','value':'two'}],'queryParams':[{'name':'Q','type':"
		"'RegularExpression','value':'^a$'}]}],'filters':[{'type':'ResponseHeaderModifier',"
		"'responseHeaderModifier':{'set':[{'name':'X-B','value':' b '}],'remove':['C']}},{'type':"
		"'CORS','cors':{}}],'backendRefs':[{'name':'s','port':80,'weight':7,'namespace':'m',"
		"'filters':[{'type':'URLRewrite','urlRewrite':{'hostname':'h.example','path':{'type':"
		"'ReplaceFullPath','replaceFullPath':''}}}]}],'timeouts':{'request':'1m','backendRequest'"
		":'0s'}},{'filters':[{'type':'RequestRedirect','requestRedirect':{'scheme':'https','path':"
		"{'type':'ReplacePrefixMatch','replacePrefixMatch':'x'}}}],'retry':{}}]}}");
	assert_int_equal(decoding.result, DECODE_OK);
	const struct rule *rule = &decoding.output.object->route.rules[0];
	assert_str(rule->name, "first");
	assert_str(rule->matches[0].method, "POST");
	assert_int_equal(rule->matches[0].header_count, 1);
	assert_str(rule->matches[0].headers[0].name, "x-a");
	assert_str(rule->matches[0].headers[0].value, "one");
	assert_str(rule->matches[0].queries[0].name, "Q");
	assert_int_equal(rule->matches[0].queries[0].type, MATCH_REGEX);
	assert_int_equal(rule->filters[0].type, FILTER_RESPONSE_HEADERS);
	assert_str(rule->filters[0].headers.set[0].key, "X-B");
	assert_str(rule->filters[0].headers.set[0].value, "b");
	assert_str(rule->filters[0].headers.remove[0], "C");
	assert_int_equal(rule->filters[1].type, FILTER_UNSUPPORTED);
	assert_str(rule->filters[1].type_name, "CORS");
	assert_int_equal(rule->refs[0].weight, 7);
	assert_str(rule->refs[0].ns, "m");
	assert_str(rule->refs[0].filters[0].hostname, "h.example");
	assert_int_equal(rule->refs[0].filters[0].path_modifier, PATH_REPLACE_FULL);
	assert_str(rule->refs[0].filters[0].path, "/");
	assert_int_equal(rule->request_timeout_ms, 60000);
	assert_int_equal(rule->backend_timeout_ms, 0);
	assert_int_equal(rule[1].filters[0].status, 302);
	assert_str(rule[1].filters[0].scheme, "https");
	assert_str(rule[1].filters[0].path, "/x");
	decoding_free(&decoding);
}

static void gateway_values(void **state)
{
	(void)state;
	struct decoding decoding = decode_text(
		"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway','metadata':{'name':'g'},"
		"'spec':{'gatewayClassName':'c','listeners':[{'name':'a','port':80,'protocol':'HTTP'},{"
		"'name':'b','port':443,'protocol':'HTTPS','hostname':'*.x','tls':{'certificateRefs':[{"
		"'name':'s'}]},'allowedRoutes':{'kinds':[{'kind':'HTTPRoute'}],'namespaces':{'from':"
		"'Selector'}}}],'addresses':[{'value':'::1'}],'tls':{'frontend':{}},'infrastructure':{"
		"'parametersRef':{'group':'','kind':'ConfigMap','name':'p'}}}}");
	assert_int_equal(decoding.result, DECODE_OK);
	const struct gateway *gateway = &decoding.output.object->gateway;
	const struct listener *listeners = gateway->listeners;
	assert_str(gateway->class_name, "c");
	assert_int_equal(listeners[0].tls_mode, TLS_NONE);
	assert_int_equal(listeners[0].from, FROM_SAME);
	assert_false(listeners[0].has_frontend_validation);
	assert_int_equal(listeners[1].tls_mode, TLS_TERMINATE);
	assert_true(listeners[1].has_frontend_validation); /* fail closed */
	assert_int_equal(listeners[1].from, FROM_NONE);    /* no selector selects nothing */
	assert_str(listeners[1].certificate_refs[0].kind, "Secret");
	assert_str(listeners[1].certificate_refs[0].ns, "default");
	assert_str(listeners[1].kinds[0].group, GROUP_GATEWAY);
	assert_str(gateway->addresses[0].type, "IPAddress");
	assert_str(gateway->parameters.kind, "ConfigMap");
	assert_str(gateway->parameters.ns, "default");
	decoding_free(&decoding);
}

static void endpoint_values(void **state)
{
	(void)state;
	struct decoding decoding = decode_text(
		"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':'e',"
		"'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv6','endpoints':[{"
		"'addresses':['2001:DB8::0:1','2001:db8::2'],'targetRef':{'kind':'Pod','name':'p1'}},{"
		"'addresses':['::2'],'conditions':{'ready':false,'terminating':true},'targetRef':{'kind':"
		"'Node','name':'n'}}],'ports':[{'name':'http','port':80},{}]}");
	const struct endpoint_slice *slice = &decoding.output.object->endpoint_slice;
	assert_int_equal(decoding.findings.count, 0);
	assert_str(slice->service, "web");
	assert_true(slice->ipv6);
	assert_str(slice->endpoints[0].address, "2001:db8::1");
	assert_str(slice->endpoints[0].pod_name, "p1");
	assert_true(slice->endpoints[0].ready);
	assert_false(slice->endpoints[1].ready);
	assert_true(slice->endpoints[1].terminating);
	assert_str(slice->endpoints[1].pod_name, "");
	assert_str(slice->ports[0].protocol, "TCP");
	assert_int_equal(slice->ports[1].port, 0);
	decoding_free(&decoding);
}

static void backend_and_map_values(void **state)
{
	(void)state;
	struct decoding decoding = decode_text(
		"{'apiVersion':'tidegate.io/v1alpha1','kind':'Backend','metadata':{'name':'b'},'spec':{"
		"'addresses':[{'host':'Www.Example.com','port':80},{'host':'::0001','port':81,'weight':3}"
		"]}}");
	const struct backend *backend = &decoding.output.object->backend;
	assert_str(backend->addresses[0].host, "www.example.com");
	assert_true(backend->addresses[0].is_name);
	assert_int_equal(backend->addresses[0].weight, 100);
	assert_str(backend->addresses[1].host, "::1");
	assert_false(backend->addresses[1].is_name);
	assert_int_equal(backend->addresses[1].weight, 3);
	decoding_free(&decoding);
	decoding = decode_text("{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},'data':{"
			       "'b':'2','a':'1\\n'}}");
	assert_str(decoding.output.object->config_map.data[0].key, "a");
	assert_str(decoding.output.object->config_map.data[0].value, "1\n");
	decoding_free(&decoding);
}

static void findings_are_bounded_and_clean(void **state)
{
	(void)state;
	struct json_object *json = json_tokener_parse(SMALL_ROUTE), *spec;
	char key[32];
	assert_true(json_object_object_get_ex(json, "spec", &spec));
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "x\n%d", i);
		json_object_object_add(spec, key, json_object_new_int(i));
	}
	json_object_object_add(spec, "hostnames", json_object_new_string("\x1b[31m"));
	struct decoding decoding = decode_json(json);
	json_object_put(json);
	assert_int_equal(decoding.result, DECODE_INVALID); /* though the error is not listed */
	assert_int_equal(decoding.findings.count, 101);
	assert_str(decoding.findings.items[0].field, "spec[x?0]");
	decoding_free(&decoding);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope),
		cmocka_unit_test(unknown_kinds),
		cmocka_unit_test(versions),
		cmocka_unit_test(metadata),
		cmocka_unit_test(small_route_is_small),
		cmocka_unit_test(route_defaults),
		cmocka_unit_test(route_values),
		cmocka_unit_test(gateway_values),
		cmocka_unit_test(endpoint_values),
		cmocka_unit_test(gateway_service_values),
		cmocka_unit_test(grpc_paths),
		cmocka_unit_test(backend_and_map_values),
		cmocka_unit_test(findings_are_bounded_and_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
