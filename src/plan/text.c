/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of a plan: printing and strict parsing. */
#include "plan/plan.h"

#include <assert.h>

enum { MAX_PLAN_LINES = 20 * 1000 * 1000 };

void plan_print_entry(const struct plan_entry *entry, struct sb *out)
{
	sb_adds(out, plan_table_names[entry->table]);
	sb_addc(out, '\t');
	sb_add(out, entry->key);
	sb_addc(out, '\t');
	sb_add(out, entry->value);
	sb_addc(out, '\n');
}

void plan_print(const struct plan *plan, struct sb *out)
{
	for (size_t i = 0; i < plan->count; i++)
		plan_print_entry(&plan->entries[i], out);
}

static bool table_find(struct str name, enum plan_table *ret_table)
{
	for (int t = 0; t < PLAN_TABLE_COUNT; t++) {
		if (str_is(name, plan_table_names[t])) {
			*ret_table = (enum plan_table)t;
			return true;
		}
	}
	return false;
}

static bool has_forbidden(struct str s)
{
	return str_chr(s, '\t', 0) < s.n || str_chr(s, '\r', 0) < s.n || str_chr(s, '\0', 0) < s.n;
}

static bool parse_line(struct arena *arena, struct str line, struct plan_entry *ret_entry,
		       struct error *err)
{
	size_t first = str_chr(line, '\t', 0);
	size_t second = str_chr(line, '\t', first + 1);
	if (first == line.n || second == line.n)
		return error_set(err, ERR_SYNTAX, "expected table, TAB, key, TAB, value");
	struct str name = str_sub(line, 0, first);
	struct str key = str_sub(line, first + 1, second);
	struct str value = str_sub(line, second + 1, line.n);
	struct plan_entry entry = { 0 };
	if (!table_find(name, &entry.table))
		return error_set(err, ERR_SYNTAX, "unknown table '" STR_FMT "'", STR_ARG(name));
	if (str_empty(key))
		return error_set(err, ERR_SYNTAX, "empty key");
	if (has_forbidden(key) || has_forbidden(value))
		return error_set(err, ERR_SYNTAX, "TAB, CR or NUL in a key or value");
	entry.key = arena_str(arena, key);
	entry.value = arena_str(arena, value);
	*ret_entry = entry;
	return true;
}

static bool parse_lines(struct plan *plan, struct str text, size_t lines, struct error *err)
{
	for (size_t line_no = 1; text.n; line_no++) {
		size_t end = str_chr(text, '\n', 0);
		if (end == text.n)
			return error_set(err, ERR_SYNTAX, "line %zu: the last line has no end",
					 line_no);
		assert(plan->count < lines);
		struct plan_entry *entry = &plan->entries[plan->count];
		if (!parse_line(plan->arena, str_sub(text, 0, end), entry, err))
			return error_prefix(err, "line %zu", line_no);
		if (plan->count && plan_entry_cmp(entry - 1, entry) >= 0)
			return error_set(err, ERR_SYNTAX,
					 "line %zu: not sorted by table and key, or a key twice",
					 line_no);
		plan->count++;
		text = str_sub(text, end + 1, text.n);
	}
	return true;
}

struct plan *plan_parse(struct str text, struct error *err)
{
	size_t lines = 0;
	for (size_t at = 0; (at = str_chr(text, '\n', at)) < text.n; at++)
		lines++;
	if (lines > MAX_PLAN_LINES) {
		error_set(err, ERR_LIMIT, "%zu lines, at most %d", lines, MAX_PLAN_LINES);
		return NULL;
	}
	struct arena *arena = arena_new();
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	*plan = (struct plan){ .arena = arena };
	plan->entries = arena_array(arena, lines, sizeof(*plan->entries));
	if (parse_lines(plan, text, lines, err))
		return plan;
	plan_free(plan);
	return NULL;
}
