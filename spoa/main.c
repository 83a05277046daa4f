/* SPDX-License-Identifier: Apache-2.0 */
/* tidegate-spoa: the SPOE agent's command line. The table of options is the help text. */
#include <getopt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "spoa/server.h"

enum { EXIT_USAGE = 2, CHECK_TIMEOUT_S = 2 };

enum option_id {
	OPT_LISTEN = 256,
	OPT_THREADS,
	OPT_MAX_FRAME,
	OPT_MAX_CONNECTIONS,
	OPT_HELLO_TIMEOUT,
	OPT_IDLE_TIMEOUT,
	OPT_CACHE_LISTS,
	OPT_CACHE_BYTES,
	OPT_NO_PIPELINING,
	OPT_STATS_SOCKET,
	OPT_LOG_FORMAT,
	OPT_CHECK,
	OPT_VERSION,
	OPT_HELP,
};

static const struct spoa_option {
	enum option_id id;
	const char *name;
	const char *arg; /* NULL: takes none */
	uint64_t min, max;
	const char *help;
} options_table[] = {
	{ OPT_LISTEN, "listen", "ADDRESS", 0, 0,
	  "unix@PATH, abns@NAME, IPV4:PORT or [IPV6]:PORT (required)" },
	{ OPT_THREADS, "threads", "N", 1, 64, "threads, each with its own loop and cache (default: "
	  "the processors, at most 4)" },
	{ OPT_MAX_FRAME, "max-frame-size", "BYTES", 256, 1048572,
	  "largest frame; HAProxy offers tune.bufsize - 4 (default 16380)" },
	{ OPT_MAX_CONNECTIONS, "max-connections", "N", 1, 1000000,
	  "connections beyond are closed at once (default 1000)" },
	{ OPT_HELLO_TIMEOUT, "hello-timeout", "SECONDS", 1, 3600,
	  "for a peer's hello, the rest of a frame, and reading answers (default 5)" },
	{ OPT_IDLE_TIMEOUT, "idle-timeout", "SECONDS", 1, 86400,
	  "longer than HAProxy's own, so that it closes first (default 600)" },
	{ OPT_CACHE_LISTS, "cache-lists", "N", 1, 1000000,
	  "compiled decision lists kept by each thread (default 10000)" },
	{ OPT_CACHE_BYTES, "cache-bytes", "BYTES", 65536, 1u << 30,
	  "their memory, by each thread (default 33554432)" },
	{ OPT_NO_PIPELINING, "no-pipelining", NULL, 0, 0,
	  "one request at a time on a connection" },
	{ OPT_STATS_SOCKET, "stats-socket", "PATH", 0, 0,
	  "a Unix socket; whoever connects reads the counters, 'name value' a line" },
	{ OPT_LOG_FORMAT, "log-format", "text|json", 0, 0, "of standard error (default text)" },
	{ OPT_CHECK, "check", "PATH", 0, 0,
	  "does nothing but ask the agent with this stats socket: fails when it does not answer "
	  "within two seconds" },
	{ OPT_VERSION, "version", NULL, 0, 0, "prints the version" },
	{ OPT_HELP, "help", NULL, 0, 0, "prints this" },
};

enum { OPTION_COUNT = sizeof(options_table) / sizeof(*options_table) };

static void print_help(FILE *to)
{
	fputs("Usage: tidegate-spoa --listen ADDRESS [OPTION...]\n"
	      "Decides for HAProxy, over SPOP, which backend a request goes to.\n\n", to);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct spoa_option *option = &options_table[i];
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", option->name, option->arg ? " " : "",
			 option->arg ? option->arg : "");
		fprintf(to, "  %-26s %s\n", left, option->help);
	}
}

static bool parse_number(const struct spoa_option *option, const char *arg, uint64_t *ret_value,
			 struct error *err)
{
	if (!str_u64(str_of(arg), option->max, ret_value) || *ret_value < option->min)
		return error_set(err, ERR_SYNTAX, "--%s must be %llu..%llu, got '%s'", option->name,
				 (unsigned long long)option->min, (unsigned long long)option->max,
				 arg);
	return true;
}

static bool set_log_format(struct server_options *options, const char *arg, struct error *err)
{
	if (!strcmp(arg, "text"))
		options->log.format = LOG_TEXT;
	else if (!strcmp(arg, "json"))
		options->log.format = LOG_JSON;
	else
		return error_set(err, ERR_SYNTAX, "--log-format must be text or json, got '%s'",
				 arg);
	return true;
}

static void set_number(struct server_options *options, enum option_id id, uint64_t value)
{
	switch (id) {
	case OPT_THREADS:
		options->threads = (unsigned)value;
		break;
	case OPT_MAX_FRAME:
		options->max_frame_bytes = value;
		break;
	case OPT_MAX_CONNECTIONS:
		options->max_connections = (unsigned)value;
		break;
	case OPT_HELLO_TIMEOUT:
		options->hello_timeout_s = (unsigned)value;
		break;
	case OPT_IDLE_TIMEOUT:
		options->idle_timeout_s = (unsigned)value;
		break;
	case OPT_CACHE_LISTS:
		options->cache_lists = (unsigned)value;
		break;
	case OPT_CACHE_BYTES:
		options->cache_bytes = value;
		break;
	default:
		break;
	}
}

static bool set_option(struct server_options *options, const struct spoa_option *option,
		       const char *arg, struct error *err)
{
	uint64_t value;
	switch (option->id) {
	case OPT_LISTEN:
		options->listen = arg;
		return true;
	case OPT_STATS_SOCKET:
		options->stats_socket = arg;
		return true;
	case OPT_NO_PIPELINING:
		options->pipelining = false;
		return true;
	case OPT_LOG_FORMAT:
		return set_log_format(options, arg, err);
	default:
		if (!parse_number(option, arg, &value, err))
			return false;
		set_number(options, option->id, value);
		return true;
	}
}

static void fill_getopt(struct option long_options[OPTION_COUNT + 1])
{
	memset(long_options, 0, sizeof(struct option) * (OPTION_COUNT + 1));
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		long_options[i].name = options_table[i].name;
		long_options[i].has_arg = options_table[i].arg ? required_argument : no_argument;
		long_options[i].val = options_table[i].id;
	}
}

static int check(const char *stats_socket)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = CHECK_TIMEOUT_S };
	char byte;
	size_t n = strlen(stats_socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || n >= sizeof(address.sun_path))
		return EXIT_FAILURE;
	memcpy(address.sun_path, stats_socket, n);
	/* Sending is what connecting waits for, when the backlog is full. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	bool answers = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
		       recv(fd, &byte, 1, 0) == 1;
	close(fd);
	if (!answers)
		fprintf(stderr, "tidegate-spoa: %s does not answer\n", stats_socket);
	return answers ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* -1: go on; otherwise the exit status. */
static int parse_args(int argc, char **argv, struct server_options *options)
{
	struct option long_options[OPTION_COUNT + 1];
	struct error err;
	fill_getopt(long_options);
	for (;;) {
		int id = getopt_long(argc, argv, "", long_options, NULL);
		if (id < 0)
			break;
		if (id == OPT_HELP) {
			print_help(stdout);
			return EXIT_SUCCESS;
		}
		if (id == OPT_VERSION) {
			puts("tidegate-spoa " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		}
		if (id == OPT_CHECK)
			return check(optarg);
		if (id < OPT_LISTEN)
			return EXIT_USAGE; /* getopt has said why */
		if (!set_option(options, &options_table[id - OPT_LISTEN], optarg, &err)) {
			fprintf(stderr, "tidegate-spoa: %s\n", err.text);
			return EXIT_USAGE;
		}
	}
	if (optind == argc && options->listen)
		return -1;
	fprintf(stderr, "tidegate-spoa: %s\n",
		optind < argc ? "there are only options, no arguments" : "--listen is required");
	print_help(stderr);
	return EXIT_USAGE;
}

static unsigned default_threads(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	return processors < 1 ? 1 : processors > 4 ? 4 : (unsigned)processors;
}

int main(int argc, char **argv)
{
	struct server_options options = {
		.threads = default_threads(),
		.max_frame_bytes = 16380,
		.max_connections = 1000,
		.hello_timeout_s = 5,
		.idle_timeout_s = 600,
		.cache_lists = 10000,
		.cache_bytes = 32 * 1024 * 1024,
		.pipelining = true,
	};
	int status = parse_args(argc, argv, &options);
	if (status >= 0)
		return status;
	struct error err;
	if (!server_run(&options, &err)) {
		log_line(&options.log, LOG_ERROR, "%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
