/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are to the API server, now: files of tokens, certificates and keys are read again when they
 * change, exec plug-ins run again when what they gave expires or is refused.
 *
 *   client ── kube_auth_get() ──► READY: send these
 *                                 WAIT:  the plug-in runs; settled() follows, then ask again
 *                                 FAILED: ask again later */
#pragma once

#include "source/kubeconfig.h"

struct ev_loop;
struct kube_auth;

struct kube_credential { /* empty: not used; valid until the loop runs again */
	struct str token;
	struct str cert_pem, key_pem;
	struct str username, password;
};

enum kube_auth_state { KUBE_AUTH_READY = 0, KUBE_AUTH_WAIT, KUBE_AUTH_FAILED };

/* config is borrowed. settled() is called from the loop when a plug-in has ended; why: what
 * went wrong, or NULL. The loop must be libev's default loop if there is a plug-in. */
struct kube_auth *kube_auth_new(struct ev_loop *loop, const struct kubeconfig *config,
				void (*settled)(void *user, const char *why), void *user);
void kube_auth_free(struct kube_auth *auth); /* accepts NULL */

enum kube_auth_state kube_auth_get(struct kube_auth *auth, struct kube_credential *ret,
				   struct error *err) must_check;

/* The API server answered 401: what was kept is not used again. */
void kube_auth_refused(struct kube_auth *auth);

/* What a plug-in printed (an ExecCredential) as a credential in the arena; 0: does not expire. */
bool kube_auth_parse(struct str output, struct str api_version, struct arena *arena,
		     struct kube_credential *ret, int64_t *ret_expires_s, struct error *err) must_check;
