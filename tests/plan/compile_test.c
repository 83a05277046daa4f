/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of the compiler over random worlds that are edited step by step. */
#include "plan/compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "../resolve/count.h"
#include "apply.h"
#include "world.h"

enum { RUNS = 30, STEPS = 25, MAX_PLAN_BYTES = 16 * 1024 * 1024 };

static struct compile_options options = { .resolve = { .now_s = 1 } };

static char *plan_text(const struct plan *plan)
{
	struct sb out;
	sb_init(&out, MAX_PLAN_BYTES);
	plan_print(plan, &out);
	assert_true(sb_ok(&out, NULL));
	return sb_take(&out, NULL);
}

static void assert_same(const struct plan *got, const struct plan *want)
{
	char *a = plan_text(got), *b = plan_text(want);
	assert_string_equal(a, b);
	free(a);
	free(b);
}

static struct plan *full_plan(const struct store *store)
{
	struct compiler *compiler = compiler_new(store);
	changes_free(compile_pass(compiler, &options));
	struct plan *plan = compiler_plan(compiler);
	compiler_free(compiler);
	return plan;
}

/* ---- one random world ---- */

struct run {
	struct dice dice;
	struct store *store;
	struct compiler *compiler;
	struct plan *plan; /* after the last pass */
	uint64_t seeds[WORLD_SLOTS]; /* 0: not there */
};

static void run_put(struct run *run, size_t slot, uint64_t seed)
{
	struct object *object = world_object(slot, seed);
	run->seeds[slot] = seed;
	enum kind kind = object->kind;
	struct meta meta = object->meta;
	store_put(run->store, object);
	compiler_mark(run->compiler, kind, meta.ns, meta.name);
}

static void run_delete(struct run *run, size_t slot)
{
	struct object *object = world_object(slot, 1);
	run->seeds[slot] = 0;
	if (store_delete(run->store, object->kind, object->meta.ns, object->meta.name))
		compiler_mark(run->compiler, object->kind, object->meta.ns, object->meta.name);
	object_free(object);
}

static size_t first_route(void)
{
	return WORLD_SLOTS - WORLD_ROUTES;
}

static void run_edit(struct run *run)
{
	size_t slot = dice_roll(&run->dice, WORLD_SLOTS);
	if (dice_roll(&run->dice, 2))
		slot = first_route() + dice_roll(&run->dice, WORLD_ROUTES);
	if (dice_roll(&run->dice, 4) == 0)
		run_delete(run, slot);
	else
		run_put(run, slot, 1 + dice_roll(&run->dice, 1000000));
}

static void check_diff(const struct plan *from, const struct plan *to,
		       const struct changes *changes)
{
	struct plan *applied = plan_apply(from, changes);
	assert_same(applied, to);
	plan_free(applied);
	struct changes *diff = plan_diff(from, to);
	assert_int_equal(diff->count, changes->count);
	for (size_t i = 0; i < diff->count; i++) {
		assert_int_equal(diff->items[i].op, changes->items[i].op);
		assert_int_equal(diff->items[i].table, changes->items[i].table);
		assert_true(str_eq(diff->items[i].key, changes->items[i].key));
		assert_true(str_eq(diff->items[i].value, changes->items[i].value));
		assert_true(str_eq(diff->items[i].old, changes->items[i].old));
	}
	changes_free(diff);
	diff = plan_diff(to, to);
	assert_int_equal(diff->count, 0);
	changes_free(diff);
}

static void check_text(const struct plan *plan)
{
	char *text = plan_text(plan);
	struct error err;
	struct plan *parsed = plan_parse(str_of(text), &err);
	assert_non_null(parsed);
	assert_same(parsed, plan);
	plan_free(parsed);
	free(text);
}

static void run_pass(struct run *run)
{
	struct changes *changes = compile_pass(run->compiler, &options);
	store_reap(run->store);
	struct plan *plan = compiler_plan(run->compiler);
	check_diff(run->plan, plan, changes);
	check_text(plan);
	changes_free(changes);
	plan_free(run->plan);
	run->plan = plan;
	struct plan *full = full_plan(run->store);
	assert_same(plan, full);
	plan_free(full);
}

/* The same objects, put in any order. */
static void check_shuffled(struct run *run)
{
	size_t order[WORLD_SLOTS];
	for (size_t i = 0; i < WORLD_SLOTS; i++)
		order[i] = i;
	for (size_t i = WORLD_SLOTS - 1; i > 0; i--) {
		size_t j = dice_roll(&run->dice, i + 1), swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	struct store *store = store_new();
	for (size_t i = 0; i < WORLD_SLOTS; i++) {
		if (run->seeds[order[i]])
			store_put(store, world_object(order[i], run->seeds[order[i]]));
	}
	struct plan *plan = full_plan(store);
	assert_same(plan, run->plan);
	plan_free(plan);
	store_free(store);
}

/* Counting by changes agrees with counting everything. */
static void check_attached(struct run *run)
{
	size_t count;
	const struct route_view *const *routes = compiler_routes(run->compiler, &count);
	struct gateways_view *fresh = gateways_resolve(run->store, &options.resolve);
	struct route_view **views = xcalloc(count, sizeof(*views));
	for (size_t i = 0; i < count; i++)
		views[i] = route_resolve(fresh, run->store, routes[i]->object);
	count_attached(fresh, (const struct route_view *const *)views, count);
	const struct gateways_view *now = compiler_gateways(run->compiler);
	for (size_t i = 0; i < fresh->gateway_count; i++) {
		for (size_t j = 0; j < fresh->gateways[i].listener_count; j++)
			assert_int_equal(now->gateways[i].listeners[j].attached_routes,
					 fresh->gateways[i].listeners[j].attached_routes);
	}
	for (size_t i = 0; i < count; i++)
		route_view_free(views[i]);
	free(views);
	gateways_free(fresh);
}

static void run_world(uint64_t seed)
{
	struct run run = { .dice = { seed }, .store = store_new() };
	run.compiler = compiler_new(run.store);
	run.plan = plan_parse(STR(""), NULL);
	for (size_t slot = 0; slot < WORLD_SLOTS; slot++)
		run_put(&run, slot, 1 + dice_roll(&run.dice, 1000000));
	run_pass(&run);
	check_shuffled(&run);
	for (int step = 0; step < STEPS; step++) {
		for (uint64_t edits = 1 + dice_roll(&run.dice, 3); edits; edits--)
			run_edit(&run);
		run_pass(&run);
		check_attached(&run);
	}
	check_shuffled(&run);
	plan_free(run.plan);
	compiler_free(run.compiler);
	store_free(run.store);
}

static void random_worlds(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		print_message("seed %d\n", (int)seed);
		options.resolve.service_ns = seed % 2 ? STR_NONE : STR(WORLD_SERVICE_NS);
		run_world(seed);
	}
	options.resolve.service_ns = STR_NONE;
}

/* Everything goes: nothing stays. */
static void empty_again(void **state)
{
	(void)state;
	struct run run = { .dice = { 4711 }, .store = store_new() };
	run.compiler = compiler_new(run.store);
	run.plan = plan_parse(STR(""), NULL);
	for (size_t slot = 0; slot < WORLD_SLOTS; slot++)
		run_put(&run, slot, 7);
	run_pass(&run);
	assert_true(run.plan->count > 0);
	for (size_t slot = 0; slot < WORLD_SLOTS; slot++) {
		run_delete(&run, WORLD_SLOTS - 1 - slot);
		if (slot % 5 == 0)
			run_pass(&run);
	}
	run_pass(&run);
	assert_int_equal(run.plan->count, 0);
	plan_free(run.plan);
	compiler_free(run.compiler);
	store_free(run.store);
}

/* ---- what a change costs ---- */

static struct compiler *plain_world(struct store *store, size_t routes)
{
	store_put(store, bench_gateway_class());
	store_put(store, bench_gateway());
	for (size_t i = 0; i < routes; i++) {
		store_put(store, bench_service(i));
		store_put(store, bench_slice(i, 1));
		store_put(store, bench_route(i, 1, routes));
	}
	struct compiler *compiler = compiler_new(store);
	changes_free(compile_pass(compiler, &options));
	return compiler;
}

static void put_and_mark(struct store *store, struct compiler *compiler, struct object *object)
{
	enum kind kind = object->kind;
	struct meta meta = object->meta;
	store_put(store, object);
	compiler_mark(compiler, kind, meta.ns, meta.name);
}

static void one_slice_one_server(void **state)
{
	(void)state;
	struct store *store = store_new();
	struct compiler *compiler = plain_world(store, 20);
	put_and_mark(store, compiler, bench_slice(3, 2));
	struct changes *changes = compile_pass(compiler, &options);
	assert_int_equal(changes->count, 1);
	assert_int_equal(changes->items[0].op, CHANGE_SET);
	assert_int_equal(changes->items[0].table, PLAN_SERVER);
	assert_true(str_is(changes->items[0].key, "default.service-3.8080/pod-3"));
	assert_true(str_is(changes->items[0].value, "10.2.0.3:8080 1"));
	assert_true(str_is(changes->items[0].old, "10.1.0.3:8080 1"));
	changes_free(changes);

	changes = compile_pass(compiler, &options); /* nothing marked */
	assert_int_equal(changes->count, 0);
	changes_free(changes);
	compiler_mark_all(compiler); /* everything remade, nothing different */
	changes = compile_pass(compiler, &options);
	assert_int_equal(changes->count, 0);
	changes_free(changes);
	compiler_free(compiler);
	store_free(store);
}

/* More routes than are inserted one by one. */
static void many_routes_at_once(void **state)
{
	(void)state;
	struct store *store = store_new();
	struct compiler *compiler = plain_world(store, 10);
	for (size_t i = 5; i < 600; i++)
		put_and_mark(store, compiler, bench_route(i, 2, 10));
	store_delete(store, KIND_HTTPROUTE, STR("default"), STR("route-2"));
	compiler_mark(compiler, KIND_HTTPROUTE, STR("default"), STR("route-2"));
	changes_free(compile_pass(compiler, &options));
	store_reap(store);
	struct plan *plan = compiler_plan(compiler), *full = full_plan(store);
	assert_same(plan, full);
	size_t count;
	compiler_routes(compiler, &count);
	assert_int_equal(count, 599);
	plan_free(plan);
	plan_free(full);
	compiler_free(compiler);
	store_free(store);
}

static struct str db_addresses[] = { STR_INIT("10.9.9.9") };
static bool db_known;

static bool lookup(void *user, struct str host, struct name_addresses *ret_addresses)
{
	(void)user;
	assert_true(str_starts(host, STR("db")));
	*ret_addresses = (struct name_addresses){ db_addresses, 1 };
	return db_known;
}

/* A route of one host with `count` header matches, on "/" or each on a path of its own. */
static struct object *header_route(size_t i, bool own_paths, size_t count)
{
	struct object *object = bench_route(i, 1, 1);
	struct rule *rule = object->route.rules;
	struct arena *arena = object->arena;
	object->route.hostnames[0] = STR("one.example.com");
	rule->match_count = count;
	rule->matches = arena_array(arena, count, sizeof(*rule->matches));
	for (size_t k = 0; k < count; k++) {
		struct match *match = &rule->matches[k];
		match->path_type = MATCH_PREFIX;
		match->path = own_paths ? arena_strf(arena, "/path-%zu-%zu", i, k) : STR("/");
		match->header_count = 1;
		match->headers = arena_array(arena, 1, sizeof(*match->headers));
		match->headers[0].name = arena_strf(arena, "x-%zu-%zu", i, k);
		match->headers[0].value = STR("v");
	}
	return object;
}

/* More conditions on a host than may be asked, under many keys: one finding a key, and work
 * that follows what is asked, not what is there. */
static void too_many_conditions(void **state)
{
	(void)state;
	enum { ROUTES = 40, MATCHES = 64, MAX_FINDINGS = ROUTES / 2 * MATCHES + 1 };
	struct store *store = store_new();
	store_put(store, bench_gateway_class());
	store_put(store, bench_gateway());
	store_put(store, bench_service(0));
	for (size_t i = 0; i < ROUTES; i++)
		store_put(store, header_route(i, i % 2, MATCHES));
	struct compiler *compiler = compiler_new(store);
	compiler_mark_all(compiler);
	changes_free(compile_pass(compiler, &options));
	struct plan *plan = compiler_plan(compiler);
	size_t lists;
	const struct plan_entry *entries = plan_table(plan, PLAN_LIST, &lists);
	assert_true(lists > MAX_LIST_SEGMENTS);
	for (size_t i = 0; i < lists; i++)
		assert_in_range(entries[i].value.n, 1, MAX_LIST_BYTES);
	struct arena *arena = arena_new();
	struct findings findings;
	findings_init(&findings, arena);
	compiler_findings(compiler, &findings);
	size_t too_long = 0;
	for (size_t i = 0; i < findings.count; i++)
		too_long += str_is(findings.items[i].reason, "DecisionListTooLong");
	assert_in_range(too_long, 1, MAX_FINDINGS);
	arena_free(arena);
	plan_free(plan);
	compiler_free(compiler);
	store_free(store);
}

static void names_of_backends(void **state)
{
	(void)state;
	struct compile_options with = options;
	with.lookup = lookup;
	struct store *store = store_new();
	struct compiler *compiler = plain_world(store, 1);
	struct arena *arena = arena_new();
	struct object *backend = world_object(WORLD_SLOTS - WORLD_ROUTES - WORLD_GRANTS - 1, 1);
	assert_int_equal(backend->kind, KIND_BACKEND);
	backend->backend.addresses[0].host = STR("db.internal");
	backend->backend.addresses[0].is_name = true;
	backend->backend.address_count = 1;
	put_and_mark(store, compiler, backend);
	changes_free(compile_pass(compiler, &with));
	size_t count;
	assert_false(compiler_hosts_changed(compiler));
	compiler_hosts(compiler, arena, &count);
	assert_int_equal(count, 0); /* nobody refers to it */

	struct object *route = bench_route(0, 1, 1);
	route->route.rules[0].refs[0] = (struct backend_ref){
		.group = STR(GROUP_TIDEGATE), .kind = STR("Backend"), .ns = STR("default"),
		.name = backend->meta.name, .weight = 1,
	};
	put_and_mark(store, compiler, route);
	changes_free(compile_pass(compiler, &with));
	assert_true(compiler_hosts_changed(compiler));
	assert_false(compiler_hosts_changed(compiler));
	struct str *hosts = compiler_hosts(compiler, arena, &count);
	assert_int_equal(count, 1);
	assert_true(str_is(hosts[0], "db.internal"));

	db_known = true;
	compiler_mark_host(compiler, STR("db.internal"));
	struct changes *changes = compile_pass(compiler, &with);
	assert_int_equal(changes->count, 1);
	assert_int_equal(changes->items[0].op, CHANGE_ADD);
	assert_int_equal(changes->items[0].table, PLAN_SERVER);
	changes_free(changes);
	db_known = false;
	arena_free(arena);
	compiler_free(compiler);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slice_one_server),
		cmocka_unit_test(many_routes_at_once),
		cmocka_unit_test(too_many_conditions),
		cmocka_unit_test(names_of_backends),
		cmocka_unit_test(empty_again),
		cmocka_unit_test(random_worlds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
