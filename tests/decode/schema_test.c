/* SPDX-License-Identifier: Apache-2.0 */
/* One row per rule of the schemas: what is valid passes without a finding, what is not gives
 * exactly one, at its field. */
#include "decoding.h"

#include "base/sb.h"

struct row {
	const char *spec;   /* put into the template */
	const char *field;  /* NULL: no finding */
	const char *reason; /* in the finding; begins with '?' when it is a warning */
};

static void check_row(const char *before, const struct row *row, const char *behind)
{
	struct decoding decoding;
	const struct finding *first;
	struct sb text;
	bool is_warning = row->reason && row->reason[0] == '?';

	sb_init(&text, 4 * 1024 * 1024);
	sb_addf(&text, "%s%s%s", before, row->spec, behind);
	decoding = decode_text(text.data);
	sb_fini(&text);
	first = decoding.findings.items;
	if (decoding.findings.count != (row->field ? 1 : 0)) {
		for (size_t i = 0; i < decoding.findings.count; i++)
			print_message("  " STR_FMT ": " STR_FMT "\n", STR_ARG(first[i].field),
				      STR_ARG(first[i].text));
		fail_msg("%.200s: %zu findings", row->spec, decoding.findings.count);
	}
	if ((decoding.result == DECODE_OK) != (!row->field || is_warning))
		fail_msg("%.200s: result %d", row->spec, decoding.result);
	if (row->field && (!str_is(first->field, row->field) ||
			   !str_is(first->reason, row->reason + is_warning)))
		fail_msg("%.200s: found " STR_FMT " " STR_FMT ": " STR_FMT, row->spec,
			 STR_ARG(first->field), STR_ARG(first->reason), STR_ARG(first->text));
	decoding_free(&decoding);
}

#define CHECK_ROWS(before, rows, behind)                                                          \
	for (size_t row_index = 0; row_index < sizeof(rows) / sizeof((rows)[0]); row_index++)     \
		check_row(before, &(rows)[row_index], behind)

#define REQUIRED "FieldValueRequired"
#define INVALID "FieldValueInvalid"
#define ENUM "FieldValueNotSupported"
#define DUPLICATE "FieldValueDuplicate"
#define TYPE "FieldValueTypeInvalid"
#define TOO_LONG "FieldValueTooLong"
#define TOO_MANY "FieldValueTooMany"
#define FORBIDDEN "FieldValueForbidden"
#define UNKNOWN "?UnknownField"
#define UNSUPPORTED "?UnsupportedValue"

#define GATEWAY_API "{'apiVersion':'gateway.networking.k8s.io/v1','kind':"
#define ROUTE GATEWAY_API "'HTTPRoute','metadata':{'name':'r'},'spec':{"
#define RULE ROUTE "'rules':[{"
#define REF "{'name':'s','port':80}"

#define GRPC GATEWAY_API "'GRPCRoute','metadata':{'name':'r'},'spec':{'rules':[{"

/* What a GRPCRoute has that an HTTPRoute has not, and the other way round. */
static void grpc_rules(void **state)
{
	(void)state;
	static const struct row matches[] = {
		{ "", NULL, NULL },
		{ "'method':{}", "spec.rules[0].matches[0].method", REQUIRED },
		{ "'method':{'service':'a.B','method':'C'}", NULL, NULL },
		{ "'method':{'type':'Exact','service':'.a'}", NULL, NULL },
		{ "'method':{'method':'_1'}", NULL, NULL },
		{ "'method':{'type':'RegularExpression','service':''}", NULL, NULL },
		{ "'method':{'type':'RegularExpression','method':'a/b('}", NULL, NULL },
		{ "'method':{'service':''}", "spec.rules[0].matches[0].method.service", INVALID },
		{ "'method':{'service':'a..b'}", "spec.rules[0].matches[0].method.service", INVALID },
		{ "'method':{'service':'a.'}", "spec.rules[0].matches[0].method.service", INVALID },
		{ "'method':{'service':'a/b'}", "spec.rules[0].matches[0].method.service", INVALID },
		{ "'method':{'service':'a.1b'}", "spec.rules[0].matches[0].method.service", INVALID },
		{ "'method':{'service':'.'}", "spec.rules[0].matches[0].method.service", INVALID },
		{ "'method':{'service':1}", "spec.rules[0].matches[0].method.service", TYPE },
		{ "'method':{'method':'1'}", "spec.rules[0].matches[0].method.method", INVALID },
		{ "'method':{'method':'a.b'}", "spec.rules[0].matches[0].method.method", INVALID },
		{ "'method':{'method':'a','type':'PathPrefix'}",
		  "spec.rules[0].matches[0].method.type", ENUM },
		{ "'method':{'method':'a','path':'/'}", "spec.rules[0].matches[0].method.path",
		  UNKNOWN },
		{ "'method':'GET'", "spec.rules[0].matches[0].method", TYPE },
		{ "'path':{'value':'/'}", "spec.rules[0].matches[0].path", UNKNOWN },
		{ "'queryParams':[]", "spec.rules[0].matches[0].queryParams", UNKNOWN },
		{ "'headers':[{'name':'a','value':'b'}]", NULL, NULL },
	};
	static const struct row rules[] = {
		{ "", NULL, NULL },
		{ "'name':'one','matches':[],'filters':[],'backendRefs':[]", NULL, NULL },
		{ "'timeouts':{}", "spec.rules[0].timeouts", UNKNOWN },
		{ "'sessionPersistence':{}", "spec.rules[0].sessionPersistence", UNSUPPORTED },
		{ "'filters':[{'type':'URLRewrite'}]", "spec.rules[0].filters[0].type",
		  ENUM },
		{ "'filters':[{'type':'ExtensionRef','extensionRef':{'group':'a','kind':'B','name':"
		  "'c'}}]", "spec.rules[0].filters[0]", UNSUPPORTED },
		{ "'filters':[{'type':'RequestHeaderModifier'}]",
		  "spec.rules[0].filters[0].requestHeaderModifier", REQUIRED },
		{ "'backendRefs':[{'name':'a'}]", "spec.rules[0].backendRefs[0].port", REQUIRED },
	};
	CHECK_ROWS(GRPC "'matches':[{", matches, "}]}]}}");
	CHECK_ROWS(GRPC, rules, "}]}}");
}

static void route_spec(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "", NULL, NULL },
		{ "'parentRefs':null", NULL, NULL },
		{ "'parentRefs':[]", NULL, NULL },
		{ "'parentRefs':{}", "spec.parentRefs", TYPE },
		{ "'parentRefs':[null]", "spec.parentRefs[0]", TYPE },
		{ "'parentRefs':['g']", "spec.parentRefs[0]", TYPE },
		{ "'parentRefs':[{}]", "spec.parentRefs[0].name", REQUIRED },
		{ "'parentRefs':[{'name':''}]", "spec.parentRefs[0].name", INVALID },
		{ "'parentRefs':[{'name':'A b'}]", "spec.parentRefs[0].name", "?" INVALID },
		{ "'parentRefs':[{'name':1}]", "spec.parentRefs[0].name", TYPE },
		{ "'parentRefs':[{'name':'g','group':'*'}]", "spec.parentRefs[0].group", INVALID },
		{ "'parentRefs':[{'name':'g','group':'','kind':'Service'}]", NULL, NULL },
		{ "'parentRefs':[{'name':'g','kind':''}]", "spec.parentRefs[0].kind", INVALID },
		{ "'parentRefs':[{'name':'g','namespace':'A'}]", "spec.parentRefs[0].namespace", INVALID },
		{ "'parentRefs':[{'name':'g','sectionName':'A'}]", "spec.parentRefs[0].sectionName",
		  INVALID },
		{ "'parentRefs':[{'name':'g','port':0}]", "spec.parentRefs[0].port", INVALID },
		{ "'parentRefs':[{'name':'g','port':65535}]", NULL, NULL },
		{ "'parentRefs':[{'name':'g','port':65536}]", "spec.parentRefs[0].port", INVALID },
		{ "'parentRefs':[{'name':'g','port':'80'}]", "spec.parentRefs[0].port", TYPE },
		{ "'parentRefs':[{'name':'g','port':80.5}]", "spec.parentRefs[0].port", TYPE },
		{ "'parentRefs':[{'name':'g','sectionname':'a'}]", "spec.parentRefs[0].sectionname",
		  UNKNOWN },
		{ "'parentRefs':[{'name':'g'},{'name':'g'}]", "spec.parentRefs[1]", DUPLICATE },
		{ "'parentRefs':[{'name':'g'},{'name':'g','port':1}]", "spec.parentRefs[1]", DUPLICATE },
		{ "'parentRefs':[{'name':'g'},{'name':'g','namespace':'x'}]", NULL, NULL },
		{ "'parentRefs':[{'name':'g'},{'name':'g','namespace':'default'}]", NULL, NULL },
		{ "'parentRefs':[{'name':'g'},{'name':'g','sectionName':'a'}]", "spec.parentRefs[1]",
		  INVALID },
		{ "'parentRefs':[{'name':'g','sectionName':'b'},{'name':'g','sectionName':'a'}]", NULL,
		  NULL },
		{ "'parentRefs':[{'name':'g','sectionName':'a'},{'name':'g','sectionName':'a'}]",
		  "spec.parentRefs[1]", DUPLICATE },
		{ "'hostnames':['a.example','*.b.example','localhost']", NULL, NULL },
		{ "'hostnames':['A.example']", "spec.hostnames[0]", INVALID },
		{ "'hostnames':['a.*.example']", "spec.hostnames[0]", INVALID },
		{ "'hostnames':['*']", "spec.hostnames[0]", INVALID },
		{ "'hostnames':['a.example:80']", "spec.hostnames[0]", INVALID },
		{ "'hostnames':['']", "spec.hostnames[0]", INVALID },
		{ "'hostnames':['10.0.0.1']", "spec.hostnames[0]", "?" INVALID },
		{ "'hostnames':[5]", "spec.hostnames[0]", TYPE },
		{ "'hostnames':['a\\u0000b']", "spec.hostnames[0]", INVALID },
		{ "'hostnames':'a'", "spec.hostnames", TYPE },
		{ "'hostName':'a'", "spec.hostName", UNKNOWN },
		{ "'useDefaultGateways':'All'", "spec.useDefaultGateways", UNSUPPORTED },
		{ "'rules':[]", "spec.rules", INVALID },
		{ "'rules':{}", "spec.rules", TYPE },
		{ "'rules':['x']", "spec.rules[0]", TYPE },
	};
	CHECK_ROWS(ROUTE, rows, "}}");
}

static void route_matches(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "", NULL, NULL },
		{ "{}", NULL, NULL },
		{ "{'path':{}}", NULL, NULL },
		{ "{'path':'/'}", "spec.rules[0].matches[0].path", TYPE },
		{ "{'path':{'type':'Exact','value':'/a/B-._~!$&()*+,;=:@%2e'}}", NULL, NULL },
		{ "{'path':{'type':'exact'}}", "spec.rules[0].matches[0].path.type", ENUM },
		{ "{'path':{'value':'a'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':''}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a//b'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a/./b'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a/../b'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a/..'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a/.'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a/...'}}", NULL, NULL },
		{ "{'path':{'value':'/a%2fb'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a%2Fb'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a#b'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a b'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a?b'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a%zz'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/\\u00e4'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'value':'/a\\nb'}}", "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'path':{'type':'RegularExpression','value':'a|(b//c) #?'}}", NULL, NULL },
		{ "{'path':{'type':'RegularExpression','value':'a\\nb'}}",
		  "spec.rules[0].matches[0].path.value", INVALID },
		{ "{'method':'PATCH'}", NULL, NULL },
		{ "{'method':'get'}", "spec.rules[0].matches[0].method", ENUM },
		{ "{'method':'PURGE'}", "spec.rules[0].matches[0].method", ENUM },
		{ "{'method':5}", "spec.rules[0].matches[0].method", TYPE },
		{ "{'header':[]}", "spec.rules[0].matches[0].header", UNKNOWN },
		{ "{'headers':[{'name':'X-a','value':'b'},{'name':'Y','value':'b'}]}", NULL, NULL },
		{ "{'headers':[{'value':'b'}]}", "spec.rules[0].matches[0].headers[0].name", REQUIRED },
		{ "{'headers':[{'name':'a'}]}", "spec.rules[0].matches[0].headers[0].value", REQUIRED },
		{ "{'headers':[{'name':'a','value':''}]}", "spec.rules[0].matches[0].headers[0].value",
		  INVALID },
		{ "{'headers':[{'name':'a b','value':'c'}]}", "spec.rules[0].matches[0].headers[0].name",
		  INVALID },
		{ "{'headers':[{'name':'a:','value':'c'}]}", "spec.rules[0].matches[0].headers[0].name",
		  INVALID },
		{ "{'headers':[{'name':'a','value':'b\\rc'}]}",
		  "spec.rules[0].matches[0].headers[0].value", INVALID },
		{ "{'headers':[{'name':'a','value':' b'}]}", "spec.rules[0].matches[0].headers[0]",
		  "?" INVALID },
		{ "{'headers':[{'name':'a','value':'b','type':'Prefix'}]}",
		  "spec.rules[0].matches[0].headers[0].type", ENUM },
		{ "{'headers':[{'name':'a','value':'b'},{'name':'a','value':'c'}]}",
		  "spec.rules[0].matches[0].headers[1]", DUPLICATE },
		{ "{'headers':[{'name':'a','value':'b'},{'name':'A','value':'c'}]}",
		  "spec.rules[0].matches[0].headers[1]", "?" DUPLICATE },
		{ "{'queryParams':[{'name':'a','value':'b'},{'name':'A','value':'c'}]}", NULL, NULL },
		{ "{'queryParams':[{'name':'a','value':'b'},{'name':'a','value':'c'}]}",
		  "spec.rules[0].matches[0].queryParams[1]", DUPLICATE },
		{ "{'queryParams':[{'name':'a=b','value':'c'}]}",
		  "spec.rules[0].matches[0].queryParams[0].name", INVALID },
	};
	CHECK_ROWS(RULE "'matches':[", rows, "]}]}}");
}

static void route_filters(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "", NULL, NULL },
		{ "{}", "spec.rules[0].filters[0].type", REQUIRED },
		{ "{'type':'Magic'}", "spec.rules[0].filters[0].type", ENUM },
		{ "{'type':'URLRewrite'}", "spec.rules[0].filters[0].urlRewrite", REQUIRED },
		{ "{'type':'URLRewrite','urlRewrite':{},'cors':{}}", "spec.rules[0].filters[0].cors",
		  FORBIDDEN },
		{ "{'type':'URLRewrite','urlRewrite':{},'x':1}", "spec.rules[0].filters[0].x", UNKNOWN },
		{ "{'type':'URLRewrite','urlRewrite':{}},{'type':'URLRewrite','urlRewrite':{}}",
		  "spec.rules[0].filters[1]", DUPLICATE },
		{ "{'type':'URLRewrite','urlRewrite':{}},{'type':'RequestRedirect','requestRedirect':{}}",
		  "spec.rules[0].filters", INVALID },
		{ "{'type':'URLRewrite','urlRewrite':{'hostname':'a.b'}}", NULL, NULL },
		{ "{'type':'URLRewrite','urlRewrite':{'hostname':'*.b'}}",
		  "spec.rules[0].filters[0].urlRewrite.hostname", INVALID },
		{ "{'type':'URLRewrite','urlRewrite':{'path':{}}}",
		  "spec.rules[0].filters[0].urlRewrite.path.type", REQUIRED },
		{ "{'type':'URLRewrite','urlRewrite':{'path':{'type':'ReplaceFullPath'}}}",
		  "spec.rules[0].filters[0].urlRewrite.path.replaceFullPath", REQUIRED },
		{ "{'type':'URLRewrite','urlRewrite':{'path':{'type':'ReplaceFullPath',"
		  "'replaceFullPath':'/x','replacePrefixMatch':'/'}}}",
		  "spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch", FORBIDDEN },
		{ "{'type':'URLRewrite','urlRewrite':{'path':{'type':'ReplacePrefixMatch',"
		  "'replacePrefixMatch':''}}}",
		  NULL, NULL },
		{ "{'type':'URLRewrite','urlRewrite':{'path':{'type':'ReplaceFullPath',"
		  "'replaceFullPath':'/a|b'}}}",
		  "spec.rules[0].filters[0].urlRewrite.path.replaceFullPath", INVALID },
		{ "{'type':'URLRewrite','urlRewrite':{'path':{'type':'ReplaceFullPath',"
		  "'replaceFullPath':'a'}}}",
		  "spec.rules[0].filters[0].urlRewrite.path.replaceFullPath", "?" INVALID },
		{ "{'type':'RequestRedirect','requestRedirect':{'scheme':'https','hostname':'a','port':8,"
		  "'statusCode':308}}",
		  NULL, NULL },
		{ "{'type':'RequestRedirect','requestRedirect':{'scheme':'ftp'}}",
		  "spec.rules[0].filters[0].requestRedirect.scheme", ENUM },
		{ "{'type':'RequestRedirect','requestRedirect':{'statusCode':304}}",
		  "spec.rules[0].filters[0].requestRedirect.statusCode", ENUM },
		{ "{'type':'RequestRedirect','requestRedirect':{'statusCode':'301'}}",
		  "spec.rules[0].filters[0].requestRedirect.statusCode", TYPE },
		{ "{'type':'RequestRedirect','requestRedirect':{'port':0}}",
		  "spec.rules[0].filters[0].requestRedirect.port", INVALID },
		{ "{'type':'RequestRedirect','requestRedirect':{'hostname':'1.2.3.4'}}",
		  "spec.rules[0].filters[0].requestRedirect.hostname", "?" INVALID },
		{ "{'type':'RequestHeaderModifier','requestHeaderModifier':{'set':[{'name':'a','value':"
		  "'b c'}],'add':[{'name':'a','value':'b'}],'remove':['x','y']}}",
		  NULL, NULL },
		{ "{'type':'RequestHeaderModifier','requestHeaderModifier':{'set':[{'name':'a','value':"
		  "'b'},{'name':'a','value':'c'}]}}",
		  "spec.rules[0].filters[0].requestHeaderModifier.set[1]", DUPLICATE },
		{ "{'type':'RequestHeaderModifier','requestHeaderModifier':{'add':[{'name':'a b',"
		  "'value':'c'}]}}",
		  "spec.rules[0].filters[0].requestHeaderModifier.add[0].name", INVALID },
		{ "{'type':'RequestHeaderModifier','requestHeaderModifier':{'add':[{'name':'a',"
		  "'value':'b\\r\\nX: y'}]}}",
		  "spec.rules[0].filters[0].requestHeaderModifier.add[0].value", INVALID },
		{ "{'type':'RequestHeaderModifier','requestHeaderModifier':{'add':[{'name':'a',"
		  "'value':' '}]}}",
		  "spec.rules[0].filters[0].requestHeaderModifier.add[0].value", INVALID },
		{ "{'type':'RequestHeaderModifier','requestHeaderModifier':{'remove':['a','a']}}",
		  "spec.rules[0].filters[0].requestHeaderModifier.remove[1]", DUPLICATE },
		{ "{'type':'ResponseHeaderModifier','responseHeaderModifier':{'remove':['a b']}}",
		  "spec.rules[0].filters[0].responseHeaderModifier.remove[0]", "?" INVALID },
		{ "{'type':'ResponseHeaderModifier','responseHeaderModifier':{'delete':['a']}}",
		  "spec.rules[0].filters[0].responseHeaderModifier.delete", UNKNOWN },
		{ "{'type':'ExternalAuth','externalAuth':{}}", "spec.rules[0].filters[0]", UNSUPPORTED },
	};
	CHECK_ROWS(RULE "'filters':[", rows, "]}]}}");
}

#define FILTER "spec.rules[0].filters[0]"

/* The one finding of a filter that is right is that it is not served. */
static void unserved_filters(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "'type':'CORS','cors':{}", FILTER, UNSUPPORTED },
		{ "'type':'CORS','cors':[]", FILTER ".cors", TYPE },
		{ "'type':'CORS','cors':{'allowOrigins':['https://*.a.b','http://c:80','https://*'],"
		  "'allowMethods':['GET','POST'],'allowHeaders':['X-a'],'exposeHeaders':['*','b'],"
		  "'allowCredentials':true,'maxAge':1}",
		  FILTER, UNSUPPORTED },
		{ "'type':'CORS','cors':{'allowOrigins':['*'],'allowMethods':['*'],'allowHeaders':['*']}",
		  FILTER, UNSUPPORTED },
		{ "'type':'CORS','cors':{'allowOrigins':['*','http://a']}", FILTER ".cors.allowOrigins",
		  INVALID },
		{ "'type':'CORS','cors':{'allowOrigins':['a.b']}", FILTER ".cors.allowOrigins[0]", INVALID },
		{ "'type':'CORS','cors':{'allowOrigins':['http://a','http://a']}",
		  FILTER ".cors.allowOrigins[1]", DUPLICATE },
		{ "'type':'CORS','cors':{'allowOrigins':[7]}", FILTER ".cors.allowOrigins[0]", TYPE },
		{ "'type':'CORS','cors':{'allowMethods':['get']}", FILTER ".cors.allowMethods[0]", INVALID },
		{ "'type':'CORS','cors':{'allowMethods':['GET','*']}", FILTER ".cors.allowMethods", INVALID },
		{ "'type':'CORS','cors':{'allowMethods':['GET','HEAD','POST','PUT','DELETE','CONNECT',"
		  "'OPTIONS','TRACE','PATCH','*']}",
		  FILTER ".cors.allowMethods", TOO_MANY },
		{ "'type':'CORS','cors':{'allowHeaders':['a b']}", FILTER ".cors.allowHeaders[0]", INVALID },
		{ "'type':'CORS','cors':{'allowHeaders':['*','a']}", FILTER ".cors.allowHeaders", INVALID },
		{ "'type':'CORS','cors':{'exposeHeaders':['']}", FILTER ".cors.exposeHeaders[0]", INVALID },
		{ "'type':'CORS','cors':{'allowCredentials':'yes'}", FILTER ".cors.allowCredentials", TYPE },
		{ "'type':'CORS','cors':{'maxAge':0}", FILTER ".cors.maxAge", INVALID },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'percent':100}", FILTER,
		  UNSUPPORTED },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'fraction':"
		  "{'numerator':7,'denominator':7}}",
		  FILTER, UNSUPPORTED },
		{ "'type':'RequestMirror','requestMirror':{}", FILTER ".requestMirror.backendRef", REQUIRED },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':{'port':1}}",
		  FILTER ".requestMirror.backendRef.name", REQUIRED },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':{'name':'s'}}",
		  FILTER ".requestMirror.backendRef.port", REQUIRED },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'percent':101}",
		  FILTER ".requestMirror.percent", INVALID },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'percent':1,'fraction':"
		  "{'numerator':1}}",
		  FILTER ".requestMirror", INVALID },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'fraction':{}}",
		  FILTER ".requestMirror.fraction.numerator", REQUIRED },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'fraction':"
		  "{'numerator':1,'denominator':0}}",
		  FILTER ".requestMirror.fraction.denominator", INVALID },
		{ "'type':'RequestMirror','requestMirror':{'backendRef':" REF ",'fraction':"
		  "{'numerator':101}}",
		  FILTER ".requestMirror.fraction", INVALID },
		{ "'type':'ExtensionRef','extensionRef':{'group':'a.b','kind':'K','name':'n'}", FILTER,
		  UNSUPPORTED },
		{ "'type':'ExtensionRef','extensionRef':{'group':'','kind':'K'}", FILTER ".extensionRef.name",
		  REQUIRED },
		{ "'type':'ExtensionRef','extensionRef':{'kind':'K','name':'n'}", FILTER ".extensionRef.group",
		  REQUIRED },
		{ "'type':'ExtensionRef','extensionRef':{'group':'A','kind':'K','name':'n'}",
		  FILTER ".extensionRef.group", INVALID },
		{ "'type':'ExtensionRef','extensionRef':{'group':'a','kind':'-','name':'n'}",
		  FILTER ".extensionRef.kind", INVALID },
	};
	CHECK_ROWS(RULE "'filters':[{", rows, "}]}]}}");
}

#define PREFIX_REWRITE                                                                             \
	"'filters':[{'type':'URLRewrite','urlRewrite':{'path':{'type':'ReplacePrefixMatch',"       \
	"'replacePrefixMatch':'/x'}}}]"

static void route_rules(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "'name':'a'", NULL, NULL },
		{ "'name':'A'", "spec.rules[0].name", INVALID },
		{ "'nmae':'a'", "spec.rules[0].nmae", UNKNOWN },
		{ "'retry':{}", "spec.rules[0].retry", UNSUPPORTED },
		{ "'sessionPersistence':{}", "spec.rules[0].sessionPersistence", UNSUPPORTED },
		{ "'backendRefs':[" REF "]", NULL, NULL },
		{ "'backendRefs':[{'name':'s'}]", "spec.rules[0].backendRefs[0].port", REQUIRED },
		{ "'backendRefs':[{'name':'s','group':'tidegate.io','kind':'Backend'}]", NULL, NULL },
		{ "'backendRefs':[{'name':'s','group':'x.io'}]", NULL, NULL },
		{ "'backendRefs':[{'port':80}]", "spec.rules[0].backendRefs[0].name", REQUIRED },
		{ "'backendRefs':[{'name':'s','port':99999}]", "spec.rules[0].backendRefs[0].port",
		  INVALID },
		{ "'backendRefs':[{'name':'s','port':80,'weight':0}]", NULL, NULL },
		{ "'backendRefs':[{'name':'s','port':80,'weight':1000000}]", NULL, NULL },
		{ "'backendRefs':[{'name':'s','port':80,'weight':1000001}]",
		  "spec.rules[0].backendRefs[0].weight", INVALID },
		{ "'backendRefs':[{'name':'s','port':80,'weight':-1}]",
		  "spec.rules[0].backendRefs[0].weight", INVALID },
		{ "'backendRefs':[{'name':'s','port':80,'weight':'9'}]",
		  "spec.rules[0].backendRefs[0].weight", TYPE },
		{ "'backendRefs':[{'name':'s','port':80,'filters':[{'type':'X'}]}]",
		  "spec.rules[0].backendRefs[0].filters[0].type", ENUM },
		{ "'backendRefs':[" REF "],'filters':[{'type':'RequestRedirect','requestRedirect':{}}]",
		  "spec.rules[0]", INVALID },
		{ PREFIX_REWRITE, NULL, NULL },
		{ PREFIX_REWRITE ",'matches':[{'path':{'value':'/a'}}]", NULL, NULL },
		{ PREFIX_REWRITE ",'matches':[{},{}]", "spec.rules[0].matches", INVALID },
		{ PREFIX_REWRITE ",'matches':[{'path':{'type':'Exact','value':'/a'}}]",
		  "spec.rules[0].matches", INVALID },
		{ "'backendRefs':[{'name':'s','port':80," PREFIX_REWRITE "}],'matches':[{},{}]",
		  "spec.rules[0].matches", INVALID },
		{ "'timeouts':{'request':'10s','backendRequest':'1m'}", "spec.rules[0].timeouts",
		  INVALID },
		{ "'timeouts':{'request':'0s','backendRequest':'1m'}", NULL, NULL },
		{ "'timeouts':{'request':'1m','backendRequest':'60s'}", NULL, NULL },
		{ "'timeouts':{'request':'10'}", "spec.rules[0].timeouts.request", INVALID },
		{ "'timeouts':{'backendRequest':10}", "spec.rules[0].timeouts.backendRequest", TYPE },
		{ "'timeouts':{'backend':'1s'}", "spec.rules[0].timeouts.backend", UNKNOWN },
		{ "'timeouts':'1s'", "spec.rules[0].timeouts", TYPE },
	};
	CHECK_ROWS(RULE, rows, "}]}}");
}

#define LISTENER "{'name':'a','port':80,'protocol':'HTTP'"
#define TLS_REFS "'certificateRefs':[{'name':'s'}]"

static void gateway_listeners(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ LISTENER "}", NULL, NULL },
		{ "", "spec.listeners", INVALID },
		{ "{'port':80,'protocol':'HTTP'}", "spec.listeners[0].name", REQUIRED },
		{ "{'name':'a','protocol':'HTTP'}", "spec.listeners[0].port", REQUIRED },
		{ "{'name':'a','port':80}", "spec.listeners[0].protocol", REQUIRED },
		{ "{'name':'a','port':80,'protocol':'H P'}", "spec.listeners[0].protocol", INVALID },
		{ "{'name':'a','port':80,'protocol':'x.io/Foo'}", NULL, NULL },
		{ "{'name':'A','port':80,'protocol':'HTTP'}", "spec.listeners[0].name", INVALID },
		{ LISTENER ",'hostname':''}", "spec.listeners[0].hostname", INVALID },
		{ LISTENER ",'hostname':'*.x'}", NULL, NULL },
		{ LISTENER ",'hostname':'1.2.3.4'}", "spec.listeners[0].hostname", "?" INVALID },
		{ LISTENER ",'tls':{" TLS_REFS "}}", "spec.listeners[0].tls", FORBIDDEN },
		{ LISTENER "}," LISTENER ",'hostname':'x'}", "spec.listeners[1]", DUPLICATE },
		{ LISTENER "},{'name':'b','port':80,'protocol':'HTTP'}", "spec.listeners[1]", DUPLICATE },
		{ LISTENER "},{'name':'b','port':80,'protocol':'HTTP','hostname':'x'}", NULL, NULL },
		{ "{'name':'a','port':1,'protocol':'TCP','hostname':'x'}", "spec.listeners[0].hostname",
		  FORBIDDEN },
		{ "{'name':'a','port':1,'protocol':'UDP','tls':{" TLS_REFS "}}", "spec.listeners[0].tls",
		  FORBIDDEN },
		{ "{'name':'a','port':1,'protocol':'TLS'}", "spec.listeners[0].tls", REQUIRED },
		{ "{'name':'a','port':1,'protocol':'TLS','tls':{'mode':'Passthrough'}}", NULL, NULL },
		{ "{'name':'a','port':1,'protocol':'HTTPS'}", NULL, NULL },
		{ "{'name':'a','port':1,'protocol':'HTTPS','tls':{'mode':'Passthrough'}}",
		  "spec.listeners[0].tls", INVALID },
		{ "{'name':'a','port':1,'protocol':'HTTPS','tls':{'mode':'Off'," TLS_REFS "}}",
		  "spec.listeners[0].tls.mode", ENUM },
		{ "{'name':'a','port':1,'protocol':'HTTPS','tls':{}}", "spec.listeners[0].tls", INVALID },
		{ "{'name':'a','port':1,'protocol':'HTTPS','tls':{'options':{'a':'b'}}}",
		  "spec.listeners[0].tls.options", UNSUPPORTED },
		{ "{'name':'a','port':1,'protocol':'HTTPS','tls':{'certificateRefs':[{}]}}",
		  "spec.listeners[0].tls.certificateRefs[0].name", REQUIRED },
		{ "{'name':'a','port':1,'protocol':'HTTPS','tls':{'frontendValidation':{}," TLS_REFS "}}",
		  "spec.listeners[0].tls.frontendValidation", UNSUPPORTED },
		{ LISTENER ",'allowedRoutes':{'kinds':[{}]}}", "spec.listeners[0].allowedRoutes.kinds[0].kind",
		  REQUIRED },
		{ LISTENER ",'allowedRoutes':{'namespaces':{'from':'None'}}}",
		  "spec.listeners[0].allowedRoutes.namespaces.from", ENUM },
		{ LISTENER ",'allowedRoutes':{'namespaces':{'from':'Selector'}}}",
		  "spec.listeners[0].allowedRoutes.namespaces.selector", "?" REQUIRED },
		{ LISTENER ",'allowedRoutes':{'namespaces':{'from':'All','selector':{}}}}",
		  "spec.listeners[0].allowedRoutes.namespaces.selector", "?" INVALID },
	};
	CHECK_ROWS(GATEWAY_API "'Gateway','metadata':{'name':'g'},'spec':{'gatewayClassName':'c',"
			       "'listeners':[",
		   rows, "]}}");
}

static void gateway_selector(void **state)
{
	(void)state;
#define EXPR "spec.listeners[0].allowedRoutes.namespaces.selector.matchExpressions[0]"
	static const struct row rows[] = {
		{ "", NULL, NULL },
		{ "'matchLabels':{'a.b/c':'d'}", NULL, NULL },
		{ "'matchLabels':{'a b':'d'}",
		  "spec.listeners[0].allowedRoutes.namespaces.selector.matchLabels[a b]", INVALID },
		{ "'matchLabels':{'a':1}",
		  "spec.listeners[0].allowedRoutes.namespaces.selector.matchLabels.a", TYPE },
		{ "'matchExpressions':[{'key':'a','operator':'In','values':['b']}]", NULL, NULL },
		{ "'matchExpressions':[{'key':'a','operator':'Exists'}]", NULL, NULL },
		{ "'matchExpressions':[{'operator':'Exists'}]", EXPR ".key", REQUIRED },
		{ "'matchExpressions':[{'key':'a'}]", EXPR ".operator", REQUIRED },
		{ "'matchExpressions':[{'key':'a','operator':'Is'}]", EXPR ".operator", ENUM },
		{ "'matchExpressions':[{'key':'a','operator':'In'}]", EXPR ".values", REQUIRED },
		{ "'matchExpressions':[{'key':'a','operator':'DoesNotExist','values':['b']}]",
		  EXPR ".values", FORBIDDEN },
	};
	CHECK_ROWS(GATEWAY_API "'Gateway','metadata':{'name':'g'},'spec':{'gatewayClassName':'c',"
			       "'listeners':[" LISTENER ",'allowedRoutes':{'namespaces':{'from':"
			       "'Selector','selector':{",
		   rows, "}}}}]}}");
}

static void gateway_spec(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "'gatewayClassName':'c'", NULL, NULL },
		{ "'x':1,'gatewayClassName':'c'", "spec.x", UNKNOWN },
		{ "'gatewayClassName':''", "spec.gatewayClassName", INVALID },
		{ "'addresses':[]", "spec.gatewayClassName", REQUIRED },
		{ "'gatewayClassName':'c','addresses':[{'value':'1.2.3.4'},{'value':'::1'},{}]", NULL,
		  NULL },
		{ "'gatewayClassName':'c','addresses':[{'value':'a'}]", "spec.addresses[0].value",
		  INVALID },
		{ "'gatewayClassName':'c','addresses':[{'value':''}]", "spec.addresses[0].value",
		  INVALID },
		{ "'gatewayClassName':'c','addresses':[{'value':'1.2.3.4'},{'value':'1.2.3.4'}]",
		  "spec.addresses[1]", DUPLICATE },
		{ "'gatewayClassName':'c','addresses':[{'type':'Hostname','value':'a.b'}]", NULL, NULL },
		{ "'gatewayClassName':'c','addresses':[{'type':'Hostname','value':'A'}]",
		  "spec.addresses[0].value", INVALID },
		{ "'gatewayClassName':'c','addresses':[{'type':'Other'}]", "spec.addresses[0].type",
		  INVALID },
		{ "'gatewayClassName':'c','addresses':[{'type':'x.io/y','value':'any'}]", NULL, NULL },
		{ "'gatewayClassName':'c','infrastructure':{'labels':{'a/b':'c'},'annotations':{'a':"
		  "'b c'},'parametersRef':{'group':'','kind':'ConfigMap','name':'n'}}",
		  NULL, NULL },
		{ "'gatewayClassName':'c','infrastructure':{'labels':{'a':'b c'}}",
		  "spec.infrastructure.labels.a", INVALID },
		{ "'gatewayClassName':'c','infrastructure':{'labels':{'1':'','2':'','3':'','4':'','5':'',"
		  "'6':'','7':'','8':'','9':''}}",
		  "spec.infrastructure.labels", TOO_MANY },
		{ "'gatewayClassName':'c','infrastructure':{'annotations':{'a':'two\\nlines'}}", NULL,
		  NULL },
		{ "'gatewayClassName':'c','infrastructure':{'annotations':{'a b':'c'}}",
		  "spec.infrastructure.annotations[a b]", INVALID },
		{ "'gatewayClassName':'c','infrastructure':{'parametersRef':{'group':'','name':'n'}}",
		  "spec.infrastructure.parametersRef.kind", REQUIRED },
		{ "'gatewayClassName':'c','tls':{'frontend':{}}", "spec.tls.frontend", UNSUPPORTED },
		{ "'gatewayClassName':'c','tls':{'backend':{}}", "spec.tls.backend", UNSUPPORTED },
		{ "'gatewayClassName':'c','allowedListeners':{}", "spec.allowedListeners", UNSUPPORTED },
		{ "'gatewayClassName':'c','defaultScope':'All'", "spec.defaultScope", UNSUPPORTED },
	};
	CHECK_ROWS(GATEWAY_API "'Gateway','metadata':{'name':'g'},'spec':{'listeners':[" LISTENER "}],",
		   rows, "}}");
}

static void gateway_classes(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "'controllerName':'example.com/x'", NULL, NULL },
		{ "'description':'x'", "spec.controllerName", REQUIRED },
		{ "'controllerName':'example'", "spec.controllerName", INVALID },
		{ "'controllerName':'example.com/x','description':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaa'",
		  "spec.description", INVALID },
		{ "'controllerName':'example.com/x','description':'two\\nlines\\n'", NULL, NULL },
		{ "'controllerName':'example.com/x','description':'"
		  "\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436"
		  "\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436"
		  "\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436\u0436'",
		  NULL, NULL },
		{ "'controllerName':'example.com/x','parametersRef':{'group':'','kind':'C'}",
		  "spec.parametersRef.name", REQUIRED },
		{ "'controllerName':'" CONTROLLER_NAME "','parametersRef':{'group':'','kind':'C','name':"
		  "'n','namespace':'m'}",
		  NULL, NULL },
	};
	CHECK_ROWS(GATEWAY_API "'GatewayClass','metadata':{'name':'c'},'spec':{", rows, "}}");
}

static void grants(void **state)
{
	(void)state;
#define FROM "'from':[{'group':'a.io','kind':'A','namespace':'n'}]"
#define TO "'to':[{'group':'','kind':'Service'}]"
	static const struct row rows[] = {
		{ FROM "," TO, NULL, NULL },
		{ FROM, "spec.to", REQUIRED },
		{ TO, "spec.from", REQUIRED },
		{ TO ",'from':[]", "spec.from", INVALID },
		{ TO ",'from':[{'kind':'A','namespace':'n'}]", "spec.from[0].group", REQUIRED },
		{ TO ",'from':[{'group':'','namespace':'n'}]", "spec.from[0].kind", REQUIRED },
		{ TO ",'from':[{'group':'','kind':'A'}]", "spec.from[0].namespace", REQUIRED },
		{ FROM ",'to':[{'kind':'A'}]", "spec.to[0].group", REQUIRED },
		{ FROM ",'to':[{'group':''}]", "spec.to[0].kind", REQUIRED },
		{ FROM ",'to':[{'group':'','kind':'A','name':''}]", "spec.to[0].name", INVALID },
		{ FROM ",'to':[{'group':'','kind':'A','name':'x'}]", NULL, NULL },
		{ FROM ",'to':[{'group':'','kind':'A','namespace':'x'}]", "spec.to[0].namespace",
		  UNKNOWN },
	};
	CHECK_ROWS(GATEWAY_API "'ReferenceGrant','metadata':{'name':'c'},'spec':{", rows, "}}");
}

static void services(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "", NULL, NULL },
		{ "'ports':[{'port':80}]", NULL, NULL },
		{ "'type':'ExternalName','externalName':'x'", NULL, NULL },
		{ "'type':'Odd'", "spec.type", ENUM },
		{ "'ports':[{}]", "spec.ports[0].port", REQUIRED },
		{ "'ports':[{'port':0}]", "spec.ports[0].port", INVALID },
		{ "'ports':[{'port':80},{'port':81,'name':'a'}]", "spec.ports[0].name", REQUIRED },
		{ "'ports':[{'port':80,'name':'a'},{'port':81,'name':'a'}]", "spec.ports[1]", DUPLICATE },
		{ "'ports':[{'port':80,'name':'a'},{'port':80,'name':'b'}]", "spec.ports[1]", DUPLICATE },
		{ "'ports':[{'port':80,'name':'a'},{'port':80,'name':'b','protocol':'UDP'}]", NULL,
		  NULL },
		{ "'ports':[{'port':80,'protocol':'tcp'}]", "spec.ports[0].protocol", ENUM },
		{ "'ports':[{'port':80,'name':'A_b'}]", "spec.ports[0].name", INVALID },
		{ "'ports':[{'port':80,'appProtocol':'a b'}]", "spec.ports[0].appProtocol", INVALID },
		{ "'ports':[{'port':80,'apProtocol':'h2c'}]", "spec.ports[0].apProtocol", UNKNOWN },
	};
	CHECK_ROWS("{'apiVersion':'v1','kind':'Service','metadata':{'name':'s'},'spec':{", rows, "}}");
}

static void endpoint_slices(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "'addressType':'IPv4','endpoints':[{'addresses':['1.2.3.4']}]", NULL, NULL },
		{ "'addressType':'IPv4','endpoints':null,'ports':null", NULL, NULL },
		{ "'endpoints':[]", "addressType", REQUIRED },
		{ "'addressType':'ipv4'", "addressType", ENUM },
		{ "'addressType':'FQDN','endpoints':[{'addresses':['x.y']}]", "addressType",
		  UNSUPPORTED },
		{ "'addressType':'IPv4','endpoints':[{}]", "endpoints[0].addresses", REQUIRED },
		{ "'addressType':'IPv4','endpoints':[{'addresses':['::1']}]",
		  "endpoints[0].addresses[0]", INVALID },
		{ "'addressType':'IPv6','endpoints':[{'addresses':['x']}]", "endpoints[0].addresses[0]",
		  INVALID },
		{ "'addressType':'IPv4','ports':[{'port':70000}]", "ports[0].port", INVALID },
		{ "'addressType':'IPv4','endpoints':[{'addresses':['1.2.3.4'],'conditions':{'ready':"
		  "'yes'}}]",
		  "endpoints[0].conditions.ready", TYPE },
	};
	CHECK_ROWS("{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':'s'"
		   "},",
		   rows, "}");
}

static void backends(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "{'host':'10.0.0.1','port':80},{'host':'A.example','port':80,'weight':0}", NULL, NULL },
		{ "", "spec.addresses", INVALID },
		{ "{'port':80}", "spec.addresses[0].host", REQUIRED },
		{ "{'host':'a'}", "spec.addresses[0].port", REQUIRED },
		{ "{'host':'a:80','port':80}", "spec.addresses[0].host", INVALID },
		{ "{'host':'[::1]','port':80}", "spec.addresses[0].host", INVALID },
		{ "{'host':'*.a','port':80}", "spec.addresses[0].host", INVALID },
		{ "{'host':'10.0.0.256','port':80}", "spec.addresses[0].host", INVALID },
		{ "{'host':'a','port':80,'weight':257}", "spec.addresses[0].weight", INVALID },
		{ "{'host':'a','port':80,'weight':256}", NULL, NULL },
		{ "{'host':'a','port':80},{'host':'A','port':80}", "spec.addresses[1]", DUPLICATE },
		{ "{'host':'a','port':80},{'host':'a','port':81}", NULL, NULL },
		{ "{'address':'b','host':'a','port':80}", "spec.addresses[0].address", UNKNOWN },
	};
	CHECK_ROWS("{'apiVersion':'tidegate.io/v1alpha1','kind':'Backend','metadata':{'name':'b'},"
		   "'spec':{'appProtocol':'kubernetes.io/h2c','addresses':[",
		   rows, "]}}");
}

static void data_maps(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "'data':{'a.b':'x\\ny'}", NULL, NULL },
		{ "'data':{'a b':'x'}", "data[a b]", INVALID },
		{ "'data':{'a':1}", "data.a", TYPE },
		{ "'data':[]", "data", TYPE },
		{ "'data':{'a':'x\\u0000y'}", "data.a", INVALID },
		{ "'spec':{}", "spec", UNKNOWN },
	};
	CHECK_ROWS("{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},", rows, "}");
}

/* `count` copies of an item, each '#' in it being its number. */
static void check_repeated(const char *before, const char *item, int count, const char *behind,
			   const char *field, const char *reason)
{
	struct row row = { .field = field, .reason = reason };
	struct sb text;

	sb_init(&text, 4 * 1024 * 1024);
	for (int i = 0; i < count; i++) {
		struct str rest = str_of(item);

		sb_adds(&text, i ? "," : "");
		sb_add(&text, str_cut(&rest, '#'));
		while (rest.n > 0) {
			sb_addf(&text, "%d", i);
			sb_add(&text, str_cut(&rest, '#'));
		}
	}
	row.spec = text.data;
	check_row(before, &row, behind);
	sb_fini(&text);
}

static void counts(void **state)
{
	(void)state;
	static const struct {
		const char *before, *item, *behind, *field;
		int max;
	} rows[] = {
		{ ROUTE "'parentRefs':[", "{'name':'g#'}", "]}}", "spec.parentRefs", 32 },
		{ ROUTE "'hostnames':[", "'h#'", "]}}", "spec.hostnames", 16 },
		{ ROUTE "'rules':[", "{}", "]}}", "spec.rules", 16 },
		{ RULE "'matches':[", "{}", "]}]}}", "spec.rules[0].matches", 64 },
		{ RULE "'matches':[{'headers':[", "{'name':'h#','value':'v'}", "]}]}]}}",
		  "spec.rules[0].matches[0].headers", 16 },
		{ RULE "'matches':[{'queryParams':[", "{'name':'h#','value':'v'}", "]}]}]}}",
		  "spec.rules[0].matches[0].queryParams", 16 },
		{ RULE "'backendRefs':[", REF, "]}]}}", "spec.rules[0].backendRefs", 16 },
		{ RULE "'filters':[{'type':'RequestHeaderModifier','requestHeaderModifier':{'remove':[",
		  "'h#'", "]}}]}]}}", "spec.rules[0].filters[0].requestHeaderModifier.remove", 16 },
		{ RULE "'filters':[{'type':'RequestHeaderModifier','requestHeaderModifier':{'set':[",
		  "{'name':'h#','value':'v'}", "]}}]}]}}",
		  "spec.rules[0].filters[0].requestHeaderModifier.set", 16 },
		{ GATEWAY_API "'Gateway','metadata':{'name':'g'},'spec':{'gatewayClassName':'c',"
			      "'listeners':[",
		  "{'name':'l#','port':80,'protocol':'HTTP','hostname':'h#'}", "]}}", "spec.listeners",
		  64 },
		{ "{'apiVersion':'tidegate.io/v1alpha1','kind':'Backend','metadata':{'name':'b'},"
		  "'spec':{'addresses':[",
		  "{'host':'h#','port':80}", "]}}", "spec.addresses", 1000 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_repeated(rows[i].before, rows[i].item, rows[i].max, rows[i].behind, NULL, NULL);
		check_repeated(rows[i].before, rows[i].item, rows[i].max + 1, rows[i].behind,
			       rows[i].field, TOO_MANY);
	}
	check_repeated(ROUTE "'rules':[", "{}", 10000, "]}}", "spec.rules", TOO_MANY);
	check_repeated(ROUTE "'rules':[", "{'matches':[{},{},{},{},{},{},{},{}]}", 16, "]}}", NULL,
		       NULL);
#define EIGHT "{},{},{},{},{},{},{},{}"
#define EIGHT_AND_EIGHT "{'matches':[" EIGHT "," EIGHT "]}"
	check_repeated(GATEWAY_API "'GRPCRoute','metadata':{'name':'r'},'spec':{'rules':[{},",
		       EIGHT_AND_EIGHT, 8, "]}}", NULL, NULL);
	check_repeated(GATEWAY_API "'GRPCRoute','metadata':{'name':'r'},'spec':{'rules':[",
		       "{'matches':[{},{},{},{},{},{},{},{},{}]}", 15, "]}}", "spec.rules",
		       TOO_MANY);
	check_repeated(ROUTE "'rules':[{},", "{'matches':[{},{},{},{},{},{},{},{},{}]}", 15, "]}}",
		       "spec.rules", TOO_MANY);
}

static void lengths(void **state)
{
	(void)state;
	static const struct {
		const char *before, *behind, *field;
		int max;
	} rows[] = {
		{ ROUTE "'hostnames':['", "']}}", "spec.hostnames[0]", 253 },
		{ RULE "'name':'", "'}]}}", "spec.rules[0].name", 253 },
		{ RULE "'matches':[{'path':{'value':'/", "'}}]}]}}",
		  "spec.rules[0].matches[0].path.value", 1023 },
		{ RULE "'matches':[{'path':{'type':'RegularExpression','value':'", "'}}]}]}}",
		  "spec.rules[0].matches[0].path.value", 1024 },
		{ RULE "'matches':[{'headers':[{'name':'a','value':'", "'}]}]}]}}",
		  "spec.rules[0].matches[0].headers[0].value", 4096 },
		{ RULE "'matches':[{'headers':[{'value':'a','name':'", "'}]}]}]}}",
		  "spec.rules[0].matches[0].headers[0].name", 256 },
		{ RULE "'matches':[{'queryParams':[{'name':'a','value':'", "'}]}]}]}}",
		  "spec.rules[0].matches[0].queryParams[0].value", 1024 },
		{ ROUTE "'parentRefs':[{'name':'g','namespace':'", "'}]}}",
		  "spec.parentRefs[0].namespace", 63 },
		{ ROUTE "'parentRefs':[{'name':'g','kind':'", "'}]}}", "spec.parentRefs[0].kind", 63 },
		{ ROUTE "'parentRefs':[{'name':'", "'}]}}", "spec.parentRefs[0].name", 253 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[5000];
		struct row row = { .spec = text };
		memset(text, 'a', sizeof(text));
		text[rows[i].max] = '\0';
		check_row(rows[i].before, &row, rows[i].behind);
		text[rows[i].max] = 'a';
		text[rows[i].max + 1] = '\0';
		row.field = rows[i].field;
		row.reason = TOO_LONG;
		check_row(rows[i].before, &row, rows[i].behind);
	}
}

static void gateway_parameters(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "", NULL, NULL },
		{ "'type':'NodePort','externalTrafficPolicy':'Local','internalTrafficPolicy':"
		  "'Cluster','ipFamilyPolicy':'PreferDualStack','ipFamilies':['IPv6','IPv4'],"
		  "'allocateLoadBalancerNodePorts':false,'loadBalancerClass':'a.test/b',"
		  "'loadBalancerSourceRanges':['192.0.2.0/24','2001:db8::/32'],'labels':{'a':'b'},"
		  "'annotations':{'a.test/b':'c d'}", NULL, NULL },
		{ "'type':'ExternalName'", "spec.service.type", ENUM },
		{ "'externalTrafficPolicy':'local'", "spec.service.externalTrafficPolicy", ENUM },
		{ "'ipFamilies':['IPv5']", "spec.service.ipFamilies[0]", ENUM },
		{ "'ipFamilies':['IPv4','IPv4']", "spec.service.ipFamilies", DUPLICATE },
		{ "'ipFamilies':['IPv4','IPv6','IPv4']", "spec.service.ipFamilies", TOO_MANY },
		{ "'loadBalancerSourceRanges':['192.0.2.1']",
		  "spec.service.loadBalancerSourceRanges[0]", INVALID },
		{ "'loadBalancerSourceRanges':['192.0.2.1/33']",
		  "spec.service.loadBalancerSourceRanges[0]", INVALID },
		{ "'allocateLoadBalancerNodePorts':'no'",
		  "spec.service.allocateLoadBalancerNodePorts", TYPE },
		{ "'loadBalancerClass':'a b'", "spec.service.loadBalancerClass", INVALID },
		{ "'replicas':2", "spec.service.replicas", UNKNOWN },
	};
	CHECK_ROWS("{'apiVersion':'tidegate.io/v1alpha1','kind':'GatewayParameters','metadata':{"
		   "'name':'p'},'spec':{'service':{", rows, "}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grpc_rules),
		cmocka_unit_test(route_spec),       cmocka_unit_test(route_matches),
		cmocka_unit_test(route_filters),    cmocka_unit_test(unserved_filters),
		cmocka_unit_test(route_rules),
		cmocka_unit_test(gateway_listeners), cmocka_unit_test(gateway_selector),
		cmocka_unit_test(gateway_spec),     cmocka_unit_test(gateway_classes),
		cmocka_unit_test(grants),           cmocka_unit_test(services),
		cmocka_unit_test(endpoint_slices),  cmocka_unit_test(backends),
		cmocka_unit_test(data_maps),        cmocka_unit_test(counts),
		cmocka_unit_test(lengths),          cmocka_unit_test(gateway_parameters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
