/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kube_client.h"

#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>
#include <curl/curl.h>
#include <ev.h>
#include <json-c/json.h>

#include "base/sb.h"
#include "source/clock.h"
#include "source/json.h"
#include "source/kube_auth.h"

enum {
	PAUSE_MIN_MS = 250,
	PAUSE_MAX_MS = 10000,
	RETRY_MAX_MS = 30000,
	REFUSED_PAUSE_MS = 15000, /* of what will not be better soon */
	MAX_STREAMS = 100, /* of one connection; an API server allows as many by default */
	TOKEN_PAUSE_MS = 20, /* while the rate is spent */
	CONNECT_LIMIT_S = 10,
	ANSWER_LIMIT_S = 30,	/* until a status comes */
	RETRY_AFTER_MAX_S = 60, /* whatever a server says */
	PULSE_LIMIT_S = 10,
	KEEPALIVE_IDLE_S = 15, /* the kernel asks, on each connection; 9 times in vain end it */
	KEEPALIVE_PAUSE_S = 5,
	STATUS_BYTES = 64 * 1024, /* of the body of an answer that is not 2xx */
	BODY_BYTES = 4 * 1024 * 1024, /* of one that nobody else takes */
	TEXT_BYTES = 512,
};
#define PULSE_S 15.0

const struct kube_limits kube_read_limits = { .rate_per_s = 50, .burst = 100, .unanswered = 20 };

TAILQ_HEAD(request_list, kube_request);

struct kube_request {
	TAILQ_ENTRY(kube_request) link;
	struct kube_client *client;
	struct kube_request_ops ops;
	void *user;
	char *url;
	const char *method; /* NULL: GET; a literal */
	char *type, *body;  /* of what is sent; NULL: nothing */
	size_t body_bytes;
	unsigned limit_s;
	CURL *easy; /* NULL: in the queue */
	struct curl_slist *headers;
	struct sb answer_body; /* what ops.body is not for */
	struct error err; /* of body() */
	double started_s;
	bool answered;    /* a status has come */
};

/* A socket of libcurl. */
struct socket_watch {
	struct kube_client *client;
	ev_io io;
};

struct kube_client {
	struct ev_loop *loop;
	const struct kubeconfig *config;
	const struct kube_limits *limits;
	struct kube_auth *auth;
	void (*changed)(void *user);
	void *user;
	char *base; /* of all URLs */
	struct curl_slist *connect_to; /* where that is, if its name is only for TLS */
	CURLM *multi;
	ev_timer curl_timer;
	struct request_list queue, running;
	size_t unanswered;	  /* of those that run */
	ev_timer gate;		  /* active: closed; or until the next token */
	bool away;
	bool back; /* an answer has come: it is not away any more */
	bool hung; /* a connection: nothing answers on it */
	unsigned attempt;	  /* since it is away */
	double away_since_s;
	char away_text[TEXT_BYTES];
	double tokens, tokens_at_s; /* of the bucket that bounds the rate */
	ev_timer pulse;
	struct kube_request *probe; /* a sign of life was asked for */
	double heard_s;		    /* of the server, last */
	struct kube_client_stats stats;
};

int64_t kube_backoff_ms(unsigned attempt, int64_t base_ms, int64_t max_ms)
{
	int64_t pause_ms = base_ms;
	for (; attempt > 0 && pause_ms < max_ms; attempt--)
		pause_ms *= 2;
	if (pause_ms > max_ms)
		pause_ms = max_ms;
	return pause_ms / 2 + arc4random_uniform((uint32_t)(pause_ms / 2) + 1);
}

int64_t kube_retry_ms(const struct kube_answer *answer, unsigned *attempt)
{
	int status = answer->status;
	bool refused = status / 100 == 4 && status != 401 && status != 429;
	int64_t pause_ms = refused ? REFUSED_PAUSE_MS :
				     kube_backoff_ms((*attempt)++, PAUSE_MIN_MS, RETRY_MAX_MS);
	return pause_ms > answer->retry_after_ms ? pause_ms : answer->retry_after_ms;
}

static void pump(struct kube_client *client);

/* ---- Away and back ---- */

static void close_gate(struct kube_client *client, int64_t pause_ms)
{
	ev_timer_stop(client->loop, &client->gate);
	ev_timer_set(&client->gate, (double)pause_ms / 1000.0, 0);
	ev_timer_start(client->loop, &client->gate);
}

static void go_away(struct kube_client *client, const char *why, int64_t pause_ms)
{
	bool news = !client->away;
	snprintf(client->away_text, sizeof(client->away_text), "%s", why);
	if (news) {
		client->away = true;
		client->away_since_s = clock_s();
		client->attempt = 0;
	}
	/* Requests that were sent together fail together: that is one attempt. */
	if (!news && ev_is_active(&client->gate))
		return;
	int64_t own_ms = kube_backoff_ms(client->attempt++, PAUSE_MIN_MS, PAUSE_MAX_MS);
	close_gate(client, pause_ms > own_ms ? pause_ms : own_ms);
	if (news)
		client->changed(client->user);
}

static void come_back(struct kube_client *client)
{
	client->back = false;
	if (!client->away)
		return;
	client->away = false;
	ev_timer_stop(client->loop, &client->gate);
	client->changed(client->user);
}

const char *kube_client_away(const struct kube_client *client, double *ret_seconds)
{
	if (!client->away)
		return NULL;
	*ret_seconds = clock_s() - client->away_since_s;
	return client->away_text;
}

void kube_client_hurry(struct kube_client *client)
{
	if (client->away && ev_is_active(&client->gate))
		close_gate(client, 0);
}

/* ---- One request ---- */

static void request_free(struct kube_request *request)
{
	struct kube_client *client = request->client;
	TAILQ_REMOVE(request->easy ? &client->running : &client->queue, request, link);
	if (request->easy) {
		client->unanswered -= !request->answered;
		curl_multi_remove_handle(client->multi, request->easy);
		curl_easy_cleanup(request->easy);
	}
	curl_slist_free_all(request->headers);
	sb_fini(&request->answer_body);
	free(request->type);
	free(request->body);
	free(request->url);
	free(request);
}

static bool is_busy(long status)
{
	return status == 401 || status == 429 || status == 503;
}

/* Called for every line of the head; libcurl has read the first one by then. */
static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
	(void)bytes;
	struct kube_request *request = user;
	struct kube_client *client = request->client;
	long status = 0, connections = 0;
	client->heard_s = clock_s();
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	if (request->answered || status < 200)
		return size * count;
	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connections);
	client->stats.connections += (uint64_t)connections;
	request->answered = true;
	client->unanswered--;
	client->back |= !is_busy(status);
	return size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct kube_request *request = user;
	struct str part = { bytes, size * count };
	long status = 0;
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	request->client->heard_s = clock_s();
	request->client->stats.bytes += part.n;
	if (status / 100 == 2 && request->ops.body)
		return request->ops.body(request->user, part, &request->err) ? part.n : 0;
	sb_add(&request->answer_body, part);
	return status / 100 != 2 || sb_ok(&request->answer_body, &request->err) ? part.n : 0;
}

static struct json_object *parse_body(const struct kube_request *request)
{
	struct str body = sb_str(&request->answer_body);
	return json_tokener_parse(body.n ? body.p : "null");
}

static bool says_namespace_ends(struct json_object *json)
{
	struct json_object *causes = json_field(json_field(json, "details"), "causes");
	bool found = false;
	for (size_t i = 0; !found && i < json_length(causes); i++)
		found = str_is(json_text(json_object_array_get_idx(causes, i), "reason"),
			       "NamespaceTerminating");
	return found;
}

/* What an API server says of a failure: a Status object, or plain text. */
static void read_failure(struct kube_request *request, char text[TEXT_BYTES],
			 struct kube_answer *answer)
{
	struct json_object *json = parse_body(request);
	const char *message = json_cstr(json, "message");
	curl_off_t retry_after_s = 0;
	if (*message)
		snprintf(text, TEXT_BYTES, "%s", message);
	else
		snprintf(text, TEXT_BYTES, "HTTP status %d", answer->status);
	answer->text = str_of(text);
	answer->namespace_ends = says_namespace_ends(json);
	json_object_put(json);
	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	if (retry_after_s > RETRY_AFTER_MAX_S)
		retry_after_s = RETRY_AFTER_MAX_S;
	answer->retry_after_ms = retry_after_s > 0 ? (int64_t)retry_after_s * 1000 : 0;
}

/* The request has come to its end: the client's own conclusions, then the owner's. */
static void finish(struct kube_request *request, int status, const char *why)
{
	struct kube_client *client = request->client;
	char text[TEXT_BYTES] = "";
	struct kube_answer answer = { .status = status, .unanswered = !request->answered };
	struct kube_request_ops ops = request->ops;
	void *user = request->user;
	if (why) {
		answer.status = 0;
		snprintf(text, sizeof(text), "%s", why);
		answer.text = str_of(text);
		client->stats.failures += answer.unanswered;
	} else if (status / 100 != 2) {
		read_failure(request, text, &answer);
	} else if (!ops.body) {
		answer.json = parse_body(request);
	}
	if (request->answered && status >= 100 && status < 600)
		client->stats.answers[status / 100]++;
	answer.busy = !why && is_busy(status);
	if (answer.unanswered || answer.busy)
		go_away(client, text, answer.retry_after_ms);
	if (status == 401)
		kube_auth_refused(client->auth);
	if (client->probe == request)
		client->probe = NULL;
	request_free(request);
	if (ops.done)
		ops.done(user, &answer);
	json_object_put(answer.json);
}

/* ---- libcurl in the loop ---- */

static const char *failure_reason(struct kube_request *request, CURLcode code)
{
	if (request->err.code != ERR_NONE)
		return request->err.text;
	return code == CURLE_OK ? NULL : curl_easy_strerror(code);
}

/* Sent in vain, while nobody else has heard anything either. */
static bool is_lost(const struct kube_request *request, CURLcode code)
{
	curl_off_t sent_us = 0; /* 0: the connection was not even made */
	curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	return code == CURLE_OPERATION_TIMEDOUT && sent_us > 0 &&
	       request->client->heard_s < request->started_s;
}

/* "https://10.0.0.1:6443 cannot be reached: Couldn't connect to server" */
static void conclude(struct kube_request *request, CURLcode code)
{
	const char *reason = failure_reason(request, code);
	char why[TEXT_BYTES];
	long status = 0;
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	request->client->hung |= is_lost(request, code);
	if (reason && !request->answered)
		snprintf(why, sizeof(why), "%s cannot be reached: %s",
			 request->client->config->server.p, reason);
	else if (reason)
		snprintf(why, sizeof(why), "%s", reason);
	finish(request, (int)status, reason ? why : NULL);
}

static void reset_connections(struct kube_client *client);

static void check_done(struct kube_client *client)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
		struct kube_request *request = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		conclude(request, code);
	}
	if (client->back)
		come_back(client);
	if (client->hung)
		reset_connections(client);
	pump(client);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct socket_watch *watch = io->data;
	struct kube_client *client = watch->client;
	int running, action = (events & EV_READ ? CURL_CSELECT_IN : 0) |
			      (events & EV_WRITE ? CURL_CSELECT_OUT : 0);
	curl_multi_socket_action(client->multi, io->fd, action, &running);
	check_done(client);
}

static void on_curl_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct kube_client *client = timer->data;
	int running;
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_done(client);
}

static int set_timer(CURLM *multi, long timeout_ms, void *user)
{
	struct kube_client *client = user;
	(void)multi;
	ev_timer_stop(client->loop, &client->curl_timer);
	if (timeout_ms >= 0) {
		ev_timer_set(&client->curl_timer, (double)timeout_ms / 1000.0, 0);
		ev_timer_start(client->loop, &client->curl_timer);
	}
	return 0;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
	struct kube_client *client = user;
	struct socket_watch *watch = socket_user;
	(void)easy;
	if (watch)
		ev_io_stop(client->loop, &watch->io);
	if (what == CURL_POLL_REMOVE) {
		free(watch);
		return 0;
	}
	if (!watch) {
		watch = xcalloc(1, sizeof(*watch));
		watch->client = client;
		curl_multi_assign(client->multi, fd, watch);
	}
	ev_io_init(&watch->io, on_socket, fd, (what & CURL_POLL_IN ? EV_READ : 0) |
						      (what & CURL_POLL_OUT ? EV_WRITE : 0));
	watch->io.data = watch;
	ev_io_start(client->loop, &watch->io);
	return 0;
}

static bool make_multi(struct kube_client *client, struct error *err)
{
	client->multi = curl_multi_init();
	if (!client->multi)
		return error_set(err, ERR_NOMEM, "libcurl cannot be used");
	curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(client->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)MAX_STREAMS);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	return true;
}

/* ---- Making a request ---- */

static void set_blob(CURL *easy, CURLoption option, struct str pem)
{
	/* Not in the option's type, but libcurl only reads it. */
	struct curl_blob blob = { (void *)(uintptr_t)pem.p, pem.n, CURL_BLOB_COPY };
	curl_easy_setopt(easy, option, &blob);
}

/* The certificate is given as what it says, not as the file's name: libcurl uses no connection that
 * was made with another one, and the server judges a connection by that for as long as it lasts. */
static void set_tls(CURL *easy, const struct kubeconfig *config,
		    const struct kube_credential *credential)
{
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* the file may rotate */
	if (!str_empty(config->ca_pem))
		set_blob(easy, CURLOPT_CAINFO_BLOB, config->ca_pem);
	else if (!str_empty(config->ca_file))
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file.p);
	if (!str_empty(credential->cert_pem))
		set_blob(easy, CURLOPT_SSLCERT_BLOB, credential->cert_pem);
	if (!str_empty(credential->key_pem))
		set_blob(easy, CURLOPT_SSLKEY_BLOB, credential->key_pem);
}

static void add_header(struct kube_request *request, const char *name, struct str value)
{
	struct sb header;
	sb_init(&header, 128 * 1024);
	sb_addf(&header, "%s: " STR_FMT, name, STR_ARG(value));
	request->headers = curl_slist_append(request->headers, sb_str(&header).p);
	sb_fini(&header);
}

static void set_headers(struct kube_request *request, CURL *easy,
			const struct kube_credential *credential)
{
	add_header(request, "Accept", STR("application/json"));
	if (request->type)
		add_header(request, "Content-Type", str_of(request->type));
	if (!str_empty(credential->token)) {
		struct sb bearer;
		sb_init(&bearer, 128 * 1024);
		sb_addf(&bearer, "Bearer " STR_FMT, STR_ARG(credential->token));
		add_header(request, "Authorization", sb_str(&bearer));
		sb_fini(&bearer);
	} else if (!str_empty(credential->username)) {
		curl_easy_setopt(easy, CURLOPT_USERNAME, credential->username.p);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, credential->password.p);
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
}

static void set_body(const struct kube_request *request, CURL *easy)
{
	if (!request->method)
		return;
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (!request->body)
		return;
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
}

static CURL *make_easy(struct kube_request *request, const struct kube_credential *credential)
{
	const struct kubeconfig *config = request->client->config;
	CURL *easy = curl_easy_init();
	if (!easy)
		abort(); /* out of memory */
	set_tls(easy, config, credential);
	set_headers(request, easy, credential);
	set_body(request, easy);
	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "tidegate/" PACKAGE_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_PAUSE_S);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_LIMIT_S);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)request->limit_s);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (!str_empty(config->proxy_url))
		curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy_url.p);
	if (request->client->connect_to)
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->client->connect_to);
	return easy;
}

static void start_request(struct kube_request *request, const struct kube_credential *credential)
{
	struct kube_client *client = request->client;
	TAILQ_REMOVE(&client->queue, request, link);
	request->easy = make_easy(request, credential);
	TAILQ_INSERT_TAIL(&client->running, request, link);
	request->started_s = clock_s();
	client->unanswered++;
	client->stats.requests++;
	curl_multi_add_handle(client->multi, request->easy);
}

/* ---- The queue ---- */

static void refill(struct kube_client *client)
{
	double now = clock_s();
	client->tokens += (now - client->tokens_at_s) * client->limits->rate_per_s;
	client->tokens_at_s = now;
	if (client->tokens > client->limits->burst)
		client->tokens = client->limits->burst;
}

/* False when requests have to wait; something will call pump() again. */
static bool may_start(struct kube_client *client)
{
	if (ev_is_active(&client->gate) ||
	    client->unanswered >= (client->away ? 1 : client->limits->unanswered))
		return false;
	refill(client);
	if (client->tokens >= 1)
		return true;
	close_gate(client, TOKEN_PAUSE_MS);
	return false;
}

/* Starts what may start. */
static void pump(struct kube_client *client)
{
	struct kube_request *request;
	while ((request = TAILQ_FIRST(&client->queue)) && may_start(client)) {
		struct kube_credential credential;
		struct error err;
		enum kube_auth_state state = kube_auth_get(client->auth, &credential, &err);
		if (state == KUBE_AUTH_WAIT)
			return;
		if (state == KUBE_AUTH_FAILED) {
			go_away(client, err.text, 0);
			return;
		}
		client->tokens -= 1;
		start_request(request, &credential);
	}
}

static void on_gate(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	pump(timer->data);
}

static void pump_later(struct kube_client *client)
{
	if (!ev_is_active(&client->gate))
		ev_feed_event(client->loop, &client->gate, EV_TIMER);
}

static void on_credential(void *user, const char *why)
{
	struct kube_client *client = user;
	if (why)
		go_away(client, why, 0);
	pump(client);
}

static struct kube_request *enqueue(struct kube_client *client, const char *path, unsigned limit_s,
				    const struct kube_request_ops *ops, void *user)
{
	struct kube_request *request = xcalloc(1, sizeof(*request));
	struct sb url;
	request->client = client;
	request->ops = *ops;
	request->user = user;
	request->limit_s = limit_s;
	sb_init(&url, 64 * 1024);
	sb_addf(&url, "%s%s", client->base, path);
	request->url = sb_take(&url, NULL);
	sb_init(&request->answer_body, ops->body ? STATUS_BYTES : BODY_BYTES);
	TAILQ_INSERT_TAIL(&client->queue, request, link);
	return request;
}

struct kube_request *kube_get(struct kube_client *client, const char *path, unsigned limit_s,
			      const struct kube_request_ops *ops, void *user)
{
	struct kube_request *request = enqueue(client, path, limit_s, ops, user);
	pump_later(client); /* the caller has not stored the request yet */
	return request;
}

struct kube_request *kube_send(struct kube_client *client, const struct kube_call *call,
			       unsigned limit_s, const struct kube_request_ops *ops, void *user)
{
	struct kube_request *request = enqueue(client, call->path, limit_s, ops, user);
	request->method = call->method;
	request->type = xstrndup(call->type, strlen(call->type));
	request->body = xstrndup(call->body.p, call->body.n);
	request->body_bytes = call->body.n;
	pump_later(client);
	return request;
}

void kube_cancel(struct kube_request *request)
{
	if (!request)
		return;
	struct kube_client *client = request->client;
	request_free(request);
	pump_later(client); /* it may have been the one that others waited for */
}

/* ---- Signs of life ---- */

/* All that runs is given up, connections too: HTTP/2 would go on using the one that hangs. */
static void reset_connections(struct kube_client *client)
{
	struct kube_request *request, *next;
	struct error err;
	char why[TEXT_BYTES];
	snprintf(why, sizeof(why), "%s does not answer: the connection hangs",
		 client->config->server.p);
	client->hung = false;
	go_away(client, why, 0);
	TAILQ_FOREACH_SAFE(request, &client->running, link, next)
		finish(request, 0, why);
	client->hung = false;
	curl_multi_cleanup(client->multi);
	if (!make_multi(client, &err))
		abort(); /* out of memory */
}

static void on_probe_done(void *user, const struct kube_answer *answer)
{
	struct kube_client *client = user;
	client->hung |= answer->unanswered;
}

/* A server may take requests and never answer them; or it is one of several connections that hangs,
 * while others are heard. */
static void drop_unanswered(struct kube_client *client)
{
	struct kube_request *request, *next;
	char why[TEXT_BYTES];
	snprintf(why, sizeof(why), "%s does not answer", client->config->server.p);
	TAILQ_FOREACH_SAFE(request, &client->running, link, next) {
		if (!request->answered && clock_s() - request->started_s > ANSWER_LIMIT_S) {
			client->hung = true;
			finish(request, 0, why);
		}
	}
}

static void on_pulse(struct ev_loop *loop, ev_timer *timer, int events)
{
	static const struct kube_request_ops ops = { NULL, on_probe_done };
	struct kube_client *client = timer->data;
	struct kube_credential credential;
	struct error err;
	(void)loop;
	(void)events;
	drop_unanswered(client);
	if (client->hung)
		reset_connections(client);
	if (TAILQ_EMPTY(&client->running) || client->away || client->probe ||
	    clock_s() - client->heard_s < PULSE_S ||
	    kube_auth_get(client->auth, &credential, &err) != KUBE_AUTH_READY)
		return;
	client->probe = enqueue(client, "/version", PULSE_LIMIT_S, &ops, client);
	start_request(client->probe, &credential);
}

/* ---- Lifetime ---- */

/* tls-server-name: the URL has that name, which is verified and sent; the connection goes where
 * the server's URL points. */
static bool set_server_name(struct kube_client *client, CURLU *url)
{
	const char *name = client->config->tls_server_name.p;
	char *host = NULL, *port = NULL;
	bool ok = curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		  curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK;
	if (ok) {
		struct sb to;
		sb_init(&to, 8192);
		sb_addf(&to, "::%s:%s", host, port);
		client->connect_to = curl_slist_append(NULL, sb_str(&to).p);
		sb_fini(&to);
	}
	curl_free(host);
	curl_free(port);
	return ok;
}

static bool set_base(struct kube_client *client, struct error *err)
{
	const struct kubeconfig *config = client->config;
	CURLU *url = curl_url();
	char *text = NULL;
	bool ok = curl_url_set(url, CURLUPART_URL, config->server.p, 0) == CURLUE_OK &&
		  (str_empty(config->tls_server_name) || set_server_name(client, url)) &&
		  curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK;
	struct str base = str_of(text);
	if (str_ends(base, STR("/")))
		base.n--;
	if (ok)
		client->base = xstrndup(base.p, base.n);
	curl_free(text);
	curl_url_cleanup(url);
	return ok || error_set(err, ERR_SYNTAX, "'%s' is no URL of an API server", config->server.p);
}

struct kube_client *kube_client_new(struct ev_loop *loop, const struct kubeconfig *config,
				    const struct kube_limits *limits, void (*changed)(void *user),
				    void *user, struct error *err)
{
	struct kube_client *client = xcalloc(1, sizeof(*client));
	client->loop = loop;
	client->config = config;
	client->limits = limits;
	client->changed = changed;
	client->user = user;
	client->tokens = limits->burst;
	client->tokens_at_s = client->heard_s = clock_s();
	TAILQ_INIT(&client->queue);
	TAILQ_INIT(&client->running);
	ev_timer_init(&client->curl_timer, on_curl_timer, 0, 0);
	ev_timer_init(&client->gate, on_gate, 0, 0);
	ev_timer_init(&client->pulse, on_pulse, PULSE_S / 3, PULSE_S / 3);
	client->curl_timer.data = client->gate.data = client->pulse.data = client;
	client->auth = kube_auth_new(loop, config, on_credential, client);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (!make_multi(client, err) || !set_base(client, err)) {
		kube_client_free(client);
		return NULL;
	}
	ev_timer_start(loop, &client->pulse);
	return client;
}

void kube_client_free(struct kube_client *client)
{
	if (!client)
		return;
	struct kube_request *request, *next;
	TAILQ_FOREACH_SAFE(request, &client->running, link, next)
		request_free(request);
	TAILQ_FOREACH_SAFE(request, &client->queue, link, next)
		request_free(request);
	curl_multi_cleanup(client->multi);
	ev_timer_stop(client->loop, &client->curl_timer);
	ev_timer_stop(client->loop, &client->gate);
	ev_timer_stop(client->loop, &client->pulse);
	kube_auth_free(client->auth);
	curl_slist_free_all(client->connect_to);
	curl_global_cleanup();
	free(client->base);
	free(client);
}

void kube_client_stats(const struct kube_client *client, struct kube_client_stats *ret_stats)
{
	*ret_stats = client->stats;
}
