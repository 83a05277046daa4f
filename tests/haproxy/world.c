/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct state *world_state(const char *version, const char *run_dir, const char *plan_text)
{
	struct haproxy_caps caps;
	struct error err;
	assert_true(caps_parse(str_of(version), &caps, &err));
	struct plan *plan = plan_parse(str_of(plan_text), &err);
	if (!plan)
		fail_msg("%s", err.text);
	struct state *state = state_new(&caps, run_dir);
	state_load(state, plan);
	state_settle(state);
	plan_free(plan);
	return state;
}
