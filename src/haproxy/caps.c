/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/caps.h"

static bool take_number(struct str *rest, unsigned *ret_number)
{
	size_t digits = 0;
	while (digits < rest->n && digits < 6 && rest->p[digits] >= '0' && rest->p[digits] <= '9')
		digits++;
	uint64_t value;
	if (!str_u64(str_sub(*rest, 0, digits), 999999, &value))
		return false;
	*ret_number = (unsigned)value;
	*rest = str_sub(*rest, digits, rest->n);
	return true;
}

static bool take_dot(struct str *rest)
{
	if (!str_starts(*rest, STR(".")))
		return false;
	*rest = str_sub(*rest, 1, rest->n);
	return true;
}

/* Finds "X.Y" or "X.Y.Z" at the first digit. */
static bool find_version(struct str text, struct haproxy_caps *caps)
{
	size_t at = 0;
	while (at < text.n && (text.p[at] < '0' || text.p[at] > '9'))
		at++;
	struct str rest = str_sub(text, at, text.n);
	if (!take_number(&rest, &caps->major) || !take_dot(&rest) ||
	    !take_number(&rest, &caps->minor))
		return false;
	if (take_dot(&rest))
		(void)take_number(&rest, &caps->patch); /* "3.5-dev5" has none */
	return true;
}

bool caps_parse(struct str version, struct haproxy_caps *ret_caps, struct error *err)
{
	struct haproxy_caps caps = { 0 };
	if (!find_version(version, &caps))
		return error_set(err, ERR_SYNTAX, "no HAProxy version in '" STR_FMT "'",
				 STR_ARG(str_sub(version, 0, 80)));
	unsigned release = caps.major * 1000 + caps.minor;
	if (release < 2006)
		return error_set(err, ERR_REFUSED,
				 "HAProxy %u.%u.%u is too old: install HAProxy 2.6 or newer",
				 caps.major, caps.minor, caps.patch);
	caps.sync_reload = release >= 2007;
	caps.client_timeout = release >= 2009;
	caps.server_quirks = release < 3000;
	caps.unsafe_del_server = release < 3000;
	caps.wait_removable = release >= 3000;
	caps.hot_memory = release >= 3000;
	caps.spop_mode = release >= 3001;
	caps.checks_host = release >= 3002;
	caps.add_backend = release >= 3004;
	caps.headers_bin = release >= 3004;
	*ret_caps = caps;
	return true;
}

bool caps_same_version(const struct haproxy_caps *a, const struct haproxy_caps *b)
{
	return a->major == b->major && a->minor == b->minor && a->patch == b->patch;
}
