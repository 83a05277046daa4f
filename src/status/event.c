/* SPDX-License-Identifier: Apache-2.0 */
#include "status/event.h"

#include "base/digest.h"
#include "base/sb.h"
#include "source/json.h"

enum {
	MAX_PREFIX_BYTES = 200, /* of an object's name, in an Event's */
	REPORTER_BYTES = 128, /* reportingController, reportingInstance */
};

/* Of at most `max` bytes, and whole characters of UTF-8. */
static struct str shortened(struct str text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max > 0 && ((unsigned char)text.p[max] & 0xC0) == 0x80)
		max--;
	return str_sub(text, 0, max);
}

void event_name(const struct event *event, struct json_object *object,
		char ret_name[EVENT_NAME_BYTES])
{
	struct json_object *metadata = json_field(object, "metadata");
	struct str name = shortened(json_text(metadata, "name"), MAX_PREFIX_BYTES);
	char digest[DIGEST_HEX_BYTES + 1];
	struct sb sb;
	while (name.n && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == '-'))
		name.n--; /* where it was cut */
	sb_init(&sb, 1 << 20);
	sb_addf(&sb, "%s\n%s\n%s\n%s", json_cstr(metadata, "uid"), json_cstr(object, "kind"),
		event->reason, event->note);
	digest_hex(sb_str(&sb), digest);
	sb_fini(&sb);
	snprintf(ret_name, EVENT_NAME_BYTES, STR_FMT ".%.*s", STR_ARG(name), DIGEST_SHORT_BYTES, digest);
}

/* Objects without a namespace have theirs in this one. */
static const char *namespace_of(struct json_object *metadata)
{
	const char *ns = json_cstr(metadata, "namespace");
	return *ns ? ns : "default";
}

static struct json_object *regarding(struct json_object *object)
{
	struct json_object *ref = json_object_new_object();
	struct json_object *metadata = json_field(object, "metadata");
	static const char *const names[] = { "namespace", "name", "uid", "resourceVersion", NULL };
	json_put_text(ref, "apiVersion", json_text(object, "apiVersion"));
	json_put_text(ref, "kind", json_text(object, "kind"));
	for (const char *const *name = names; *name; name++) {
		if (*json_cstr(metadata, *name))
			json_put_text(ref, *name, json_text(metadata, *name));
	}
	return ref;
}

struct json_object *event_new(const struct event *event, struct json_object *object,
			      const char *now)
{
	struct json_object *json = json_object_new_object(), *metadata = json_object_new_object();
	char name[EVENT_NAME_BYTES];
	event_name(event, object, name);
	json_put_text(metadata, "name", str_of(name));
	json_put_text(metadata, "namespace", str_of(namespace_of(json_field(object, "metadata"))));
	json_put_text(json, "apiVersion", STR("events.k8s.io/v1"));
	json_put_text(json, "kind", STR("Event"));
	json_object_object_add(json, "metadata", metadata);
	json_put_text(json, "eventTime", str_of(now));
	json_put_text(json, "type", STR("Warning"));
	json_put_text(json, "reason", str_of(event->reason));
	json_put_text(json, "action", STR("Configure"));
	json_put_text(json, "note", shortened(str_of(event->note), EVENT_NOTE_BYTES - 1));
	json_put_text(json, "reportingController", shortened(event->controller, REPORTER_BYTES));
	json_put_text(json, "reportingInstance", shortened(event->instance, REPORTER_BYTES));
	json_object_object_add(json, "regarding", regarding(object));
	return json;
}

struct json_object *event_repeat(struct json_object *stored, unsigned times, const char *now)
{
	struct json_object *patch = json_object_new_object(), *series = json_object_new_object();
	int64_t count = json_object_get_int64(json_field(json_field(stored, "series"), "count"));
	json_object_object_add(series, "count",
			       json_object_new_int64((count > 0 ? count : 1) + (int64_t)times));
	json_put_text(series, "lastObservedTime", str_of(now));
	json_object_object_add(patch, "series", series);
	return patch;
}
