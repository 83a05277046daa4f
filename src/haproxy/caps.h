/* SPDX-License-Identifier: Apache-2.0 */
/* What the HAProxy at hand can do: capabilities and quirks by version.
 *
 * Only src/haproxy and the engine look at it; the plan is the same for every version. */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct haproxy_caps {
	unsigned major, minor, patch;
	bool add_backend;       /* 3.4: `add backend`, `publish backend` */
	bool headers_bin;       /* 3.4: set-headers-bin fed from a map */
	bool wait_removable;    /* 3.0: `wait ... srv-removable` */
	bool hot_memory;        /* 3.0: tune.memory.hot-size */
	bool client_timeout;    /* 2.9: set-timeout client */
	bool spop_mode;         /* 3.1: `mode spop` for backends of agents */
	bool sync_reload;       /* 2.7: the master's `reload` answers when it is done */
	bool checks_host;       /* 3.2: a Host with "/" or "," in it is a bad request */
	bool server_quirks;     /* 2.6: unique id, pool-max-conn -1 pool-purge-delay 5s */
	bool unsafe_del_server; /* 2.6: delete a server only a minute after maint */
};

/* From "2.6.12-1+deb12u4" or "HAProxy version 3.4.7-1 ...". Fails with ERR_REFUSED and a
 * sentence for versions below 2.6, ERR_SYNTAX for no version. */
bool caps_parse(struct str version, struct haproxy_caps *ret_caps, struct error *err) must_check;

bool caps_same_version(const struct haproxy_caps *a, const struct haproxy_caps *b);
