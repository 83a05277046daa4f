/* SPDX-License-Identifier: Apache-2.0 */
/* What HAProxy must be: the plan's entries by key, and how this HAProxy carries them.
 *
 *   plan entry ──► tables ──► image: map files ─┐
 *                  servers ──► ids, tombstones   ├─► cfg text, commands, comparison
 *                  places  ──► name in HAProxy  ─┘
 *
 * Pure: no clock, no descriptor. */
#pragma once

#include "base/map.h"
#include "base/sb.h"
#include "base/texts.h"
#include "haproxy/caps.h"
#include "plan/plan.h"

/* How HAProxy carries a backend of the plan. */
enum place_kind {
	PLACE_STATIC = 0, /* in haproxy.cfg under its own name */
	PLACE_DYNAMIC,    /* made with `add backend` */
	PLACE_SPARE,      /* a backend of the pool, found through spare.map */
};

struct place {
	enum place_kind kind;
	unsigned spare; /* PLACE_SPARE: its number */
};

/* A server that HAProxy has, or gets with the next commands. */
struct slot {
	unsigned id;       /* never used again for another server */
	bool h2c;          /* what HAProxy speaks to it for as long as it is there */
	bool leaving;      /* waiting for deletion */
	bool maint;        /* and takes no requests any more */
	bool listed;       /* by HAProxy, in the read-back under way */
	int64_t due_ms;    /* when */
};

struct state {
	struct haproxy_caps caps;
	char *run_dir; /* absolute */
	struct texts *tables[PLAN_TABLE_COUNT];
	struct map *places;                   /* backend -> struct place */
	struct map *slots;                    /* BACKEND/SERVER -> struct slot */
	struct map *overrides;                /* BACKEND/SERVER -> struct str: ready|drain|maint */
	struct map *blocked;                  /* frontends that cannot be bound -> struct str */
	struct map *leaving;                  /* FILE SP KEY -> int64_t: map entries that
					       * nothing points at, deleted after a grace time */
	struct map *header_names;             /* DIR/OP/name: what the running configuration
					       * can do, before 3.4 */
	bool *spare_used;                     /* spare_count of them */
	unsigned spare_count;
	unsigned next_id;
};

struct state *state_new(const struct haproxy_caps *caps, const char *run_dir);
void state_free(struct state *state); /* accepts NULL */

/* The desired value; STR_NONE with p NULL when there is none. */
struct str state_get(const struct state *state, enum plan_table table, struct str key);
void state_load(struct state *state, const struct plan *plan);
void state_change(struct state *state, const struct change *change);

/* All entries as a plan (sorted, copied); its text without the copy. */
struct plan *state_plan(const struct state *state);
void state_print_plan(const struct state *state, struct sb *out);

/* A copied slice in a map. */
void state_put_str(struct map *map, struct str key, struct str value);
struct str state_map_str(const struct map *map, struct str key);
void state_del_str(struct map *map, struct str key);

/* ---- servers ---- */

struct server_value {
	struct str address; /* without brackets */
	struct str endpoint; /* as in the plan: ADDR:PORT */
	uint64_t port, weight;
};
bool server_parse(struct str value, struct server_value *ret_server);

/* Splits BACKEND/SERVER. */
void server_key_split(struct str key, struct str *ret_backend, struct str *ret_server);
bool state_backend_is_h2c(const struct state *state, struct str backend);

/* The slot of a server; made with a fresh id and its backend's protocol when absent. */
struct slot *state_slot(struct state *state, struct str key);
struct slot *state_find_slot(const struct state *state, struct str key);
/* For those who come with one key after another, in order: looks at *near first, which starts as
 * NULL, and leaves there what may be the next. */
struct slot *state_next_slot(const struct state *state, struct str key, struct map_entry **near);
void state_drop_slot(struct state *state, struct str key);

/* ---- backends ---- */

struct place *state_find_place(const struct state *state, struct str backend);
void state_set_place(struct state *state, struct str backend, enum place_kind kind,
		     unsigned spare);
void state_drop_place(struct state *state, struct str backend);
/* Every backend is static again, every slot is fresh: what a rendered configuration is. */
void state_settle(struct state *state);
/* DIR/OP/name of FILTER/DIR/OP/name. */
struct str state_header_name(struct str key);
/* The running configuration was rendered from this state: it has these headers' names, also
 * when no filter uses them any more. state_settle() does it, too. */
void state_learn_headers(struct state *state);
/* The name HAProxy knows a backend by. A key of spare.map, too: while any is used. */
#define SPARE_ANY "any"
struct str state_live_name(const struct state *state, struct arena *arena, struct str backend);
/* The backend that a name in HAProxy stands for; empty: a spare nobody uses. */
void state_set_spares(struct state *state, unsigned count);
struct str state_backend_of(const struct state *state, struct str live_name);
/* False when the pool is empty. */
bool state_take_spare(struct state *state, unsigned *ret_spare);
unsigned state_spares_used(const struct state *state);

/* ---- frontends ---- */

struct frontend_value {
	bool https;
	struct str addresses; /* comma separated */
	struct str bind_port;
	struct str port; /* as clients see it */
	bool transparent; /* HAProxy's word: the host need not have the address */
};
bool frontend_parse(struct str value, struct frontend_value *ret_frontend);
/* Only these use their listeners' map (421). */
bool state_frontend_is_https(const struct state *state, struct str frontend);
bool state_frontend_served(const struct state *state, struct str frontend);

/* ---- what is about to go ---- */

void state_leave(struct state *state, struct str file, struct str key, int64_t due_ms);
/* True when it was leaving; it is not any more. */
bool state_stay(struct state *state, struct str file, struct str key);
bool state_is_leaving(const struct state *state, struct str file, struct str key);
/* Nothing that is leaving, a server that still takes requests included, goes before that. */
void state_postpone(struct state *state, int64_t record_due_ms, int64_t server_due_ms);

/* ---- image: the map files ---- */

struct image_entry {
	struct str key, value;
};
int image_entry_cmp(const void *a, const void *b); /* by key */
struct image_map {
	struct str file; /* "rules.map", without the directory */
	struct image_entry *entries; /* sorted by key */
	size_t count, capacity;
};
struct image {
	struct arena *arena;
	struct image_map *maps; /* sorted by file */
	size_t count, capacity;
};

/* only: one file, or empty for all. Listener maps are schema, but here too. */
struct image *image_new(const struct state *state, struct str only);
/* All files, with the number of their entries alone. */
struct image *image_counts(const struct state *state);
void image_free(struct image *image);
/* Who points at whom: 0 records, 1 rules, 2 the maps of frontends. Repairs go upwards. */
unsigned image_rank(struct str file);
const struct image_map *image_find(const struct image *image, struct str file);
/* "key value" lines. */
void image_print(const struct image_map *map, struct sb *out);

/* Where a plan entry lives in HAProxy's maps; false when it is in none. With headers_bin,
 * header entries are grouped: the key is FILTER/DIR/OP and ret_value is empty (the value is
 * made of all entries of the group: state_header_blob()). */
bool state_lower(const struct state *state, struct arena *arena, enum plan_table table,
		 struct str key, struct str value, struct str *ret_file,
		 struct image_entry *ret_entry);
/* base64 of what *-headers-bin reads; empty when the group has no entries. */
struct str state_header_blob(const struct state *state, struct arena *arena, struct str group);
