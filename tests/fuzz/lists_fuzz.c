/* SPDX-License-Identifier: Apache-2.0 */
/* Decision lists: text -> compiled -> decision about a request, and back to text.
 *
 *   list LF method LF path LF query *( LF header ":" value ) */
#include <assert.h>

#include "fuzz.h"
#include "match/compiled.h"

enum { MAX_SLOW = 2 };

/* The entries as they were given to list_print(). */
static struct list_entry *entries_of(struct arena *arena, const struct list *list)
{
	struct list_cond *conds = arena_array(arena, list->cond_count, sizeof(*conds));
	struct list_entry *entries = arena_array(arena, list->entry_count, sizeof(*entries));
	for (size_t i = 0; i < list->cond_count; i++) {
		const struct compiled_cond *cond = &list->conds[i];
		conds[i] = (struct list_cond){ cond->subject, cond->is_regex, cond->name,
					       cond->value };
	}
	for (size_t i = 0; i < list->entry_count; i++) {
		const struct compiled_entry *entry = &list->entries[i];
		entries[i] = (struct list_entry){ conds + entry->first_cond, entry->cond_count,
						  entry->verdict };
	}
	return entries;
}

static void check_decision(struct list *list, const struct request *request,
			   const struct list_result *result)
{
	size_t count = list_entry_count(list);
	assert(result->entry <= count && result->verdict.n > 0);
	for (size_t i = 0; i < count && i <= result->entry; i++) {
		struct list alone = *list;
		alone.entries = &list->entries[i];
		alone.entry_count = 1;
		assert((list_decide(&alone, request).entry == 0) == (i == result->entry));
	}
	assert(result->entry < count || str_is(result->verdict, LIST_NO_MATCH));
}

/* Printed, a list reads as the same one. */
static void check_text(struct list *list, const struct request *request,
		       const struct list_result *result)
{
	struct arena *arena = arena_new();
	struct error err;
	struct sb sb;
	sb_init(&sb, 1 << 20);
	list_print(entries_of(arena, list), list->entry_count, &sb);
	assert(sb_ok(&sb, NULL));
	/* Escapes may make it longer than a list may be. */
	struct list *again = list_compile(sb_str(&sb), &err);
	assert(again || err.code == ERR_LIMIT);
	if (again) {
		struct list_result other = list_decide(again, request);
		assert(other.entry == result->entry && str_eq(other.verdict, result->verdict));
	}
	list_free(again);
	sb_fini(&sb);
	arena_free(arena);
}

/* What a regular expression is filed under must stand before whatever it matches. */
static void check_prefixes(const struct list *list, const struct request *request)
{
	struct arena *arena = arena_new();
	for (size_t i = 0; i < list->cond_count; i++) {
		const struct compiled_cond *cond = &list->conds[i];
		if (!cond->is_regex)
			continue;
		struct str prefix = regex_literal_prefix(arena, cond->value);
		if (regex_match(&cond->regex, &list->scratch, request->path) == REGEX_YES)
			assert(str_starts(request->path, prefix));
	}
	arena_free(arena);
}

static void read_request(struct str text, struct request *ret_request)
{
	ret_request->method = str_cut(&text, '\n');
	ret_request->path = str_cut(&text, '\n');
	ret_request->query = str_cut(&text, '\n');
	while (text.n && ret_request->header_count < MAX_REQUEST_HEADERS) {
		struct str value = str_cut(&text, '\n'), name = str_cut(&value, ':');
		ret_request->headers[ret_request->header_count++] =
			(struct request_header){ name, value };
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = fuzz_input(data, size), text = str_cut(&rest, '\n');
	struct request request = { .header_count = 0 };
	struct error err = { 0 };
	read_request(rest, &request);
	struct list *list = list_compile(text, &err);
	if (!list) {
		assert(err.code == ERR_SYNTAX || err.code == ERR_LIMIT);
		return 0;
	}
	struct list_result result = list_decide(list, &request);
	if (result.limits_hit <= MAX_SLOW) { /* the agent has a deadline; here is none */
		check_decision(list, &request, &result);
		check_text(list, &request, &result);
		check_prefixes(list, &request);
	}
	assert(list_bytes(list) >= text.n);
	list_free(list);
	return 0;
}
