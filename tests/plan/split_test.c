/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/split.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "world.h"

static struct str pick(const struct split *split, uint64_t number)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64, split->offset + number);
	struct str digits = { text, (size_t)n }, best = split->entries[0].target; /* the default */
	size_t longest = 0;
	for (size_t i = 0; i < split->count; i++) {
		const struct split_entry *entry = &split->entries[i];
		if (str_starts(digits, entry->digits) && entry->digits.n >= longest) {
			longest = entry->digits.n;
			best = entry->target;
		}
	}
	return best;
}

static void canary(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	const struct split_share shares[] = { { STR_INIT("stable"), 90 }, { STR_INIT("canary"), 10 } };
	struct split split;
	split_make(arena, shares, 2, &split);
	assert_int_equal(split.total, 10);
	assert_int_equal(split.offset, 10);
	assert_int_equal(split.count, 2);
	assert_true(str_is(split.entries[0].digits, "") && str_is(split.entries[0].target, "stable"));
	assert_true(str_is(split.entries[1].digits, "19"));
	assert_true(str_is(split.entries[1].target, "canary"));
	arena_free(arena);
}

static void merged_and_dropped(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	const struct split_share shares[] = {
		{ STR_INIT("a"), 3 }, { STR_INIT("b"), 0 }, { STR_INIT("c"), 6 }, { STR_INIT("a"), 3 },
	};
	struct split split;
	split_make(arena, shares, 4, &split);
	assert_int_equal(split.share_count, 2);
	assert_int_equal(split.total, 2);
	split_make(arena, shares, 2, &split); /* one target is left */
	assert_int_equal(split.share_count, 1);
	assert_int_equal(split.total, 1);
	arena_free(arena);
}

/* Numbers that are never drawn are used where they save entries, and only there. */
static void few_entries(void **state)
{
	(void)state;
	static const struct {
		uint64_t a, b;
		const char *digits; /* of the only other entry */
	} cases[] = { { 20, 1, "120" }, { 11, 8, "111" }, { 9, 1, "19" }, { 100, 99, "11" } };
	struct arena *arena = arena_new();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct split_share shares[] = { { STR("a"), cases[i].a },
						      { STR("b"), cases[i].b } };
		struct split split;
		split_make(arena, shares, 2, &split);
		assert_true(str_is(split.entries[1].digits, cases[i].digits));
		assert_int_equal(split.count, i == 1 ? 9 : 2);
	}
	arena_free(arena);
}

/* Every total up to 200, drawn exhaustively. */
static void exact(void **state)
{
	(void)state;
	struct dice dice = { 1 };
	for (uint64_t total = 2; total <= 200; total++) {
		struct arena *arena = arena_new();
		struct split_share shares[5] = { { STR("a"), 0 }, { STR("b"), 0 }, { STR("c"), 0 },
						 { STR("d"), 0 }, { STR("e"), 0 } };
		for (uint64_t i = 0; i < total; i++)
			shares[dice_roll(&dice, 1 + total % 5)].weight++;
		struct split split;
		split_make(arena, shares, 5, &split);
		uint64_t hits[5] = { 0 };
		for (uint64_t i = 0; i < split.total; i++)
			hits[pick(&split, i).p[0] - 'a']++;
		for (int i = 0; i < 5; i++)
			assert_int_equal(hits[i] * total, shares[i].weight * split.total);
		arena_free(arena);
	}
}

/* The largest weights: exact at the borders, with few entries. */
static void large(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct split_share shares[16];
	for (uint64_t i = 0; i < 16; i++)
		shares[i] = (struct split_share){ arena_strf(arena, "t%d", (int)i), 1000000 - i * i };
	struct split split;
	split_make(arena, shares, 16, &split);
	uint64_t from = 0;
	for (size_t i = 0; i < 16; i++) {
		uint64_t to = from + shares[i].weight;
		assert_true(str_eq(pick(&split, from), shares[i].target));
		assert_true(str_eq(pick(&split, to - 1), shares[i].target));
		from = to;
	}
	assert_int_equal(split.total, from);
	assert_int_equal(split.offset, 100000000);
	assert_true(split.count < 16 * 80);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canary),
		cmocka_unit_test(merged_and_dropped),
		cmocka_unit_test(few_entries),
		cmocka_unit_test(exact),
		cmocka_unit_test(large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
