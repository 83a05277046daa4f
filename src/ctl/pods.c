/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pods.h"

#include "base/sb.h"
#include "source/json.h"

enum { LIST_BYTES = 220 };

#define LABEL_RELEASE "app.kubernetes.io/instance"

static bool is_ready(struct json_object *status)
{
	struct json_object *conditions = json_field(status, "conditions");
	size_t count = json_object_is_type(conditions, json_type_array) ?
			       json_object_array_length(conditions) : 0;
	for (size_t i = 0; i < count; i++) {
		struct json_object *condition = json_object_array_get_idx(conditions, i);
		if (str_is(json_text(condition, "type"), "Ready"))
			return str_is(json_text(condition, "status"), "True");
	}
	return false;
}

/* A holder is called HOST_RANDOM; a pod in the network of its node has the node's name. */
static bool holds(struct str holder, const struct pod *pod)
{
	size_t end = str_chr(holder, '_', 0);
	struct str host = str_sub(holder, 0, end);
	return end < holder.n && (str_eq(host, pod->name) || str_eq(host, pod->node));
}

static bool holds_one(struct json_object *leases, const struct pod *pod)
{
	struct json_object *items = json_field(leases, "items");
	size_t count = json_object_is_type(items, json_type_array) ? json_object_array_length(items) :
								     0;
	for (size_t i = 0; i < count; i++) {
		struct json_object *lease = json_object_array_get_idx(items, i);
		if (str_eq(json_text(json_field(lease, "metadata"), "namespace"), pod->ns) &&
		    holds(json_text(json_field(lease, "spec"), "holderIdentity"), pod))
			return true;
	}
	return false;
}

static bool same_release(const struct pod *a, const struct pod *b)
{
	return str_eq(a->ns, b->ns) && str_eq(a->release, b->release);
}

static int cmp_pods(const void *left, const void *right)
{
	const struct pod *a = left, *b = right;
	int order = str_cmp(a->ns, b->ns);
	if (order == 0)
		order = str_cmp(a->release, b->release);
	if (order == 0)
		order = (int)b->leads - (int)a->leads;
	if (order == 0)
		order = (int)b->ready - (int)a->ready;
	return order ? order : str_cmp(a->name, b->name);
}

void pods_read(struct json_object *list, struct json_object *leases, struct arena *arena,
	       struct pods *ret)
{
	struct json_object *items = json_field(list, "items");
	size_t count = json_object_is_type(items, json_type_array) ? json_object_array_length(items) :
								     0;
	*ret = (struct pods){ .items = arena_array(arena, count, sizeof(*ret->items)) };
	for (size_t i = 0; i < count; i++) {
		struct json_object *json = json_object_array_get_idx(items, i);
		struct json_object *metadata = json_field(json, "metadata");
		struct json_object *status = json_field(json, "status");
		struct pod *pod = &ret->items[ret->count];
		if (!str_is(json_text(status, "phase"), "Running"))
			continue;
		pod->ns = arena_str(arena, json_text(metadata, "namespace"));
		pod->name = arena_str(arena, json_text(metadata, "name"));
		pod->node = arena_str(arena, json_text(json_field(json, "spec"), "nodeName"));
		pod->release = arena_str(arena,
					 json_text(json_field(metadata, "labels"), LABEL_RELEASE));
		pod->ready = is_ready(status) && !json_field(metadata, "deletionTimestamp");
		pod->leads = holds_one(leases, pod);
		ret->count++;
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), cmp_pods);
	for (size_t i = 0; i < ret->count; i++)
		ret->release_count += i == 0 || !same_release(&ret->items[i - 1], &ret->items[i]);
}

/* "gates/edge-1, gates/edge-2", of each release the first alone if `releases`. */
static void list_pods(const struct pods *pods, bool releases, char text[LIST_BYTES])
{
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < pods->count && used < LIST_BYTES; i++) {
		const struct pod *pod = &pods->items[i];
		if (releases && i > 0 && same_release(&pods->items[i - 1], pod))
			continue;
		int len = snprintf(text + used, LIST_BYTES - used, "%s" STR_FMT "/" STR_FMT,
				   used ? ", " : "", STR_ARG(pod->ns),
				   STR_ARG(releases && !str_empty(pod->release) ? pod->release :
										  pod->name));
		used += len > 0 ? (size_t)len : 0;
	}
}

bool pods_choose(const struct pods *pods, const char *name, size_t *ret_index, struct error *err)
{
	char list[LIST_BYTES];
	for (size_t i = 0; name && i < pods->count; i++) {
		if (str_is(pods->items[i].name, name)) {
			*ret_index = i;
			return true;
		}
	}
	list_pods(pods, !name, list);
	if (pods->count == 0)
		return error_set(err, ERR_NOTFOUND, "no pod of Tidegate runs");
	if (name)
		return error_set(err, ERR_NOTFOUND, "no pod of Tidegate is called %s; there are %s",
				 name, list);
	if (pods->release_count > 1)
		return error_set(err, ERR_REFUSED, "%zu Tidegates: %s. Choose one with --namespace, "
						   "with --selector app.kubernetes.io/instance=RELEASE, "
						   "or with --pod", pods->release_count, list);
	*ret_index = 0;
	return true;
}
