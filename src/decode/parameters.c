/* SPDX-License-Identifier: Apache-2.0 */
/* GatewayParameters, our own kind: what is made for Gateways (docs/addresses.md). */
#include "decode/kinds.h"

enum { MAX_IP_FAMILIES = 2, MAX_PREFIX_BYTES = 64 };

/* One of the names; empty when it is not said. */
static struct str read_choice(const struct node *service, const char *key,
			      const char *const *names)
{
	struct node node = node_field(service, key);

	return node_is_set(&node) ? str_of(names[read_enum(service, key, names, 0)]) : STR_NONE;
}

static bool is_prefix(struct str s)
{
	struct str bits = s, address = str_cut(&bits, '/');
	bool is_ipv6 = str_chr(address, ':', 0) < address.n;
	uint64_t number;

	return is_ip(address) && str_u64(bits, is_ipv6 ? 128 : 32, &number);
}

static void read_range(const struct node *node, void *ret_item)
{
	static const struct text_rule rule = { 1, MAX_PREFIX_BYTES, is_prefix,
					       "a network such as 192.0.2.0/24" };

	node_text(node, &rule, ret_item);
}

static void read_family(const struct node *node, void *ret_item)
{
	struct str *family = ret_item;

	if (node_text(node, &rule_any, family) && !str_is(*family, "IPv4") &&
	    !str_is(*family, "IPv6"))
		node_error(node, REASON_NOT_SUPPORTED, "must be IPv4 or IPv6");
}

static void read_families(const struct node *service, struct service_parameters *parameters)
{
	static const struct list_rule family = { 0, MAX_IP_FAMILIES, sizeof(struct str),
						 read_family };
	struct node list = node_field(service, "ipFamilies");

	parameters->ip_families =
		read_items(service, "ipFamilies", &family, &parameters->ip_family_count);
	if (parameters->ip_family_count == 2 &&
	    str_eq(parameters->ip_families[0], parameters->ip_families[1]))
		node_error(&list, REASON_DUPLICATE, "has the same family twice");
}

static void read_texts(const struct node *service, struct service_parameters *parameters)
{
	static const struct text_rule label_rule = { 0, 63, is_label_value, "a label's value" };
	static const struct text_rule class_rule = {
		1, 317, is_label_key, "a name such as \"example.com/internal\""
	};

	parameters->load_balancer_class =
		read_text(service, "loadBalancerClass", &class_rule, STR_NONE);
	parameters->labels = read_pairs(service, "labels", MAX_SERVICE_LABELS, is_label_key,
					&label_rule, &parameters->label_count);
	parameters->annotations = read_pairs(service, "annotations", MAX_SERVICE_LABELS,
					     is_label_key, NULL, &parameters->annotation_count);
}

static void read_service(const struct node *service, struct service_parameters *parameters)
{
	static const char *const types[] = { "ClusterIP", "NodePort", "LoadBalancer", NULL };
	static const char *const policies[] = { "Cluster", "Local", NULL };
	static const char *const families[] = { "SingleStack", "PreferDualStack",
						"RequireDualStack", NULL };
	static const struct list_rule range = { 0, MAX_SOURCE_RANGES, sizeof(struct str),
						read_range };
	struct node allocate = node_field(service, "allocateLoadBalancerNodePorts");

	parameters->type = read_choice(service, "type", types);
	parameters->external_traffic_policy =
		read_choice(service, "externalTrafficPolicy", policies);
	parameters->internal_traffic_policy =
		read_choice(service, "internalTrafficPolicy", policies);
	parameters->ip_family_policy = read_choice(service, "ipFamilyPolicy", families);
	parameters->source_ranges = read_items(service, "loadBalancerSourceRanges", &range,
					       &parameters->source_range_count);
	if (node_is_set(&allocate))
		parameters->allocate_node_ports =
			read_bool(service, "allocateLoadBalancerNodePorts", true) ? SAID_TRUE :
										    SAID_FALSE;
	read_families(service, parameters);
	read_texts(service, parameters);
}

void decode_gateway_parameters(const struct node *root, struct object *object)
{
	static const char *const fields[] = { "service", NULL };
	static const char *const service_fields[] = { "allocateLoadBalancerNodePorts",
						      "annotations",
						      "externalTrafficPolicy",
						      "internalTrafficPolicy",
						      "ipFamilies",
						      "ipFamilyPolicy",
						      "labels",
						      "loadBalancerClass",
						      "loadBalancerSourceRanges",
						      "type",
						      NULL };
	struct node spec = read_object(root, "spec", true, fields);
	struct node service = read_object(&spec, "service", false, service_fields);

	if (node_is_set(&service))
		read_service(&service, &object->gateway_parameters.service);
}
