/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of the daemon in the text format of Prometheus. */
#pragma once

#include "base/sb.h"

struct app;

void metrics_write(const struct app *app, struct sb *out);

/* "name value" lines of the agent (see its --stats-socket) as metrics; lines that do not look
 * so are skipped. */
void metrics_agent(struct str text, struct sb *out);
