/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/pool.h"

#include <arpa/inet.h>

/* ---- addresses as bytes ---- */

/* How many bytes it has; 0: it is no address. */
static size_t parse_ip(struct str text, unsigned char ret_bytes[POOL_ADDRESS_BYTES])
{
	char copy[INET6_ADDRSTRLEN];
	if (text.n == 0 || text.n >= sizeof(copy))
		return 0;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, ret_bytes) == 1)
		return sizeof(struct in_addr);
	if (inet_pton(AF_INET6, copy, ret_bytes) == 1)
		return sizeof(struct in6_addr);
	return 0;
}

/* The number behind it; false: there is none. */
static bool step_up(unsigned char *ip, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;) {
		if (++ip[i] != 0)
			return true;
	}
	return false;
}

static void step_down(unsigned char *ip, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;) {
		if (ip[i]-- != 0)
			return;
	}
}

/* Sets the bits behind the prefix to 0, or to 1. */
static void fill_behind(unsigned char *ip, size_t bytes, size_t prefix, bool ones)
{
	for (size_t bit = prefix; bit < 8 * bytes; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> bit % 8);
		if (ones)
			ip[bit / 8] |= mask;
		else
			ip[bit / 8] &= (unsigned char)~mask;
	}
}

static bool is_any(const unsigned char *ip, size_t bytes)
{
	static const unsigned char zero[POOL_ADDRESS_BYTES];
	return memcmp(ip, zero, bytes) == 0;
}

/* ---- ranges ---- */

/* A network has addresses that no host may have: its own, and with IPv4 the one for all hosts. */
static void leave_out_network(struct address_range *range, size_t prefix)
{
	if (8 * range->bytes - prefix < 2)
		return;
	step_up(range->first, range->bytes);
	if (range->bytes == sizeof(struct in_addr))
		step_down(range->last, range->bytes);
}

static bool parse_network(struct str text, struct address_range *range, struct error *err)
{
	struct str rest = text;
	struct str ip = str_cut(&rest, '/');
	uint64_t prefix;
	range->bytes = parse_ip(ip, range->first);
	if (!range->bytes || !str_u64(rest, 8 * range->bytes, &prefix))
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' is not a network such as "
				 "192.0.2.0/28", STR_ARG(text));
	memcpy(range->last, range->first, range->bytes);
	fill_behind(range->first, range->bytes, (size_t)prefix, false);
	if (memcmp(range->last, range->first, range->bytes) != 0)
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' has bits behind its prefix: give the "
				 "network's own address, or FIRST-LAST", STR_ARG(text));
	fill_behind(range->last, range->bytes, (size_t)prefix, true);
	leave_out_network(range, (size_t)prefix);
	return true;
}

static bool parse_ends(struct str text, struct address_range *range, struct error *err)
{
	struct str last = text;
	struct str first = str_cut(&last, '-');
	bool alone = first.n == text.n;
	range->bytes = parse_ip(first, range->first);
	if (!range->bytes || parse_ip(alone ? first : last, range->last) != range->bytes)
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' is not an address, a network such "
				 "as 192.0.2.0/28 or a range such as 192.0.2.10-192.0.2.19",
				 STR_ARG(text));
	if (memcmp(range->first, range->last, range->bytes) > 0)
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' ends before it begins",
				 STR_ARG(text));
	return true;
}

bool pool_add(struct address_pool *pool, struct str text, struct error *err)
{
	struct address_range range = { .bytes = 0 };
	bool is_network = str_chr(text, '/', 0) < text.n;
	if (pool->count == POOL_MAX_RANGES)
		return error_set(err, ERR_LIMIT, "more than %d: make one range of several",
				 POOL_MAX_RANGES);
	if (!(is_network ? parse_network(text, &range, err) : parse_ends(text, &range, err)))
		return false;
	if (is_any(range.first, range.bytes))
		return error_set(err, ERR_SYNTAX, "'" STR_FMT "' has the address that stands for "
				 "every address", STR_ARG(text));
	pool->ranges[pool->count++] = range;
	return true;
}

bool pool_has(const struct address_pool *pool, struct str ip)
{
	unsigned char bytes[POOL_ADDRESS_BYTES];
	size_t n = parse_ip(ip, bytes);
	for (size_t i = 0; n && i < pool->count; i++) {
		const struct address_range *range = &pool->ranges[i];
		if (range->bytes == n && memcmp(range->first, bytes, n) <= 0 &&
		    memcmp(bytes, range->last, n) <= 0)
			return true;
	}
	return false;
}

/* ---- walks ---- */

static bool leave_range(const struct address_pool *pool, struct pool_walk *walk)
{
	const struct address_range *range = &pool->ranges[walk->range];
	return walk->inside && memcmp(walk->at, range->last, range->bytes) == 0;
}

bool pool_next(const struct address_pool *pool, struct pool_walk *walk, struct arena *arena,
	       struct str *ret_ip)
{
	char text[INET6_ADDRSTRLEN];
	if (walk->range < pool->count && leave_range(pool, walk)) {
		walk->range++;
		walk->inside = false;
	}
	if (walk->range >= pool->count)
		return false;
	const struct address_range *range = &pool->ranges[walk->range];
	if (walk->inside)
		step_up(walk->at, range->bytes);
	else
		memcpy(walk->at, range->first, range->bytes);
	walk->inside = true;
	inet_ntop(range->bytes == sizeof(struct in_addr) ? AF_INET : AF_INET6, walk->at, text,
		  sizeof(text));
	*ret_ip = arena_str(arena, str_of(text));
	return true;
}
