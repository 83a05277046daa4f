/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope that all kinds share: apiVersion, kind, metadata; then one decoder per kind. */
#include "decode/decode.h"

#include "decode/kinds.h"

enum { MAX_LABELS = 10000 };

/* The fields beside apiVersion, kind and metadata, and what a name looks like. */
struct kind_decoder {
	void (*decode)(const struct node *root, struct object *object);
	const char *const *fields;
	bool (*is_name)(struct str s);
};

static const char *const spec_fields[] = {
	"apiVersion", "kind", "metadata", "spec", "status", NULL
};
static const char *const slice_fields[] = { "apiVersion", "kind",  "metadata", "addressType",
					    "endpoints",  "ports", NULL };
static const char *const secret_fields[] = { "apiVersion", "kind",       "metadata",  "type",
					     "data",       "stringData", "immutable", NULL };
static const char *const map_fields[] = { "apiVersion", "kind",      "metadata", "data",
					  "binaryData", "immutable", NULL };

static const struct kind_decoder decoders[KIND_COUNT] = {
	[KIND_GATEWAYCLASS] = { decode_gateway_class, spec_fields, is_subdomain },
	[KIND_GATEWAY] = { decode_gateway, spec_fields, is_subdomain },
	[KIND_HTTPROUTE] = { decode_http_route, spec_fields, is_subdomain },
	[KIND_GRPCROUTE] = { decode_grpc_route, spec_fields, is_subdomain },
	[KIND_REFERENCEGRANT] = { decode_reference_grant, spec_fields, is_subdomain },
	[KIND_NAMESPACE] = { decode_namespace, spec_fields, is_label },
	[KIND_SERVICE] = { decode_service, spec_fields, is_label },
	[KIND_ENDPOINTSLICE] = { decode_endpoint_slice, slice_fields, is_subdomain },
	[KIND_SECRET] = { decode_secret, secret_fields, is_subdomain },
	[KIND_CONFIGMAP] = { decode_config_map, map_fields, is_subdomain },
	[KIND_BACKEND] = { decode_backend, spec_fields, is_subdomain },
	[KIND_GATEWAYPARAMETERS] = { decode_gateway_parameters, spec_fields, is_subdomain },
};

/* ---- metadata ---- */

static void read_name(const struct node *metadata, struct meta *meta)
{
	enum kind kind = metadata->decoder->kind;
	bool is_short = decoders[kind].is_name == is_label;
	const struct text_rule rule = { 1, is_short ? MAX_NAMESPACE_BYTES : MAX_NAME_BYTES,
					decoders[kind].is_name,
					is_short ? "lower-case letters, digits and '-'"
						 : "lower-case letters, digits, '-' and '.'" };

	meta->name = read_required_text(metadata, "name", &rule);
}

static void read_namespace(const struct node *metadata, struct meta *meta)
{
	struct node ns = node_field(metadata, "namespace");

	if (kind_table[metadata->decoder->kind].namespaced)
		meta->ns = read_text(metadata, "namespace", &rule_namespace, STR("default"));
	else if (node_is_set(&ns))
		node_warning(&ns, REASON_INVALID, "is ignored: a %s is in no namespace",
			     kind_table[metadata->decoder->kind].name);
}

static void read_metadata(const struct node *root, struct meta *meta)
{
	static const char *const fields[] = { "name",
					      "namespace",
					      "labels",
					      "annotations",
					      "generateName",
					      "generation",
					      "creationTimestamp",
					      "uid",
					      "resourceVersion",
					      "managedFields",
					      "ownerReferences",
					      "finalizers",
					      "deletionTimestamp",
					      "deletionGracePeriodSeconds",
					      "selfLink",
					      NULL };
	static const struct text_rule label_rule = {
		0, 63, is_label_value,
		"a label's value: at most 63 letters, digits, '-', '_' and '.'"
	};
	struct node metadata = read_object(root, "metadata", true, fields), created;
	struct str text;

	if (!node_is_set(&metadata))
		return;
	read_name(&metadata, meta);
	read_namespace(&metadata, meta);
	meta->generation = read_int(&metadata, "generation", 0, INT64_MAX, 0);
	meta->labels = read_pairs(&metadata, "labels", MAX_LABELS, is_label_key, &label_rule,
				  &meta->label_count);
	created = node_field(&metadata, "creationTimestamp");
	if (node_is_set(&created) && node_text(&created, &rule_any, &text) &&
	    !parse_time(text, &meta->created_s))
		node_error(&created, REASON_INVALID, "must be a time such as 2026-01-31T12:00:00Z");
}

/* ---- apiVersion and kind ---- */

static bool envelope_text(struct json_object *json, const char *key, struct str *ret_text)
{
	struct json_object *value;

	if (!json_object_object_get_ex(json, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return false;
	*ret_text = (struct str){ json_object_get_string(value),
				  (size_t)json_object_get_string_len(value) };
	return ret_text->n > 0 && ret_text->n <= MAX_NAME_BYTES && str_printable(*ret_text);
}

/* About a document of which not even the kind is known: named by where it is. */
static enum decode_result refuse(struct str origin, struct findings *findings, const char *field,
				 const char *text)
{
	struct str rest = origin;
	struct meta meta = { .name = str_cut(&rest, ':'), .origin = origin };

	findings_add(findings, SEVERITY_ERROR, KIND_NONE, &meta, field, REASON_REQUIRED, "%s",
		     text);
	return DECODE_INVALID;
}

static bool is_served(enum kind kind, struct str version)
{
	for (const char *const *served = kind_table[kind].versions; *served; served++) {
		if (str_is(version, *served))
			return true;
	}
	return false;
}

static void check_version(const struct node *root, struct str version)
{
	struct node node = node_field(root, "apiVersion");

	if (is_served(root->decoder->kind, version))
		return;
	node_error(&node, REASON_NOT_SUPPORTED,
		   "version \"" STR_FMT "\" of %s is not supported: use \"%s\"", STR_ARG(version),
		   kind_table[root->decoder->kind].name,
		   kind_table[root->decoder->kind].versions[0]);
}

static struct object *new_object(enum kind kind, struct str origin)
{
	struct arena *arena = arena_new();
	struct object *object = arena_alloc(arena, sizeof(*object));

	object->arena = arena;
	object->kind = kind;
	object->meta.origin = arena_str(arena, origin);
	return object;
}

static enum decode_result decode_kind(struct json_object *json, struct object *object,
				      struct str version, struct findings *findings)
{
	struct decoder decoder = { .arena = object->arena,
				   .findings = findings,
				   .kind = object->kind,
				   .meta = &object->meta };
	struct node root = { .decoder = &decoder, .json = json };

	read_metadata(&root, &object->meta);
	check_version(&root, version);
	if (decoder.failed)
		return DECODE_INVALID;
	node_is_object(&root, decoders[object->kind].fields);
	decoders[object->kind].decode(&root, object);
	return decoder.failed ? DECODE_INVALID : DECODE_OK;
}

enum decode_result decode_object(struct json_object *json, struct str origin,
				 struct decode_output *ret, struct findings *findings)
{
	struct str version = STR_NONE, group = STR_NONE, name;
	enum decode_result result;
	struct object *object;
	enum kind kind;

	*ret = (struct decode_output){ .kind = KIND_NONE };
	if (!json_object_is_type(json, json_type_object))
		return refuse(origin, findings, "", "the document is not an object");
	if (!envelope_text(json, "apiVersion", &version))
		return refuse(origin, findings, "apiVersion", "is required");
	if (!envelope_text(json, "kind", &name))
		return refuse(origin, findings, "kind", "is required");
	if (str_chr(version, '/', 0) < version.n)
		group = str_cut(&version, '/');
	kind = kind_find(group, name);
	if (kind == KIND_NONE) {
		ret->kind_name = object_key(findings->arena, group, name);
		return DECODE_UNKNOWN;
	}
	object = new_object(kind, origin);
	result = decode_kind(json, object, version, findings);
	ret->kind = kind;
	ret->ns = arena_str(findings->arena, object->meta.ns);
	ret->name = arena_str(findings->arena, object->meta.name);
	if (result == DECODE_OK)
		ret->object = object;
	else
		object_free(object);
	return result;
}
