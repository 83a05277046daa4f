/* SPDX-License-Identifier: Apache-2.0 */
/* The file source: directories and files of YAML or JSON manifests, followed by inotify.
 *
 * Many documents a file, `List` objects, JSON. A file that cannot be parsed keeps the objects
 * of its last good version; so does a single object that fails validation. The same object
 * in two files: the first in byte order of the paths counts, the other is a finding. Editors'
 * rename-over, symlink swaps of mounted ConfigMaps, sub-directories that come and go: followed.
 * A named path that vanishes is a source that is missing, not objects that were deleted: they
 * stay, with a finding. What vanishes inside a named directory is deleted (after 50 ms, since
 * some editors write by removing first).
 * Hidden files (".x", "..data") and names that do not end in .yaml, .yml, .json are skipped
 * (a file named on the command line is read whatever its name). Only files whose content changed are
 * parsed again; only objects that changed reach the sink. metadata.generation is counted up
 * by the source at each change of an object. */
#pragma once

#include "model/finding.h"
#include "model/store.h"
#include "source/sink.h"

struct ev_loop;

struct files_source;

/* paths: files or directories; they may appear later. The strings are copied. */
struct files_source *files_source_new(struct ev_loop *loop, const char *const *paths,
				      size_t path_count, const struct source_sink *sink);
void files_source_free(struct files_source *source); /* accepts NULL */

/* The first scan, then following. */
void files_source_start(struct files_source *source);

/* Looks at everything again (SIGHUP). */
void files_source_rescan(struct files_source *source);

/* What is wrong with files and with objects that were refused; copied. */
void files_source_findings(const struct files_source *source, struct findings *findings);

struct files_stats {
	uint64_t files, objects, unknown_objects, parse_count, parse_failures;
	uint64_t missing_paths; /* named paths that are not there or cannot be read */
	bool complete;		/* the first scan is done */
};
void files_source_stats(const struct files_source *source, struct files_stats *ret_stats);
/* Why what it has must not take the place of a last-good plan; "" when it may. */
void files_source_doubt(const struct files_source *source, char *ret_why, size_t size);

void files_source_state(const struct files_source *source, struct source_state *ret_state);

/* Reads everything once into a store, without a loop (validate, plan, explain). False only
 * when a named path does not exist or cannot be read at all. */
bool files_load(const char *const *paths, size_t path_count, struct store *store,
		struct findings *findings, struct error *err) must_check;
