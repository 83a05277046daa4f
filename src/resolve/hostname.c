/* SPDX-License-Identifier: Apache-2.0 */
/* Which hostnames cover, meet and precede each other. */
#include "resolve/hostname.h"

#include "model/limits.h"

bool hostname_is_wildcard(struct str hostname)
{
	return str_starts(hostname, STR("*."));
}

/* ".example.com" of "*.example.com". */
static struct str wildcard_suffix(struct str hostname)
{
	return str_sub(hostname, 1, hostname.n);
}

bool hostname_covers(struct str hostname, struct str host)
{
	if (str_empty(hostname))
		return true;
	if (!hostname_is_wildcard(hostname))
		return str_eq(hostname, host);
	return str_ends(host, wildcard_suffix(hostname));
}

bool hostname_intersect(struct str a, struct str b, struct str *ret_hostname)
{
	/* "*.b.example.com" ends in ".example.com" as a host does, so covering also tells
	 * whether one wildcard lies within another. */
	if (str_eq(a, b) || hostname_covers(a, b)) {
		*ret_hostname = str_empty(b) ? a : b;
		return true;
	}
	if (str_empty(b) || hostname_covers(b, a)) {
		*ret_hostname = a;
		return true;
	}
	return false;
}

static int hostname_class(struct str hostname)
{
	if (str_empty(hostname))
		return 2;
	return hostname_is_wildcard(hostname) ? 1 : 0;
}

int hostname_cmp_specific(struct str a, struct str b)
{
	int by_class = hostname_class(a) - hostname_class(b);
	if (by_class)
		return by_class;
	if (a.n != b.n)
		return a.n > b.n ? -1 : 1;
	return 0;
}

bool hostname_servable(struct str hostname)
{
	if (!hostname_is_wildcard(hostname))
		return true;
	size_t labels = 0;
	for (size_t at = 1; at < hostname.n; at = str_chr(hostname, '.', at + 1))
		labels++;
	return labels <= MAX_WILDCARD_LABELS;
}
