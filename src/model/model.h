/* SPDX-License-Identifier: Apache-2.0 */
/* Gateway API and core objects as plain structs: only what Tidegate uses.
 *
 * decode/ makes them from JSON and checks everything that an API server's CRD validation
 * would check, so that code behind it may rely on the schema (enums, limits, patterns).
 * All slices live in the object's arena; objects are never changed once made.
 * Defaults of the CRDs are filled in (no matches: one match for the prefix "/", ...). */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "model/limits.h"

enum kind {
	KIND_NONE = 0,
	KIND_GATEWAYCLASS,
	KIND_GATEWAY,
	KIND_HTTPROUTE,
	KIND_GRPCROUTE,
	KIND_REFERENCEGRANT,
	KIND_NAMESPACE,
	KIND_SERVICE,
	KIND_ENDPOINTSLICE,
	KIND_SECRET,
	KIND_CONFIGMAP,
	KIND_BACKEND, /* tidegate.io/v1alpha1 */
	KIND_GATEWAYPARAMETERS, /* the same */
	KIND_COUNT,
	FIRST_ROUTE_KIND = KIND_HTTPROUTE,
	LAST_ROUTE_KIND = KIND_GRPCROUTE,
};

struct kind_info {
	const char *name;  /* "HTTPRoute" */
	const char *group; /* "gateway.networking.k8s.io"; "" is the core group */
	const char *versions[3]; /* the served versions that are read; NULL-terminated */
	bool namespaced;
};
extern const struct kind_info kind_table[KIND_COUNT]; /* [KIND_NONE] is empty */

/* KIND_NONE when we do not read it. version is not looked at. */
enum kind kind_find(struct str group, struct str name);

/* Those of struct route. */
static inline bool kind_is_route(enum kind kind)
{
	return kind >= FIRST_ROUTE_KIND && kind <= LAST_ROUTE_KIND;
}

/* For sets of kinds. */
static inline uint32_t kind_bit(enum kind kind)
{
	return UINT32_C(1) << kind;
}

/* Of GROUP_TIDEGATE. */
static inline bool kind_is_ours(enum kind kind)
{
	return kind == KIND_BACKEND || kind == KIND_GATEWAYPARAMETERS;
}

#define CONTROLLER_NAME "tidegate.io/gateway-controller"
#define GROUP_GATEWAY "gateway.networking.k8s.io"
#define GROUP_TIDEGATE "tidegate.io"

/* What a Service's port, or a Backend, says of its servers. */
#define APP_PROTOCOL_H2C "kubernetes.io/h2c"
#define APP_PROTOCOL_WS "kubernetes.io/ws"

/* Labels of the Services that Tidegate makes for Gateways. */
#define LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define MANAGED_BY "tidegate"
#define LABEL_GATEWAY_NAME GROUP_GATEWAY "/gateway-name"
#define LABEL_GATEWAY_NAMESPACE GROUP_TIDEGATE "/gateway-namespace"
#define LABEL_CONTROLLER GROUP_TIDEGATE "/controller"

struct pair {
	struct str key, value;
};

struct meta {
	struct str ns; /* empty for cluster-scoped kinds; "default" when the file has none */
	struct str name;
	int64_t created_s;  /* seconds since 1970; objects of files without one: 0 */
	int64_t generation; /* of files: counted up by the source at each change */
	struct pair *labels;
	size_t label_count;
	struct str origin; /* "routes.yaml:12", or empty */
};

/* The value of a label; false when it is not set. */
bool meta_label(const struct meta *meta, struct str key, struct str *ret_value);

/* Order of lists: by namespace, then name. <0, 0, >0. */
int meta_cmp_name(const struct meta *meta, struct str ns, struct str name);

/* Age order of the specification: older first, then "namespace/name". <0, 0, >0. */
int meta_cmp_age(const struct meta *a, const struct meta *b);

struct object_ref {
	struct str group, kind, ns, name; /* ns: filled with the referrer's when absent */
};

/* ---- Gateway, GatewayClass, GatewayParameters ---- */

struct gateway_class {
	struct str controller_name;
	struct object_ref parameters; /* its ns may be empty; kind empty: none */
};

enum tristate { NOT_SAID = 0, SAID_FALSE, SAID_TRUE };

/* What Gateways' Services are like, as in a Service's spec. Empty: not said. */
struct service_parameters {
	struct str type;
	struct str load_balancer_class;
	struct str external_traffic_policy, internal_traffic_policy;
	struct str ip_family_policy;
	struct str *ip_families;
	size_t ip_family_count;
	struct str *source_ranges;
	size_t source_range_count;
	enum tristate allocate_node_ports; /* of a load balancer's */
	struct pair *labels, *annotations;
	size_t label_count, annotation_count;
};

struct gateway_parameters { /* tidegate.io/v1alpha1 GatewayParameters */
	struct service_parameters service;
};


struct selector_expr {
	struct str key;
	enum { SELECT_IN = 0, SELECT_NOT_IN, SELECT_EXISTS, SELECT_NOT_EXISTS } op;
	struct str *values;
	size_t value_count;
};

struct selector {
	struct pair *match_labels;
	size_t match_label_count;
	struct selector_expr *exprs;
	size_t expr_count;
};

/* An empty selector matches everything. */
bool selector_matches(const struct selector *selector, const struct meta *meta);

enum from_namespaces { FROM_SAME = 0, FROM_ALL, FROM_SELECTOR, FROM_NONE };

struct group_kind {
	struct str group, kind;
};

enum tls_mode { TLS_NONE = 0, TLS_TERMINATE, TLS_PASSTHROUGH };

struct listener {
	struct str name;
	struct str hostname; /* lower case; empty: all */
	uint16_t port;
	struct str protocol; /* as written: "HTTP", "HTTPS", "TLS", ..., or anything */
	enum tls_mode tls_mode;
	struct object_ref *certificate_refs;
	size_t certificate_ref_count;
	bool has_frontend_validation; /* tls.frontend...: not supported yet */
	enum from_namespaces from;
	struct selector selector;
	struct group_kind *kinds; /* allowedRoutes.kinds; none: by protocol */
	size_t kind_count;
};

struct gateway_address {
	struct str type;  /* "IPAddress" (default), "Hostname", ... */
	struct str value; /* may be empty */
};

struct gateway {
	struct str class_name;
	struct listener *listeners;
	size_t listener_count;
	struct gateway_address *addresses;
	size_t address_count;
	struct str *recorded; /* status.addresses of type IPAddress, where the source has them */
	size_t recorded_count;
	struct object_ref parameters; /* infrastructure.parametersRef; kind empty: none */
	struct pair *infra_labels, *infra_annotations; /* for what is made for the Gateway */
	size_t infra_label_count, infra_annotation_count;
};

/* ---- HTTPRoute, GRPCRoute ----
 *
 * A gRPC request is an HTTP request for "/SERVICE/METHOD". So a GRPCRoute is decoded to what an
 * HTTPRoute that takes the same requests would be, and most code need not tell them apart. */

struct parent_ref {
	struct str group, kind, ns, name;
	struct str section; /* empty: all */
	uint16_t port;      /* 0: all */
};

enum match_type { MATCH_EXACT = 0, MATCH_PREFIX, MATCH_REGEX };

struct value_match { /* of a header or a query parameter */
	enum match_type type; /* MATCH_EXACT or MATCH_REGEX */
	struct str name;      /* headers: lower case */
	struct str value;
};

struct match {
	enum match_type path_type;
	struct str path; /* as written; prefix "/" when absent */
	bool any_service; /* GRPCRoute: a method of whatever service; comes after every service */
	struct str method; /* empty: any */
	struct value_match *headers; /* first entry of a name counts, later ones dropped */
	size_t header_count;
	struct value_match *queries;
	size_t query_count;
};

struct header_mod {
	struct pair *set, *add; /* key: name as written */
	size_t set_count, add_count;
	struct str *remove;
	size_t remove_count;
};

enum path_modifier { PATH_KEEP = 0, PATH_REPLACE_FULL, PATH_REPLACE_PREFIX };

enum filter_type {
	FILTER_REQUEST_HEADERS = 0,
	FILTER_RESPONSE_HEADERS,
	FILTER_REDIRECT,
	FILTER_REWRITE,
	FILTER_UNSUPPORTED, /* type_name says which: requests get an error, with a finding */
};

struct filter {
	enum filter_type type;
	struct str type_name;
	struct header_mod headers; /* FILTER_*_HEADERS */
	/* FILTER_REDIRECT, FILTER_REWRITE */
	struct str scheme;   /* "http", "https", or empty; redirect only */
	struct str hostname; /* lower case; empty: keep */
	uint16_t port;       /* 0: derive; redirect only */
	uint16_t status;     /* redirect only: 301, 302 (default), 303, 307, 308 */
	enum path_modifier path_modifier;
	struct str path; /* the replacement */
};

/* The first of that type; NULL: there is none. */
const struct filter *filter_find(const struct filter *filters, size_t count,
				 enum filter_type type);

struct backend_ref {
	struct str group, kind, ns, name; /* kind "Service" in group "" by default */
	bool has_port;
	uint16_t port;
	uint32_t own_weight; /* the object's: 0..MAX_WEIGHT, default 1 */
	uint32_t weight;     /* in force: its own, or an operator's (daemon/overrides.h) */
	struct filter *filters;
	size_t filter_count;
};

#define TIMEOUT_UNSET INT64_C(-1)

struct rule {
	struct str name; /* may be empty */
	struct match *matches; /* at least one */
	size_t match_count;
	struct filter *filters;
	size_t filter_count;
	struct backend_ref *refs;
	size_t ref_count;
	int64_t request_timeout_ms; /* TIMEOUT_UNSET; 0: disabled */
	int64_t backend_timeout_ms;
};

struct route {
	struct parent_ref *parents;
	size_t parent_count;
	struct str *hostnames; /* lower case */
	size_t hostname_count;
	struct rule *rules; /* a GRPCRoute may have none */
	size_t rule_count;
};

/* ---- ReferenceGrant ---- */

struct grant_from {
	struct str group, kind, ns;
};

struct grant_to {
	struct str group, kind, name; /* name empty: all */
};

struct reference_grant {
	struct grant_from *from;
	size_t from_count;
	struct grant_to *to;
	size_t to_count;
};

/* ---- Service, EndpointSlice, Backend ---- */

struct service_port {
	struct str name; /* may be empty */
	uint16_t port;
	uint16_t target_port; /* of a Gateway's Service; 0: none, or a name */
	struct str protocol;     /* "TCP", "UDP" */
	struct str app_protocol; /* may be empty */
};

/* What is kept only of a Service by which Gateways are reached: one with LABEL_CONTROLLER. */
struct gateway_service {
	struct str type; /* "LoadBalancer", ... */
	struct str *cluster_ips;
	size_t cluster_ip_count;
	struct gateway_address *ingress; /* what a load balancer has given */
	size_t ingress_count;
};

struct service {
	struct service_port *ports;
	size_t port_count;
	bool external_name;
	struct gateway_service *gateway; /* NULL: somebody else's Service */
};

/* The TCP port of that number, or else one of another protocol; NULL: none. */
const struct service_port *service_find_port(const struct service *service, uint16_t port);

struct endpoint {
	struct str address;  /* an IP address; v6 without brackets */
	struct str pod_name; /* targetRef's, or empty */
	bool ready;          /* conditions.ready, default true */
	bool terminating;
};

struct endpoint_port {
	struct str name;
	uint16_t port; /* 0: not set */
	struct str protocol;
};

struct endpoint_slice {
	struct str service; /* label kubernetes.io/service-name; empty: none */
	struct endpoint *endpoints;
	size_t endpoint_count;
	struct endpoint_port *ports;
	size_t port_count;
	bool ipv6;
};

struct backend_address {
	struct str host; /* an IP address or a DNS name, lower case */
	bool is_name;
	uint16_t port;
	uint32_t weight; /* 0..256, default 100 */
};

struct backend { /* tidegate.io/v1alpha1 Backend */
	struct backend_address *addresses;
	size_t address_count;
	struct str app_protocol; /* may be empty */
};

/* ---- Secret, ConfigMap ---- */

struct certificate_info { /* read from tls.crt by decode */
	struct str *names; /* DNS names of the leaf (SAN; else CN), lower case */
	size_t name_count;
	int64_t not_before_s, not_after_s;
};

struct secret {
	struct str type;
	bool is_tls;          /* has tls.crt and tls.key that belong together */
	struct str problem;   /* why it is not usable as a certificate; empty when is_tls */
	struct str pem;       /* chain and key, no empty lines, ends in a newline */
	struct str digest;    /* hex SHA-256 of pem */
	struct certificate_info info;
};

struct config_map {
	struct pair *data;
	size_t data_count;
};

/* ---- any object ---- */

struct object {
	enum kind kind;
	struct meta meta;
	struct arena *arena; /* owns everything below, and this struct */
	union {
		struct gateway_class gateway_class;
		struct gateway gateway;
		struct route route; /* kind_is_route() */
		struct reference_grant reference_grant;
		struct service service;
		struct endpoint_slice endpoint_slice;
		struct secret secret;
		struct config_map config_map;
		struct backend backend;
		struct gateway_parameters gateway_parameters;
	}; /* a Namespace has only its meta */
};

void object_free(struct object *object); /* frees the arena; accepts NULL */

/* "namespace/name", or "name" for cluster-scoped kinds, written to the arena. */
struct str object_key(struct arena *arena, struct str ns, struct str name);

/* Age order of routes; of one age and name an HTTPRoute first. <0, 0 (the same one), >0. */
int route_cmp_age(const struct object *a, const struct object *b);

/* How users call a route: an HTTPRoute "namespace/name", a GRPCRoute "GRPCRoute/namespace/name". */
struct str route_key(struct arena *arena, const struct object *route);
