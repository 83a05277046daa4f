/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of the daemon, on standard error: text for people, JSON lines for collectors.
 *
 *     2026-01-31T12:00:00.123Z warning HTTPRoute default/store: spec.rules[0]: ...
 *     {"time":"...","level":"warning","kind":"HTTPRoute","namespace":"default","name":"store",
 *      "message":"..."}
 *
 * The level is the one mutable global of the process and may change at any time. */
#pragma once

#include "base/error.h"
#include "base/sb.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What a line is about; every field may be NULL or empty. */
struct log_object {
	const char *kind;
	struct str ns, name;
};

void log_setup(enum log_level level, bool json);
void log_set_level(enum log_level level);
enum log_level log_level(void);
bool log_is_json(void);
const char *log_level_name(enum log_level level);
bool log_level_parse(struct str name, enum log_level *ret_level);

/* Formats one line without writing it; at_ms is wall clock. */
void log_format(struct sb *out, enum log_level level, int64_t at_ms, bool json,
		const struct log_object *object, struct str message);

/* object may be NULL. */
void log_about(enum log_level level, const struct log_object *object, const char *fmt, ...)
	printf_like(3, 4);

#define log_error(...) log_about(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_about(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(...) log_about(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_about(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)
