/* SPDX-License-Identifier: Apache-2.0 */
#include "status/features.h"

#include <stddef.h>

const struct feature supported_features[] = {
	{ "GRPCRoute", false },
	{ "GRPCRouteNamedRouteRule", false },
	{ "Gateway", false },
	{ "GatewayAddressEmpty", true },
	{ "GatewayHTTPListenerIsolation", false },
	{ "GatewayHTTPSListenerDetectMisdirectedRequests", false },
	{ "GatewayPort8080", false },
	{ "GatewayStaticAddresses", true },
	{ "HTTPRoute", false },
	{ "HTTPRoute303RedirectStatusCode", false },
	{ "HTTPRoute307RedirectStatusCode", false },
	{ "HTTPRoute308RedirectStatusCode", false },
	{ "HTTPRouteBackendProtocolH2C", false },
	{ "HTTPRouteBackendProtocolWebSocket", false },
	{ "HTTPRouteBackendRequestHeaderModification", false },
	{ "HTTPRouteBackendTimeout", false },
	{ "HTTPRouteDestinationPortMatching", false },
	{ "HTTPRouteHostRewrite", false },
	{ "HTTPRouteMethodMatching", false },
	{ "HTTPRouteNamedRouteRule", false },
	{ "HTTPRouteParentRefPort", false },
	{ "HTTPRoutePathRedirect", false },
	{ "HTTPRoutePathRewrite", false },
	{ "HTTPRoutePortRedirect", false },
	{ "HTTPRouteQueryParamMatching", false },
	{ "HTTPRouteRequestTimeout", false },
	{ "HTTPRouteResponseHeaderModification", false },
	{ "HTTPRouteSchemeRedirect", false },
	{ "ReferenceGrant", false },
	{ NULL, false },
};
