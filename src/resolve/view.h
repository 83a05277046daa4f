/* SPDX-License-Identifier: Apache-2.0 */
/* What the objects mean together: attachment, references, grants, conflicts.
 *
 *   store ──► gateways_resolve() ──► struct gateways_view ─┐
 *         └─► route_resolve() ◄────────────────────────────┘──► struct route_view
 *
 * Views are plain data in their own arena. A gateways_view borrows from the Gateway objects;
 * a route_view borrows from its own route's object and from the gateways_view it was made
 * with, and copies everything else. So a route's view must be remade when its route, any
 * Gateway-side object (Gateway, GatewayClass, GatewayParameters, Namespace, ReferenceGrant,
 * Secret, the Service of a Gateway), or one of the objects in its `needs` changes, and at no other
 * time.
 *
 * Pure: the only clock is the now_s passed in, and it is used for certificate warnings. */
#pragma once

#include "model/finding.h"
#include "model/store.h"

struct address_pool;

struct condition {
	const char *type;   /* "Accepted", "Programmed", "ResolvedRefs", ... */
	bool status;        /* True or False */
	const char *reason; /* CamelCase, the specification's */
	struct str message;
};

enum { MAX_CONDITIONS = 5 }; /* a listener can have all of them */

struct conditions {
	struct condition items[MAX_CONDITIONS];
	size_t count;
};

/* Sets (or replaces) one condition by type; message is borrowed. */
void conditions_set(struct conditions *conditions, const char *type, bool status,
		    const char *reason, struct str message);
const struct condition *conditions_get(const struct conditions *conditions, const char *type);

struct resolve_options {
	int64_t now_s;     /* wall clock, for certificates' validity */
	struct str controller_name; /* CONTROLLER_NAME unless a user changed it */
	/* Each Gateway has a Service in this namespace, whose target ports it binds; empty: they
	 * bind their listeners' ports. */
	struct str service_ns;
	/* Each Gateway has addresses of this pool, which it binds; NULL: there is none. */
	const struct address_pool *pool;
	bool addresses_told; /* Gateways are reached where somebody else knows, not the Service */
	const struct service_parameters *service_defaults; /* unless others say else; may be NULL */
};

struct need { /* an object, there or not, whose change remakes the view */
	enum kind kind;
	struct str ns, name;
};

/* ---- Gateways ---- */

struct certificate_view {
	struct str name;   /* "default.web-cert": names the file and HAProxy's store entry */
	struct str digest; /* of the PEM */
	struct str ns, secret;
	struct str *names; /* DNS names of the certificate */
	size_t name_count;
};

struct listener_view {
	const struct listener *spec;
	struct conditions conditions; /* Accepted, Programmed, ResolvedRefs, Conflicted, ... */
	bool serves;     /* part of a frontend: accepted, not conflicted, refs resolved */
	bool takes_routes; /* routes may attach: a supported protocol, even if not serving */
	struct str frontend; /* name of the frontend it is part of; empty: none */
	uint16_t bind_port;  /* 0: none, or none yet */
	struct certificate_view *certificates; /* HTTPS; those that resolved */
	size_t certificate_count;
	uint32_t kinds; /* supportedKinds: the kind_bit() of each */
	uint32_t attached_routes; /* counted by whoever keeps the routes (plan/hosts.c) */
};

/* One bind group: a Gateway's listeners of one port. */
struct frontend_view {
	struct str name; /* "default.web.8080": namespace.gateway.port */
	struct str ns, gateway;
	uint16_t port;	    /* the listeners', which clients see */
	uint16_t bind_port; /* the one of HAProxy */
	bool tls;
	bool transparent; /* bound even while this host does not have the address */
	struct str addresses[MAX_ADDRESSES]; /* what to bind; "*" alone: everything */
	size_t address_count;
	struct listener_view *listeners[MAX_LISTENERS]; /* those that serve; by spec order */
	size_t listener_count;
};

struct class_view {
	const struct object *object;
	struct conditions conditions;
	const struct gateway_parameters *parameters; /* NULL: none */
	bool parameters_missing; /* those that it refers to: nobody knows what is wanted */
};

/* What a Gateway has of the address pool. */
struct pool_share {
	struct str addresses[MAX_ADDRESSES];
	bool recorded[MAX_ADDRESSES]; /* in its status: only these are bound */
	size_t count, recorded_count;
	const char *reason; /* why it is not all that the Gateway asks for; NULL: it is */
	struct str text;
};

struct gateway_view {
	const struct object *object;
	const struct class_view *class;
	struct conditions conditions;
	struct listener_view *listeners; /* one per spec listener, same order */
	size_t listener_count;
	struct frontend_view *frontends;
	size_t frontend_count;
	struct gateway_address *addresses; /* where it is reached, as far as is known */
	size_t address_count;
	struct pool_share *share; /* NULL: there is no pool */
	struct str service_name;      /* of its Service; empty: it is to have none */
	const struct object *service; /* NULL: it has none yet */
	struct service_parameters parameters; /* what the Service is to be like */
};

struct gateways_view {
	struct arena *arena;
	struct gateway_view *gateways; /* of our classes only, ordered by namespace, name */
	size_t gateway_count;
	struct class_view *classes; /* with our controllerName */
	size_t class_count;
	struct need *needs; /* Secrets that listeners refer to, and may; some twice */
	size_t need_count, need_capacity;
	struct findings findings;
	const struct store *store; /* Namespaces, ReferenceGrants are read from it */
	struct str service_ns;	   /* as in the options */
	bool own_addresses; /* each Gateway has some, of a Service or the pool, and so can do more */
};

struct gateways_view *gateways_resolve(const struct store *store,
				       const struct resolve_options *options);
void gateways_free(struct gateways_view *view);

const struct gateway_view *gateways_find(const struct gateways_view *view, struct str ns,
					 struct str name);
const struct class_view *gateways_find_class(const struct gateways_view *view, struct str name);

/* The name of a Gateway's Service: "NAMESPACE--NAME" where that can be one and can be no other's,
 * else a beginning of it and a digest. */
struct str gateway_service_name(struct arena *arena, struct str ns, struct str name);

/* A text as a label's value: itself with '_' for '/', where that can be one and can be no other's,
 * else a beginning of it and a digest. */
struct str label_value_of(struct arena *arena, struct str text);

/* Where a Service is reached: what its load balancer has given, or its cluster's addresses; the
 * number of them. Borrowed from it. */
size_t service_given_addresses(const struct gateway_service *service,
			       struct gateway_address ret_addresses[MAX_ADDRESSES]);

/* Whether a Gateway's view depends on that Service, there or not. */
bool gateways_use_service(const struct gateways_view *view, struct str ns, struct str name);

/* True when a ReferenceGrant in ns lets objects like `from` refer to that one, there or not;
 * always true inside one namespace. */
bool reference_allowed(const struct store *store, const struct object *from, enum kind kind,
		       struct str ns, struct str name);

/* ---- Routes ---- */

/* One listener that a route is attached to, with the hostnames that intersect. */
struct attachment {
	const struct gateway_view *gateway;
	struct listener_view *listener;
	struct str *hostnames; /* sorted; "" is every host; narrowed to the listener's */
	size_t hostname_count;
};

struct parent_view {
	const struct parent_ref *ref;
	struct conditions conditions; /* Accepted, ResolvedRefs */
	struct attachment *attachments; /* none when not accepted */
	size_t attachment_count;
};

enum ref_state {
	REF_OK = 0,
	REF_INVALID, /* its share of requests gets error_status; the reason is in the conditions */
};

struct ref_view {
	const struct backend_ref *spec;
	enum ref_state state;
	/* REF_OK: what identifies the backend, see backend_view */
	struct str backend; /* "default.web.8080" */
};

struct rule_view {
	const struct rule *spec;
	struct str name; /* "default/store/0": route_key() and index */
	struct ref_view *refs; /* one per spec ref, same order */
	size_t ref_count;
	uint64_t bad_matches; /* bit per match: with a bad regular expression, it never matches */
	bool broken; /* a filter that cannot be honoured, or a bad match */
	/* What requests get of a rule that is broken or has no valid backendRef, and the shares of
	 * its invalid ones: 500; 503 of a GRPCRoute, which is UNAVAILABLE for gRPC. */
	unsigned error_status;
};

struct route_view {
	struct arena *arena;
	const struct object *object;
	struct parent_view *parents; /* only parents that are Gateways of ours */
	size_t parent_count;
	struct rule_view *rules;
	size_t rule_count;
	struct need *needs; /* Services, Backends */
	size_t need_count;
	struct findings findings;
};

struct route_view *route_resolve(const struct gateways_view *gateways,
				 const struct store *store, const struct object *route);
void route_view_free(struct route_view *view);

/* ---- Backends ---- */

struct server_view {
	struct str name;    /* pod's name, or address and port: unique in the backend */
	struct str address; /* "10.0.0.1", "2001:db8::1" */
	uint16_t port;
	uint32_t weight; /* 1..256; 0 drains */
};

struct backend_view {
	struct arena *arena;
	struct str name;  /* as in ref_view.backend */
	bool h2c;         /* HTTP/2 with prior knowledge to the servers */
	struct server_view *servers; /* sorted by name */
	size_t server_count;
	struct findings findings;
};

/* DNS names of Backend objects resolve through this; the daemon fills it from c-ares. */
struct name_addresses {
	const struct str *addresses; /* sorted */
	size_t count;
};
/* Returns false when nothing is known of the name yet. */
typedef bool (*lookup_fn)(void *user, struct str host, struct name_addresses *ret_addresses);

/* What identifies a backend. */
struct backend_id {
	enum kind kind; /* KIND_SERVICE, KIND_BACKEND */
	struct str ns, name;
	uint16_t port; /* 0: a Backend's reference without one */
	bool grpc; /* h2c is spoken because a GRPCRoute refers to it, not because it says so */
};

/* "namespace.name.port" for a Service, "namespace:name.port" for a Backend, with "-grpc" behind
 * it: "default:legacy.8080", "default.greeter.9000-grpc". HAProxy allows no other signs. */
struct str backend_name(struct arena *arena, const struct backend_id *id);
/* The reverse of backend_name(); slices are borrowed. */
bool backend_name_parse(struct str backend, struct backend_id *ret_id);

/* The servers behind a backend. NULL when the object or its port does not exist. Only ready
 * endpoints; when none is ready, terminating ones that still serve are not used either: the
 * backend is empty and HAProxy answers 503. */
struct backend_view *backend_resolve(const struct store *store, const struct backend_id *id,
				     lookup_fn lookup, void *user);
void backend_view_free(struct backend_view *view);
