/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting findings and putting them in order. */
#include "model/finding.h"

#include <assert.h>
#include <stdarg.h>

enum { FINDING_TEXT_BYTES = 1024 };

void findings_init(struct findings *findings, struct arena *arena)
{
	*findings = (struct findings){ .arena = arena };
}

static struct finding *append(struct findings *findings, enum severity severity)
{
	findings->items = arena_grow(findings->arena, findings->items, findings->count,
				     &findings->capacity, sizeof(*findings->items));
	if (severity == SEVERITY_ERROR)
		findings->error_count++;
	return &findings->items[findings->count++];
}

void findings_add(struct findings *findings, enum severity severity, enum kind kind,
		  const struct meta *meta, const char *field, const char *reason, const char *fmt,
		  ...)
{
	struct arena *arena = findings->arena;
	char text[FINDING_TEXT_BYTES];
	struct finding *finding;
	va_list args;

	assert(meta || kind == KIND_NONE);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	finding = append(findings, severity);
	finding->severity = severity;
	finding->kind = kind;
	if (meta) {
		finding->ns = arena_str(arena, meta->ns);
		finding->name = arena_str(arena, meta->name);
		finding->origin = arena_str(arena, meta->origin);
	}
	finding->field = arena_str(arena, str_of(field));
	finding->reason = arena_str(arena, str_of(reason));
	finding->text = arena_str(arena, str_of(text));
}

static void copy(struct findings *findings, const struct finding *from)
{
	struct arena *arena = findings->arena;
	struct finding *finding = append(findings, from->severity);

	finding->severity = from->severity;
	finding->kind = from->kind;
	finding->ns = arena_str(arena, from->ns);
	finding->name = arena_str(arena, from->name);
	finding->field = arena_str(arena, from->field);
	finding->reason = arena_str(arena, from->reason);
	finding->text = arena_str(arena, from->text);
	finding->origin = arena_str(arena, from->origin);
}

void findings_append(struct findings *findings, const struct findings *more)
{
	for (size_t i = 0; more && i < more->count; i++)
		copy(findings, &more->items[i]);
}

const char *severity_name(enum severity severity)
{
	static const char *const names[] = {
		[SEVERITY_ERROR] = "error",
		[SEVERITY_WARNING] = "warning",
		[SEVERITY_INFO] = "info",
	};

	assert((size_t)severity < sizeof(names) / sizeof(names[0]));
	return names[severity];
}

int finding_cmp(const void *a, const void *b)
{
	const struct finding *left = a, *right = b;
	int order;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	if ((order = str_cmp(left->ns, right->ns)) != 0 ||
	    (order = str_cmp(left->name, right->name)) != 0 ||
	    (order = str_cmp(left->field, right->field)) != 0 ||
	    (order = str_cmp(left->reason, right->reason)) != 0)
		return order;
	return str_cmp(left->text, right->text);
}
