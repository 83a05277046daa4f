/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

enum { BACKLOG = 1024, SOCKET_MODE = 0660 };

static const char unix_prefix[] = "unix@";
static const char abns_prefix[] = "abns@";

static int open_socket(int family, struct error *err)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		error_errno(err, "cannot make a socket");
	return fd;
}

/* False when a file is in the way that may not be removed. */
static bool remove_stale(const struct sockaddr_un *address, struct error *err)
{
	struct stat st;
	if (lstat(address->sun_path, &st) < 0)
		return true;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERR_REFUSED, "%s is there and not a socket",
				 address->sun_path);
	int fd = open_socket(AF_UNIX, err);
	if (fd < 0)
		return false;
	bool dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		    errno == ECONNREFUSED;
	close(fd);
	if (!dead)
		return error_set(err, ERR_REFUSED, "another process listens on %s",
				 address->sun_path);
	unlink(address->sun_path);
	return true;
}

static bool bind_unix(int fd, const struct sockaddr_un *address, struct error *err)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return error_errno(err, "cannot bind %s", address->sun_path);
	/* Before listen(), so nobody can connect with a wider mode. */
	if (chmod(address->sun_path, SOCKET_MODE) < 0)
		return error_errno(err, "cannot set the mode of %s", address->sun_path);
	return true;
}

static int open_unix(const char *path, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	if (!n || n >= sizeof(address.sun_path)) {
		error_set(err, ERR_SYNTAX, "a socket path has 1 to %zu bytes: '%s'",
			  sizeof(address.sun_path) - 1, path);
		return -1;
	}
	memcpy(address.sun_path, path, n);
	if (!remove_stale(&address, err))
		return -1;
	int fd = open_socket(AF_UNIX, err);
	if (fd >= 0 && !bind_unix(fd, &address, err)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* HAProxy pads abstract names with zeros to the whole field, so the length is all of it. */
static int open_abstract(const char *name, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	if (!n || n >= sizeof(address.sun_path)) {
		error_set(err, ERR_SYNTAX, "an abstract name has 1 to %zu bytes: '%s'",
			  sizeof(address.sun_path) - 1, name);
		return -1;
	}
	memcpy(address.sun_path + 1, name, n);
	int fd = open_socket(AF_UNIX, err);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		error_errno(err, "cannot bind abns@%s", name);
		close(fd);
		return -1;
	}
	return fd;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" into two C strings inside `buffer`. */
static bool split_host(const char *address, char *buffer, size_t size, char **ret_host,
		       char **ret_port)
{
	size_t n = strlen(address);
	if (n >= size)
		return false;
	memcpy(buffer, address, n + 1);
	char *colon = strrchr(buffer, ':');
	if (!colon || colon == buffer || !colon[1])
		return false;
	*colon = '\0';
	*ret_host = buffer;
	*ret_port = colon + 1;
	if (buffer[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		*ret_host = buffer + 1;
	}
	return true;
}

static int bind_inet(const struct addrinfo *info, const char *address, struct error *err)
{
	int fd = open_socket(info->ai_family, err);
	if (fd < 0)
		return -1;
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0) {
		error_errno(err, "cannot bind %s", address);
		close(fd);
		return -1;
	}
	return fd;
}

static int open_inet(const char *address, struct error *err)
{
	char buffer[256], *host, *port;
	struct addrinfo *info = NULL;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	if (!split_host(address, buffer, sizeof(buffer), &host, &port) ||
	    getaddrinfo(host, port, &hints, &info) != 0) {
		error_set(err, ERR_SYNTAX,
			  "'%s' is not an address: unix@PATH, abns@NAME, IPV4:PORT or [IPV6]:PORT",
			  address);
		return -1;
	}
	int fd = bind_inet(info, address, err);
	freeaddrinfo(info);
	return fd;
}

int listen_open(const char *address, struct error *err)
{
	struct str text = str_of(address);
	int fd;
	if (str_starts(text, str_of(unix_prefix)))
		fd = open_unix(address + sizeof(unix_prefix) - 1, err);
	else if (str_starts(text, str_of(abns_prefix)))
		fd = open_abstract(address + sizeof(abns_prefix) - 1, err);
	else
		fd = open_inet(address, err);
	if (fd >= 0 && listen(fd, BACKLOG) < 0) {
		error_errno(err, "cannot listen on %s", address);
		close(fd);
		return -1;
	}
	return fd;
}

void listen_unlink(const char *address)
{
	if (str_starts(str_of(address), str_of(unix_prefix)))
		unlink(address + sizeof(unix_prefix) - 1);
}
