/* SPDX-License-Identifier: Apache-2.0 */
/* GRPCRoute: services and methods, as the paths of the requests that they take.
 *
 *   service foo.Bar, method Get    Exact  /foo.Bar/Get
 *   service foo.Bar                Prefix /foo.Bar
 *   method Get                     Regex  /[^/]+/Get, after every service
 *   RegularExpression              Regex  /(?:SERVICE)/(?:METHOD)
 */
#include "decode/route.h"

#define ANY_PART "[^/]+"

static bool is_word_start(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* [A-Za-z_][A-Za-z_0-9]* */
static bool is_method(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool is_digit = s.p[i] >= '0' && s.p[i] <= '9';

		if (!is_word_start(s.p[i]) && (i == 0 || !is_digit))
			return false;
	}
	return s.n > 0;
}

/* The same with dots between; the schema allows one before them. */
static bool is_service(struct str s)
{
	struct str rest = s.n && s.p[0] == '.' ? str_sub(s, 1, s.n) : s;

	if (str_empty(rest) || rest.p[rest.n - 1] == '.')
		return false;
	while (!str_empty(rest)) {
		if (!is_method(str_cut(&rest, '.')))
			return false;
	}
	return true;
}

static const struct text_rule rule_pattern = { 0, MAX_PATH_BYTES, NULL, NULL };
static const struct text_rule rule_service = { 1, MAX_PATH_BYTES, is_service,
					       "a service such as \"package.Service\"" };
static const struct text_rule rule_method = { 1, MAX_PATH_BYTES, is_method,
					      "a method such as \"GetItem\"" };

static void match_exactly(struct arena *arena, struct str service, struct str method,
			  struct match *match)
{
	if (str_empty(service)) {
		match->path_type = MATCH_REGEX;
		match->path = arena_strf(arena, "/" ANY_PART "/" STR_FMT, STR_ARG(method));
	} else if (str_empty(method)) {
		match->path_type = MATCH_PREFIX;
		match->path = arena_strf(arena, "/" STR_FMT, STR_ARG(service));
	} else {
		match->path_type = MATCH_EXACT;
		match->path = arena_strf(arena, "/" STR_FMT "/" STR_FMT, STR_ARG(service),
					 STR_ARG(method));
	}
}

/* The whole part is matched: anchors that say so would stand in the middle. */
static struct str without_anchors(struct str pattern)
{
	if (str_starts(pattern, STR("^")))
		pattern = str_sub(pattern, 1, pattern.n);
	if (str_ends(pattern, STR("$")) && !str_ends(pattern, STR("\\$")))
		pattern.n--;
	return pattern;
}

static struct str part_pattern(struct arena *arena, struct str pattern)
{
	pattern = without_anchors(pattern);
	return str_empty(pattern) ? STR(ANY_PART) :
				    arena_strf(arena, "(?:" STR_FMT ")", STR_ARG(pattern));
}

static void match_patterns(struct arena *arena, struct str service, struct str method,
			   struct match *match)
{
	match->path_type = MATCH_REGEX;
	match->path = arena_strf(arena, "/" STR_FMT "/" STR_FMT,
				 STR_ARG(part_pattern(arena, service)),
				 STR_ARG(part_pattern(arena, method)));
}

static void read_method(const struct node *node, struct match *match)
{
	static const char *const fields[] = { "type", "service", "method", NULL };
	static const char *const types[] = { "Exact", "RegularExpression", NULL };
	struct node wanted = read_object(node, "method", false, fields);
	struct arena *arena = node->decoder->arena;

	match->path_type = MATCH_PREFIX;
	match->path = STR("/");
	if (!node_is_set(&wanted))
		return;
	bool exact = read_enum(&wanted, "type", types, 0) == 0;
	struct str service = read_text(&wanted, "service", exact ? &rule_service : &rule_pattern,
				       STR_NONE);
	struct str method = read_text(&wanted, "method", exact ? &rule_method : &rule_pattern,
				      STR_NONE);
	struct node parts[] = { node_field(&wanted, "service"), node_field(&wanted, "method") };
	if (!node_is_set(&parts[0]) && !node_is_set(&parts[1]))
		node_error(&wanted, REASON_REQUIRED, "needs a service, a method, or both");
	if (str_empty(service) && str_empty(method))
		return;
	match->any_service = str_empty(service);
	if (exact)
		match_exactly(arena, service, method, match);
	else
		match_patterns(arena, service, method, match);
}

static void read_match(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "method", "headers", NULL };
	struct match *match = ret_item;

	if (!node_is_object(node, fields))
		return;
	read_method(node, match);
	read_header_matches(node, match);
}

static void read_rule(const struct node *node, void *ret_item)
{
	static const char *const fields[] = { "name",	     "matches",		   "filters",
					      "backendRefs", "sessionPersistence", NULL };

	if (node_is_object(node, fields))
		read_common_rule(node, read_match, ret_item);
}

void decode_grpc_route(const struct node *root, struct object *object)
{
	static const struct list_rule rules = { 0, MAX_RULES, sizeof(struct rule), read_rule };

	decode_route(root, &rules, &object->route);
}
