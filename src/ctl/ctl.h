/* SPDX-License-Identifier: Apache-2.0 */
/* tidectl: one file a verb, each a row of the table in main.c. Most of them ask the daemon over
 * its control socket and print what it says; the daemon's own words are the output. In a cluster,
 * as "kubectl tidegate", those run in Tidegate's pod, where that socket is. */
#pragma once

#include "daemon/cli.h"
#include "daemon/report.h"

struct ctl {
	char socket[108];
	bool in_cluster; /* not on this machine */
};

/* A question: /v1/VERB?arg=...&NAME=VALUE... */
struct ask {
	const struct cli *cli;
	const char *verb;
	bool post;
	struct sb query;
};

void ask_init(struct ask *ask, const struct cli *cli, const char *verb, bool post);
void ask_add(struct ask *ask, const char *name, const char *value);
/* All arguments of the command line from index `from`, as "arg". */
void ask_args(struct ask *ask, size_t from);
/* Sends it, or the whole verb to Tidegate's pod, prints the answer, and returns the exit status;
 * releases the question. */
int ask_run(struct ask *ask);

/* The whole of a verb that passes its arguments on. */
int ask_simply(const struct cli *cli, bool post);

/* The verb as it was given, in Tidegate's pod. Returns only when that is not possible. */
int run_in_pod(const struct cli *cli);
/* The verb weights, on the route itself. */
int weights_in_cluster(const struct cli *cli);

/* For a URL. */
void ctl_escape(struct sb *sb, const char *text);
enum report_format ctl_format(const struct cli *cli);
bool ctl_colours(const struct cli *cli);
int ctl_error(const struct cli *cli, const struct error *err, int status);

/* Manifests named with --files, for verbs that work without a daemon. */
struct offline {
	struct store *store;
	struct compiler *compiler;
};
bool offline_load(struct offline *offline, const struct cli *cli, struct error *err) must_check;
void offline_free(struct offline *offline);

extern const struct verb verb_status, verb_get, verb_plan, verb_diff, verb_explain, verb_backends,
	verb_weights, verb_drain, verb_maps, verb_timeline, verb_reload_reasons, verb_findings,
	verb_log_level, verb_socket;
