/* SPDX-License-Identifier: Apache-2.0 */
/* Text tables for people: columns as wide as their widest cell, two blanks between them, no
 * blanks at the ends of lines.
 *
 * Cells are added row by row; table_row() starts a row, missing cells are blank. Control
 * characters in a cell become '?' (a name from a file must not move the cursor). */
#pragma once

#include "base/sb.h"

enum table_align {
	TABLE_LEFT = 0,
	TABLE_RIGHT,
};

enum table_colour {
	TABLE_PLAIN = 0,
	TABLE_GREEN,
	TABLE_YELLOW,
	TABLE_RED,
	TABLE_DIM,
	TABLE_BOLD,
};

enum {
	TABLE_MAX_COLUMNS = 16
};

struct table;

struct table *table_new(void);
void table_free(struct table *table); /* accepts NULL */

/* All columns before the first row. The heading is copied. */
void table_column(struct table *table, const char *heading, enum table_align align);

void table_row(struct table *table);
void table_cell(struct table *table, struct str text); /* copied */
void table_cell_colour(struct table *table, struct str text, enum table_colour colour);
void table_cellf(struct table *table, const char *fmt, ...) printf_like(2, 3);

/* Headings (bold when colours are wanted) and rows, each with a newline. */
void table_write(const struct table *table, bool colours, struct sb *sb);
