/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/explain.h"

#include "tests/resolve/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HTTP(name, more) "{'name':'" name "','protocol':'HTTP','port':80" more "}"
#define HOST(name) ",'hostname':'" name "'"
#define PARENT(more) "'parentRefs':[{'name':'gw'" more "}]"
#define MATCH(match, service) \
	"{'matches':[" match "],'backendRefs':[{'name':'" service "','port':80}]}"
#define PATH(type, value) "'path':{'type':'" type "','value':'" value "'}"

struct asked { /* "GET", "http://host/path", "name: value" or NULL */
	const char *method, *url, *header;
};

static void make_request(const struct asked *asked, struct explain_request *ret_request)
{
	struct error err;
	*ret_request = (struct explain_request){ 0 };
	ret_request->request.method = str_of(asked->method);
	if (!explain_parse_url(str_of(asked->url), ret_request, &err))
		fail_msg("%s: %s", asked->url, err.text);
	if (asked->header) {
		struct str value = str_of(asked->header);
		struct str name = str_cut(&value, ':');
		ret_request->request.headers[0] = (struct request_header){ name, str_trim(value) };
		ret_request->request.header_count = 1;
	}
}

static struct explain_result *ask(struct world *world, const struct explain_request *request)
{
	struct explain_world explained = {
		.gateways = world->gateways,
		.routes = (const struct route_view *const *)world->routes,
		.route_count = world->route_count,
	};
	return explain(&explained, request);
}

/* wanted: the backend, or the status. */
static void assert_goes(struct world *world, const struct asked *asked, const char *wanted)
{
	struct explain_request request;
	char got[512] = "";
	make_request(asked, &request);
	struct explain_result *result = ask(world, &request);
	const struct explain_outcome *outcome = &result->outcome;
	if (outcome->status)
		snprintf(got, sizeof(got), "%d", outcome->status);
	else if (outcome->target_count)
		snprintf(got, sizeof(got), STR_FMT, STR_ARG(outcome->targets[0].backend));
	if (strcmp(got, wanted) != 0)
		fail_msg("%s %s (%s): %s, wanted %s", asked->method, asked->url,
			 asked->header ? asked->header : "", got, wanted);
	assert_false(str_empty(result->verdict));
	explain_free(result);
}

static void assert_get(struct world *world, const char *url, const char *wanted)
{
	assert_goes(world, &(struct asked){ "GET", url, NULL }, wanted);
}

static void put_services(struct world *world)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	for (size_t i = 0; i < 4; i++)
		world_service(world, "default", names[i], "", true);
}

static void urls(void **state)
{
	static const char *const bad[] = { "", "www.example.com", "ftp://x/", "http://", "http:///x",
					   "http://h:0/", "http://h:65536/", "http://h:x/" };
	struct explain_request request = { 0 };
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (explain_parse_url(str_of(bad[i]), &request, &err))
			fail_msg("'%s' is no URL", bad[i]);
		assert_true(err.text[0] != '\0');
	}
	assert_true(explain_parse_url(STR("https://h.example:8443/a/b?x=1&y#z"), &request, &err));
	assert_true(request.https && request.port == 8443 && str_is(request.host, "h.example"));
	assert_true(str_is(request.request.path, "/a/b"));
	assert_true(str_is(request.request.query, "x=1&y"));
	assert_true(explain_parse_url(STR("http://[2001:db8::1]:81?q"), &request, &err));
	assert_true(!request.https && request.port == 81);
	assert_true(str_is(request.host, "[2001:db8::1]"));
	assert_true(str_is(request.request.path, "/") && str_is(request.request.query, "q"));
}

static void paths(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") ",'rules':[" MATCH("{" PATH("PathPrefix", "/match/") "}", "a") ","
		    MATCH("{" PATH("Exact", "/match/exact") "}", "b") ","
		    MATCH("{" PATH("RegularExpression", "/match/[0-9]+") "}", "c") ","
		    MATCH("{" PATH("PathPrefix", "/match/exact/sub") "}", "d") "]");
	world_resolve(world);
	static const char *const cases[][2] = {
		{ "/match", "default.a.80" },	       { "/match/", "default.a.80" },
		{ "/match/x", "default.a.80" },	       { "/matchx", "404" },
		{ "/Match", "404" },		       { "/", "404" },
		{ "/match/exact", "default.b.80" },    { "/match/exact/", "default.a.80" },
		{ "/match/exact/sub/x", "default.d.80" }, { "/match/17", "default.c.80" },
		{ "/match/17/x", "default.a.80" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char url[128];
		snprintf(url, sizeof(url), "http://any.example%s", cases[i][0]);
		assert_get(world, url, cases[i][1]);
	}
	assert_get(world, "http://any.example:81/match", "-1");
	assert_get(world, "https://any.example/match", "-1");
}

static void conditions(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") ",'rules':[" MATCH("{'headers':[{'name':'X-Canary','value':'always'}]}",
						  "b") ","
		    MATCH("{'queryParams':[{'name':'v','value':'a b'}]}", "c") ","
		    MATCH("{'method':'POST'}", "d") "," MATCH("{}", "a") "]");
	world_resolve(world);
	assert_get(world, "http://h/", "default.a.80");
	assert_goes(world, &(struct asked){ "GET", "http://h/", "x-CANARY: always" },
		    "default.b.80");
	assert_goes(world, &(struct asked){ "GET", "http://h/", "x-canary: Always" },
		    "default.a.80");
	assert_get(world, "http://h/?v=a+b", "default.c.80");
	assert_get(world, "http://h/?w=1&v=a%20b", "default.c.80");
	assert_get(world, "http://h/?v=x&v=a+b", "default.a.80");
	assert_get(world, "http://h/?V=a+b", "default.a.80");
	/* Method before headers before query parameters. */
	assert_goes(world, &(struct asked){ "POST", "http://h/?v=a+b", "x-canary: always" },
		    "default.d.80");
	assert_goes(world, &(struct asked){ "GET", "http://h/?v=a+b", "x-canary: always" },
		    "default.b.80");
}

static void reasons_why_not(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") ",'rules':["
		    MATCH("{'headers':[{'name':'x-canary','value':'always'}]}", "b") ","
		    MATCH("{'method':'POST','queryParams':[{'name':'v','value':'1'}]}", "c") ","
		    MATCH("{" PATH("Exact", "/only") "}", "d") "," MATCH("{}", "a") "]");
	world_resolve(world);
	struct explain_request request;
	make_request(&(struct asked){ "GET", "http://h/x", NULL }, &request);
	struct explain_result *result = ask(world, &request);
	assert_int_equal(result->candidate_count, 4);
	assert_string_equal(result->candidates[0].why_not.p, "the path is not /only");
	assert_string_equal(result->candidates[1].why_not.p, "the method is GET, POST wanted");
	assert_string_equal(result->candidates[2].why_not.p,
			    "header x-canary is absent, 'always' wanted");
	assert_ptr_equal(result->winner, &result->candidates[3]);
	assert_true(str_is(result->outcome.rule, "default/r/3"));
	struct sb text;
	sb_init(&text, 64 * 1024);
	explain_print(result, &text);
	assert_true(sb_ok(&text, NULL));
	assert_mentions(sb_str(&text), "GET http://h/x");
	assert_mentions(sb_str(&text), "default/gw port 80");
	assert_mentions(sb_str(&text), "header x-canary is absent");
	assert_mentions(sb_str(&text), "takes the request");
	assert_mentions(sb_str(&text), "sent to backend default.a.80");
	assert_mentions(sb_str(&text), "1 server");
	sb_fini(&text);
	explain_free(result);
	make_request(&(struct asked){ "POST", "http://h/x?%76=a%20+b%2&v=1", NULL }, &request);
	result = ask(world, &request);
	assert_string_equal(result->candidates[1].why_not.p,
			    "query parameter v is 'a  b%2', '1' wanted");
	explain_free(result);
}

/* Ties: the oldest route, then "namespace/name", then the first rule, the first match. */
static void ties(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'b','creationTimestamp':'2024-01-02T00:00:00Z'",
		    PARENT("") ",'rules':[" MATCH("{}", "b") "," MATCH("{}", "c") "]");
	world_resolve(world);
	assert_get(world, "http://h/", "default.b.80");
	world_route(world, "'name':'a','creationTimestamp':'2024-01-03T00:00:00Z'",
		    PARENT("") ",'rules':[" MATCH("{}", "a") "]");
	world_resolve(world);
	assert_get(world, "http://h/", "default.b.80");
	world_route(world, "'name':'a','creationTimestamp':'2024-01-02T00:00:00Z'",
		    PARENT("") ",'rules':[" MATCH("{}", "a") "]");
	world_resolve(world);
	assert_get(world, "http://h/", "default.a.80");
	world_route(world, "'name':'z','creationTimestamp':'2024-01-01T00:00:00Z'",
		    PARENT("") ",'rules':[" MATCH("{}", "d") "]");
	world_resolve(world);
	assert_get(world, "http://h/", "default.d.80");
}

/* A more specific hostname comes first whatever its paths, and falls through when none of its
 * rules matches. */
static void hostname_tiers(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'exact'",
		    PARENT("") ",'hostnames':['a.b.example.com'],'rules':["
		    MATCH("{" PATH("PathPrefix", "/x") "}", "a") "]");
	world_route(world, "'name':'wild'",
		    PARENT("") ",'hostnames':['*.b.example.com'],'rules':["
		    MATCH("{" PATH("Exact", "/x/y") "},{" PATH("PathPrefix", "/w") "}", "b") "]");
	world_route(world, "'name':'wilder'",
		    PARENT("") ",'hostnames':['*.example.com'],'rules':["
		    MATCH("{" PATH("Exact", "/w") "},{" PATH("PathPrefix", "/v") "}", "c") "]");
	world_route(world, "'name':'any'", PARENT("") ",'rules':[" MATCH("{}", "d") "]");
	world_resolve(world);
	assert_get(world, "http://A.B.Example.Com/x/y", "default.a.80");
	assert_get(world, "http://z.b.example.com/x/y", "default.b.80");
	assert_get(world, "http://a.b.example.com/w", "default.b.80");
	assert_get(world, "http://a.b.example.com/v", "default.c.80");
	assert_get(world, "http://a.b.example.com/u", "default.d.80");
	assert_get(world, "http://b.example.com/w", "default.c.80");
	assert_get(world, "http://example.com/w", "default.d.80");
}

static void listener_isolation(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'",
		      HTTP("empty", "") "," HTTP("wild", HOST("*.example.com")) ","
		      HTTP("foo", HOST("*.foo.example.com")) ","
		      HTTP("abc", HOST("abc.foo.example.com")), "");
	static const char *const listeners[][2] = {
		{ "empty", "a" }, { "wild", "b" }, { "foo", "c" }, { "abc", "d" }
	};
	static const char *const hosts[] = { "bar.com", "bar.example.com", "bar.foo.example.com",
					     "abc.foo.example.com" };
	for (size_t i = 0; i < 4; i++) {
		char meta[64], spec[512];
		snprintf(meta, sizeof(meta), "'name':'r-%s'", listeners[i][0]);
		snprintf(spec, sizeof(spec),
			 PARENT(",'sectionName':'%s'") ",'rules':["
			 MATCH("{" PATH("PathPrefix", "/%s") "}", "%s") "]",
			 listeners[i][0], listeners[i][0], listeners[i][1]);
		world_route(world, meta, spec);
	}
	world_resolve(world);
	for (size_t host = 0; host < 4; host++) {
		for (size_t path = 0; path < 4; path++) {
			char url[128], wanted[32];
			snprintf(url, sizeof(url), "http://%s/%s", hosts[host], listeners[path][0]);
			snprintf(wanted, sizeof(wanted), "default.%s.80", listeners[path][1]);
			assert_get(world, url, host == path ? wanted : "404");
		}
	}
}

static void misdirected(void **state)
{
	static const struct {
		const char *sni, *host;
		int status; /* 0: forwarded */
	} cases[] = {
		{ "a.example.com", "a.example.com", 0 },
		{ "b.example.com", "b.example.com", 0 },
		{ "b.example.com", "c.example.com", 0 }, /* the same listener */
		{ "b.example.com", "a.example.com", 421 }, /* another is more specific */
		{ "a.example.com", "b.example.com", 421 },
		{ "a.example.com", "x.example.org", 404 }, /* nobody's */
		{ "x.example.org", "x.example.org", 404 },
		{ "x.example.org", "a.example.com", 421 },
		{ "", "a.example.com", 0 },
	};
	struct world *world = *state;
	put_services(world);
	world_secret(world, "default", "cert", "*.example.com", 0, WORLD_NOW_S + 1);
#define HTTPS(name, host) \
	"{'name':'" name "','protocol':'HTTPS','port':443,'hostname':'" host \
	"','tls':{'certificateRefs':[{'name':'cert'}]}}"
	world_gateway(world, "'name':'gw'", HTTPS("a", "a.example.com") "," HTTPS("w", "*.example.com"),
		      "");
	world_route(world, "'name':'r'", PARENT("") ",'rules':[" MATCH("{}", "a") "]");
	world_resolve(world);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct explain_request request = { .https = true,
						   .host = str_of(cases[i].host),
						   .sni = str_of(cases[i].sni) };
		request.request.method = STR("GET");
		request.request.path = STR("/");
		struct explain_result *result = ask(world, &request);
		if (result->outcome.status != cases[i].status)
			fail_msg("%s, %s: %d", cases[i].sni, cases[i].host, result->outcome.status);
		explain_free(result);
	}
}

static void shares(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_service(world, "default", "empty", "", false);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") ",'rules':[{'backendRefs':[{'name':'a','port':80,'weight':90},"
		    "{'name':'missing','port':80,'weight':9},{'name':'empty','port':80},"
		    "{'name':'b','port':80,'weight':0}]},"
		    "{'matches':[{" PATH("Exact", "/zero") "}],'backendRefs':[{'name':'a',"
		    "'port':80,'weight':0}]},"
		    "{'matches':[{" PATH("Exact", "/none") "}]},"
		    "{'matches':[{" PATH("Exact", "/bad") "}],'backendRefs':[{'name':'missing',"
		    "'port':80}]}]");
	world_resolve(world);
	struct explain_request request;
	make_request(&(struct asked){ "GET", "http://h/", NULL }, &request);
	struct explain_result *result = ask(world, &request);
	const struct explain_outcome *outcome = &result->outcome;
	assert_int_equal(outcome->status, 0);
	assert_int_equal(outcome->target_count, 3);
	assert_true(str_is(outcome->targets[0].backend, "default.a.80"));
	assert_int_equal(outcome->targets[0].server_count, 1);
	assert_true(str_is(outcome->targets[1].backend, "http-500"));
	assert_int_equal(outcome->targets[2].server_count, 0);
	struct sb text;
	sb_init(&text, 64 * 1024);
	explain_print(result, &text);
	assert_mentions(sb_str(&text), "weight 90 (90.0%), 1 server\n");
	assert_mentions(sb_str(&text), "weight 9 (9.0%): default/missing is not valid");
	assert_mentions(sb_str(&text), "weight 1 (1.0%): no ready server, answered 503");
	sb_fini(&text);
	explain_free(result);
	assert_get(world, "http://h/zero", "500");
	assert_get(world, "http://h/none", "500");
	assert_get(world, "http://h/bad", "500");
}

static void broken_rule(void **state)
{
	struct world *world = *state;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") ",'rules':[{'matches':[{" PATH("PathPrefix", "/m") "}],'filters':[{"
		    "'type':'RequestMirror','requestMirror':{'backendRef':{'name':'b','port':80}}}],"
		    "'backendRefs':[{'name':'a','port':80}]},"
		    MATCH("{" PATH("RegularExpression", "/a(b") "},{" PATH("Exact", "/good") "}", "a")
		    "," MATCH("{}", "c") "]");
	world_resolve(world);
	assert_get(world, "http://h/m", "500");
	assert_get(world, "http://h/good", "500");
	assert_get(world, "http://h/ab", "default.c.80");
}

static void redirects(void **state)
{
#define REDIRECT(prefix, filter) \
	"{'matches':[{" PATH("PathPrefix", prefix) "}],'filters':[{'type':'RequestRedirect'," \
	"'requestRedirect':{" filter "}}]}"
#define REPLACE(path) "'path':{'type':'ReplacePrefixMatch','replacePrefixMatch':'" path "'}"
	static const struct {
		const char *rule, *url, *location;
	} cases[] = {
		{ REDIRECT("/", "'hostname':'new.example'"), "http://Old.example/a?b=c",
		  "http://new.example/a?b=c" },
		{ REDIRECT("/", "'hostname':'new.example'"), "http://old.example:8080/a",
		  "http://new.example:8080/a" },
		{ REDIRECT("/", "'scheme':'https'"), "http://old.example:8080/a",
		  "https://old.example/a" },
		{ REDIRECT("/", "'scheme':'https','port':8443"), "http://old.example/a",
		  "https://old.example:8443/a" },
		{ REDIRECT("/", "'scheme':'https','port':443"), "http://old.example/a",
		  "https://old.example/a" },
		{ REDIRECT("/", "'port':80"), "http://old.example:8080/a", "http://old.example/a" },
		{ REDIRECT("/", "'path':{'type':'ReplaceFullPath','replaceFullPath':'/n'}"),
		  "http://h/a", "http://h/n" },
		{ REDIRECT("/foo", REPLACE("/xyz")), "http://h/foo/bar", "http://h/xyz/bar" },
		{ REDIRECT("/foo", REPLACE("/xyz/")), "http://h/foo/bar", "http://h/xyz/bar" },
		{ REDIRECT("/foo/", REPLACE("/xyz")), "http://h/foo/bar", "http://h/xyz/bar" },
		{ REDIRECT("/foo", REPLACE("/xyz")), "http://h/foo", "http://h/xyz" },
		{ REDIRECT("/foo", REPLACE("/xyz")), "http://h/foo/", "http://h/xyz/" },
		{ REDIRECT("/foo", REPLACE("")), "http://h/foo/bar", "http://h/bar" },
		{ REDIRECT("/foo", REPLACE("")), "http://h/foo/", "http://h/" },
		{ REDIRECT("/foo", REPLACE("")), "http://h/foo", "http://h/" },
		{ REDIRECT("/foo", REPLACE("/")), "http://h/foo/", "http://h/" },
		{ REDIRECT("/foo", REPLACE("/")), "http://h/foo", "http://h/" },
	};
	struct world *world = *state;
	world_gateway(world, "'name':'gw'",
		      HTTP("x", "") ",{'name':'y','protocol':'HTTP','port':8080}", "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char spec[1024];
		struct explain_request request;
		snprintf(spec, sizeof(spec), PARENT("") ",'rules':[%s]", cases[i].rule);
		world_route(world, "'name':'r'", spec);
		world_resolve(world);
		make_request(&(struct asked){ "GET", cases[i].url, NULL }, &request);
		struct explain_result *result = ask(world, &request);
		assert_int_equal(result->outcome.status, 302);
		assert_string_equal(result->outcome.location.p, cases[i].location);
		explain_free(result);
	}
}

/* Filters of a rule and of its refs: the ref's word counts, and a redirect is about the request
 * as it came. */
static void targets(void **state)
{
	struct world *world = *state;
	struct explain_request request;
	put_services(world);
	world_gateway(world, "'name':'gw'", HTTP("x", ""), "");
	world_route(world, "'name':'r'",
		    PARENT("") ",'rules':[{'matches':[{" PATH("PathPrefix", "/foo") "}],"
		    "'filters':[{'type':'URLRewrite','urlRewrite':{'hostname':'new.example',"
		    REPLACE("/n") "}}],'backendRefs':[{'name':'a','port':80},"
		    "{'name':'b','port':80,'filters':[{'type':'URLRewrite','urlRewrite':{"
		    "'path':{'type':'ReplaceFullPath','replaceFullPath':'/all'}}}]},"
		    "{'name':'c','port':80,'filters':[{'type':'RequestRedirect',"
		    "'requestRedirect':{'scheme':'https','statusCode':301}}]}]}]");
	world_resolve(world);
	make_request(&(struct asked){ "GET", "http://h/foo/x", NULL }, &request);
	struct explain_result *result = ask(world, &request);
	const struct explain_target *got = result->outcome.targets;
	assert_int_equal(result->outcome.target_count, 3);
	assert_true(str_is(got[0].host, "new.example") && str_is(got[0].path, "/n/x"));
	assert_true(str_is(got[1].host, "new.example") && str_is(got[1].path, "/all"));
	assert_int_equal(got[1].status, 0);
	assert_int_equal(got[2].status, 301);
	assert_true(str_is(got[2].location, "https://h/foo/x"));
	explain_free(result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		TEST(paths),
		TEST(conditions),
		TEST(reasons_why_not),
		TEST(ties),
		TEST(hostname_tiers),
		TEST(listener_isolation),
		TEST(misdirected),
		TEST(shares),
		TEST(broken_rule),
		TEST(redirects),
		TEST(targets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
