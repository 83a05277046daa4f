/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator changed with tidectl, kept until it is cleared.
 *
 * Weights replace those of a route's backendRefs, whenever the route reaches the store and when they
 * change; states of servers are given to the engine again after each start. Both live in
 * STATE_DIR/overrides.json, which is replaced as a whole, and durably (daemon/writer.h), at each
 * change. */
#pragma once

#include "model/model.h"

struct overrides;

struct weight_override {
	char *route;	      /* route_key() */
	char *rule, *backend; /* RULE and NAME of model/weights.h */
	uint32_t weight;
};

struct server_override {
	char *backend, *server; /* server "": all of the backend */
	char *state;		/* "drain" or "maint" */
};

struct overrides *overrides_new(const char *state_dir);
void overrides_free(struct overrides *overrides); /* accepts NULL */

/* A file that does not exist is an empty one. A broken one is an error and is left alone
 * until the next change. */
bool overrides_load(struct overrides *overrides, struct error *err) must_check;
bool overrides_save(const struct overrides *overrides, struct error *err) must_check;

/* Replaces the same override. ERR_LIMIT for too many. */
bool overrides_set_weight(struct overrides *overrides, struct str route, struct str rule,
			  struct str backend, uint32_t weight, struct error *err) must_check;
/* rule empty: those of every rule. Returns how many were there. */
size_t overrides_clear_weights(struct overrides *overrides, struct str route, struct str rule);
/* state "ready" forgets. */
bool overrides_set_server(struct overrides *overrides, struct str backend, struct str server,
			  struct str state, struct error *err) must_check;

const struct weight_override *overrides_weights(const struct overrides *overrides,
						size_t *ret_count);
const struct server_override *overrides_servers(const struct overrides *overrides,
						size_t *ret_count);

/* Sets the weights that are in force in a route: the overridden ones, and else its own. Other kinds
 * are left alone. */
void overrides_apply(const struct overrides *overrides, struct object *object);

bool overrides_has_route(const struct overrides *overrides, const struct object *route);
