/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/parameters.h"

const struct gateway_parameters *parameters_find(const struct gateways_view *view,
						 const struct object_ref *ref, struct str *ret_text)
{
	const char *known = kind_table[KIND_GATEWAYPARAMETERS].name;
	const struct object *object = NULL;
	if (kind_find(ref->group, ref->kind) != KIND_GATEWAYPARAMETERS) {
		*ret_text = arena_strf(view->arena, "Parameters of kind " STR_FMT " (group \""
				       STR_FMT "\") are not known. Use %s of group \"%s\", or remove "
				       "parametersRef.", STR_ARG(ref->kind), STR_ARG(ref->group),
				       known, GROUP_TIDEGATE);
		return NULL;
	}
	if (!str_empty(ref->ns))
		object = store_get(view->store, KIND_GATEWAYPARAMETERS, ref->ns, ref->name);
	if (object)
		return &object->gateway_parameters;
	*ret_text = str_empty(ref->ns) ?
			    arena_strf(view->arena, "The %s have a namespace. Name it in "
				       "parametersRef.", known) :
			    arena_strf(view->arena, "There is no %s " STR_FMT "/" STR_FMT ". Create "
				       "it, or correct parametersRef.", known, STR_ARG(ref->ns),
				       STR_ARG(ref->name));
	return NULL;
}

static struct pair *merge_pairs(struct arena *arena, const struct pair *under, size_t under_count,
				const struct pair *over, size_t *count)
{
	size_t over_count = *count, n = 0;
	struct pair *merged = arena_array(arena, under_count + over_count, sizeof(*merged));
	for (size_t i = 0; i < under_count; i++) {
		bool said = false;
		for (size_t j = 0; j < over_count; j++)
			said |= str_eq(under[i].key, over[j].key);
		if (!said)
			merged[n++] = under[i];
	}
	for (size_t j = 0; j < over_count; j++)
		merged[n++] = over[j];
	*count = n;
	return merged;
}

static void take(struct str *text, struct str over)
{
	if (!str_empty(over))
		*text = over;
}

static void add_labels(struct arena *arena, struct service_parameters *into,
		       const struct pair *labels, size_t count)
{
	size_t before = into->label_count;
	into->label_count = count;
	into->labels = merge_pairs(arena, into->labels, before, labels, &into->label_count);
}

static void add_annotations(struct arena *arena, struct service_parameters *into,
			    const struct pair *annotations, size_t count)
{
	size_t before = into->annotation_count;
	into->annotation_count = count;
	into->annotations = merge_pairs(arena, into->annotations, before, annotations,
					&into->annotation_count);
}

static void add(struct arena *arena, struct service_parameters *into,
		const struct service_parameters *over)
{
	take(&into->type, over->type);
	take(&into->load_balancer_class, over->load_balancer_class);
	take(&into->external_traffic_policy, over->external_traffic_policy);
	take(&into->internal_traffic_policy, over->internal_traffic_policy);
	take(&into->ip_family_policy, over->ip_family_policy);
	if (over->ip_family_count) {
		into->ip_families = over->ip_families;
		into->ip_family_count = over->ip_family_count;
	}
	if (over->source_range_count) {
		into->source_ranges = over->source_ranges;
		into->source_range_count = over->source_range_count;
	}
	if (over->allocate_node_ports != NOT_SAID)
		into->allocate_node_ports = over->allocate_node_ports;
	add_labels(arena, into, over->labels, over->label_count);
	add_annotations(arena, into, over->annotations, over->annotation_count);
}

void parameters_collect(struct gateways_view *view, struct gateway_view *gateway,
			const struct service_parameters *defaults,
			const struct gateway_parameters *own)
{
	const struct gateway *spec = &gateway->object->gateway;
	const struct gateway_parameters *of_class = gateway->class->parameters;
	struct service_parameters *into = &gateway->parameters;
	if (defaults)
		add(view->arena, into, defaults);
	if (of_class)
		add(view->arena, into, &of_class->service);
	if (own)
		add(view->arena, into, &own->service);
	add_labels(view->arena, into, spec->infra_labels, spec->infra_label_count);
	add_annotations(view->arena, into, spec->infra_annotations, spec->infra_annotation_count);
}
