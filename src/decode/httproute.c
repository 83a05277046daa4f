/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPRoute: paths, methods, query parameters, timeouts. */
#include "decode/route.h"

static const char *const match_types[] = { "Exact", "PathPrefix", "RegularExpression", NULL };

/* ---- matches ---- */

static bool contains(struct str s, struct str part)
{
	for (size_t i = 0; i + part.n <= s.n; i++) {
		if (!memcmp(s.p + i, part.p, part.n))
			return true;
	}
	return false;
}

static void check_path(const struct node *node, struct str path)
{
	static const struct str forbidden[] = { STR_INIT("//"),  STR_INIT("/./"), STR_INIT("/../"),
						STR_INIT("%2f"), STR_INIT("%2F"), STR_INIT("#") };
	static const struct str ends[] = { STR_INIT("/.."), STR_INIT("/.") };
	bool is_clean = true;

	if (path.n == 0 || path.p[0] != '/') {
		node_error(node, REASON_INVALID, "must start with '/'");
		return;
	}
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		if (contains(path, forbidden[i])) {
			node_error(node, REASON_INVALID, "must not contain '" STR_FMT "'",
				   STR_ARG(forbidden[i]));
			is_clean = false;
		}
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (str_ends(path, ends[i])) {
			node_error(node, REASON_INVALID, "must not end with '" STR_FMT "'",
				   STR_ARG(ends[i]));
			is_clean = false;
		}
	}
	if (is_clean && !is_url_path(path))
		node_error(node, REASON_INVALID,
			   "must have letters, digits, -._~!$&'()*+,;=:@/ and %%XX only");
}

static void read_path(const struct node *match, struct match *ret)
{
	static const char *const fields[] = { "type", "value", NULL };
	static const struct text_rule rule = { 0, MAX_PATH_BYTES, NULL, NULL };
	struct node path = read_object(match, "path", false, fields), value;

	ret->path_type = MATCH_PREFIX;
	ret->path = STR("/");
	if (!node_is_set(&path))
		return;
	ret->path_type = (enum match_type)read_enum(&path, "type", match_types, MATCH_PREFIX);
	ret->path = read_text(&path, "value", &rule, STR("/"));
	value = node_field(&path, "value");
	if (ret->path_type != MATCH_REGEX)
		check_path(&value, ret->path);
}

static void read_match(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "path", "method", "headers", "queryParams", NULL };
	static const char *const methods[] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
					       "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL };
	struct match *match = ret_item;
	struct node method;

	if (!node_is_object(node, fields))
		return;
	read_path(node, match);
	method = node_field(node, "method");
	if (node_is_set(&method))
		match->method = str_of(methods[read_enum(node, "method", methods, 0)]);
	read_header_matches(node, match);
	read_query_matches(node, match);
}

/* ---- rules ---- */

static int64_t read_timeout(const struct node *timeouts, const char *key)
{
	static const struct text_rule rule = { 0, MAX_NAME_BYTES, NULL, NULL };
	struct node node = node_field(timeouts, key);
	int64_t timeout_ms = TIMEOUT_UNSET;
	struct str text;

	if (node_is_set(&node) && node_text(&node, &rule, &text) &&
	    !parse_duration(text, &timeout_ms))
		node_error(
			&node, REASON_INVALID,
			"must be a duration such as \"10s\", \"500ms\" or \"1h30m\" (units h, m, "
			"s, ms; at most four numbers of at most five digits)");
	return timeout_ms;
}

static void read_timeouts(const struct node *node, struct rule *rule)
{
	static const char *const fields[] = { "request", "backendRequest", NULL };
	struct node timeouts = read_object(node, "timeouts", false, fields);

	if (!node_is_set(&timeouts))
		return;
	rule->request_timeout_ms = read_timeout(&timeouts, "request");
	rule->backend_timeout_ms = read_timeout(&timeouts, "backendRequest");
	if (rule->request_timeout_ms > 0 && rule->backend_timeout_ms > rule->request_timeout_ms)
		node_error(&timeouts, REASON_INVALID,
			   "backendRequest must not be longer than request");
}

static bool replaces_prefix(const struct filter *filters, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (filters[i].path_modifier == PATH_REPLACE_PREFIX)
			return true;
	}
	return false;
}

/* What is replaced must be one prefix. */
static void check_prefix_replacement(const struct node *node, const struct rule *rule)
{
	bool is_used = replaces_prefix(rule->filters, rule->filter_count);
	struct node matches = node_field(node, "matches");

	for (size_t i = 0; i < rule->ref_count; i++)
		is_used |= replaces_prefix(rule->refs[i].filters, rule->refs[i].filter_count);
	if (is_used && (rule->match_count != 1 || rule->matches[0].path_type != MATCH_PREFIX))
		node_error(&matches, REASON_INVALID,
			   "a filter with replacePrefixMatch needs exactly one match, of type "
			   "PathPrefix: move the other matches to a rule of their own");
}

static void warn_retry(const struct node *node)
{
	struct node retry = node_field(node, "retry");

	if (node_is_set(&retry))
		node_warning(&retry, REASON_UNSUPPORTED,
			     "is not supported yet: requests are not retried");
}

static void read_rule(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "name",
					      "matches",
					      "filters",
					      "backendRefs",
					      "timeouts",
					      "retry",
					      "sessionPersistence",
					      NULL };
	struct rule *rule = ret_item;

	if (!node_is_object(node, fields))
		return;
	read_common_rule(node, read_match, rule);
	read_timeouts(node, rule);
	if (rule->ref_count > 0 && filter_find(rule->filters, rule->filter_count, FILTER_REDIRECT))
		node_error(node, REASON_INVALID,
			   "a RequestRedirect filter and backendRefs exclude each other: a "
			   "redirected request has no backend");
	check_prefix_replacement(node, rule);
	warn_retry(node);
}

static void default_rule(struct arena *arena, struct route *route)
{
	struct rule *rule = arena_alloc(arena, sizeof(*rule));

	default_match(arena, rule);
	rule->request_timeout_ms = TIMEOUT_UNSET;
	rule->backend_timeout_ms = TIMEOUT_UNSET;
	route->rules = rule;
	route->rule_count = 1;
}

void decode_http_route(const struct node *root, struct object *object)
{
	static const struct list_rule rules = { 1, MAX_RULES, sizeof(struct rule), read_rule };

	decode_route(root, &rules, &object->route);
	if (object->route.rule_count == 0)
		default_rule(object->arena, &object->route);
}
