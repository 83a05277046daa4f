/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of the daemon in the text format of Prometheus. */
#pragma once

#include "base/sb.h"

struct app;

void metrics_write(const struct app *app, struct sb *out);
