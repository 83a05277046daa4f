/* SPDX-License-Identifier: Apache-2.0 */
/* An explanation as lines for people. */
#include "resolve/explain.h"

#include "base/table.h"

static struct str or_any(struct str hostname)
{
	return str_empty(hostname) ? STR("*") : hostname;
}

/* ---- where it arrives ---- */

static void print_listener(const struct explain_result *result, struct sb *out)
{
	const struct frontend_view *frontend = result->frontend;
	const struct listener_view *listener = result->listener;
	if (!frontend)
		return;
	sb_addf(out, "gateway   " STR_FMT "/" STR_FMT " port %u (frontend " STR_FMT ")\n",
		STR_ARG(frontend->ns), STR_ARG(frontend->gateway), frontend->port,
		STR_ARG(frontend->name));
	if (listener)
		sb_addf(out, "listener  " STR_FMT " (hostname " STR_FMT ")\n",
			STR_ARG(listener->spec->name), STR_ARG(or_any(listener->spec->hostname)));
	else
		sb_adds(out, "listener  none has this host\n");
	if (result->sni_listener && result->sni_listener != listener)
		sb_addf(out, "by SNI    " STR_FMT " (hostname " STR_FMT ")\n",
			STR_ARG(result->sni_listener->spec->name),
			STR_ARG(or_any(result->sni_listener->spec->hostname)));
}

/* ---- candidates ---- */

static struct str path_text(struct arena *arena, const struct match *match)
{
	static const char *const types[] = {
		[MATCH_EXACT] = "Exact", [MATCH_PREFIX] = "Prefix", [MATCH_REGEX] = "Regex"
	};
	return arena_strf(arena, "%s " STR_FMT, types[match->path_type], STR_ARG(match->path));
}

static struct str conditions_text(struct arena *arena, const struct match *match)
{
	struct str text = match->method;
	if (match->header_count)
		text = arena_strf(arena, STR_FMT "%s%zu header%s", STR_ARG(text),
				  str_empty(text) ? "" : ", ", match->header_count,
				  match->header_count == 1 ? "" : "s");
	if (match->query_count)
		text = arena_strf(arena, STR_FMT "%s%zu quer%s", STR_ARG(text),
				  str_empty(text) ? "" : ", ", match->query_count,
				  match->query_count == 1 ? "y" : "ies");
	return text;
}

static struct str result_text(const struct explain_result *result,
			      const struct explain_candidate *candidate)
{
	if (candidate == result->winner)
		return STR("takes the request");
	if (candidate->matches)
		return STR("would match, but comes later");
	return candidate->why_not;
}

static void add_candidate(const struct explain_result *result, struct table *table, size_t index)
{
	const struct explain_candidate *candidate = &result->candidates[index];
	const struct rule_view *rule = &candidate->route->rules[candidate->rule];
	const struct match *match = &rule->spec->matches[candidate->match];
	bool wins = candidate == result->winner;
	table_row(table);
	table_cell(table, wins ? STR("->") : STR(""));
	table_cellf(table, "%zu", index + 1);
	table_cellf(table, STR_FMT ".%zu", STR_ARG(rule->name), candidate->match);
	table_cell(table, or_any(candidate->hostname));
	table_cell(table, path_text(result->arena, match));
	table_cell(table, conditions_text(result->arena, match));
	table_cell(table, result_text(result, candidate));
}

static void print_candidates(const struct explain_result *result, struct sb *out)
{
	if (result->candidate_count == 0)
		return;
	struct table *table = table_new();
	table_column(table, "", TABLE_LEFT);
	table_column(table, "#", TABLE_RIGHT);
	table_column(table, "RULE.MATCH", TABLE_LEFT);
	table_column(table, "HOSTNAME", TABLE_LEFT);
	table_column(table, "PATH", TABLE_LEFT);
	table_column(table, "CONDITIONS", TABLE_LEFT);
	table_column(table, "RESULT", TABLE_LEFT);
	for (size_t i = 0; i < result->candidate_count; i++)
		add_candidate(result, table, i);
	sb_addc(out, '\n');
	table_write(table, false, out);
	table_free(table);
}

/* ---- filters ---- */

static void print_pairs(const char *verb, const struct pair *pairs, size_t count, struct sb *out)
{
	for (size_t i = 0; i < count; i++)
		sb_addf(out, " %s " STR_FMT "='" STR_FMT "'", verb, STR_ARG(pairs[i].key),
			STR_ARG(pairs[i].value));
}

static void print_headers(const char *what, const struct header_mod *headers, struct sb *out)
{
	sb_adds(out, what);
	print_pairs("set", headers->set, headers->set_count, out);
	print_pairs("add", headers->add, headers->add_count, out);
	for (size_t i = 0; i < headers->remove_count; i++)
		sb_addf(out, " remove " STR_FMT, STR_ARG(headers->remove[i]));
	sb_addc(out, '\n');
}

static void print_rewrite(const struct filter *filter, struct sb *out)
{
	sb_adds(out, "rewrite");
	if (!str_empty(filter->hostname))
		sb_addf(out, " host to " STR_FMT, STR_ARG(filter->hostname));
	if (filter->path_modifier == PATH_REPLACE_FULL)
		sb_addf(out, " path to " STR_FMT, STR_ARG(filter->path));
	if (filter->path_modifier == PATH_REPLACE_PREFIX)
		sb_addf(out, " matched prefix to '" STR_FMT "'", STR_ARG(filter->path));
	sb_addc(out, '\n');
}

static void print_filters(const char *indent, const struct filter *filters, size_t count,
			  struct sb *out)
{
	for (size_t i = 0; i < count; i++) {
		sb_addf(out, "%sfilter  ", indent);
		switch (filters[i].type) {
		case FILTER_REQUEST_HEADERS:
			print_headers("request headers:", &filters[i].headers, out);
			break;
		case FILTER_RESPONSE_HEADERS:
			print_headers("response headers:", &filters[i].headers, out);
			break;
		case FILTER_REWRITE:
			print_rewrite(&filters[i], out);
			break;
		case FILTER_REDIRECT:
			sb_addf(out, "redirect %u\n", filters[i].status);
			break;
		case FILTER_UNSUPPORTED:
			sb_addf(out, STR_FMT " (not supported)\n", STR_ARG(filters[i].type_name));
			break;
		}
	}
}

/* ---- the answer ---- */

static void print_target(const struct explain_target *target, uint64_t total, struct sb *out)
{
	const struct backend_ref *spec = target->ref->spec;
	sb_addf(out, "backend   " STR_FMT "  weight %u (%.1f%%)", STR_ARG(target->backend),
		target->weight, 100.0 * target->weight / (double)total);
	if (target->ref->state == REF_INVALID)
		sb_addf(out, ": " STR_FMT "/" STR_FMT " is not valid, its share is answered %d",
			STR_ARG(spec->ns), STR_ARG(spec->name), target->status);
	else if (target->server_count == 0)
		sb_adds(out, ": no ready server, answered 503");
	else
		sb_addf(out, ", %zu server%s", target->server_count,
			target->server_count == 1 ? "" : "s");
	sb_addc(out, '\n');
	print_filters("          ", spec->filters, spec->filter_count, out);
}

static void print_answer(const struct explain_result *result, struct sb *out)
{
	const struct explain_outcome *outcome = &result->outcome;
	uint64_t total = 0;
	sb_addf(out, "\nanswer    " STR_FMT "\n", STR_ARG(result->verdict));
	if (!result->winner)
		return;
	const struct rule_view *rule = &result->winner->route->rules[result->winner->rule];
	sb_addf(out, "rule      " STR_FMT "%s" STR_FMT "\n", STR_ARG(rule->name),
		str_empty(rule->spec->name) ? "" : " ", STR_ARG(rule->spec->name));
	print_filters("", rule->spec->filters, rule->spec->filter_count, out);
	for (size_t i = 0; i < outcome->target_count; i++)
		total += outcome->targets[i].weight;
	for (size_t i = 0; i < outcome->target_count; i++)
		print_target(&outcome->targets[i], total, out);
}

void explain_print(const struct explain_result *result, struct sb *out)
{
	const struct explain_request *request = result->request;
	sb_addf(out, "request   " STR_FMT " %s://" STR_FMT STR_FMT "%s" STR_FMT "\n",
		STR_ARG(request->request.method), request->https ? "https" : "http",
		STR_ARG(request->host), STR_ARG(request->request.path),
		str_empty(request->request.query) ? "" : "?", STR_ARG(request->request.query));
	print_listener(result, out);
	print_candidates(result, out);
	print_answer(result, out);
}
