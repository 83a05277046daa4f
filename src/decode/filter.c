/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of a route: one list, at a rule or at a backendRef. */
#include "decode/kinds.h"

/* Row i of type_names and filter_fields belong together. Those of GRPCRoutes come first. */
enum {
	TYPE_REQUEST_HEADERS = 0,
	TYPE_RESPONSE_HEADERS,
	TYPE_MIRROR,
	TYPE_EXTENSION,
	GRPC_TYPE_COUNT,
	TYPE_REDIRECT = GRPC_TYPE_COUNT,
	TYPE_REWRITE,
	TYPE_CORS,
	TYPE_AUTH,
	TYPE_COUNT,
};

static const char *const type_names[TYPE_COUNT] = {
	"RequestHeaderModifier",
	"ResponseHeaderModifier",
	"RequestMirror",
	"ExtensionRef",
	"RequestRedirect",
	"URLRewrite",
	"CORS",
	"ExternalAuth",
};

static const char *const filter_fields[TYPE_COUNT] = {
	"requestHeaderModifier",
	"responseHeaderModifier",
	"requestMirror",
	"extensionRef",
	"requestRedirect",
	"urlRewrite",
	"cors",
	"externalAuth",
};

static const enum filter_type model_types[TYPE_COUNT] = {
	[TYPE_REQUEST_HEADERS] = FILTER_REQUEST_HEADERS,
	[TYPE_RESPONSE_HEADERS] = FILTER_RESPONSE_HEADERS,
	[TYPE_MIRROR] = FILTER_UNSUPPORTED,
	[TYPE_EXTENSION] = FILTER_UNSUPPORTED,
	[TYPE_REDIRECT] = FILTER_REDIRECT,
	[TYPE_REWRITE] = FILTER_REWRITE,
	[TYPE_CORS] = FILTER_UNSUPPORTED,
	[TYPE_AUTH] = FILTER_UNSUPPORTED,
};

static const struct text_rule rule_header_value = { 1, MAX_HEADER_VALUE_BYTES, NULL, NULL };

static struct str read_header_value(const struct node *item)
{
	struct str value = read_required_text(item, "value", &rule_header_value);
	struct node node = node_field(item, "value");

	if (value.n > 0 && str_trim(value).n == 0)
		node_error(&node, REASON_INVALID, "must not be white space only");
	return str_trim(value);
}

/* The items of `add` or `set`. */
static struct pair *read_header_values(const struct node *modifier, const char *key,
				       size_t *ret_count)
{
	static const char *const fields[] = { "name", "value", NULL };
	size_t count;
	struct node list = read_list(modifier, key, 0, MAX_HEADER_OPS, &count);
	struct pair *pairs = arena_array(list.decoder->arena, count, sizeof(*pairs));

	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		if (!node_is_object(&item, fields))
			continue;
		pairs[i].key = read_required_text(&item, "name", &rule_token);
		pairs[i].value = read_header_value(&item);
		for (size_t j = 0; j < i; j++) {
			if (pairs[i].key.n > 0 && str_eq(pairs[j].key, pairs[i].key))
				node_error(&item, REASON_DUPLICATE,
					   "has the same name as item %zu: join the values", j);
		}
	}
	*ret_count = count;
	return pairs;
}

/* The schema takes any text here. What cannot be a header's name needs no removal. */
static struct str *read_removed_headers(const struct node *modifier, size_t *ret_count)
{
	static const struct text_rule rule = { 0, MAX_HEADER_VALUE_BYTES, NULL, NULL };
	size_t count, n = 0;
	struct node list = read_list(modifier, "remove", 0, MAX_HEADER_OPS, &count);
	struct str *names = arena_array(list.decoder->arena, count, sizeof(*names));

	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);
		struct str name;

		if (!node_text(&item, &rule, &name))
			continue;
		if (name.n > MAX_HEADER_NAME_BYTES || !is_header_name(name)) {
			node_warning(&item, REASON_INVALID,
				     "no header can have this name: it is left out");
			continue;
		}
		for (size_t j = 0; j < n; j++) {
			if (str_eq(names[j], name))
				node_error(&item, REASON_DUPLICATE, "is listed twice");
		}
		names[n++] = name;
	}
	*ret_count = n;
	return names;
}

static void read_header_mod(const struct node *modifier, struct header_mod *mod)
{
	mod->set = read_header_values(modifier, "set", &mod->set_count);
	mod->add = read_header_values(modifier, "add", &mod->add_count);
	mod->remove = read_removed_headers(modifier, &mod->remove_count);
}

/* The replacement, with the leading '/' that the schema does not ask for. */
static struct str read_replacement(const struct node *modifier, const char *key)
{
	static const struct text_rule rule = { 0, MAX_PATH_BYTES, is_url_path,
					       "a path: percent-encode other characters than "
					       "letters, digits and -._~!$&'()*+,;=:@/" };
	struct node node = node_field(modifier, key);
	struct str path = read_required_text(modifier, key, &rule);

	if (path.n == 0 || path.p[0] == '/')
		return path;
	node_warning(&node, REASON_INVALID, "should start with '/': one is put before it");
	return arena_strf(node.decoder->arena, "/" STR_FMT, STR_ARG(path));
}

static void read_path_modifier(const struct node *owner, struct filter *filter)
{
	static const char *const fields[] = { "type", "replaceFullPath", "replacePrefixMatch",
					      NULL };
	static const char *const names[] = { "ReplaceFullPath", "ReplacePrefixMatch", NULL };
	struct node path = read_object(owner, "path", false, fields);
	int type;

	if (!node_is_set(&path) || (type = read_enum(&path, "type", names, -1)) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct node other = node_field(&path, fields[i + 1]);

		if (i != type && node_is_set(&other))
			node_error(&other, REASON_FORBIDDEN, "must not be set when type is %s",
				   names[type]);
	}
	filter->path_modifier = type == 0 ? PATH_REPLACE_FULL : PATH_REPLACE_PREFIX;
	filter->path = read_replacement(&path, fields[type + 1]);
	if (type == 0 && str_empty(filter->path))
		filter->path = STR("/");
}

static struct str read_new_hostname(const struct node *owner)
{
	struct str hostname = read_text(owner, "hostname", &rule_precise_hostname, STR_NONE);
	struct node node = node_field(owner, "hostname");

	if (is_ip(hostname))
		node_warning(&node, REASON_INVALID,
			     "is an IP address: the API asks for a DNS name");
	return hostname;
}

static uint16_t read_status(const struct node *redirect)
{
	static const uint16_t statuses[] = { 301, 302, 303, 307, 308 };
	struct node node = node_field(redirect, "statusCode");
	int64_t status = read_int(redirect, "statusCode", INT64_MIN, INT64_MAX, 302);

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (status == statuses[i])
			return statuses[i];
	}
	node_error(&node, REASON_NOT_SUPPORTED, "must be one of 301, 302, 303, 307, 308, got %lld",
		   (long long)status);
	return 302;
}

static void read_redirect(const struct node *redirect, struct filter *filter)
{
	static const char *const schemes[] = { "http", "https", NULL };
	struct node scheme = node_field(redirect, "scheme");

	if (node_is_set(&scheme))
		filter->scheme = str_of(schemes[read_enum(redirect, "scheme", schemes, 0)]);
	filter->hostname = read_new_hostname(redirect);
	filter->port = (uint16_t)read_int(redirect, "port", 1, 65535, 0);
	filter->status = read_status(redirect);
	read_path_modifier(redirect, filter);
}

/* How many of the types a route of this kind can have. */
static int type_count(const struct node *node)
{
	return node->decoder->kind == KIND_GRPCROUTE ? GRPC_TYPE_COUNT : TYPE_COUNT;
}

/* Exactly the field that belongs to the type is set. */
static bool check_union(const struct node *node, int type)
{
	bool is_there = false;

	for (int i = 0; i < type_count(node); i++) {
		struct node field = node_field(node, filter_fields[i]);

		if (i == type && !node_is_set(&field))
			node_error(&field, REASON_REQUIRED, "is required when type is %s",
				   type_names[type]);
		else if (i != type && node_is_set(&field))
			node_error(&field, REASON_FORBIDDEN, "must not be set when type is %s",
				   type_names[type]);
		else if (i == type)
			is_there = true;
	}
	return is_there;
}

static void read_members(const struct node *filter_node, int type, struct filter *filter)
{
	static const char *const header_fields[] = { "set", "add", "remove", NULL };
	static const char *const redirect_fields[] = { "scheme", "hostname",   "path",
						       "port",   "statusCode", NULL };
	static const char *const rewrite_fields[] = { "hostname", "path", NULL };
	const char *key = filter_fields[type];
	struct node node;

	switch (filter->type) {
	case FILTER_REQUEST_HEADERS:
	case FILTER_RESPONSE_HEADERS:
		node = read_object(filter_node, key, true, header_fields);
		if (node_is_set(&node))
			read_header_mod(&node, &filter->headers);
		break;
	case FILTER_REDIRECT:
		node = read_object(filter_node, key, true, redirect_fields);
		if (node_is_set(&node))
			read_redirect(&node, filter);
		break;
	case FILTER_REWRITE:
		node = read_object(filter_node, key, true, rewrite_fields);
		if (node_is_set(&node)) {
			filter->hostname = read_new_hostname(&node);
			read_path_modifier(&node, filter);
		}
		break;
	case FILTER_UNSUPPORTED:
		check_unserved_filter(filter_node, key);
		if (!filter_node->decoder->failed)
			node_warning(filter_node, REASON_UNSUPPORTED,
				     "filter %s is not supported yet: requests of this rule get "
				     "a %d response",
				     type_names[type],
				     filter_node->decoder->kind == KIND_GRPCROUTE ? 503 : 500);
		break;
	}
}

/* Returns the row of its type, or -1. */
static int read_filter(const struct node *node, struct filter *filter)
{
	const char *fields[TYPE_COUNT + 2] = { "type" }, *names[TYPE_COUNT + 1] = { NULL };
	int type;

	memcpy(fields + 1, filter_fields, (size_t)type_count(node) * sizeof(*fields));
	memcpy(names, type_names, (size_t)type_count(node) * sizeof(*names));
	if (!node_is_object(node, fields) || (type = read_enum(node, "type", names, -1)) < 0)
		return -1;
	filter->type = model_types[type];
	filter->type_name = str_of(type_names[type]);
	if (check_union(node, type))
		read_members(node, type, filter);
	return type;
}

static bool is_repeatable(int type)
{
	return type == TYPE_MIRROR || type == TYPE_EXTENSION;
}

struct filter *decode_filters(const struct node *owner, size_t *ret_count)
{
	size_t count;
	struct node list = read_list(owner, "filters", 0, MAX_FILTERS, &count);
	struct filter *filters = arena_array(list.decoder->arena, count, sizeof(*filters));
	bool seen[TYPE_COUNT] = { false };

	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);
		int type = read_filter(&item, &filters[i]);

		if (type < 0)
			continue;
		if (seen[type] && !is_repeatable(type))
			node_error(&item, REASON_DUPLICATE, "a %s filter cannot be repeated",
				   type_names[type]);
		seen[type] = true;
	}
	if (seen[TYPE_REDIRECT] && seen[TYPE_REWRITE])
		node_error(&list, REASON_INVALID,
			   "RequestRedirect and URLRewrite exclude each other: keep one");
	*ret_count = count;
	return filters;
}
