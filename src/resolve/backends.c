/* SPDX-License-Identifier: Apache-2.0 */
/* The servers behind a Service's port or a Backend, and the names of backends. */
#include "resolve/view.h"

#include <assert.h>

enum {
	SERVER_WEIGHT = 1,        /* endpoints of a Service are equals */
	SERVER_WEIGHT_MAX = 256,  /* HAProxy's */
	SHARE_UNIT = 1000 * 1000, /* a weight of 1, before a name's addresses share it */
};

/* A server before it has its name. */
struct candidate {
	struct str pod; /* may be empty */
	struct str address;
	bool ipv6;
	uint16_t port;
	uint64_t share; /* weight in SHARE_UNITs */
};

struct candidates {
	struct candidate *items;
	size_t count, capacity;
};

static void candidates_add(struct candidates *candidates, struct candidate candidate)
{
	candidate.ipv6 = str_chr(candidate.address, ':', 0) < candidate.address.n;
	candidates->items = grow(candidates->items, candidates->count, &candidates->capacity,
				 sizeof(*candidates->items));
	candidates->items[candidates->count++] = candidate;
}

static int cmp_where(const struct candidate *a, const struct candidate *b)
{
	int order = (int)a->ipv6 - (int)b->ipv6;
	if (order == 0)
		order = str_cmp(a->address, b->address);
	return order ? order : (int)a->port - (int)b->port;
}

/* By pod, IPv4 first; those without a pod by address. */
static int cmp_candidates(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	int order = cmp_where(left, right);
	int by_pod = str_cmp(left->pod, right->pod);
	return by_pod ? by_pod : order;
}

/* By address; of one address, that with a pod first. */
static int cmp_addresses(const void *a, const void *b)
{
	int order = cmp_where(a, b);
	const struct candidate *left = a, *right = b;
	return order ? order : str_cmp(right->pod, left->pod);
}

/* ---- from EndpointSlices ---- */

static uint16_t slice_port(const struct endpoint_slice *slice, struct str name)
{
	for (size_t i = 0; i < slice->port_count; i++) {
		const struct endpoint_port *port = &slice->ports[i];
		if (str_eq(port->name, name) && str_is(port->protocol, "TCP"))
			return port->port;
	}
	return 0;
}

static void collect_slice(const struct endpoint_slice *slice, struct str port_name,
			  struct candidates *candidates)
{
	uint16_t port = slice_port(slice, port_name);
	for (size_t i = 0; port && i < slice->endpoint_count; i++) {
		const struct endpoint *endpoint = &slice->endpoints[i];
		if (endpoint->ready)
			candidates_add(candidates, (struct candidate){
							   .pod = endpoint->pod_name,
							   .address = endpoint->address,
							   .port = port,
							   .share = SHARE_UNIT * SERVER_WEIGHT });
	}
}

/* ---- from Backends ---- */

static void collect_name(struct backend_view *view, const struct object *object, size_t index,
			 lookup_fn lookup, void *user, struct candidates *candidates)
{
	const struct backend_address *address = &object->backend.addresses[index];
	struct name_addresses found = { 0 };
	if (!lookup || !lookup(user, address->host, &found)) {
		char field[64];
		snprintf(field, sizeof(field), "spec.addresses[%zu]", index);
		findings_add(&view->findings, SEVERITY_INFO, KIND_BACKEND, &object->meta, field,
			     "NameNotResolved",
			     "No address is known yet for the name " STR_FMT ". If this stays, check "
			     "the name and the DNS servers.", STR_ARG(address->host));
		return;
	}
	for (size_t i = 0; i < found.count; i++)
		candidates_add(candidates,
			       (struct candidate){
				       .address = found.addresses[i],
				       .port = address->port,
				       .share = (uint64_t)address->weight * SHARE_UNIT /
						found.count });
}

static void collect_backend(struct backend_view *view, const struct object *object, uint16_t port,
			    lookup_fn lookup, void *user, struct candidates *candidates)
{
	const struct backend *backend = &object->backend;
	for (size_t i = 0; i < backend->address_count; i++) {
		const struct backend_address *address = &backend->addresses[i];
		if (port && address->port != port)
			continue;
		if (address->is_name)
			collect_name(view, object, i, lookup, user, candidates);
		else
			candidates_add(candidates, (struct candidate){
							   .address = address->host,
							   .port = address->port,
							   .share = (uint64_t)address->weight *
								    SHARE_UNIT });
	}
}

/* ---- candidates to servers ---- */

/* Each address and port once; what is named twice gets both shares, except endpoints: slices
 * may overlap while Kubernetes moves endpoints between them. */
static void drop_duplicates(struct candidates *candidates, bool add_shares)
{
	size_t kept = 0;
	if (candidates->count == 0)
		return;
	qsort(candidates->items, candidates->count, sizeof(*candidates->items), cmp_addresses);
	for (size_t i = 1; i < candidates->count; i++) {
		if (cmp_where(&candidates->items[i], &candidates->items[kept]) == 0)
			candidates->items[kept].share +=
				add_shares ? candidates->items[i].share : 0;
		else
			candidates->items[++kept] = candidates->items[i];
	}
	candidates->count = kept + 1;
}

/* A pod of a dual-stack Service is in a slice for each family: it is one server, by its IPv4
 * address. */
static void merge_families(struct candidates *candidates)
{
	size_t kept = 0;
	if (candidates->count == 0)
		return;
	qsort(candidates->items, candidates->count, sizeof(*candidates->items), cmp_candidates);
	size_t first = 0; /* of the pod */
	for (size_t i = 0; i < candidates->count; i++) {
		const struct candidate *item = &candidates->items[i];
		if (kept == 0 || !str_eq(candidates->items[first].pod, item->pod))
			first = kept;
		else if (!str_empty(item->pod) && item->ipv6 && !candidates->items[first].ipv6)
			continue;
		candidates->items[kept++] = *item;
	}
	candidates->count = kept;
}

static bool valid_server_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == ':' || c == '.' || c == '-'))
			return false;
	}
	return name.n > 0;
}

static struct str server_name(struct arena *arena, const struct candidates *candidates, size_t index)
{
	const struct candidate *candidate = &candidates->items[index];
	bool first = index == 0 || !str_eq(candidates->items[index - 1].pod, candidate->pod);
	if (first && valid_server_name(candidate->pod))
		return arena_str(arena, candidate->pod);
	return arena_strf(arena, STR_FMT "-%u", STR_ARG(candidate->address), candidate->port);
}

static uint64_t largest_share(const struct candidates *candidates)
{
	uint64_t largest = 0;
	for (size_t i = 0; i < candidates->count; i++) {
		if (candidates->items[i].share > largest)
			largest = candidates->items[i].share;
	}
	return largest;
}

static bool shares_are_weights(const struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++) {
		if (candidates->items[i].share % SHARE_UNIT != 0)
			return false;
	}
	return largest_share(candidates) <= (uint64_t)SERVER_WEIGHT_MAX * SHARE_UNIT;
}

/* Weights stay as written when they can; else the largest becomes HAProxy's maximum. Only 0
 * becomes 0. */
static uint32_t scale_share(uint64_t share, uint64_t largest, bool as_written)
{
	if (share == 0)
		return 0;
	if (as_written)
		return (uint32_t)(share / SHARE_UNIT);
	uint64_t scaled = (share * SERVER_WEIGHT_MAX + largest / 2) / largest;
	return scaled ? (uint32_t)scaled : 1;
}

static int cmp_servers(const void *a, const void *b)
{
	const struct server_view *left = a, *right = b;
	int order = str_cmp(left->name, right->name);
	if (order == 0)
		order = str_cmp(left->address, right->address);
	return order ? order : (int)left->port - (int)right->port;
}

/* A pod may be called like another one's "address-port"; '_' is in no pod's name. */
static void make_names_unique(struct backend_view *view)
{
	qsort(view->servers, view->server_count, sizeof(*view->servers), cmp_servers);
	for (size_t i = view->server_count; i-- > 1;) {
		struct server_view *server = &view->servers[i];
		if (str_eq(server->name, view->servers[i - 1].name))
			server->name = arena_strf(view->arena, STR_FMT "_%zu",
						  STR_ARG(server->name), i);
	}
	qsort(view->servers, view->server_count, sizeof(*view->servers), cmp_servers);
}

static void make_servers(struct backend_view *view, const struct candidates *candidates)
{
	uint64_t largest = largest_share(candidates);
	bool as_written = shares_are_weights(candidates);
	view->servers = arena_array(view->arena, candidates->count, sizeof(*view->servers));
	for (size_t i = 0; i < candidates->count; i++) {
		const struct candidate *candidate = &candidates->items[i];
		view->servers[view->server_count++] = (struct server_view){
			.name = server_name(view->arena, candidates, i),
			.address = arena_str(view->arena, candidate->address),
			.port = candidate->port,
			.weight = scale_share(candidate->share, largest, as_written),
		};
	}
	if (view->server_count > 1)
		make_names_unique(view);
}

/* ---- all together ---- */

static bool backend_has_port(const struct backend *backend, uint16_t port)
{
	for (size_t i = 0; i < backend->address_count; i++) {
		if (port == 0 || backend->addresses[i].port == port)
			return true;
	}
	return port == 0;
}

static struct backend_view *view_new(const struct backend_id *id, struct str app_protocol)
{
	struct arena *arena = arena_new();
	struct backend_view *view = arena_alloc(arena, sizeof(*view));
	view->arena = arena;
	view->name = backend_name(arena, id);
	view->h2c = id->grpc || str_is(app_protocol, APP_PROTOCOL_H2C);
	findings_init(&view->findings, arena);
	return view;
}

static struct backend_view *resolve_service(const struct store *store, const struct object *object,
					    const struct backend_id *id)
{
	const struct service_port *service_port = service_find_port(&object->service, id->port);
	struct candidates candidates = { 0 };
	size_t count;
	if (!service_port || !str_is(service_port->protocol, "TCP") ||
	    object->service.external_name)
		return NULL;
	struct backend_view *view = view_new(id, service_port->app_protocol);
	const struct object *const *slices = store_slices(store, id->ns, id->name, &count);
	for (size_t i = 0; i < count; i++)
		collect_slice(&slices[i]->endpoint_slice, service_port->name, &candidates);
	drop_duplicates(&candidates, false);
	merge_families(&candidates);
	make_servers(view, &candidates);
	free(candidates.items);
	return view;
}

struct backend_view *backend_resolve(const struct store *store, const struct backend_id *id,
				     lookup_fn lookup, void *user)
{
	assert(id->kind == KIND_SERVICE || id->kind == KIND_BACKEND);
	const struct object *object = store_get(store, id->kind, id->ns, id->name);
	if (!object)
		return NULL;
	if (id->kind == KIND_SERVICE)
		return resolve_service(store, object, id);
	if (!backend_has_port(&object->backend, id->port))
		return NULL;
	struct candidates candidates = { 0 };
	struct backend_view *view = view_new(id, object->backend.app_protocol);
	collect_backend(view, object, id->port, lookup, user, &candidates);
	drop_duplicates(&candidates, true);
	make_servers(view, &candidates);
	free(candidates.items);
	return view;
}

void backend_view_free(struct backend_view *view)
{
	if (view)
		arena_free(view->arena);
}

/* ---- names ---- */

#define GRPC_SUFFIX "-grpc"

struct str backend_name(struct arena *arena, const struct backend_id *id)
{
	return arena_strf(arena, STR_FMT "%c" STR_FMT ".%u%s", STR_ARG(id->ns),
			  id->kind == KIND_BACKEND ? ':' : '.', STR_ARG(id->name), id->port,
			  id->grpc ? GRPC_SUFFIX : "");
}

/* Namespaces and ports hold no dots, names may. */
bool backend_name_parse(struct str backend, struct backend_id *ret_id)
{
	/* A namespace has neither: the first of them tells the kind. */
	size_t first = 0, port_at = str_behind_last(backend, '.');
	uint64_t port;
	while (first < backend.n && backend.p[first] != '.' && backend.p[first] != ':')
		first++;
	if (first == 0 || port_at < first + 3)
		return false;
	struct str last = str_sub(backend, port_at, backend.n);
	bool grpc = str_ends(last, STR(GRPC_SUFFIX));
	if (grpc)
		last.n -= strlen(GRPC_SUFFIX);
	if (!str_u64(last, UINT16_MAX, &port))
		return false;
	*ret_id = (struct backend_id){
		.kind = backend.p[first] == ':' ? KIND_BACKEND : KIND_SERVICE,
		.ns = str_sub(backend, 0, first),
		.name = str_sub(backend, first + 1, port_at - 1),
		.port = (uint16_t)port,
		.grpc = grpc,
	};
	return true;
}
