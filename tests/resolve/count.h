/* SPDX-License-Identifier: Apache-2.0 */
/* Attached routes, counted from nothing: what counting by changes must come to. */
#pragma once

#include "resolve/view.h"

void count_attached(struct gateways_view *gateways, const struct route_view *const *routes,
		    size_t route_count);
