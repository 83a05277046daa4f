/* SPDX-License-Identifier: Apache-2.0 */
/* Frontends, listeners and certificates of all Gateways as plan entries. */
#pragma once

#include "plan/emit.h"
#include "resolve/view.h"

void gateways_emit(struct emit *emit, const struct gateways_view *gateways);
