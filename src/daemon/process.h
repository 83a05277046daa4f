/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that we look after: started by us, found running and adopted, or somebody else's.
 *
 * An adopted one is watched through a pidfd, so that it is seen to end although it is not our
 * child. One that somebody else runs, maybe in a container where we do not see it, is known by a
 * Unix socket of its own, and neither signalled nor started again. Started processes get a session of their own: neither a terminal's Ctrl-C nor our own
 * death reaches them. The loop must be libev's default loop, which reaps children. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

struct ev_loop;
struct process;

/* Called from the loop when the process has ended. how: "exit status 1", "signal 9", "ended" for
 * one that is not our child, or "hung up" for one that is somebody else's. The process object may be started again or freed. */
typedef void (*process_ended_fn)(void *user, const char *how);

struct process *process_new(struct ev_loop *loop, process_ended_fn ended, void *user);
/* Does not end the process itself. Accepts NULL. */
void process_free(struct process *process);

/* argv[0] is searched in PATH. Standard error is ours; standard input is /dev/null. */
bool process_start(struct process *process, const char *const argv[], struct error *err) must_check;

/* Looks after a process that runs already: the youngest one whose command line has these words
 * in a row (each with a NUL behind it), its children aside. False when there is none. */
bool process_adopt(struct process *process, struct str words);

/* Looks after a process that somebody else runs: whoever accepts connections there, and says
 * nothing before he is asked. One is kept open, and its end is the process's. False when nobody
 * accepts. */
bool process_follow(struct process *process, const char *socket_path);

bool process_accepts(const char *socket_path);

bool process_runs(struct process *process);
/* 0 when none runs, or somebody else's. */
pid_t process_pid(const struct process *process);
void process_signal(const struct process *process, int signal);

/* Runs a short command to its end, from the loop; output (both streams, at most 64 KiB) and
 * success are delivered later. */
typedef void (*process_output_fn)(void *user, struct str output, bool success);
bool process_run(struct ev_loop *loop, const char *const argv[], process_output_fn done, void *user,
		 struct error *err) must_check;

/* The same, waiting for it: only before the loop runs. ret_output: NUL-terminated. */
bool process_run_wait(const char *const argv[], char *ret_output, size_t output_bytes,
		      struct error *err) must_check;
