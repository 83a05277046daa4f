/* SPDX-License-Identifier: Apache-2.0 */
/* Backend, our own kind: servers outside of any Service (docs/backend.md). */
#include "decode/kinds.h"

enum { MAX_SERVER_WEIGHT = 256, DEFAULT_SERVER_WEIGHT = 100 };

static bool is_host(struct str s)
{
	char lower[MAX_HOSTNAME_BYTES];

	if (s.n == 0 || s.n > sizeof(lower))
		return false;
	if (is_ip(s))
		return true;
	for (size_t i = 0; i < s.n; i++)
		lower[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
	return is_subdomain((struct str){ lower, s.n });
}

/* "10.1.2" and "1.2.3.400" are no DNS names anybody has: the last label of one is no number. */
static bool is_numeric_tail(struct str s)
{
	uint64_t number;

	return str_u64(str_sub(s, str_behind_last(s, '.'), s.n), UINT64_MAX, &number);
}

static void read_host(const struct node *node, struct backend_address *address)
{
	static const struct text_rule rule = {
		1, MAX_HOSTNAME_BYTES, is_host,
		"an IP address without brackets, or a DNS name without a port"
	};
	struct str host = read_required_text(node, "host", &rule);
	struct node field = node_field(node, "host");
	bool is_ipv6;

	if (host.n == 0 || canonical_ip(node->decoder->arena, host, &is_ipv6, &address->host))
		return;
	address->host = arena_lower(node->decoder->arena, host);
	address->is_name = true;
	if (is_numeric_tail(host))
		node_error(&field, REASON_INVALID, "is neither an IP address nor a DNS name");
}

static void read_address(const struct node *node, struct backend_address *address)
{
	static const char *const fields[] = { "host", "port", "weight", NULL };

	if (!node_is_object(node, fields))
		return;
	read_host(node, address);
	address->port = (uint16_t)read_required_int(node, "port", 1, 65535);
	address->weight =
		(uint32_t)read_int(node, "weight", 0, MAX_SERVER_WEIGHT, DEFAULT_SERVER_WEIGHT);
}

static void check_unique(const struct node *list, const struct backend_address *addresses, size_t i)
{
	struct node item = node_item(list, i);

	for (size_t j = 0; j < i; j++) {
		if (addresses[i].port == addresses[j].port &&
		    str_eq(addresses[i].host, addresses[j].host))
			node_error(
				&item, REASON_DUPLICATE,
				"is the same as address %zu: use one with the sum of the weights",
				j);
	}
}

void decode_backend(const struct node *root, struct object *object)
{
	static const char *const fields[] = { "addresses", "appProtocol", NULL };
	struct backend *backend = &object->backend;
	struct node spec = read_object(root, "spec", true, fields), list;
	size_t count;

	if (!node_is_set(&spec))
		return;
	backend->app_protocol = read_text(&spec, "appProtocol", &rule_app_protocol, STR_NONE);
	list = read_list(&spec, "addresses", 1, MAX_BACKEND_ADDRESSES, &count);
	backend->addresses = arena_array(object->arena, count, sizeof(*backend->addresses));
	backend->address_count = count;
	for (size_t i = 0; i < count; i++) {
		struct node item = node_item(&list, i);

		read_address(&item, &backend->addresses[i]);
		if (!root->decoder->failed)
			check_unique(&list, backend->addresses, i);
	}
}
