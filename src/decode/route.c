/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTPRoutes and GRPCRoutes have in common: parents, hostnames, headers, backendRefs. */
#include "decode/route.h"

/* ---- parentRefs ---- */

static void read_parent(const struct node *node, struct parent_ref *parent)
{
	static const char *const fields[] = { "group",       "kind", "namespace", "name",
					      "sectionName", "port", NULL };

	if (!node_is_object(node, fields))
		return;
	parent->group = read_text(node, "group", &rule_group, STR(GROUP_GATEWAY));
	parent->kind = read_text(node, "kind", &rule_kind, STR("Gateway"));
	parent->ns = read_text(node, "namespace", &rule_namespace, node->decoder->meta->ns);
	parent->name = read_ref_name(node);
	parent->section = read_text(node, "sectionName", &rule_section, STR_NONE);
	parent->port = (uint16_t)read_int(node, "port", 1, 65535, 0);
}

static bool has_namespace(const struct node *list, size_t index)
{
	struct node item = node_item(list, index);
	struct node ns = node_field(&item, "namespace");

	return node_is_set(&ns);
}

/* As the schema has it: a namespace that is written out differs from none. */
static bool is_same_parent(const struct node *list, const struct parent_ref *parents, size_t i,
			   size_t j)
{
	const struct parent_ref *a = &parents[i], *b = &parents[j];

	return str_eq(a->name, b->name) && str_eq(a->group, b->group) && str_eq(a->kind, b->kind) &&
	       str_eq(a->ns, b->ns) && has_namespace(list, i) == has_namespace(list, j);
}

static void check_same_parents(const struct node *list, const struct parent_ref *parents, size_t i)
{
	struct node item = node_item(list, i);

	for (size_t j = 0; j < i; j++) {
		if (parents[i].name.n == 0 || !is_same_parent(list, parents, i, j))
			continue;
		if (str_empty(parents[i].section) != str_empty(parents[j].section))
			node_error(&item, REASON_INVALID,
				   "item %zu refers to the same parent: both need a sectionName",
				   j);
		else if (str_eq(parents[i].section, parents[j].section))
			node_error(&item, REASON_DUPLICATE,
				   "item %zu refers to the same parent: sectionName must differ",
				   j);
	}
}

static void read_parents(const struct node *spec, struct route *route)
{
	size_t count;
	struct node list = read_list(spec, "parentRefs", 0, MAX_PARENT_REFS, &count);

	route->parents = arena_array(list.decoder->arena, count, sizeof(*route->parents));
	route->parent_count = count;
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		read_parent(&item, &route->parents[i]);
		if (!list.decoder->failed)
			check_same_parents(&list, route->parents, i);
	}
}

static void read_hostname(const struct node *node, void *ret_item)
{
	struct str *hostname = ret_item;

	if (node_text(node, &rule_hostname, hostname) && is_ip(*hostname))
		node_warning(node, REASON_INVALID, "is an IP address: the API asks for a DNS name");
}

/* ---- headers and query parameters ---- */

static bool has_name(const struct value_match *matches, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(matches[i].name, name))
			return true;
	}
	return false;
}

static struct str name_as_written(const struct node *item)
{
	struct node name = node_field(item, "name");

	return json_object_is_type(name.json, json_type_string)
		       ? str_of(json_object_get_string(name.json))
		       : STR_NONE;
}

/* The schema refuses equal names. Header names that differ in case only are equal as well,
 * and there the specification wants the first to count. */
static bool is_repeated(const struct node *list, size_t index, struct str name)
{
	for (size_t i = 0; i < index; i++) {
		struct node item = node_item(list, i);

		if (str_eq(name, name_as_written(&item)))
			return true;
	}
	return false;
}

static bool read_value_match(const struct node *list, size_t index, size_t max_value_bytes,
			     bool is_header, struct value_match *match)
{
	static const char *const fields[] = { "name", "type", "value", NULL };
	static const char *const types[] = { "Exact", "RegularExpression", NULL };
	struct text_rule value_rule = { 1, max_value_bytes, NULL, NULL };
	struct node item = node_item(list, index);

	if (!node_is_object(&item, fields))
		return false;
	match->name = read_required_text(&item, "name", &rule_token);
	match->type = read_enum(&item, "type", types, 0) == 0 ? MATCH_EXACT : MATCH_REGEX;
	match->value = read_required_text(&item, "value", &value_rule);
	if (match->name.n > 0 && is_repeated(list, index, match->name))
		node_error(&item, REASON_DUPLICATE, "an earlier item has the same name");
	if (!is_header)
		return true;
	match->name = arena_lower(list->decoder->arena, match->name);
	if (match->type == MATCH_EXACT && str_trim(match->value).n != match->value.n)
		node_warning(&item, REASON_INVALID,
			     "never matches: header values have no white space around them");
	return true;
}

static struct value_match *read_value_matches(const struct node *owner, const char *key,
					      size_t max_count, bool is_header, size_t *ret_count)
{
	size_t max_bytes = is_header ? MAX_HEADER_VALUE_BYTES : MAX_QUERY_VALUE_BYTES;
	size_t count, n = 0;
	struct node list = read_list(owner, key, 0, max_count, &count);
	struct value_match *matches = arena_array(list.decoder->arena, count, sizeof(*matches));

	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		if (!read_value_match(&list, i, max_bytes, is_header, &matches[n]))
			continue;
		if (!has_name(matches, n, matches[n].name))
			n++;
		else if (is_header && !is_repeated(&list, i, name_as_written(&item)))
			node_warning(&item, REASON_DUPLICATE,
				     "an earlier item has the same name: this one is ignored");
	}
	*ret_count = n;
	return matches;
}

void read_header_matches(const struct node *node, struct match *match)
{
	match->headers =
		read_value_matches(node, "headers", MAX_HEADER_MATCHES, true, &match->header_count);
}

void read_query_matches(const struct node *node, struct match *match)
{
	match->queries = read_value_matches(node, "queryParams", MAX_QUERY_MATCHES, false,
					    &match->query_count);
}

/* ---- backendRefs ---- */

void read_backend_object(const struct node *node, struct backend_ref *ref)
{
	struct node port = node_field(node, "port");

	ref->group = read_text(node, "group", &rule_group, STR_NONE);
	ref->kind = read_text(node, "kind", &rule_kind, STR("Service"));
	ref->ns = read_text(node, "namespace", &rule_namespace, node->decoder->meta->ns);
	ref->name = read_ref_name(node);
	ref->has_port = node_is_set(&port);
	ref->port = (uint16_t)read_int(node, "port", 1, 65535, 0);
	if (!ref->has_port && str_empty(ref->group) && str_is(ref->kind, "Service"))
		node_error(&port, REASON_REQUIRED, "is required for a Service");
}

static void read_backend_ref(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "group", "kind",   "namespace", "name",
					      "port",  "weight", "filters",   NULL };
	struct backend_ref *ref = ret_item;

	if (!node_is_object(node, fields))
		return;
	read_backend_object(node, ref);
	ref->own_weight = ref->weight = (uint32_t)read_int(node, "weight", 0, MAX_WEIGHT, 1);
	ref->filters = decode_filters(node, &ref->filter_count);
}

/* ---- rules ---- */

void default_match(struct arena *arena, struct rule *rule)
{
	rule->matches = arena_alloc(arena, sizeof(*rule->matches));
	rule->match_count = 1;
	rule->matches[0].path_type = MATCH_PREFIX;
	rule->matches[0].path = STR("/");
}

void read_common_rule(const struct node *node, read_item_fn read_match, struct rule *rule)
{
	static const struct list_rule refs = { 0, MAX_BACKEND_REFS, sizeof(struct backend_ref),
					       read_backend_ref };
	const struct list_rule matches = { 0, MAX_MATCHES_PER_RULE, sizeof(struct match),
					   read_match };
	struct node session = node_field(node, "sessionPersistence");

	rule->name = read_text(node, "name", &rule_section, STR_NONE);
	rule->matches = read_items(node, "matches", &matches, &rule->match_count);
	if (rule->match_count == 0)
		default_match(node->decoder->arena, rule);
	rule->filters = decode_filters(node, &rule->filter_count);
	rule->refs = read_items(node, "backendRefs", &refs, &rule->ref_count);
	rule->request_timeout_ms = TIMEOUT_UNSET;
	rule->backend_timeout_ms = TIMEOUT_UNSET;
	if (node_is_set(&session))
		node_warning(&session, REASON_UNSUPPORTED,
			     "is not supported yet: requests go to any endpoint");
}

/* As the schema counts them: in a GRPCRoute's, a rule without matches has none. */
static size_t counted_matches(const struct node *rules, const struct route *route, size_t index)
{
	struct node rule = node_item(rules, index);
	struct node matches = node_field(&rule, "matches");

	return rules->decoder->kind == KIND_GRPCROUTE && !node_is_set(&matches) ?
		       0 :
		       route->rules[index].match_count;
}

static void read_rules(const struct node *spec, const struct list_rule *rules, struct route *route)
{
	struct node list = node_field(spec, "rules");
	size_t match_count = 0;

	if (!node_is_set(&list))
		return;
	route->rules = read_items(spec, "rules", rules, &route->rule_count);
	for (size_t i = 0; i < route->rule_count; i++)
		match_count += counted_matches(&list, route, i);
	if (match_count > MAX_MATCHES_PER_ROUTE)
		node_error(&list, REASON_TOO_MANY,
			   "all rules together must have at most %d matches, have %zu: use a "
			   "second %s",
			   MAX_MATCHES_PER_ROUTE, match_count,
			   kind_table[spec->decoder->kind].name);
}

void decode_route(const struct node *root, const struct list_rule *rules, struct route *route)
{
	static const char *const fields[] = { "parentRefs", "hostnames", "rules",
					      "useDefaultGateways", NULL };
	static const struct list_rule hostname = { 0, MAX_HOSTNAMES, sizeof(struct str),
						   read_hostname };
	struct node spec = read_object(root, "spec", true, fields), defaults;

	if (!node_is_set(&spec))
		return;
	defaults = node_field(&spec, "useDefaultGateways");
	if (node_is_set(&defaults))
		node_warning(&defaults, REASON_UNSUPPORTED,
			     "is not supported yet: only the parentRefs count");
	read_parents(&spec, route);
	route->hostnames = read_items(&spec, "hostnames", &hostname, &route->hostname_count);
	read_rules(&spec, rules, route);
}
