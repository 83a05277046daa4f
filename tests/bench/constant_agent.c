/* SPDX-License-Identifier: Apache-2.0 */
/* constant_agent PATH [pipelining]: an agent that gives every question the same answer
 * without looking at it, on a Unix socket, until a signal ends it.
 *
 * What an agent costs at least: the benchmark compares tidegate-spoa with it. It trusts its
 * HAProxy. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/spop.h"

enum { MAX_PEERS = 1024, BUFFER_BYTES = 1 << 18, MAX_FRAME_BYTES = 16380 };

static bool pipelining;

struct peer {
	size_t len;
	uint8_t in[BUFFER_BYTES];
};

static struct pollfd fds[1 + MAX_PEERS]; /* the first one listens */
static struct peer *peers[1 + MAX_PEERS];
static nfds_t fd_count = 1;

static void answer_notify(const struct spop_frame *frame, struct wire_out *out)
{
	const struct spop_data verdict = { .type = SPOP_STRING,
					   .bytes = STR("default.web.80 default/store/0") };
	uint8_t *mark = spop_begin(out, SPOP_ACK, frame->stream_id, frame->frame_id);
	spop_set_var_write(out, SPOP_TXN, "route", &verdict);
	spop_end(out, mark);
}

static void answer_hello(struct wire_out *out)
{
	const struct spop_hello hello = {
		.versions = STR("2.0"),
		.max_frame_bytes = MAX_FRAME_BYTES,
		.capabilities = pipelining ? STR("pipelining") : STR(""),
	};
	spop_agent_hello_write(out, &hello);
}

/* Answers the whole frames; returns the bytes used up. */
static size_t answer(struct str bytes, struct wire_out *out)
{
	struct wire_in in = wire_in_of(bytes);
	size_t used = 0;
	while (wire_left(&in) >= SPOP_LENGTH_BYTES) {
		struct spop_frame frame;
		size_t length = wire_u32(&in);
		if (length > wire_left(&in))
			break;
		bool read = spop_frame_read(wire_bytes(&in, length), &frame);
		if (read && frame.type == SPOP_NOTIFY)
			answer_notify(&frame, out);
		else if (read && frame.type == SPOP_HAPROXY_HELLO)
			answer_hello(out);
		used = (size_t)((const char *)in.at - bytes.p);
	}
	return used;
}

/* False at the end of the connection. */
static bool serve(int fd, struct peer *peer)
{
	static uint8_t answers[BUFFER_BYTES];
	ssize_t n = recv(fd, peer->in + peer->len, sizeof(peer->in) - peer->len, 0);
	if (n <= 0)
		return false;
	peer->len += (size_t)n;
	struct wire_out out = wire_out_of(answers, sizeof(answers));
	size_t used = answer((struct str){ (const char *)peer->in, peer->len }, &out);
	peer->len -= used;
	memmove(peer->in, peer->in + used, peer->len);
	ssize_t len = out.at - answers;
	return !out.failed && (len == 0 || send(fd, answers, (size_t)len, MSG_NOSIGNAL) == len);
}

static void accept_peer(void)
{
	int fd = accept(fds[0].fd, NULL, NULL);
	if (fd >= 0 && fd_count <= MAX_PEERS) {
		peers[fd_count] = calloc(1, sizeof(struct peer));
		fds[fd_count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	} else if (fd >= 0) {
		close(fd);
	}
}

static void drop_peer(nfds_t i)
{
	close(fds[i].fd);
	free(peers[i]);
	fds[i] = fds[--fd_count];
	peers[i] = peers[fd_count];
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (argc < 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: %s PATH [pipelining]\n", argv[0]);
		return 2;
	}
	pipelining = argc > 2;
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 128) < 0) {
		perror(argv[1]);
		return 1;
	}
	fds[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	while (poll(fds, fd_count, -1) > 0) {
		if (fds[0].revents)
			accept_peer();
		for (nfds_t i = fd_count; i-- > 1;) {
			if (fds[i].revents && !serve(fds[i].fd, peers[i]))
				drop_peer(i);
		}
	}
	return 1;
}
