/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON fields with their checks; every finding knows its field.
 *
 *   root ◄── spec ◄── rules ◄── [0] ◄── matches      nodes on the C stack, each pointing at
 *                                                    its parent; the path is only written
 *                                                    out when there is something to report
 *
 * The walk follows the schema, never the document, so its depth is that of the schema. A
 * JSON null is an absent field, as in an API server. Readers report what is wrong, return
 * the fallback and go on: one pass finds everything. Text is copied to the object's arena. */
#pragma once

#include "decode/syntax.h"
#include "model/finding.h"

#include <json-c/json_object.h>

/* Reasons: the API server's own words for what is wrong with a field. */
#define REASON_REQUIRED "FieldValueRequired"
#define REASON_INVALID "FieldValueInvalid"
#define REASON_NOT_SUPPORTED "FieldValueNotSupported"
#define REASON_DUPLICATE "FieldValueDuplicate"
#define REASON_TYPE "FieldValueTypeInvalid"
#define REASON_TOO_LONG "FieldValueTooLong"
#define REASON_TOO_MANY "FieldValueTooMany"
#define REASON_FORBIDDEN "FieldValueForbidden"
#define REASON_UNKNOWN_FIELD "UnknownField"
#define REASON_UNSUPPORTED "UnsupportedValue" /* the specification has it, this release not */

struct decoder {
	struct arena *arena;
	struct findings *findings;
	enum kind kind;
	const struct meta *meta;
	size_t reported_count;
	bool failed; /* an error was found, even if it was not listed any more */
};

struct node {
	struct decoder *decoder;
	const struct node *parent; /* NULL: the document */
	const char *key;           /* NULL: item number `index` of a list */
	size_t index;
	struct json_object *json; /* NULL: absent */
};

struct text_rule {
	size_t min_bytes, max_bytes;
	bool (*is_valid)(struct str s); /* NULL: any printable text */
	const char *expected;           /* "a DNS name such as ..."; goes behind "must be" */
};

extern const struct text_rule rule_any; /* up to MAX_NAME_BYTES, printable */
extern const struct text_rule rule_group;
extern const struct text_rule rule_kind;
extern const struct text_rule rule_namespace;
extern const struct text_rule rule_section;
extern const struct text_rule rule_hostname;
extern const struct text_rule rule_precise_hostname;
extern const struct text_rule rule_token; /* the name of a header or of a query parameter */

struct node node_field(const struct node *parent, const char *key);
struct node node_item(const struct node *list, size_t index);
struct node node_entry(const struct node *map, const char *key, struct json_object *json);

static inline bool node_is_set(const struct node *node)
{
	return node->json != NULL;
}

void node_error(const struct node *node, const char *reason, const char *fmt, ...)
	printf_like(3, 4);
void node_warning(const struct node *node, const char *reason, const char *fmt, ...)
	printf_like(3, 4);

/* False when it is not an object (with an error, unless absent). Warns of fields that are
 * not among `fields` (NULL-terminated); fields NULL: any key. */
bool node_is_object(const struct node *node, const char *const *fields);

/* The object of that name; ->json is NULL when it is absent or wrong. */
struct node read_object(const struct node *parent, const char *key, bool required,
			const char *const *fields);

/* The list of that name. *ret_count is 0 when it is absent or wrong; with min_count it is
 * required. */
struct node read_list(const struct node *parent, const char *key, size_t min_count,
		      size_t max_count, size_t *ret_count);

/* Fills one item of a list, zeroed. */
typedef void (*read_item_fn)(const struct node *item, void *ret_item);

/* What a list of items that do not depend on each other holds. */
struct list_rule {
	size_t min_count, max_count, item_bytes;
	read_item_fn read;
};

/* The items of the list of that name, in the arena; counts as read_list() does. */
void *read_items(const struct node *parent, const char *key, const struct list_rule *rule,
		 size_t *ret_count);

/* A text by itself (an item of a list). rule NULL: any bytes but NUL. */
bool node_text(const struct node *node, const struct text_rule *rule, struct str *ret_text);

/* A text field. A value that equals the fallback is not copied. */
struct str read_text(const struct node *parent, const char *key, const struct text_rule *rule,
		     struct str fallback);
struct str read_required_text(const struct node *parent, const char *key,
			      const struct text_rule *rule);

/* The name of another object. */
struct str read_ref_name(const struct node *parent);

/* The index among names (NULL-terminated); fallback < 0: required, and then what is
 * returned for a wrong one. */
int read_enum(const struct node *parent, const char *key, const char *const *names, int fallback);

int64_t read_int(const struct node *parent, const char *key, int64_t min, int64_t max,
		 int64_t fallback);
int64_t read_required_int(const struct node *parent, const char *key, int64_t min, int64_t max);
bool read_bool(const struct node *parent, const char *key, bool fallback);

/* A map of texts, in the document's order; is_key and value_rule
 * may be NULL. */
struct pair *read_pairs(const struct node *parent, const char *key, size_t max_count,
			bool (*is_key)(struct str), const struct text_rule *value_rule,
			size_t *ret_count);
