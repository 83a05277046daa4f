/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-written instead of regular expressions: they are on the path of every object, and
 * this way each is linear. */
#include "decode/syntax.h"

#include "model/limits.h"

#include <arpa/inet.h>


static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Every byte is a letter, a digit or one of `others`; true for the empty text. */
static bool consists_of(struct str s, const char *others)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && (s.p[i] == '\0' || !strchr(others, s.p[i])))
			return false;
	}
	return true;
}

static bool starts_and_ends_alnum(struct str s)
{
	return s.n > 0 && is_alnum(s.p[0]) && is_alnum(s.p[s.n - 1]);
}

static bool has_upper(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_upper(s.p[i]))
			return true;
	}
	return false;
}

/* As the schemas have it inside of names: no limit of 63. */
static bool is_name_part(struct str s)
{
	return starts_and_ends_alnum(s) && consists_of(s, "-") && !has_upper(s);
}

bool is_label(struct str s)
{
	return s.n <= MAX_LABEL_BYTES && is_name_part(s);
}

/* Every part between the dots is; no dot: the text itself. */
static bool all_parts(struct str s, bool (*is_part)(struct str))
{
	size_t from = 0, dot;

	do {
		dot = str_chr(s, '.', from);
		if (!is_part(str_sub(s, from, dot)))
			return false;
		from = dot + 1;
	} while (dot < s.n);
	return true;
}

bool is_subdomain(struct str s)
{
	return all_parts(s, is_name_part);
}

bool is_hostname(struct str s)
{
	return is_subdomain(str_starts(s, STR("*.")) ? str_sub(s, 2, s.n) : s);
}

bool is_group(struct str s)
{
	return str_empty(s) || is_subdomain(s);
}

bool is_kind(struct str s)
{
	return starts_and_ends_alnum(s) && !is_digit(s.p[0]) && consists_of(s, "-");
}

bool is_domain_path(struct str s)
{
	size_t slash = str_chr(s, '/', 0);

	return slash + 1 < s.n && is_subdomain(str_sub(s, 0, slash)) &&
	       consists_of(str_sub(s, slash + 1, s.n), "/-._~%!$&'()*+,;=:");
}

bool is_protocol(struct str s)
{
	size_t slash = str_chr(s, '/', 0);

	if (slash == s.n)
		return starts_and_ends_alnum(s) && consists_of(s, "-");
	return slash + 1 < s.n && is_subdomain(str_sub(s, 0, slash)) &&
	       consists_of(str_sub(s, slash + 1, s.n), "");
}

bool is_label_key(struct str s)
{
	size_t slash = str_chr(s, '/', 0);
	struct str name = s;

	if (slash < s.n) {
		if (slash >= MAX_NAME_BYTES || !is_subdomain(str_sub(s, 0, slash)))
			return false;
		name = str_sub(s, slash + 1, s.n);
	}
	return name.n > 0 && is_label_value(name);
}

bool is_label_value(struct str s)
{
	return s.n == 0 ||
	       (s.n <= MAX_LABEL_BYTES && starts_and_ends_alnum(s) && consists_of(s, "-_."));
}

bool is_header_name(struct str s)
{
	return s.n > 0 && consists_of(s, "!#$%&'*+-.^_`|~");
}

/* As the schema has it: '-' at the ends as well. */
static bool is_origin_part(struct str s)
{
	return s.n > 0 && consists_of(s, "-");
}

static bool is_origin_host(struct str s)
{
	return str_is(s, "*") ||
	       all_parts(str_starts(s, STR("*.")) ? str_sub(s, 2, s.n) : s, is_origin_part);
}

bool is_cors_origin(struct str s)
{
	size_t scheme_bytes = str_starts(s, STR("https://")) ? 8 : 7;
	size_t colon = str_chr(s, ':', scheme_bytes);
	struct str port = str_sub(s, colon + 1, s.n);
	uint64_t number;

	if (str_is(s, "*"))
		return true;
	return (scheme_bytes == 8 || str_starts(s, STR("http://"))) &&
	       is_origin_host(str_sub(s, scheme_bytes, colon)) &&
	       (colon == s.n || (port.n <= 5 && str_u64(port, 99999, &number)));
}

bool is_cors_method(struct str s)
{
	static const char *const methods[] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
					       "CONNECT", "OPTIONS", "TRACE", "PATCH", "*" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_is(s, methods[i]))
			return true;
	}
	return false;
}

bool is_data_key(struct str s)
{
	return s.n > 0 && s.n <= MAX_NAME_BYTES && consists_of(s, "-._") && !str_is(s, ".") &&
	       !str_starts(s, STR(".."));
}

bool is_url_path(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			if (i + 2 >= s.n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
				return false;
			i += 2;
		} else if (!is_alnum(c) && (c == '\0' || !strchr("-/._~!$&'()*+,;=:@", c))) {
			return false;
		}
	}
	return true;
}

/* The family of the address, or 0. */
static int parse_ip(struct str s, unsigned char ret_bytes[16])
{
	char text[INET6_ADDRSTRLEN];

	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, ret_bytes) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, text, ret_bytes) == 1 ? AF_INET6 : 0;
}

bool is_ip(struct str s)
{
	unsigned char bytes[16];

	return parse_ip(s, bytes) != 0;
}

bool canonical_ip(struct arena *arena, struct str s, bool *ret_ipv6, struct str *ret_text)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char bytes[16];
	int family = parse_ip(s, bytes);

	if (!family || !inet_ntop(family, bytes, text, sizeof(text)))
		return false;
	*ret_ipv6 = family == AF_INET6;
	*ret_text = arena_str(arena, str_of(text));
	return true;
}

/* The unit at *at, in milliseconds; 0 when there is none. */
static int64_t take_unit(struct str s, size_t *at)
{
	struct str rest = str_sub(s, *at, s.n);

	if (str_starts(rest, STR("ms"))) {
		*at += 2;
		return 1;
	}
	*at += 1;
	if (str_starts(rest, STR("h")))
		return INT64_C(3600000);
	if (str_starts(rest, STR("m")))
		return 60000;
	return str_starts(rest, STR("s")) ? 1000 : 0;
}

bool parse_duration(struct str s, int64_t *ret_ms)
{
	int64_t total_ms = 0;
	size_t at = 0;
	int parts = 0;

	while (at < s.n) {
		int64_t number = 0, unit_ms;
		size_t digits = 0;

		for (; at < s.n && is_digit(s.p[at]); at++, digits++) {
			if (digits == 5)
				return false;
			number = number * 10 + (s.p[at] - '0');
		}
		unit_ms = take_unit(s, &at);
		if (digits == 0 || unit_ms == 0 || ++parts > 4)
			return false;
		total_ms += number * unit_ms;
	}
	if (parts == 0)
		return false;
	*ret_ms = total_ms;
	return true;
}

int64_t utc_seconds(int64_t year, int month, int day, int64_t second_of_day)
{
	/* Counts years from March, so that the leap day is a year's last. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	int64_t days = era * 146097 + day_of_era - 719468;

	return days * 86400 + second_of_day;
}

/* `count` digits at *at, within min..max, and `behind` behind them ('\0': nothing). */
static bool take_number(struct str s, size_t *at, int count, int min, int max, char behind,
			int *ret_number)
{
	int number = 0;

	for (int i = 0; i < count; i++, ++*at) {
		if (*at >= s.n || !is_digit(s.p[*at]))
			return false;
		number = number * 10 + (s.p[*at] - '0');
	}
	if (number < min || number > max)
		return false;
	if (behind && (*at >= s.n || s.p[(*at)++] != behind))
		return false;
	*ret_number = number;
	return true;
}

/* "Z" or "+01:00" at the very end. */
static bool take_zone(struct str s, size_t at, int64_t *ret_offset_s)
{
	int sign, hours, minutes;

	if (at + 1 == s.n && (s.p[at] == 'Z' || s.p[at] == 'z')) {
		*ret_offset_s = 0;
		return true;
	}
	if (at >= s.n || (s.p[at] != '+' && s.p[at] != '-'))
		return false;
	sign = s.p[at++] == '-' ? -1 : 1;
	if (!take_number(s, &at, 2, 0, 23, ':', &hours) ||
	    !take_number(s, &at, 2, 0, 59, '\0', &minutes) || at != s.n)
		return false;
	*ret_offset_s = (int64_t)sign * (hours * 3600 + minutes * 60);
	return true;
}

bool parse_time(struct str s, int64_t *ret_s)
{
	int year, month, day, hour, minute, second;
	int64_t offset_s;
	size_t at = 0;

	if (!take_number(s, &at, 4, 0, 9999, '-', &year) ||
	    !take_number(s, &at, 2, 1, 12, '-', &month) ||
	    !take_number(s, &at, 2, 1, 31, '\0', &day) || at >= s.n ||
	    (s.p[at] != 'T' && s.p[at] != 't'))
		return false;
	at++;
	if (!take_number(s, &at, 2, 0, 23, ':', &hour) ||
	    !take_number(s, &at, 2, 0, 59, ':', &minute) ||
	    !take_number(s, &at, 2, 0, 60, '\0', &second))
		return false;
	if (at < s.n && s.p[at] == '.') {
		size_t digits_from = ++at;

		while (at < s.n && is_digit(s.p[at]))
			at++;
		if (at == digits_from)
			return false;
	}
	if (!take_zone(s, at, &offset_s))
		return false;
	*ret_s = utc_seconds(year, month, day, hour * 3600 + minute * 60 + second) - offset_s;
	return true;
}

static int base64_digit(char c)
{
	if (is_upper(c))
		return c - 'A';
	if (is_lower(c))
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

bool parse_base64(struct arena *arena, struct str s, struct str *ret_bytes)
{
	char *bytes = arena_alloc(arena, s.n / 4 * 3 + 4);
	uint32_t group = 0;
	size_t digits = 0, padding = 0, n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int digit = base64_digit(s.p[i]);

		if (s.p[i] == '\n' || s.p[i] == '\r')
			continue;
		if (s.p[i] == '=' && digits % 4 >= 2 && ++padding <= 2)
			digit = 0;
		else if (digit < 0 || padding > 0)
			return false;
		group = group << 6 | (uint32_t)digit;
		if (++digits % 4 == 0) {
			bytes[n++] = (char)(group >> 16 & 0xff);
			bytes[n++] = (char)(group >> 8 & 0xff);
			bytes[n++] = (char)(group & 0xff);
		}
	}
	if (digits % 4 != 0)
		return false;
	n -= padding;
	bytes[n] = '\0';
	*ret_bytes = (struct str){ bytes, n };
	return true;
}
