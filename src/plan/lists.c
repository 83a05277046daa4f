/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of candidates as verdicts: HAProxy decides about methods and, where it can, about the
 * exact values of one header; the agent about the rest. */
#include <assert.h>

#include "match/list.h"
#include "plan/rule.h"
#include "plan/vhost.h"

/* " ; => ?" and the id: how a segment points at the next one. */
enum { SEPARATOR_BYTES = 3, CHAIN_BYTES = SEPARATOR_BYTES + 4 + 16 };

static bool needs_agent(const struct match *match)
{
	return match->path_type == MATCH_REGEX || match->header_count || match->query_count;
}

/* The conditions that are left when HAProxy has looked at method and key. */
static void entry_make(struct arena *arena, const struct candidate *candidate,
		       struct list_entry *ret_entry)
{
	const struct match *match = candidate->match;
	size_t count = 0;
	struct list_cond *conds = arena_array(
		arena, 1 + match->header_count + match->query_count, sizeof(*conds));
	if (match->path_type == MATCH_REGEX)
		conds[count++] = (struct list_cond){ LIST_PATH, true, STR_NONE, match->path };
	for (size_t i = 0; i < match->header_count; i++) {
		const struct value_match *header = &match->headers[i];
		conds[count++] = (struct list_cond){ LIST_HEADER, header->type == MATCH_REGEX,
						     header->name, header->value };
	}
	for (size_t i = 0; i < match->query_count; i++) {
		const struct value_match *query = &match->queries[i];
		conds[count++] = (struct list_cond){ LIST_QUERY, query->type == MATCH_REGEX,
						     query->name, query->value };
	}
	*ret_entry = (struct list_entry){ conds, count, candidate->verdict };
}

static size_t entries_bytes(struct sb *sb, const struct list_entry *entries, size_t count)
{
	sb_reset(sb);
	list_print(entries, count, sb);
	assert(!sb->failed);
	return sb->len;
}

static void report(struct emit *emit, const struct candidate *candidate, struct str where,
		   const char *what)
{
	struct str field = arena_strf(emit->scratch, "spec.rules[%u].matches[%u]",
				      candidate->rule_index, candidate->match_index);
	const struct object *route = candidate->route->object;
	findings_add(&emit->findings, SEVERITY_ERROR, route->kind, &route->meta, field.p,
		     "DecisionListTooLong",
		     "%s at '" STR_FMT "': requests that would get here are answered with %u", what,
		     STR_ARG(where), candidate->rule->error_status);
}

/* An entry that alone is too long for a segment keeps as many conditions as fit and fails
 * what they let through: an error for some requests, but no wrong backend for any. Returns the
 * length of its text. */
static size_t entry_shorten(struct emit *emit, struct sb *sb, const struct candidate *candidate,
			    struct str where, struct list_entry *entry)
{
	size_t bytes = entries_bytes(sb, entry, 1);
	if (bytes + CHAIN_BYTES <= MAX_LIST_BYTES)
		return bytes;
	report(emit, candidate, where, "the conditions of this match are too long for the agent");
	entry->verdict = rule_verdict(emit->scratch, candidate->rule, true);
	do {
		entry->cond_count--;
		bytes = entries_bytes(sb, entry, 1);
	} while (bytes + CHAIN_BYTES > MAX_LIST_BYTES);
	return bytes;
}

/* What the agent is asked, with the lengths of the entries' texts. There is room for one entry
 * more. */
struct agent_list {
	struct list_entry *entries;
	size_t *sizes;
	size_t count;
};

/* Where the segment that starts at `from` ends. */
static size_t segment_end(const size_t *sizes, size_t from, size_t count)
{
	size_t bytes = 0, chained = from, to = from;
	for (; to < count; to++) {
		bytes += sizes[to] + (to > from ? SEPARATOR_BYTES : 0);
		if (bytes > MAX_LIST_BYTES)
			break;
		if (bytes + CHAIN_BYTES <= MAX_LIST_BYTES)
			chained = to + 1;
	}
	assert(chained > from);
	return to == count ? count : chained;
}

/* ---- lists for the agent ---- */

/* Emits entries [from, to) plus `next` (unless empty) and returns "?ID". */
static struct str segment_emit(struct emit *emit, struct sb *sb, struct list_entry *entries,
			       size_t from, size_t to, struct str next)
{
	struct list_entry saved = entries[to]; /* there is room for one behind the last */
	if (next.n)
		entries[to] = (struct list_entry){ .verdict = next };
	size_t bytes = entries_bytes(sb, entries + from, to - from + (next.n != 0));
	entries[to] = saved;
	assert(bytes <= MAX_LIST_BYTES);
	(void)bytes;
	struct str id = emit_id(emit, "?", sb_str(sb));
	emit_fitting(emit, PLAN_LIST, id, sb_str(sb));
	return id;
}

/* Entries [0, count) in as many segments as they need. *ret_end is where the last one that
 * may be asked ends: what follows is answered with an error. */
static struct str segments_emit(struct emit *emit, struct sb *sb, const struct agent_list *list,
				const struct candidate *const *candidates, size_t *ret_end)
{
	size_t ends[MAX_LIST_SEGMENTS], segments = 0, at = 0;
	while (at < list->count && segments < MAX_LIST_SEGMENTS)
		at = ends[segments++] = segment_end(list->sizes, at, list->count);
	*ret_end = at;
	/* No rule's name: it would not fit, and what gets there need not be that rule's. */
	struct str next = at < list->count ? arena_strf(emit->scratch, "http-%u -",
							candidates[at]->rule->error_status) :
					     STR_NONE;
	while (segments--) {
		size_t from = segments ? ends[segments - 1] : 0;
		next = segment_emit(emit, sb, list->entries, from, ends[segments], next);
	}
	return next;
}

/* ---- what one header decides ---- */

/* What a map's key and the configuration can hold as it is. */
static bool is_plain_value(struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] <= ' ' || value.p[i] > '~')
			return false;
	}
	return value.n > 0 && value.n <= MAX_SWITCH_BYTES;
}

static bool is_plain_name(struct str name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	for (size_t i = 0; i < name.n; i++) {
		if (!memchr(plain, name.p[i], sizeof(plain) - 1))
			return false;
	}
	return name.n <= MAX_SWITCH_BYTES;
}

static bool is_exact_header(const struct list_cond *cond)
{
	return cond->subject == LIST_HEADER && !cond->regex;
}

/* The header that the first entry compares, if its name is plain. */
static struct str switch_header(const struct list_entry *entry)
{
	for (size_t i = 0; i < entry->cond_count; i++) {
		if (is_exact_header(&entry->conds[i]) && is_plain_name(entry->conds[i].name))
			return entry->conds[i].name;
	}
	return STR_NONE;
}

/* The values that the entries compare a header with, as they come; 0: a map cannot tell. */
static size_t switch_values(const struct list_entry *entries, size_t count, struct str header,
			    struct str values[MAX_SWITCH_VALUES])
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < entries[i].cond_count; j++) {
			const struct list_cond *cond = &entries[i].conds[j];
			if (!is_exact_header(cond) || !str_eq(cond->name, header))
				continue;
			size_t known = 0;
			while (known < n && !str_eq(values[known], cond->value))
				known++;
			if (known == MAX_SWITCH_VALUES || !is_plain_value(cond->value))
				return 0;
			values[known] = cond->value;
			n += known == n;
		}
	}
	return n;
}

/* The entry without what it asks of the header; false when the value is another. */
static bool entry_reduce(struct arena *arena, const struct list_entry *entry, struct str header,
			 struct str value, struct list_entry *ret_entry)
{
	struct list_cond *conds = arena_array(arena, entry->cond_count + 1, sizeof(*conds));
	size_t n = 0;
	for (size_t i = 0; i < entry->cond_count; i++) {
		const struct list_cond *cond = &entry->conds[i];
		if (!is_exact_header(cond) || !str_eq(cond->name, header))
			conds[n++] = *cond;
		else if (!str_eq(cond->value, value))
			return false;
	}
	*ret_entry = (struct list_entry){ conds, n, entry->verdict };
	return true;
}

/* What the entries say when the header has the value (empty: one that none compares). */
static struct str switch_verdict(struct emit *emit, struct sb *sb, const struct list_entry *entries,
				 size_t count, struct str header, struct str value)
{
	struct list_entry *left = arena_array(emit->scratch, count + 1, sizeof(*left));
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		if (entry_reduce(emit->scratch, &entries[i], header, value, &left[n]) &&
		    left[n++].cond_count == 0)
			break;
	}
	if (n == 0)
		return STR(VERDICT_NONE);
	return left[0].cond_count ? segment_emit(emit, sb, left, 0, n, STR_NONE) :
				    left[0].verdict;
}

/* What HAProxy can say of the list by itself when it knows one header, if that ever spares
 * the agent. */
static void switch_emit(struct emit *emit, struct sb *sb, struct str id,
			const struct list_entry *entries, size_t count)
{
	struct str header = switch_header(&entries[0]), values[MAX_SWITCH_VALUES];
	if (header.n == 0 || entries_bytes(sb, entries, count) > MAX_LIST_BYTES)
		return;
	size_t value_count = switch_values(entries, count, header, values);
	if (value_count == 0)
		return;
	size_t before = emit->count;
	struct str verdict = switch_verdict(emit, sb, entries, count, header, STR_NONE);
	bool spares = verdict.p[0] != '?';
	bool fits = emit_entry(emit, PLAN_SWITCH, id,
			       arena_strf(emit->scratch, STR_FMT " " STR_FMT, STR_ARG(header),
					  STR_ARG(verdict)));
	for (size_t i = 0; i < value_count && fits; i++) {
		verdict = switch_verdict(emit, sb, entries, count, header, values[i]);
		spares |= verdict.p[0] != '?';
		fits = emit_entry(emit, PLAN_SWITCH,
				  arena_strf(emit->scratch, STR_FMT "/" STR_FMT, STR_ARG(id),
					     STR_ARG(values[i])),
				  verdict);
	}
	if (!fits || !spares)
		emit_rewind(emit, before);
}

/* ---- verdicts ---- */

/* A list in which methods do not matter any more. */
static struct str agent_verdict(struct emit *emit, struct str where,
				const struct candidate *const *candidates, size_t count)
{
	if (count == 0)
		return STR(VERDICT_NONE);
	if (!needs_agent(candidates[0]->match))
		return candidates[0]->verdict;
	struct agent_list list = {
		.entries = arena_array(emit->scratch, count + 1, sizeof(*list.entries)),
		.sizes = arena_array(emit->scratch, count, sizeof(*list.sizes)),
	};
	struct sb sb;
	size_t bytes = 0, end;
	sb_init(&sb, SIZE_MAX / 2);
	/* No further than all segments hold: keys are many, and so are candidates. */
	for (size_t i = 0; i < count && bytes <= MAX_LIST_SEGMENTS * MAX_LIST_BYTES; i++) {
		entry_make(emit->scratch, candidates[i], &list.entries[i]);
		list.sizes[i] = entry_shorten(emit, &sb, candidates[i], where, &list.entries[i]);
		bytes += list.sizes[list.count++];
	}
	struct str id = segments_emit(emit, &sb, &list, candidates, &end);
	assert(list.count == count || end < list.count);
	if (end < count)
		report(emit, candidates[end], where,
		       "too many conditions before this match (and those that follow it)");
	switch_emit(emit, &sb, id, list.entries, list.count);
	sb_fini(&sb);
	return id;
}

/* The candidates that a request with this method (empty: any other) can reach. */
static struct str method_verdict(struct emit *emit, struct str where,
				 const struct candidate *const *candidates, size_t count,
				 struct str method)
{
	const struct candidate **reached =
		arena_array(emit->scratch, count, sizeof(struct candidate *));
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		const struct match *match = candidates[i]->match;
		if (match->method.n && !str_eq(match->method, method))
			continue;
		reached[n++] = candidates[i];
		if (!needs_agent(match))
			break;
	}
	return agent_verdict(emit, where, reached, n);
}

/* The methods that occur, sorted. */
static size_t methods_collect(const struct candidate *const *candidates, size_t count,
			      struct str *ret_methods)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		struct str method = candidates[i]->match->method;
		size_t known = 0;
		while (known < n && !str_eq(ret_methods[known], method))
			known++;
		if (method.n && known == n)
			ret_methods[n++] = method;
	}
	if (n)
		qsort(ret_methods, n, sizeof(*ret_methods), str_order);
	return n;
}

static void method_emit(struct emit *emit, struct str id, struct str method, struct str verdict)
{
	struct str key = arena_strf(emit->scratch, method.n ? STR_FMT "/" STR_FMT "/" :
							      STR_FMT "/" STR_FMT,
				    STR_ARG(id), STR_ARG(method));
	emit_fitting(emit, PLAN_METHOD, key, verdict);
}

/* Methods that are answered as any other is need no entry. */
static struct str methods_emit(struct emit *emit, const struct str *methods,
			       const struct str *verdicts, size_t count, struct str otherwise)
{
	struct sb content;
	sb_init(&content, SIZE_MAX / 2);
	sb_addf(&content, " " STR_FMT "\n", STR_ARG(otherwise));
	size_t differ = 0;
	for (size_t i = 0; i < count; i++) {
		if (str_eq(verdicts[i], otherwise))
			continue;
		sb_addf(&content, STR_FMT " " STR_FMT "\n", STR_ARG(methods[i]),
			STR_ARG(verdicts[i]));
		differ++;
	}
	struct str id = otherwise;
	if (differ) {
		id = emit_id(emit, "~", sb_str(&content));
		method_emit(emit, id, STR_NONE, otherwise);
	}
	for (size_t i = 0; i < count; i++) {
		if (!str_eq(verdicts[i], otherwise))
			method_emit(emit, id, methods[i], verdicts[i]);
	}
	sb_fini(&content);
	return id;
}

static struct str any_verdict(struct emit *emit, struct str where,
			      const struct candidate *const *candidates, size_t count)
{
	struct str *methods = arena_array(emit->scratch, count, sizeof(*methods));
	size_t method_count = methods_collect(candidates, count, methods);
	if (method_count == 0)
		return agent_verdict(emit, where, candidates, count);
	struct str *verdicts = arena_array(emit->scratch, method_count, sizeof(*verdicts));
	for (size_t i = 0; i < method_count; i++)
		verdicts[i] = method_verdict(emit, where, candidates, count, methods[i]);
	struct str otherwise = method_verdict(emit, where, candidates, count, STR_NONE);
	return methods_emit(emit, methods, verdicts, method_count, otherwise);
}

struct str list_verdict(struct emit *emit, struct str where,
			const struct candidate *const *candidates, size_t count)
{
	/* A host has thousands of keys with long lists: what one needs goes with it. */
	struct arena *scratch = emit->scratch;
	emit->scratch = arena_new();
	struct str verdict = arena_str(scratch, any_verdict(emit, where, candidates, count));
	arena_free(emit->scratch);
	emit->scratch = scratch;
	return verdict;
}
