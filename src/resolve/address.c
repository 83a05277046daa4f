/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/address.h"

#include <arpa/inet.h>

bool address_canonical(struct arena *arena, struct str value, struct str *ret_text)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	value = arena_str(arena, value);
	for (size_t i = 0; i < 2; i++) {
		int family = i == 0 ? AF_INET : AF_INET6;
		if (inet_pton(family, value.p, bytes) == 1) {
			*ret_text = arena_str(arena, str_of(inet_ntop(family, bytes, text,
								      sizeof(text))));
			return true;
		}
	}
	return false;
}

bool address_overlaps(struct str a, struct str b)
{
	if (str_eq(a, b) || str_is(a, "*") || str_is(b, "*") || str_is(a, "::") || str_is(b, "::"))
		return true;
	bool a_is_v6 = str_chr(a, ':', 0) < a.n, b_is_v6 = str_chr(b, ':', 0) < b.n;
	return (str_is(a, "0.0.0.0") && !b_is_v6) || (str_is(b, "0.0.0.0") && !a_is_v6);
}
