/* SPDX-License-Identifier: Apache-2.0 */
#include "source/watch.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/sb.h"

enum {
	MAX_TREE_DEPTH = 32, /* of directories in directories */
	MAX_PATH_TEXT = 8192,
	DIR_EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |
		     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF,
	LINK_EVENTS = IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF,
};

/* What one inotify watch is for: an inode can have several roles. */
struct spot {
	int wd;
	uint64_t scan; /* the last one that wanted it */
	char *tree;    /* the path of a directory whose manifests count */
	char **waits;  /* paths of children that are named, or lead to a named path */
	size_t wait_count, wait_capacity;
	bool is_target; /* of a symbolic link */
};

struct watch {
	char **paths;
	size_t path_count;
	int fd;
	bool degraded;
	uint64_t scan;
	struct map *spots; /* wd's bytes -> struct spot */
	struct map *links; /* paths of symbolic links to directories; value: the map itself */
};

/* One walk. */
struct walk {
	struct watch *watch;
	const struct watch_ops *ops;
	struct map *visited; /* device and inode -> the watch */
};

static struct str wd_key(const int *wd)
{
	return (struct str){ (const char *)wd, sizeof(*wd) };
}

static void spot_clear(struct spot *spot)
{
	free(spot->tree);
	for (size_t i = 0; i < spot->wait_count; i++)
		free(spot->waits[i]);
	spot->tree = NULL;
	spot->wait_count = 0;
	spot->is_target = false;
}

static void spot_free(void *user)
{
	struct spot *spot = user;
	spot_clear(spot);
	free(spot->waits);
	free(spot);
}

/* NULL when there is nothing to watch or no watch to be had. */
static struct spot *spot_add(struct watch *watch, const char *path, uint32_t mask)
{
	if (watch->fd < 0)
		return NULL;
	int wd = inotify_add_watch(watch->fd, path, mask);
	if (wd < 0) {
		watch->degraded |= errno != ENOENT && errno != ENOTDIR && errno != EACCES;
		return NULL;
	}
	struct spot *spot = map_get(watch->spots, wd_key(&wd));
	if (!spot) {
		spot = xcalloc(1, sizeof(*spot));
		spot->wd = wd;
		map_put(watch->spots, wd_key(&wd), spot);
	}
	if (spot->scan != watch->scan)
		spot_clear(spot);
	spot->scan = watch->scan;
	return spot;
}

static void spot_wait(struct watch *watch, const char *dir, const char *path)
{
	struct spot *spot = spot_add(watch, dir, DIR_EVENTS | IN_ONLYDIR);
	if (!spot)
		return;
	spot->waits = grow(spot->waits, spot->wait_count, &spot->wait_capacity, sizeof(char *));
	spot->waits[spot->wait_count++] = xstrndup(path, strlen(path));
}

/* Drops the watches that the scan just done had no use for. */
static void sweep_spots(struct watch *watch)
{
	for (struct map_entry *e = map_first(watch->spots), *next; e; e = next) {
		struct spot *spot = map_value(e);
		next = map_next(e);
		if (spot->scan == watch->scan)
			continue;
		inotify_rm_watch(watch->fd, spot->wd);
		map_del(watch->spots, wd_key(&spot->wd));
		spot_free(spot);
	}
}

/* ---- Walking ---- */

static bool is_manifest(struct str name)
{
	return name.n && name.p[0] != '.' &&
	       (str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
		str_ends(name, STR(".json")));
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* True the first time; otherwise the directory is a loop, or reached a second time. */
static bool visit(struct walk *walk, const struct stat *st)
{
	uint64_t id[2] = { st->st_dev, st->st_ino };
	struct str key = { (const char *)id, sizeof(id) };
	return map_put(walk->visited, key, walk->watch) == NULL;
}

static char *join(const char *dir, const char *name)
{
	struct sb sb;
	sb_init(&sb, MAX_PATH_TEXT);
	sb_adds(&sb, dir);
	if (sb.len && sb.data[sb.len - 1] != '/')
		sb_addc(&sb, '/');
	sb_adds(&sb, name);
	if (sb_ok(&sb, NULL))
		return sb_take(&sb, NULL);
	sb_fini(&sb);
	return NULL;
}

static void walk_file(struct walk *walk, const char *path, const struct stat *st, bool is_link)
{
	struct spot *spot = is_link ? spot_add(walk->watch, path, LINK_EVENTS) : NULL;
	if (spot)
		spot->is_target = true;
	walk->ops->file(walk->ops->user, path, st);
}

static void walk_tree(struct walk *walk, const char *path, unsigned int depth, bool named);

static void walk_child(struct walk *walk, const char *path, struct str name, unsigned int depth)
{
	struct stat own, st;
	if (lstat(path, &own) < 0)
		return;
	bool is_link = S_ISLNK(own.st_mode);
	st = own;
	if (is_link && stat(path, &st) < 0) {
		if (is_manifest(name))
			walk->ops->problem(walk->ops->user, path, false,
					   "is a symbolic link to nothing that can be read");
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		if (is_link)
			map_put(walk->watch->links, str_of(path), walk->watch->links);
		if (visit(walk, &st))
			walk_tree(walk, path, depth + 1, false);
	} else if (S_ISREG(st.st_mode) && is_manifest(name)) {
		walk_file(walk, path, &st, is_link);
	}
}

/* The watch comes first, so that what arrives during the reading is not lost. */
static void walk_tree(struct walk *walk, const char *path, unsigned int depth, bool named)
{
	struct dirent **entries;
	char why[160];
	if (depth > MAX_TREE_DEPTH) {
		snprintf(why, sizeof(why), "is more than %d directories deep", MAX_TREE_DEPTH);
		walk->ops->problem(walk->ops->user, path, named, why);
		return;
	}
	struct spot *spot = spot_add(walk->watch, path, DIR_EVENTS | IN_ONLYDIR);
	if (spot) {
		free(spot->tree);
		spot->tree = xstrndup(path, strlen(path));
	}
	int count = scandir(path, &entries, visible, by_name);
	if (count < 0) {
		snprintf(why, sizeof(why), "cannot be read: %s", strerror(errno));
		walk->ops->problem(walk->ops->user, path, named, why);
		return;
	}
	for (int i = 0; i < count; i++) {
		char *child = join(path, entries[i]->d_name);
		if (child)
			walk_child(walk, child, str_of(entries[i]->d_name), depth);
		free(child);
		free(entries[i]);
	}
	free(entries);
}

/* The directory part of a path, "." or "/" when there is none; heap. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrndup(".", 1);
	return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Waits in the nearest directory that exists for the next part of the path to appear. Looks
 * again after the watch is set: it may have appeared in between. */
static void wait_for(struct watch *watch, const char *path)
{
	char *child = xstrndup(path, strlen(path));
	for (;;) {
		char *dir = parent_of(child);
		struct stat st;
		bool at_top = strcmp(dir, child) == 0;
		if (stat(dir, &st) == 0 || at_top || strcmp(dir, ".") == 0) {
			spot_wait(watch, dir, child);
			free(dir);
			break;
		}
		free(child);
		child = dir;
	}
	free(child);
}

static void walk_named(struct walk *walk, const char *path)
{
	struct stat own, st;
	wait_for(walk->watch, path);
	if (lstat(path, &own) < 0 || stat(path, &st) < 0) {
		char why[160];
		snprintf(why, sizeof(why), "cannot be read: %s", strerror(errno));
		walk->ops->problem(walk->ops->user, path, true, why);
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		if (visit(walk, &st))
			walk_tree(walk, path, 0, true);
	} else {
		walk_file(walk, path, &st, S_ISLNK(own.st_mode));
	}
}

void watch_scan(struct watch *watch, const struct watch_ops *ops)
{
	struct walk walk = { .watch = watch, .ops = ops, .visited = map_new() };
	watch->scan++;
	watch->degraded = false;
	map_free(watch->links, NULL);
	watch->links = map_new();
	for (size_t i = 0; i < watch->path_count; i++)
		walk_named(&walk, watch->paths[i]);
	map_free(walk.visited, NULL);
	sweep_spots(watch);
}

/* ---- Events ---- */

struct reading {
	struct watch *watch;
	void (*changed)(void *user, const char *path);
	void *user;
	bool scan;
};

/* A file that is being created is read when it is closed; a second name for a finished file
 * (link(2)) never is. */
static bool is_unfinished(const struct inotify_event *event, const struct stat *st)
{
	return (event->mask & IN_CREATE) && st->st_nlink == 1;
}

/* A name in a directory of a tree. */
static void on_child(struct reading *reading, const struct spot *spot,
		     const struct inotify_event *event)
{
	struct str name = str_of(event->name);
	struct stat st;
	if (str_starts(name, STR("..")) || (name.p[0] != '.' && (event->mask & IN_ISDIR))) {
		reading->scan = true; /* "..data" of a mounted ConfigMap; directories */
		return;
	}
	if (name.p[0] == '.')
		return;
	char *path = join(spot->tree, event->name);
	if (!path)
		return;
	bool there = lstat(path, &st) == 0;
	if ((there && S_ISLNK(st.st_mode)) || map_get(reading->watch->links, str_of(path)))
		reading->scan = true;
	else if (is_manifest(name) && !(there && is_unfinished(event, &st)))
		reading->changed(reading->user, path);
	free(path);
}

/* A name on the way to a named path, or that path itself. */
static void on_awaited(struct reading *reading, const struct spot *spot,
		       const struct inotify_event *event)
{
	for (size_t i = 0; i < spot->wait_count; i++) {
		const char *path = spot->waits[i];
		const char *slash = strrchr(path, '/');
		struct stat st;
		if (strcmp(slash ? slash + 1 : path, event->name) != 0)
			continue;
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
			reading->scan = true;
		else if (!is_unfinished(event, &st))
			reading->changed(reading->user, path);
	}
}

static void on_event(struct reading *reading, const struct inotify_event *event)
{
	struct watch *watch = reading->watch;
	if (event->mask & IN_Q_OVERFLOW) {
		reading->scan = true;
		return;
	}
	struct spot *spot = map_get(watch->spots, wd_key(&event->wd));
	if (!spot)
		return;
	if (event->mask & IN_IGNORED) { /* the kernel has dropped it: deleted, unmounted */
		map_del(watch->spots, wd_key(&event->wd));
		spot_free(spot);
		reading->scan = true;
		return;
	}
	if (event->len == 0) { /* about the inode itself */
		bool gone = event->mask & (IN_DELETE_SELF | IN_MOVE_SELF);
		reading->scan |= gone || spot->is_target ||
				 (spot->tree && (event->mask & IN_ATTRIB));
		return;
	}
	if (spot->tree)
		on_child(reading, spot, event);
	on_awaited(reading, spot, event);
}

bool watch_read(struct watch *watch, void (*changed)(void *user, const char *path), void *user)
{
	struct reading reading = { .watch = watch, .changed = changed, .user = user };
	_Alignas(struct inotify_event) char buffer[16 * 1024];
	ssize_t n;
	while (watch->fd >= 0 && (n = read(watch->fd, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + n;) {
			const struct inotify_event *event = (const void *)at;
			on_event(&reading, event);
			at += sizeof(*event) + event->len;
		}
	}
	return reading.scan;
}

/* ---- Lifetime ---- */

/* Without slashes at the end, so that paths below it join and compare as expected. */
static char *clean_path(const char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	return xstrndup(path, n);
}

struct watch *watch_new(const char *const *paths, size_t path_count, bool follow)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));
	watch->paths = xcalloc(path_count, sizeof(*watch->paths));
	watch->path_count = path_count;
	for (size_t i = 0; i < path_count; i++)
		watch->paths[i] = clean_path(paths[i]);
	watch->spots = map_new();
	watch->links = map_new();
	watch->fd = follow ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
	return watch;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->path_count; i++)
		free(watch->paths[i]);
	free(watch->paths);
	map_free(watch->spots, spot_free);
	map_free(watch->links, NULL);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return watch->fd;
}

bool watch_degraded(const struct watch *watch)
{
	return watch->fd < 0 || watch->degraded;
}
