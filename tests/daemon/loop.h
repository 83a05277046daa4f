/* SPDX-License-Identifier: Apache-2.0 */
/* libev's default loop and a directory of its own for tests of the edges. */
#pragma once

#include <stdbool.h>

struct ev_loop;

struct ev_loop *loop_default(void);

/* Runs the loop until *done; fails the test after ten seconds. */
void loop_until(const bool *done);
/* Runs the loop for that long. */
void loop_for(double seconds);

/* A new empty directory (its path is cmocka's state); the tear-down removes all of it. */
int directory_setup(void **state);
int directory_teardown(void **state);
