/* SPDX-License-Identifier: Apache-2.0 */
/* What a listener is worth by itself. */
#include "resolve/listeners.h"

#include "resolve/hostname.h"

enum {
	FIELD_BYTES = 64, /* below a listener */
	PATH_BYTES = 128,
};

static void add_finding(const struct listener_scope *scope, enum severity severity, size_t index,
			const char *field, const char *reason, struct str text)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "spec.listeners[%zu].%s", index, field);
	findings_add(scope->findings, severity, KIND_GATEWAY, &scope->gateway->meta, path, reason,
		     STR_FMT, STR_ARG(text));
}

bool listener_accepted(const struct listener_view *listener)
{
	return conditions_get(&listener->conditions, "Accepted")->status;
}

void listener_reject(const struct listener_scope *scope, struct listener_view *listener,
		     size_t index, const char *field, const char *reason, struct str text)
{
	add_finding(scope, SEVERITY_ERROR, index, field, reason, text);
	if (listener_accepted(listener))
		conditions_set(&listener->conditions, "Accepted", false, reason, text);
}

/* A reference that does not resolve: the first one gives the condition its reason. */
static void reject_ref(const struct listener_scope *scope, struct listener_view *listener,
		       size_t index, const char *field, const char *reason, struct str text)
{
	add_finding(scope, SEVERITY_ERROR, index, field, reason, text);
	if (conditions_get(&listener->conditions, "ResolvedRefs")->status)
		conditions_set(&listener->conditions, "ResolvedRefs", false, reason, text);
}

static void check_protocol(const struct listener_scope *scope, struct listener_view *listener,
			   size_t index)
{
	struct str protocol = listener->spec->protocol;
	listener->takes_routes = str_is(protocol, "HTTPS") || str_is(protocol, "HTTP");
	if (listener->takes_routes)
		return;
	listener_reject(scope, listener, index, "protocol", "UnsupportedProtocol",
			arena_strf(scope->arena,
				   "The protocol " STR_FMT " is not supported yet. Use HTTP or "
				   "HTTPS.",
				   STR_ARG(protocol)));
}

static void check_hostname(const struct listener_scope *scope, struct listener_view *listener,
			   size_t index)
{
	if (hostname_servable(listener->spec->hostname))
		return;
	listener_reject(scope, listener, index, "hostname", "UnsupportedValue",
			arena_strf(scope->arena,
				   "The wildcard " STR_FMT " has more than %d labels behind \"*.\". "
				   "Use a shorter wildcard, or exact hostnames.",
				   STR_ARG(listener->spec->hostname), MAX_WILDCARD_LABELS));
}

static void check_validation(const struct listener_scope *scope, struct listener_view *listener,
			     size_t index)
{
	if (!listener->spec->has_frontend_validation)
		return;
	listener_reject(scope, listener, index, "tls", "UnsupportedValue",
			STR("Validation of client certificates is not supported yet, and "
			    "the listener is not served without it. Remove the frontend "
			    "validation."));
}

/* HTTPRoute and GRPCRoute go wherever HTTP does. */
static void resolve_kinds(const struct listener_scope *scope, struct listener_view *listener,
			  size_t index)
{
	const struct listener *spec = listener->spec;
	if (!listener->takes_routes)
		return;
	listener->kinds = spec->kind_count == 0 ? kind_bit(KIND_HTTPROUTE) | kind_bit(KIND_GRPCROUTE) :
						  0;
	for (size_t i = 0; i < spec->kind_count; i++) {
		const struct group_kind *wanted = &spec->kinds[i];
		enum kind kind = kind_find(wanted->group, wanted->kind);
		if (kind_is_route(kind)) {
			listener->kinds |= kind_bit(kind);
			continue;
		}
		char field[FIELD_BYTES];
		snprintf(field, sizeof(field), "allowedRoutes.kinds[%zu]", i);
		reject_ref(scope, listener, index, field, "InvalidRouteKinds",
			   arena_strf(scope->arena,
				      "Routes of kind " STR_FMT " (group \"" STR_FMT "\") cannot "
				      "attach to " STR_FMT " listeners here. Use HTTPRoute or "
				      "GRPCRoute.", STR_ARG(wanted->kind), STR_ARG(wanted->group),
				      STR_ARG(spec->protocol)));
	}
}

/* ---- certificates ---- */

static void warn_validity(const struct listener_scope *scope, const struct object *secret,
			  size_t index, const char *field)
{
	const struct certificate_info *info = &secret->secret.info;
	int64_t now_s = scope->options->now_s;
	const char *reason = NULL, *what = NULL;
	if (info->not_after_s < now_s) {
		reason = "CertificateExpired";
		what = "has expired; it is served until you renew it";
	} else if (info->not_before_s > now_s) {
		reason = "CertificateNotYetValid";
		what = "is not valid yet; it is served all the same. Check the clocks, or use "
		       "another one";
	}
	if (what)
		add_finding(scope, SEVERITY_WARNING, index, field, reason,
			    arena_strf(scope->arena, "The certificate in Secret " STR_FMT "/" STR_FMT
				       " %s.", STR_ARG(secret->meta.ns), STR_ARG(secret->meta.name),
				       what));
}

static void add_need(const struct listener_scope *scope, const struct object_ref *ref)
{
	struct gateways_view *view = scope->view;
	view->needs = arena_grow(view->arena, view->needs, view->need_count, &view->need_capacity,
				 sizeof(*view->needs));
	view->needs[view->need_count++] = (struct need){
		.kind = KIND_SECRET,
		.ns = arena_str(view->arena, ref->ns),
		.name = arena_str(view->arena, ref->name),
	};
}

/* The Secret behind a certificateRef; NULL with what is wrong with it. */
static const struct object *find_certificate(const struct listener_scope *scope,
					     const struct object_ref *ref, const char **ret_reason,
					     struct str *ret_text)
{
	struct arena *arena = scope->arena;
	*ret_reason = "InvalidCertificateRef";
	if (kind_find(ref->group, ref->kind) != KIND_SECRET) {
		*ret_text = arena_strf(arena,
				       "A certificate cannot come from kind " STR_FMT " (group \""
				       STR_FMT "\"). Refer to a Secret.",
				       STR_ARG(ref->kind), STR_ARG(ref->group));
		return NULL;
	}
	if (!reference_allowed(scope->store, scope->gateway, KIND_SECRET, ref->ns, ref->name)) {
		*ret_reason = "RefNotPermitted";
		*ret_text = arena_strf(arena,
				       "No ReferenceGrant in namespace " STR_FMT " lets Gateways of "
				       "namespace " STR_FMT " use Secret " STR_FMT ". Create one "
				       "there.", STR_ARG(ref->ns),
				       STR_ARG(scope->gateway->meta.ns), STR_ARG(ref->name));
		return NULL;
	}
	add_need(scope, ref);
	const struct object *secret = store_get(scope->store, KIND_SECRET, ref->ns, ref->name);
	if (!secret) {
		*ret_text = arena_strf(arena, "There is no Secret " STR_FMT "/" STR_FMT ". Create "
				       "it with type kubernetes.io/tls, or correct the name.",
				       STR_ARG(ref->ns), STR_ARG(ref->name));
		return NULL;
	}
	if (!secret->secret.is_tls) {
		*ret_text = arena_strf(arena, "Secret " STR_FMT "/" STR_FMT " is not usable as a "
				       "certificate: " STR_FMT ".", STR_ARG(ref->ns),
				       STR_ARG(ref->name), STR_ARG(secret->secret.problem));
		return NULL;
	}
	return secret;
}

static void copy_names(struct arena *arena, const struct certificate_info *info,
		       struct certificate_view *certificate)
{
	certificate->names = arena_array(arena, info->name_count, sizeof(struct str));
	certificate->name_count = info->name_count;
	for (size_t i = 0; i < info->name_count; i++)
		certificate->names[i] = arena_str(arena, info->names[i]);
}

static void add_certificate(struct arena *arena, struct listener_view *listener,
			    const struct object *secret)
{
	struct str name = arena_strf(arena, STR_FMT "." STR_FMT, STR_ARG(secret->meta.ns),
				     STR_ARG(secret->meta.name));
	for (size_t i = 0; i < listener->certificate_count; i++) {
		if (str_eq(listener->certificates[i].name, name))
			return;
	}
	struct certificate_view *certificate =
		&listener->certificates[listener->certificate_count++];
	certificate->name = name;
	certificate->digest = arena_str(arena, secret->secret.digest);
	certificate->ns = arena_str(arena, secret->meta.ns);
	certificate->secret = arena_str(arena, secret->meta.name);
	copy_names(arena, &secret->secret.info, certificate);
}

static void resolve_certificates(const struct listener_scope *scope,
				 struct listener_view *listener, size_t index)
{
	const struct listener *spec = listener->spec;
	if (!str_is(spec->protocol, "HTTPS"))
		return;
	if (spec->certificate_ref_count == 0)
		reject_ref(scope, listener, index, "tls.certificateRefs", "InvalidCertificateRef",
			   STR("An HTTPS listener needs a certificate. Name a Secret of type "
			       "kubernetes.io/tls in tls.certificateRefs."));
	listener->certificates = arena_array(scope->arena, spec->certificate_ref_count,
					     sizeof(*listener->certificates));
	for (size_t i = 0; i < spec->certificate_ref_count; i++) {
		char field[FIELD_BYTES];
		const char *reason;
		struct str text;
		snprintf(field, sizeof(field), "tls.certificateRefs[%zu]", i);
		const struct object *secret = find_certificate(scope, &spec->certificate_refs[i],
							       &reason, &text);
		if (!secret) {
			reject_ref(scope, listener, index, field, reason, text);
			continue;
		}
		add_certificate(scope->arena, listener, secret);
		warn_validity(scope, secret, index, field);
	}
}

void listener_resolve(const struct listener_scope *scope, struct listener_view *listener,
		      size_t index)
{
	conditions_set(&listener->conditions, "Accepted", true, "Accepted",
		       STR("The listener is valid."));
	conditions_set(&listener->conditions, "Conflicted", false, "NoConflicts",
		       STR("No other listener wants the same port and hostname."));
	conditions_set(&listener->conditions, "ResolvedRefs", true, "ResolvedRefs",
		       STR("Everything the listener refers to was found."));
	check_protocol(scope, listener, index);
	check_hostname(scope, listener, index);
	check_validation(scope, listener, index);
	resolve_kinds(scope, listener, index);
	resolve_certificates(scope, listener, index);
}
