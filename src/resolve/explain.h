/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to one request, and why, as the Gateway API's specification words it.
 *
 *   port ──► frontend ──► most specific listener ──► candidates, in order of precedence
 *        ──► the first that matches ──► filters, backends and their shares
 *
 * It works on the resolved objects and never looks at the plan, so that it can disagree with
 * the compiler: it is what `tidectl explain` prints, and the judge in differential tests. */
#pragma once

#include "base/sb.h"
#include "match/request.h"
#include "resolve/view.h"

struct explain_world {
	const struct gateways_view *gateways;
	const struct route_view *const *routes;
	size_t route_count;
	lookup_fn lookup; /* to count servers; may be NULL */
	void *lookup_user;
};

struct explain_request {
	bool https;
	uint16_t port;       /* 0: 80 or 443 */
	struct str host;     /* without the port */
	struct str sni;      /* of the connection, https; empty: the host */
	struct str frontend; /* "NS.GATEWAY.PORT"; empty: the first with port and scheme */
	struct str gateway;  /* of that one, "NAMESPACE/NAME"; empty: any */
	struct request request;
};

/* Fills scheme, port, host, path and query from "http://host:8080/path?query"; slices borrow
 * from url. Fails with ERR_SYNTAX. Method and headers are left alone. */
bool explain_parse_url(struct str url, struct explain_request *ret_request, struct error *err)
	must_check;

struct explain_candidate {
	const struct route_view *route;
	size_t rule, match;
	struct str hostname; /* the route's that takes the host; "" any */
	bool matches;
	struct str why_not;  /* one sentence part; empty when it matches */
};

/* What a share of the requests gets. */
struct explain_target {
	struct str backend;  /* as in ref_view.backend; "http-500" or "http-503" for an invalid reference */
	uint32_t weight;
	size_t server_count; /* of the backend; 0: answered 503 */
	const struct ref_view *ref;
	int status;          /* 0: a server answers; 500, 503, or that of a redirect of its own */
	struct str location; /* of that redirect */
	struct str host;     /* what its servers get instead of the request's; empty: the same */
	struct str path;     /* what its servers get, rewritten or not */
};

enum { EXPLAIN_REFUSED = -1 }; /* nobody listens there */

/* The bare facts, for comparing with what HAProxy does. */
struct explain_outcome {
	int status; /* 0: sent to one of the backends; an HTTP status; or EXPLAIN_REFUSED */
	struct str rule; /* its name, as in rule_view; empty: none took it */
	const struct explain_target *targets; /* with a weight that is not 0 */
	size_t target_count;
	struct str location; /* redirects */
};

struct explain_result {
	struct arena *arena; /* owns all of it but the views */
	const struct explain_request *request; /* borrowed */
	const struct frontend_view *frontend; /* NULL: refused */
	const struct listener_view *listener; /* by host; NULL: none */
	const struct listener_view *sni_listener; /* https, by SNI; NULL: none */
	struct explain_candidate *candidates; /* in order; all that cover the host */
	size_t candidate_count;
	const struct explain_candidate *winner; /* NULL: none */
	struct explain_outcome outcome;
	struct str verdict; /* the outcome in a sentence */
};

/* The world's views and the request must outlive the result. */
struct explain_result *explain(const struct explain_world *world,
			       const struct explain_request *request);
void explain_free(struct explain_result *result); /* accepts NULL */

/* For people, in lines. */
void explain_print(const struct explain_result *result, struct sb *out);
