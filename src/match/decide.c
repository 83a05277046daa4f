/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a compiled list over a request. Nothing here allocates. */
#include "match/compiled.h"

enum {
	/* A value longer than this (headers joined, a parameter decoded) does not match; it is
	 * more than HAProxy's largest usual buffer holds. On the stack. */
	SUBJECT_MAX_BYTES = 64 * 1024,
};

static bool holds_value(const struct list *list, const struct compiled_cond *cond,
			struct str subject, uint32_t *limits_hit)
{
	if (!cond->is_regex)
		return str_eq(cond->value, subject);
	enum regex_verdict verdict = regex_match(&cond->regex, &list->scratch, subject);
	*limits_hit += verdict == REGEX_LIMIT;
	return verdict == REGEX_YES;
}

/* --- headers --- */

/* Index of the next header of that name at or after `from`; header_count: none. */
static size_t find_header(const struct request *request, struct str name, size_t from)
{
	size_t i = from;
	while (i < request->header_count && !str_eq_nocase(request->headers[i].name, name))
		i++;
	return i;
}

/* The values joined by ",", starting with headers[first]; 0 bytes too many: false. */
static bool join_headers(const struct request *request, struct str name, size_t first, char *buffer,
			 struct str *ret_value)
{
	size_t n = 0;
	for (size_t i = first; i < request->header_count; i = find_header(request, name, i + 1)) {
		struct str value = request->headers[i].value;
		if (value.n + 1 > SUBJECT_MAX_BYTES - n)
			return false;
		if (i != first)
			buffer[n++] = ',';
		if (value.n)
			memcpy(buffer + n, value.p, value.n);
		n += value.n;
	}
	*ret_value = (struct str){ buffer, n };
	return true;
}

static bool holds_joined(const struct list *list, const struct compiled_cond *cond,
			 const struct request *request, size_t first, uint32_t *limits_hit)
{
	char buffer[SUBJECT_MAX_BYTES];
	struct str value;
	if (!join_headers(request, cond->name, first, buffer, &value)) {
		(*limits_hit)++;
		return false;
	}
	return holds_value(list, cond, value, limits_hit);
}

static bool holds_header(const struct list *list, const struct compiled_cond *cond,
			 const struct request *request, uint32_t *limits_hit)
{
	size_t first = find_header(request, cond->name, 0);
	if (first == request->header_count)
		return false;
	if (find_header(request, cond->name, first + 1) != request->header_count)
		return holds_joined(list, cond, request, first, limits_hit);
	return holds_value(list, cond, request->headers[first].value, limits_hit);
}

/* --- query parameters --- */

/* One decoded byte of s at *at, which moves on; a "%" without two digits is itself. */
static char decoded_byte(struct str s, size_t *at)
{
	char c = s.p[(*at)++];
	if (c == '+')
		return ' ';
	if (c != '%' || s.n - *at < 2)
		return c;
	int high = hex_digit(s.p[*at]), low = hex_digit(s.p[*at + 1]);
	if (high < 0 || low < 0)
		return c;
	*at += 2;
	return (char)(high * 16 + low);
}

static bool eq_decoded(struct str encoded, struct str plain)
{
	size_t at = 0, i = 0;
	while (at < encoded.n && i < plain.n)
		if (decoded_byte(encoded, &at) != plain.p[i++])
			return false;
	return at == encoded.n && i == plain.n;
}

static bool find_param(struct str query, struct str name, struct str *ret_value)
{
	while (!str_empty(query)) {
		struct str value = str_cut(&query, '&');
		if (eq_decoded(str_cut(&value, '='), name)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool holds_decoded(const struct list *list, const struct compiled_cond *cond,
			  struct str encoded, uint32_t *limits_hit)
{
	char buffer[SUBJECT_MAX_BYTES];
	size_t n = 0;
	if (encoded.n > sizeof(buffer)) {
		(*limits_hit)++;
		return false;
	}
	for (size_t at = 0; at < encoded.n;)
		buffer[n++] = decoded_byte(encoded, &at);
	return holds_value(list, cond, (struct str){ buffer, n }, limits_hit);
}

static bool holds_query(const struct list *list, const struct compiled_cond *cond,
			const struct request *request, uint32_t *limits_hit)
{
	struct str value;
	if (!find_param(request->query, cond->name, &value))
		return false;
	if (!cond->is_regex)
		return eq_decoded(value, cond->value);
	return holds_decoded(list, cond, value, limits_hit);
}

/* --- the list --- */

static bool holds(const struct list *list, const struct compiled_cond *cond,
		  const struct request *request, uint32_t *limits_hit)
{
	switch (cond->subject) {
	case LIST_METHOD:
		return str_eq(request->method, cond->value);
	case LIST_PATH:
		return holds_value(list, cond, request->path, limits_hit);
	case LIST_HEADER:
		return holds_header(list, cond, request, limits_hit);
	case LIST_QUERY:
		return holds_query(list, cond, request, limits_hit);
	}
	return false;
}

static bool out_of_time(const struct request *request)
{
	return request->clock_ns && request->clock_ns() >= request->deadline_ns;
}

static bool entry_holds(const struct list *list, const struct compiled_entry *entry,
			const struct request *request, struct list_result *result)
{
	for (size_t i = 0; i < entry->cond_count; i++) {
		const struct compiled_cond *cond = &list->conds[entry->first_cond + i];
		result->timed_out = cond->is_regex && out_of_time(request);
		if (result->timed_out || !holds(list, cond, request, &result->limits_hit))
			return false;
	}
	return true;
}

struct list_result list_decide(struct list *list, const struct request *request)
{
	struct list_result result = { .verdict = STR(LIST_NO_MATCH),
				      .entry = list->entry_count };
	for (size_t i = 0; i < list->entry_count && !result.timed_out; i++) {
		const struct compiled_entry *entry = &list->entries[i];
		if (entry_holds(list, entry, request, &result)) {
			result.verdict = entry->verdict;
			result.entry = i;
			break;
		}
	}
	if (result.timed_out)
		result.verdict = STR_NONE;
	return result;
}
