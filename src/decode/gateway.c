/* SPDX-License-Identifier: Apache-2.0 */
/* GatewayClass, Gateway, ReferenceGrant. */
#include "decode/kinds.h"

enum { MAX_INFRA_LABELS = 8, MAX_INFRA_ANNOTATIONS = 16, MAX_TLS_OPTIONS = 16, MAX_DESCRIPTION = 64 };

/* ---- GatewayClass ---- */

static void read_parameters(const struct node *owner, bool has_namespace, struct object_ref *ref)
{
	static const char *const fields[] = { "group", "kind", "name", "namespace", NULL };
	static const char *const local_fields[] = { "group", "kind", "name", NULL };
	struct node node =
		read_object(owner, "parametersRef", false, has_namespace ? fields : local_fields);

	if (!node_is_set(&node))
		return;
	ref->group = read_required_text(&node, "group", &rule_group);
	ref->kind = read_required_text(&node, "kind", &rule_kind);
	ref->name = read_ref_name(&node);
	ref->ns = has_namespace ? read_text(&node, "namespace", &rule_namespace, STR_NONE) :
				  owner->decoder->meta->ns;
}

/* For people, over several lines, too; the API counts characters. */
static bool is_description(struct str s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.n; i++)
		count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return count <= MAX_DESCRIPTION;
}

void decode_gateway_class(const struct node *root, struct object *object)
{
	static const char *const fields[] = { "controllerName", "description", "parametersRef",
					      NULL };
	static const struct text_rule name_rule = {
		1, MAX_NAME_BYTES, is_domain_path,
		"a name with a domain and a path such as \"" CONTROLLER_NAME "\""
	};
	static const struct text_rule description_rule = {
		0, SIZE_MAX, is_description, "a text of at most 64 characters"
	};
	struct gateway_class *class = &object->gateway_class;
	struct node spec = read_object(root, "spec", true, fields);

	if (!node_is_set(&spec))
		return;
	class->controller_name = read_required_text(&spec, "controllerName", &name_rule);
	read_text(&spec, "description", &description_rule, STR_NONE);
	read_parameters(&spec, true, &class->parameters);
}

/* ---- selectors ---- */

static void read_selector_value(const struct node *node, void *ret_item)
{
	struct str *value = ret_item;

	node_text(node, &rule_any, value);
}

static void read_selector_expr(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "key", "operator", "values", NULL };
	static const char *const operators[] = { "In", "NotIn", "Exists", "DoesNotExist", NULL };
	static const struct text_rule key_rule = { 1, 317, is_label_key, "a label's key" };
	static const struct list_rule value = { 0, MAX_OBJECT_NODES, sizeof(struct str),
						read_selector_value };
	struct selector_expr *expr = ret_item;
	struct node values = node_field(node, "values");
	int op;

	if (!node_is_object(node, fields))
		return;
	expr->key = read_required_text(node, "key", &key_rule);
	op = read_enum(node, "operator", operators, -1);
	expr->values = read_items(node, "values", &value, &expr->value_count);
	if (op < 0)
		return;
	expr->op = op == 0   ? SELECT_IN
		   : op == 1 ? SELECT_NOT_IN
		   : op == 2 ? SELECT_EXISTS
			     : SELECT_NOT_EXISTS;
	if (op < 2 && expr->value_count == 0)
		node_error(&values, REASON_REQUIRED, "is required with operator %s", operators[op]);
	if (op >= 2 && expr->value_count > 0)
		node_error(&values, REASON_FORBIDDEN, "must be empty with operator %s",
			   operators[op]);
}

static void read_selector(const struct node *node, struct selector *selector)
{
	static const struct list_rule expr = { 0, MAX_OBJECT_NODES, sizeof(struct selector_expr),
					       read_selector_expr };

	selector->match_labels = read_pairs(node, "matchLabels", MAX_OBJECT_NODES, is_label_key,
					    &rule_any, &selector->match_label_count);
	selector->exprs = read_items(node, "matchExpressions", &expr, &selector->expr_count);
}

/* ---- listeners ---- */

static void read_namespaces(const struct node *allowed, struct listener *listener)
{
	static const char *const fields[] = { "from", "selector", NULL };
	static const char *const selector_fields[] = { "matchLabels", "matchExpressions", NULL };
	static const char *const names[] = { "All", "Selector", "Same", NULL };
	static const enum from_namespaces values[] = { FROM_ALL, FROM_SELECTOR, FROM_SAME };
	struct node namespaces = read_object(allowed, "namespaces", false, fields), selector;

	if (!node_is_set(&namespaces))
		return;
	listener->from = values[read_enum(&namespaces, "from", names, 2)];
	selector = read_object(&namespaces, "selector", false, selector_fields);
	if (node_is_set(&selector))
		read_selector(&selector, &listener->selector);
	if (listener->from == FROM_SELECTOR && !node_is_set(&selector)) {
		listener->from = FROM_NONE;
		node_warning(&selector, REASON_REQUIRED,
			     "is missing, so no namespace is selected: add matchLabels, or {} for "
			     "all namespaces");
	} else if (listener->from != FROM_SELECTOR && node_is_set(&selector)) {
		node_warning(&selector, REASON_INVALID, "is ignored unless \"from\" is Selector");
	}
}

static void read_route_kind(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "group", "kind", NULL };
	struct group_kind *kind = ret_item;

	if (!node_is_object(node, fields))
		return;
	kind->group = read_text(node, "group", &rule_group, STR(GROUP_GATEWAY));
	kind->kind = read_required_text(node, "kind", &rule_kind);
}

static void read_allowed_routes(const struct node *node, struct listener *listener)
{
	static const char *const fields[] = { "namespaces", "kinds", NULL };
	static const struct list_rule kind = { 0, MAX_ROUTE_KINDS, sizeof(struct group_kind),
					       read_route_kind };
	struct node allowed = read_object(node, "allowedRoutes", false, fields);

	listener->from = FROM_SAME;
	if (!node_is_set(&allowed))
		return;
	read_namespaces(&allowed, listener);
	listener->kinds = read_items(&allowed, "kinds", &kind, &listener->kind_count);
}

static void read_certificate_ref(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "group", "kind", "name", "namespace", NULL };
	struct object_ref *ref = ret_item;

	if (!node_is_object(node, fields))
		return;
	ref->group = read_text(node, "group", &rule_group, STR_NONE);
	ref->kind = read_text(node, "kind", &rule_kind, STR("Secret"));
	ref->name = read_ref_name(node);
	ref->ns = read_text(node, "namespace", &rule_namespace, node->decoder->meta->ns);
}

static void warn_frontend(const struct node *node)
{
	node_warning(node, REASON_UNSUPPORTED,
		     "validation of client certificates is not supported yet: the HTTPS listeners "
		     "that it is for are not served");
}

static void read_tls(const struct node *node, struct listener *listener)
{
	/* The fourth and fifth were the frontend's validation in earlier releases. */
	static const char *const fields[] = { "mode",     "certificateRefs",    "options",
					      "frontend", "frontendValidation", NULL };
	static const char *const modes[] = { "Terminate", "Passthrough", NULL };
	static const struct list_rule certificate_ref = { 0, MAX_CERTIFICATE_REFS,
							  sizeof(struct object_ref),
							  read_certificate_ref };
	struct node tls = read_object(node, "tls", false, fields);
	size_t option_count;

	if (!node_is_set(&tls))
		return;
	listener->tls_mode =
		read_enum(&tls, "mode", modes, 0) == 0 ? TLS_TERMINATE : TLS_PASSTHROUGH;
	listener->certificate_refs = read_items(&tls, "certificateRefs", &certificate_ref,
						&listener->certificate_ref_count);
	read_pairs(&tls, "options", MAX_TLS_OPTIONS, NULL, NULL, &option_count);
	if (option_count > 0) {
		struct node options = node_field(&tls, "options");

		node_warning(&options, REASON_UNSUPPORTED, "are ignored: none is known");
	}
	if (listener->tls_mode == TLS_TERMINATE && listener->certificate_ref_count == 0 &&
	    option_count == 0)
		node_error(&tls, REASON_INVALID,
			   "needs certificateRefs (or options) when mode is Terminate");
	for (int i = 3; i < 5; i++) {
		struct node frontend = node_field(&tls, fields[i]);

		if (node_is_set(&frontend)) {
			warn_frontend(&frontend);
			listener->has_frontend_validation = true;
		}
	}
}

static void check_protocol(const struct node *node, const struct listener *listener)
{
	struct node tls = node_field(node, "tls"), hostname = node_field(node, "hostname");
	bool is_stream = str_is(listener->protocol, "TCP") || str_is(listener->protocol, "UDP");

	if (node_is_set(&tls) && (is_stream || str_is(listener->protocol, "HTTP")))
		node_error(&tls, REASON_FORBIDDEN, "must not be set for protocol " STR_FMT,
			   STR_ARG(listener->protocol));
	if (node_is_set(&hostname) && is_stream)
		node_error(&hostname, REASON_FORBIDDEN, "must not be set for protocol " STR_FMT,
			   STR_ARG(listener->protocol));
	if (str_is(listener->protocol, "HTTPS") && listener->tls_mode == TLS_PASSTHROUGH)
		node_error(&tls, REASON_INVALID, "mode must be Terminate for protocol HTTPS");
	if (str_is(listener->protocol, "TLS") && !node_is_set(&tls))
		node_error(&tls, REASON_REQUIRED, "is required for protocol TLS");
}

static void read_listener(const struct node *node, struct listener *listener)
{
	static const char *const fields[] = { "name", "hostname",      "port", "protocol",
					      "tls",  "allowedRoutes", NULL };
	static const struct text_rule protocol_rule = {
		1, 255, is_protocol, "a protocol such as HTTP, HTTPS, TLS or \"example.com/Name\""
	};
	struct node hostname;

	if (!node_is_object(node, fields))
		return;
	listener->name = read_required_text(node, "name", &rule_section);
	listener->hostname = read_text(node, "hostname", &rule_hostname, STR_NONE);
	listener->port = (uint16_t)read_required_int(node, "port", 1, 65535);
	listener->protocol = read_required_text(node, "protocol", &protocol_rule);
	hostname = node_field(node, "hostname");
	if (is_ip(listener->hostname))
		node_warning(&hostname, REASON_INVALID,
			     "is an IP address: the API asks for a DNS name");
	read_tls(node, listener);
	read_allowed_routes(node, listener);
	check_protocol(node, listener);
}

static void check_unique(const struct node *list, const struct listener *listeners, size_t i)
{
	const struct listener *own = &listeners[i];
	struct node item = node_item(list, i);

	for (size_t j = 0; j < i; j++) {
		const struct listener *other = &listeners[j];

		if (str_eq(own->name, other->name))
			node_error(&item, REASON_DUPLICATE, "listener %zu has the same name", j);
		if (own->port == other->port && str_eq(own->protocol, other->protocol) &&
		    str_eq(own->hostname, other->hostname))
			node_error(&item, REASON_DUPLICATE,
				   "listener %zu has the same port, protocol and hostname", j);
	}
}

static void read_listeners(const struct node *spec, struct gateway *gateway)
{
	size_t count;
	struct node list = read_list(spec, "listeners", 1, MAX_LISTENERS, &count);

	gateway->listeners = arena_array(spec->decoder->arena, count, sizeof(*gateway->listeners));
	gateway->listener_count = count;
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		read_listener(&item, &gateway->listeners[i]);
		if (!spec->decoder->failed)
			check_unique(&list, gateway->listeners, i);
	}
}

/* ---- the rest of a Gateway ---- */

static bool is_address_type(struct str s)
{
	return str_is(s, "IPAddress") || str_is(s, "Hostname") || str_is(s, "NamedAddress") ||
	       is_domain_path(s);
}

static void read_address(const struct node *node, struct gateway_address *address)
{
	static const char *const fields[] = { "type", "value", NULL };
	static const struct text_rule type_rule = {
		1, MAX_NAME_BYTES, is_address_type,
		"IPAddress, Hostname, NamedAddress or a type such as \"example.com/name\""
	};
	struct node value;

	if (!node_is_object(node, fields))
		return;
	address->type = read_text(node, "type", &type_rule, STR("IPAddress"));
	address->value = read_text(node, "value", &rule_any, STR_NONE);
	value = node_field(node, "value");
	if (!node_is_set(&value))
		return;
	if (str_is(address->type, "IPAddress") && !is_ip(address->value))
		node_error(&value, REASON_INVALID, "must be an IPv4 or IPv6 address");
	if (str_is(address->type, "Hostname") && !is_hostname(address->value))
		node_error(&value, REASON_INVALID, "must be %s", rule_hostname.expected);
}

/* Named addresses may repeat, as may those without a value. */
static void check_unique_address(const struct node *list, const struct gateway_address *addresses,
				 size_t i)
{
	const struct gateway_address *own = &addresses[i];
	struct node item = node_item(list, i);

	if (str_empty(own->value) ||
	    (!str_is(own->type, "IPAddress") && !str_is(own->type, "Hostname")))
		return;
	for (size_t j = 0; j < i; j++) {
		if (str_eq(own->type, addresses[j].type) && str_eq(own->value, addresses[j].value))
			node_error(&item, REASON_DUPLICATE, "is the same as address %zu", j);
	}
}

static void read_addresses(const struct node *spec, struct gateway *gateway)
{
	size_t count;
	struct node list = read_list(spec, "addresses", 0, MAX_ADDRESSES, &count);

	gateway->addresses = arena_array(spec->decoder->arena, count, sizeof(*gateway->addresses));
	gateway->address_count = count;
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		read_address(&item, &gateway->addresses[i]);
		check_unique_address(&list, gateway->addresses, i);
	}
}

/* What a status says is somebody's answer, not what is asked for: what is odd in it is passed over. */
static void read_recorded(const struct node *root, struct gateway *gateway)
{
	struct node status = node_field(root, "status"), list = node_field(&status, "addresses");
	size_t count = json_object_is_type(list.json, json_type_array) ?
			       json_object_array_length(list.json) : 0;

	if (count > MAX_ADDRESSES)
		count = MAX_ADDRESSES;
	gateway->recorded = arena_array(root->decoder->arena, count, sizeof(*gateway->recorded));
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);
		struct node type = node_field(&item, "type"), value = node_field(&item, "value");
		const char *text = json_object_get_string(value.json);

		if (json_object_is_type(value.json, json_type_string) &&
		    str_is(str_of(json_object_get_string(type.json)), "IPAddress"))
			gateway->recorded[gateway->recorded_count++] =
				arena_str(root->decoder->arena, str_of(text));
	}
}

static void read_infrastructure(const struct node *spec, struct gateway *gateway)
{
	static const char *const fields[] = { "labels", "annotations", "parametersRef", NULL };
	static const struct text_rule label_rule = { 0, 63, is_label_value, "a label's value" };
	struct node infrastructure = read_object(spec, "infrastructure", false, fields);

	if (!node_is_set(&infrastructure))
		return;
	gateway->infra_labels = read_pairs(&infrastructure, "labels", MAX_INFRA_LABELS,
					   is_label_key, &label_rule, &gateway->infra_label_count);
	gateway->infra_annotations =
		read_pairs(&infrastructure, "annotations", MAX_INFRA_ANNOTATIONS, is_label_key,
			   NULL, &gateway->infra_annotation_count);
	read_parameters(&infrastructure, false, &gateway->parameters);
}

/* Which listeners a frontend's validation is for does not matter as long as it cannot be
 * done: better no HTTPS than HTTPS for clients that should have been turned away. */
static void read_gateway_tls(const struct node *spec, struct gateway *gateway)
{
	static const char *const fields[] = { "frontend", "backend", NULL };
	struct node tls = read_object(spec, "tls", false, fields), frontend, backend;

	if (!node_is_set(&tls))
		return;
	backend = node_field(&tls, "backend");
	frontend = node_field(&tls, "frontend");
	if (node_is_set(&backend))
		node_warning(&backend, REASON_UNSUPPORTED,
			     "is not supported yet: backends are reached without a client "
			     "certificate");
	if (!node_is_set(&frontend))
		return;
	warn_frontend(&frontend);
	for (size_t i = 0; i < gateway->listener_count; i++)
		gateway->listeners[i].has_frontend_validation |=
			str_is(gateway->listeners[i].protocol, "HTTPS");
}

void decode_gateway(const struct node *root, struct object *object)
{
	static const char *const fields[] = { "gatewayClassName", "listeners", "addresses",
					      "infrastructure",   "tls",       "allowedListeners",
					      "defaultScope",     NULL };
	static const struct text_rule name_rule = { 1, MAX_NAME_BYTES, NULL, NULL };
	struct gateway *gateway = &object->gateway;
	struct node spec = read_object(root, "spec", true, fields), unused;

	if (!node_is_set(&spec))
		return;
	gateway->class_name = read_required_text(&spec, "gatewayClassName", &name_rule);
	read_listeners(&spec, gateway);
	read_addresses(&spec, gateway);
	read_recorded(root, gateway);
	read_infrastructure(&spec, gateway);
	read_gateway_tls(&spec, gateway);
	unused = node_field(&spec, "allowedListeners");
	if (node_is_set(&unused))
		node_warning(&unused, REASON_UNSUPPORTED,
			     "is ignored: ListenerSets are not supported yet");
	unused = node_field(&spec, "defaultScope");
	if (node_is_set(&unused))
		node_warning(&unused, REASON_UNSUPPORTED,
			     "is ignored: routes attach by their parentRefs only");
}

/* ---- ReferenceGrant ---- */

static void read_grant_from(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "group", "kind", "namespace", NULL };
	struct grant_from *from = ret_item;

	if (!node_is_object(node, fields))
		return;
	from->group = read_required_text(node, "group", &rule_group);
	from->kind = read_required_text(node, "kind", &rule_kind);
	from->ns = read_required_text(node, "namespace", &rule_namespace);
}

static void read_grant_to(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "group", "kind", "name", NULL };
	struct grant_to *to = ret_item;
	struct node name = node_field(node, "name");

	if (!node_is_object(node, fields))
		return;
	to->group = read_required_text(node, "group", &rule_group);
	to->kind = read_required_text(node, "kind", &rule_kind);
	if (node_is_set(&name))
		to->name = read_ref_name(node);
}

void decode_reference_grant(const struct node *root, struct object *object)
{
	static const char *const fields[] = { "from", "to", NULL };
	static const struct list_rule from = { 1, MAX_GRANT_ENTRIES, sizeof(struct grant_from),
					       read_grant_from };
	static const struct list_rule to = { 1, MAX_GRANT_ENTRIES, sizeof(struct grant_to),
					     read_grant_to };
	struct reference_grant *grant = &object->reference_grant;
	struct node spec = read_object(root, "spec", true, fields);

	if (!node_is_set(&spec))
		return;
	grant->from = read_items(&spec, "from", &from, &grant->from_count);
	grant->to = read_items(&spec, "to", &to, &grant->to_count);
}
