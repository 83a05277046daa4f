/* SPDX-License-Identifier: Apache-2.0 */
/* What a text may look like: the patterns of the Kubernetes and Gateway API schemas as
 * predicates, and the few notations that stand for a number or for bytes. All pure. */
#pragma once

#include "base/arena.h"

bool is_label(struct str s);       /* a DNS label: at most 63 of [a-z0-9-] */
bool is_subdomain(struct str s);   /* labels with dots between */
bool is_hostname(struct str s);    /* a subdomain, or "*." and one */
bool is_group(struct str s);       /* empty, or a subdomain */
bool is_kind(struct str s);        /* [A-Za-z][-A-Za-z0-9]* */
bool is_domain_path(struct str s); /* "example.com/some/path" */
bool is_protocol(struct str s);    /* "HTTP", or "example.com/Name" */
bool is_label_key(struct str s);   /* "app", or "example.com/app" */
bool is_label_value(struct str s); /* empty, or at most 63 of [-A-Za-z0-9_.] */
bool is_header_name(struct str s); /* an RFC 9110 token */
bool is_cors_origin(struct str s); /* "*", or "https://example.com:8443" with wildcards */
bool is_cors_method(struct str s); /* "GET", ..., or "*" */
bool is_data_key(struct str s);    /* [-._A-Za-z0-9]+ */
bool is_url_path(struct str s);    /* RFC 3986 path characters only; may be empty */

/* An IPv4 or IPv6 address, without brackets and zone. */
bool is_ip(struct str s);

/* The address as inet_ntop() writes it, in the arena; false when it is none. */
bool canonical_ip(struct arena *arena, struct str s, bool *ret_ipv6, struct str *ret_text);

/* GEP-2257: up to four numbers of up to five digits, each with h, m, s or ms. */
bool parse_duration(struct str s, int64_t *ret_ms);

/* RFC 3339, to the second. */
bool parse_time(struct str s, int64_t *ret_s);

/* Seconds since 1970 of a date in UTC; month 1..12, day 1..31. */
int64_t utc_seconds(int64_t year, int month, int day, int64_t second_of_day);

/* Standard base64 with padding; line breaks are skipped. */
bool parse_base64(struct arena *arena, struct str s, struct str *ret_bytes);
