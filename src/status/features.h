/* SPDX-License-Identifier: Apache-2.0 */
/* What of the Gateway API is supported, by the names that the API gives its features. This is
 * the one table of it: GatewayClass status says it, and the conformance suite is run with it. */
#pragma once

#include <stdbool.h>

struct feature {
	const char *name;   /* the Gateway API's */
	bool needs_own_address; /* only where each Gateway has one: by a Service, or of the pool */
};

extern const struct feature supported_features[]; /* ascending; ends without a name */
