/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/gateway.h"

#include "resolve/hostname.h"

/* ---- SNI filters ---- */

struct sni_filter {
	struct str name;
	const struct certificate_view *owner;
};

/* One frontend's certificates and who of them is served for which names. */
struct sni {
	struct arena *arena;
	struct sni_filter *filters;
	size_t filter_count, filter_capacity;
	const struct certificate_view **certificates; /* distinct by name */
	bool *open; /* of the same index: no filter of its own on some listener */
	size_t certificate_count;
};

/* The first listener that names a filter has it. */
static void sni_claim(struct sni *sni, struct str name, const struct certificate_view *owner)
{
	for (size_t i = 0; i < sni->filter_count; i++) {
		if (str_eq(sni->filters[i].name, name))
			return;
	}
	sni->filters =
		grow(sni->filters, sni->filter_count, &sni->filter_capacity, sizeof(*sni->filters));
	sni->filters[sni->filter_count++] = (struct sni_filter){ name, owner };
}

static size_t sni_certificate(struct sni *sni, const struct certificate_view *certificate)
{
	for (size_t i = 0; i < sni->certificate_count; i++) {
		if (str_eq(sni->certificates[i]->name, certificate->name))
			return i;
	}
	sni->certificates[sni->certificate_count] = certificate;
	return sni->certificate_count++;
}

/* The names that both a certificate's name and a listener's hostname allow; empty: none. A
 * wildcard of a certificate stands for one label only. */
static struct str names_intersect(struct str name, struct str hostname)
{
	if (hostname_covers(hostname, name))
		return name;
	if (hostname_is_wildcard(name) && !hostname_is_wildcard(hostname)) {
		struct str parent = hostname;
		str_cut(&parent, '.');
		if (str_eq(parent, str_sub(name, 2, name.n)))
			return hostname;
	}
	return STR_NONE;
}

/* Claims what a certificate is good for on a listener; true when that has the whole hostname. */
static bool sni_claim_names(struct sni *sni, const struct certificate_view *certificate,
			    struct str hostname)
{
	bool whole = false;
	for (size_t i = 0; i < certificate->name_count; i++) {
		struct str name = names_intersect(certificate->names[i], hostname);
		if (str_empty(name))
			continue;
		sni_claim(sni, name, certificate);
		whole |= str_eq(name, hostname);
	}
	return whole;
}

static void sni_listener(struct sni *sni, const struct listener_view *listener)
{
	struct str hostname = listener->spec->hostname;
	bool whole = str_empty(hostname);
	for (size_t i = 0; i < listener->certificate_count; i++) {
		const struct certificate_view *certificate = &listener->certificates[i];
		size_t at = sni_certificate(sni, certificate);
		if (listener->certificate_count > 1)
			whole |= sni_claim_names(sni, sni->certificates[at], hostname);
		else if (whole)
			sni->open[at] = true;
	}
	if (!whole && listener->certificate_count)
		sni_claim(sni, hostname,
			  sni->certificates[sni_certificate(sni, &listener->certificates[0])]);
}

/* A certificate without filters is served for the names inside it, unless listeners with
 * filters of their own have a part in it: then its names become filters, last of all. */
static void sni_close_open(struct sni *sni)
{
	for (size_t i = 0; i < sni->certificate_count; i++) {
		if (!sni->open[i])
			continue;
		const struct certificate_view *certificate = sni->certificates[i];
		bool shared = false;
		for (size_t j = 0; j < sni->filter_count; j++) {
			shared |= sni->filters[j].owner == certificate;
			for (size_t k = 0; k < certificate->name_count; k++)
				shared |= str_eq(sni->filters[j].name, certificate->names[k]);
		}
		if (shared) {
			sni_claim_names(sni, certificate, STR_NONE);
			sni->open[i] = false;
		}
	}
}

static int filter_cmp(const void *a, const void *b)
{
	const struct sni_filter *x = a, *y = b;
	return str_cmp(x->name, y->name);
}

/* The value of one SNI entry: empty when others have all its names, so that it is served as the
 * default at most; a failed builder when it is too long. */
static void sni_value(const struct sni *sni, size_t index, struct sb *value)
{
	for (size_t i = 0; i < sni->filter_count; i++) {
		if (sni->filters[i].owner != sni->certificates[index])
			continue;
		if (value->len)
			sb_addc(value, ' ');
		sb_add(value, sni->filters[i].name);
	}
	if (sni->open[index] && value->len == 0 && !value->failed)
		sb_addc(value, '-');
}

static void sni_emit(struct emit *emit, const struct sni *sni, const struct gateway_view *gateway,
		     struct str frontend)
{
	for (size_t i = 0; i < sni->certificate_count; i++) {
		struct str name = sni->certificates[i]->name;
		struct str key = arena_strf(emit->scratch, STR_FMT " " STR_FMT, STR_ARG(frontend),
					    STR_ARG(name));
		struct sb value;
		sb_init(&value, MAX_MAP_LINE_BYTES);
		sni_value(sni, i, &value);
		bool fits = sb_ok(&value, NULL) &&
			    (value.len == 0 || emit_entry(emit, PLAN_SNI, key, sb_str(&value)));
		sb_fini(&value);
		if (fits)
			continue;
		findings_add(&emit->findings, SEVERITY_WARNING, KIND_GATEWAY,
			     &gateway->object->meta, "spec.listeners", "TooManyCertificateNames",
			     "certificate '" STR_FMT "' has so many names that it is served for "
			     "all of them and not only for those of its listeners",
			     STR_ARG(name));
		emit_fitting(emit, PLAN_SNI, key, STR("-"));
	}
}

static size_t label_count(struct str hostname)
{
	size_t count = hostname.n != 0;
	for (size_t i = 0; i < hostname.n; i++)
		count += hostname.p[i] == '.';
	return count;
}

/* The first certificate of the least specific listener that is not for one host alone. */
static const struct certificate_view *default_certificate(const struct frontend_view *frontend)
{
	const struct listener_view *best = NULL;
	for (size_t i = 0; i < frontend->listener_count; i++) {
		const struct listener_view *listener = frontend->listeners[i];
		struct str hostname = listener->spec->hostname;
		if (listener->certificate_count == 0 || (hostname.n && !hostname_is_wildcard(hostname)))
			continue;
		if (!best || label_count(hostname) < label_count(best->spec->hostname))
			best = listener;
	}
	return best ? &best->certificates[0] : NULL;
}

static void certificates_emit(struct emit *emit, const struct gateway_view *gateway,
			      const struct frontend_view *frontend)
{
	struct sni sni = { .arena = emit->scratch };
	size_t most = 0;
	for (size_t i = 0; i < frontend->listener_count; i++)
		most += frontend->listeners[i]->certificate_count;
	sni.certificates = arena_array(emit->scratch, most, sizeof(*sni.certificates));
	sni.open = arena_array(emit->scratch, most, sizeof(*sni.open));
	for (size_t i = 0; i < frontend->listener_count; i++)
		sni_listener(&sni, frontend->listeners[i]);
	sni_close_open(&sni);
	if (sni.filter_count)
		qsort(sni.filters, sni.filter_count, sizeof(*sni.filters), filter_cmp);
	for (size_t i = 0; i < sni.certificate_count; i++)
		emit_fitting(emit, PLAN_CERTIFICATE, sni.certificates[i]->name,
			     sni.certificates[i]->digest);
	sni_emit(emit, &sni, gateway, frontend->name);
	free(sni.filters);
	const struct certificate_view *fallback = default_certificate(frontend);
	if (fallback)
		emit_fitting(emit, PLAN_DEFAULT_CERT, frontend->name, fallback->name);
}

/* ---- frontends ---- */

static void frontend_emit(struct emit *emit, const struct gateway_view *gateway,
			  const struct frontend_view *frontend)
{
	struct sb value;
	sb_init(&value, MAX_MAP_LINE_BYTES);
	sb_adds(&value, frontend->tls ? "https " : "http ");
	for (size_t i = 0; i < frontend->address_count; i++) {
		struct str address = frontend->addresses[i];
		bool v6 = str_chr(address, ':', 0) < address.n && address.p[0] != '[';
		sb_addf(&value, v6 ? "%s[" STR_FMT "]" : "%s" STR_FMT, i ? "," : "",
			STR_ARG(address));
	}
	sb_addf(&value, ":%u", frontend->bind_port);
	if (frontend->bind_port != frontend->port)
		sb_addf(&value, " for %u", frontend->port);
	if (frontend->transparent)
		sb_adds(&value, " transparent");
	emit_fitting(emit, PLAN_FRONTEND, frontend->name, sb_str(&value));
	sb_fini(&value);
	for (size_t i = 0; i < frontend->listener_count; i++) {
		const struct listener *spec = frontend->listeners[i]->spec;
		struct str hostname = spec->hostname.n ? spec->hostname : STR("*");
		struct str key = arena_strf(emit->scratch, STR_FMT " " STR_FMT,
					    STR_ARG(frontend->name), STR_ARG(hostname));
		emit_fitting(emit, PLAN_LISTENER, key, spec->name);
	}
	if (frontend->tls)
		certificates_emit(emit, gateway, frontend);
}

void gateways_emit(struct emit *emit, const struct gateways_view *gateways)
{
	for (size_t i = 0; i < gateways->gateway_count; i++) {
		const struct gateway_view *gateway = &gateways->gateways[i];
		for (size_t j = 0; j < gateway->frontend_count; j++)
			frontend_emit(emit, gateway, &gateway->frontends[j]);
	}
}
