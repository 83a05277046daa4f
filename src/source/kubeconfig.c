/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/sb.h"
#include "decode/syntax.h"
#include "source/json.h"
#include "source/yaml.h"

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

enum {
	MAX_FILES = 16, /* in $KUBECONFIG */
	MAX_FILE_BYTES = 1024 * 1024,
};

struct config_file {
	const char *path;
	struct json_object *json;
};

/* Files are merged: for every name, and for current-context, the first that has it counts. */
struct config_files {
	struct config_file files[MAX_FILES];
	size_t count;
};

/* One entry of clusters, users or contexts. */
struct section {
	struct kubeconfig *config;
	struct json_object *json; /* the object below "cluster", "user", "context" */
	const char *path;	  /* of its file; relative names start beside it */
	const char *what;	  /* "cluster" */
	const char *name;
};

char *kube_read_file(const char *path, size_t *ret_len, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = fd >= 0 ? xmalloc(MAX_FILE_BYTES + 1) : NULL;
	size_t len = 0;
	ssize_t n = fd >= 0 ? 1 : -1;
	while (n > 0 && len <= MAX_FILE_BYTES) {
		n = read(fd, text + len, MAX_FILE_BYTES + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	bool ok = n == 0;
	if (n < 0) {
		bool gone = errno == ENOENT || errno == ENOTDIR;
		error_errno(err, "%s cannot be read", path);
		if (gone && err)
			err->code = ERR_NOTFOUND;
	} else if (n > 0) {
		error_set(err, ERR_LIMIT, "%s is larger than 1 MiB", path);
	}
	if (fd >= 0)
		close(fd);
	if (!ok) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return xrealloc(text, len + 1);
}

/* ---- Reading sections ---- */

static struct str copy_text(const struct section *section, const char *name)
{
	return arena_str(section->config->arena, str_of(json_cstr(section->json, name)));
}

/* The path of a file that is named in the section; empty when it is not. */
static struct str copy_path(const struct section *section, const char *name)
{
	const char *path = json_cstr(section->json, name);
	const char *slash = strrchr(section->path, '/');
	if (!*path || *path == '/' || !slash)
		return arena_str(section->config->arena, str_of(path));
	return arena_strf(section->config->arena, "%.*s/%s", (int)(slash - section->path),
			  section->path, path);
}

/* NAME-data, in base64, counts before the file NAME. */
static bool copy_file_or_data(const struct section *section, const char *name, struct str *ret_file,
			      struct str *ret_data, struct error *err)
{
	char key[64];
	snprintf(key, sizeof(key), "%s-data", name);
	const char *text = json_cstr(section->json, key);
	struct str bytes;
	if (!*text) {
		*ret_file = copy_path(section, name);
		return true;
	}
	if (!parse_base64(section->config->arena, str_of(text), &bytes))
		return error_set(err, ERR_SYNTAX, "%s: %s of %s '%s' is not base64", section->path,
				 key, section->what, section->name);
	*ret_data = arena_str(section->config->arena, bytes);
	return true;
}

/* "users" of name "dev" holds its object below "user". */
static bool find_section(const struct config_files *files, const char *what, const char *name,
			 struct section *ret, struct error *err)
{
	char list[16];
	snprintf(list, sizeof(list), "%ss", what);
	for (size_t f = 0; f < files->count; f++) {
		struct json_object *entries = json_field(files->files[f].json, list);
		size_t count = json_object_is_type(entries, json_type_array) ?
				       json_object_array_length(entries) : 0;
		for (size_t i = 0; i < count; i++) {
			struct json_object *entry = json_object_array_get_idx(entries, i);
			if (strcmp(json_cstr(entry, "name"), name) != 0)
				continue;
			ret->json = json_field(entry, what);
			ret->path = files->files[f].path;
			ret->what = what;
			ret->name = name;
			return true;
		}
	}
	return error_set(err, ERR_NOTFOUND, "%s: there is no %s '%s'", files->files[0].path, what,
			 name);
}

static bool read_cluster(const struct section *section, struct error *err)
{
	struct kubeconfig *config = section->config;
	struct str server = str_of(json_cstr(section->json, "server"));
	while (server.n && server.p[server.n - 1] == '/')
		server.n--;
	if (!str_starts(server, STR("https://")) && !str_starts(server, STR("http://")))
		return error_set(err, ERR_SYNTAX, "%s: cluster '%s': server must be a URL such as "
				 "https://10.0.0.1:6443", section->path, section->name);
	config->server = arena_str(config->arena, server);
	config->insecure = json_object_get_boolean(json_field(section->json,
							  "insecure-skip-tls-verify"));
	config->tls_server_name = copy_text(section, "tls-server-name");
	config->proxy_url = copy_text(section, "proxy-url");
	return copy_file_or_data(section, "certificate-authority", &config->ca_file,
				 &config->ca_pem, err);
}

/* ---- Exec plug-ins ---- */

static bool read_exec_words(const struct section *section, struct json_object *exec,
			    struct error *err)
{
	struct kubeconfig *config = section->config;
	struct kube_exec *ret = &config->exec;
	struct json_object *args = json_field(exec, "args");
	size_t count = json_object_is_type(args, json_type_array) ? json_object_array_length(args) :
								    0;
	if (count >= KUBE_MAX_EXEC_WORDS)
		return error_set(err, ERR_LIMIT, "%s: user '%s': more than %d args of exec",
				 section->path, section->name, KUBE_MAX_EXEC_WORDS - 1);
	ret->argc = 1;
	for (size_t i = 0; i < count; i++)
		ret->argv[ret->argc++] = arena_str(config->arena,
						   str_of(json_object_get_string(
							   json_object_array_get_idx(args, i))));
	return true;
}

static bool read_exec_env(const struct section *section, struct json_object *exec,
			  struct error *err)
{
	struct kube_exec *ret = &section->config->exec;
	struct json_object *env = json_field(exec, "env");
	size_t count = json_object_is_type(env, json_type_array) ? json_object_array_length(env) : 0;
	if (count >= KUBE_MAX_EXEC_WORDS)
		return error_set(err, ERR_LIMIT, "%s: user '%s': more than %d env of exec",
				 section->path, section->name, KUBE_MAX_EXEC_WORDS - 1);
	for (size_t i = 0; i < count; i++) {
		struct json_object *entry = json_object_array_get_idx(env, i);
		ret->env[ret->env_count++] = arena_strf(section->config->arena, "%s=%s",
							json_cstr(entry, "name"),
							json_cstr(entry, "value"));
	}
	return true;
}

static bool read_exec(const struct section *section, struct json_object *exec, struct error *err)
{
	struct kube_exec *ret = &section->config->exec;
	struct section here = *section;
	here.json = exec;
	ret->api_version = copy_text(&here, "apiVersion");
	if (!str_is(ret->api_version, "client.authentication.k8s.io/v1") &&
	    !str_is(ret->api_version, "client.authentication.k8s.io/v1beta1"))
		return error_set(err, ERR_SYNTAX, "%s: user '%s': the exec plug-in speaks '%s': "
				 "client.authentication.k8s.io/v1 is needed", section->path,
				 section->name, ret->api_version.p);
	if (strcmp(json_cstr(exec, "interactiveMode"), "Always") == 0)
		return error_set(err, ERR_REFUSED, "%s: user '%s': the exec plug-in wants a "
				 "terminal; a daemon has none", section->path, section->name);
	/* A plain name is searched in PATH, as a shell would. */
	const char *command = json_cstr(exec, "command");
	if (!*command)
		return error_set(err, ERR_SYNTAX, "%s: user '%s': exec needs a command",
				 section->path, section->name);
	ret->argv[0] = strchr(command, '/') ? copy_path(&here, "command") :
					      copy_text(&here, "command");
	ret->install_hint = copy_text(&here, "installHint");
	ret->wants_cluster = json_object_get_boolean(json_field(exec, "provideClusterInfo"));
	return read_exec_words(section, exec, err) && read_exec_env(section, exec, err);
}

/* ---- Users, contexts ---- */

static bool read_user(const struct section *section, struct error *err)
{
	struct kubeconfig *config = section->config;
	struct json_object *exec = json_field(section->json, "exec");
	if (json_field(section->json, "auth-provider"))
		return error_set(err, ERR_REFUSED, "%s: user '%s': auth-provider is gone from "
				 "Kubernetes: use an exec plug-in", section->path, section->name);
	config->token = copy_text(section, "token");
	config->token_file = copy_path(section, "tokenFile");
	config->username = copy_text(section, "username");
	config->password = copy_text(section, "password");
	return copy_file_or_data(section, "client-certificate", &config->cert_file,
				 &config->cert_pem, err) &&
	       copy_file_or_data(section, "client-key", &config->key_file, &config->key_pem, err) &&
	       (!exec || read_exec(section, exec, err));
}

static const char *current_context(const struct config_files *files)
{
	const char *name = "";
	for (size_t i = 0; i < files->count && !*name; i++)
		name = json_cstr(files->files[i].json, "current-context");
	return name;
}

static bool read_context(const struct config_files *files, const char *name,
			 struct kubeconfig *config, struct error *err)
{
	struct section context, cluster, user;
	context.config = cluster.config = user.config = config;
	if (!name)
		name = current_context(files);
	if (!*name)
		return error_set(err, ERR_NOTFOUND, "%s has no current-context: name one with "
				 "--context", files->files[0].path);
	config->context = arena_str(config->arena, str_of(name));
	config->origin = arena_str(config->arena, str_of(files->files[0].path));
	if (!find_section(files, "context", name, &context, err) ||
	    !find_section(files, "cluster", json_cstr(context.json, "cluster"), &cluster, err) ||
	    !read_cluster(&cluster, err))
		return false;
	config->ns = copy_text(&context, "namespace");
	/* A cluster may ask nobody who he is. */
	const char *user_name = json_cstr(context.json, "user");
	return !*user_name ||
	       (find_section(files, "user", user_name, &user, err) && read_user(&user, err));
}

/* ---- Files ---- */

static void take_document(void *user, struct json_object *json, size_t line)
{
	struct config_file *file = user;
	(void)line;
	if (!file->json)
		file->json = json_object_get(json);
}

/* Only the first file that is missing matters, and only if there is no other. */
static bool add_file(struct config_files *files, const char *path, struct error *err)
{
	struct config_file *file = &files->files[files->count];
	size_t len;
	if (files->count == MAX_FILES)
		return error_set(err, ERR_LIMIT, "KUBECONFIG names more than %d files", MAX_FILES);
	char *text = kube_read_file(path, &len, err);
	if (!text)
		return false;
	file->path = path;
	file->json = NULL;
	bool ok = yaml_parse((struct str){ text, len }, path, 1, take_document, file, err);
	free(text);
	if (ok)
		files->count++;
	else
		json_object_put(file->json);
	return ok;
}

static bool read_files(const struct config_files *files, const char *context,
		       struct kubeconfig *ret_config, struct error *err)
{
	struct kubeconfig config = { .arena = arena_new() };
	bool ok = read_context(files, context, &config, err);
	if (ok)
		*ret_config = config;
	else
		arena_free(config.arena);
	return ok;
}

/* paths: NUL-terminated slices of an arena, all of them optional while one is there. */
static bool load_files(const struct str *paths, size_t count, const char *context,
		       struct kubeconfig *ret_config, struct error *err)
{
	struct config_files files = { .count = 0 };
	struct error missing = { .code = ERR_NONE }, why = missing;
	bool ok = true;
	for (size_t i = 0; i < count && ok; i++) {
		ok = add_file(&files, paths[i].p, &why);
		if (!ok && why.code == ERR_NOTFOUND) {
			missing = why;
			ok = true;
		}
	}
	if (ok && !files.count) {
		why = missing;
		ok = false;
	}
	if (!ok)
		error_set(err, why.code, "%s", why.text);
	else
		ok = read_files(&files, context, ret_config, err);
	for (size_t i = 0; i < files.count; i++)
		json_object_put(files.files[i].json);
	return ok;
}

static bool load_list(struct str list, const char *context, struct kubeconfig *ret_config,
		      struct error *err)
{
	struct arena *arena = arena_new();
	struct str paths[MAX_FILES + 1];
	size_t count = 0;
	while (!str_empty(list) && count <= MAX_FILES) {
		struct str path = str_cut(&list, ':');
		if (!str_empty(path))
			paths[count++] = arena_str(arena, path);
	}
	bool ok = load_files(paths, count, context, ret_config, err);
	arena_free(arena);
	return ok;
}

bool kubeconfig_in_cluster(const char *dir, const char *host, const char *port,
			   struct kubeconfig *ret_config, struct error *err)
{
	struct kubeconfig config = { .arena = arena_new() };
	bool v6 = strchr(host, ':') != NULL;
	config.origin = STR("the pod's service account");
	config.server = arena_strf(config.arena, "https://%s%s%s:%s", v6 ? "[" : "", host,
				   v6 ? "]" : "", port);
	config.token_file = arena_strf(config.arena, "%s/token", dir);
	config.ca_file = arena_strf(config.arena, "%s/ca.crt", dir);
	if (access(config.token_file.p, R_OK) != 0) {
		error_errno(err, "%s cannot be read: mount the service account's token "
				 "(automountServiceAccountToken)", config.token_file.p);
		arena_free(config.arena);
		return false;
	}
	*ret_config = config;
	return true;
}

bool kubeconfig_load(const char *path, const char *context, struct kubeconfig *ret_config,
		     struct error *err)
{
	const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	if (path) {
		struct str one = str_of(path);
		return load_files(&one, 1, context, ret_config, err);
	}
	if (list && *list)
		return load_list(str_of(list), context, ret_config, err);
	if (host && *host && port && *port && !context)
		return kubeconfig_in_cluster(SERVICE_ACCOUNT_DIR, host, port, ret_config, err);
	struct arena *arena = arena_new();
	struct str file = arena_strf(arena, "%s/.kube/config", home ? home : "/root");
	bool ok = load_files(&file, 1, context, ret_config, err);
	arena_free(arena);
	if (!ok && err && err->code == ERR_NOTFOUND)
		error_prefix(err, "no API server is named by --kubeconfig, KUBECONFIG or a pod's "
				  "environment");
	return ok;
}

void kubeconfig_fini(struct kubeconfig *config)
{
	arena_free(config->arena);
	config->arena = NULL;
}
