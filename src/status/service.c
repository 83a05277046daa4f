/* SPDX-License-Identifier: Apache-2.0 */
#include "status/service.h"

#include "base/digest.h"
#include "decode/decode.h"
#include "decode/syntax.h"
#include "status/json.h"

/* MetalLB's, for more addresses than spec.loadBalancerIP takes. */
#define ANNOTATION_ADDRESSES "metallb.io/loadBalancerIPs"

/* The object of that name, made if there is none. */
static struct json_object *section(struct json_object *parent, const char *name)
{
	struct json_object *value = json_field(parent, name);
	if (!json_object_is_type(value, json_type_object)) {
		value = json_object_new_object();
		json_object_object_add(parent, name, value);
	}
	return value;
}

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

/* {"apiVersion":...,"kind":...,"metadata":{...},"spec":{"service":SERVICE}} */
static struct json_object *make_document(struct json_object *service)
{
	struct json_object *document = json_object_new_object();
	json_put_text(document, "apiVersion", STR(GROUP_TIDEGATE "/v1alpha1"));
	json_put_text(document, "kind", str_of(kind_table[KIND_GATEWAYPARAMETERS].name));
	json_put_text(section(document, "metadata"), "name", STR("defaults"));
	json_object_object_add(section(document, "spec"), "service", service);
	return document;
}

struct object *service_parse_defaults(struct str text, struct error *err)
{
	struct arena *arena = arena_new();
	struct json_object *service = json_tokener_parse(arena_str(arena, text).p);
	struct json_object *document = make_document(service);
	struct decode_output out = { .object = NULL };
	struct findings findings;
	findings_init(&findings, arena);
	if (!json_object_is_type(service, json_type_object))
		error_set(err, ERR_SYNTAX, "'" STR_FMT "' is not a JSON object such as "
			  "{\"type\":\"NodePort\"}", STR_ARG(text));
	else
		decode_object(document, STR_NONE, &out, &findings);
	if (findings.count) { /* what is misspelt, too */
		error_set(err, ERR_SYNTAX, STR_FMT " " STR_FMT, STR_ARG(findings.items[0].field),
			  STR_ARG(findings.items[0].text));
		object_free(out.object);
		out.object = NULL;
	}
	json_object_put(document);
	arena_free(arena);
	return out.object;
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

static bool is_balanced(const struct gateway_view *gateway)
{
	return str_empty(gateway->parameters.type) || str_is(gateway->parameters.type,
							     "LoadBalancer");
}

static void put_said(struct json_object *spec, const char *name, struct str text)
{
	if (!str_empty(text))
		json_put_text(spec, name, text);
}

static void put_list(struct json_object *spec, const char *name, const struct str *items,
		     size_t count)
{
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, json_object_new_string_len(items[i].p, (int)items[i].n));
	if (count)
		json_object_object_add(spec, name, list);
	else
		json_object_put(list);
}

/* What a type does not have is left out: the API server refuses it. */
static void ask_for_fields(const struct gateway_view *gateway, struct json_object *spec)
{
	const struct service_parameters *said = &gateway->parameters;
	if (is_balanced(gateway)) {
		put_said(spec, "loadBalancerClass", said->load_balancer_class);
		put_list(spec, "loadBalancerSourceRanges", said->source_ranges,
			 said->source_range_count);
		if (said->allocate_node_ports != NOT_SAID)
			json_object_object_add(
				spec, "allocateLoadBalancerNodePorts",
				json_object_new_boolean(said->allocate_node_ports == SAID_TRUE));
	}
	if (!str_is(said->type, "ClusterIP"))
		put_said(spec, "externalTrafficPolicy", said->external_traffic_policy);
	put_said(spec, "internalTrafficPolicy", said->internal_traffic_policy);
	put_said(spec, "ipFamilyPolicy", said->ip_family_policy);
	put_list(spec, "ipFamilies", said->ip_families, said->ip_family_count);
}

static struct json_object *make_pairs(const struct pair *pairs, size_t count)
{
	struct json_object *json = json_object_new_object();
	for (size_t i = 0; i < count; i++)
		json_put_text(json, pairs[i].key.p, pairs[i].value);
	return json;
}

static void ask_for_addresses(const struct making *making, struct json_object *spec,
			      struct json_object *annotations)
{
	const struct gateway *gateway = &making->gateway->object->gateway;
	struct str list = STR_NONE;
	size_t count = 0;
	for (size_t i = 0; is_balanced(making->gateway) && i < gateway->address_count; i++) {
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

static void note_fields(const struct making *making, struct json_object *annotations)
{
	const char *text =
		json_object_to_json_string_ext(making->new_fields, JSON_C_TO_STRING_PLAIN);
	if (json_object_object_length(making->new_fields))
		json_put_text(annotations, ANNOTATION_FIELDS, str_of(text));
	else
		json_object_object_del(annotations, ANNOTATION_FIELDS);
}

static void set_optional(struct making *making)
{
	const struct service_parameters *said = &making->gateway->parameters;
	struct json_object *metadata = section(making->wanted, "metadata");
	struct json_object *all = section(metadata, "annotations");
	struct json_object *spec = json_object_new_object();
	struct json_object *labels = make_pairs(said->labels, said->label_count);
	struct json_object *annotations = make_pairs(said->annotations, said->annotation_count);
	ask_for_fields(making->gateway, spec);
	ask_for_addresses(making, spec, annotations);
	set_fields(making, "labels", section(metadata, "labels"), labels);
	set_fields(making, "annotations", all, annotations);
	set_fields(making, "spec", section(making->wanted, "spec"), spec);
	note_fields(making, all);
	if (json_object_object_length(all) == 0)
		json_object_object_del(metadata, "annotations");
	json_object_put(spec);
	json_object_put(labels);
	json_object_put(annotations);
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
		set_optional(&making);
		set_labels(&making); /* whatever others are asked for */
		if (settings->owner)
			json_own(section(making.wanted, "metadata"), settings->owner);
		json_put_text(spec, "type", is_balanced(gateway) ? STR("LoadBalancer") :
								   gateway->parameters.type);
		json_object_object_add(spec, "selector", make_selector(settings));
		json_object_object_add(spec, "ports", json_object_get(making.ports));
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
