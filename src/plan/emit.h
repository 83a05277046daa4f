/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of the plan while it is being compiled.
 *
 *     unit (a route, a virtual host, a backend, ...)          entry_set
 *       entry_list ───► entry {key, value, refs} ◄── map (table, key)
 *
 * A unit is remade by collecting a fresh list and swapping it for its old one. Entries are
 * counted by reference, so what two units share (records with an id made from their content)
 * appears with the first and vanishes with the last. entry_set_commit() tells what the swaps
 * since the last commit changed in sum. */
#pragma once

#include "model/finding.h"
#include "plan/plan.h"

struct entry;
struct entry_set;

struct entry_list {
	struct entry **items;
	uint32_t count;
};

struct entry_set *entry_set_new(void);
void entry_set_free(struct entry_set *set); /* lists need not be released before */

/* The changes since the last commit, in apply order. */
struct changes *entry_set_commit(struct entry_set *set);

/* A copy of everything. */
struct plan *entry_set_plan(const struct entry_set *set);

/* ---- one unit being remade ---- */

struct emit {
	struct entry_set *set;
	struct arena *scratch;    /* lives until emit_end() */
	struct findings findings; /* in scratch */
	struct entry **items;
	size_t count, capacity;
};

void emit_begin(struct emit *emit, struct entry_set *set);

/* Swaps what was emitted for what the unit had. Findings are copied to *findings, in an
 * arena of their own, when there are any; otherwise it becomes NULL. */
void emit_end(struct emit *emit, struct entry_list *list, struct findings **findings);

/* An entry of the unit. Key and value are copied. False when the line does not fit
 * MAX_MAP_LINE_BYTES: nothing is emitted then. */
bool emit_entry(struct emit *emit, enum plan_table table, struct str key, struct str value)
	must_check;

/* The same of what fits by its own maxima: names, addresses, hosts, paths, one decision list. */
void emit_fitting(struct emit *emit, enum plan_table table, struct str key, struct str value);

/* Takes back what was emitted after the first `count` entries (emit->count at some time). */
void emit_rewind(struct emit *emit, size_t count);

/* The id of a record: prefix and 16 hexadecimal digits made from its content. Different
 * contents never share an id. In scratch. */
struct str emit_id(struct emit *emit, const char *prefix, struct str content);

/* A unit that vanishes. */
void entry_list_release(struct entry_set *set, struct entry_list *list);
void findings_drop(struct findings **findings);
