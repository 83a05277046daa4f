/* SPDX-License-Identifier: Apache-2.0 */
/* The answers to tidectl's verbs, one function each. */
#pragma once

#include "daemon/control.h"

/* Runs the verb's handler; `post`: the caller may change something. */
void answers_run(struct call *call, struct str verb, bool post);

/* answers_status.c */
void answer_status(struct call *call);
void answer_get(struct call *call);

/* answers_explain.c */
void answer_explain(struct call *call);

/* answers_live.c: what asks or changes the running HAProxy */
void answer_backends(struct call *call);
void answer_drain(struct call *call);
void answer_maps(struct call *call);
void answer_socket(struct call *call);
void answer_diff(struct call *call);

/* answers_weights.c */
void answer_weights(struct call *call);

/* Splits "namespace/name"; without a slash the namespace is "default". */
void split_name(struct str text, struct str *ret_ns, struct str *ret_name);
