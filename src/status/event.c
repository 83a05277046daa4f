/* SPDX-License-Identifier: Apache-2.0 */
#include "status/event.h"

#include <json-c/json.h>

#include "base/digest.h"
#include "base/sb.h"

enum {
	MAX_PREFIX_BYTES = 200, /* of an object's name, in an Event's */
	REPORTER_BYTES = 128, /* reportingController, reportingInstance */
};

static struct json_object *field(struct json_object *json, const char *name)
{
	struct json_object *value = NULL;
	if (json_object_is_type(json, json_type_object))
		json_object_object_get_ex(json, name, &value);
	return value;
}

static const char *text_of(struct json_object *json, const char *name)
{
	struct json_object *value = field(json, name);
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* Of at most `max` bytes, and whole characters of UTF-8. */
static struct str shortened(struct str text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max > 0 && ((unsigned char)text.p[max] & 0xC0) == 0x80)
		max--;
	return str_sub(text, 0, max);
}

static void add_text(struct json_object *json, const char *name, struct str text)
{
	json_object_object_add(json, name, json_object_new_string_len(text.n ? text.p : "",
								      (int)text.n));
}

void event_name(const struct event *event, struct json_object *object,
		char ret_name[EVENT_NAME_BYTES])
{
	struct json_object *metadata = field(object, "metadata");
	struct str name = shortened(str_of(text_of(metadata, "name")), MAX_PREFIX_BYTES);
	char digest[DIGEST_HEX_BYTES + 1];
	struct sb sb;
	while (name.n && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == '-'))
		name.n--; /* where it was cut */
	sb_init(&sb, 1 << 20);
	sb_addf(&sb, "%s\n%s\n%s\n%s", text_of(metadata, "uid"), text_of(object, "kind"), event->reason,
		event->note);
	digest_hex(sb_str(&sb), digest);
	sb_fini(&sb);
	snprintf(ret_name, EVENT_NAME_BYTES, STR_FMT ".%.*s", STR_ARG(name), DIGEST_SHORT_BYTES, digest);
}

/* Objects without a namespace have theirs in this one. */
static const char *namespace_of(struct json_object *metadata)
{
	const char *ns = text_of(metadata, "namespace");
	return *ns ? ns : "default";
}

static struct json_object *regarding(struct json_object *object)
{
	struct json_object *ref = json_object_new_object(), *metadata = field(object, "metadata");
	static const char *const names[] = { "namespace", "name", "uid", "resourceVersion", NULL };
	add_text(ref, "apiVersion", str_of(text_of(object, "apiVersion")));
	add_text(ref, "kind", str_of(text_of(object, "kind")));
	for (const char *const *name = names; *name; name++) {
		if (*text_of(metadata, *name))
			add_text(ref, *name, str_of(text_of(metadata, *name)));
	}
	return ref;
}

struct json_object *event_new(const struct event *event, struct json_object *object,
			      const char *now)
{
	struct json_object *json = json_object_new_object(), *metadata = json_object_new_object();
	char name[EVENT_NAME_BYTES];
	event_name(event, object, name);
	add_text(metadata, "name", str_of(name));
	add_text(metadata, "namespace", str_of(namespace_of(field(object, "metadata"))));
	add_text(json, "apiVersion", STR("events.k8s.io/v1"));
	add_text(json, "kind", STR("Event"));
	json_object_object_add(json, "metadata", metadata);
	add_text(json, "eventTime", str_of(now));
	add_text(json, "type", STR("Warning"));
	add_text(json, "reason", str_of(event->reason));
	add_text(json, "action", STR("Configure"));
	add_text(json, "note", shortened(str_of(event->note), EVENT_NOTE_BYTES - 1));
	add_text(json, "reportingController", shortened(event->controller, REPORTER_BYTES));
	add_text(json, "reportingInstance", shortened(event->instance, REPORTER_BYTES));
	json_object_object_add(json, "regarding", regarding(object));
	return json;
}

struct json_object *event_repeat(struct json_object *stored, unsigned times, const char *now)
{
	struct json_object *patch = json_object_new_object(), *series = json_object_new_object();
	int64_t count = json_object_get_int64(field(field(stored, "series"), "count"));
	json_object_object_add(series, "count",
			       json_object_new_int64((count > 0 ? count : 1) + (int64_t)times));
	add_text(series, "lastObservedTime", str_of(now));
	json_object_object_add(patch, "series", series);
	return patch;
}
