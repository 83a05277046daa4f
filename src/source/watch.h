/* SPDX-License-Identifier: Apache-2.0 */
/* Directory trees and single files: which manifests are there, and what inotify says.
 *
 * watch_scan() walks everything and sets the watches; watch_read() turns inotify's events
 * into paths to read again or the wish for another scan. A named path that does not exist is
 * waited for in its nearest existing directory. Symbolic links are followed (a directory that
 * is reached twice counts once) and what they point to is watched, too. */
#pragma once

#include <sys/stat.h>

#include "base/error.h"
#include "base/str.h"

struct watch;

/* No inotify when `follow` is false, or when the system has none left (watch_degraded()). */
struct watch *watch_new(const char *const *paths, size_t path_count, bool follow);
void watch_free(struct watch *watch); /* accepts NULL */

int watch_fd(const struct watch *watch); /* -1: none */

/* True when something could not be watched: limits of the system. Look again now and then. */
bool watch_degraded(const struct watch *watch);

struct watch_ops {
	void *user;
	/* A manifest is at path; st is of what a symbolic link points to. */
	void (*file)(void *user, const char *path, const struct stat *st);
	/* Nothing can be said of this path and what is below it. `named`: it is one of the
	 * paths watch_new() got. */
	void (*problem)(void *user, const char *path, bool named, const char *text);
};
void watch_scan(struct watch *watch, const struct watch_ops *ops);

/* Reads what inotify has. changed() gets each path of a manifest that was written, came or
 * went. True when a scan is needed. */
bool watch_read(struct watch *watch, void (*changed)(void *user, const char *path), void *user);
