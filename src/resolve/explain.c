/* SPDX-License-Identifier: Apache-2.0 */
/* The specification's own order of things, without any of the compiler's short cuts. */
#include "resolve/explain.h"

#include "match/list.h"
#include "resolve/hostname.h"

/* ---- the URL ---- */

static bool parse_authority(struct str authority, struct explain_request *request,
			    struct error *err)
{
	struct str port = STR_NONE;
	size_t bracket = str_chr(authority, ']', 0); /* [2001:db8::1]:80 */
	size_t colon = str_chr(authority, ':', bracket < authority.n ? bracket : 0);
	uint64_t number = 0;
	request->host = str_sub(authority, 0, colon);
	if (colon < authority.n)
		port = str_sub(authority, colon + 1, authority.n);
	if (str_empty(request->host))
		return error_set(err, ERR_SYNTAX, "the URL has no host");
	if (!str_empty(port) && (!str_u64(port, UINT16_MAX, &number) || number == 0))
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' is not a port", STR_ARG(port));
	request->port = (uint16_t)number;
	return true;
}

bool explain_parse_url(struct str url, struct explain_request *ret_request, struct error *err)
{
	struct explain_request parsed = *ret_request;
	if (str_starts(url, STR("https://")))
		parsed.https = true;
	else if (str_starts(url, STR("http://")))
		parsed.https = false;
	else
		return error_set(err, ERR_SYNTAX, "the URL must start with http:// or https://");
	struct str rest = str_sub(url, parsed.https ? 8 : 7, url.n);
	rest = str_sub(rest, 0, str_chr(rest, '#', 0));
	size_t query = str_chr(rest, '?', 0);
	parsed.request.query = str_sub(rest, query + 1, rest.n);
	rest = str_sub(rest, 0, query);
	size_t path = str_chr(rest, '/', 0);
	parsed.request.path = path < rest.n ? str_sub(rest, path, rest.n) : STR("/");
	if (!parse_authority(str_sub(rest, 0, path), &parsed, err))
		return false;
	*ret_request = parsed;
	return true;
}

/* ---- the listener ---- */

static uint16_t request_port(const struct explain_request *request)
{
	if (request->port)
		return request->port;
	return request->https ? 443 : 80;
}

static bool is_gateway(const struct frontend_view *frontend, struct str gateway)
{
	struct str name = gateway, ns = str_cut(&name, '/');
	return str_empty(gateway) || (str_eq(frontend->ns, ns) && str_eq(frontend->gateway, name));
}

static const struct frontend_view *find_frontend(const struct gateways_view *gateways,
						 const struct explain_request *request)
{
	for (size_t i = 0; i < gateways->gateway_count; i++) {
		const struct gateway_view *gateway = &gateways->gateways[i];
		for (size_t k = 0; k < gateway->frontend_count; k++) {
			const struct frontend_view *frontend = &gateway->frontends[k];
			bool fits = str_empty(request->frontend) ?
					    frontend->port == request_port(request) &&
						    frontend->tls == request->https &&
						    is_gateway(frontend, request->gateway) :
					    str_eq(frontend->name, request->frontend);
			if (fits)
				return frontend;
		}
	}
	return NULL;
}

static const struct listener_view *find_listener(const struct frontend_view *frontend,
						 struct str host)
{
	const struct listener_view *best = NULL;
	for (size_t i = 0; i < frontend->listener_count; i++) {
		const struct listener_view *listener = frontend->listeners[i];
		if (hostname_covers(listener->spec->hostname, host) &&
		    (!best || hostname_cmp_specific(listener->spec->hostname,
						    best->spec->hostname) < 0))
			best = listener;
	}
	return best;
}

/* ---- candidates ---- */

/* The attachment of a route to the listener; several parentRefs may name it, all alike. */
static const struct attachment *find_attachment(const struct route_view *route,
						const struct listener_view *listener)
{
	for (size_t i = 0; i < route->parent_count; i++) {
		const struct parent_view *parent = &route->parents[i];
		for (size_t k = 0; k < parent->attachment_count; k++) {
			if (parent->attachments[k].listener == listener)
				return &parent->attachments[k];
		}
	}
	return NULL;
}

/* The most specific hostname of the attachment that covers the host. */
static bool best_hostname(const struct attachment *attachment, struct str host,
			  struct str *ret_hostname)
{
	bool found = false;
	for (size_t i = 0; i < attachment->hostname_count; i++) {
		struct str hostname = attachment->hostnames[i];
		if (!hostname_covers(hostname, host))
			continue;
		if (!found || hostname_cmp_specific(hostname, *ret_hostname) < 0)
			*ret_hostname = hostname;
		found = true;
	}
	return found;
}

static const struct match *match_of(const struct explain_candidate *candidate)
{
	return &candidate->route->rules[candidate->rule].spec->matches[candidate->match];
}

/* A GRPCRoute's method of any service has no characters of a service: it comes after all prefixes
 * but that of every path. */
static int path_class(const struct match *match)
{
	if (match->any_service)
		return 2;
	switch (match->path_type) {
	case MATCH_EXACT:
		return 0;
	case MATCH_REGEX:
		return 1;
	case MATCH_PREFIX:
		break;
	}
	return 2;
}

/* A trailing "/" of a prefix is ignored. */
static struct str prefix_of(const struct match *match)
{
	struct str path = match->path;
	if (match->path_type == MATCH_PREFIX && str_ends(path, STR("/")))
		path.n--;
	return path;
}

static size_t path_bytes(const struct match *match)
{
	return match->any_service ? 1 : prefix_of(match).n;
}

static int cmp_more(size_t a, size_t b)
{
	return a == b ? 0 : a > b ? -1 : 1;
}

static int cmp_matches(const struct match *a, const struct match *b)
{
	int order = path_class(a) - path_class(b);
	if (order == 0)
		order = cmp_more(path_bytes(a), path_bytes(b));
	if (order == 0)
		order = (int)str_empty(a->method) - (int)str_empty(b->method);
	if (order == 0)
		order = cmp_more(a->header_count, b->header_count);
	return order ? order : cmp_more(a->query_count, b->query_count);
}

static int cmp_candidates(const void *a, const void *b)
{
	const struct explain_candidate *left = a, *right = b;
	int order = hostname_cmp_specific(left->hostname, right->hostname);
	if (order == 0)
		order = cmp_matches(match_of(left), match_of(right));
	if (order == 0)
		order = route_cmp_age(left->route->object, right->route->object);
	if (order == 0)
		order = -cmp_more(left->rule, right->rule);
	return order ? order : -cmp_more(left->match, right->match);
}

static size_t count_matches(const struct route_view *route)
{
	size_t count = 0;
	for (size_t i = 0; i < route->rule_count; i++)
		count += route->rules[i].spec->match_count;
	return count;
}

static void add_candidates(struct explain_result *result, const struct route_view *route,
			   struct str hostname)
{
	for (size_t i = 0; i < route->rule_count; i++) {
		for (size_t k = 0; k < route->rules[i].spec->match_count; k++)
			result->candidates[result->candidate_count++] = (struct explain_candidate){
				.route = route, .rule = i, .match = k, .hostname = hostname
			};
	}
}

static void collect_candidates(const struct explain_world *world, struct explain_result *result,
			       struct str host)
{
	size_t total = 0;
	for (size_t i = 0; i < world->route_count; i++)
		total += count_matches(world->routes[i]);
	result->candidates = arena_array(result->arena, total, sizeof(*result->candidates));
	for (size_t i = 0; i < world->route_count; i++) {
		const struct attachment *attachment =
			find_attachment(world->routes[i], result->listener);
		struct str hostname;
		if (attachment && best_hostname(attachment, host, &hostname))
			add_candidates(result, world->routes[i], hostname);
	}
	if (result->candidate_count > 1)
		qsort(result->candidates, result->candidate_count, sizeof(*result->candidates),
		      cmp_candidates);
}

/* ---- does it match? ---- */

/* A regular expression, decided as the agent decides it. On false, err->code tells whether the
 * condition itself is at fault. */
static bool cond_holds(const struct list_cond *cond, const struct request *request,
		       struct error *err)
{
	struct list_entry entry = { .conds = cond, .cond_count = 1, .verdict = STR("yes") };
	struct sb text;
	bool holds = false;
	sb_init(&text, 64 * 1024);
	list_print(&entry, 1, &text);
	if (sb_ok(&text, err)) {
		struct list *list = list_compile(sb_str(&text), err);
		if (list) {
			holds = list_decide(list, request).entry == 0;
			*err = (struct error){ .code = ERR_NONE };
		}
		list_free(list);
	}
	sb_fini(&text);
	return holds;
}

static bool path_matches(const struct match *match, const struct request *request)
{
	struct str path = request->path, prefix = prefix_of(match);
	if (match->path_type == MATCH_EXACT)
		return str_eq(path, match->path);
	return str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

static struct str check_path(struct arena *arena, const struct match *match,
			     const struct request *request)
{
	struct list_cond cond = { .subject = LIST_PATH, .regex = true, .value = match->path };
	struct error err;
	if (match->path_type != MATCH_REGEX) {
		if (path_matches(match, request))
			return STR_NONE;
		return arena_strf(arena, match->path_type == MATCH_EXACT ?
						 "the path is not " STR_FMT :
						 "the path is not below " STR_FMT,
				  STR_ARG(match->path));
	}
	if (cond_holds(&cond, request, &err))
		return STR_NONE;
	if (err.code != ERR_NONE)
		return arena_strf(arena, "the regular expression of the path is not usable: %s",
				  err.text);
	return arena_strf(arena, "the path does not match the regular expression " STR_FMT,
			  STR_ARG(match->path));
}

/* A repeated header is all its values, joined. */
static bool header_value(struct arena *arena, const struct request *request, struct str name,
			 struct str *ret_value)
{
	struct sb joined;
	bool found = false;
	sb_init(&joined, SIZE_MAX / 2);
	for (size_t i = 0; i < request->header_count; i++) {
		if (!str_eq_nocase(request->headers[i].name, name))
			continue;
		if (found)
			sb_addc(&joined, ',');
		sb_add(&joined, request->headers[i].value);
		found = true;
	}
	*ret_value = arena_str(arena, sb_str(&joined));
	sb_fini(&joined);
	return found;
}

/* As HTML forms encode; what is not encoded right stands for itself. */
static struct str decoded(struct arena *arena, struct str s)
{
	char *p = arena_alloc(arena, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool escape = s.p[i] == '%' && s.n - i > 2 && hex_digit(s.p[i + 1]) >= 0 &&
			      hex_digit(s.p[i + 2]) >= 0;
		p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		if (escape) {
			p[n - 1] = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
		}
	}
	return (struct str){ p, n };
}

/* Of a repeated parameter the first counts. */
static bool query_value(struct arena *arena, const struct request *request, struct str name,
			struct str *ret_value)
{
	struct str rest = request->query;
	while (!str_empty(rest)) {
		struct str pair = str_cut(&rest, '&');
		struct str key = str_cut(&pair, '=');
		if (str_eq(decoded(arena, key), name)) {
			*ret_value = decoded(arena, pair);
			return true;
		}
	}
	return false;
}

static struct str check_value(struct arena *arena, const struct value_match *match,
			      enum list_subject subject, const struct request *request)
{
	bool header = subject == LIST_HEADER, regex = match->type == MATCH_REGEX;
	const char *what = header ? "header" : "query parameter";
	const char *how = regex ? "a match of " : "";
	struct list_cond cond = { .subject = subject, .regex = true, .name = match->name,
				  .value = match->value };
	struct error err = { .code = ERR_NONE };
	struct str value;
	bool found = header ? header_value(arena, request, match->name, &value) :
			      query_value(arena, request, match->name, &value);
	if (found && (regex ? cond_holds(&cond, request, &err) : str_eq(value, match->value)))
		return STR_NONE;
	if (err.code != ERR_NONE)
		return arena_strf(arena, "the regular expression of %s " STR_FMT " is not usable: %s",
				  what, STR_ARG(match->name), err.text);
	if (found)
		return arena_strf(arena, "%s " STR_FMT " is '" STR_FMT "', %s'" STR_FMT "' wanted",
				  what, STR_ARG(match->name), STR_ARG(value), how,
				  STR_ARG(match->value));
	return arena_strf(arena, "%s " STR_FMT " is absent, %s'" STR_FMT "' wanted", what,
			  STR_ARG(match->name), how, STR_ARG(match->value));
}

/* The first reason why a match does not take the request; empty: it does. */
static struct str why_not(struct arena *arena, const struct match *match,
			  const struct request *request)
{
	struct str why = check_path(arena, match, request);
	if (str_empty(why) && !str_empty(match->method) &&
	    !str_eq(match->method, request->method))
		why = arena_strf(arena, "the method is " STR_FMT ", " STR_FMT " wanted",
				 STR_ARG(request->method), STR_ARG(match->method));
	for (size_t i = 0; i < match->header_count && str_empty(why); i++)
		why = check_value(arena, &match->headers[i], LIST_HEADER, request);
	for (size_t i = 0; i < match->query_count && str_empty(why); i++)
		why = check_value(arena, &match->queries[i], LIST_QUERY, request);
	return why;
}

static void find_winner(struct explain_result *result)
{
	for (size_t i = 0; i < result->candidate_count; i++) {
		struct explain_candidate *candidate = &result->candidates[i];
		candidate->why_not = why_not(result->arena, match_of(candidate),
					     &result->request->request);
		candidate->matches = str_empty(candidate->why_not);
		if (candidate->matches && !result->winner)
			result->winner = candidate;
	}
}

/* ---- redirects ---- */

/* The table of "replace prefix" of the specification. */
static struct str replace_prefix(struct arena *arena, struct str path, struct str prefix,
				 struct str replacement)
{
	struct str rest = str_sub(path, prefix.n, path.n); /* empty, or starts with "/" */
	if (str_ends(replacement, STR("/")))
		replacement.n--;
	if (str_empty(replacement) && str_empty(rest))
		return STR("/");
	return arena_strf(arena, STR_FMT STR_FMT, STR_ARG(replacement), STR_ARG(rest));
}

static struct str new_path(struct arena *arena, const struct filter *filter,
			   const struct match *match, struct str path)
{
	switch (filter->path_modifier) {
	case PATH_KEEP:
		break;
	case PATH_REPLACE_FULL:
		return str_empty(filter->path) ? STR("/") : filter->path;
	case PATH_REPLACE_PREFIX:
		return replace_prefix(arena, path, prefix_of(match), filter->path);
	}
	return path;
}

static struct str modified_path(const struct explain_result *result, const struct filter *filter)
{
	return new_path(result->arena, filter, match_of(result->winner),
			result->request->request.path);
}

/* Empty when it is the scheme's own. */
static struct str location_port(const struct explain_result *result, const struct filter *filter,
				struct str scheme)
{
	bool https = str_is(scheme, "https");
	uint16_t usual = https ? 443 : 80;
	uint16_t port = filter->port;
	if (port == 0)
		port = str_empty(filter->scheme) ? result->frontend->port : usual;
	if (port == usual)
		return STR_NONE;
	return arena_strf(result->arena, ":%u", port);
}

static struct str redirect_location(const struct explain_result *result,
				    const struct filter *filter)
{
	const struct explain_request *request = result->request;
	struct arena *arena = result->arena;
	struct str scheme = filter->scheme, host = filter->hostname;
	struct str query = request->request.query;
	if (str_empty(scheme))
		scheme = request->https ? STR("https") : STR("http");
	if (str_empty(host))
		host = arena_lower(arena, request->host);
	struct str path = modified_path(result, filter);
	return arena_strf(arena, STR_FMT "://" STR_FMT STR_FMT STR_FMT "%s" STR_FMT,
			  STR_ARG(scheme), STR_ARG(host),
			  STR_ARG(location_port(result, filter, scheme)), STR_ARG(path),
			  str_empty(query) ? "" : "?", STR_ARG(query));
}

static void set_redirect(struct explain_result *result, const struct filter *filter)
{
	result->outcome.status = filter->status;
	result->outcome.location = redirect_location(result, filter);
	result->verdict = arena_strf(result->arena, "redirect %u to " STR_FMT, filter->status,
				     STR_ARG(result->outcome.location));
}

/* ---- the answer ---- */

static void set_status(struct explain_result *result, int status, struct str verdict)
{
	result->outcome.status = status;
	result->verdict = verdict;
}

/* Those that take requests: weight 0 drains. */
static size_t count_servers(const struct explain_world *world, struct str backend)
{
	struct backend_id id;
	size_t count = 0;
	if (!backend_name_parse(backend, &id))
		return 0;
	struct backend_view *view = backend_resolve(world->gateways->store, &id, world->lookup,
						    world->lookup_user);
	for (size_t i = 0; view && i < view->server_count; i++)
		count += view->servers[i].weight > 0;
	backend_view_free(view);
	return count;
}

/* What the filters of a rule or of one of its refs change on the way to a server; the later one
 * replaces what the earlier one said. Paths are always made from the request's own. */
static void rewrite_target(const struct explain_result *result, struct explain_target *target,
			   const struct filter *filters, size_t count)
{
	const struct filter *rewrite = filter_find(filters, count, FILTER_REWRITE);
	if (!rewrite)
		return;
	if (!str_empty(rewrite->hostname))
		target->host = rewrite->hostname;
	if (rewrite->path_modifier != PATH_KEEP)
		target->path = modified_path(result, rewrite);
}

static void answer_target(const struct explain_result *result, const struct rule_view *rule,
			  struct explain_target *target)
{
	const struct backend_ref *ref = target->ref->spec;
	const struct filter *redirect =
		filter_find(ref->filters, ref->filter_count, FILTER_REDIRECT);
	if (target->ref->state != REF_OK) {
		target->status = (int)rule->error_status;
	} else if (redirect) {
		target->status = redirect->status;
		target->location = redirect_location(result, redirect);
	} else if (target->server_count == 0) {
		target->status = 503;
	}
	target->path = result->request->request.path;
	rewrite_target(result, target, rule->spec->filters, rule->spec->filter_count);
	rewrite_target(result, target, ref->filters, ref->filter_count);
}

static void collect_targets(const struct explain_world *world, struct explain_result *result,
			    const struct rule_view *rule)
{
	struct explain_target *targets =
		arena_array(result->arena, rule->ref_count, sizeof(*targets));
	size_t count = 0;
	for (size_t i = 0; i < rule->ref_count; i++) {
		const struct ref_view *ref = &rule->refs[i];
		if (ref->spec->weight == 0)
			continue;
		struct explain_target *target = &targets[count++];
		target->ref = ref;
		target->weight = ref->spec->weight;
		target->backend = arena_strf(result->arena, "http-%u", rule->error_status);
		if (ref->state == REF_OK) {
			target->backend = ref->backend;
			target->server_count = count_servers(world, ref->backend);
		}
		answer_target(result, rule, target);
	}
	result->outcome.targets = targets;
	result->outcome.target_count = count;
}

static void set_error(struct explain_result *result, const struct rule_view *rule,
		      const char *why)
{
	set_status(result, (int)rule->error_status,
		   arena_strf(result->arena, "%u: %s", rule->error_status, why));
}

static bool all_invalid(const struct explain_outcome *outcome)
{
	for (size_t i = 0; i < outcome->target_count; i++) {
		if (outcome->targets[i].ref->state == REF_OK)
			return false;
	}
	return true;
}

static void set_targets(const struct explain_world *world, struct explain_result *result,
			const struct rule_view *rule)
{
	const struct explain_outcome *outcome = &result->outcome;
	if (rule->ref_count == 0) {
		set_error(result, rule, "the rule has no backendRefs");
		return;
	}
	collect_targets(world, result, rule);
	if (outcome->target_count == 0)
		set_error(result, rule, "the weights of all backendRefs are 0");
	else if (all_invalid(outcome))
		set_error(result, rule, "no backendRef is valid; see the findings of the route");
	else if (outcome->target_count == 1)
		result->verdict = arena_strf(result->arena, "sent to backend " STR_FMT,
					     STR_ARG(outcome->targets[0].backend));
	else
		result->verdict = STR("sent to one of the backends by weight");
}

static void set_outcome(const struct explain_world *world, struct explain_result *result)
{
	if (!result->winner) {
		set_status(result, 404, STR("404: no rule matches"));
		return;
	}
	const struct rule_view *rule = &result->winner->route->rules[result->winner->rule];
	const struct filter *redirect =
		filter_find(rule->spec->filters, rule->spec->filter_count, FILTER_REDIRECT);
	result->outcome.rule = rule->name;
	if (rule->broken)
		set_error(result, rule, "the rule cannot be honoured; see the findings of the route");
	else if (redirect)
		set_redirect(result, redirect);
	else
		set_targets(world, result, rule);
}

/* A connection that was made for the name of one listener may not carry requests for the
 * hosts of another. */
static bool is_misdirected(const struct explain_result *result, struct str host, struct str sni)
{
	return result->request->https && !str_eq(host, sni) && result->listener &&
	       result->listener != result->sni_listener;
}

struct explain_result *explain(const struct explain_world *world,
			       const struct explain_request *request)
{
	struct arena *arena = arena_new();
	struct explain_result *result = arena_alloc(arena, sizeof(*result));
	struct str host = arena_lower(arena, request->host);
	struct str sni = str_empty(request->sni) ? host : arena_lower(arena, request->sni);
	result->arena = arena;
	result->request = request;
	result->frontend = find_frontend(world->gateways, request);
	if (!result->frontend) {
		set_status(result, EXPLAIN_REFUSED,
			   arena_strf(arena, "refused: no listener serves %s on port %u",
				      request->https ? "https" : "http", request_port(request)));
		return result;
	}
	result->listener = find_listener(result->frontend, host);
	if (request->https)
		result->sni_listener = find_listener(result->frontend, sni);
	if (is_misdirected(result, host, sni)) {
		set_status(result, 421,
			   arena_strf(arena, "421: the connection was made for " STR_FMT
				      ", but " STR_FMT " belongs to another listener",
				      STR_ARG(sni), STR_ARG(host)));
		return result;
	}
	if (!result->listener) {
		set_status(result, 404,
			   arena_strf(arena, "404: no listener has the host " STR_FMT,
				      STR_ARG(host)));
		return result;
	}
	collect_candidates(world, result, host);
	find_winner(result);
	set_outcome(world, result);
	return result;
}

void explain_free(struct explain_result *result)
{
	if (result)
		arena_free(result->arena);
}
