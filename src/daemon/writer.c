/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/writer.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/map.h"

enum { RETRY_S = 2 };

struct job {
	char *data; /* NULL: remove the file */
	size_t len;
	mode_t mode;
	bool durable;
};

struct writer {
	struct ev_loop *loop;
	writer_state_fn state;
	void *user;
	ev_async wake;
	pthread_t thread;
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t more, over; /* there are jobs; a round is over */
	struct map *jobs;  /* path -> struct job */
	struct map *round; /* those the thread has taken; the keys stay until it is over; or NULL */
	size_t busy;       /* of the round, not done yet */
	bool stop;
	bool failing, told_failing;
	struct error err;
};

static void job_free(void *p)
{
	struct job *job = p;
	if (!job)
		return;
	free(job->data);
	free(job);
}

static bool write_all(int fd, struct str data)
{
	while (data.n > 0) {
		ssize_t n = write(fd, data.p, data.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data = str_sub(data, (size_t)n, data.n);
	}
	return true;
}

/* A rename is on the disk once its directory is. A file system that cannot say so is no reason to
 * fail: the file is whole either way. Changes path. */
static void sync_directory(char *path)
{
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

bool file_replace(const char *path, struct str data, mode_t mode, bool durable,
		  struct error *err)
{
	char tmp[4096];
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		return error_set(err, ERR_LIMIT, "path too long: %s", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_errno(err, "cannot create %s", tmp);
	bool done = fchmod(fd, mode) == 0 && write_all(fd, data) && (!durable || fsync(fd) == 0);
	if (!done)
		error_errno(err, "cannot write %s", tmp);
	close(fd);
	if (done && rename(tmp, path) < 0)
		done = error_errno(err, "cannot replace %s", path);
	if (!done)
		unlink(tmp);
	else if (durable)
		sync_directory(tmp);
	return done;
}

static bool run_job(const char *path, const struct job *job, struct error *err)
{
	if (job->data)
		return file_replace(path, (struct str){ job->data, job->len }, job->mode,
				    job->durable, err);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, "cannot remove %s", path);
	return true;
}

/* Runs one round over the jobs taken; what failed goes back unless a newer job came. */
static void run_round(struct writer *writer, struct map *jobs)
{
	bool failed = false;
	struct error err = { 0 };
	for (struct map_entry *e = map_first(jobs); e; e = map_next(e)) {
		struct job *job = map_value(e);
		struct error one;
		bool done = run_job(map_key(e).p, job, &one);
		pthread_mutex_lock(&writer->lock);
		if (!done && !map_get(writer->jobs, map_key(e)))
			map_put(writer->jobs, map_key(e), job);
		else
			job_free(job);
		writer->busy--;
		pthread_mutex_unlock(&writer->lock);
		if (!done && !failed)
			err = one;
		failed |= !done;
	}
	pthread_mutex_lock(&writer->lock);
	map_free(jobs, NULL);
	writer->round = NULL;
	pthread_cond_broadcast(&writer->over);
	if (failed)
		writer->err = err;
	writer->failing = failed;
	if (writer->failing != writer->told_failing)
		ev_async_send(writer->loop, &writer->wake);
	pthread_mutex_unlock(&writer->lock);
}

static void wait_for_jobs(struct writer *writer)
{
	if (writer->failing) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += RETRY_S;
		pthread_cond_timedwait(&writer->more, &writer->lock, &until);
		return;
	}
	while (!writer->stop && map_count(writer->jobs) == 0)
		pthread_cond_wait(&writer->more, &writer->lock);
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	pthread_mutex_lock(&writer->lock);
	for (;;) {
		if (!writer->stop)
			wait_for_jobs(writer);
		bool last = writer->stop;
		struct map *jobs = writer->jobs;
		writer->jobs = map_new();
		writer->round = jobs;
		writer->busy = map_count(jobs);
		pthread_mutex_unlock(&writer->lock);
		run_round(writer, jobs);
		pthread_mutex_lock(&writer->lock);
		if (last)
			break;
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

static void on_wake(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	struct writer *writer = async->data;
	pthread_mutex_lock(&writer->lock);
	bool changed = writer->failing != writer->told_failing;
	bool failing = writer->failing;
	struct error err = writer->err;
	writer->told_failing = failing;
	pthread_mutex_unlock(&writer->lock);
	if (changed)
		writer->state(writer->user, failing ? &err : NULL);
}

struct writer *writer_new(struct ev_loop *loop, writer_state_fn state, void *user,
			  struct error *err)
{
	struct writer *writer = xcalloc(1, sizeof(*writer));
	writer->loop = loop;
	writer->state = state;
	writer->user = user;
	writer->jobs = map_new();
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->more, &clock);
	pthread_cond_init(&writer->over, NULL);
	pthread_condattr_destroy(&clock);
	ev_async_init(&writer->wake, on_wake);
	writer->wake.data = writer;
	ev_async_start(loop, &writer->wake);
	ev_unref(loop); /* a loop with nothing else to do may end */
	int failed = pthread_create(&writer->thread, NULL, writer_main, writer);
	if (!failed)
		return writer;
	errno = failed;
	error_errno(err, "cannot start the thread that writes files");
	ev_ref(loop);
	ev_async_stop(loop, &writer->wake);
	map_free(writer->jobs, job_free);
	free(writer);
	return NULL;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stop = true;
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	ev_ref(writer->loop);
	ev_async_stop(writer->loop, &writer->wake);
	map_free(writer->jobs, job_free);
	pthread_cond_destroy(&writer->more);
	pthread_cond_destroy(&writer->over);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

static void writer_add(struct writer *writer, const char *path, struct job *job)
{
	pthread_mutex_lock(&writer->lock);
	job_free(map_put(writer->jobs, str_of(path), job));
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
}

void writer_put(struct writer *writer, const char *path, struct str data, mode_t mode,
		bool durable)
{
	struct sb sb;
	sb_init(&sb, data.n);
	sb_add(&sb, data);
	writer_take(writer, path, &sb, mode, durable);
}

void writer_take(struct writer *writer, const char *path, struct sb *data, mode_t mode,
		 bool durable)
{
	struct job *job = xcalloc(1, sizeof(*job));
	job->data = sb_take(data, &job->len);
	job->mode = mode;
	job->durable = durable;
	writer_add(writer, path, job);
}

void writer_remove(struct writer *writer, const char *path)
{
	writer_add(writer, path, xcalloc(1, sizeof(struct job)));
}

bool writer_replace(struct writer *writer, const char *path, struct str data, mode_t mode,
		    bool durable, struct error *err)
{
	pthread_mutex_lock(&writer->lock);
	while (writer->round && map_get(writer->round, str_of(path)))
		pthread_cond_wait(&writer->over, &writer->lock);
	job_free(map_del(writer->jobs, str_of(path)));
	pthread_mutex_unlock(&writer->lock);
	return file_replace(path, data, mode, durable, err);
}

size_t writer_pending(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	size_t pending = map_count(writer->jobs) + writer->busy;
	pthread_mutex_unlock(&writer->lock);
	return pending;
}
