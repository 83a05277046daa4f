/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations for people and programs; used by the daemon and by `tidectl explain --files`. */
#pragma once

#include "daemon/report.h"
#include "resolve/explain.h"

/* Fills a request from words as they are typed. headers: "Name: value" each; a Host header
 * replaces the URL's host for routing. Everything borrows from the arguments. */
bool explain_request_make(struct str method, struct str url, const struct str *headers,
			  size_t header_count, struct str sni,
			  struct explain_request *ret_request, struct error *err) must_check;

/* live: the verdict of the running HAProxy; empty: it was not asked. */
void explain_report(const struct explain_result *result, struct str live,
		    enum report_format format, struct sb *out);

/* True when a verdict of HAProxy's maps says what the explanation says. */
bool explain_agrees(const struct explain_result *result, struct str live);
