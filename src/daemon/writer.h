/* SPDX-License-Identifier: Apache-2.0 */
/* Files written by a thread, so that the loop never waits for a disk.
 *
 * A file is replaced as a whole: temporary file, rename; with an fsync before and one of the
 * directory after it if it is to outlive a power cut (durable). Jobs for one path coalesce: only
 * the newest content is written. A job that fails (disk full, read-only) is kept and tried again
 * every few seconds; the loop is told of each change between failing and working. The number of
 * waiting jobs is bounded by the number of paths. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/sb.h"
#include "base/str.h"

struct ev_loop;
struct writer;

/* Called from the loop when writing begins to fail (err) and when it works again (NULL). */
typedef void (*writer_state_fn)(void *user, const struct error *err);

struct writer *writer_new(struct ev_loop *loop, writer_state_fn state, void *user,
			  struct error *err);
/* Writes what waits (once), then ends the thread. Accepts NULL. */
void writer_free(struct writer *writer);

/* path and data are copied. */
void writer_put(struct writer *writer, const char *path, struct str data, mode_t mode,
		bool durable);
/* The same with the text itself, which is the writer's then; the builder is empty afterwards. */
void writer_take(struct writer *writer, const char *path, struct sb *data, mode_t mode,
		 bool durable);
void writer_remove(struct writer *writer, const char *path);

/* At once, in the calling thread, instead of what waits for this path: HAProxy is about to read
 * it. Only the thread that calls writer_put() may call it. */
bool writer_replace(struct writer *writer, const char *path, struct str data, mode_t mode,
		    bool durable, struct error *err) must_check;

/* Jobs not done yet, those being retried included. */
size_t writer_pending(struct writer *writer);

/* What each of them does: nobody else may write this path meanwhile. */
bool file_replace(const char *path, struct str data, mode_t mode, bool durable,
		  struct error *err) must_check;
