/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_QUERY_BYTES = 256 * 1024, MAX_ANSWER_BYTES = 512 * 1024 * 1024, TIMEOUT_S = 60 };

void ctl_escape(struct sb *sb, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
		if (plain)
			sb_addc(sb, (char)c);
		else
			sb_addf(sb, "%%%02X", c);
	}
}

enum report_format ctl_format(const struct cli *cli)
{
	enum report_format format = REPORT_TABLE;
	report_format_parse(str_of(cli_option(cli, "output")), &format);
	return format;
}

bool ctl_colours(const struct cli *cli)
{
	return !cli_has(cli, "no-color") && (cli_has(cli, "color") || isatty(STDOUT_FILENO));
}

int ctl_error(const struct cli *cli, const struct error *err, int status)
{
	fprintf(stderr, "%s: %s\n", cli->program->name, err->text);
	return status;
}

void ask_init(struct ask *ask, const struct cli *cli, const char *verb, bool post)
{
	static const char *const names[] = { "table", "json", "yaml" };
	*ask = (struct ask){ .cli = cli, .verb = verb, .post = post };
	sb_init(&ask->query, MAX_QUERY_BYTES);
	sb_addf(&ask->query, "format=%s", names[ctl_format(cli)]);
	if (ctl_colours(cli))
		ask_add(ask, "colours", "1");
}

void ask_add(struct ask *ask, const char *name, const char *value)
{
	sb_addf(&ask->query, "&%s=", name);
	ctl_escape(&ask->query, value);
}

void ask_args(struct ask *ask, size_t from)
{
	for (size_t i = from; i < ask->cli->arg_count; i++)
		ask_add(ask, "arg", ask->cli->args[i]);
}

static size_t collect(char *data, size_t size, size_t count, void *user)
{
	struct sb *body = user;
	sb_add(body, (struct str){ data, size * count });
	return body->failed ? 0 : size * count;
}

/* False with a sentence that says what to do about it. */
static bool transfer(const struct ask *ask, const char *url, struct sb *body, long *ret_status,
		     struct error *err)
{
	const struct ctl *ctl = ask->cli->user;
	CURL *curl = curl_easy_init();
	if (!curl)
		return error_set(err, ERR_NOMEM, "libcurl cannot be used");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	if (ask->post) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
	}
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	curl_easy_cleanup(curl);
	struct stat st;
	if (code == CURLE_OK)
		return true;
	if (code != CURLE_COULDNT_CONNECT)
		return error_set(err, ERR_IO, "%s: %s", ctl->socket, curl_easy_strerror(code));
	if (stat(ctl->socket, &st) != 0 && errno == EACCES)
		return error_set(err, ERR_IO, "no access to %s: use sudo, or the user or group that "
					      "tidegate runs as", ctl->socket);
	if (access(ctl->socket, F_OK) == 0 && access(ctl->socket, W_OK) != 0)
		return error_set(err, ERR_IO, "no permission to write to %s: use sudo, or the user "
					      "or group that tidegate runs as", ctl->socket);
	return error_set(err, ERR_IO, "no tidegate at %s: is it running? Its run directory can be "
				      "named with --run-dir; in a cluster, ask \"kubectl tidegate\"",
			 ctl->socket);
}

static int exit_status(long status)
{
	if (status == 200)
		return EXIT_OK;
	return status == 400 ? EXIT_USAGE : EXIT_FAILED;
}

static int ask_daemon(struct ask *ask)
{
	struct sb url, body;
	struct error err;
	long status = 0;
	int result;
	sb_init(&url, 2 * MAX_QUERY_BYTES);
	sb_init(&body, MAX_ANSWER_BYTES);
	sb_addf(&url, "http://tidegate/v1/%s?", ask->verb);
	sb_add(&url, sb_str(&ask->query));
	if (!sb_ok(&ask->query, &err) || !transfer(ask, url.data, &body, &status, &err)) {
		result = ctl_error(ask->cli, &err, EXIT_FAILED);
	} else if (status == 200 || status == 409) { /* 409: the answer is "they differ" */
		fwrite(body.data ? body.data : "", 1, body.len, stdout);
		result = fflush(stdout) == 0 ? exit_status(status) : EXIT_FAILED;
	} else {
		fprintf(stderr, "%s: " STR_FMT, ask->cli->program->name, STR_ARG(sb_str(&body)));
		result = exit_status(status);
	}
	sb_fini(&url);
	sb_fini(&body);
	return result;
}

int ask_run(struct ask *ask)
{
	const struct ctl *ctl = ask->cli->user;
	int result = ctl->in_cluster ? run_in_pod(ask->cli) : ask_daemon(ask);
	sb_fini(&ask->query);
	return result;
}

int ask_simply(const struct cli *cli, bool post)
{
	struct ask ask;
	ask_init(&ask, cli, cli->verb->name, post);
	ask_args(&ask, 0);
	return ask_run(&ask);
}
