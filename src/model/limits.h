/* SPDX-License-Identifier: Apache-2.0 */
/* Every maximum, with its reason. "CRD": the Gateway API v1.6.1 schema has it. */
#pragma once

enum {
	/* CRD */
	MAX_LISTENERS = 64,
	MAX_ADDRESSES = 16,
	MAX_CERTIFICATE_REFS = 64,
	MAX_ROUTE_KINDS = 8,
	MAX_PARENT_REFS = 32,
	MAX_HOSTNAMES = 16,
	MAX_RULES = 16,
	MAX_MATCHES_PER_RULE = 64,
	MAX_MATCHES_PER_ROUTE = 128,
	MAX_HEADER_MATCHES = 16,
	MAX_QUERY_MATCHES = 16,
	MAX_FILTERS = 16,
	MAX_BACKEND_REFS = 16,
	MAX_HEADER_OPS = 16, /* entries of each of set, add, remove */
	MAX_CORS_TEXTS = 64, /* origins, headers */
	MAX_CORS_METHODS = 9,
	MAX_ORIGIN_BYTES = 253,
	MAX_GRANT_ENTRIES = 16,
	MAX_WEIGHT = 1000000,
	MAX_PATH_BYTES = 1024,
	MAX_HEADER_NAME_BYTES = 256,
	MAX_HEADER_VALUE_BYTES = 4096,
	MAX_QUERY_VALUE_BYTES = 1024,
	MAX_HOSTNAME_BYTES = 253,
	MAX_NAME_BYTES = 253,
	MAX_NAMESPACE_BYTES = 63,
	MAX_LABEL_BYTES = 63, /* API server: a label's value, a Service's name */

	/* Ours */
	MAX_DOCUMENT_DEPTH = 64,                  /* YAML, JSON: a stack bound */
	MAX_DOCUMENT_BYTES = 64 * 1024 * 1024,    /* one file: seconds of parsing */
	MAX_OBJECT_BYTES = 16 * 1024 * 1024,      /* one object, aliases expanded */
	MAX_OBJECT_NODES = 2 * 1000 * 1000,       /* values in one document, aliases expanded */
	MAX_SERVICE_LABELS = 64,                  /* of a GatewayParameters, and annotations */
	MAX_SOURCE_RANGES = 64,                   /* of a GatewayParameters */
	MAX_BACKEND_ADDRESSES = 1000,             /* of our Backend kind */
	MAX_WILDCARD_LABELS = 8,                  /* behind "*.": the pipeline tries 8 suffixes */
	MAX_REWRITE_SEGMENTS = 15,                /* of a prefix that is replaced: one rule each */
	MAX_LIST_BYTES = 6 * 1024,                /* one decision list segment: fits a SPOP frame */
	MAX_LIST_SEGMENTS = 8,                    /* the pipeline asks the agent so many times */
	MAX_SWITCH_VALUES = 64,                   /* of a header that HAProxy compares by itself */
	MAX_SWITCH_BYTES = 128,                   /* each, and the header's name */
	MAX_SWITCH_HEADERS = 16,                  /* one rule each in every frontend */
	MAX_COMMAND_BYTES = 15000,                /* 2.6 aborts at 16384 (command and payload) */
	MAX_MAP_LINE_BYTES = 12000,               /* key and value: one must fit a command */
};
