/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's log: one line an event to standard error, text or JSON, one write() each, so
 * that threads do not mix. */
#pragma once

#include "base/error.h"

enum log_format { LOG_TEXT = 0, LOG_JSON };
enum log_level { LOG_INFO = 0, LOG_WARNING, LOG_ERROR };

struct log {
	enum log_format format;
};

void log_line(const struct log *log, enum log_level level, const char *fmt, ...) printf_like(3, 4);
