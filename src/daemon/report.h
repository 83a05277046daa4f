/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for people and programs: one set of calls gives a text table, JSON or YAML.
 *
 * Each column has a key (JSON, YAML) and a heading (table). Cells are added in column order,
 * each row whole. */
#pragma once

#include "base/out.h"
#include "base/table.h"
#include "model/finding.h"

enum report_format { REPORT_TABLE = 0, REPORT_JSON, REPORT_YAML };

bool report_format_parse(struct str name, enum report_format *ret_format);

struct report_column {
	const char *key, *heading;
	enum table_align align;
};

struct report {
	enum report_format format;
	bool colours;
	const struct report_column *columns;
	size_t column_count, cell, row_count;
	struct table *table;
	struct out out;
	struct sb *sb;
};

/* Writes to sb when finished (tables) or as it goes. */
void report_init(struct report *report, const struct report_column *columns, size_t column_count,
		 enum report_format format, bool colours, struct sb *sb);
void report_row(struct report *report);
void report_str(struct report *report, struct str value, enum table_colour colour);
void report_cstr(struct report *report, const char *value);
void report_int(struct report *report, int64_t value);
/* A text in tables, true or false elsewhere. */
void report_bool(struct report *report, bool value, const char *yes, const char *no);
/* empty: the sentence of a table without rows; NULL: the headings. */
void report_finish(struct report *report, const char *empty);

/* The out format for a report format that is not a table. */
enum out_format report_out_format(enum report_format format);

struct weight_row { /* of one backendRef */
	const struct rule *rule;
	size_t rule_index;
	const struct backend_ref *ref;
	uint32_t weight, before; /* before: in the file, or in the object that was read */
	uint64_t total; /* of the rule's weights */
};

/* Begins a row with six cells: rule, backend, weight, share, the weight before, and whether that
 * was another, for which a table has the word `changed`. */
void report_weight(struct report *report, const struct weight_row *row, const char *changed);

/* Findings as a report, with a summary line in tables. */
void report_findings(const struct findings *findings, enum report_format format, bool colours,
		     struct sb *sb);
