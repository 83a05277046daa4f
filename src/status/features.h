/* SPDX-License-Identifier: Apache-2.0 */
/* What of the Gateway API is supported, by the names that the API gives its features. This is
 * the one table of it: GatewayClass status says it, and the conformance suite is run with it. */
#pragma once

extern const char *const supported_features[]; /* ascending; ends with NULL */
