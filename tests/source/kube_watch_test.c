/* SPDX-License-Identifier: Apache-2.0 */
/* What one resource's owner sees of lists and watches that go well, break off or are refused. */
#include "source/kube_watch.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/json.h"
#include "tests/source/fake_client.h"

#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\"}}"
/* Typed lists have their metadata before the items. */
#define PAGE(next, items) \
	"{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"" next "\"},\"items\":[" items "]}"
#define EVENT(type, name, version)                                                      \
	"{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name             \
	"\",\"resourceVersion\":\"" version "\"}}}"
#define ERROR(code) \
	"{\"type\":\"ERROR\",\"object\":{\"code\":" code ",\"message\":\"told " code "\"}}"

enum { SCRIPT_ROWS = 16 };

struct script {
	const char *name;
	struct fake_answer answers[SCRIPT_ROWS]; /* to one request after the other */
	const char *trace; /* what was asked, and what the owner saw */
};

static struct {
	struct ev_loop *loop;
	const struct script *script;
	size_t at;
	struct kube_watch *watch;
	struct sb trace;
} it;

static void note_name(const char *before, struct json_object *json)
{
	sb_addf(&it.trace, "%s%s ", before, json_cstr(json_field(json, "metadata"), "name"));
}

static void on_list_begins(void *user)
{
	(void)user;
	sb_adds(&it.trace, "begins ");
}

static void on_object(void *user, struct json_object *json)
{
	(void)user;
	note_name("+", json);
}

static void on_gone(void *user, struct json_object *json)
{
	(void)user;
	note_name("-", json);
}

static void on_list_ends(void *user)
{
	(void)user;
	sb_adds(&it.trace, "ends ");
}

static void on_changed(void *user)
{
	static const char *const names[] = { "STARTING", "SYNCED", "MISSING", "FORBIDDEN",
					     "FAILING" };
	(void)user;
	const char *trouble = kube_watch_trouble(it.watch);
	sb_addf(&it.trace, *trouble ? "%s(%s) " : "%s ", names[kube_watch_state(it.watch)],
		trouble);
}

/* "list", "list t1" (that page), "watch 7" (from that version); "v1beta1/..." of the older one */
static struct fake_answer answer(const char *path)
{
	const struct fake_answer *says = &it.script->answers[it.at];
	const char *page = strstr(path, "&continue="), *from = strstr(path, "&resourceVersion=");
	sb_addf(&it.trace, "| %s%s", strstr(path, "/v1beta1/") ? "v1beta1/" : "",
		from ? "watch " : "list ");
	if (page)
		sb_addf(&it.trace, "%s ", strchr(page, '=') + 1);
	if (from)
		sb_addf(&it.trace, "%s ", strchr(from, '=') + 1);
	if (says->stays)
		ev_break(it.loop, EVBREAK_ALL);
	it.at++;
	return *says;
}

#define LISTED { 200, PAGE("", ITEM("a")), false, false }
#define ENDED { 200, "", false, false }
#define REFUSED(status) { status, "no", false, false }
#define REST { 200, "", false, true } /* a watch that says nothing: the end of a script */

#define LISTS "begins | list +a ends SYNCED | "
#define AGAIN "watch 7 begins | list +a ends | "
#define OLDER "begins | list begins | v1beta1/list +a ends SYNCED | v1beta1/watch 7 begins | list "

static const struct script scripts[] = {
	{ "two pages and a watch that breaks off",
	  { { 200, PAGE("t1", ITEM("a")), false, false },
	    { 200, PAGE("", ITEM("b")), false, false },
	    { 200, EVENT("ADDED", "c", "8") EVENT("BOOKMARK", "", "9") EVENT("DELETED", "a", "10"),
	      true, false },
	    REST },
	  "begins | list +a | list t1 +b ends SYNCED | watch 7 +c -a | watch 10 " },
	{ "a page that breaks off behind the next one's token",
	  { { 200, PAGE("t1", ITEM("a")), false, false },
	    { 200, "{\"metadata\":{\"continue\":\"t2\"},\"items\":[" ITEM("b"), true, false },
	    { 200, PAGE("t1", ITEM("c")), false, false },
	    { 200, PAGE("", ITEM("d")), false, false },
	    REST },
	  "begins | list +a | list t1 +b begins FAILING | list +c | list t1 +d ends SYNCED "
	  "| watch 7 " },
	{ "the only page ends too early",
	  { { 200, "{\"metadata\":{},\"items\":[" ITEM("a"), false, false }, LISTED, REST },
	  "begins | list +a begins FAILING | list +a ends SYNCED | watch 7 " },
	{ "a page that is refused for a moment",
	  { { 200, PAGE("t1", ITEM("a")), false, false },
	    { 500, "later", false, false },
	    { 200, PAGE("", ITEM("b")), false, false },
	    REST },
	  "begins | list +a | list t1 FAILING | list t1 +b ends SYNCED | watch 7 " },
	{ "a page whose version is too old",
	  { { 200, PAGE("t1", ITEM("a")), false, false },
	    { 410, "too old", false, false },
	    LISTED,
	    REST },
	  "begins | list +a | list t1 begins | list +a ends SYNCED | watch 7 " },
	{ "the version is not there any more in the middle of a list",
	  { { 200, PAGE("t1", ITEM("a")), false, false },
	    { 404, "not found", false, false },
	    LISTED,
	    REST },
	  "begins | list +a | list t1 begins | v1beta1/list +a ends SYNCED | v1beta1/watch 7 " },
	{ "an older version, which is all there is",
	  { REFUSED(404), LISTED, ENDED, REFUSED(404), REST },
	  OLDER "| v1beta1/watch 7 " },
	{ "the newest cannot be looked for",
	  { REFUSED(404), LISTED, ENDED, REFUSED(500), REST },
	  OLDER "| v1beta1/watch 7 " },
	{ "the newest has come when a watch ends",
	  { REFUSED(404), LISTED, ENDED, LISTED, REST },
	  OLDER "+a SYNCED ends | watch 7 " },
	{ "its second page is too late",
	  { REFUSED(404), LISTED, ENDED, { 200, PAGE("t1", ITEM("a")), false, false }, REFUSED(410),
	    LISTED, REST },
	  OLDER "+a SYNCED | list t1 begins | list +a ends | watch 7 " },
	{ "the newest has taken the place of the older one",
	  { REFUSED(404), LISTED, REFUSED(404), LISTED, REST },
	  OLDER "+a SYNCED ends | watch 7 " },
	{ "an older version, and a watch that cannot go on",
	  { REFUSED(404), LISTED, { 200, ERROR("410"), false, false }, REFUSED(404), LISTED, REST },
	  OLDER "begins | v1beta1/list +a ends | v1beta1/watch 7 " },
	{ "a watch that is forbidden, and then is not",
	  { LISTED, REFUSED(403), LISTED, REFUSED(403), LISTED, REFUSED(403), LISTED, REFUSED(403),
	    LISTED, REFUSED(403), LISTED, { 200, EVENT("BOOKMARK", "", "8"), true, false }, REST },
	  LISTS AGAIN AGAIN AGAIN AGAIN "watch 7 SYNCED(no) begins | list +a ends "
	  "| watch 7 SYNCED | watch 8 " },
	{ "a version that cannot be watched",
	  { LISTED, REFUSED(500), REFUSED(500), REFUSED(500), REFUSED(500), REFUSED(500), LISTED,
	    REST },
	  LISTS "watch 7 | watch 7 | watch 7 | watch 7 | watch 7 SYNCED(no) begins | list +a ends "
	  "| watch 7 " },
	{ "a server that is busy",
	  { LISTED, REFUSED(429), REFUSED(429), REFUSED(429), REFUSED(429), REFUSED(429), REST },
	  LISTS "watch 7 | watch 7 | watch 7 | watch 7 | watch 7 | watch 7 " },
	{ "a watch that breaks in the middle",
	  { LISTED, { 200, EVENT("ADDED", "b", "8") ERROR("500"), false, false }, LISTED, REST },
	  LISTS "watch 7 +b begins | list +a ends | watch 7 " },
	{ "watches that end at once",
	  { LISTED, ENDED, ENDED, ENDED, ENDED, { 200, "", true, false }, REST },
	  LISTS "watch 7 | watch 7 | watch 7 | watch 7 | watch 7 SYNCED(broken off) | watch 7 " },
};

static void test_scripts(void **state)
{
	static const struct kube_resource resource = { .kind = KIND_HTTPROUTE,
						       .plural = "httproutes" };
	static const struct kube_watch_ops ops = { on_list_begins, on_object, on_gone,
						   on_list_ends, on_changed };
	struct ev_loop *loop = ev_default_loop(0);
	struct kube_client *client = kube_client_new(loop, NULL, NULL, NULL, NULL, NULL);
	(void)state;
	fake_client_answer = answer;
	it.loop = loop;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		it.script = &scripts[i];
		it.at = 0;
		sb_init(&it.trace, 4096);
		it.watch = kube_watch_new(loop, client, &resource, &ops, NULL);
		ev_run(loop, 0);
		kube_watch_free(it.watch);
		if (strcmp(sb_str(&it.trace).p, it.script->trace) != 0)
			fail_msg("%s:\n%s\n%s", it.script->name, sb_str(&it.trace).p,
				 it.script->trace);
		sb_fini(&it.trace);
	}
	kube_client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
