/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of Kubernetes itself: Namespace, EndpointSlice, ConfigMap, Secret. Services: service.c. */
#include "decode/kinds.h"

enum {
	MAX_ENDPOINTS = 1000,         /* API server, per EndpointSlice */
	MAX_ENDPOINT_ADDRESSES = 100, /* API server, per endpoint */
	MAX_SLICE_PORTS = 20000,      /* API server */
	MAX_DATA_BYTES = 1024 * 1024, /* API server, of a ConfigMap or a Secret */
};

void decode_namespace(const struct node *root, struct object *object)
{
	(void)object;
	read_object(root, "spec", false, NULL);
}

/* ---- EndpointSlice ---- */

static struct str read_pod_name(const struct node *node)
{
	struct node target = read_object(node, "targetRef", false, NULL);

	if (!node_is_set(&target) ||
	    !str_is(read_text(&target, "kind", &rule_any, STR("Pod")), "Pod"))
		return STR_NONE;
	return read_text(&target, "name", &rule_any, STR_NONE);
}

/* All addresses of an endpoint lead to the same process: the first will do. False when it
 * has none that can be used. */
static bool read_endpoint(const struct node *node, bool want_ipv6, struct endpoint *endpoint)
{
	static const char *const fields[] = { "addresses", "conditions",         "hostname",
					      "nodeName",  "targetRef",          "zone",
					      "hints",     "deprecatedTopology", NULL };
	size_t count;
	struct node list, first, conditions;
	bool is_ipv6 = false;
	struct str text;

	if (!node_is_object(node, fields))
		return false;
	list = read_list(node, "addresses", 1, MAX_ENDPOINT_ADDRESSES, &count);
	if (count == 0)
		return false;
	first = node_item(&list, 0);
	if (!node_text(&first, &rule_any, &text))
		return false;
	if (!canonical_ip(node->decoder->arena, text, &is_ipv6, &endpoint->address) ||
	    is_ipv6 != want_ipv6) {
		node_error(&first, REASON_INVALID, "must be an IPv%d address, as addressType says",
			   want_ipv6 ? 6 : 4);
		return false;
	}
	conditions = read_object(node, "conditions", false, NULL);
	endpoint->ready = read_bool(&conditions, "ready", true);
	endpoint->terminating = read_bool(&conditions, "terminating", false);
	endpoint->pod_name = read_pod_name(node);
	return true;
}

static void read_slice_port(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "name", "port", "protocol", "appProtocol", NULL };
	struct endpoint_port *port = ret_item;

	if (!node_is_object(node, fields))
		return;
	port->name = read_text(node, "name", &rule_any, STR(""));
	port->port = (uint16_t)read_int(node, "port", 1, 65535, 0);
	port->protocol = read_protocol(node);
	read_text(node, "appProtocol", &rule_app_protocol, STR_NONE);
}

void decode_endpoint_slice(const struct node *root, struct object *object)
{
	static const char *const types[] = { "IPv4", "IPv6", "FQDN", NULL };
	static const struct list_rule port = { 0, MAX_SLICE_PORTS, sizeof(struct endpoint_port),
					       read_slice_port };
	struct endpoint_slice *slice = &object->endpoint_slice;
	int type = read_enum(root, "addressType", types, -1);
	size_t count;
	struct node list;

	meta_label(&object->meta, STR("kubernetes.io/service-name"), &slice->service);
	slice->ports = read_items(root, "ports", &port, &slice->port_count);
	if (type == 2) {
		struct node node = node_field(root, "addressType");

		node_warning(&node, REASON_UNSUPPORTED,
			     "FQDN endpoints are not used: a Backend (" GROUP_TIDEGATE
			     ") can name DNS names");
	}
	if (type != 0 && type != 1)
		return;
	slice->ipv6 = type == 1;
	list = read_list(root, "endpoints", 0, MAX_ENDPOINTS, &count);
	slice->endpoints = arena_array(object->arena, count, sizeof(*slice->endpoints));
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		if (read_endpoint(&item, slice->ipv6, &slice->endpoints[slice->endpoint_count]))
			slice->endpoint_count++;
	}
}

/* ---- ConfigMap, Secret ---- */

static int cmp_pairs(const void *a, const void *b)
{
	return str_cmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

void decode_config_map(const struct node *root, struct object *object)
{
	struct config_map *map = &object->config_map;
	struct node data = node_field(root, "data");
	size_t total_bytes = 0;

	map->data = read_pairs(root, "data", MAX_OBJECT_NODES, is_data_key, NULL, &map->data_count);
	for (size_t i = 0; i < map->data_count; i++)
		total_bytes += map->data[i].key.n + map->data[i].value.n;
	if (total_bytes > MAX_DATA_BYTES)
		node_error(&data, REASON_TOO_LONG, "must have at most %d bytes in all, has %zu",
			   MAX_DATA_BYTES, total_bytes);
	if (map->data_count > 1)
		qsort(map->data, map->data_count, sizeof(*map->data), cmp_pairs);
}

/* The value of a key in stringData or data (base64); false when neither has it, or with
 * secret->problem when it cannot be read. */
static bool read_secret_value(const struct node *root, const char *key, struct secret *secret,
			      struct str *ret_value)
{
	struct node strings = read_object(root, "stringData", false, NULL);
	struct node data = read_object(root, "data", false, NULL);
	struct node value = node_field(&strings, key);
	struct arena *arena = root->decoder->arena;
	struct str text;

	if (node_is_set(&value))
		return node_text(&value, NULL, ret_value);
	value = node_field(&data, key);
	if (!node_is_set(&value) || !node_text(&value, NULL, &text))
		return false;
	if (parse_base64(arena, text, ret_value))
		return true;
	secret->problem = arena_strf(arena, "%s is not base64: use stringData for plain text", key);
	return false;
}

void decode_secret(const struct node *root, struct object *object)
{
	struct secret *secret = &object->secret;
	struct node data = node_field(root, "data");
	struct str crt = STR_NONE, key = STR_NONE;
	bool has_crt, has_key, is_typed;

	secret->type = read_text(root, "type", &rule_any, STR("Opaque"));
	is_typed = str_is(secret->type, "kubernetes.io/tls");
	has_crt = read_secret_value(root, "tls.crt", secret, &crt);
	has_key = read_secret_value(root, "tls.key", secret, &key);
	if (has_crt && has_key)
		read_certificate(object->arena, crt, key, secret);
	else if (str_empty(secret->problem))
		secret->problem = has_crt   ? STR("tls.key is missing")
				  : has_key ? STR("tls.crt is missing")
					    : STR("tls.crt and tls.key are missing");
	secret->is_tls = str_empty(secret->problem);
	if (!secret->is_tls && (is_typed || has_crt || has_key))
		node_warning(&data, "InvalidCertificate", STR_FMT, STR_ARG(secret->problem));
}
