/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/daemon/loop.h"

#include <ev.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct ev_loop *loop_default(void)
{
	struct ev_loop *loop = ev_default_loop(0);
	assert_non_null(loop);
	return loop;
}

/* Only so that the loop comes back. */
static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

static bool run(const bool *done, double seconds)
{
	const double tick_s = 0.01;
	struct ev_loop *loop = loop_default();
	ev_timer timer;
	ev_now_update(loop);
	ev_timer_init(&timer, on_tick, tick_s, tick_s);
	ev_timer_start(loop, &timer);
	ev_tstamp until = ev_time() + seconds;
	while (!*done && ev_time() < until)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
	return *done;
}

void loop_until(const bool *done)
{
	if (!run(done, 10.0))
		fail_msg("nothing happened in ten seconds");
}

void loop_for(double seconds)
{
	const bool never = false;
	run(&never, seconds);
}

int directory_setup(void **state)
{
	char path[] = "/tmp/tidegate-test-XXXXXX";
	if (!mkdtemp(path))
		return -1;
	*state = strdup(path);
	return *state ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

int directory_teardown(void **state)
{
	int failed = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(*state);
	return failed;
}
