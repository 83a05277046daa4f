/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/check.h"

#include "base/sb.h"

#include <json-c/linkhash.h>
#include <stdarg.h>

enum {
	MAX_REPORTS = 100, /* per object: a broken file must not bury the others */
	PATH_BYTES = 1024,
	QUOTE_BYTES = 48, /* of a wrong value, in a message */
};

const struct text_rule rule_any = { 0, MAX_NAME_BYTES, NULL, NULL };
const struct text_rule rule_group = { 0, MAX_NAME_BYTES, is_group,
				      "an API group such as \"gateway.networking.k8s.io\", or "
				      "empty for the core group" };
const struct text_rule rule_kind = { 1, 63, is_kind, "a kind such as \"Service\"" };
const struct text_rule rule_namespace = { 1, MAX_NAMESPACE_BYTES, is_label,
					  "a namespace: lower-case letters, digits and '-'" };
const struct text_rule rule_section = { 1, MAX_NAME_BYTES, is_subdomain,
					"lower-case letters, digits, '-' and '.', with a letter "
					"or digit at both ends" };
const struct text_rule rule_hostname = {
	1, MAX_HOSTNAME_BYTES, is_hostname,
	"a lower-case DNS name such as \"www.example.com\" or \"*.example.com\", without a port"
};
const struct text_rule rule_precise_hostname = {
	1, MAX_HOSTNAME_BYTES, is_subdomain,
	"a lower-case DNS name without a wildcard and without a port"
};
const struct text_rule rule_token = { 1, MAX_HEADER_NAME_BYTES, is_header_name,
				      "a name of letters, digits and !#$%&'*+-.^_`|~" };

/* ---- paths and findings ---- */

/* Bytes that would garble a message become '?'. */
static void add_clean(struct sb *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		sb_addc(out, c < 0x20 || c >= 0x7f ? '?' : (char)c);
	}
}

static bool is_plain_key(const char *key)
{
	return *key && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-") == strlen(key);
}

static void add_path(struct sb *out, const struct node *node)
{
	if (!node->parent)
		return;
	add_path(out, node->parent);
	if (!node->key) {
		sb_addf(out, "[%zu]", node->index);
	} else if (is_plain_key(node->key)) {
		sb_addf(out, out->len ? ".%s" : "%s", node->key);
	} else {
		sb_addc(out, '[');
		add_clean(out, str_of(node->key));
		sb_addc(out, ']');
	}
}

static void report(const struct node *node, enum severity severity, const char *reason,
		   const char *fmt, va_list args) __attribute__((format(printf, 4, 0)));

static void report(const struct node *node, enum severity severity, const char *reason,
		   const char *fmt, va_list args)
{
	struct decoder *decoder = node->decoder;
	char text[PATH_BYTES];
	struct sb path;

	decoder->failed |= severity == SEVERITY_ERROR;
	if (++decoder->reported_count > MAX_REPORTS + 1)
		return;
	if (decoder->reported_count > MAX_REPORTS) {
		findings_add(decoder->findings, severity, decoder->kind, decoder->meta, NULL,
			     "TooManyFindings", "more is wrong than is listed: fix the first %d",
			     MAX_REPORTS);
		return;
	}
	vsnprintf(text, sizeof(text), fmt, args);
	sb_init(&path, PATH_BYTES);
	add_path(&path, node);
	findings_add(decoder->findings, severity, decoder->kind, decoder->meta,
		     path.data ? path.data : "", reason, "%s", text);
	sb_fini(&path);
}

void node_error(const struct node *node, const char *reason, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(node, SEVERITY_ERROR, reason, fmt, args);
	va_end(args);
}

void node_warning(const struct node *node, const char *reason, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(node, SEVERITY_WARNING, reason, fmt, args);
	va_end(args);
}

struct quote {
	char text[QUOTE_BYTES + 32];
};

static struct quote quote_text(struct str s)
{
	struct quote quote;
	struct sb out;

	sb_init(&out, sizeof(quote.text) - 1);
	sb_addc(&out, '"');
	add_clean(&out, str_sub(s, 0, QUOTE_BYTES));
	sb_adds(&out, s.n > QUOTE_BYTES ? "...\"" : "\"");
	snprintf(quote.text, sizeof(quote.text), "%s", out.data);
	sb_fini(&out);
	return quote;
}

static struct str json_text(struct json_object *json)
{
	return (struct str){ json_object_get_string(json),
			     (size_t)json_object_get_string_len(json) };
}

/* "the text "80"", "a list", ... */
static struct quote describe(struct json_object *json)
{
	struct quote quote;

	switch (json_object_get_type(json)) {
	case json_type_null:
		snprintf(quote.text, sizeof(quote.text), "null");
		break;
	case json_type_object:
		snprintf(quote.text, sizeof(quote.text), "an object");
		break;
	case json_type_array:
		snprintf(quote.text, sizeof(quote.text), "a list");
		break;
	case json_type_boolean:
		snprintf(quote.text, sizeof(quote.text), "the boolean %s",
			 json_object_get_boolean(json) ? "true" : "false");
		break;
	case json_type_int:
	case json_type_double:
		snprintf(quote.text, sizeof(quote.text), "the number %.40s",
			 json_object_get_string(json));
		break;
	case json_type_string: {
		struct quote text = quote_text(json_text(json));

		snprintf(quote.text, sizeof(quote.text), "the text %.64s", text.text);
		break;
	}
	}
	return quote;
}

static void wrong_type(const struct node *node, const char *expected)
{
	struct quote found = describe(node->json);

	node_error(node, REASON_TYPE, "must be %s, found %s", expected, found.text);
}

/* ---- places ---- */

struct node node_field(const struct node *parent, const char *key)
{
	struct node node = { .decoder = parent->decoder, .parent = parent, .key = key };

	if (parent->json)
		json_object_object_get_ex(parent->json, key, &node.json);
	return node;
}

struct node node_item(const struct node *list, size_t index)
{
	return (struct node){ .decoder = list->decoder,
			      .parent = list,
			      .index = index,
			      .json = json_object_array_get_idx(list->json, index) };
}

struct node node_entry(const struct node *map, const char *key, struct json_object *json)
{
	return (struct node){ .decoder = map->decoder, .parent = map, .key = key, .json = json };
}

static bool is_listed(const char *const *names, const char *name)
{
	for (; *names; names++) {
		if (!strcmp(*names, name))
			return true;
	}
	return false;
}

/* The known field that differs only in its letters' case, or NULL. */
static const char *similar_field(const char *const *fields, const char *key)
{
	for (; *fields; fields++) {
		if (str_eq_nocase(str_of(*fields), str_of(key)))
			return *fields;
	}
	return NULL;
}

static void warn_of_field(const struct node *entry, const char *const *fields)
{
	const char *similar = similar_field(fields, entry->key);

	if (similar)
		node_warning(entry, REASON_UNKNOWN_FIELD,
			     "is not a field of the API and is ignored: is \"%s\" meant?", similar);
	else
		node_warning(entry, REASON_UNKNOWN_FIELD,
			     "is not a field of the API and is ignored: check its spelling and "
			     "its indentation");
}

bool node_is_object(const struct node *node, const char *const *fields)
{
	if (!node_is_set(node)) {
		if (node->parent && !node->key)
			wrong_type(node, "an object"); /* a null in a list */
		return false;
	}
	if (!json_object_is_type(node->json, json_type_object)) {
		wrong_type(node, "an object");
		return false;
	}
	if (fields) {
		json_object_object_foreach(node->json, key, value) {
			struct node entry = node_entry(node, key, value);

			if (!is_listed(fields, key))
				warn_of_field(&entry, fields);
		}
	}
	return true;
}

struct node read_object(const struct node *parent, const char *key, bool required,
			const char *const *fields)
{
	struct node node = node_field(parent, key);

	if (required && !node_is_set(&node))
		node_error(&node, REASON_REQUIRED, "is required");
	if (!node_is_object(&node, fields))
		node.json = NULL;
	return node;
}

struct node read_list(const struct node *parent, const char *key, size_t min_count,
		      size_t max_count, size_t *ret_count)
{
	struct node node = node_field(parent, key);
	size_t count = 0;

	*ret_count = 0;
	if (!node_is_set(&node)) {
		if (min_count > 0)
			node_error(&node, REASON_REQUIRED, "is required");
		return node;
	}
	if (!json_object_is_type(node.json, json_type_array)) {
		wrong_type(&node, "a list");
		return node;
	}
	count = json_object_array_length(node.json);
	if (count < min_count)
		node_error(&node, REASON_INVALID, "must have at least %zu item%s", min_count,
			   min_count == 1 ? "" : "s");
	else if (count > max_count)
		node_error(&node, REASON_TOO_MANY, "must have at most %zu items, has %zu",
			   max_count, count);
	else
		*ret_count = count;
	return node;
}

void *read_items(const struct node *parent, const char *key, const struct list_rule *rule,
		 size_t *ret_count)
{
	struct node list = read_list(parent, key, rule->min_count, rule->max_count, ret_count);
	char *items = arena_array(list.decoder->arena, *ret_count, rule->item_bytes);

	for (size_t i = 0; i < *ret_count; i++) {
		struct node item = node_item(&list, i);

		rule->read(&item, items + i * rule->item_bytes);
	}
	return items;
}

/* ---- texts ---- */

static bool check_text(const struct node *node, const struct text_rule *rule, struct str text)
{
	struct quote found;

	if (text.n < rule->min_bytes) {
		node_error(node, REASON_INVALID, "must not be empty");
		return false;
	}
	if (text.n > rule->max_bytes) {
		node_error(node, REASON_TOO_LONG, "must have at most %zu bytes, has %zu",
			   rule->max_bytes, text.n);
		return false;
	}
	if (rule->is_valid ? rule->is_valid(text) : str_printable(text))
		return true;
	found = quote_text(text);
	if (rule->is_valid)
		node_error(node, REASON_INVALID, "must be %s, found %s", rule->expected,
			   found.text);
	else
		node_error(node, REASON_INVALID, "must not have control characters, found %s",
			   found.text);
	return false;
}

bool node_text(const struct node *node, const struct text_rule *rule, struct str *ret_text)
{
	struct str text;

	if (!json_object_is_type(node->json, json_type_string)) {
		wrong_type(node, "a text");
		return false;
	}
	text = json_text(node->json);
	if (text.n && memchr(text.p, '\0', text.n)) {
		node_error(node, REASON_INVALID, "must not have a NUL character");
		return false;
	}
	if (rule && !check_text(node, rule, text))
		return false;
	*ret_text = arena_str(node->decoder->arena, text);
	return true;
}

/* Defaults written out (kind: Service) are common: they need no copy. */
static bool is_fallback(const struct node *node, struct str fallback)
{
	return json_object_is_type(node->json, json_type_string) &&
	       str_eq(json_text(node->json), fallback);
}

struct str read_text(const struct node *parent, const char *key, const struct text_rule *rule,
		     struct str fallback)
{
	struct node node = node_field(parent, key);
	struct str text = fallback;

	if (!node_is_set(&node) || (fallback.n > 0 && is_fallback(&node, fallback)))
		return fallback;
	return node_text(&node, rule, &text) ? text : fallback;
}

struct str read_required_text(const struct node *parent, const char *key,
			      const struct text_rule *rule)
{
	struct node node = node_field(parent, key);

	if (!node_is_set(&node)) {
		node_error(&node, REASON_REQUIRED, "is required");
		return STR_NONE;
	}
	return read_text(parent, key, rule, STR_NONE);
}

struct str read_ref_name(const struct node *parent)
{
	static const struct text_rule rule = { 1, MAX_NAME_BYTES, NULL, NULL };
	struct node node = node_field(parent, "name");
	struct str name = read_required_text(parent, "name", &rule);

	/* The schema has no pattern here; the reference is simply one that is never found. */
	if (name.n > 0 && !is_subdomain(name))
		node_warning(&node, REASON_INVALID,
			     "no object can have this name: lower-case letters, digits, '-' "
			     "and '.' only");
	return name;
}

/* ---- other values ---- */

static void not_among(const struct node *node, const char *const *names)
{
	struct quote found = quote_text(json_text(node->json));
	struct sb list;

	sb_init(&list, PATH_BYTES / 2);
	for (const char *const *name = names; *name; name++)
		sb_addf(&list, "%s%s", name == names ? "" : ", ", *name);
	node_error(node, REASON_NOT_SUPPORTED, "must be one of %s, found %s", list.data,
		   found.text);
	sb_fini(&list);
}

int read_enum(const struct node *parent, const char *key, const char *const *names, int fallback)
{
	struct node node = node_field(parent, key);

	if (!node_is_set(&node)) {
		if (fallback < 0)
			node_error(&node, REASON_REQUIRED, "is required");
		return fallback;
	}
	if (!json_object_is_type(node.json, json_type_string)) {
		wrong_type(&node, "a text");
		return fallback;
	}
	for (int i = 0; names[i]; i++) {
		if (str_is(json_text(node.json), names[i]))
			return i;
	}
	not_among(&node, names);
	return fallback;
}

int64_t read_int(const struct node *parent, const char *key, int64_t min, int64_t max,
		 int64_t fallback)
{
	struct node node = node_field(parent, key);
	int64_t value;

	if (!node_is_set(&node))
		return fallback;
	if (!json_object_is_type(node.json, json_type_int)) {
		wrong_type(&node, "an integer");
		return fallback;
	}
	value = json_object_get_int64(node.json);
	if (value < min || value > max) {
		node_error(&node, REASON_INVALID, "must be %lld..%lld, got %lld", (long long)min,
			   (long long)max, (long long)value);
		return fallback;
	}
	return value;
}

int64_t read_required_int(const struct node *parent, const char *key, int64_t min, int64_t max)
{
	struct node node = node_field(parent, key);

	if (!node_is_set(&node))
		node_error(&node, REASON_REQUIRED, "is required");
	return read_int(parent, key, min, max, min);
}

bool read_bool(const struct node *parent, const char *key, bool fallback)
{
	struct node node = node_field(parent, key);

	if (!node_is_set(&node))
		return fallback;
	if (!json_object_is_type(node.json, json_type_boolean)) {
		wrong_type(&node, "true or false");
		return fallback;
	}
	return json_object_get_boolean(node.json);
}

struct pair *read_pairs(const struct node *parent, const char *key, size_t max_count,
			bool (*is_key)(struct str), const struct text_rule *value_rule,
			size_t *ret_count)
{
	struct node map = read_object(parent, key, false, NULL);
	struct pair *pairs;
	size_t count, n = 0;

	*ret_count = 0;
	if (!node_is_set(&map))
		return NULL;
	count = (size_t)json_object_object_length(map.json);
	if (count > max_count) {
		node_error(&map, REASON_TOO_MANY, "must have at most %zu entries, has %zu",
			   max_count, count);
		return NULL;
	}
	pairs = arena_array(map.decoder->arena, count, sizeof(*pairs));
	json_object_object_foreach(map.json, entry_key, value) {
		struct node entry = node_entry(&map, entry_key, value);
		struct str name = str_of(entry_key), text = STR_NONE;

		if (is_key && !is_key(name))
			node_error(&entry, REASON_INVALID, "the key is not well-formed");
		else if (!node_is_set(&entry))
			wrong_type(&entry, "a text");
		else if (node_text(&entry, value_rule, &text))
			pairs[n++] = (struct pair){ arena_str(map.decoder->arena, name), text };
	}
	*ret_count = n;
	return pairs;
}
