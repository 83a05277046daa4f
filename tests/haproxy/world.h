/* SPDX-License-Identifier: Apache-2.0 */
/* States made of plan text, for the tests of src/haproxy. */
#pragma once

#include "haproxy/state.h"

/* plan_text: as plan_print() writes it. version: "2.6.12". Every backend is static, as after a
 * start. */
struct state *world_state(const char *version, const char *run_dir, const char *plan_text);
