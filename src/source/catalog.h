/* SPDX-License-Identifier: Apache-2.0 */
/* Which file holds which objects, and which of them are in force.
 *
 *   file ──► chunk ──► entry ──► slot          chunk: the text of one YAML document
 *        └─► chunk ──► entry ───┘              slot:  one kind, namespace and name
 *
 * Texts and trees are not kept, only digests: of a chunk, so that of a large file only the
 * documents that changed are parsed, and of an object, so that only objects that changed are
 * delivered. Of two entries in one slot the first counts (by path, then by place). */
#pragma once

#include "model/finding.h"
#include "source/files.h"

struct catalog;

/* read() returns the text of a file (free() it) or NULL; it is asked when an object has to be
 * delivered whose tree is gone. */
struct catalog_ops {
	void *user;
	void (*put)(void *user, struct object *object);
	void (*remove)(void *user, enum kind kind, struct str ns, struct str name);
	char *(*read)(void *user, const char *path, size_t *ret_len);
};

struct catalog *catalog_new(const struct catalog_ops *ops);
void catalog_free(struct catalog *catalog); /* accepts NULL */

/* The file's text is now this one. All or nothing: on failure (ERR_SYNTAX, ERR_LIMIT) what the
 * file held before stays. Nothing is delivered before catalog_flush(). */
bool catalog_set(struct catalog *catalog, const char *path, struct str text,
		 struct error *err) must_check;

/* The file is gone. */
void catalog_drop(struct catalog *catalog, const char *path);

/* Delivers what has changed; false when nothing has, findings included. */
bool catalog_flush(struct catalog *catalog);

void catalog_findings(const struct catalog *catalog, struct findings *findings);

/* Fills objects and unknown_objects. */
void catalog_stats(const struct catalog *catalog, struct files_stats *stats);
