/* SPDX-License-Identifier: Apache-2.0 */
#include "match/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "match/list.h"

static enum regex_verdict match(const char *pattern, struct str subject)
{
	struct error err = { 0 };
	struct regex regex = { 0 };
	struct regex_scratch scratch = { 0 };
	if (!regex_compile(str_of(pattern), &regex, &err))
		fail_msg("%s: %s", pattern, err.text);
	assert_true(regex_scratch_init(&scratch, &err));
	enum regex_verdict verdict = regex_match(&regex, &scratch, subject);
	regex_scratch_fini(&scratch);
	regex_fini(&regex);
	return verdict;
}

static void whole_values(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		struct str subject;
		enum regex_verdict verdict;
	} cases[] = {
		{ "a", STR_INIT("a"), REGEX_YES },
		{ "a", STR_INIT("ab"), REGEX_NO },
		{ "a", STR_INIT("ba"), REGEX_NO },
		{ "a|ab", STR_INIT("ab"), REGEX_YES },
		{ "^a$", STR_INIT("a"), REGEX_YES },
		{ "a$", STR_INIT("a\n"), REGEX_NO },
		{ "", STR_INIT(""), REGEX_YES },
		{ "", STR_INIT("a"), REGEX_NO },
		{ "(?i)abc", STR_INIT("AbC"), REGEX_YES },
		{ "(?i:a)b", STR_INIT("AB"), REGEX_NO },
		{ "(?P<year>[0-9]{4})-(?<m>\\d+)", STR_INIT("2024-1"), REGEX_YES },
		{ "\\pL+", STR_INIT("gr\xc3\xbc\xc3\x9f"), REGEX_YES },
		{ "\\p{Greek}", STR_INIT("\xce\xb1"), REGEX_YES },
		{ ".", STR_INIT("\xc3\xbc"), REGEX_YES },
		{ "\\w", STR_INIT("\xc3\xbc"), REGEX_NO },
		{ "[[:alpha:]\\]]+", STR_INIT("a]"), REGEX_YES },
		{ "[]a]+", STR_INIT("]a"), REGEX_YES },
		{ "\\Qa(?=\\E", STR_INIT("a(?="), REGEX_YES },
		{ "[\\Q]\\E(?=]+", STR_INIT("](?="), REGEX_YES },
		{ "a{,3}", STR_INIT("a{,3}"), REGEX_YES },
		/* bytes that are not UTF-8 match nothing, and do not end a value early */
		{ "a", STR_INIT("a\xff"), REGEX_NO },
		{ "a", STR_INIT("\xff" "a"), REGEX_NO },
		{ "a.*", STR_INIT("aa\xff" "a"), REGEX_NO },
		{ "[^b]*", STR_INIT("\xc3"), REGEX_NO },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum regex_verdict verdict = match(cases[i].pattern, cases[i].subject);
		if (verdict != cases[i].verdict)
			fail_msg("%s on %.*s gave %d", cases[i].pattern, STR_ARG(cases[i].subject),
				 verdict);
	}
}

static void only_what_re2_has(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *message;
	} cases[] = {
		{ "(a)\\1", "column 4: a backreference" },
		{ "(?P<n>a)(?P=n)", "column 9: a backreference" },
		{ "(?P<n>a)\\k<n>", "column 9: a backreference or recursion (\\g, \\k)" },
		{ "x(?=a)", "column 2: look-ahead" },
		{ "x(?!a)", "column 2: look-ahead" },
		{ "(?<=a)x", "column 1: look-behind" },
		{ "(?<!a)x", "column 1: look-behind" },
		{ "a(?R)", "column 2: recursion" },
		{ "(a)(?1)", "column 4: recursion" },
		{ "(?P<n>a)(?P>n)", "column 9: recursion" },
		{ "(?C)a", "column 1: a callout" },
		{ "(a)?(?(1)b)", "column 5: a conditional group" },
		{ "(?>a)", "column 1: an atomic group" },
		{ "(?|a|b)", "column 1: this kind of group or flag" },
		{ "(?x)a #(", "column 1: this kind of group or flag" },
		{ "(?#c)a", "column 1: this kind of group or flag" },
		{ "(*UTF)a", "column 1: a verb (*...)" },
		{ "a++", "column 3: a possessive quantifier" },
		{ "a{2}+", "column 5: a possessive quantifier" },
		{ "\\C", "column 1: \\C (a single byte)" },
		{ "a\\Kb", "column 2: \\K (a new start of the match)" },
		{ "\\R", "column 1: the escape \\R" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = { 0 };
		assert_false(regex_check(str_of(cases[i].pattern), &err));
		char expected[200];
		snprintf(expected, sizeof(expected), "%s is not supported (patterns are RE2's)",
			 cases[i].message);
		assert_string_equal(err.text, expected);
		assert_int_equal(err.code, ERR_SYNTAX);
	}
}

static void broken_or_too_large(void **state)
{
	(void)state;
	struct error err = { 0 };
	assert_false(regex_check(STR("a["), &err));
	assert_non_null(strstr(err.text, "column 3: missing terminating ]"));
	assert_false(regex_check(STR("\xff"), &err));
	assert_int_equal(err.code, ERR_SYNTAX);
	assert_false(regex_check(STR("((a{1000}){1000}){1000}"), &err));
	assert_non_null(strstr(err.text, "too large"));
	char pattern[REGEX_MAX_BYTES + 1];
	memset(pattern, '(', sizeof(pattern));
	assert_false(regex_check((struct str){ pattern, 200 }, &err));
	assert_non_null(strstr(err.text, "too deeply nested"));
	memset(pattern, 'a', sizeof(pattern));
	assert_true(regex_check((struct str){ pattern, REGEX_MAX_BYTES }, &err));
	assert_false(regex_check((struct str){ pattern, sizeof(pattern) }, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static void work_is_bounded(void **state)
{
	(void)state;
	char subject[8000];
	memset(subject, 'a', sizeof(subject));
	struct str s = { subject, sizeof(subject) };
	assert_int_equal(match("(a+)+[bc]", s), REGEX_LIMIT);
	assert_int_equal(match("(a|aa)+[bc]", s), REGEX_LIMIT);
	assert_int_equal(match("(.*)(.*)(.*)(.*)(.*)[bc]", s), REGEX_LIMIT);
	/* what is linear has no limit that a request could reach */
	assert_int_equal(match("(a|b)*", (struct str){ subject, 4000 }), REGEX_YES);
	assert_int_equal(match("[ab]*", s), REGEX_YES);
}

/* A step that runs along the subject, and one that compares each character with many. */
static void steps_may_be_long(void **state)
{
	(void)state;
	enum { CHARACTERS = 4000, MEMBERS = 600, MAX_SECONDS = 5 };
	char letters[CHARACTERS], wide[2 * CHARACTERS], pattern[REGEX_MAX_BYTES] = "[";
	size_t n = 1;
	for (size_t i = 0; i < CHARACTERS; i++) {
		letters[i] = 'a';
		memcpy(wide + 2 * i, "\xd1\x91", 2);
	}
	for (unsigned i = 0; i < MEMBERS; i++) /* U+0400, U+0403, ... */
		n += (size_t)snprintf(pattern + n, 3, "%c%c", 0xd0 + 3 * i / 64 % 16,
				      0x80 + 3 * i % 64);
	snprintf(pattern + n, sizeof(pattern) - n, "]*");
	char scans[2 * REGEX_MAX_BYTES];
	snprintf(scans, sizeof(scans), ".*?.*?%s[0-9]", pattern);
	clock_t start = clock();
	for (int i = 0; i < 20; i++) {
		assert_int_equal(match("[a-z]*?[a-z]*?[a-z]*[0-9]",
				       (struct str){ letters, sizeof(letters) }), REGEX_LIMIT);
		assert_int_equal(match(scans, (struct str){ wide, sizeof(wide) }), REGEX_LIMIT);
	}
	assert_in_range(clock() - start, 0, MAX_SECONDS * CLOCKS_PER_SEC);
	/* but a short subject has all its steps */
	assert_int_equal(match(".*?.*?[a-z]*b", (struct str){ letters, 100 }), REGEX_NO);
}

static void literal_prefixes(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *prefix;
	} cases[] = {
		{ "/a/b.*", "/a/b" },
		{ "/a/b*", "/a/" },
		{ "/a/b?c", "/a/" },
		{ "/a/b+", "/a/" },
		{ "/a/b{2}", "/a/" },
		{ "/a/b{x", "/a/b" },
		{ "/a\\.b\\-c", "/a.b-c" },
		{ "/a\\.*", "/a" },
		{ "/a\\d", "/a" },
		{ "^/a$", "/a" },
		{ "/a|/b", "" },
		{ "/a(b|c)", "/a" },
		{ "/a[|]b", "/a" },
		{ "/a\\|b", "/a|b" },
		{ "(/a)|/b", "" },
		{ "(?i)/a", "" },
		{ "/a(?i)b", "/a" },
		{ "/a\\Q\\E*", "/" },
		{ "/\xc3\xbc*", "/" },
		{ "/\xc3\xbc", "/\xc3\xbc" },
		{ "\\", "" },
		{ "", "" },
	};
	struct arena *arena = arena_new();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str prefix = regex_literal_prefix(arena, str_of(cases[i].pattern));
		assert_string_equal(prefix.p, cases[i].prefix);
		assert_int_equal(prefix.n, strlen(cases[i].prefix));
	}
	arena_free(arena);
}

/* The property behind the table: whatever a pattern matches starts with its prefix. */
static void prefixes_never_lie(void **state)
{
	(void)state;
	static const char *const parts[] = { "a", "b", "/",   "\\.", "*",	 "?",  "(a|b)",
					     "|", "^", "[ab]", "{0}", "\\Qa\\E", "+?", "(?i)" };
	static const char letters[] = "ab/.A";
	struct arena *arena = arena_new();
	uint32_t random = 7;
	size_t matches = 0;
	for (int round = 0; round < 2000; round++) {
		char pattern[64] = "";
		size_t n = 0;
		for (int i = 0; i < 5; i++) {
			random = random * 1664525u + 1013904223u;
			const char *part = parts[(random >> 16) % (sizeof(parts) / sizeof(*parts))];
			n += (size_t)snprintf(pattern + n, sizeof(pattern) - n, "%s", part);
		}
		struct error err;
		if (!regex_check(str_of(pattern), &err))
			continue;
		struct str prefix = regex_literal_prefix(arena, str_of(pattern));
		for (int i = 0; i < 20; i++) {
			char subject[4];
			random = random * 1664525u + 1013904223u;
			for (size_t j = 0; j < 4; j++)
				subject[j] = letters[(random >> (8 + 4 * j)) % 5];
			struct str s = { subject, (random >> 28) % 5 };
			if (match(pattern, s) != REGEX_YES)
				continue;
			matches++;
			if (!str_starts(s, prefix))
				fail_msg("%s matches %.*s, prefix %s", pattern, STR_ARG(s),
					 prefix.p);
		}
	}
	assert_true(matches > 200);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_values),	    cmocka_unit_test(only_what_re2_has),
		cmocka_unit_test(broken_or_too_large), cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(steps_may_be_long),
		cmocka_unit_test(literal_prefixes),    cmocka_unit_test(prefixes_never_lie),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
