/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <assert.h>
#include <stdarg.h>

#include "base/arena.h"

struct cell {
	struct str text;
	size_t width;
	enum table_colour colour;
};

struct row {
	struct cell cells[TABLE_MAX_COLUMNS];
	size_t count;
};

struct column {
	struct cell heading;
	enum table_align align;
	size_t width;
};

struct table {
	struct arena *arena;
	struct column columns[TABLE_MAX_COLUMNS];
	size_t column_count;
	struct row **rows;
	size_t row_count, row_capacity;
};

struct table *table_new(void)
{
	struct table *table = xcalloc(1, sizeof(*table));
	table->arena = arena_new();
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	arena_free(table->arena);
	free(table->rows);
	free(table);
}

/* Code points: columns of East Asian text come out narrow, which only looks uneven. */
static size_t text_width(struct str s)
{
	size_t width = 0;
	for (size_t i = 0; i < s.n; i++)
		width += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return width;
}

static struct cell cell_of(struct table *table, struct str text, enum table_colour colour)
{
	char *copy = arena_alloc(table->arena, text.n + 1);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		copy[i] = c < 0x20 || c == 0x7f ? '?' : text.p[i];
	}
	struct str clean = { copy, text.n };
	return (struct cell){ .text = clean, .width = text_width(clean), .colour = colour };
}

void table_column(struct table *table, const char *heading, enum table_align align)
{
	assert(table->column_count < TABLE_MAX_COLUMNS && table->row_count == 0);
	struct cell cell = cell_of(table, str_of(heading), TABLE_BOLD);
	table->columns[table->column_count++] =
		(struct column){ .heading = cell, .align = align, .width = cell.width };
}

void table_row(struct table *table)
{
	table->rows = grow(table->rows, table->row_count, &table->row_capacity,
			   sizeof(*table->rows));
	table->rows[table->row_count++] = arena_alloc(table->arena, sizeof(struct row));
}

void table_cell_colour(struct table *table, struct str text, enum table_colour colour)
{
	assert(table->row_count);
	struct row *row = table->rows[table->row_count - 1];
	assert(row->count < table->column_count);
	struct column *column = &table->columns[row->count];
	struct cell cell = cell_of(table, text, colour);
	if (cell.width > column->width)
		column->width = cell.width;
	row->cells[row->count++] = cell;
}

void table_cell(struct table *table, struct str text)
{
	table_cell_colour(table, text, TABLE_PLAIN);
}

void table_cellf(struct table *table, const char *fmt, ...)
{
	size_t n;
	va_list args;
	va_start(args, fmt);
	char *text = xvasprintf(fmt, args, &n);
	va_end(args);
	table_cell(table, (struct str){ text, n });
	free(text);
}

static void add_text(const struct cell *cell, bool colours, struct sb *sb)
{
	static const char *const codes[] = {
		[TABLE_GREEN] = "32", [TABLE_YELLOW] = "33", [TABLE_RED] = "31",
		[TABLE_DIM] = "2",    [TABLE_BOLD] = "1",
	};
	bool coloured = colours && cell->colour != TABLE_PLAIN && cell->text.n;
	if (coloured)
		sb_addf(sb, "\033[%sm", codes[cell->colour]);
	sb_add(sb, cell->text);
	if (coloured)
		sb_adds(sb, "\033[0m");
}

/* Blanks are owed and paid by the next visible cell, so that none end a line. */
static void add_line(const struct table *table, const struct cell *const *cells, bool colours,
		     struct sb *sb)
{
	size_t owed = 0;
	for (size_t i = 0; i < table->column_count; i++) {
		const struct column *column = &table->columns[i];
		size_t fill = column->width - cells[i]->width;
		if (column->align == TABLE_RIGHT)
			owed += fill;
		if (cells[i]->width) {
			sb_addf(sb, "%*s", (int)owed, "");
			add_text(cells[i], colours, sb);
			owed = 0;
		}
		if (column->align == TABLE_LEFT)
			owed += fill;
		owed += 2;
	}
	sb_addc(sb, '\n');
}

void table_write(const struct table *table, bool colours, struct sb *sb)
{
	const struct cell *cells[TABLE_MAX_COLUMNS];
	for (size_t i = 0; i < table->column_count; i++)
		cells[i] = &table->columns[i].heading;
	add_line(table, cells, colours, sb);
	for (size_t r = 0; r < table->row_count; r++) {
		for (size_t i = 0; i < table->column_count; i++)
			cells[i] = &table->rows[r]->cells[i];
		add_line(table, cells, colours, sb);
	}
}
