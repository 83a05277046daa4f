/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime API text that changes something: the only place where it is written. Who wants to know
 * something writes the question where the answer is read.
 *
 * Commands are chained with ";" on one line, since HAProxy >= 3.0 executes only the first line
 * of a connection; a batch is what one connection carries. No batch is longer than
 * MAX_COMMAND_BYTES: 2.6 aborts at 16384. A command with a payload is a batch of its own. */
#pragma once

#include "haproxy/state.h"

struct commands {
	struct arena *arena;
	struct str *batches;
	size_t count, capacity;
	size_t command_count;
	struct sb chain; /* not yet a batch */
};

struct commands *commands_new(void);
void commands_free(struct commands *commands); /* accepts NULL */
/* Moves all of `more` behind what is there; frees it. */
void commands_append(struct commands *commands, struct commands *more);
/* Makes the chain a batch: what follows is sent after its answer. */
void commands_flush(struct commands *commands);

/* Appends a word with the characters escaped that split words or commands. */
void command_quote(struct sb *out, struct str word);

/* One command, its words separated by spaces and quoted already. One that fits no batch is left
 * out: HAProxy could not read it. */
void command_chain(struct commands *commands, struct str command);
void command_payload(struct commands *commands, struct str head, struct str payload);

/* ---- maps ---- */
void command_map_add(struct commands *commands, const struct state *state, struct str file,
		     struct str key, struct str value);
void command_map_set(struct commands *commands, const struct state *state, struct str file,
		     struct str key, struct str value);
void command_map_del(struct commands *commands, const struct state *state, struct str file,
		     struct str key);

/* ---- backends and servers: names of the plan ---- */

/* Gives the backend a place; false when no spare is left (a reload makes more). */
bool command_backend_add(struct commands *commands, struct state *state, struct str backend);
/* Of one that is there, perhaps published already. */
void command_backend_publish(struct commands *commands, struct str backend);
/* Frees the place: unpublished and deleted, or back to the pool. A static backend stays
 * without servers until the next reload. */
void command_backend_del(struct commands *commands, struct state *state, struct str backend);

/* A new server with a fresh slot, or one that was leaving, back again. */
void command_server_add(struct commands *commands, struct state *state, struct str key,
			struct str value);
void command_server_set(struct commands *commands, struct state *state, struct str key,
			struct str value, struct str old);
/* New requests go elsewhere; those in flight go on. */
void command_server_maint(struct commands *commands, struct state *state, struct str key);
/* A batch of its own: it may be refused while connections are left. */
void command_server_del(struct commands *commands, const struct state *state, struct str key);
void command_server_state(struct commands *commands, const struct state *state, struct str key,
			  const char *admin);

/* ---- certificates: paths below certs/ ---- */
void command_cert_new(struct commands *commands, struct str path, struct str pem);
void command_cert_set(struct commands *commands, struct str path, struct str pem);
void command_cert_del(struct commands *commands, struct str path);
void command_cert_abort(struct commands *commands, struct str path);
/* False, and nothing is sent, when the line is too long for a command: a reload reads it. */
bool command_crt_list_add(struct commands *commands, struct str list, struct str path,
			  struct str filters);
void command_crt_list_del(struct commands *commands, struct str list, struct str path);
/* True when the PEM fits one command. */
bool command_cert_fits(struct str path, struct str pem);
