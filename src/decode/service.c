/* SPDX-License-Identifier: Apache-2.0 */
/* Service. Of those that Tidegate makes for Gateways, known by their labels, more is read. */
#include "decode/kinds.h"

enum {
	MAX_SERVICE_PORTS = 1000, /* ours: each is compared with each */
	MAX_PROTOCOL_BYTES = 317, /* a prefix of 253, '/', a name of 63 */
	MAX_INGRESS = 64,	  /* ours: addresses that a load balancer gives */
	MAX_CLUSTER_IPS = 2,	  /* API server: one a family */
};

const struct text_rule rule_app_protocol = { 1, MAX_PROTOCOL_BYTES, is_label_key,
					     "a protocol such as \"kubernetes.io/h2c\"" };

static const char *const types[] = { "ClusterIP", "NodePort", "LoadBalancer", "ExternalName",
				     NULL };

struct str read_protocol(const struct node *port)
{
	static const char *const protocols[] = { "TCP", "UDP", "SCTP", NULL };

	return str_of(protocols[read_enum(port, "protocol", protocols, 0)]);
}

/* ---- ports ---- */

static void read_service_port(const struct node *node, size_t port_count, struct service_port *port)
{
	static const char *const fields[] = { "name",       "port",     "protocol", "appProtocol",
					      "targetPort", "nodePort", NULL };
	static const struct text_rule name_rule = { 1, 63, is_label, "a DNS label" };
	struct node name;

	if (!node_is_object(node, fields))
		return;
	name = node_field(node, "name");
	if (!node_is_set(&name) && port_count > 1)
		node_error(&name, REASON_REQUIRED, "is required when there are several ports");
	port->name = read_text(node, "name", &name_rule, STR(""));
	port->port = (uint16_t)read_required_int(node, "port", 1, 65535);
	port->protocol = read_protocol(node);
	port->app_protocol = read_text(node, "appProtocol", &rule_app_protocol, STR_NONE);
}

static void check_unique_port(const struct node *list, const struct service_port *ports, size_t i)
{
	struct node item = node_item(list, i);

	for (size_t j = 0; j < i; j++) {
		if (ports[i].name.n > 0 && str_eq(ports[i].name, ports[j].name))
			node_error(&item, REASON_DUPLICATE, "port %zu has the same name", j);
		if (ports[i].port == ports[j].port && str_eq(ports[i].protocol, ports[j].protocol))
			node_error(&item, REASON_DUPLICATE,
				   "item %zu has the same port and protocol", j);
	}
}

/* ---- of Gateways ---- */

static bool is_of_gateway(const struct meta *meta)
{
	struct str value;

	return meta_label(meta, STR(LABEL_CONTROLLER), &value);
}

static void read_target_ports(const struct node *list, struct service *service)
{
	for (size_t i = 0; i < service->port_count; i++) {
		struct node item = node_item(list, i), target = node_field(&item, "targetPort");

		if (json_object_is_type(target.json, json_type_int))
			service->ports[i].target_port =
				(uint16_t)read_int(&item, "targetPort", 1, 65535, 0);
	}
}

static void read_cluster_ip(const struct node *node, void *ret_item)
{
	node_text(node, &rule_any, ret_item);
}

static void read_ingress(const struct node *node, void *ret_item)
{
	struct gateway_address *address = ret_item;

	if (!node_is_object(node, NULL))
		return;
	address->type = STR("IPAddress");
	address->value = read_text(node, "ip", &rule_any, STR_NONE);
	if (!str_empty(address->value))
		return;
	address->type = STR("Hostname");
	address->value = read_text(node, "hostname", &rule_any, STR_NONE);
}

static struct gateway_service *read_of_gateway(const struct node *root, const struct node *spec)
{
	static const struct list_rule ip = { 0, MAX_CLUSTER_IPS, sizeof(struct str),
					     read_cluster_ip };
	static const struct list_rule ingress = { 0, MAX_INGRESS, sizeof(struct gateway_address),
						  read_ingress };
	struct gateway_service *service = arena_alloc(root->decoder->arena, sizeof(*service));
	struct node status = read_object(root, "status", false, NULL);
	struct node balancer = read_object(&status, "loadBalancer", false, NULL);

	service->type = str_of(types[read_enum(spec, "type", types, 0)]);
	service->cluster_ips = read_items(spec, "clusterIPs", &ip, &service->cluster_ip_count);
	service->ingress = read_items(&balancer, "ingress", &ingress, &service->ingress_count);
	return service;
}

void decode_service(const struct node *root, struct object *object)
{
	static const char *const fields[] = { "allocateLoadBalancerNodePorts",
					      "clusterIP",
					      "clusterIPs",
					      "externalIPs",
					      "externalName",
					      "externalTrafficPolicy",
					      "healthCheckNodePort",
					      "internalTrafficPolicy",
					      "ipFamilies",
					      "ipFamilyPolicy",
					      "loadBalancerClass",
					      "loadBalancerIP",
					      "loadBalancerSourceRanges",
					      "ports",
					      "publishNotReadyAddresses",
					      "selector",
					      "sessionAffinity",
					      "sessionAffinityConfig",
					      "trafficDistribution",
					      "type",
					      NULL };
	struct service *service = &object->service;
	struct node spec = read_object(root, "spec", true, fields), list;
	size_t count;

	if (!node_is_set(&spec))
		return;
	service->external_name = read_enum(&spec, "type", types, 0) == 3;
	list = read_list(&spec, "ports", 0, MAX_SERVICE_PORTS, &count);
	service->ports = arena_array(object->arena, count, sizeof(*service->ports));
	service->port_count = count;
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		read_service_port(&item, count, &service->ports[i]);
		if (!root->decoder->failed)
			check_unique_port(&list, service->ports, i);
	}
	if (!is_of_gateway(&object->meta))
		return;
	read_target_ports(&list, service);
	service->gateway = read_of_gateway(root, &spec);
}
