/* SPDX-License-Identifier: Apache-2.0 */
/* Where the API server is and who we are to it: a kubeconfig, or what a pod is given.
 *
 *   --kubeconfig FILE, else $KUBECONFIG, else the pod's service account, else ~/.kube/config
 *
 * Plain data in its arena. Only read here; the files it names (certificates, tokens) are read
 * when they are used, so that they may rotate. */
#pragma once

#include "base/arena.h"

enum { KUBE_MAX_EXEC_WORDS = 64 };

struct kube_exec { /* a plug-in that prints credentials */
	struct str api_version; /* of client.authentication.k8s.io */
	struct str argv[KUBE_MAX_EXEC_WORDS]; /* each with a NUL behind it */
	size_t argc;
	struct str env[KUBE_MAX_EXEC_WORDS]; /* "NAME=VALUE", likewise */
	size_t env_count;
	struct str install_hint;
	bool wants_cluster; /* provideClusterInfo */
};

/* Of each pair `file` and `pem` at most one is set. All texts have a NUL behind them. */
struct kubeconfig {
	struct arena *arena;
	struct str origin;  /* "/root/.kube/config", "the pod's service account" */
	struct str context; /* may be empty */
	struct str ns;	    /* the context's namespace; may be empty */
	struct str server;  /* "https://10.0.0.1:6443": no slash at the end */
	struct str ca_file, ca_pem;
	bool insecure; /* insecure-skip-tls-verify */
	struct str tls_server_name, proxy_url;
	struct str cert_file, cert_pem, key_file, key_pem;
	struct str token, token_file; /* token_file counts when both are set */
	struct str username, password;
	struct kube_exec exec; /* argc 0: none */
};

/* path NULL: looked for as above. context NULL: the file's current-context. */
bool kubeconfig_load(const char *path, const char *context, struct kubeconfig *ret_config,
		     struct error *err) must_check;

/* What a pod finds: dir is the service account's directory; host and port are the values of
 * KUBERNETES_SERVICE_HOST and _PORT. */
bool kubeconfig_in_cluster(const char *dir, const char *host, const char *port,
			   struct kubeconfig *ret_config, struct error *err) must_check;

void kubeconfig_fini(struct kubeconfig *config); /* accepts a zeroed one */

/* A file of at most 1 MiB; NULL on failure. free() it. ret_len may be NULL. */
char *kube_read_file(const char *path, size_t *ret_len, struct error *err);
