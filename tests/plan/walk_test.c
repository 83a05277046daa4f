/* SPDX-License-Identifier: Apache-2.0 */
/* The plan, walked as HAProxy and the agent walk it, against explain(), which works on the
 * resolved objects and knows no plan: the same requests must end in the same place. */
#include "plan/compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolve/explain.h"
#include "walk.h"
#include "world.h"

enum { WORLDS = 60, REQUESTS = 150 };

/* ---- shares ---- */

/* The backend of a target, and of the record that it may be. */
static struct str target_backend(const struct plan *plan, struct str target)
{
	if (target.n == 0 || target.p[0] != '@')
		return target;
	const struct plan_entry *record = plan_find(plan, PLAN_RULE, target);
	assert_non_null(record);
	struct str rest = record->value;
	return str_cut(&rest, '|');
}

/* How many of `of` equal parts go to the backend. */
static uint64_t share_of(const struct plan *plan, struct arena *arena, struct str target,
			 struct str backend, uint64_t *ret_of)
{
	*ret_of = 1;
	if (target.p[0] != '%')
		return str_eq(target_backend(plan, target), backend);
	struct str rest = target, id = str_cut(&rest, '/'), total = str_cut(&rest, '/');
	uint64_t offset, hits = 0;
	assert_true(str_u64(total, UINT64_MAX, ret_of));
	assert_true(str_u64(rest, UINT64_MAX, &offset));
	for (uint64_t i = 0; i < *ret_of; i++) {
		struct str key = arena_strf(arena, STR_FMT "/%d", STR_ARG(id), (int)(offset + i));
		const struct plan_entry *entry = plan_longest_prefix(plan, PLAN_SPLIT, key);
		if (entry)
			hits += str_eq(target_backend(plan, entry->value), backend);
		else
			fail_msg("no part of " STR_FMT, STR_ARG(key));
	}
	return hits;
}

static void check_shares(const struct plan *plan, struct arena *arena, const struct end *end,
			 const struct explain_outcome *want)
{
	uint64_t all = 0;
	for (size_t i = 0; i < want->target_count; i++)
		all += want->targets[i].weight;
	for (size_t i = 0; i < want->target_count; i++) {
		uint64_t weight = 0, of;
		for (size_t j = 0; j < want->target_count; j++) {
			if (str_eq(want->targets[j].backend, want->targets[i].backend))
				weight += want->targets[j].weight;
		}
		uint64_t got = share_of(plan, arena, end->target, want->targets[i].backend, &of);
		assert_int_equal(got * all, weight * of);
	}
}

/* ---- random requests ---- */

static void random_request(struct dice *dice, struct arena *arena, struct explain_request *ret)
{
	static const char *const hosts[] = { "www.example.com", "api.example.com", "example.com",
					     "a.b.example.com", "z.b.example.com", "q.com",
					     "other.org", "nowhere.net" };
	static const char *const paths[] = { "/", "/foo", "/foo/", "/foo/bar", "/foo/bar/x",
					     "/foobar", "/x/y/z", "/x/y", "/a", "/foo/9" };
	static const char *const methods[] = { "GET", "POST", "DELETE", "PUT" };
	static const char *const queries[] = { "", "q0=v1", "q1=v2&q0=v1", "q0=v7" };
	struct request *request = &ret->request;
	ret->host = str_of(hosts[dice_roll(dice, 8)]);
	request->path = str_of(paths[dice_roll(dice, 10)]);
	request->method = str_of(methods[dice_roll(dice, 4)]);
	request->query = str_of(queries[dice_roll(dice, 4)]);
	for (uint64_t n = dice_roll(dice, 3); n; n--)
		request->headers[request->header_count++] = (struct request_header){
			arena_strf(arena, "X-H%d", (int)dice_roll(dice, 3)),
			arena_strf(arena, "v%d", (int)dice_roll(dice, 4)),
		};
}

static void check_request(const struct plan *plan, const struct explain_world *world,
			  const struct frontend_view *frontend, struct dice *dice)
{
	struct arena *arena = arena_new();
	struct explain_request *request = arena_alloc(arena, sizeof(*request));
	random_request(dice, arena, request);
	request->https = frontend->tls;
	request->port = frontend->port;
	request->frontend = frontend->name;
	struct explain_result *want = explain(world, request);
	struct end got = plan_walk(plan, arena, frontend->name, request->host, &request->request,
				   dice_roll(dice, 4) == 0);
	if (want->outcome.status == 421) { /* of the connection, not of the routes */
		explain_free(want);
		arena_free(arena);
		return;
	}
	bool redirect = got.record && str_is(got.target, "http-redirect");
	int status = redirect ? 302 : got.status;
	bool no_servers = want->outcome.status == 503 && status == 0;
	struct str rule = str_is(got.rule, "-") ? STR_NONE : got.rule;
	if (!no_servers && (status != want->outcome.status || !str_eq(rule, want->outcome.rule)))
		fail_msg("%s: " STR_FMT " " STR_FMT " " STR_FMT STR_FMT "?" STR_FMT
			 " ends in %d '" STR_FMT "', explain says %d '" STR_FMT "': " STR_FMT,
			 __func__, STR_ARG(frontend->name), STR_ARG(request->request.method),
			 STR_ARG(request->host), STR_ARG(request->request.path),
			 STR_ARG(request->request.query), status, STR_ARG(rule),
			 want->outcome.status, STR_ARG(want->outcome.rule), STR_ARG(want->verdict));
	if (status == 0)
		check_shares(plan, arena, &got, &want->outcome);
	explain_free(want);
	arena_free(arena);
}

static size_t check_world(uint64_t seed)
{
	struct dice dice = { seed };
	struct compile_options options = { .resolve = { .now_s = 1 } };
	struct store *store = store_new();
	for (size_t slot = 0; slot < WORLD_SLOTS; slot++)
		store_put(store, world_object(slot, seed));
	struct compiler *compiler = compiler_new(store);
	changes_free(compile_pass(compiler, &options));
	struct plan *plan = compiler_plan(compiler);
	struct explain_world world = { .gateways = compiler_gateways(compiler) };
	world.routes = compiler_routes(compiler, &world.route_count);
	size_t frontends = 0;
	for (size_t i = 0; i < world.gateways->gateway_count; i++) {
		const struct gateway_view *gateway = &world.gateways->gateways[i];
		for (size_t j = 0; j < gateway->frontend_count; j++, frontends++) {
			for (int k = 0; k < REQUESTS; k++)
				check_request(plan, &world, &gateway->frontends[j], &dice);
		}
	}
	plan_free(plan);
	compiler_free(compiler);
	store_free(store);
	return frontends;
}

static void plan_does_what_explain_says(void **state)
{
	(void)state;
	size_t frontends = 0;
	for (uint64_t seed = 1; seed <= WORLDS; seed++)
		frontends += check_world(seed);
	assert_true(frontends > WORLDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(plan_does_what_explain_says) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
