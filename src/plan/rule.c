/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rule.h"

#include <assert.h>

#include "plan/split.h"

#define TARGET_REDIRECT "http-redirect"
#define TIMEOUT_DISABLED_MS INT64_C(86400000)

/* ---- header filters ---- */

static struct header_op *op_find(struct header_ops *ops, bool response, struct str name)
{
	for (size_t i = 0; i < ops->count; i++) {
		if (ops->items[i].response == response && str_eq(ops->items[i].name, name))
			return &ops->items[i];
	}
	return NULL;
}

static void op_append(struct header_ops *ops, const struct header_op *op)
{
	ops->items = arena_grow(ops->arena, ops->items, ops->count, &ops->capacity,
				sizeof(*ops->items));
	ops->items[ops->count++] = *op;
}

/* One op that does what `op` does after what is already there for that name. */
static void op_compose(struct header_ops *ops, struct header_op op)
{
	op.name = arena_lower(ops->arena, op.name);
	struct header_op *before = op_find(ops, op.response, op.name);
	if (!before) {
		op_append(ops, &op);
		return;
	}
	if (op.op == HEADER_ADD && before->op != HEADER_DEL) {
		before->value = arena_strf(ops->arena, STR_FMT "," STR_FMT,
					   STR_ARG(before->value), STR_ARG(op.value));
		return;
	}
	before->op = op.op == HEADER_ADD ? HEADER_SET : op.op;
	before->value = op.value;
}

void header_ops_apply(struct header_ops *ops, bool response, const struct header_mod *mod)
{
	for (size_t i = 0; i < mod->set_count; i++)
		op_compose(ops, (struct header_op){ response, HEADER_SET, mod->set[i].key,
						    mod->set[i].value });
	for (size_t i = 0; i < mod->add_count; i++)
		op_compose(ops, (struct header_op){ response, HEADER_ADD, mod->add[i].key,
						    mod->add[i].value });
	for (size_t i = 0; i < mod->remove_count; i++)
		op_compose(ops, (struct header_op){ response, HEADER_DEL, mod->remove[i],
						    STR_NONE });
}

static int op_cmp(const void *a, const void *b)
{
	const struct header_op *x = a, *y = b;
	if (x->response != y->response)
		return x->response ? 1 : -1;
	return str_cmp(x->name, y->name);
}

void header_ops_sort(struct header_ops *ops)
{
	if (ops->count)
		qsort(ops->items, ops->count, sizeof(*ops->items), op_cmp);
}

static struct str op_key(struct arena *arena, struct str filter, const struct header_op *op)
{
	static const char *const names[] = { "set", "add", "del" };
	return arena_strf(arena, STR_FMT "/%s/%s/" STR_FMT, STR_ARG(filter),
			  op->response ? "res" : "req", names[op->op], STR_ARG(op->name));
}

static struct str op_value(const struct header_op *op)
{
	return op->op == HEADER_DEL ? STR("-") : op->value;
}

/* Sets *ret_filter to the id; empty for no ops at all. */
static bool headers_emit(struct emit *emit, struct header_ops *ops, struct str *ret_filter)
{
	*ret_filter = STR_NONE;
	if (ops->count == 0)
		return true;
	header_ops_sort(ops);
	struct sb content;
	sb_init(&content, SIZE_MAX / 2);
	for (size_t i = 0; i < ops->count; i++) {
		struct str key = op_key(emit->scratch, STR_NONE, &ops->items[i]);
		sb_add(&content, key);
		sb_addc(&content, ' ');
		sb_add(&content, op_value(&ops->items[i]));
		sb_addc(&content, '\n');
	}
	struct str filter = emit_id(emit, "h", sb_str(&content));
	sb_fini(&content);
	for (size_t i = 0; i < ops->count; i++) {
		struct str key = op_key(emit->scratch, filter, &ops->items[i]);
		if (!emit_entry(emit, PLAN_HEADER, key, op_value(&ops->items[i])))
			return false;
	}
	*ret_filter = filter;
	return true;
}

/* ---- the other filters ---- */

/* Everything that filters say, in the order in which they say it. */
struct actions {
	struct header_ops headers;
	struct str host;
	const char *path_op; /* "", "=", "0", "1", ... */
	struct str path;
	bool redirect;
	uint16_t status, port;
	struct str scheme, redirect_host;
};

static bool filters_have(const struct filter *filters, size_t count, enum filter_type type)
{
	for (size_t i = 0; i < count; i++) {
		if (filters[i].type == type)
			return true;
	}
	return false;
}

/* A record's fields are joined by "|" and its line is split at white space. */
static struct str path_quote(struct arena *arena, struct str path)
{
	static const char hex[] = "0123456789ABCDEF";
	char *quoted = arena_alloc(arena, path.n * 3 + 2);
	size_t n = 0;
	if (path.n == 0 || path.p[0] != '/')
		quoted[n++] = '/';
	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];
		if (c > ' ' && c < 0x7f && c != '|') {
			quoted[n++] = (char)c;
			continue;
		}
		quoted[n++] = '%';
		quoted[n++] = hex[c >> 4];
		quoted[n++] = hex[c & 15];
	}
	return (struct str){ quoted, n };
}

static struct str without_slash(struct str path)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

static size_t segment_count(struct str path)
{
	size_t count = 0;
	path = without_slash(path);
	for (size_t i = 0; i < path.n; i++)
		count += path.p[i] == '/';
	return count;
}

/* Replacing a prefix needs the one PathPrefix match that the schema demands. */
static bool prefix_segments(const struct rule *rule, size_t *ret_segments)
{
	if (rule->match_count != 1 || rule->matches[0].path_type != MATCH_PREFIX)
		return false;
	*ret_segments = segment_count(rule->matches[0].path);
	return *ret_segments <= MAX_REWRITE_SEGMENTS;
}

static bool path_apply(struct actions *actions, const struct rule *rule,
		       const struct filter *filter)
{
	struct arena *arena = actions->headers.arena;
	size_t segments = 0;
	switch (filter->path_modifier) {
	case PATH_KEEP:
		return true;
	case PATH_REPLACE_FULL:
		actions->path_op = "=";
		actions->path = path_quote(arena, filter->path);
		return true;
	case PATH_REPLACE_PREFIX:
		if (!prefix_segments(rule, &segments))
			return false;
		actions->path_op = arena_strf(arena, "%zu", segments).p;
		actions->path = without_slash(path_quote(arena, filter->path));
		return true;
	}
	assert(false && "an unknown path modifier");
	return false;
}

static bool filter_apply(struct actions *actions, const struct rule *rule,
			 const struct filter *filter)
{
	switch (filter->type) {
	case FILTER_REQUEST_HEADERS:
	case FILTER_RESPONSE_HEADERS:
		header_ops_apply(&actions->headers, filter->type == FILTER_RESPONSE_HEADERS,
				 &filter->headers);
		return true;
	case FILTER_REDIRECT:
		actions->redirect = true;
		/* A redirect is about the request as it came; a rewrite before it does not count. */
		actions->host = STR_NONE;
		actions->path_op = "";
		actions->path = STR_NONE;
		actions->status = filter->status;
		actions->scheme = filter->scheme;
		actions->redirect_host = filter->hostname;
		actions->port = filter->port;
		return path_apply(actions, rule, filter);
	case FILTER_REWRITE:
		if (filter->hostname.n)
			actions->host = filter->hostname;
		return path_apply(actions, rule, filter);
	case FILTER_UNSUPPORTED:
		break;
	}
	assert(false && "unsupported filters never get here");
	return false;
}

static bool filters_apply(struct actions *actions, const struct rule *rule,
			  const struct filter *filters, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!filter_apply(actions, rule, &filters[i]))
			return false;
	}
	return true;
}

struct str rule_timeout(struct arena *arena, const struct rule *rule)
{
	int64_t request = rule->request_timeout_ms, backend = rule->backend_timeout_ms;
	if (request == TIMEOUT_UNSET && backend == TIMEOUT_UNSET)
		return STR_NONE;
	int64_t ms = TIMEOUT_DISABLED_MS;
	if (request > 0)
		ms = request;
	if (backend > 0 && backend < ms)
		ms = backend;
	if (ms > TIMEOUT_DISABLED_MS)
		ms = TIMEOUT_DISABLED_MS;
	return arena_strf(arena, "%lld", (long long)ms);
}

/* ---- shape ---- */

enum rule_shape { SHAPE_ERROR = 0, SHAPE_PLAIN, SHAPE_RECORD };

static bool ref_serves(const struct ref_view *ref)
{
	return ref->state == REF_OK &&
	       !filters_have(ref->spec->filters, ref->spec->filter_count, FILTER_UNSUPPORTED);
}

/* *ret_backend: where a plain rule sends requests. */
static enum rule_shape rule_shape(const struct rule_view *rule, struct str *ret_backend)
{
	const struct rule *spec = rule->spec;
	if (rule->broken || filters_have(spec->filters, spec->filter_count, FILTER_UNSUPPORTED))
		return SHAPE_ERROR;
	if (filters_have(spec->filters, spec->filter_count, FILTER_REDIRECT))
		return SHAPE_RECORD;
	bool serves = false, plain = spec->filter_count == 0 &&
				     spec->request_timeout_ms == TIMEOUT_UNSET &&
				     spec->backend_timeout_ms == TIMEOUT_UNSET;
	const struct ref_view *first = NULL;
	for (size_t i = 0; i < rule->ref_count; i++) {
		const struct ref_view *ref = &rule->refs[i];
		if (ref->spec->weight == 0)
			continue;
		if (!first)
			first = ref;
		serves |= ref_serves(ref);
		plain &= ref_serves(ref) && ref->spec->filter_count == 0 &&
			 str_eq(ref->backend, first->backend);
	}
	if (!serves)
		return SHAPE_ERROR;
	*ret_backend = first->backend;
	return plain ? SHAPE_PLAIN : SHAPE_RECORD;
}

/* Where the requests go that cannot be served as they should. */
static struct str error_target(struct arena *arena, const struct rule_view *rule)
{
	return arena_strf(arena, "http-%u", rule->error_status);
}

struct str rule_verdict(struct arena *arena, const struct rule_view *rule, bool failed)
{
	struct str backend = STR_NONE;
	switch (failed ? SHAPE_ERROR : rule_shape(rule, &backend)) {
	case SHAPE_PLAIN:
		return arena_strf(arena, STR_FMT " " STR_FMT, STR_ARG(backend),
				  STR_ARG(rule->name));
	case SHAPE_RECORD:
		return arena_strf(arena, "@" STR_FMT, STR_ARG(rule->name));
	case SHAPE_ERROR:
		break;
	}
	return arena_strf(arena, STR_FMT " " STR_FMT, STR_ARG(error_target(arena, rule)),
			  STR_ARG(rule->name));
}

/* ---- records ---- */

static struct str port_text(struct arena *arena, uint16_t port)
{
	return port ? arena_strf(arena, "%u", port) : STR_NONE;
}

/* The record `key`: the rule's filters, then `ref`'s (NULL: none). */
static bool record_emit(struct emit *emit, struct str key, struct str target,
			const struct rule *rule, const struct backend_ref *ref)
{
	struct arena *arena = emit->scratch;
	struct actions actions = { .headers.arena = arena, .path_op = "" };
	if (!filters_apply(&actions, rule, rule->filters, rule->filter_count))
		return false;
	if (ref && !filters_apply(&actions, rule, ref->filters, ref->filter_count))
		return false;
	struct str filter, status = port_text(arena, actions.status);
	if (!headers_emit(emit, &actions.headers, &filter))
		return false;
	if (actions.redirect)
		target = STR(TARGET_REDIRECT);
	struct str fields[] = {
		target,        rule_timeout(arena, rule), actions.host,
		str_of(actions.path_op), actions.path,    filter,
		status,        actions.scheme,            actions.redirect_host,
		port_text(arena, actions.port),
	};
	size_t count = sizeof(fields) / sizeof(*fields);
	while (str_empty(fields[count - 1])) /* the target never is */
		count--;
	struct sb record;
	sb_init(&record, MAX_MAP_LINE_BYTES);
	for (size_t i = 0; i < count; i++) {
		if (i)
			sb_addc(&record, '|');
		sb_add(&record, fields[i]);
	}
	bool ok = sb_ok(&record, NULL) && emit_entry(emit, PLAN_RULE, key, sb_str(&record));
	sb_fini(&record);
	return ok;
}

static bool split_emit(struct emit *emit, const struct split *split, struct str *ret_target)
{
	struct arena *arena = emit->scratch;
	struct sb content;
	sb_init(&content, MAX_BACKEND_REFS * (size_t)1024);
	for (size_t i = 0; i < split->share_count; i++)
		sb_addf(&content, "%llu " STR_FMT "\n",
			(unsigned long long)split->shares[i].weight,
			STR_ARG(split->shares[i].target));
	assert(!content.failed);
	struct str id = emit_id(emit, "%", sb_str(&content));
	sb_fini(&content);
	for (size_t i = 0; i < split->count; i++) {
		struct str key = arena_strf(arena, STR_FMT "/" STR_FMT, STR_ARG(id),
					    STR_ARG(split->entries[i].digits));
		if (!emit_entry(emit, PLAN_SPLIT, key, split->entries[i].target))
			return false;
	}
	*ret_target = arena_strf(arena, STR_FMT "/%llu/%llu", STR_ARG(id),
				 (unsigned long long)split->total,
				 (unsigned long long)split->offset);
	return true;
}

/* The target of one share of several: a ref with filters needs a record of its own. */
static bool share_target(struct emit *emit, const struct rule_view *rule, size_t index,
			 struct str *ret_target)
{
	const struct ref_view *ref = &rule->refs[index];
	if (!ref_serves(ref)) {
		*ret_target = error_target(emit->scratch, rule);
		return true;
	}
	if (ref->spec->filter_count == 0) {
		*ret_target = ref->backend;
		return true;
	}
	struct str key = arena_strf(emit->scratch, "@" STR_FMT "/%zu", STR_ARG(rule->name), index);
	*ret_target = key;
	return record_emit(emit, key, ref->backend, rule->spec, ref->spec);
}

static size_t live_refs(const struct rule_view *rule, size_t *ret_last)
{
	size_t live = 0;
	for (size_t i = 0; i < rule->ref_count; i++) {
		if (rule->refs[i].spec->weight) {
			*ret_last = i;
			live++;
		}
	}
	return live;
}

static bool shares_target(struct emit *emit, const struct rule_view *rule, struct str *ret_target)
{
	struct split_share *shares =
		arena_array(emit->scratch, rule->ref_count, sizeof(*shares));
	size_t count = 0;
	for (size_t i = 0; i < rule->ref_count; i++) {
		if (rule->refs[i].spec->weight == 0)
			continue;
		shares[count].weight = rule->refs[i].spec->weight;
		if (!share_target(emit, rule, i, &shares[count++].target))
			return false;
	}
	struct split split;
	split_make(emit->scratch, shares, count, &split);
	if (split.share_count > 1)
		return split_emit(emit, &split, ret_target);
	*ret_target = split.shares[0].target;
	return true;
}

static bool records_emit(struct emit *emit, const struct rule_view *rule)
{
	struct str key = arena_strf(emit->scratch, "@" STR_FMT, STR_ARG(rule->name));
	const struct rule *spec = rule->spec;
	if (filters_have(spec->filters, spec->filter_count, FILTER_REDIRECT))
		return record_emit(emit, key, STR(TARGET_REDIRECT), spec, NULL);
	size_t only = 0;
	if (live_refs(rule, &only) == 1)
		return record_emit(emit, key, rule->refs[only].backend, spec,
				   rule->refs[only].spec);
	struct str target;
	return shares_target(emit, rule, &target) && record_emit(emit, key, target, spec, NULL);
}

bool rule_emit(struct emit *emit, const struct route_view *route, size_t rule_index)
{
	const struct rule_view *rule = &route->rules[rule_index];
	struct str backend = STR_NONE;
	if (rule_shape(rule, &backend) != SHAPE_RECORD)
		return true;
	size_t before = emit->count;
	if (records_emit(emit, rule))
		return true;
	emit_rewind(emit, before);
	struct str field = arena_strf(emit->scratch, "spec.rules[%zu].filters", rule_index);
	findings_add(&emit->findings, SEVERITY_ERROR, route->object->kind,
		     &route->object->meta, field.p, "FilterTooLong",
		     "the filters of this rule cannot be expressed: a header value of all filters "
		     "together may have about %d bytes, and a prefix of at most %d segments can be "
		     "replaced; its requests get %u",
		     MAX_MAP_LINE_BYTES - MAX_HEADER_NAME_BYTES, MAX_REWRITE_SEGMENTS,
		     rule->error_status);
	return false;
}
