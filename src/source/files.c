/* SPDX-License-Identifier: Apache-2.0 */
/* The shell around the catalog: when to look, what to read, and what to make of files that are
 * gone, half-written or broken.
 *
 *   inotify ──► dirty paths, or a scan ──► (2 ms of silence) ──► read, digest ──► catalog
 *
 * What came together is read over as many turns of the loop as it takes, and delivered together.
 * A file whose state is not final (gone for less than GONE_MS, broken for less than BROKEN_MS,
 * being written in place) is `unsettled` and looked at again by the same timer. */
#include "source/files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/map.h"
#include "base/sb.h"
#include "source/catalog.h"
#include "source/clock.h"
#include "source/watch.h"

enum {
	QUIET_MS = 2,     /* since the last event */
	PATIENCE_MS = 50, /* since the first one */
	GONE_MS = 50,     /* a file that vanishes and comes back within it never left */
	BROKEN_MS = 300,  /* a file that cannot be parsed for this long is a finding */
	FRESH_MS = 100,   /* written in place so lately that the writer may not be done */
	TURN_MS = 50,     /* of reading, before the loop may do something else */
	POLL_MS = 2000,   /* between scans when the system has no inotify watches left, and
			   * between looks at a file that cannot be read */
};

/* What tells versions of a file apart without reading it. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct tracked {
	char *path;
	struct identity identity;
	unsigned char digest[DIGEST_RAW_BYTES]; /* of the text last tried */
	bool tried;                             /* digest is set */
	bool bad_text;                          /* the text last tried cannot be parsed */
	bool loaded;                            /* some text of it is in force */
	uint64_t scan;                          /* the last one that saw it */
	int64_t again_ms;                       /* being written: when to look; 0: it is not */
	int64_t gone_ms, broken_ms;             /* since when; 0: it is not */
	char *problem;                          /* while broken */
	bool reported;                          /* the problem is a finding */
};

struct files_source {
	struct ev_loop *loop; /* NULL: files_load() */
	struct ev_io io;
	struct ev_timer timer;
	struct source_sink sink;
	struct watch *watch;
	struct catalog *catalog;
	struct map *files;     /* path -> struct tracked */
	struct map *unsettled; /* likewise, some of them */
	struct map *dirty;     /* paths to read; value: the map itself */
	struct map *batch;     /* those being read, over as many turns as they take; NULL: none */
	bool scan_wanted, force, news;
	uint64_t scan;
	int64_t first_event_ms, due_ms; /* 0: none */
	size_t reported_count;     /* files */
	struct findings *problems; /* of the last scan; in its own arena */
	struct sb problem_paths;   /* likewise, each with a NUL behind it */
	struct files_stats stats;
};

static struct findings *findings_make(void)
{
	struct arena *arena = arena_new();
	struct findings *findings = arena_alloc(arena, sizeof(*findings));
	findings_init(findings, arena);
	return findings;
}

/* ---- Reading ---- */

static char *read_all(int fd, size_t size_hint, size_t *ret_len, struct error *err)
{
	size_t capacity = size_hint + 1, len = 0;
	char *text = xmalloc(capacity);
	for (;;) {
		ssize_t n = read(fd, text + len, capacity - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*ret_len = len;
			if (n == 0)
				return text;
			error_errno(err, "cannot be read");
			break;
		}
		len += (size_t)n;
		if (len > MAX_DOCUMENT_BYTES) {
			error_set(err, ERR_LIMIT, "is larger than %d MiB",
				  MAX_DOCUMENT_BYTES / (1024 * 1024));
			break;
		}
		if (len == capacity) {
			capacity *= 2;
			text = xrealloc(text, capacity);
		}
	}
	free(text);
	return NULL;
}

/* NULL on failure (ERR_NOTFOUND: there is no such file). */
static char *read_file(const char *path, struct stat *ret_st, size_t *ret_len, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	if (fd < 0) {
		bool gone = errno == ENOENT || errno == ENOTDIR;
		error_errno(err, "cannot be read");
		if (gone)
			err->code = ERR_NOTFOUND;
		return NULL;
	}
	if (fstat(fd, ret_st) < 0)
		error_errno(err, "cannot be read");
	else if (!S_ISREG(ret_st->st_mode))
		error_set(err, ERR_IO, "is not a regular file");
	else if (ret_st->st_size > MAX_DOCUMENT_BYTES)
		error_set(err, ERR_LIMIT, "is larger than %d MiB",
			  MAX_DOCUMENT_BYTES / (1024 * 1024));
	else
		text = read_all(fd, (size_t)ret_st->st_size, ret_len, err);
	close(fd);
	return text;
}

static char *reread(void *user, const char *path, size_t *ret_len)
{
	struct stat st;
	struct error err;
	(void)user;
	return read_file(path, &st, ret_len, &err);
}

/* ---- One file ---- */

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){ .device = st->st_dev,
				  .inode = st->st_ino,
				  .size = st->st_size,
				  .modified = st->st_mtim,
				  .changed = st->st_ctim };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

static void tracked_free(void *user)
{
	struct tracked *file = user;
	free(file->path);
	free(file->problem);
	free(file);
}

static struct tracked *track(struct files_source *source, const char *path)
{
	struct tracked *file = map_get(source->files, str_of(path));
	if (file)
		return file;
	file = xcalloc(1, sizeof(*file));
	file->path = xstrndup(path, strlen(path));
	map_put(source->files, str_of(path), file);
	return file;
}

static void unsettle(struct files_source *source, struct tracked *file)
{
	map_put(source->unsettled, str_of(file->path), file);
}

static void set_reported(struct files_source *source, struct tracked *file, bool reported)
{
	source->news |= file->reported != reported;
	source->reported_count -= file->reported;
	source->reported_count += reported;
	file->reported = reported;
}

static void forget(struct files_source *source, struct tracked *file)
{
	catalog_drop(source->catalog, file->path);
	set_reported(source, file, false);
	map_del(source->unsettled, str_of(file->path));
	map_del(source->files, str_of(file->path));
	tracked_free(file);
}

/* True when the path is, or lies below, one that could not be looked at. */
static bool is_hidden(const struct files_source *source, const char *path)
{
	const char *at = source->problem_paths.data;
	const char *end = at ? at + source->problem_paths.len : NULL;
	for (; at < end; at += strlen(at) + 1) {
		size_t n = strlen(at);
		if (strncmp(path, at, n) == 0 &&
		    (path[n] == '/' || path[n] == '\0' || (n && at[n - 1] == '/')))
			return true;
	}
	return false;
}

/* The file is not there: it leaves when it stays away, unless all of its directory does. */
static void file_gone(struct files_source *source, struct tracked *file, int64_t now)
{
	if (is_hidden(source, file->path)) {
		file->gone_ms = 0;
		return;
	}
	if (!file->tried || (file->gone_ms && now - file->gone_ms >= GONE_MS) || !source->loop) {
		forget(source, file);
		return;
	}
	if (!file->gone_ms)
		file->gone_ms = now;
	unsettle(source, file);
}

/* The file cannot be used: a finding, unless it is mended soon. During the first scan there
 * is nothing that waiting could save. */
static void file_broken(struct files_source *source, struct tracked *file, const char *problem,
			int64_t now)
{
	if (!file->broken_ms)
		file->broken_ms = now;
	bool same = file->problem && strcmp(file->problem, problem) == 0;
	if (!same) {
		free(file->problem);
		file->problem = xstrndup(problem, strlen(problem));
	}
	bool report = !source->stats.complete || file->reported ||
		      now - file->broken_ms >= BROKEN_MS;
	source->news |= report && !same;
	set_reported(source, file, report);
	if (!report)
		unsettle(source, file);
}

static void file_good(struct files_source *source, struct tracked *file)
{
	set_reported(source, file, false);
	file->broken_ms = 0;
	free(file->problem);
	file->problem = NULL;
}

static void use_text(struct files_source *source, struct tracked *file, struct str text,
		     int64_t now)
{
	unsigned char digest[DIGEST_RAW_BYTES];
	struct error err;
	digest_raw(text, digest);
	bool same = file->tried && memcmp(digest, file->digest, sizeof(digest)) == 0;
	if (same && !file->bad_text) {
		file_good(source, file);
		return;
	}
	if (!same)
		source->stats.parse_count++;
	memcpy(file->digest, digest, sizeof(digest));
	file->tried = true;
	file->bad_text = !catalog_set(source->catalog, file->path, text, &err);
	if (!file->bad_text) {
		file->loaded = true;
		file_good(source, file);
		return;
	}
	if (!same)
		source->stats.parse_failures++;
	file_broken(source, file, err.text, now);
}

static void load(struct files_source *source, struct tracked *file)
{
	struct stat st;
	struct error err = { ERR_NONE, "" };
	struct str text;
	char why[sizeof(err.text) + 256];
	int64_t now = clock_ms();
	char *p = read_file(file->path, &st, &text.n, &err);
	file->again_ms = 0;
	if (!p && err.code == ERR_NOTFOUND) {
		file_gone(source, file, now);
		return;
	}
	file->gone_ms = 0;
	if (!p) {
		snprintf(why, sizeof(why), "%.200s: %s", file->path, err.text);
		file_broken(source, file, why, now);
		/* No event tells when there are descriptors or memory again. */
		if (file->reported && source->loop && err.code != ERR_LIMIT) {
			file->again_ms = now + POLL_MS;
			unsettle(source, file);
		}
		return;
	}
	text.p = p;
	file->identity = identity_of(&st);
	use_text(source, file, text, now);
	free(p);
}

/* ---- Scans ---- */

/* True when somebody may be in the middle of writing the file in place. */
static bool is_fresh(const struct tracked *file, const struct stat *st)
{
	struct timespec now;
	if (!file->tried || st->st_ino != file->identity.inode ||
	    st->st_dev != file->identity.device)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age_ms = (int64_t)(now.tv_sec - st->st_mtim.tv_sec) * 1000 +
			 (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
	return age_ms >= 0 && age_ms < FRESH_MS;
}

static void make_dirty(struct files_source *source, const char *path)
{
	map_put(source->dirty, str_of(path), source->dirty);
}

/* The first scan reads at once: nothing waits for us yet. */
static void scan_file(void *user, const char *path, const struct stat *st)
{
	struct files_source *source = user;
	struct tracked *file = track(source, path);
	struct identity identity = identity_of(st);
	file->scan = source->scan;
	if (file->tried && !file->gone_ms && !source->force &&
	    same_identity(&identity, &file->identity))
		return;
	if (is_fresh(file, st) && !same_identity(&identity, &file->identity)) {
		file->again_ms = clock_ms() + FRESH_MS;
		unsettle(source, file);
		return;
	}
	if (source->stats.complete)
		make_dirty(source, path);
	else
		load(source, file);
}

static void scan_problem(void *user, const char *path, bool named, const char *text)
{
	struct files_source *source = user;
	struct meta meta = { .name = str_of(path), .origin = str_of(path) };
	findings_add(source->problems, SEVERITY_ERROR, KIND_NONE, &meta, NULL,
		     named ? "PathMissing" : "Unreadable", "%s %s; %s", path, text,
		     "objects read from it before stay in force");
	source->stats.missing_paths += named;
	sb_add(&source->problem_paths, (struct str){ path, strlen(path) + 1 });
}

static bool same_findings(const struct findings *a, const struct findings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (finding_cmp(&a->items[i], &b->items[i]) != 0)
			return false;
	}
	return true;
}

static void note_degraded(struct files_source *source)
{
	if (!source->loop || !watch_degraded(source->watch))
		return;
	struct meta meta = { .name = STR("inotify") };
	findings_add(source->problems, SEVERITY_WARNING, KIND_NONE, &meta, NULL, "NotWatched",
		     "the system has no inotify watches left, so files are looked at every %d "
		     "s; raise fs.inotify.max_user_watches and max_user_instances",
		     POLL_MS / 1000);
}

static void scan(struct files_source *source)
{
	struct watch_ops ops = { .user = source, .file = scan_file, .problem = scan_problem };
	struct findings *old = source->problems;
	source->scan++;
	source->stats.missing_paths = 0;
	source->problems = findings_make();
	sb_reset(&source->problem_paths);
	watch_scan(source->watch, &ops);
	note_degraded(source);
	source->news |= !same_findings(old, source->problems);
	arena_free(old->arena);
	int64_t now = clock_ms();
	for (struct map_entry *e = map_first(source->files), *next; e; e = next) {
		struct tracked *file = map_value(e);
		next = map_next(e);
		if (file->scan != source->scan && !is_hidden(source, file->path))
			file_gone(source, file, now);
	}
	source->force = false;
}

/* ---- The timer ---- */

/* When an unsettled file is to be looked at; 0: at once. */
static int64_t settles_at(const struct tracked *file)
{
	if (file->gone_ms)
		return file->gone_ms + GONE_MS;
	if (file->again_ms)
		return file->again_ms;
	return file->broken_ms && !file->reported ? file->broken_ms + BROKEN_MS : 0;
}

static void arm(struct files_source *source, int64_t due)
{
	if (!source->loop || (source->due_ms && source->due_ms <= due))
		return;
	int64_t now = clock_ms();
	source->due_ms = due;
	ev_timer_stop(source->loop, &source->timer);
	ev_now_update(source->loop);
	ev_timer_set(&source->timer, due > now ? (double)(due - now) / 1000.0 : 0., 0.);
	ev_timer_start(source->loop, &source->timer);
}

static void rearm(struct files_source *source)
{
	int64_t now = clock_ms();
	for (struct map_entry *e = map_first(source->unsettled); e; e = map_next(e))
		arm(source, settles_at(map_value(e)));
	if (watch_degraded(source->watch))
		arm(source, now + POLL_MS);
}

/* Looks again at the files that were not in their final state. */
static void visit_unsettled(struct files_source *source)
{
	struct map *files = source->unsettled;
	int64_t now = clock_ms();
	source->unsettled = map_new();
	for (struct map_entry *e = map_first(files); e; e = map_next(e)) {
		struct tracked *file = map_value(e);
		if (settles_at(file) > now)
			unsettle(source, file);
		else
			load(source, file);
	}
	map_free(files, NULL);
}

/* False when some are left for another turn: what came together is delivered together. */
static bool visit_dirty(struct files_source *source)
{
	int64_t until = clock_ms() + TURN_MS;
	if (!source->batch) {
		source->batch = source->dirty;
		source->dirty = map_new();
	}
	for (struct map_entry *e; (e = map_first(source->batch));) {
		if (source->loop && clock_ms() >= until)
			return false;
		struct tracked *file = track(source, map_key(e).p);
		map_del(source->batch, map_key(e));
		load(source, file);
	}
	map_free(source->batch, NULL);
	source->batch = NULL;
	return true;
}

static void process(struct files_source *source)
{
	bool first = !source->stats.complete;
	source->first_event_ms = 0;
	source->due_ms = 0;
	visit_unsettled(source);
	if (source->scan_wanted || (source->loop && watch_degraded(source->watch))) {
		source->scan_wanted = false;
		scan(source);
	}
	if (!visit_dirty(source)) {
		arm(source, clock_ms());
		return;
	}
	bool changed = catalog_flush(source->catalog);
	source->stats.complete = true;
	if (changed || source->news || first)
		source->sink.settled(source->sink.user);
	source->news = false;
	if (map_count(source->dirty))
		arm(source, clock_ms());
	rearm(source);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	process(timer->data);
}

static void on_changed(void *user, const char *path)
{
	make_dirty(user, path);
}

/* Acts QUIET_MS after the last event, at most PATIENCE_MS after the first. */
static void on_inotify(struct ev_loop *loop, struct ev_io *io, int revents)
{
	struct files_source *source = io->data;
	(void)loop, (void)revents;
	source->scan_wanted |= watch_read(source->watch, on_changed, source);
	if (!source->scan_wanted && map_count(source->dirty) == 0)
		return;
	int64_t now = clock_ms();
	if (!source->first_event_ms)
		source->first_event_ms = now;
	int64_t latest = source->first_event_ms + PATIENCE_MS;
	source->due_ms = 0; /* moves on with every event; process() arms what else is due */
	arm(source, now + QUIET_MS < latest ? now + QUIET_MS : latest);
}

/* ---- The interface ---- */

struct files_source *files_source_new(struct ev_loop *loop, const char *const *paths,
				      size_t path_count, const struct source_sink *sink)
{
	struct files_source *source = xcalloc(1, sizeof(*source));
	struct catalog_ops ops = {
		.user = sink->user, .put = sink->put, .remove = sink->remove, .read = reread
	};
	source->loop = loop;
	source->sink = *sink;
	source->watch = watch_new(paths, path_count, loop != NULL);
	source->catalog = catalog_new(&ops);
	source->files = map_new();
	source->unsettled = map_new();
	source->dirty = map_new();
	source->problems = findings_make();
	sb_init(&source->problem_paths, SIZE_MAX / 2);
	ev_init(&source->timer, on_timer);
	source->timer.data = source;
	if (loop && watch_fd(source->watch) >= 0) {
		ev_io_init(&source->io, on_inotify, watch_fd(source->watch), EV_READ);
		source->io.data = source;
		ev_io_start(loop, &source->io);
	}
	return source;
}

void files_source_free(struct files_source *source)
{
	if (!source)
		return;
	if (source->loop) {
		ev_timer_stop(source->loop, &source->timer);
		if (watch_fd(source->watch) >= 0)
			ev_io_stop(source->loop, &source->io);
	}
	watch_free(source->watch);
	catalog_free(source->catalog);
	map_free(source->files, tracked_free);
	map_free(source->unsettled, NULL);
	map_free(source->dirty, NULL);
	map_free(source->batch, NULL);
	arena_free(source->problems->arena);
	sb_fini(&source->problem_paths);
	free(source);
}

void files_source_start(struct files_source *source)
{
	source->scan_wanted = true;
	process(source);
}

void files_source_rescan(struct files_source *source)
{
	source->scan_wanted = true;
	source->force = true;
	arm(source, clock_ms());
}

static void file_findings(const struct files_source *source, struct findings *findings)
{
	struct map_entry *e = source->reported_count ? map_first(source->files) : NULL;
	for (; e; e = map_next(e)) {
		const struct tracked *file = map_value(e);
		struct meta meta = { .name = map_key(e), .origin = map_key(e) };
		if (file->reported)
			findings_add(findings, SEVERITY_ERROR, KIND_NONE, &meta, NULL,
				     file->bad_text ? "ParseFailed" : "Unreadable", "%s%s",
				     file->problem,
				     file->loaded ? "; its last good version stays in force" : "");
	}
}

void files_source_findings(const struct files_source *source, struct findings *findings)
{
	findings_append(findings, source->problems);
	file_findings(source, findings);
	catalog_findings(source->catalog, findings);
}

void files_source_stats(const struct files_source *source, struct files_stats *ret_stats)
{
	*ret_stats = source->stats;
	ret_stats->files = map_count(source->files);
	catalog_stats(source->catalog, ret_stats);
}

void files_source_state(const struct files_source *source, struct source_state *ret_state)
{
	*ret_state = (struct source_state){ .complete = source->stats.complete };
}

void files_source_doubt(const struct files_source *source, char *ret_why, size_t size)
{
	struct arena *arena = arena_new();
	struct findings findings;
	struct files_stats stats;
	ret_why[0] = '\0';
	findings_init(&findings, arena);
	files_source_findings(source, &findings);
	files_source_stats(source, &stats);
	for (size_t i = 0; i < findings.count && !*ret_why; i++) {
		const struct finding *f = &findings.items[i];
		if (f->kind == KIND_NONE && f->severity == SEVERITY_ERROR)
			snprintf(ret_why, size, STR_FMT ": " STR_FMT, STR_ARG(f->name),
				 STR_ARG(f->text));
	}
	if (!*ret_why && stats.missing_paths)
		snprintf(ret_why, size, "a named path is missing or cannot be read");
	if (!*ret_why && stats.objects == 0)
		snprintf(ret_why, size, "the manifests hold no objects (SIGHUP accepts that)");
	arena_free(arena);
}

/* ---- Without a loop ---- */

static void load_put(void *user, struct object *object)
{
	store_put(user, object);
}

static void load_remove(void *user, enum kind kind, struct str ns, struct str name)
{
	store_delete(user, kind, ns, name);
}

static void load_settled(void *user)
{
	(void)user;
}

static bool check_path(const char *path, struct error *err)
{
	struct stat st;
	bool directory = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (directory ? O_DIRECTORY : 0));
	if (fd < 0) {
		bool gone = errno == ENOENT;
		error_errno(err, "%s", path);
		if (gone)
			err->code = ERR_NOTFOUND;
		return false;
	}
	close(fd);
	return true;
}

bool files_load(const char *const *paths, size_t path_count, struct store *store,
		struct findings *findings, struct error *err)
{
	struct source_sink sink = {
		.user = store, .put = load_put, .remove = load_remove, .settled = load_settled
	};
	for (size_t i = 0; i < path_count; i++) {
		if (!check_path(paths[i], err))
			return false;
	}
	struct files_source *source = files_source_new(NULL, paths, path_count, &sink);
	files_source_start(source);
	files_source_findings(source, findings);
	files_source_free(source);
	return true;
}
