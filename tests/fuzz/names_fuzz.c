/* SPDX-License-Identifier: Apache-2.0 */
/* Hostnames, paths, and the small notations: what the pure functions say, against the same
 * things said more simply. An input is lines; which function gets which is in the calls. */
#include <assert.h>
#include <inttypes.h>

#include "decode/syntax.h"
#include "fuzz.h"
#include "match/list.h"
#include "model/limits.h"
#include "plan/split.h"
#include "plan/vhost.h"
#include "resolve/explain.h"
#include "resolve/hostname.h"

enum { MAX_SHARES = 8, MAX_TOTAL = 512 };

/* ---- hostnames ---- */

static bool is_route_hostname(struct str s)
{
	return str_empty(s) || is_hostname(s);
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void check_hostnames(struct str a, struct str b, struct str host)
{
	struct str both = STR_NONE, swapped = STR_NONE;
	if (!is_route_hostname(a) || !is_route_hostname(b) || hostname_is_wildcard(host) ||
	    !is_hostname(host))
		return;
	bool meet = hostname_intersect(a, b, &both);
	assert(meet == hostname_intersect(b, a, &swapped) && str_eq(both, swapped));
	assert(sign(hostname_cmp_specific(a, b)) == -sign(hostname_cmp_specific(b, a)));
	bool covered = hostname_covers(a, host) && hostname_covers(b, host);
	assert(covered == (meet && hostname_covers(both, host)));
	if (meet)
		assert(hostname_cmp_specific(both, a) <= 0 && hostname_cmp_specific(both, b) <= 0);
	(void)hostname_servable(a);
}

/* ---- paths ---- */

/* Element by element, as the specification words it. */
static bool has_path_prefix(struct str path, struct str prefix)
{
	while (prefix.n && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	return str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

/* HAProxy looks up the path with "/?" behind it and takes the longest key. */
static void check_key(enum match_type type, struct str pattern, struct str path)
{
	struct arena *arena = arena_new();
	struct match match = { .path_type = type, .path = pattern };
	struct candidate candidate = { .match = &match };
	candidate_file(arena, &candidate);
	struct str looked_up = arena_strf(arena, STR_FMT "/?", STR_ARG(path));
	bool found = str_starts(looked_up, candidate.key);
	assert(str_starts(candidate.key, STR("/")));
	if (type == MATCH_PREFIX)
		assert(found == has_path_prefix(path, pattern));
	else if (type == MATCH_EXACT)
		assert(found == str_eq(path, pattern));
	arena_free(arena);
}

/* A regular expression's key stands before every path that it matches. */
static void check_regex_key(struct str pattern, struct str path)
{
	struct arena *arena = arena_new();
	struct sb sb;
	sb_init(&sb, 1 << 20);
	const struct list_cond cond = { LIST_PATH, true, STR_NONE, pattern };
	const struct list_entry entry = { &cond, 1, STR("yes") };
	const struct request request = { .path = path };
	list_print(&entry, 1, &sb);
	struct list *list = list_compile(sb_str(&sb), NULL);
	if (list && list_decide(list, &request).entry == 0) {
		struct match match = { .path_type = MATCH_REGEX, .path = pattern };
		struct candidate candidate = { .match = &match };
		candidate_file(arena, &candidate);
		assert(str_starts(path, candidate.key));
	}
	list_free(list);
	sb_fini(&sb);
	arena_free(arena);
}

static bool is_request_path(struct str path)
{
	return str_starts(path, STR("/")) && str_chr(path, '?', 0) == path.n &&
	       str_chr(path, '\0', 0) == path.n;
}

static void check_paths(struct str pattern, struct str path)
{
	if (!is_request_path(path))
		return;
	if (str_starts(pattern, STR("/")) && is_url_path(pattern)) {
		check_key(MATCH_EXACT, pattern, path);
		check_key(MATCH_PREFIX, pattern, path);
	}
	if (pattern.n <= MAX_PATH_BYTES)
		check_regex_key(pattern, path);
}

static void check_url(struct str url)
{
	struct explain_request request = { .port = 0 };
	struct error err = { 0 };
	if (explain_parse_url(url, &request, &err))
		assert(request.host.n && str_starts(request.request.path, STR("/")));
	else
		assert(err.code == ERR_SYNTAX);
}

/* ---- splits ---- */

static struct str split_look_up(const struct split *split, struct str number)
{
	const struct split_entry *best = &split->entries[0];
	for (size_t i = 1; i < split->count; i++) {
		const struct split_entry *entry = &split->entries[i];
		if (str_starts(number, entry->digits) && entry->digits.n > best->digits.n)
			best = entry;
	}
	return best->target;
}

/* Every number is drawn once: each target gets exactly its share. */
static void check_split(struct str weights)
{
	static const char *const targets[MAX_SHARES] = { "a", "b", "c", "d", "a", "e", "f", "g" };
	struct split_share shares[MAX_SHARES] = { { .weight = 0 } };
	size_t count = 0;
	uint64_t all = 0;
	for (; weights.n && count < MAX_SHARES; count++) {
		uint64_t weight = 0;
		(void)!str_u64(str_cut(&weights, ' '), MAX_WEIGHT, &weight);
		shares[count] = (struct split_share){ str_of(targets[count]), weight };
		all += weight;
	}
	if (all == 0)
		return;
	struct arena *arena = arena_new();
	struct split split = { 0 };
	split_make(arena, shares, count, &split);
	assert(split.total <= all && str_empty(split.entries[0].digits));
	uint64_t got[MAX_SHARES] = { 0 };
	for (uint64_t i = 0; i < split.total && split.total <= MAX_TOTAL; i++) {
		char digits[24];
		snprintf(digits, sizeof(digits), "%" PRIu64, split.offset + i);
		got[split_look_up(&split, str_of(digits)).p[0] - 'a']++;
	}
	for (size_t i = 0; i < split.share_count && split.total <= MAX_TOTAL; i++)
		assert(got[split.shares[i].target.p[0] - 'a'] == split.shares[i].weight);
	arena_free(arena);
}

/* ---- notations ---- */

static void check_backend_name(struct str ns, struct str name, bool service, bool grpc)
{
	if (!is_label(ns) || !is_subdomain(name))
		return;
	struct arena *arena = arena_new();
	const struct backend_id id = { service ? KIND_SERVICE : KIND_BACKEND, ns, name, 8080, grpc };
	struct backend_id got;
	assert(backend_name_parse(backend_name(arena, &id), &got));
	assert(got.kind == id.kind && str_eq(got.ns, ns) && str_eq(got.name, name) &&
	       got.port == id.port && got.grpc == grpc);
	arena_free(arena);
}

static void check_address(struct str s)
{
	struct arena *arena = arena_new();
	struct str text, again;
	bool v6, again_v6;
	bool ok = canonical_ip(arena, s, &v6, &text);
	assert(ok == is_ip(s));
	if (ok)
		assert(canonical_ip(arena, text, &again_v6, &again) && v6 == again_v6 &&
		       str_eq(text, again));
	arena_free(arena);
}

static void check_notations(struct str s)
{
	struct arena *arena = arena_new();
	struct str lower = arena_lower(arena, s), bytes;
	struct backend_id id;
	int64_t number = 0;
	assert(lower.n == s.n && str_eq_nocase(lower, s));
	assert(!is_label(s) || is_label_value(s));
	assert(!is_subdomain(s) || is_hostname(s));
	if (parse_duration(s, &number))
		assert(number >= 0);
	(void)parse_time(s, &number);
	if (parse_base64(arena, s, &bytes))
		assert(bytes.n <= s.n / 4 * 3);
	(void)backend_name_parse(s, &id);
	(void)(is_group(s) + is_kind(s) + is_domain_path(s) + is_protocol(s) + is_label_key(s) +
	       is_header_name(s) + is_data_key(s));
	check_address(s);
	check_url(s);
	check_split(s);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = fuzz_input(data, size), third;
	struct str first = str_cut(&rest, '\n'), second = str_cut(&rest, '\n');
	for (;;) {
		third = str_cut(&rest, '\n');
		check_hostnames(first, second, third);
		check_paths(first, second);
		check_backend_name(first, second, third.n & 1, third.n & 2);
		check_notations(first);
		if (rest.n == 0)
			break;
		first = second;
		second = third;
	}
	check_notations(second);
	check_notations(third);
	return 0;
}
