/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/explain_report.h"

bool explain_request_make(struct str method, struct str url, const struct str *headers,
			  size_t header_count, struct str sni,
			  struct explain_request *ret_request, struct error *err)
{
	struct explain_request request = { .sni = sni };
	if (!explain_parse_url(url, &request, err))
		return false;
	request.request.method = method;
	if (header_count > MAX_REQUEST_HEADERS)
		return error_set(err, ERR_LIMIT, "more than %d headers", MAX_REQUEST_HEADERS);
	for (size_t i = 0; i < header_count; i++) {
		size_t colon = str_chr(headers[i], ':', 0);
		struct str name = str_trim(str_sub(headers[i], 0, colon));
		struct str value = str_trim(str_sub(headers[i], colon + 1, headers[i].n));
		if (colon == headers[i].n || str_empty(name))
			return error_set(err, ERR_SYNTAX, "\"" STR_FMT "\" is no header: write "
							  "\"Name: value\"", STR_ARG(headers[i]));
		if (str_eq_nocase(name, STR("host"))) {
			request.host = str_sub(value, 0, str_chr(value, ':', 0));
			continue;
		}
		request.request.headers[request.request.header_count++] =
			(struct request_header){ name, value };
	}
	*ret_request = request;
	return true;
}

/* The rule that a verdict stands for: the name in "BACKEND RULE"; empty: none. */
static struct str verdict_rule(struct str verdict)
{
	struct str rest = verdict;
	str_cut(&rest, ' ');
	rest = str_sub(rest, 0, str_chr(rest, ' ', 0));
	return str_is(rest, "-") ? STR_NONE : rest;
}

bool explain_agrees(const struct explain_result *result, struct str live)
{
	return str_eq(verdict_rule(str_trim(live)), result->outcome.rule);
}

static void report_candidate(struct out *out, const struct explain_candidate *candidate)
{
	out_object(out);
	out_kv_cstr(out, "kind", kind_table[candidate->route->object->kind].name);
	out_kv_str(out, "namespace", candidate->route->object->meta.ns);
	out_kv_str(out, "route", candidate->route->object->meta.name);
	out_kv_int(out, "rule", (int64_t)candidate->rule);
	out_kv_int(out, "match", (int64_t)candidate->match);
	out_kv_str(out, "hostname", candidate->hostname);
	out_kv_bool(out, "matches", candidate->matches);
	if (!candidate->matches)
		out_kv_str(out, "whyNot", candidate->why_not);
	out_end(out);
}

static void report_outcome(struct out *out, const struct explain_outcome *outcome)
{
	out_kv_object(out, "outcome");
	out_kv_int(out, "status", outcome->status);
	out_kv_str(out, "rule", outcome->rule);
	if (!str_empty(outcome->location))
		out_kv_str(out, "location", outcome->location);
	out_kv_array(out, "backends");
	for (size_t i = 0; i < outcome->target_count; i++) {
		out_object(out);
		out_kv_str(out, "name", outcome->targets[i].backend);
		out_kv_int(out, "weight", outcome->targets[i].weight);
		out_kv_int(out, "servers", (int64_t)outcome->targets[i].server_count);
		out_end(out);
	}
	out_end(out);
	out_end(out);
}

void explain_report(const struct explain_result *result, struct str live,
		    enum report_format format, struct sb *sb)
{
	live = str_trim(live);
	if (format == REPORT_TABLE) {
		explain_print(result, sb);
		if (!str_empty(live))
			sb_addf(sb, "live: HAProxy says \"" STR_FMT "\": %s\n", STR_ARG(live),
				explain_agrees(result, live) ?
					"the same" :
					"it DISAGREES with the manifests (see tidectl diff)");
		return;
	}
	struct out out;
	out_init(&out, sb, report_out_format(format));
	out_object(&out);
	out_kv_str(&out, "frontend", result->frontend ? result->frontend->name : STR_NONE);
	out_kv_str(&out, "listener", result->listener ? result->listener->spec->name : STR_NONE);
	out_kv_array(&out, "candidates");
	for (size_t i = 0; i < result->candidate_count; i++)
		report_candidate(&out, &result->candidates[i]);
	out_end(&out);
	report_outcome(&out, &result->outcome);
	out_kv_str(&out, "verdict", result->verdict);
	if (!str_empty(live)) {
		out_kv_str(&out, "live", live);
		out_kv_bool(&out, "agrees", explain_agrees(result, live));
	}
	out_end(&out);
}
