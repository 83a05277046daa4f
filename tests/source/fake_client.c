/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/source/fake_client.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

struct fake_answer (*fake_client_answer)(const char *path);

const struct kube_limits kube_read_limits = { .rate_per_s = 1 };

struct kube_client {
	struct ev_loop *loop;
};

struct kube_request {
	struct kube_client *client;
	struct kube_request_ops ops;
	void *user;
	char *path;
	ev_timer timer;
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct kube_request *request = timer->data;
	const struct kube_request_ops ops = request->ops;
	void *user = request->user;
	struct fake_answer says = fake_client_answer(request->path);
	struct kube_answer answer = { .status = says.status, .unanswered = !says.status,
				      .busy = says.status == 429 };
	struct error err;
	(void)loop;
	(void)events;
	if (says.status != 200) {
		answer.text = str_of(says.body);
	} else if (!ops.body(user, str_of(says.body), &err)) {
		answer.status = 0;
		answer.text = str_of(err.text);
	} else if (says.breaks) {
		answer.status = 0;
		answer.text = STR("broken off");
	} else if (says.stays) {
		return;
	}
	kube_cancel(request);
	ops.done(user, &answer);
}

/* Its bookmarks keep the version of what seldom changes from growing too old; and the server ends it
 * before we would give it up. */
static void expect_watch(const char *path, unsigned limit_s)
{
	static const char timeout[] = "&timeoutSeconds=", version[] = "&resourceVersion=";
	const char *seconds = strstr(path, timeout), *from = strstr(path, version);
	assert_non_null(strstr(path, "&allowWatchBookmarks=true&"));
	assert_non_null(seconds);
	assert_non_null(from);
	unsigned long timeout_s = strtoul(seconds + strlen(timeout), NULL, 10);
	assert_in_range(timeout_s, 300, 600);
	assert_in_range(limit_s, timeout_s + 1, timeout_s + 60);
	assert_in_range(from[strlen(version)], '0', '9');
}

struct kube_request *kube_get(struct kube_client *client, const char *path, unsigned limit_s,
			      const struct kube_request_ops *ops, void *user)
{
	struct kube_request *request = xcalloc(1, sizeof(*request));
	if (strstr(path, "?watch=1"))
		expect_watch(path, limit_s);
	request->client = client;
	request->ops = *ops;
	request->user = user;
	request->path = xstrndup(path, strlen(path));
	ev_timer_init(&request->timer, on_timer, 0, 0);
	request->timer.data = request;
	ev_timer_start(client->loop, &request->timer);
	return request;
}

void kube_cancel(struct kube_request *request)
{
	if (!request)
		return;
	ev_timer_stop(request->client->loop, &request->timer);
	free(request->path);
	free(request);
}

struct kube_client *kube_client_new(struct ev_loop *loop, const struct kubeconfig *config,
				    const struct kube_limits *limits, void (*changed)(void *user),
				    void *user, struct error *err)
{
	struct kube_client *client = xcalloc(1, sizeof(*client));
	(void)config;
	(void)limits;
	(void)changed;
	(void)user;
	(void)err;
	client->loop = loop;
	return client;
}

void kube_client_free(struct kube_client *client)
{
	free(client);
}

const char *kube_client_away(const struct kube_client *client, double *ret_seconds)
{
	(void)client;
	(void)ret_seconds;
	return NULL;
}

void kube_client_hurry(struct kube_client *client)
{
	(void)client;
}

void kube_client_stats(const struct kube_client *client, struct kube_client_stats *ret_stats)
{
	(void)client;
	*ret_stats = (struct kube_client_stats){ .requests = 0 };
}

int64_t kube_backoff_ms(unsigned attempt, int64_t base_ms, int64_t max_ms)
{
	(void)attempt;
	(void)base_ms;
	(void)max_ms;
	return 1;
}
