/* SPDX-License-Identifier: Apache-2.0 */
/* What is made for a Gateway, and like what:
 *
 *   the installation's ◄── the class's GatewayParameters ◄── the Gateway's ◄── its labels and
 *   defaults                                                                  annotations
 *
 * Each says more than what stands on its left, field by field. Inside resolve/ only. */
#pragma once

#include "resolve/view.h"

/* What a parametersRef refers to; NULL with what is wrong with it. */
const struct gateway_parameters *parameters_find(const struct gateways_view *view,
						 const struct object_ref *ref,
						 struct str *ret_text);

/* Fills the Gateway's parameters. `own`: of its own reference; may be NULL. */
void parameters_collect(struct gateways_view *view, struct gateway_view *gateway,
			const struct service_parameters *defaults,
			const struct gateway_parameters *own);
