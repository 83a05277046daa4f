/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler: views in, plan entries out, incrementally.
 *
 * It owns the current views and the current set of plan entries. Each compile_pass() remakes
 * the views that the marked objects touch, re-flattens the virtual hosts those views touch,
 * and returns what changed. A pass after compiler_mark_all() must leave exactly the same
 * entries as any sequence of incremental passes over the same store (tested as a property).
 *
 * Records with an id made from their content (headers, splits, lists, methods) are counted by
 * reference: they appear with their first user and vanish with their last. */
#pragma once

#include "plan/plan.h"
#include "resolve/view.h"

struct compiler;

struct compile_options {
	struct resolve_options resolve;
	lookup_fn lookup; /* DNS names of Backends; may be NULL */
	void *lookup_user;
};

struct compiler *compiler_new(const struct store *store);
void compiler_free(struct compiler *compiler);

/* The object was added, changed or deleted in the store. */
void compiler_mark(struct compiler *compiler, enum kind kind, struct str ns, struct str name);
/* The addresses of a DNS name changed. */
void compiler_mark_host(struct compiler *compiler, struct str host);
void compiler_mark_all(struct compiler *compiler);

/* Returns the changes in apply order (changes_sort()), possibly none. The caller may
 * store_reap() afterwards. */
struct changes *compile_pass(struct compiler *compiler, const struct compile_options *options);

/* A copy of all current entries as a plan. O(all). */
struct plan *compiler_plan(const struct compiler *compiler);

/* The current views; valid until the next pass. */
const struct gateways_view *compiler_gateways(const struct compiler *compiler);
bool compiler_needs_changed(struct compiler *compiler); /* the view's, since the last question */
/* Sorted by kind, namespace, name; the array belongs to the compiler. */
const struct route_view *const *compiler_routes(const struct compiler *compiler,
						size_t *ret_count);

/* What the last pass has made anew; valid until the next one. */
struct compile_news {
	bool gateways; /* all of them, and so all routes */
	bool routes;   /* some were made, or are gone: attached_routes may differ */
	const struct route_view *const *made;
	size_t made_count;
};
void compiler_news(const struct compiler *compiler, struct compile_news *ret_news);

/* NULL: there is no such route. */
const struct route_view *compiler_route(const struct compiler *compiler, enum kind kind,
					struct str ns, struct str name);

/* Every finding of resolve and compile, sorted, copied to `findings`. */
void compiler_findings(const struct compiler *compiler, struct findings *findings);

/* The DNS names that Backends in use ask for; sorted; the array belongs to the arena. */
bool compiler_hosts_changed(struct compiler *compiler); /* since the last question */
struct str *compiler_hosts(const struct compiler *compiler, struct arena *arena,
			   size_t *ret_count);
