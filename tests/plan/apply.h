/* SPDX-License-Identifier: Apache-2.0 */
/* What changes make of a plan: compared with the plan that they should lead to. */
#pragma once

#include "plan/plan.h"

/* A new plan. */
struct plan *plan_apply(const struct plan *plan, const struct changes *changes);
