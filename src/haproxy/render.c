/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/render.h"

#include "base/digest.h"
#include "haproxy/template.h"
#include "model/limits.h"

struct render {
	const struct state *state;
	const struct render_options *options;
	struct arena *arena;
	struct str frontend; /* being rendered */
	struct frontend_value value;
	struct str backend;
	bool h2c; /* it speaks that */
	size_t next_server;     /* where those of the next backend may be */
	struct map_entry *slot; /* what may be that of the next server */
	bool schema_only; /* leave out what may differ without harm */
	struct str schema;
};

static struct str number(struct arena *arena, unsigned value)
{
	char text[10], *at = text + sizeof(text); /* printf() takes five times as long */
	do
		*--at = (char)('0' + value % 10);
	while (value /= 10);
	return arena_str(arena, (struct str){ at, (size_t)(text + sizeof(text) - at) });
}

struct str render_cert_path(const struct state *state, struct arena *arena, struct str name)
{
	return arena_strf(arena, "%s/certs/" STR_FMT ".pem", state->run_dir, STR_ARG(name));
}

struct str render_default_path(const struct state *state, struct arena *arena,
			       struct str frontend)
{
	return arena_strf(arena, "%s/certs/" STR_FMT ".default.pem", state->run_dir,
			  STR_ARG(frontend));
}

struct str render_crt_list_path(const struct state *state, struct arena *arena,
				struct str frontend)
{
	return arena_strf(arena, "%s/certs/" STR_FMT ".crt-list", state->run_dir,
			  STR_ARG(frontend));
}

struct str render_map_path(const struct state *state, struct arena *arena, struct str file)
{
	return arena_strf(arena, "%s/maps/" STR_FMT, state->run_dir, STR_ARG(file));
}

struct str render_ask_path(const struct state *state, struct arena *arena, struct str frontend)
{
	/* A frontend's name may be longer than a socket's path. */
	char hex[DIGEST_HEX_BYTES + 1];
	digest_hex(frontend, hex);
	return arena_strf(arena, "%s/ask/%.*s.sock", state->run_dir, DIGEST_SHORT_BYTES, hex);
}

struct str render_sni_filters(struct arena *arena, struct str value)
{
	if (str_empty(value) || str_is(value, "-"))
		return STR("");
	return arena_strf(arena, " " STR_FMT, STR_ARG(value));
}

static void numbered(struct render *r, const struct template_fill *fill, struct str text,
		     unsigned from, unsigned to)
{
	for (unsigned n = from; n <= to; n++) {
		const struct template_value values[] = {
			{ "N", number(r->arena, n) },
			{ "FIELD", number(r->arena, n + 2) },
			{ 0 },
		};
		template_block(fill, values, text);
	}
}

static void when(const struct template_fill *fill, struct str text, bool wanted)
{
	if (wanted)
		template_block(fill, NULL, text);
}

static struct str maps_path(struct render *r)
{
	return arena_strf(r->arena, "%s/maps", r->state->run_dir);
}

/* ---- base ---- */

static void header_line(const struct template_fill *fill, struct str text, struct str dir,
			struct str op, struct str name)
{
	const struct template_value values[] = {
		{ "DIRECTION", str_is(dir, "req") ? STR("request") : STR("response") },
		{ "DIR", dir },
		{ "OP", op },
		{ "NAME", name },
		{ 0 },
	};
	template_block(fill, values, text);
}

static void header_bin_lines(struct render *r, const struct template_fill *fill, struct str text)
{
	static const char *const dirs[] = { "req", "res" }, *const ops[] = { "set", "add", "del" };
	if (!r->state->caps.headers_bin)
		return;
	for (size_t d = 0; d < 2; d++) {
		for (size_t o = 0; o < 3; o++)
			header_line(fill, text, str_of(dirs[d]), str_of(ops[o]), STR_NONE);
	}
}

/* The (direction, operation, name) of all filters, once each, sorted. */
static struct map_entry **header_triples(const struct state *state, struct map **ret_map)
{
	struct map *triples = map_new();
	const struct texts *headers = state->tables[PLAN_HEADER];
	for (size_t i = 0; i < texts_count(headers); i++)
		map_put(triples, state_header_name(texts_key(headers, i)), triples);
	*ret_map = triples;
	return map_sorted(triples);
}

static void header_name_lines(struct render *r, const struct template_fill *fill,
			      struct str text, bool del)
{
	if (r->state->caps.headers_bin)
		return;
	struct map *triples;
	struct map_entry **sorted = header_triples(r->state, &triples);
	for (size_t i = 0; i < map_count(triples); i++) {
		struct str rest = map_key(sorted[i]);
		struct str dir = str_cut(&rest, '/');
		struct str op = str_cut(&rest, '/');
		if (str_is(op, "del") == del)
			header_line(fill, text, dir, op, rest);
	}
	free(sorted);
	map_free(triples, NULL);
}

static bool has_header_lines(const struct render *r)
{
	return r->state->caps.headers_bin || texts_count(r->state->tables[PLAN_HEADER]) > 0;
}

static void base_block(void *user, const struct template_fill *fill, struct str name,
		       struct str text)
{
	struct render *r = user;
	const struct render_options *o = r->options;
	bool wanted = (str_is(name, "USER") && o->user) || (str_is(name, "GROUP") && o->group) ||
		      (str_is(name, "THREADS") && o->threads > 0) ||
		      (str_is(name, "MAXCONN") && o->maxconn > 0) ||
		      (str_is(name, "LOG") && o->log_target) ||
		      (str_is(name, "HOT_MEMORY") && r->state->caps.hot_memory) ||
		      (str_is(name, "ACCESS_LOG") && o->access_log && o->log_target);
	if (wanted)
		template_block(fill, NULL, text);
	else if (str_is(name, "HEADERS"))
		when(fill, text, has_header_lines(r));
	else if (str_is(name, "HEADER_BIN"))
		header_bin_lines(r, fill, text);
	else if (str_is(name, "HEADER_SET"))
		header_name_lines(r, fill, text, false);
	else if (str_is(name, "HEADER_DEL"))
		header_name_lines(r, fill, text, true);
	else if (str_is(name, "REWRITE"))
		template_block(fill, NULL, str_of(template_rewrite_cfg));
	else if (str_is(name, "SEGMENT"))
		numbered(r, fill, text, 0, MAX_REWRITE_SEGMENTS);
}

static void render_base(struct render *r, struct sb *out)
{
	const struct render_options *o = r->options;
	const struct template_value values[] = {
		{ "RUN", str_of(r->state->run_dir) },
		{ "MAPS", maps_path(r) },
		{ "USER", str_of(o->user) },
		{ "GROUP", str_of(o->group) },
		{ "THREADS", number(r->arena, o->threads) },
		{ "MAXCONN", number(r->arena, o->maxconn) },
		{ "LOG_TARGET", str_of(o->log_target) },
		{ "SPOP_MODE", r->state->caps.spop_mode ? STR("spop") : STR("tcp") },
		{ "SCHEMA", r->schema },
		{ 0 },
	};
	struct template_fill fill = { out, values, NULL, base_block, r };
	template_fill(&fill, str_of(template_base_cfg));
}

/* ---- frontends ---- */

static struct str tls_options(struct render *r)
{
	if (!r->value.https)
		return STR("");
	bool has_default = state_get(r->state, PLAN_DEFAULT_CERT, r->frontend).p;
	struct str list = render_crt_list_path(r->state, r->arena, r->frontend);
	return arena_strf(r->arena, " ssl crt-list " STR_FMT " alpn h2,http/1.1%s",
			  STR_ARG(list), has_default ? "" : " strict-sni");
}

/* IPv6 has a socket of its own: in one for both an IPv4 client would be ::ffff:192.0.2.1. */
static struct str bind_address(const struct render *r, struct str address)
{
	struct str port = r->value.bind_port;
	if (r->options->ipv6 && str_is(address, "*"))
		return arena_strf(r->arena, "*:" STR_FMT ",:::" STR_FMT " v6only", STR_ARG(port),
				  STR_ARG(port));
	return arena_strf(r->arena, STR_FMT ":" STR_FMT, STR_ARG(address), STR_ARG(port));
}

static void bind_lines(struct render *r, const struct template_fill *fill, struct str text)
{
	struct str rest = r->value.addresses;
	while (rest.n > 0) {
		struct str address = str_cut(&rest, ',');
		const struct template_value values[] = {
			{ "ADDRESS", bind_address(r, address) },
			{ "TRANSPARENT", r->value.transparent ? STR(" transparent") : STR("") },
			{ "TLS", tls_options(r) },
			{ 0 },
		};
		template_block(fill, values, text);
	}
}

/* The headers that switches.map asks for. */
static void switch_lines(struct render *r, const struct template_fill *fill, struct str text)
{
	if (r->schema_only)
		return;
	struct map *names = map_new();
	const struct texts *switches = r->state->tables[PLAN_SWITCH];
	for (size_t i = 0; i < texts_count(switches); i++) {
		struct str key = texts_key(switches, i), rest = texts_value(switches, i);
		if (str_chr(key, '/', 0) == key.n)
			map_put(names, str_cut(&rest, ' '), names);
	}
	struct map_entry **sorted = map_sorted(names);
	for (size_t i = 0; i < map_count(names) && i < MAX_SWITCH_HEADERS; i++) {
		const struct template_value values[] = { { "NAME", map_key(sorted[i]) }, { 0 } };
		template_block(fill, values, text);
	}
	free(sorted);
	map_free(names, NULL);
}

/* A redirect to the same listener has to name any other. */
static bool is_usual_port(const struct render *r)
{
	return str_is(r->value.port, r->value.https ? "443" : "80");
}

static void record_lines(const struct template_fill *fill, struct str text)
{
	template_block(fill, NULL, str_of(template_record_cfg));
	template_block(fill, NULL, text);
}

static void frontend_block(void *user, const struct template_fill *fill, struct str name,
			   struct str text)
{
	struct render *r = user;
	if (str_is(name, "BIND"))
		bind_lines(r, fill, text);
	else if (str_is(name, "TLS_ACLS") || str_is(name, "TLS"))
		when(fill, text, r->value.https);
	else if (str_is(name, "HTTP"))
		when(fill, text, !r->value.https);
	else if (str_is(name, "LABEL") || str_is(name, "LISTENER"))
		numbered(r, fill, text, 2, MAX_WILDCARD_LABELS + 1);
	else if (str_is(name, "RECORD"))
		record_lines(fill, text);
	else if (str_is(name, "PORT"))
		when(fill, text, !is_usual_port(r));
	else if (str_is(name, "ROUND"))
		template_block(fill, NULL, str_of(template_round_cfg));
	else if (str_is(name, "MORE_ROUNDS"))
		numbered(r, fill, str_of(template_round_cfg), 2, MAX_LIST_SEGMENTS);
	else if (str_is(name, "SWITCH"))
		switch_lines(r, fill, text);
	else if (str_is(name, "STREAM_TIMEOUT"))
		when(fill, text, r->state->caps.client_timeout);
	else if (str_is(name, "HOST_CHECK"))
		when(fill, text, !r->state->caps.checks_host);
	else if (str_is(name, "SPARE"))
		when(fill, text, !r->state->caps.add_backend);
}

static void render_frontend(struct render *r, struct sb *out)
{
	const struct template_value values[] = {
		{ "FRONTEND", r->frontend },
		{ "RUN", str_of(r->state->run_dir) },
		{ "MAPS", maps_path(r) },
		{ "PORT", r->value.port },
		{ "ASK", render_ask_path(r->state, r->arena, r->frontend) },
		{ 0 },
	};
	struct template_fill fill = { out, values, NULL, frontend_block, r };
	sb_addc(out, '\n');
	template_fill(&fill, str_of(template_frontend_cfg));
}

static void render_frontends(struct render *r, struct sb *out)
{
	const struct texts *frontends = r->state->tables[PLAN_FRONTEND];
	for (size_t i = 0; i < texts_count(frontends); i++) {
		r->frontend = texts_key(frontends, i);
		if (!map_get(r->state->blocked, r->frontend) &&
		    frontend_parse(texts_value(frontends, i), &r->value))
			render_frontend(r, out);
	}
}

/* ---- backends ---- */

static struct str server_options(const struct render *r, struct str key)
{
	if (str_is(state_map_str(r->state->overrides, key), "maint"))
		return r->h2c ? STR(" proto h2 disabled") : STR(" disabled");
	return r->h2c ? STR(" proto h2") : STR("");
}

static void server_line(struct render *r, const struct template_fill *fill, struct str text,
			size_t i)
{
	const struct texts *servers = r->state->tables[PLAN_SERVER];
	struct str backend, name, key = texts_key(servers, i);
	struct server_value server;
	server_key_split(key, &backend, &name);
	if (!server_parse(texts_value(servers, i), &server))
		return;
	const struct slot *slot = state_next_slot(r->state, key, &r->slot);
	/* Until it is told: no word of the configuration drains. */
	bool drained = str_is(state_map_str(r->state->overrides, key), "drain");
	const struct template_value values[] = {
		{ "SERVER", name },
		{ "ADDRESS", server.endpoint },
		{ "WEIGHT", number(r->arena, drained ? 0 : (unsigned)server.weight) },
		{ "ID", number(r->arena, slot ? slot->id : 1) },
		{ "OPTIONS", server_options(r, key) },
		{ 0 },
	};
	template_block(fill, values, text);
}

static void backend_block(void *user, const struct template_fill *fill, struct str name,
			  struct str text)
{
	struct render *r = user;
	(void)name;
	if (str_empty(r->backend))
		return;
	struct str prefix = arena_join(r->arena, r->backend, '/', STR(""));
	const struct texts *servers = r->state->tables[PLAN_SERVER];
	/* "a-b/x" sorts before "a/x": no walk over both tables at once would do. */
	size_t i = texts_find_near(servers, prefix, r->next_server);
	while (i < texts_count(servers) && str_starts(texts_key(servers, i), prefix))
		server_line(r, fill, text, i++);
	r->next_server = i;
}

static void render_backend(struct render *r, struct str name, struct sb *out)
{
	const struct template_value values[] = { { "BACKEND", name }, { 0 } };
	struct template_fill fill = { out, values, NULL, backend_block, r };
	template_fill(&fill, str_of(template_backend_cfg));
}

static void render_backends(struct render *r, struct sb *out)
{
	const struct texts *backends = r->state->tables[PLAN_BACKEND];
	sb_addc(out, '\n');
	for (size_t i = 0; i < texts_count(backends); i++) {
		r->backend = texts_key(backends, i);
		r->h2c = str_is(texts_value(backends, i), "h2c");
		render_backend(r, r->backend, out);
	}
	r->backend = STR_NONE;
	for (unsigned i = 0; i < r->state->spare_count; i++)
		render_backend(r, arena_strf(r->arena, "spare-%u", i), out);
}

/* ---- whole files ---- */

void render_cfg(const struct state *state, const struct render_options *options,
		struct sb *out)
{
	struct render r = { .state = state, .options = options, .arena = arena_new() };
	r.schema = render_schema(state, options, r.arena);
	render_base(&r, out);
	render_frontends(&r, out);
	render_backends(&r, out);
	arena_free(r.arena);
}

void render_spoe(struct sb *out)
{
	sb_adds(out, template_agent_spoe);
}

void render_crt_list(const struct state *state, struct str frontend, struct sb *out)
{
	struct arena *arena = arena_new();
	/* The first line is served when no filter matches; "!*" keeps it from matching. */
	if (state_get(state, PLAN_DEFAULT_CERT, frontend).p) {
		struct str path = render_default_path(state, arena, frontend);
		sb_addf(out, STR_FMT " !*\n", STR_ARG(path));
	}
	struct str prefix = arena_strf(arena, STR_FMT " ", STR_ARG(frontend));
	const struct texts *names = state->tables[PLAN_SNI];
	for (size_t i = texts_find(names, prefix); i < texts_count(names); i++) {
		struct str key = texts_key(names, i);
		if (!str_starts(key, prefix))
			break;
		struct str name = str_sub(key, prefix.n, key.n);
		if (!state_get(state, PLAN_CERTIFICATE, name).p)
			continue;
		struct str path = render_cert_path(state, arena, name);
		struct str filters = render_sni_filters(arena, texts_value(names, i));
		sb_addf(out, STR_FMT STR_FMT "\n", STR_ARG(path), STR_ARG(filters));
	}
	arena_free(arena);
}

struct str render_schema(const struct state *state, const struct render_options *options,
			 struct arena *arena)
{
	struct render r = { .state = state, .options = options, .arena = arena_new(),
			    .schema_only = true, .schema = STR("") };
	char hex[DIGEST_HEX_BYTES + 1];
	struct sb sb;
	sb_init(&sb, 1 << 28);
	render_base(&r, &sb);
	render_frontends(&r, &sb);
	render_spoe(&sb);
	sb_addf(&sb, "spares %u\n", state->spare_count);
	digest_hex(sb_str(&sb), hex);
	sb_fini(&sb);
	arena_free(r.arena);
	return arena_strf(arena, "%s %u", hex, state->spare_count);
}

bool render_needs_reload(const struct state *state, const struct change *change, char *text,
			 size_t text_bytes)
{
	switch (change->table) {
	case PLAN_FRONTEND:
		snprintf(text, text_bytes, "frontend " STR_FMT, STR_ARG(change->key));
		return true;
	case PLAN_LISTENER:
		snprintf(text, text_bytes, "listener " STR_FMT, STR_ARG(change->key));
		return true;
	case PLAN_DEFAULT_CERT:
		snprintf(text, text_bytes, "default certificate of " STR_FMT,
			 STR_ARG(change->key));
		return change->op != CHANGE_SET;
	case PLAN_HEADER: {
		struct str rest = state_header_name(change->key);
		str_cut(&rest, '/');
		str_cut(&rest, '/');
		snprintf(text, text_bytes, "header name " STR_FMT, STR_ARG(rest));
		return change->op == CHANGE_ADD && !state->caps.headers_bin &&
		       !map_get(state->header_names, state_header_name(change->key));
	}
	default:
		return false;
	}
}
