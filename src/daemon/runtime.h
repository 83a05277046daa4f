/* SPDX-License-Identifier: Apache-2.0 */
/* The Runtime API client: one connection for each batch of commands.
 *
 * Connect, write, read to the end of file: the only framing that is the same on every HAProxy
 * version, and a reply can never come from a worker of the past. Batches are sent one after
 * another in the order in which they were given. Nothing blocks. */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct ev_loop;
struct runtime;

/* Called once for each batch, from the loop (never from inside runtime_send()). reply is valid
 * during the call; err is NULL when the whole reply arrived. It may send more, drop what is
 * pending, or free the client. */
typedef void (*runtime_reply_fn)(void *user, struct str reply, const struct error *err);

/* socket_path is copied. timeout_ms: for one batch, connect to end of file. */
struct runtime *runtime_new(struct ev_loop *loop, const char *socket_path, int64_t timeout_ms);
/* Pending batches are dropped without a callback. Accepts NULL. */
void runtime_free(struct runtime *runtime);

/* text: one batch, complete with its line end (copied). reply may be NULL.
 * max_reply_bytes: a longer reply fails with ERR_LIMIT. */
void runtime_send(struct runtime *runtime, struct str text, size_t max_reply_bytes,
		  runtime_reply_fn reply, void *user);

/* Drops every pending batch without a callback, the one on the wire included. */
void runtime_drop(struct runtime *runtime);

/* Batches that are not answered yet. */
size_t runtime_pending(const struct runtime *runtime);
