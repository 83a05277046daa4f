/* SPDX-License-Identifier: Apache-2.0 */
/* Plan text, as a snapshot on the disk has it after whatever happened to the disk: read,
 * printed, compared, applied, and made what HAProxy starts from. An input is one plan or
 * two. */
#include <assert.h>

#include "fuzz.h"
#include "haproxy/render.h"
#include "tests/plan/apply.h"

enum { MAX_TEXT_BYTES = 1 << 26 };

static void check_text(const struct plan *plan, struct str text)
{
	struct sb sb;
	sb_init(&sb, MAX_TEXT_BYTES);
	plan_print(plan, &sb);
	assert(str_eq(sb_str(&sb), text));
	sb_fini(&sb);
}

static struct plan *parse(struct str text)
{
	struct error err = { 0 };
	struct plan *plan = plan_parse(text, &err);
	if (!plan) {
		assert((err.code == ERR_SYNTAX || err.code == ERR_LIMIT) && err.text[0]);
		return plan_parse(STR(""), NULL);
	}
	check_text(plan, text);
	for (size_t i = 0; i < plan->count; i++)
		assert(plan_find(plan, plan->entries[i].table, plan->entries[i].key) ==
		       &plan->entries[i]);
	return plan;
}

static void check_equal(const struct plan *a, const struct plan *b)
{
	assert(a->count == b->count);
	for (size_t i = 0; i < a->count; i++)
		assert(plan_entry_cmp(&a->entries[i], &b->entries[i]) == 0 &&
		       str_eq(a->entries[i].value, b->entries[i].value));
}

static void check_difference(const struct plan *from, const struct plan *to)
{
	struct changes *changes = plan_diff(from, to);
	struct plan *applied = plan_apply(from, changes);
	for (size_t i = 1; i < changes->count; i++)
		assert(change_phase(&changes->items[i - 1]) <= change_phase(&changes->items[i]));
	check_equal(applied, to);
	plan_free(applied);
	changes_free(changes);
}

static void check_haproxy(const struct plan *plan, const char *version)
{
	static const struct render_options options = { .user = "haproxy", .threads = 1 };
	struct haproxy_caps caps;
	struct sb sb;
	size_t count;
	assert(caps_parse(str_of(version), &caps, NULL));
	sb_init(&sb, MAX_TEXT_BYTES);
	struct state *state = state_new(&caps, "/run/tidegate");
	state_load(state, plan);
	state_settle(state);
	struct plan *again = state_plan(state);
	check_equal(plan, again);
	plan_free(again);
	render_cfg(state, &options, &sb);
	const struct plan_entry *frontends = plan_table(plan, PLAN_FRONTEND, &count);
	for (size_t i = 0; i < count; i++)
		render_crt_list(state, frontends[i].key, &sb);
	struct image *image = image_new(state, STR_NONE);
	for (size_t i = 0; i < image->count; i++)
		image_print(&image->maps[i], &sb);
	image_free(image);
	state_free(state);
	sb_fini(&sb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = fuzz_input(data, size), rest = all, first = fuzz_part(&rest);
	/* The separator took the line end of the last line with it. */
	struct plan *from = parse(str_sub(all, 0, rest.n ? first.n + 1 : first.n));
	struct plan *to = parse(rest);
	check_difference(from, to);
	check_difference(to, from);
	check_haproxy(from, "2.6.12");
	check_haproxy(from, "3.4.0");
	plan_free(to);
	plan_free(from);
	return 0;
}
