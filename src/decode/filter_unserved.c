/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of the specification that this release does not serve: CORS, RequestMirror and
 * ExtensionRef are checked as an API server checks them, so that a manifest that passes here
 * passes there. ExternalAuth is not in the standard channel: its fields may still change. */
#include "decode/kinds.h"

enum { DEFAULT_DENOMINATOR = 100 };

/* ---- CORS ---- */

/* A list of different texts. A lone "*" stands for all; exclusive: only alone. */
static void check_set(const struct node *cors, const char *key, size_t max_count,
		      const struct text_rule *rule, bool exclusive)
{
	size_t count;
	struct node list = read_list(cors, key, 0, max_count, &count);
	struct str *texts = arena_array(list.decoder->arena, count, sizeof(*texts));

	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		if (!node_text(&item, rule, &texts[i]))
			continue;
		for (size_t j = 0; j < i; j++) {
			if (str_eq(texts[j], texts[i]))
				node_error(&item, REASON_DUPLICATE, "is listed twice");
		}
		if (exclusive && count > 1 && str_is(texts[i], "*"))
			node_error(&list, REASON_INVALID, "must be \"*\" alone, or without it");
	}
}

static void check_cors(const struct node *filter, const char *key)
{
	static const char *const fields[] = { "allowOrigins",  "allowCredentials", "allowMethods",
					      "allowHeaders",  "exposeHeaders",    "maxAge",
					      NULL };
	static const struct text_rule origin = {
		1, MAX_ORIGIN_BYTES, is_cors_origin,
		"\"*\" or a scheme, a host and maybe a port, such as \"https://*.example.com:8443\""
	};
	static const struct text_rule method = { 1, MAX_NAME_BYTES, is_cors_method,
						 "an HTTP method, or \"*\"" };
	struct node cors = read_object(filter, key, true, fields);

	if (!node_is_set(&cors))
		return;
	check_set(&cors, "allowOrigins", MAX_CORS_TEXTS, &origin, true);
	check_set(&cors, "allowMethods", MAX_CORS_METHODS, &method, true);
	check_set(&cors, "allowHeaders", MAX_CORS_TEXTS, &rule_token, true);
	check_set(&cors, "exposeHeaders", MAX_CORS_TEXTS, &rule_token, false);
	read_bool(&cors, "allowCredentials", false);
	read_int(&cors, "maxAge", 1, INT32_MAX, 5);
}

/* ---- RequestMirror ---- */

static void check_fraction(const struct node *mirror)
{
	static const char *const fields[] = { "numerator", "denominator", NULL };
	struct node fraction = read_object(mirror, "fraction", false, fields);

	if (!node_is_set(&fraction))
		return;
	int64_t numerator = read_required_int(&fraction, "numerator", 0, INT32_MAX);
	if (numerator > read_int(&fraction, "denominator", 1, INT32_MAX, DEFAULT_DENOMINATOR))
		node_error(&fraction, REASON_INVALID,
			   "must not have a numerator that is greater than the denominator (100 "
			   "where none is written)");
}

static void check_mirror(const struct node *filter, const char *key)
{
	static const char *const fields[] = { "backendRef", "percent", "fraction", NULL };
	static const char *const ref_fields[] = { "group", "kind", "namespace",
						  "name",  "port", NULL };
	struct node mirror = read_object(filter, key, true, fields);

	if (!node_is_set(&mirror))
		return;
	struct node ref = read_object(&mirror, "backendRef", true, ref_fields);
	struct backend_ref unused = { 0 };
	if (node_is_set(&ref))
		read_backend_object(&ref, &unused);
	struct node percent = node_field(&mirror, "percent");
	struct node fraction = node_field(&mirror, "fraction");
	if (node_is_set(&percent) && node_is_set(&fraction))
		node_error(&mirror, REASON_INVALID, "must not have both percent and fraction");
	read_int(&mirror, "percent", 0, 100, 100);
	check_fraction(&mirror);
}

/* ---- ExtensionRef ---- */

static void check_extension(const struct node *filter, const char *key)
{
	static const char *const fields[] = { "group", "kind", "name", NULL };
	struct node ref = read_object(filter, key, true, fields);

	if (!node_is_set(&ref))
		return;
	read_required_text(&ref, "group", &rule_group);
	read_required_text(&ref, "kind", &rule_kind);
	read_ref_name(&ref);
}

void check_unserved_filter(const struct node *filter, const char *key)
{
	if (strcmp(key, "cors") == 0)
		check_cors(filter, key);
	else if (strcmp(key, "requestMirror") == 0)
		check_mirror(filter, key);
	else if (strcmp(key, "extensionRef") == 0)
		check_extension(filter, key);
	else
		read_object(filter, key, true, NULL);
}
