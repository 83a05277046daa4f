/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include "base/str.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void send_text(const char *path, const char *text, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t path_len = strlen(path);
	if (path_len < 2 || path_len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, path_len);
	if (path[0] == '@') /* the abstract name space */
		addr.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	socklen_t addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
	(void)!sendto(fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&addr, addr_len);
	close(fd);
}

void notify_send(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (!path || !*path)
		return;
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len > 0 && (size_t)len < sizeof(text))
		send_text(path, text, (size_t)len);
}

void notify_reloading(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld\n",
		    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

double notify_watchdog_s(void)
{
	const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t limit_us, wanted_pid;
	if (!limit || !str_u64(str_of(limit), UINT64_C(1) << 40, &limit_us) || limit_us == 0)
		return 0;
	if (pid && (!str_u64(str_of(pid), INT32_MAX, &wanted_pid) ||
		    wanted_pid != (uint64_t)getpid()))
		return 0;
	return (double)limit_us / 2e6;
}
