/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cluster.h"

#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <unistd.h>

#include "base/digest.h"
#include "daemon/app.h"
#include "daemon/log.h"
#include "daemon/problems.h"
#include "publish/leader.h"
#include "publish/owner.h"
#include "resolve/pool.h"
#include "source/clock.h"
#include "source/json.h"
#include "status/status.h"

enum { IDENTITY_BYTES = 160, NAMESPACE_BYTES = 64, VERSION_BYTES = 64,
       TROUBLE_BYTES = 320, RECORD_BYTES = 64 * 1024 };
/* Something that HAProxy refuses, or its absence, is told after so long: a reload, or a restart,
 * is none of the users' business. */
#define PATIENCE_S 5.0
#define VERSION_LIMIT_S 30
#define VERSION_PAUSE_S 300.0 /* definitions are installed while we run, too */
#define POD_NAMESPACE "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
#define DEFINITION_PATH \
	"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gatewayclasses." GROUP_GATEWAY

struct cluster {
	struct app *app;
	struct cluster_options options;
	struct kubeconfig config;
	struct kube_client *client;
	struct kube_client *lease_client; /* what holds back the other never stops renewals */
	struct publisher *publisher;
	struct leader *leader;
	struct arena *arena; /* of the settings */
	struct service_settings services;
	struct object *defaults; /* GatewayParameters; NULL: none */
	struct provision *provision; /* NULL: Gateways have no Services */
	uint64_t told_news;	     /* of it */
	struct address_pool pool;    /* without ranges: there is none */
	struct owner *owner;	     /* NULL: nothing belongs to anybody */
	struct events *events;
	char failing[TROUBLE_BYTES]; /* as it was told when it began; "": HAProxy is no problem */
	char no_address[TROUBLE_BYTES]; /* what is said while the address Service has none */
	char identity[IDENTITY_BYTES], lease_ns[NAMESPACE_BYTES];
	bool complete;		  /* the views are those of a whole source */
	bool whole;		  /* and have every Gateway and GatewayClass that there is */
	uint64_t sequence;	  /* that has the Gateways as they are */
	double unprogrammed_at_s; /* since when HAProxy is not what it is to be; 0: it is */
	bool programmed;	  /* as last looked at */
	char known_trouble[256];
	struct kube_request *definition; /* being read, for its version */
	ev_timer definition_timer;
	unsigned definition_attempt;
	bool version_told;
	char version[VERSION_BYTES]; /* of the Gateway API; "": not known */
	void (*stopped)(void *user);
	void *stopped_user;
};

/* ---- What is to be said ---- */

/* HAProxy is what the Gateways ask for. Routes come and go all the time, and do not count. */
static bool is_programmed(struct cluster *cluster)
{
	const struct app *app = cluster->app;
	bool programmed = !*app_trouble(app) && app->applied >= cluster->sequence;
	if (programmed)
		cluster->unprogrammed_at_s = 0;
	else if (cluster->unprogrammed_at_s == 0)
		cluster->unprogrammed_at_s = clock_s();
	cluster->programmed = programmed;
	return programmed;
}

static bool has_addresses(const struct gateway *spec)
{
	for (size_t i = 0; i < spec->address_count; i++) {
		if (!str_empty(spec->addresses[i].value))
			return true;
	}
	return false;
}

/* Those of --address. */
static size_t told_addresses(const struct cluster *cluster,
			     struct gateway_address ret_addresses[MAX_ADDRESSES])
{
	for (size_t i = 0; i < cluster->options.address_count; i++) {
		unsigned char bytes[sizeof(struct in6_addr)];
		const char *text = cluster->options.addresses[i];
		bool ip = inet_pton(AF_INET, text, bytes) == 1 ||
			  inet_pton(AF_INET6, text, bytes) == 1;
		ret_addresses[i] = (struct gateway_address){
			.type = ip ? STR("IPAddress") : STR("Hostname"), .value = str_of(text)
		};
	}
	return cluster->options.address_count;
}

static int cmp_addresses(const void *a, const void *b)
{
	const struct gateway_address *left = a, *right = b;
	return str_cmp(left->value, right->value);
}

static bool is_there(const struct gateway_address *addresses, size_t count, struct str value)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(addresses[i].value, value))
			return true;
	}
	return false;
}

/* In an order that does not change with that of the slices. */
static size_t endpoint_addresses(const struct cluster *cluster, bool ready,
				 struct gateway_address ret_addresses[MAX_ADDRESSES])
{
	size_t slice_count, count = 0;
	const struct object *const *slices =
		store_slices(cluster->app->store, str_of(cluster->lease_ns),
			     str_of(cluster->options.address_service), &slice_count);
	for (size_t i = 0; i < slice_count; i++) {
		const struct endpoint_slice *slice = &slices[i]->endpoint_slice;
		for (size_t k = 0; k < slice->endpoint_count && count < MAX_ADDRESSES; k++) {
			const struct endpoint *endpoint = &slice->endpoints[k];
			if (endpoint->ready == ready &&
			    !is_there(ret_addresses, count, endpoint->address))
				ret_addresses[count++] = (struct gateway_address){
					STR("IPAddress"), endpoint->address
				};
		}
	}
	qsort(ret_addresses, count, sizeof(*ret_addresses), cmp_addresses);
	return count;
}

/* Those of --address-service. One that is headless stands for the hosts of its pods; while none
 * of these is ready, which a restart of the only one makes them, for all. */
static size_t service_addresses(const struct cluster *cluster,
				struct gateway_address ret_addresses[MAX_ADDRESSES])
{
	const struct object *object =
		store_get(cluster->app->store, KIND_SERVICE, str_of(cluster->lease_ns),
			  str_of(cluster->options.address_service));
	const struct gateway_service *service = object ? object->service.gateway : NULL;
	if (!service)
		return 0;
	if (!service->cluster_ip_count || !str_is(service->cluster_ips[0], "None"))
		return service_given_addresses(service, ret_addresses);
	size_t count = endpoint_addresses(cluster, true, ret_addresses);
	return count ? count : endpoint_addresses(cluster, false, ret_addresses);
}

void cluster_tell_addresses(const struct cluster *cluster, const struct gateway_view *gateway,
			    struct gateway_address addresses[MAX_ADDRESSES],
			    struct status_live *live)
{
	if (!cluster || has_addresses(&gateway->object->gateway))
		return;
	live->addresses = addresses;
	live->address_count = told_addresses(cluster, addresses);
	if (live->address_count || !cluster->options.address_service)
		return;
	live->address_count = service_addresses(cluster, addresses);
	if (live->address_count == 0)
		live->no_address = str_of(cluster->no_address);
}

/* Which addresses a status records, as a digest. */
static uint64_t sum_of(const struct str *addresses, size_t count)
{
	unsigned char raw[DIGEST_RAW_BYTES];
	uint64_t sum;
	struct sb sb;
	sb_init(&sb, RECORD_BYTES);
	for (size_t i = 0; i < count; i++)
		sb_addf(&sb, STR_FMT "\n", STR_ARG(addresses[i]));
	digest_raw(sb_str(&sb), raw);
	memcpy(&sum, raw, sizeof(sum));
	sb_fini(&sb);
	return sum;
}

/* Without a pool nothing is read of a status. */
static uint64_t on_record(void *user, enum kind kind, struct json_object *status)
{
	struct json_object *addresses = json_field(status, "addresses");
	struct str recorded[MAX_ADDRESSES];
	size_t count = 0;
	if (kind != KIND_GATEWAY || !cluster_pool(user))
		return 0;
	for (size_t i = 0; i < json_length(addresses) && i < MAX_ADDRESSES; i++) {
		struct json_object *address = json_object_array_get_idx(addresses, i);
		if (str_is(json_text(address, "type"), "IPAddress"))
			recorded[count++] = json_text(address, "value");
	}
	return sum_of(recorded, count);
}

/* The Gateways that cannot be read have addresses, too: before all can, nobody knows what is free. */
static bool may_record(const struct cluster *cluster, const struct pool_share *share)
{
	return !share || share->recorded_count == share->count ||
	       kube_source_has_all(cluster->app->sources.kube, KIND_GATEWAY);
}

static enum publish_answer render_gateway(struct cluster *cluster, struct str ns, struct str name,
					  struct out *out, struct publish_basis *ret_basis)
{
	const struct gateway_view *gateway =
		gateways_find(compiler_gateways(cluster->app->compiler), ns, name);
	struct gateway_address addresses[MAX_ADDRESSES];
	struct status_live live = app_live(cluster->app);
	live.programmed = is_programmed(cluster);
	if (!gateway)
		return PUBLISH_NOTHING;
	if ((!live.programmed && clock_s() - cluster->unprogrammed_at_s < PATIENCE_S) ||
	    !may_record(cluster, gateway->share))
		return PUBLISH_LATER;
	cluster_tell_addresses(cluster, gateway, addresses, &live);
	status_gateway(gateway, &live, out);
	ret_basis->generation = gateway->object->meta.generation;
	if (cluster_pool(cluster))
		ret_basis->record = sum_of(gateway->object->gateway.recorded,
					   gateway->object->gateway.recorded_count);
	return PUBLISH_NOW;
}

static enum publish_answer render_class(struct cluster *cluster, struct str name, struct out *out,
					struct publish_basis *ret_basis)
{
	const struct gateways_view *view = compiler_gateways(cluster->app->compiler);
	const struct class_view *class = gateways_find_class(view, name);
	if (!cluster->version_told)
		return PUBLISH_LATER;
	if (!class)
		return PUBLISH_NOTHING;
	status_class(class, str_of(cluster->version), view->own_addresses, out);
	ret_basis->generation = class->object->meta.generation;
	return PUBLISH_NOW;
}

static enum publish_answer render_route(struct cluster *cluster, enum kind kind, struct str ns,
					struct str name, struct out *out,
					struct publish_basis *ret_basis)
{
	const struct route_view *route = compiler_route(cluster->app->compiler, kind, ns, name);
	if (!route)
		return PUBLISH_NOTHING;
	status_route(route, str_of(cluster->app->options.controller_name), out);
	ret_basis->generation = route->object->meta.generation;
	return PUBLISH_NOW;
}

/* Whoever refers to it or not, and whatever else is still to be read. */
static enum publish_answer render_verdict(struct cluster *cluster, enum kind kind, struct str ns,
					  struct str name, struct out *out,
					  struct publish_basis *ret_basis)
{
	const struct app *app = cluster->app;
	const struct object *object = store_get(app->store, kind, ns, name);
	int64_t generation = object ? object->meta.generation : 0;
	const struct findings *refusal =
		kube_source_refusal(app->sources.kube, kind, ns, name, &generation);
	if (!object && !refusal)
		return PUBLISH_NOTHING;
	status_verdict(refusal, generation, str_of(app->options.controller_name), out);
	ret_basis->generation = generation;
	return PUBLISH_NOW;
}

static enum publish_answer on_render(void *user, enum kind kind, struct str ns, struct str name,
				     struct out *out, struct publish_basis *ret_basis)
{
	struct cluster *cluster = user;
	*ret_basis = (struct publish_basis){ .generation = 0 };
	if (kind_is_ours(kind))
		return render_verdict(cluster, kind, ns, name, out, ret_basis);
	if (!cluster->complete)
		return PUBLISH_NOTHING; /* everything is marked when it is */
	switch (kind) {
	case KIND_GATEWAYCLASS:
		return render_class(cluster, name, out, ret_basis);
	case KIND_GATEWAY:
		return render_gateway(cluster, ns, name, out, ret_basis);
	case KIND_HTTPROUTE:
	case KIND_GRPCROUTE:
		return render_route(cluster, kind, ns, name, out, ret_basis);
	default:
		return PUBLISH_NOTHING;
	}
}

static bool on_path(void *user, enum kind kind, struct str ns, struct str name, struct sb *sb)
{
	const struct cluster *cluster = user;
	return kube_source_path(cluster->app->sources.kube, kind, ns, name, sb);
}

/* ---- Gateways' Services ---- */

/* Nothing is made before it is known who owns it. */
static const struct gateways_view *on_gateways(void *user)
{
	const struct cluster *cluster = user;
	bool ready = cluster->complete && (!cluster->owner || owner_asked(cluster->owner));
	return ready ? compiler_gateways(cluster->app->compiler) : NULL;
}

static bool reads_whole(const struct cluster *cluster)
{
	const struct kube_source *source = cluster->app->sources.kube;
	return kube_source_has_all(source, KIND_GATEWAY) &&
	       kube_source_has_all(source, KIND_GATEWAYCLASS) &&
	       !kube_source_lacks_any(source, KIND_GATEWAY) &&
	       !kube_source_lacks_any(source, KIND_GATEWAYCLASS);
}

/* One whose class is not there may be ours again in a moment. */
static bool is_others(const struct cluster *cluster, const struct object *gateway)
{
	const struct object *class = store_get(cluster->app->store, KIND_GATEWAYCLASS, STR_NONE,
					       gateway->gateway.class_name);
	return class && !str_is(class->gateway_class.controller_name,
				cluster->app->options.controller_name);
}

/* The view is the last pass's, which may have been before the source had all that it has now. */
static bool on_may_delete(void *user, struct str service)
{
	const struct cluster *cluster = user;
	if (!cluster->whole || !reads_whole(cluster))
		return false;
	size_t count, at = 0;
	const struct object *const *gateways =
		store_list(cluster->app->store, KIND_GATEWAY, &count);
	struct arena *arena = arena_new();
	while (at < count && !str_eq(gateway_service_name(arena, gateways[at]->meta.ns,
							  gateways[at]->meta.name), service))
		at++;
	arena_free(arena);
	return at == count || is_others(cluster, gateways[at]);
}

static void on_owner(void *user)
{
	struct cluster *cluster = user;
	cluster->services.owner = owner_reference(cluster->owner);
	leader_own(cluster->leader, cluster->services.owner);
	if (cluster->provision)
		provision_mark(cluster->provision);
}

struct str cluster_service_ns(const struct cluster *cluster)
{
	return cluster && cluster->provision ? cluster->services.ns : STR_NONE;
}

const struct address_pool *cluster_pool(const struct cluster *cluster)
{
	return cluster && cluster->pool.count ? &cluster->pool : NULL;
}

const struct service_parameters *cluster_service_defaults(const struct cluster *cluster)
{
	return cluster && cluster->defaults ? &cluster->defaults->gateway_parameters.service : NULL;
}

struct str cluster_version(const struct cluster *cluster)
{
	return cluster ? str_of(cluster->version) : STR_NONE;
}

/* ---- What may have changed ---- */

static void mark_view(struct cluster *cluster, const struct object *object)
{
	publisher_mark(cluster->publisher, object->kind, object->meta.ns, object->meta.name);
}

static void mark_gateways(struct cluster *cluster)
{
	const struct gateways_view *view = compiler_gateways(cluster->app->compiler);
	for (size_t i = 0; i < view->gateway_count; i++)
		mark_view(cluster, view->gateways[i].object);
}

static void mark_routes(struct cluster *cluster, const struct route_view *const *routes,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		mark_view(cluster, routes[i]->object);
}

static void mark_classes(struct cluster *cluster)
{
	const struct gateways_view *view = compiler_gateways(cluster->app->compiler);
	for (size_t i = 0; i < view->class_count; i++)
		mark_view(cluster, view->classes[i].object);
}

static void mark_all(struct cluster *cluster)
{
	size_t count;
	if (!cluster->complete || !publisher_enabled(cluster->publisher))
		return;
	mark_classes(cluster);
	mark_gateways(cluster);
	const struct route_view *const *routes = compiler_routes(cluster->app->compiler, &count);
	mark_routes(cluster, routes, count);
}

void cluster_passed(struct cluster *cluster, bool waiting)
{
	struct compile_news news;
	bool complete = cluster->app->complete && !waiting;
	bool first = complete && !cluster->complete;
	bool whole = complete && reads_whole(cluster);
	bool may_delete = whole && !cluster->whole; /* again */
	cluster->complete = complete;
	cluster->whole = whole;
	compiler_news(cluster->app->compiler, &news);
	if (news.gateways || first)
		cluster->sequence = cluster->app->sent;
	if (cluster->provision && (first || news.gateways || may_delete))
		provision_mark(cluster->provision);
	if (first || news.gateways) {
		mark_all(cluster);
	} else if (complete && news.routes) {
		mark_gateways(cluster);
		mark_routes(cluster, news.made, news.made_count);
	}
}

void cluster_applied(struct cluster *cluster)
{
	bool before = cluster->programmed;
	if (is_programmed(cluster) != before && cluster->complete)
		mark_gateways(cluster);
}

void cluster_rebound(struct cluster *cluster)
{
	if (cluster->complete)
		mark_gateways(cluster);
}

/* Few, and a status that stays as it is costs no request: which of them it was does not matter. */
static void look_for_addresses(struct cluster *cluster, enum kind kind, struct str ns)
{
	if (cluster->complete && cluster->options.address_service &&
	    (kind == KIND_SERVICE || kind == KIND_ENDPOINTSLICE) &&
	    str_is(ns, cluster->lease_ns))
		mark_gateways(cluster);
}

void cluster_gone(struct cluster *cluster, enum kind kind, struct str ns, struct str name)
{
	publisher_gone(cluster->publisher, kind, ns, name);
	events_gone(cluster->events, kind, ns, name);
	look_for_addresses(cluster, kind, ns);
	if (cluster->provision && kind == KIND_SERVICE)
		provision_gone(cluster->provision, ns, name);
}

static void on_seen(void *user, enum kind kind, struct json_object *json)
{
	struct cluster *cluster = user;
	look_for_addresses(cluster, kind, json_text(json_field(json, "metadata"), "namespace"));
	if (kind == KIND_SERVICE && cluster->provision)
		provision_seen(cluster->provision, json);
	else
		publisher_seen(cluster->publisher, kind, json);
}

/* ---- The version of the Gateway API ---- */

static void note_version(struct cluster *cluster, const char *version)
{
	bool news = !cluster->version_told || strcmp(version, cluster->version) != 0;
	snprintf(cluster->version, VERSION_BYTES, "%s", version);
	cluster->version_told = true;
	if (news && cluster->complete)
		mark_classes(cluster);
}

/* Who may not read it does without; another failure says nothing of the version. */
static void on_definition_done(void *user, const struct kube_answer *answer)
{
	struct cluster *cluster = user;
	struct json_object *metadata = json_field(answer->json, "metadata");
	struct json_object *annotations = json_field(metadata, "annotations");
	double pause_s = VERSION_PAUSE_S;
	cluster->definition = NULL;
	if (answer->json || answer->status == 403 || answer->status == 404) {
		note_version(cluster, json_cstr(annotations, GROUP_GATEWAY "/bundle-version"));
		cluster->definition_attempt = 0;
	} else {
		if (cluster->definition_attempt == 0)
			log_warning("the version of the Gateway API cannot be read, and the status "
				    "of GatewayClasses stays as it is: " STR_FMT,
				    STR_ARG(answer->text));
		pause_s = (double)kube_retry_ms(answer, &cluster->definition_attempt) / 1000.0;
	}
	ev_timer_set(&cluster->definition_timer, pause_s, 0);
	ev_timer_start(cluster->app->loop, &cluster->definition_timer);
}

static void read_version(struct cluster *cluster)
{
	static const struct kube_request_ops ops = { NULL, on_definition_done };
	cluster->definition =
		kube_get(cluster->client, DEFINITION_PATH, VERSION_LIMIT_S, &ops, cluster);
}

static void on_definition_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	read_version(timer->data);
}

static void forget_definition(struct cluster *cluster)
{
	kube_cancel(cluster->definition);
	cluster->definition = NULL;
	ev_timer_stop(cluster->app->loop, &cluster->definition_timer);
}

/* ---- The lead ---- */

static void log_trouble(struct cluster *cluster)
{
	const char *trouble = leader_trouble(cluster->leader);
	if (strcmp(trouble, cluster->known_trouble) == 0)
		return;
	snprintf(cluster->known_trouble, sizeof(cluster->known_trouble), "%s", trouble);
	if (*trouble)
		log_warning("the Lease %s/%s cannot be used: %s", cluster->lease_ns,
			    cluster->options.lease_name, trouble);
}

static void on_leader_changed(void *user)
{
	struct cluster *cluster = user;
	bool leads = leader_leads(cluster->leader);
	log_trouble(cluster);
	if (leads == publisher_enabled(cluster->publisher))
		return;
	log_info(leads ? "leads: writes status" : "does not lead any more: writes no status");
	publisher_enable(cluster->publisher, leads);
	if (cluster->provision)
		provision_enable(cluster->provision, leads);
	if (leads && cluster->owner)
		owner_look(cluster->owner);
	events_enable(cluster->events, leads);
	forget_definition(cluster);
	if (leads)
		read_version(cluster);
	mark_all(cluster);
	publisher_mark_our_kinds(cluster->publisher);
}

static void on_client_changed(void *user)
{
	struct cluster *cluster = user;
	double seconds;
	const char *away = kube_client_away(cluster->client, &seconds);
	log_debug("status: the API server is %s", away ? away : "back");
}

static void on_lease_client_changed(void *user)
{
	(void)user; /* leader_trouble() has it */
}

/* ---- Events ---- */

static bool is_failing(const struct cluster *cluster)
{
	return cluster->unprogrammed_at_s > 0 &&
	       clock_s() - cluster->unprogrammed_at_s >= PATIENCE_S;
}

static uint64_t service_news(const struct cluster *cluster)
{
	return cluster->provision ? provision_news(cluster->provision) : 0;
}

bool cluster_turned(const struct cluster *cluster)
{
	return cluster->complete && (is_failing(cluster) != (cluster->failing[0] != '\0') ||
				     service_news(cluster) != cluster->told_news);
}

void cluster_problems(struct cluster *cluster, const struct findings *findings)
{
	const char *trouble = app_trouble(cluster->app);
	if (!cluster->complete)
		return;
	/* What HAProxy says may be another thing at each attempt: that would be as many Events. */
	if (!is_failing(cluster))
		cluster->failing[0] = '\0';
	else if (!cluster->failing[0])
		snprintf(cluster->failing, TROUBLE_BYTES, "%s",
			 *trouble ? trouble : "HAProxy does not have the last change yet.");
	cluster->told_news = service_news(cluster);
	problems_tell(cluster->events, cluster->app, findings, cluster->failing);
}

static void on_refused(void *user, struct str why)
{
	(void)user;
	log_warning("Events cannot be written: " STR_FMT "; grant create, get and patch for events of "
		    "group events.k8s.io. Tried again every 10 minutes", STR_ARG(why));
}

/* ---- Reports ---- */

void cluster_findings(const struct cluster *cluster, struct findings *findings)
{
	publisher_findings(cluster->publisher, findings);
	if (cluster->provision)
		provision_findings(cluster->provision, findings);
	if (cluster->owner)
		owner_findings(cluster->owner, findings);
}

void cluster_state(const struct cluster *cluster, struct cluster_state *ret_state)
{
	struct kube_client_stats writes, lease;
	kube_client_stats(cluster->client, &writes);
	kube_client_stats(cluster->lease_client, &lease);
	*ret_state = (struct cluster_state){
		.leads = leader_leads(cluster->leader),
		.identity = cluster->identity,
		.holder = leader_holder(cluster->leader),
		.trouble = leader_trouble(cluster->leader),
		.requests = writes.requests + lease.requests,
	};
	publisher_stats(cluster->publisher, &ret_state->publish);
	events_stats(cluster->events, &ret_state->events);
	if (cluster->provision)
		provision_stats(cluster->provision, &ret_state->services);
}

/* ---- Lifetime ---- */

/* "tidegate-7d9f-x2b_4f0c2a91": nobody else's, not even that of this pod's last process. */
static void make_identity(struct cluster *cluster)
{
	char host[IDENTITY_BYTES - 16];
	if (gethostname(host, sizeof(host)) < 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	snprintf(cluster->identity, sizeof(cluster->identity), "%s_%08x", host, arc4random());
}

static void find_namespace(struct cluster *cluster)
{
	FILE *file = cluster->options.lease_ns ? NULL : fopen(POD_NAMESPACE, "re");
	snprintf(cluster->lease_ns, NAMESPACE_BYTES, "%s",
		 cluster->options.lease_ns ? cluster->options.lease_ns : "default");
	if (!file)
		return;
	char line[NAMESPACE_BYTES];
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		memcpy(cluster->lease_ns, line, sizeof(line));
	}
	fclose(file);
}

static bool make_services(struct cluster *cluster, struct error *err)
{
	struct app *app = cluster->app;
	struct service_settings *settings = &cluster->services;
	const struct provision_ops ops = { cluster, on_gateways, on_may_delete };
	if (!cluster->options.selector)
		return true;
	cluster->arena = arena_new();
	settings->ns = str_of(cluster->lease_ns);
	settings->controller =
		label_value_of(cluster->arena, str_of(app->options.controller_name));
	if (!service_parse_selector(str_of(cluster->options.selector), cluster->arena, settings,
				    err))
		return error_prefix(err, "--gateway-services");
	if (!service_parse_ports(str_of(cluster->options.ports), settings, err))
		return error_prefix(err, "--gateway-ports");
	if (cluster->options.defaults) {
		cluster->defaults = service_parse_defaults(str_of(cluster->options.defaults), err);
		if (!cluster->defaults)
			return error_prefix(err, "--gateway-service");
	}
	kube_source_add(app->sources.kube, KIND_SERVICE, cluster->lease_ns, "",
			LABEL_MANAGED_BY "=" MANAGED_BY);
	cluster->provision = provision_new(app->loop, cluster->client, settings, &ops);
	return true;
}

/* What is given to whom is recorded in the Gateways' status, and read there. */
static bool make_pool(struct cluster *cluster, struct error *err)
{
	for (size_t i = 0; i < cluster->options.pool_count; i++) {
		if (!pool_add(&cluster->pool, str_of(cluster->options.pool[i]), err))
			return error_prefix(err, "--address-pool");
	}
	if (cluster->pool.count)
		kube_source_keep_addresses(cluster->app->sources.kube);
	return true;
}

static void make_address_service(struct cluster *cluster)
{
	struct kube_source *source = cluster->app->sources.kube;
	const char *name = cluster->options.address_service;
	char selector[TROUBLE_BYTES];
	if (!name)
		return;
	snprintf(cluster->no_address, TROUBLE_BYTES,
		 "Waiting for an address of Service %s/%s. See its events.", cluster->lease_ns, name);
	snprintf(selector, sizeof(selector), "kubernetes.io/service-name=%s", name);
	kube_source_add(source, KIND_SERVICE, cluster->lease_ns, name, "");
	kube_source_add(source, KIND_ENDPOINTSLICE, cluster->lease_ns, "", selector);
}

static bool make_owner(struct cluster *cluster, struct error *err)
{
	if (cluster->options.owner)
		cluster->owner = owner_new(cluster->app->loop, cluster->client, cluster->lease_ns,
					   cluster->options.owner, on_owner, cluster, err);
	return !cluster->options.owner || cluster->owner;
}

static bool make_parts(struct cluster *cluster, struct error *err)
{
	struct app *app = cluster->app;
	const struct kube_options *kube = &app->options.sources.kube;
	const struct publish_ops ops = { cluster, on_render, on_record, on_path };
	const struct events_ops events_ops = { cluster, on_path, on_refused };
	if (!kubeconfig_load(kube->kubeconfig, kube->context, &cluster->config, err))
		return false;
	cluster->client = kube_client_new(app->loop, &cluster->config, &publish_limits,
					  on_client_changed, cluster, err);
	cluster->lease_client = kube_client_new(app->loop, &cluster->config, &publish_limits,
						on_lease_client_changed, cluster, err);
	if (!cluster->client || !cluster->lease_client)
		return false;
	const struct leader_options lease = { cluster->lease_ns, cluster->options.lease_name,
					      cluster->identity };
	cluster->publisher = publisher_new(app->loop, cluster->client,
					   str_of(app->options.controller_name), &ops);
	cluster->events = events_new(app->loop, cluster->client,
				     str_of(app->options.controller_name),
				     str_of(cluster->identity), &events_ops);
	cluster->leader = leader_new(app->loop, cluster->lease_client, &lease, on_leader_changed,
				     cluster);
	kube_source_observe(app->sources.kube, on_seen, cluster);
	make_address_service(cluster);
	return make_owner(cluster, err) && make_services(cluster, err) && make_pool(cluster, err);
}

struct cluster *cluster_new(struct app *app, const struct cluster_options *options,
			    struct error *err)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));
	cluster->app = app;
	cluster->options = *options;
	ev_timer_init(&cluster->definition_timer, on_definition_timer, 0, 0);
	cluster->definition_timer.data = cluster;
	make_identity(cluster);
	find_namespace(cluster);
	if (make_parts(cluster, err))
		return cluster;
	cluster_free(cluster);
	return NULL;
}

void cluster_free(struct cluster *cluster)
{
	if (!cluster)
		return;
	forget_definition(cluster);
	leader_free(cluster->leader);
	provision_free(cluster->provision);
	owner_free(cluster->owner);
	events_free(cluster->events);
	publisher_free(cluster->publisher);
	kube_client_free(cluster->client);
	kube_client_free(cluster->lease_client);
	if (cluster->config.arena)
		kubeconfig_fini(&cluster->config);
	object_free(cluster->defaults);
	if (cluster->arena)
		arena_free(cluster->arena);
	free(cluster);
}

void cluster_stop(struct cluster *cluster, void (*stopped)(void *user), void *user)
{
	kube_source_observe(cluster->app->sources.kube, NULL, NULL);
	publisher_enable(cluster->publisher, false);
	if (cluster->provision)
		provision_enable(cluster->provision, false);
	events_enable(cluster->events, false);
	leader_release(cluster->leader, stopped, user);
}
