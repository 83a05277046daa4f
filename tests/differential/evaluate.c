/* SPDX-License-Identifier: Apache-2.0 */
/* What the specification lets a Gateway answer: the judge of the differential test.
 *
 *     evaluate DIR <questions >answers
 *
 * DIR has the manifests. A question is a line "PORT TLS SNI LENGTH" (TLS 0 or 1, SNI "-" when
 * there is none) and LENGTH bytes: one HTTP/1.1 request as it goes over the wire. Its answer is
 * one line: all answers that are right, as texts joined by tabs, other bytes than printable
 * ones as %XX:
 *
 *     status 404
 *     redirect 302 https://www.example.com/
 *     origin 20001 h1 GET /path?query     its port, and how it is spoken to
 *     host: www.example.com               what it gets, by name, values joined
 *
 *     x-answer: value                     what comes back; "x-" headers only
 *
 * Only the resolved objects and explain() are used, never the plan. What becomes of headers is
 * done here, from the filters themselves. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "base/sb.h"
#include "resolve/explain.h"
#include "resolve/hostname.h"
#include "source/files.h"

enum { MAX_QUESTION_BYTES = 1024 * 1024 };

/* ---- the world ---- */

struct world {
	struct store *store;
	struct gateways_view *gateways;
	struct route_view **routes;
	struct explain_world explained;
};

static bool print_errors(const struct findings *findings)
{
	bool any = false;
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		if (finding->severity != SEVERITY_ERROR)
			continue;
		fprintf(stderr, STR_FMT ": " STR_FMT "\n", STR_ARG(finding->name),
			STR_ARG(finding->text));
		any = true;
	}
	return any;
}

static bool world_load(struct world *world, const char *directory)
{
	struct arena *arena = arena_new();
	struct findings findings;
	struct error err;
	findings_init(&findings, arena);
	*world = (struct world){ .store = store_new() };
	bool ok = files_load(&directory, 1, world->store, &findings, &err);
	if (!ok)
		fprintf(stderr, "%s\n", err.text);
	/* HAProxy would go on with what a refused object was before. */
	ok = ok && !print_errors(&findings);
	arena_free(arena);
	return ok;
}

static void world_resolve(struct world *world)
{
	const struct resolve_options options = { .now_s = time(NULL),
						 .controller_name = STR(CONTROLLER_NAME) };
	size_t count = 0, capacity = 0, of_kind;
	world->gateways = gateways_resolve(world->store, &options);
	for (enum kind kind = FIRST_ROUTE_KIND; kind_is_route(kind); kind++) {
		const struct object *const *objects = store_list(world->store, kind, &of_kind);
		for (size_t i = 0; i < of_kind; i++) {
			world->routes = grow(world->routes, count, &capacity, sizeof(*world->routes));
			world->routes[count++] =
				route_resolve(world->gateways, world->store, objects[i]);
		}
	}
	world->explained = (struct explain_world){
		.gateways = world->gateways,
		.routes = (const struct route_view *const *)world->routes,
		.route_count = count,
	};
}

static void world_free(struct world *world)
{
	for (size_t i = 0; i < world->explained.route_count; i++)
		route_view_free(world->routes[i]);
	free(world->routes);
	if (world->gateways)
		gateways_free(world->gateways);
	store_free(world->store);
}

/* ---- one request, read as RFC 9112 has it ---- */

struct message {
	struct explain_request question;
	struct str target; /* without scheme and authority */
	struct str authority; /* of an absolute form */
	struct str host;      /* as sent */
	bool is_old; /* HTTP/1.0 */
	bool has_host;
	bool https_target; /* an absolute form with this scheme */
	bool lacks_path;   /* as in "http://www.example.com?query" */
	bool is_dubious; /* the RFCs forbid it, newer HAProxy refuses it, older ones pass it on */
};

static bool all_bytes(struct str s, bool (*is_fine)(unsigned char c))
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_fine((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

static bool is_token_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* More than the grammar has: a proxy passes on what it need not understand. */
static bool is_target_byte(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '#';
}

static bool is_value_byte(unsigned char c)
{
	return c != '\r' && c != '\n' && c != '\0';
}

/* reg-name, IP-literal and port of RFC 3986 */
static bool is_host_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("-._~%!$&'()*+;=:[]", c));
}

static struct str cut_line(struct str *rest)
{
	struct str line = str_cut(rest, '\n');
	return str_ends(line, STR("\r")) ? str_sub(line, 0, line.n - 1) : line;
}

static struct str trim_blanks(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1, s.n);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* "www.example.com" of "www.example.com:80" and "www.example.com:". */
static struct str without_usual_port(struct str host, bool https)
{
	if (str_ends(host, https ? STR(":443") : STR(":80")))
		host = str_sub(host, 0, host.n - (https ? 4 : 3));
	return str_ends(host, STR(":")) ? str_sub(host, 0, host.n - 1) : host;
}

/* A second one may not differ. */
static bool read_host(struct message *message, struct str host)
{
	if (message->has_host && !str_eq_nocase(host, message->host))
		return false;
	if (!message->has_host)
		message->host = host;
	message->has_host = true;
	return true;
}

/* An absolute form names the host. */
static bool cut_authority(struct message *message, struct str *target)
{
	struct str rest = *target;
	message->https_target = str_eq_nocase(str_cut(&rest, ':'), STR("https"));
	if (!str_starts(rest, STR("//")))
		return false;
	rest = str_sub(rest, 2, rest.n);
	size_t end = str_chr(rest, '/', 0), query = str_chr(rest, '?', 0);
	message->is_dubious |= query < end; /* not forbidden, but HAProxy is of that opinion */
	end = query < end ? query : end;
	message->authority = str_sub(rest, 0, end);
	*target = str_sub(rest, end, rest.n);
	return true;
}

static bool read_target(struct message *message, struct str target)
{
	struct request *request = &message->question.request;
	bool whole_server = str_is(target, "*");
	message->is_dubious |= whole_server && !str_is(request->method, "OPTIONS");
	if (!whole_server && target.p[0] != '/' && !cut_authority(message, &target))
		return false;
	message->target = target;
	size_t query = str_chr(target, '?', 0);
	request->path = whole_server ? STR_NONE : str_sub(target, 0, query);
	message->lacks_path = query == 0;
	request->query = str_sub(target, query + 1, target.n);
	return true;
}

static bool read_first_line(struct message *message, struct str line)
{
	struct str rest = line;
	struct str method = str_cut(&rest, ' '), target = str_cut(&rest, ' ');
	if (str_empty(method) || !all_bytes(method, is_token_byte) || str_empty(target) ||
	    !all_bytes(target, is_target_byte) ||
	    !(str_is(rest, "HTTP/1.1") || str_is(rest, "HTTP/1.0")))
		return false;
	message->question.request.method = method;
	message->is_old = str_is(rest, "HTTP/1.0");
	return read_target(message, target);
}

static bool read_field(struct message *message, struct str line)
{
	struct request *request = &message->question.request;
	struct str value = line, name = str_cut(&value, ':');
	if (name.n == line.n || str_empty(name) || !all_bytes(name, is_token_byte))
		return false;
	message->is_dubious |= !all_bytes(value, is_value_byte);
	value = trim_blanks(value);
	if (str_eq_nocase(name, STR("host")) && !read_host(message, value))
		return false;
	request->headers[request->header_count++] = (struct request_header){ name, value };
	return request->header_count < MAX_REQUEST_HEADERS;
}

/* "www.example.com" of "www.example.com:80" */
static struct str without_port(struct str host)
{
	size_t n = host.n;
	while (n && host.p[n - 1] != ':' && host.p[n - 1] != ']')
		n--;
	return n && host.p[n - 1] == ':' ? str_sub(host, 0, n - 1) : host;
}

static bool check_host(struct message *message)
{
	struct str authority = message->authority;
	if (!message->has_host)
		message->host = authority;
	bool https = message->https_target;
	if (!str_empty(authority) && !str_eq_nocase(without_usual_port(authority, https),
						    without_usual_port(message->host, https)))
		return false;
	message->question.host = without_port(message->host);
	message->is_dubious |= !message->has_host && !message->is_old;
	message->is_dubious |= !all_bytes(message->host, is_host_byte);
	/* What could be taken for a path, or for two hosts. */
	return str_chr(message->host, '/', 0) == message->host.n &&
	       str_chr(message->host, ',', 0) == message->host.n;
}

/* The next field with its continuation lines, which an intermediary turns into blanks. */
static struct str cut_field(struct arena *arena, struct message *message, struct str *rest)
{
	struct str line = cut_line(rest);
	while (!str_empty(line) && rest->n && (rest->p[0] == ' ' || rest->p[0] == '\t')) {
		struct str more = cut_line(rest);
		line = arena_strf(arena, STR_FMT "  " STR_FMT, STR_ARG(line), STR_ARG(more));
		message->is_dubious = true;
	}
	return line;
}

/* False: it is malformed, 400 is right. */
static bool read_message(struct arena *arena, struct message *message, struct str bytes)
{
	struct str rest = bytes;
	if (!read_first_line(message, cut_line(&rest)))
		return false;
	for (;;) {
		struct str field = cut_field(arena, message, &rest);
		if (str_empty(field))
			break;
		if (!read_field(message, field))
			return false;
	}
	return check_host(message);
}

/* ---- headers on their way ---- */

struct fields {
	struct arena *arena;
	struct pair *items; /* lower case; of each name one, values joined */
	size_t count, capacity;
};

static struct pair *fields_find(struct fields *fields, struct str name)
{
	for (size_t i = 0; i < fields->count; i++) {
		if (str_eq_nocase(fields->items[i].key, name))
			return &fields->items[i];
	}
	return NULL;
}

static void fields_set(struct fields *fields, struct str name, struct str value)
{
	struct pair *item = fields_find(fields, name);
	if (item) {
		item->value = value;
		return;
	}
	char *lower = arena_alloc(fields->arena, name.n + 1);
	for (size_t i = 0; i < name.n; i++)
		lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) :
								  name.p[i];
	fields->items = grow(fields->items, fields->count, &fields->capacity,
			     sizeof(*fields->items));
	fields->items[fields->count++] = (struct pair){ { lower, name.n }, value };
}

/* Values may have a NUL. Cookies are joined as HTTP/2 has it. */
static void fields_add(struct fields *fields, struct str name, struct str value)
{
	struct pair *item = fields_find(fields, name);
	if (!item) {
		fields_set(fields, name, value);
		return;
	}
	struct sb joined;
	sb_init(&joined, MAX_QUESTION_BYTES);
	sb_add(&joined, item->value);
	sb_adds(&joined, str_eq_nocase(name, STR("cookie")) ? "; " : ",");
	sb_add(&joined, value);
	item->value = arena_str(fields->arena, sb_str(&joined));
	sb_fini(&joined);
}

static void fields_remove(struct fields *fields, struct str name)
{
	struct pair *item = fields_find(fields, name);
	if (item)
		*item = fields->items[--fields->count];
}

static void fields_modify(struct fields *fields, enum filter_type type,
			  const struct filter *filters, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct header_mod *mod = &filters[i].headers;
		if (filters[i].type != type)
			continue;
		for (size_t k = 0; k < mod->set_count; k++)
			fields_set(fields, mod->set[k].key, mod->set[k].value);
		for (size_t k = 0; k < mod->add_count; k++)
			fields_add(fields, mod->add[k].key, mod->add[k].value);
		for (size_t k = 0; k < mod->remove_count; k++)
			fields_remove(fields, mod->remove[k]);
	}
}

static int cmp_pairs(const void *a, const void *b)
{
	return str_cmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static void fields_print(struct fields *fields, struct str prefix, struct sb *out)
{
	if (fields->count)
		qsort(fields->items, fields->count, sizeof(*fields->items), cmp_pairs);
	for (size_t i = 0; i < fields->count; i++) {
		const struct pair *item = &fields->items[i];
		if (!str_starts(item->key, prefix))
			continue;
		sb_addf(out, "\n" STR_FMT ": ", STR_ARG(item->key));
		sb_add(out, item->value);
	}
	free(fields->items);
}

/* ---- answers ---- */

struct answers {
	struct sb text; /* of the one that is being made */
	struct sb line;
};

static void answers_end(struct answers *answers)
{
	struct str text = sb_str(&answers->text);
	if (answers->line.len)
		sb_addc(&answers->line, '\t');
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c >= ' ' && c < 0x7f && c != '%')
			sb_addc(&answers->line, (char)c);
		else
			sb_addf(&answers->line, "%%%02X", c);
	}
	sb_reset(&answers->text);
}

static void add_status(struct answers *answers, int status)
{
	sb_addf(&answers->text, "status %d", status);
	answers_end(answers);
}

/* explain() cannot tell "/path?" from "/path"; a Location keeps what the request has. */
static void add_redirect(struct answers *answers, const struct message *message, int status,
			 struct str location)
{
	bool blank_query = str_ends(message->target, STR("?")) &&
			   str_empty(message->question.request.query);
	sb_addf(&answers->text, "redirect %d " STR_FMT "%s", status, STR_ARG(location),
		blank_query ? "?" : "");
	answers_end(answers);
}

static void add_request(struct answers *answers, struct arena *arena, const struct message *message,
			const struct rule *rule, const struct explain_target *target)
{
	const struct request *request = &message->question.request;
	const struct backend_ref *ref = target->ref->spec;
	struct fields fields = { .arena = arena };
	for (size_t i = 0; i < request->header_count; i++) {
		if (!str_eq_nocase(request->headers[i].name, STR("host")))
			fields_add(&fields, request->headers[i].name, request->headers[i].value);
	}
	if (message->has_host)
		fields_set(&fields, STR("host"), message->host);
	if (!str_empty(target->host))
		fields_set(&fields, STR("host"), target->host);
	fields_modify(&fields, FILTER_REQUEST_HEADERS, rule->filters, rule->filter_count);
	fields_modify(&fields, FILTER_REQUEST_HEADERS, ref->filters, ref->filter_count);
	fields_add(&fields, STR("x-forwarded-for"), STR("127.0.0.1"));
	fields_remove(&fields, STR("connection")); /* each connection has its own */
	fields_print(&fields, STR_NONE, &answers->text);
}

/* What tests/differential/origin.cfg answers, filtered. */
static void add_response(struct answers *answers, struct arena *arena, const struct rule *rule,
			 const struct backend_ref *ref)
{
	struct fields fields = { .arena = arena };
	fields_set(&fields, STR("x-one"), STR("1"));
	fields_set(&fields, STR("x-two"), STR("2,2"));
	fields_modify(&fields, FILTER_RESPONSE_HEADERS, rule->filters, rule->filter_count);
	fields_modify(&fields, FILTER_RESPONSE_HEADERS, ref->filters, ref->filter_count);
	sb_addc(&answers->text, '\n');
	fields_print(&fields, STR("x-"), &answers->text);
}

static void add_origin(struct answers *answers, const struct message *message,
		       const struct rule *rule, const struct explain_target *target,
		       const char *protocol, uint16_t port)
{
	struct arena *arena = arena_new();
	const struct request *request = &message->question.request;
	struct str path = target->path, query = str_sub(message->target,
							  str_chr(message->target, '?', 0),
							  message->target.n);
	if (str_empty(path))
		path = str_is(message->target, "*") ? message->target : STR("/");
	sb_addf(&answers->text, "origin %u %s " STR_FMT " " STR_FMT STR_FMT, port, protocol,
		STR_ARG(request->method), STR_ARG(path), STR_ARG(query));
	add_request(answers, arena, message, rule, target);
	add_response(answers, arena, rule, target->ref->spec);
	answers_end(answers);
	arena_free(arena);
}

static void add_servers(struct answers *answers, const struct world *world,
			const struct message *message, const struct rule *rule,
			const struct explain_target *target)
{
	struct backend_id id;
	bool known = backend_name_parse(target->backend, &id);
	assert(known);
	(void)known;
	struct backend_view *backend = backend_resolve(world->store, &id, NULL, NULL);
	for (size_t i = 0; i < backend->server_count; i++) {
		if (backend->servers[i].weight)
			add_origin(answers, message, rule, target, backend->h2c ? "h2" : "h1",
				   backend->servers[i].port);
	}
	backend_view_free(backend);
}

static void add_target(struct answers *answers, const struct world *world,
		       const struct message *message, const struct explain_result *result,
		       const struct explain_target *target)
{
	const struct rule_view *rule = &result->winner->route->rules[result->winner->rule];
	if (!str_empty(target->location))
		add_redirect(answers, message, target->status, target->location);
	else if (target->status)
		add_status(answers, target->status);
	else
		add_servers(answers, world, message, rule->spec, target);
}

static void answer(struct answers *answers, const struct world *world, struct message *message)
{
	struct explain_result *result = explain(&world->explained, &message->question);
	const struct explain_outcome *outcome = &result->outcome;
	if (!str_empty(outcome->location))
		add_redirect(answers, message, outcome->status, outcome->location);
	else if (outcome->status)
		add_status(answers, outcome->status);
	else
		for (size_t i = 0; i < outcome->target_count; i++)
			add_target(answers, world, message, result, &outcome->targets[i]);
	explain_free(result);
}

/* Without a certificate for the server name the handshake fails; that of a listener for many
 * hosts serves any name. */
static bool has_certificate(const struct world *world, const struct explain_request *question)
{
	for (size_t i = 0; i < world->gateways->gateway_count; i++) {
		const struct gateway_view *gateway = &world->gateways->gateways[i];
		for (size_t k = 0; k < gateway->listener_count; k++) {
			const struct listener_view *listener = &gateway->listeners[k];
			struct str hostname = listener->spec->hostname;
			if (listener->serves && listener->spec->port == question->port &&
			    (str_empty(hostname) || hostname_is_wildcard(hostname) ||
			     str_eq(hostname, question->sni)))
				return true;
		}
	}
	return false;
}

/* An absolute form may go on with the Host header that came with it, or with its own. */
static void answer_hosts(struct answers *answers, const struct world *world,
			 struct message *message)
{
	struct str host = message->host;
	answer(answers, world, message);
	if (!str_empty(message->authority)) {
		message->host = message->authority;
		answer(answers, world, message);
		message->host = host;
	}
}

/* No path is the same as "/", and not all versions of HAProxy make it so. */
static void answer_paths(struct answers *answers, const struct world *world,
			 struct message *message)
{
	answer_hosts(answers, world, message);
	if (message->lacks_path) {
		message->question.request.path = STR("/");
		answer_hosts(answers, world, message);
	}
}

/* The right answers to one request, as a line. */
static void answer_bytes(struct answers *answers, const struct world *world,
			 struct message *message, struct str bytes)
{
	struct arena *arena = arena_new();
	if (message->question.https && !has_certificate(world, &message->question)) {
		sb_adds(&answers->text, "no handshake");
		answers_end(answers);
	} else if (!read_message(arena, message, bytes)) {
		add_status(answers, 400);
	} else {
		answer_paths(answers, world, message);
		if (message->is_dubious)
			add_status(answers, 400);
	}
	arena_free(arena);
}

/* ---- questions ---- */

static bool read_question(struct message *ret_message, struct str *ret_bytes, char *buffer)
{
	unsigned port, tls;
	size_t length;
	static char sni[512];
	if (scanf("%u %u %511s %zu", &port, &tls, sni, &length) != 4 || getchar() != '\n' ||
	    length > MAX_QUESTION_BYTES || fread(buffer, 1, length, stdin) != length)
		return false;
	*ret_message = (struct message){ .question = { .port = (uint16_t)port, .https = tls } };
	if (strcmp(sni, "-") != 0)
		ret_message->question.sni = str_of(sni);
	*ret_bytes = (struct str){ buffer, length };
	return true;
}

static void answer_all(const struct world *world)
{
	char *buffer = xmalloc(MAX_QUESTION_BYTES);
	struct answers answers;
	struct message message;
	struct str bytes;
	sb_init(&answers.text, MAX_QUESTION_BYTES);
	sb_init(&answers.line, 16 * MAX_QUESTION_BYTES);
	while (read_question(&message, &bytes, buffer)) {
		answer_bytes(&answers, world, &message, bytes);
		puts(sb_str(&answers.line).p);
		sb_reset(&answers.line);
	}
	sb_fini(&answers.text);
	sb_fini(&answers.line);
	free(buffer);
}

int main(int argc, char **argv)
{
	struct world world;
	if (argc != 2) {
		fprintf(stderr, "usage: evaluate DIR <questions >answers\n");
		return 2;
	}
	bool ok = world_load(&world, argv[1]);
	if (ok) {
		world_resolve(&world);
		answer_all(&world);
	}
	world_free(&world);
	return ok ? 0 : 1;
}
