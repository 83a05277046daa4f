/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the engine (engine.h is for everybody else).
 *
 * One thing at a time is done with HAProxy: an operation. engine_next() picks the next one
 * when none is under way; each ends in engine_done().
 *
 *   start ─► read back ─► ready ─► { apply | reload ─► read back | delete what is due
 *                                   | check for drift | diff }*
 */
#pragma once

#include <ev.h>

#include "daemon/engine.h"
#include "daemon/process.h"
#include "daemon/runtime.h"
#include "daemon/writer.h"
#include "haproxy/command.h"
#include "haproxy/readback.h"
#include "haproxy/render.h"

enum {
	MAX_EVENTS = 256,
	COMMAND_TIMEOUT_MS = 5000,
	AGENT_TIMEOUT_MS = 2000,
	AGENT_MISSES = 2,              /* so many time-outs in a row: it hangs */
	REPLY_BYTES = 1 << 16,         /* of a changing batch */
	LISTING_BYTES = 512 << 20,     /* of a listing: bounded by what we put in */
	RECORD_GRACE_MS = 30 * 1000,   /* a request that started before a flip still finds them */
	SERVER_GRACE_MS = 5 * 1000,
	SERVER_GRACE_UNSAFE_MS = 60 * 1000, /* 2.6: see struct haproxy_caps */
	CHECK_EVERY_MS = 2000,
	CHECK_ROUNDS = 25,             /* everything is read back once in so many checks */
	FILES_AFTER_MS = 1800,         /* files follow memory within this and the writing */
	START_TIMEOUT_MS = 20 * 1000,
	ADOPTED_TIMEOUT_MS = 200,
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 5000,
	STOP_KILL_MS = 5 * 1000,       /* after it was told to cut what it has */
	STOP_REPEAT_MS = 500,
	HOLD_MS = 5 * 1000,            /* see struct engine */
	DEFAULT_SPARES = 64,
};

enum operation {
	OP_NONE = 0,
	OP_START,    /* waiting for a started HAProxy to answer */
	OP_APPLY,
	OP_RELOAD,
	OP_READBACK, /* compare and repair */
	OP_DIFF,     /* compare only */
	OP_DELETE,
};

struct update {
	struct changes *changes;
	uint64_t sequence;
	struct update *next;
};

struct engine {
	struct ev_loop *loop;
	struct engine_options options; /* strings are copies */
	struct engine_hooks hooks;
	char *run_dir; /* absolute */
	enum engine_state engine_state;
	struct state *state;
	struct plan *plan; /* cache of state_plan(); NULL when stale */
	struct render_options render;
	struct runtime *runtime, *master, *agent_stats;
	struct runtime *adopted; /* its master, asked with a short time-out */
	struct runtime *aside; /* what is no part of an operation: it outlives HAProxy's end */
	struct sb agent_text;  /* the agent's last answer */
	unsigned agent_misses; /* and how often in a row it did not */
	struct writer *writer;
	struct process *haproxy, *agent;

	enum operation operation;
	int64_t operation_started_ms;
	struct commands *commands; /* being sent */
	size_t batch_at;
	void (*sent)(struct engine *engine); /* called after the last batch */
	size_t failures;           /* of the batches of this operation */
	struct error last_failure;

	struct update *queue, **queue_end;
	uint64_t sequence, sequence_applied, sequence_sent;
	size_t change_count;       /* of the operation */
	bool reload_wanted;
	char reload_reason[REASON_BYTES];
	bool apply_failed; /* what was last reported of it, and is not over */
	/* The last-good plan may be a moment older than the HAProxy that was found running:
	 * nothing is taken back before the first update, or this time. 0: not holding. */
	int64_t hold_until_ms;
	/* It is not known what HAProxy has: an answer is missing, or was not the one awaited. What
	 * changes is compared as a whole, too, until a full read-back has come to its end. */
	bool unread;
	bool repair_wanted;        /* a full read-back as soon as possible */
	char repair_reason[160];
	bool crt_lists_changed; /* the next check looks at all of them */
	/* Those of the running configuration. After a failed reload the others are blocked, so
	 * that everything else is changed and compared as ever. */
	struct map *live_frontends;
	struct map *dead_backends; /* backends without a place in the plan, to be deleted */

	struct check *check;       /* the read-back under way */
	unsigned check_round;
	engine_reply_fn diff_reply;
	void *diff_user;

	int worker_pid, old_worker_pid;
	int schema_pid; /* the worker that engine_learn_schema() was about */
	int64_t worker_socket_made_ns; /* by the HAProxy that the worker is of */
	int64_t deadline_ms;
	int64_t doubt_ms; /* of a reload: when the master is asked whether it heard of it */
	unsigned haproxy_failures, reload_failures, agent_failures;
	bool kept_files;           /* they could not be written: HAProxy starts from older ones */
	bool stale_files;          /* and those have another schema */
	bool adopting;             /* OP_START: of a HAProxy that was found running */
	int64_t lost_until_ms;     /* somebody else's has hung up: is it gone? 0: no question */
	bool met;                  /* somebody else's has been found, now or before */
	bool prepared;             /* OP_START of it: it finds our files */
	char waiting_for[160];     /* and this is said once */
	int64_t stop_started_ms;
	enum engine_stop stop_how;

	ev_timer poll;     /* start and reload: is it there yet? */
	ev_timer check_timer, due_timer, files_timer, haproxy_backoff, reload_backoff,
		agent_backoff, stop_timer;
	ev_idle next;      /* runs engine_next() */
	bool maps_dirty, cfg_dirty;

	struct engine_event events[MAX_EVENTS];
	size_t event_count; /* ever */
	struct reasons reasons;
	struct engine_stats stats;
};

int64_t engine_now_ms(void); /* monotonic */

/* engine.c */
void engine_set_state(struct engine *engine, enum engine_state state);
void engine_event(struct engine *engine, const char *what, bool ok, const char *fmt, ...)
	printf_like(4, 5);
void engine_wake(struct engine *engine); /* engine_next() soon */
void engine_done(struct engine *engine);  /* the operation has ended */
void engine_want_reload(struct engine *engine, const char *fmt, ...) printf_like(2, 3);
void engine_want_repair(struct engine *engine, const char *reason);
/* Wanted, and not waiting after one that failed. */
bool engine_reload_due(struct engine *engine);
/* Tells everybody whose update is in HAProxy. */
void engine_report_applied(struct engine *engine, const struct error *err);
/* The PEM of a certificate of the plan; false when it is gone. */
bool engine_pem(struct engine *engine, struct str name, struct str *ret_pem);
struct str engine_path(struct engine *engine, struct arena *arena, const char *name);

/* engine_apply.c */
void engine_apply(struct engine *engine);
/* What is queued becomes part of the state without a command: HAProxy starts with it. */
void engine_absorb(struct engine *engine);
void engine_delete_due(struct engine *engine);
bool engine_has_due(const struct engine *engine);
/* How long a server in maint stays, at least. */
int64_t engine_server_grace_ms(const struct engine *engine);
/* Sends engine->commands batch by batch, then calls done. */
void engine_send(struct engine *engine, void (*done)(struct engine *engine));

/* engine_check.c */
enum check_depth { CHECK_FULL = 0, CHECK_CHEAP };
/* repair: send what repairs the differences. done: called when compared and repaired; found
 * is the number of differences, err why it could not be read. */
void engine_check(struct engine *engine, enum check_depth depth, bool repair,
		  void (*done)(struct engine *engine, size_t found, struct str differences,
			       const struct error *err));
void engine_check_drop(struct engine *engine);

/* engine_files.c */
bool engine_make_dirs(struct engine *engine, struct error *err) must_check;
/* Everything HAProxy starts from, written now. */
bool engine_write_all(struct engine *engine, struct error *err) must_check;
/* What has changed, by the writer. */
void engine_write_changed(struct engine *engine);
void engine_write_cert(struct engine *engine, struct str path, struct str pem);
/* Whether a configuration with this description has the schema of the state; its pool of spare
 * backends becomes the state's. */
bool engine_same_schema(struct engine *engine, struct str description);
/* What somebody else's HAProxy says of itself before it is started; STR_NONE: nothing yet. */
struct str engine_read_version(struct engine *engine, struct arena *arena);
void engine_load_overrides(struct engine *engine);
void engine_write_overrides(struct engine *engine);
/* Marks frontends whose address cannot be bound. */
void engine_test_binds(struct engine *engine);
bool engine_has_ipv6(void);
/* The frontends of the configuration that HAProxy has loaded, and the headers' names that its
 * lines have: those of the state, or, when it could not be written, the frontends of the file
 * that is there. */
void engine_learn_schema(struct engine *engine);
void engine_learn_old_frontends(struct engine *engine);
/* Blocks frontends that HAProxy does not have. */
void engine_block_others(struct engine *engine, const char *why);
/* True when a frontend that could not be bound can be now. */
bool engine_unblocked(struct engine *engine);

/* engine_process.c: the one place that knows whose the processes are. */
/* Whether HAProxy and the agent can be run, and what this HAProxy can do. */
bool engine_find_programs(struct engine *engine, struct error *err) must_check;
/* Adopts what runs, starts it, or waits for it. */
void engine_begin(struct engine *engine);
void engine_reload(struct engine *engine);
/* It has answered before, and does not now. */
void engine_agent_silent(struct engine *engine, const struct error *err);
void engine_process_init(struct engine *engine);
void engine_process_stop(struct engine *engine);
