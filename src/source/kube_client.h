/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to one API server: libcurl's multi interface in our loop, over one HTTP/2 connection
 * where the server speaks it.
 *
 *   kube_get(), kube_send() ──► queue ──gate, rate──► running ──► body() ... ──► done()
 *                            │
 *        closed while the server is away: then one request at a time goes out to try, after a
 *        pause that doubles up to 10 s; the first answer opens it
 *
 * So however many watches wait, a server that is away sees one attempt per pause, and one that
 * comes back sees at most a burst of requests at once and a steady rate after that.
 *
 * libcurl would use a connection that hangs on and on. All connections are given up, with what runs
 * on them, when
 *   - nothing is heard for 15 s while a request runs, and a sign of life (GET /version) does not
 *     come within 10 s;
 *   - a request has had no answer at its limit, and nothing else was heard since it was sent;
 *   - a request has had no answer for 30 s, whatever else was heard: there may be several
 *     connections. One on which only watches run, while others are heard, is the kernel's to
 *     end: within a minute when its other end is gone (TCP keepalive). */
#pragma once

#include "source/kubeconfig.h"

struct ev_loop;
struct json_object;
struct kube_client;
struct kube_request;

struct kube_answer {
	int status;      /* of HTTP; 0: none, or it broke off; the text says why */
	bool unanswered; /* not even a status came: the client tries again by itself */
	bool busy;       /* 401, 429 or 503: the server counts as away */
	bool namespace_ends; /* and takes nothing new: a 403, whatever one's rights are */
	struct str text; /* the server's own message, or ours */
	int64_t retry_after_ms; /* 0: the server did not say */
	struct json_object *json; /* of a 2xx that ops.body is not for, borrowed; NULL: no JSON */
};

struct kube_request_ops {
	/* A part of the body of a 2xx. False with *err ends the request. May not call the client.
	 * NULL: the client collects it, up to 4 MiB, and the answer has it. */
	bool (*body)(void *user, struct str bytes, struct error *err);
	/* The end of it, also of the struct kube_request. May not cancel others. */
	void (*done)(void *user, const struct kube_answer *answer);
};

struct kube_limits { /* of one client's requests */
	unsigned rate_per_s, burst;
	unsigned unanswered; /* at once */
};
extern const struct kube_limits kube_read_limits; /* of a client that lists and watches */

/* config and limits are borrowed. changed() is called from the loop when the server goes away or comes
 * back. NULL when libcurl cannot do it. */
struct kube_client *kube_client_new(struct ev_loop *loop, const struct kubeconfig *config,
				    const struct kube_limits *limits, void (*changed)(void *user),
				    void *user, struct error *err);
/* Requests that run are dropped without done(). Accepts NULL. */
void kube_client_free(struct kube_client *client);

/* GET of a path with its query; limit_s: how long it may take in all. Never calls back before
 * it has returned. */
struct kube_request *kube_get(struct kube_client *client, const char *path, unsigned limit_s,
			      const struct kube_request_ops *ops, void *user);
struct kube_call { /* a request that writes */
	const char *method, *path;
	const char *type; /* of the body: "application/json" */
	struct str body;
};
/* The same for what is not read; everything is copied. */
struct kube_request *kube_send(struct kube_client *client, const struct kube_call *call,
			       unsigned limit_s, const struct kube_request_ops *ops, void *user);
/* No callback comes any more. Accepts NULL. */
void kube_cancel(struct kube_request *request);

/* Why the server counts as away, and for how long; NULL: it does not. */
const char *kube_client_away(const struct kube_client *client, double *ret_seconds);

/* Tries at once, however long the pause still is. */
void kube_client_hurry(struct kube_client *client);

struct kube_client_stats {
	uint64_t requests, failures; /* failures: no answer */
	uint64_t answers[6];         /* by the first digit of the status */
	uint64_t connections, bytes;
};
void kube_client_stats(const struct kube_client *client, struct kube_client_stats *ret_stats);

/* A pause before attempt number `attempt` (0, 1, ...): doubles from base_ms up to max_ms, then
 * is spread between a half and the whole of that. */
int64_t kube_backoff_ms(unsigned attempt, int64_t base_ms, int64_t max_ms);

/* The pause after an answer that is no success: 15 s when it refuses; what passes by itself (401:
 * another token is read) is tried sooner, and counted in *attempt. At least what the server says. */
int64_t kube_retry_ms(const struct kube_answer *answer, unsigned *attempt);
