/* SPDX-License-Identifier: Apache-2.0 */
/* The table of kinds, and the few questions that the structs answer themselves. */
#include "model/model.h"

#define GROUP_DISCOVERY "discovery.k8s.io"

const struct kind_info kind_table[KIND_COUNT] = {
	[KIND_NONE] = { "", "", { NULL }, false },
	[KIND_GATEWAYCLASS] = { "GatewayClass", GROUP_GATEWAY, { "v1", "v1beta1", NULL }, false },
	[KIND_GATEWAY] = { "Gateway", GROUP_GATEWAY, { "v1", "v1beta1", NULL }, true },
	[KIND_HTTPROUTE] = { "HTTPRoute", GROUP_GATEWAY, { "v1", "v1beta1", NULL }, true },
	[KIND_GRPCROUTE] = { "GRPCRoute", GROUP_GATEWAY, { "v1", NULL }, true },
	[KIND_REFERENCEGRANT] = { "ReferenceGrant",
				  GROUP_GATEWAY,
				  { "v1", "v1beta1", NULL },
				  true },
	[KIND_NAMESPACE] = { "Namespace", "", { "v1", NULL }, false },
	[KIND_SERVICE] = { "Service", "", { "v1", NULL }, true },
	[KIND_ENDPOINTSLICE] = { "EndpointSlice", GROUP_DISCOVERY, { "v1", NULL }, true },
	[KIND_SECRET] = { "Secret", "", { "v1", NULL }, true },
	[KIND_CONFIGMAP] = { "ConfigMap", "", { "v1", NULL }, true },
	[KIND_BACKEND] = { "Backend", GROUP_TIDEGATE, { "v1alpha1", NULL }, true },
	[KIND_GATEWAYPARAMETERS] = { "GatewayParameters",
				     GROUP_TIDEGATE,
				     { "v1alpha1", NULL },
				     true },
};

enum kind kind_find(struct str group, struct str name)
{
	for (int i = KIND_NONE + 1; i < KIND_COUNT; i++) {
		if (str_is(name, kind_table[i].name) && str_is(group, kind_table[i].group))
			return (enum kind)i;
	}
	return KIND_NONE;
}

bool meta_label(const struct meta *meta, struct str key, struct str *ret_value)
{
	for (size_t i = 0; i < meta->label_count; i++) {
		if (str_eq(meta->labels[i].key, key)) {
			*ret_value = meta->labels[i].value;
			return true;
		}
	}
	return false;
}

int meta_cmp_name(const struct meta *meta, struct str ns, struct str name)
{
	int order = str_cmp(meta->ns, ns);

	return order ? order : str_cmp(meta->name, name);
}

const struct filter *filter_find(const struct filter *filters, size_t count,
				 enum filter_type type)
{
	for (size_t i = 0; i < count; i++) {
		if (filters[i].type == type)
			return &filters[i];
	}
	return NULL;
}

const struct service_port *service_find_port(const struct service *service, uint16_t port)
{
	const struct service_port *found = NULL;

	for (size_t i = 0; i < service->port_count; i++) {
		if (service->ports[i].port != port)
			continue;
		found = &service->ports[i];
		if (str_is(found->protocol, "TCP"))
			break;
	}
	return found;
}

/* The byte at `at` of "namespace/name"; -1 behind its end. */
static int key_byte(const struct meta *meta, size_t at)
{
	if (at < meta->ns.n)
		return (unsigned char)meta->ns.p[at];
	if (at == meta->ns.n)
		return '/';
	at -= meta->ns.n + 1;
	return at < meta->name.n ? (unsigned char)meta->name.p[at] : -1;
}

/* Compares as one text, not field by field: "a-b/x" comes before "a/x". */
static int cmp_full_name(const struct meta *a, const struct meta *b)
{
	if (str_eq(a->ns, b->ns))
		return str_cmp(a->name, b->name);
	for (size_t at = 0;; at++) {
		int byte_a = key_byte(a, at), byte_b = key_byte(b, at);

		if (byte_a != byte_b)
			return byte_a < byte_b ? -1 : 1;
		if (byte_a < 0)
			return 0;
	}
}

int meta_cmp_age(const struct meta *a, const struct meta *b)
{
	if (a->created_s != b->created_s)
		return a->created_s < b->created_s ? -1 : 1;
	return cmp_full_name(a, b);
}

static bool is_among(const struct selector_expr *expr, struct str value)
{
	for (size_t i = 0; i < expr->value_count; i++) {
		if (str_eq(expr->values[i], value))
			return true;
	}
	return false;
}

static bool expr_matches(const struct selector_expr *expr, const struct meta *meta)
{
	struct str value = STR_NONE;
	bool is_set = meta_label(meta, expr->key, &value);

	switch (expr->op) {
	case SELECT_IN:
		return is_set && is_among(expr, value);
	case SELECT_NOT_IN: /* a missing label is not among the values either */
		return !is_set || !is_among(expr, value);
	case SELECT_EXISTS:
		return is_set;
	case SELECT_NOT_EXISTS:
		return !is_set;
	}
	return false;
}

bool selector_matches(const struct selector *selector, const struct meta *meta)
{
	for (size_t i = 0; i < selector->match_label_count; i++) {
		struct str value = STR_NONE;

		if (!meta_label(meta, selector->match_labels[i].key, &value) ||
		    !str_eq(value, selector->match_labels[i].value))
			return false;
	}
	for (size_t i = 0; i < selector->expr_count; i++) {
		if (!expr_matches(&selector->exprs[i], meta))
			return false;
	}
	return true;
}

void object_free(struct object *object)
{
	if (object)
		arena_free(object->arena);
}

struct str object_key(struct arena *arena, struct str ns, struct str name)
{
	if (str_empty(ns))
		return arena_str(arena, name);
	return arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
}

int route_cmp_age(const struct object *a, const struct object *b)
{
	int order = meta_cmp_age(&a->meta, &b->meta);

	return order ? order : (int)a->kind - (int)b->kind;
}

struct str route_key(struct arena *arena, const struct object *route)
{
	struct str key = object_key(arena, route->meta.ns, route->meta.name);

	return route->kind == KIND_HTTPROUTE ?
		       key :
		       arena_strf(arena, "%s/" STR_FMT, kind_table[route->kind].name, STR_ARG(key));
}
