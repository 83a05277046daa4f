/* SPDX-License-Identifier: Apache-2.0 */
#include "status/service.h"

#include "base/digest.h"
#include "decode/syntax.h"
#include "status/json.h"

/* MetalLB's, for more addresses than spec.loadBalancerIP takes. */
#define ANNOTATION_ADDRESSES "metallb.io/loadBalancerIPs"

/* ---- Settings ---- */

bool service_parse_selector(struct str text, struct arena *arena, struct service_settings *settings,
			    struct error *err)
{
	struct str rest = text;
	bool good = true;
	settings->selector_count = 0;
	while (good && !str_empty(rest)) {
		struct str value = str_cut(&rest, ',');
		bool has_value = str_chr(value, '=', 0) < value.n;
		struct str key = str_cut(&value, '=');
		good = settings->selector_count < SELECTOR_MAX && has_value && is_label_key(key) &&
		       is_label_value(value);
		if (good)
			settings->selector[settings->selector_count++] =
				(struct pair){ arena_str(arena, key), arena_str(arena, value) };
	}
	if (settings->selector_count == 0 || !good)
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' does not select pods: give their "
				 "labels as KEY=VALUE,KEY=VALUE, at most %d", STR_ARG(text),
				 SELECTOR_MAX);
	return true;
}

bool service_parse_ports(struct str text, struct service_settings *settings, struct error *err)
{
	struct str rest = text;
	uint64_t min = 0, max = 0;
	struct str first = str_cut(&rest, '-');
	if (!str_u64(first, UINT16_MAX, &min) || !str_u64(rest, UINT16_MAX, &max) || min == 0 ||
	    min > max)
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' is not a range of ports such as "
				 "20000-29999", STR_ARG(text));
	settings->min_port = (uint16_t)min;
	settings->max_port = (uint16_t)max;
	return true;
}

/* ---- Ports ---- */

static uint16_t port_at(struct json_object *port, const char *name)
{
	int64_t number = json_object_get_int64(json_field(port, name));
	return number > 0 && number <= UINT16_MAX ? (uint16_t)number : 0;
}

static void port_book_count(struct port_book *book, struct json_object *service, int by)
{
	struct json_object *ports = json_field(json_field(service, "spec"), "ports");
	for (size_t i = 0; i < json_length(ports); i++) {
		uint16_t port = port_at(json_object_array_get_idx(ports, i), "targetPort");
		book->users[port] = (uint16_t)(book->users[port] + by);
	}
}

void port_book_add(struct port_book *book, struct json_object *service)
{
	port_book_count(book, service, 1);
}

void port_book_remove(struct port_book *book, struct json_object *service)
{
	port_book_count(book, service, -1);
}

/* What is being made. */
struct making {
	const struct gateway_view *gateway;
	const struct service_settings *settings;
	const struct port_book *book;
	struct json_object *stored, *wanted, *ports;
	struct json_object *fields; /* of ANNOTATION_FIELDS, before */
	struct json_object *new_fields;
	struct arena *arena;
};

static struct json_object *stored_port(const struct making *making, uint16_t port)
{
	struct json_object *ports = json_field(json_field(making->stored, "spec"), "ports");
	for (size_t i = 0; i < json_length(ports); i++) {
		struct json_object *item = json_object_array_get_idx(ports, i);
		struct str protocol = json_text(item, "protocol");
		if (port_at(item, "port") == port &&
		    (str_empty(protocol) || str_is(protocol, "TCP")))
			return item;
	}
	return NULL;
}

static bool is_bound(const struct gateway_view *gateway, uint16_t port)
{
	for (size_t i = 0; i < gateway->listener_count; i++) {
		if (gateway->listeners[i].spec->port == port && gateway->listeners[i].bind_port)
			return true;
	}
	return false;
}

static bool is_chosen(const struct making *making, uint16_t target)
{
	for (size_t i = 0; i < json_length(making->ports); i++) {
		if (port_at(json_object_array_get_idx(making->ports, i), "targetPort") == target)
			return true;
	}
	return false;
}

/* A Gateway that comes back finds its ports again if they are free, and a port that was given
 * back is not soon another's, for whom connections of the former could be taken. 0: none. */
static uint16_t choose_target(const struct making *making, uint16_t port)
{
	const struct service_settings *settings = making->settings;
	const struct meta *meta = &making->gateway->object->meta;
	unsigned count = (unsigned)(settings->max_port - settings->min_port) + 1;
	unsigned char raw[DIGEST_RAW_BYTES];
	digest_raw(arena_strf(making->arena, STR_FMT "/" STR_FMT ":%u", STR_ARG(meta->ns),
			      STR_ARG(meta->name), port), raw);
	unsigned start = ((unsigned)raw[0] << 16 | (unsigned)raw[1] << 8 | raw[2]) % count;
	for (unsigned i = 0; i < count; i++) {
		uint16_t target = (uint16_t)(settings->min_port + (start + i) % count);
		if (making->book->users[target] == 0 && !is_chosen(making, target))
			return target;
	}
	return 0;
}

/* One that another Service has, too, belongs to the Gateway that binds it. */
static uint16_t target_of(const struct making *making, struct json_object *stored, uint16_t port)
{
	uint16_t target = port_at(stored, "targetPort");
	bool shared = making->book->users[target] > 1;
	if (target && !is_chosen(making, target) && (!shared || is_bound(making->gateway, port)))
		return target;
	return choose_target(making, port);
}

static bool add_port(struct making *making, uint16_t port, struct error *err)
{
	struct json_object *stored = stored_port(making, port), *item = NULL;
	uint16_t target = target_of(making, stored, port);
	char name[16];
	if (target == 0)
		return error_set(err, ERR_LIMIT, "no target port of %u to %u is free: give a wider "
				 "range to --gateway-ports", making->settings->min_port,
				 making->settings->max_port);
	if (!stored || json_object_deep_copy(stored, &item, NULL) < 0)
		item = json_object_new_object();
	snprintf(name, sizeof(name), "port-%u", port);
	json_put_text(item, "name", str_of(name));
	json_put_text(item, "protocol", STR("TCP"));
	json_object_object_add(item, "port", json_object_new_int(port));
	json_object_object_add(item, "targetPort", json_object_new_int(target));
	json_object_array_add(making->ports, item);
	return true;
}

static int cmp_ports(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Those of all listeners that could be served, each once: whether they are is the pods' matter. */
static bool add_ports(struct making *making, struct error *err)
{
	const struct gateway_view *gateway = making->gateway;
	uint16_t ports[MAX_LISTENERS] = { 0 };
	size_t count = 0;
	for (size_t i = 0; i < gateway->listener_count; i++) {
		if (gateway->listeners[i].takes_routes)
			ports[count++] = gateway->listeners[i].spec->port;
	}
	qsort(ports, count, sizeof(ports[0]), cmp_ports);
	for (size_t i = 0; i < count; i++) {
		if ((i == 0 || ports[i] != ports[i - 1]) && !add_port(making, ports[i], err))
			return false;
	}
	return count > 0 || error_set(err, ERR_REFUSED, "no listener can be served");
}

/* ---- Sections ---- */

static struct json_object *section(struct json_object *parent, const char *name)
{
	struct json_object *value = json_field(parent, name);
	if (!json_object_is_type(value, json_type_object)) {
		value = json_object_new_object();
		json_object_object_add(parent, name, value);
	}
	return value;
}

static void set_labels(const struct making *making)
{
	const struct meta *meta = &making->gateway->object->meta;
	struct json_object *labels = section(section(making->wanted, "metadata"), "labels");
	json_put_text(labels, LABEL_MANAGED_BY, STR(MANAGED_BY));
	json_put_text(labels, LABEL_CONTROLLER, making->settings->controller);
	json_put_text(labels, LABEL_GATEWAY_NAME, label_value_of(making->arena, meta->name));
	json_put_text(labels, LABEL_GATEWAY_NAMESPACE, label_value_of(making->arena, meta->ns));
}

static struct json_object *make_selector(const struct service_settings *settings)
{
	struct json_object *selector = json_object_new_object();
	for (size_t i = 0; i < settings->selector_count; i++)
		json_put_text(selector, settings->selector[i].key.p, settings->selector[i].value);
	return selector;
}

/* Sets what the Gateway asks for in one section, and takes back what it asked for before. */
static void set_fields(const struct making *making, const char *name, struct json_object *target,
		       struct json_object *fields)
{
	struct json_object *before = json_field(making->fields, name);
	struct json_object *names = json_object_new_array();
	for (size_t i = 0; i < json_length(before); i++)
		json_object_object_del(target,
				       json_object_get_string(json_object_array_get_idx(before, i)));
	json_object_object_foreach(fields, key, value)
	{
		json_object_object_add(target, key, json_object_get(value));
		json_object_array_add(names, json_object_new_string(key));
	}
	if (json_length(names))
		json_object_object_add(making->new_fields, name, names);
	else
		json_object_put(names);
}

/* ---- What the Gateway asks for ---- */

static void ask_for_addresses(const struct making *making, struct json_object *spec,
			      struct json_object *annotations)
{
	const struct gateway *gateway = &making->gateway->object->gateway;
	struct str list = STR_NONE;
	size_t count = 0;
	for (size_t i = 0; i < gateway->address_count; i++) {
		struct str value = gateway->addresses[i].value;
		if (str_empty(value))
			continue;
		list = count++ ? arena_join(making->arena, list, ',', value) : value;
	}
	if (count == 1)
		json_put_text(spec, "loadBalancerIP", list);
	else if (count > 1)
		json_put_text(annotations, ANNOTATION_ADDRESSES, list);
}

static void set_optional(struct making *making)
{
	struct json_object *metadata = section(making->wanted, "metadata");
	struct json_object *all = section(metadata, "annotations");
	struct json_object *spec = json_object_new_object(), *annotations = json_object_new_object();
	ask_for_addresses(making, spec, annotations);
	set_fields(making, "spec", section(making->wanted, "spec"), spec);
	set_fields(making, "annotations", all, annotations);
	if (json_object_object_length(making->new_fields))
		json_put_text(all, ANNOTATION_FIELDS,
			      str_of(json_object_to_json_string_ext(making->new_fields,
								    JSON_C_TO_STRING_PLAIN)));
	else
		json_object_object_del(all, ANNOTATION_FIELDS);
	if (json_object_object_length(all) == 0)
		json_object_object_del(metadata, "annotations");
	json_object_put(spec);
	json_object_put(annotations);
}

/* ---- The owner ---- */

/* One with the same kind and name but another uid was removed, and made anew. */
static void set_owner(const struct making *making)
{
	struct json_object *owner = making->settings->owner;
	struct json_object *metadata = section(making->wanted, "metadata");
	struct json_object *before = json_field(metadata, "ownerReferences");
	struct json_object *owners;
	if (!owner)
		return;
	owners = json_object_new_array();
	for (size_t i = 0; i < json_length(before); i++) {
		struct json_object *other = json_object_array_get_idx(before, i);
		if (!str_eq(json_text(other, "kind"), json_text(owner, "kind")) ||
		    !str_eq(json_text(other, "name"), json_text(owner, "name")))
			json_object_array_add(owners, json_object_get(other));
	}
	json_object_array_add(owners, json_object_get(owner));
	json_object_object_add(metadata, "ownerReferences", owners);
}

/* ---- All together ---- */

bool service_is_ours(struct json_object *service, struct str controller)
{
	struct json_object *labels = json_field(json_field(service, "metadata"), "labels");
	return str_is(json_text(labels, LABEL_MANAGED_BY), MANAGED_BY) &&
	       str_eq(json_text(labels, LABEL_CONTROLLER), controller);
}

static struct json_object *begin(const struct making *making)
{
	struct json_object *json = NULL;
	if (making->stored && json_object_deep_copy(making->stored, &json, NULL) == 0)
		return json;
	json = json_object_new_object();
	json_put_text(json, "apiVersion", STR("v1"));
	json_put_text(json, "kind", STR("Service"));
	json_put_text(section(json, "metadata"), "name", making->gateway->service_name);
	json_put_text(section(json, "metadata"), "namespace", making->settings->ns);
	return json;
}

static struct json_object *fields_before(const struct making *making)
{
	struct json_object *annotations =
		json_field(json_field(making->stored, "metadata"), "annotations");
	struct str text = json_text(annotations, ANNOTATION_FIELDS);
	return str_empty(text) ? NULL : json_tokener_parse(text.p);
}

struct json_object *service_wanted(const struct gateway_view *gateway,
				   const struct service_settings *settings,
				   struct json_object *stored, const struct port_book *book,
				   struct error *err)
{
	struct making making = { .gateway = gateway, .settings = settings, .book = book,
				 .stored = stored, .arena = arena_new() };
	struct json_object *spec;
	making.ports = json_object_new_array();
	making.wanted = begin(&making);
	making.fields = fields_before(&making);
	making.new_fields = json_object_new_object();
	spec = section(making.wanted, "spec");
	if (add_ports(&making, err)) {
		set_labels(&making);
		set_owner(&making);
		json_put_text(spec, "type", STR("LoadBalancer"));
		json_object_object_add(spec, "selector", make_selector(settings));
		json_object_object_add(spec, "ports", json_object_get(making.ports));
		set_optional(&making);
	} else {
		json_object_put(making.wanted);
		making.wanted = NULL;
	}
	json_object_put(making.ports);
	json_object_put(making.fields);
	json_object_put(making.new_fields);
	arena_free(making.arena);
	return making.wanted;
}
