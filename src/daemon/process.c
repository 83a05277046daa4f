/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sb.h"

extern char **environ;

struct process {
	struct ev_loop *loop;
	process_ended_fn ended;
	void *user;
	pid_t pid;
	ev_child child; /* of one we started */
	ev_io pidfd;    /* of one we adopted; the connection to one that is somebody else's */
};

/* output_fd: where both streams go; -1: standard error is inherited, standard output too. */
static bool spawn(const char *const argv[], int output_fd, pid_t *ret_pid, struct error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (output_fd >= 0) {
		posix_spawn_file_actions_adddup2(&actions, output_fd, 1);
		posix_spawn_file_actions_adddup2(&actions, output_fd, 2);
	}
	sigemptyset(&none);
	sigfillset(&usual);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSID);
	/* It does not change the strings, though its prototype does not say so. */
	int failed = posix_spawnp(ret_pid, argv[0], &actions, &attr,
				  (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	errno = failed;
	return failed ? error_errno(err, "cannot start '%s'", argv[0]) : true;
}

static void describe(int status, char *text, size_t text_bytes)
{
	if (WIFSIGNALED(status))
		snprintf(text, text_bytes, "signal %d", WTERMSIG(status));
	else
		snprintf(text, text_bytes, "exit status %d", WEXITSTATUS(status));
}

static void unwatch(struct process *process)
{
	ev_child_stop(process->loop, &process->child);
	ev_io_stop(process->loop, &process->pidfd);
	if (process->pidfd.fd >= 0)
		close(process->pidfd.fd);
	ev_io_set(&process->pidfd, -1, EV_READ);
	process->pid = 0;
}

static void on_child(struct ev_loop *loop, ev_child *child, int events)
{
	(void)loop;
	(void)events;
	struct process *process = child->data;
	char how[40];
	if (!WIFEXITED(child->rstatus) && !WIFSIGNALED(child->rstatus))
		return; /* stopped or continued */
	describe(child->rstatus, how, sizeof(how));
	unwatch(process);
	process->ended(process->user, how);
}

static void on_pidfd(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct process *process = io->data;
	const char *how = process->pid > 0 ? "ended" : "hung up";
	unwatch(process);
	process->ended(process->user, how);
}

struct process *process_new(struct ev_loop *loop, process_ended_fn ended, void *user)
{
	struct process *process = xcalloc(1, sizeof(*process));
	process->loop = loop;
	process->ended = ended;
	process->user = user;
	ev_child_init(&process->child, on_child, 0, 0);
	ev_io_init(&process->pidfd, on_pidfd, -1, EV_READ);
	process->child.data = process->pidfd.data = process;
	return process;
}

void process_free(struct process *process)
{
	if (!process)
		return;
	unwatch(process);
	free(process);
}

bool process_start(struct process *process, const char *const argv[], struct error *err)
{
	pid_t pid;
	unwatch(process);
	if (!spawn(argv, -1, &pid, err))
		return false;
	process->pid = pid;
	ev_child_set(&process->child, pid, 0);
	ev_child_start(process->loop, &process->child);
	return true;
}

/* ---- processes that run already ---- */

/* A file of /proc/PID, with a NUL behind it; 0: there is none, or it is empty (a zombie). */
static size_t read_proc(pid_t pid, const char *name, char *ret_text, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = pid > 1 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, ret_text, size - 1) : -1;
	if (fd >= 0)
		close(fd);
	size_t len = n > 0 ? (size_t)n : 0;
	ret_text[len] = '\0';
	return len;
}

static bool has_words(pid_t pid, struct str words)
{
	char text[8192];
	size_t len = read_proc(pid, "cmdline", text, sizeof(text));
	return memmem(text, len, words.p, words.n) != NULL;
}

enum { STAT_PARENT = 4, STAT_START = 22 }; /* see proc(5) */

static uint64_t stat_field(pid_t pid, int field)
{
	char text[2048];
	uint64_t value = 0;
	read_proc(pid, "stat", text, sizeof(text));
	/* "PID (NAME) STATE ...": the name may hold anything. */
	char *end = strrchr(text, ')');
	struct str rest = end ? str_of(end + 1) : STR_NONE;
	for (int at = 2; at < field; at++)
		str_cut(&rest, ' ');
	return str_u64(str_cut(&rest, ' '), UINT64_MAX, &value) ? value : 0;
}

static pid_t find(struct str words)
{
	DIR *proc = opendir("/proc");
	pid_t found = 0;
	uint64_t found_start = 0;
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		uint64_t number;
		if (!str_u64(str_of(entry->d_name), INT32_MAX, &number))
			continue;
		pid_t pid = (pid_t)number;
		if (!has_words(pid, words) ||
		    has_words((pid_t)stat_field(pid, STAT_PARENT), words))
			continue;
		uint64_t start = stat_field(pid, STAT_START);
		if (start >= found_start) {
			found = pid;
			found_start = start;
		}
	}
	if (proc)
		closedir(proc);
	return found;
}

static void watch_fd(struct process *process, int fd)
{
	ev_io_set(&process->pidfd, fd, EV_READ);
	ev_io_start(process->loop, &process->pidfd);
}

bool process_adopt(struct process *process, struct str words)
{
	pid_t pid = find(words);
	int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pidfd < 0)
		return false;
	unwatch(process);
	process->pid = pid;
	watch_fd(process, pidfd);
	return true;
}

static int connect_to(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(socket_path);
	assert(len < sizeof(address.sun_path));
	memcpy(address.sun_path, socket_path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool process_follow(struct process *process, const char *socket_path)
{
	int fd = connect_to(socket_path);
	if (fd < 0)
		return false;
	unwatch(process);
	watch_fd(process, fd);
	return true;
}

bool process_accepts(const char *socket_path)
{
	int fd = connect_to(socket_path);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool process_runs(struct process *process)
{
	return ev_is_active(&process->child) || ev_is_active(&process->pidfd);
}

pid_t process_pid(const struct process *process)
{
	return process->pid;
}

void process_signal(const struct process *process, int signal)
{
	if (process->pid > 0)
		kill(process->pid, signal);
}

/* ---- short commands ---- */

enum { MAX_OUTPUT_BYTES = 64 * 1024 };

struct run { /* done when the output is closed and the process has ended */
	process_output_fn done;
	void *user;
	ev_io io;
	ev_child child;
	struct sb output;
};

static void run_settle(struct run *run)
{
	if (ev_is_active(&run->io) || ev_is_active(&run->child))
		return;
	int status = run->child.rstatus;
	run->done(run->user, sb_str(&run->output), WIFEXITED(status) && WEXITSTATUS(status) == 0);
	sb_fini(&run->output);
	free(run);
}

static void on_output(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct run *run = io->data;
	char buf[4096];
	ssize_t n = read(io->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		size_t room = MAX_OUTPUT_BYTES - run->output.len;
		sb_add(&run->output, str_sub((struct str){ buf, (size_t)n }, 0, room));
		return;
	}
	ev_io_stop(loop, io);
	close(io->fd);
	run_settle(run);
}

static void on_run_child(struct ev_loop *loop, ev_child *child, int events)
{
	(void)events;
	struct run *run = child->data;
	if (!WIFEXITED(child->rstatus) && !WIFSIGNALED(child->rstatus))
		return;
	ev_child_stop(loop, child);
	run_settle(run);
}

static bool spawn_piped(const char *const argv[], int *ret_fd, pid_t *ret_pid, struct error *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "no pipe for '%s'", argv[0]);
	bool started = spawn(argv, fds[1], ret_pid, err);
	close(fds[1]);
	if (!started)
		close(fds[0]);
	*ret_fd = fds[0];
	return started;
}

bool process_run(struct ev_loop *loop, const char *const argv[], process_output_fn done, void *user,
		 struct error *err)
{
	int fd;
	pid_t pid;
	if (!spawn_piped(argv, &fd, &pid, err))
		return false;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	struct run *run = xcalloc(1, sizeof(*run));
	run->done = done;
	run->user = user;
	sb_init(&run->output, MAX_OUTPUT_BYTES);
	ev_io_init(&run->io, on_output, fd, EV_READ);
	ev_child_init(&run->child, on_run_child, pid, 0);
	run->io.data = run->child.data = run;
	ev_io_start(loop, &run->io);
	ev_child_start(loop, &run->child);
	return true;
}

bool process_run_wait(const char *const argv[], char *ret_output, size_t output_bytes,
		      struct error *err)
{
	int fd, status = 1;
	pid_t pid;
	if (!spawn_piped(argv, &fd, &pid, err))
		return false;
	size_t len = 0;
	char buf[4096];
	for (ssize_t n; (n = read(fd, buf, sizeof(buf))) != 0;) {
		if (n < 0 && errno != EINTR)
			break;
		for (ssize_t i = 0; i < n && len + 1 < output_bytes; i++)
			ret_output[len++] = buf[i];
	}
	ret_output[len] = '\0';
	close(fd);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERR_IO, "'%s' failed: %.200s", argv[0], ret_output);
	return true;
}
