/* SPDX-License-Identifier: Apache-2.0 */
/* What root may do, less what tidegate and HAProxy never do. */
#pragma once

#include "base/error.h"

/* Gives up, for this process and all that it starts, every capability but those for low ports,
 * changing users, ending children, other users' files and descriptor limits; and any gain of
 * privileges by execution. Without root there is nothing to give up: true. */
bool privileges_drop(struct error *err) must_check;
