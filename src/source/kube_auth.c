/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kube_auth.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sb.h"
#include "decode/syntax.h"
#include "source/clock.h"

enum {
	MAX_OUTPUT_BYTES = 1024 * 1024,
	EXPIRY_MARGIN_S = 10, /* asked for again so long before it expires */
	PAUSE_S = 10,         /* a plug-in whose credentials are of no use runs no more often */
};
#define EXEC_PATIENCE_S 60.0

extern char **environ;

struct kept_file { /* what was read, and of which version of the file */
	const char *what;
	bool (*accepts)(struct str text); /* false: half-written */
	char *text; /* NULL: it could not be read yet */
	struct stat st;
};

struct plugin {
	pid_t pid; /* 0: it does not run */
	ev_io io;
	ev_child child;
	ev_timer timer;
	struct sb output;
	struct arena *arena; /* of the credential; NULL: none */
	struct kube_credential credential;
	int64_t expires_s; /* wall clock; 0: never */
	int64_t started_s; /* monotonic */
	bool refused;
};

struct kube_auth {
	struct ev_loop *loop;
	const struct kubeconfig *config;
	void (*settled)(void *user, const char *why);
	void *user;
	struct kept_file token, cert, key;
	struct plugin plugin;
};

/* ---- Files ---- */

static bool is_token(struct str text)
{
	return !str_empty(text) && str_printable(text);
}

static bool is_pem(struct str text)
{
	return !str_empty(text) && strstr(text.p, "-----END ");
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A file that cannot be read for a moment leaves what was read as it was. */
static bool refresh(struct kept_file *file, const char *path, struct error *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return file->text || error_errno(err, "the %s %s cannot be read", file->what, path);
	if (file->text && same_file(&st, &file->st))
		return true;
	char *text = kube_read_file(path, NULL, err);
	if (!text)
		return file->text != NULL;
	struct str trimmed = str_trim(str_of(text));
	if (!file->accepts(trimmed)) {
		free(text);
		return file->text || error_set(err, ERR_SYNTAX, "%s holds no %s", path, file->what);
	}
	free(file->text);
	file->text = xstrndup(trimmed.p, trimmed.n);
	file->st = st;
	free(text);
	return true;
}

/* path empty: *ret stays as it is. */
static bool use_file(struct kept_file *file, struct str path, struct str *ret, struct error *err)
{
	if (str_empty(path))
		return true;
	if (!refresh(file, path.p, err))
		return false;
	*ret = str_of(file->text);
	return true;
}

/* ---- What a plug-in is told and what it prints ---- */

/* The CA as base64, or nothing when there is none. */
static void add_ca(struct json_object *cluster, const struct kubeconfig *config)
{
	char *text = NULL;
	struct str pem = config->ca_pem;
	if (!str_empty(config->ca_file)) {
		text = kube_read_file(config->ca_file.p, &pem.n, NULL);
		pem.p = text;
	}
	if (pem.p && pem.n) {
		unsigned char *coded = xmalloc(pem.n / 3 * 4 + 5);
		EVP_EncodeBlock(coded, (const unsigned char *)pem.p, (int)pem.n);
		json_object_object_add(cluster, "certificate-authority-data",
				       json_object_new_string((char *)coded));
		free(coded);
	}
	free(text);
}

static struct json_object *cluster_info(const struct kubeconfig *config)
{
	struct json_object *cluster = json_object_new_object();
	json_object_object_add(cluster, "server", json_object_new_string(config->server.p));
	json_object_object_add(cluster, "insecure-skip-tls-verify",
			       json_object_new_boolean(config->insecure));
	if (!str_empty(config->tls_server_name))
		json_object_object_add(cluster, "tls-server-name",
				       json_object_new_string(config->tls_server_name.p));
	if (!str_empty(config->proxy_url))
		json_object_object_add(cluster, "proxy-url",
				       json_object_new_string(config->proxy_url.p));
	add_ca(cluster, config);
	return cluster;
}

static struct str exec_info(const struct kubeconfig *config, struct arena *arena)
{
	struct json_object *info = json_object_new_object(), *spec = json_object_new_object();
	json_object_object_add(info, "apiVersion",
			       json_object_new_string(config->exec.api_version.p));
	json_object_object_add(info, "kind", json_object_new_string("ExecCredential"));
	json_object_object_add(spec, "interactive", json_object_new_boolean(false));
	if (config->exec.wants_cluster)
		json_object_object_add(spec, "cluster", cluster_info(config));
	json_object_object_add(info, "spec", spec);
	struct str text = arena_strf(arena, "KUBERNETES_EXEC_INFO=%s",
				     json_object_to_json_string_ext(info, JSON_C_TO_STRING_PLAIN));
	json_object_put(info);
	return text;
}

static struct str status_text(struct json_object *status, const char *name, struct arena *arena)
{
	struct json_object *value;
	if (!json_object_object_get_ex(status, name, &value) ||
	    !json_object_is_type(value, json_type_string))
		return STR_NONE;
	return arena_str(arena, str_of(json_object_get_string(value)));
}

static bool read_status(struct json_object *json, struct str api_version, struct arena *arena,
			struct kube_credential *ret, int64_t *ret_expires_s, struct error *err)
{
	struct json_object *status;
	struct str version = status_text(json, "apiVersion", arena);
	if (!str_eq(version, api_version))
		return error_set(err, ERR_SYNTAX, "it answered in apiVersion '" STR_FMT
				 "' instead of " STR_FMT, STR_ARG(version), STR_ARG(api_version));
	if (!json_object_object_get_ex(json, "status", &status) ||
	    !json_object_is_type(status, json_type_object))
		return error_set(err, ERR_SYNTAX, "its answer has no status");
	ret->token = status_text(status, "token", arena);
	ret->cert_pem = status_text(status, "clientCertificateData", arena);
	ret->key_pem = status_text(status, "clientKeyData", arena);
	if (str_empty(ret->token) && (str_empty(ret->cert_pem) || str_empty(ret->key_pem)))
		return error_set(err, ERR_SYNTAX, "it gave neither a token nor a certificate with "
						  "its key");
	struct str expires = status_text(status, "expirationTimestamp", arena);
	*ret_expires_s = 0;
	if (!str_empty(expires) && !parse_time(expires, ret_expires_s))
		return error_set(err, ERR_SYNTAX, "its expirationTimestamp '" STR_FMT
				 "' is no time", STR_ARG(expires));
	return true;
}

bool kube_auth_parse(struct str output, struct str api_version, struct arena *arena,
		     struct kube_credential *ret, int64_t *ret_expires_s, struct error *err)
{
	struct kube_credential credential = { .token = STR_NONE };
	char *text = xstrndup(output.p, output.n);
	struct json_object *json = json_tokener_parse(text);
	bool ok = json_object_is_type(json, json_type_object) ?
			  read_status(json, api_version, arena, &credential, ret_expires_s, err) :
			  error_set(err, ERR_SYNTAX, "it printed no ExecCredential in JSON");
	json_object_put(json);
	free(text);
	if (ok)
		*ret = credential;
	return ok;
}

/* ---- Running a plug-in ---- */

static void plugin_forget(struct plugin *plugin)
{
	arena_free(plugin->arena);
	plugin->arena = NULL;
}

/* The new credential takes the place of the old one only when it is one. */
static bool plugin_take(struct kube_auth *auth, int status, struct error *err)
{
	struct plugin *plugin = &auth->plugin;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERR_IO, "%s %d", WIFSIGNALED(status) ? "it ended by signal" :
									     "its exit status is",
				 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (!sb_ok(&plugin->output, err))
		return false;
	struct arena *arena = arena_new();
	if (!kube_auth_parse(sb_str(&plugin->output), auth->config->exec.api_version, arena,
			     &plugin->credential, &plugin->expires_s, err)) {
		arena_free(arena);
		return false;
	}
	plugin_forget(plugin);
	plugin->arena = arena;
	plugin->refused = false;
	return true;
}

static void plugin_settle(struct kube_auth *auth)
{
	struct plugin *plugin = &auth->plugin;
	if (ev_is_active(&plugin->io) || ev_is_active(&plugin->child))
		return;
	struct error err = { .code = ERR_NONE };
	ev_timer_stop(auth->loop, &plugin->timer);
	plugin->pid = 0;
	bool ok = plugin_take(auth, plugin->child.rstatus, &err);
	sb_fini(&plugin->output);
	if (!ok) {
		const struct kube_exec *exec = &auth->config->exec;
		error_prefix(&err, "exec plug-in %s", exec->argv[0].p);
	}
	auth->settled(auth->user, ok ? NULL : err.text);
}

static void on_output(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct kube_auth *auth = io->data;
	char buf[4096];
	ssize_t n = read(io->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		sb_add(&auth->plugin.output, (struct str){ buf, (size_t)n });
		return;
	}
	ev_io_stop(loop, io);
	close(io->fd);
	plugin_settle(auth);
}

static void on_child(struct ev_loop *loop, ev_child *child, int events)
{
	(void)events;
	if (!WIFEXITED(child->rstatus) && !WIFSIGNALED(child->rstatus))
		return;
	ev_child_stop(loop, child);
	plugin_settle(child->data);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct kube_auth *auth = timer->data;
	kill(-auth->plugin.pid, SIGKILL); /* it leads a session of its own */
}

/* What the protocol wants, the configured environment, then ours: the first one of a name
 * counts. */
static char **make_environment(const struct kubeconfig *config, struct arena *arena)
{
	size_t own = 0, count = 0;
	while (environ[own])
		own++;
	char **env = arena_array(arena, own + config->exec.env_count + 2, sizeof(*env));
	struct str info = exec_info(config, arena);
	env[count++] = (char *)(uintptr_t)info.p;
	for (size_t i = 0; i < config->exec.env_count; i++)
		env[count++] = (char *)(uintptr_t)config->exec.env[i].p;
	for (size_t i = 0; i < own; i++)
		env[count++] = environ[i];
	return env;
}

static bool spawn(const struct kubeconfig *config, int output_fd, pid_t *ret_pid, struct error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	struct arena *arena = arena_new();
	char *argv[KUBE_MAX_EXEC_WORDS + 1] = { NULL };
	for (size_t i = 0; i < config->exec.argc; i++)
		argv[i] = (char *)(uintptr_t)config->exec.argv[i].p;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output_fd, 1);
	sigemptyset(&none);
	sigfillset(&usual);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSID);
	int failed = posix_spawnp(ret_pid, argv[0], &actions, &attr, argv,
				  make_environment(config, arena));
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	arena_free(arena);
	if (!failed)
		return true;
	return error_set(err, ERR_IO, "the exec plug-in %s cannot be started: %s. %s", argv[0],
			 strerror(failed), config->exec.install_hint.p);
}

static bool plugin_start(struct kube_auth *auth, struct error *err)
{
	struct plugin *plugin = &auth->plugin;
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "no pipe for the exec plug-in");
	bool started = spawn(auth->config, fds[1], &plugin->pid, err);
	close(fds[1]);
	if (!started) {
		close(fds[0]);
		return false;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	plugin->started_s = (int64_t)clock_s();
	sb_init(&plugin->output, MAX_OUTPUT_BYTES);
	ev_io_set(&plugin->io, fds[0], EV_READ);
	ev_io_start(auth->loop, &plugin->io);
	ev_child_set(&plugin->child, plugin->pid, 0);
	ev_child_start(auth->loop, &plugin->child);
	ev_timer_set(&plugin->timer, EXEC_PATIENCE_S, 0);
	ev_timer_start(auth->loop, &plugin->timer);
	return true;
}

static enum kube_auth_state plugin_get(struct kube_auth *auth, struct kube_credential *ret,
				       struct error *err)
{
	struct plugin *plugin = &auth->plugin;
	bool expired = plugin->expires_s &&
		       (int64_t)time(NULL) + EXPIRY_MARGIN_S >= plugin->expires_s;
	bool tried_lately = (int64_t)clock_s() - plugin->started_s < PAUSE_S;
	if (plugin->pid)
		return KUBE_AUTH_WAIT;
	if (plugin->arena && ((!expired && !plugin->refused) || tried_lately)) {
		ret->token = plugin->credential.token;
		if (!str_empty(plugin->credential.cert_pem)) {
			ret->cert_pem = plugin->credential.cert_pem;
			ret->key_pem = plugin->credential.key_pem;
		}
		return KUBE_AUTH_READY;
	}
	return plugin_start(auth, err) ? KUBE_AUTH_WAIT : KUBE_AUTH_FAILED;
}

/* ---- Credentials ---- */

enum kube_auth_state kube_auth_get(struct kube_auth *auth, struct kube_credential *ret,
				   struct error *err)
{
	const struct kubeconfig *config = auth->config;
	*ret = (struct kube_credential){ .token = config->token,
					 .cert_pem = config->cert_pem,
					 .key_pem = config->key_pem,
					 .username = config->username,
					 .password = config->password };
	if (!use_file(&auth->token, config->token_file, &ret->token, err) ||
	    !use_file(&auth->cert, config->cert_file, &ret->cert_pem, err) ||
	    !use_file(&auth->key, config->key_file, &ret->key_pem, err))
		return KUBE_AUTH_FAILED;
	return config->exec.argc ? plugin_get(auth, ret, err) : KUBE_AUTH_READY;
}

void kube_auth_refused(struct kube_auth *auth)
{
	/* Read again, whatever the files' times say */
	auth->token.st.st_ino = auth->cert.st.st_ino = auth->key.st.st_ino = 0;
	auth->plugin.refused = true;
}

struct kube_auth *kube_auth_new(struct ev_loop *loop, const struct kubeconfig *config,
				void (*settled)(void *user, const char *why), void *user)
{
	struct kube_auth *auth = xcalloc(1, sizeof(*auth));
	auth->loop = loop;
	auth->config = config;
	auth->settled = settled;
	auth->user = user;
	auth->token = (struct kept_file){ .what = "token", .accepts = is_token };
	auth->cert = (struct kept_file){ .what = "certificate", .accepts = is_pem };
	auth->key = (struct kept_file){ .what = "key", .accepts = is_pem };
	ev_io_init(&auth->plugin.io, on_output, -1, EV_READ);
	ev_child_init(&auth->plugin.child, on_child, 0, 0);
	ev_timer_init(&auth->plugin.timer, on_patience, EXEC_PATIENCE_S, 0);
	auth->plugin.io.data = auth->plugin.child.data = auth->plugin.timer.data = auth;
	return auth;
}

void kube_auth_free(struct kube_auth *auth)
{
	if (!auth)
		return;
	struct plugin *plugin = &auth->plugin;
	ev_timer_stop(auth->loop, &plugin->timer);
	ev_child_stop(auth->loop, &plugin->child);
	if (ev_is_active(&plugin->io)) {
		ev_io_stop(auth->loop, &plugin->io);
		close(plugin->io.fd);
	}
	if (plugin->pid)
		kill(-plugin->pid, SIGKILL);
	sb_fini(&plugin->output);
	plugin_forget(plugin);
	free(auth->token.text);
	free(auth->cert.text);
	free(auth->key.text);
	free(auth);
}
