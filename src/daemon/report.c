/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/report.h"

#include <assert.h>

bool report_format_parse(struct str name, enum report_format *ret_format)
{
	if (str_empty(name) || str_is(name, "table") || str_is(name, "text"))
		*ret_format = REPORT_TABLE;
	else if (str_is(name, "json"))
		*ret_format = REPORT_JSON;
	else if (str_is(name, "yaml"))
		*ret_format = REPORT_YAML;
	else
		return false;
	return true;
}

enum out_format report_out_format(enum report_format format)
{
	return format == REPORT_YAML ? OUT_YAML : OUT_JSON_INDENT;
}

void report_init(struct report *report, const struct report_column *columns, size_t column_count,
		 enum report_format format, bool colours, struct sb *sb)
{
	*report = (struct report){ .format = format,
				   .colours = colours,
				   .columns = columns,
				   .column_count = column_count,
				   .cell = column_count,
				   .sb = sb };
	if (format != REPORT_TABLE) {
		out_init(&report->out, sb, report_out_format(format));
		out_array(&report->out);
		return;
	}
	report->table = table_new();
	for (size_t i = 0; i < column_count; i++)
		table_column(report->table, columns[i].heading, columns[i].align);
}

void report_row(struct report *report)
{
	assert(report->cell == report->column_count);
	if (report->table) {
		table_row(report->table);
	} else {
		if (report->row_count)
			out_end(&report->out);
		out_object(&report->out);
	}
	report->cell = 0;
	report->row_count++;
}

static const char *next_key(struct report *report)
{
	assert(report->cell < report->column_count);
	return report->columns[report->cell++].key;
}

void report_str(struct report *report, struct str value, enum table_colour colour)
{
	const char *key = next_key(report);
	if (report->table)
		table_cell_colour(report->table, str_empty(value) ? STR("-") : value, colour);
	else
		out_kv_str(&report->out, key, value);
}

void report_cstr(struct report *report, const char *value)
{
	report_str(report, str_of(value), TABLE_PLAIN);
}

void report_int(struct report *report, int64_t value)
{
	const char *key = next_key(report);
	if (report->table)
		table_cellf(report->table, "%lld", (long long)value);
	else
		out_kv_int(&report->out, key, value);
}

void report_bool(struct report *report, bool value, const char *yes, const char *no)
{
	const char *key = next_key(report);
	if (report->table)
		table_cell_colour(report->table, str_of(value ? yes : no),
				  value ? TABLE_GREEN : TABLE_PLAIN);
	else
		out_kv_bool(&report->out, key, value);
}

void report_finish(struct report *report, const char *empty)
{
	assert(report->cell == report->column_count);
	if (!report->table) {
		if (report->row_count)
			out_end(&report->out);
		out_end(&report->out);
		return;
	}
	if (report->row_count == 0 && empty)
		sb_addf(report->sb, "%s\n", empty);
	else
		table_write(report->table, report->colours, report->sb);
	table_free(report->table);
	report->table = NULL;
}

void report_weight(struct report *report, const struct weight_row *row, const char *changed)
{
	const struct backend_ref *ref = row->ref;
	struct str name = row->rule->name;
	char text[640];
	report_row(report);
	snprintf(text, sizeof(text), "%zu%s" STR_FMT, row->rule_index, str_empty(name) ? "" : ":",
		 STR_ARG(name));
	report_cstr(report, text);
	snprintf(text, sizeof(text), ref->has_port ? STR_FMT "/" STR_FMT ":%u" :
						     STR_FMT "/" STR_FMT,
		 STR_ARG(ref->ns), STR_ARG(ref->name), (unsigned)ref->port);
	report_cstr(report, text);
	report_int(report, row->weight);
	snprintf(text, sizeof(text), "%.2f%%",
		 row->total ? 100.0 * row->weight / (double)row->total : 0.0);
	report_cstr(report, text);
	report_int(report, row->before);
	report_bool(report, row->weight != row->before, changed, "");
}

static const enum table_colour severity_colour[] = {
	[SEVERITY_ERROR] = TABLE_RED,
	[SEVERITY_WARNING] = TABLE_YELLOW,
	[SEVERITY_INFO] = TABLE_DIM,
};

/* "HTTPRoute default/store", or the path of a file. */
static void add_object_name(struct report *report, const struct finding *finding)
{
	struct sb name;
	sb_init(&name, 2048);
	if (!str_empty(finding->ns))
		sb_addf(&name, STR_FMT "/", STR_ARG(finding->ns));
	sb_add(&name, finding->name);
	report_str(report, sb_str(&name), TABLE_PLAIN);
	sb_fini(&name);
}

void report_findings(const struct findings *findings, enum report_format format, bool colours,
		     struct sb *sb)
{
	static const struct report_column columns[] = {
		{ "severity", "SEVERITY", TABLE_LEFT }, { "kind", "KIND", TABLE_LEFT },
		{ "object", "OBJECT", TABLE_LEFT },	{ "origin", "FILE", TABLE_LEFT },
		{ "field", "FIELD", TABLE_LEFT },	{ "reason", "REASON", TABLE_LEFT },
		{ "text", "TEXT", TABLE_LEFT },
	};
	struct report report;
	report_init(&report, columns, sizeof(columns) / sizeof(columns[0]), format, colours, sb);
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->items[i];
		report_row(&report);
		report_str(&report, str_of(severity_name(f->severity)),
			   severity_colour[f->severity]);
		report_str(&report,
			   f->kind == KIND_NONE ? STR("File") : str_of(kind_table[f->kind].name),
			   TABLE_PLAIN);
		add_object_name(&report, f);
		report_str(&report, f->origin, TABLE_DIM);
		report_str(&report, f->field, TABLE_PLAIN);
		report_str(&report, f->reason, TABLE_PLAIN);
		report_str(&report, f->text, TABLE_PLAIN);
	}
	report_finish(&report, "No findings.");
}
