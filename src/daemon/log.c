/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE_BYTES = 8192, MAX_MESSAGE_BYTES = 4096 };

static const char *const names[] = { "error", "warning", "info", "debug" };

static struct {
	enum log_level level;
	bool json;
} settings = { LOG_LEVEL_INFO, false };

void log_setup(enum log_level level, bool json)
{
	settings.level = level;
	settings.json = json;
}

void log_set_level(enum log_level level)
{
	settings.level = level;
}

enum log_level log_level(void)
{
	return settings.level;
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

bool log_level_parse(struct str name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (str_is(name, names[i])) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static void add_time(struct sb *out, int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm tm;
	char text[32];
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	sb_addf(out, "%s.%03dZ", text, (int)(at_ms % 1000));
}

static void add_json_field(struct sb *out, const char *key, struct str value)
{
	if (str_empty(value))
		return;
	sb_addf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		if (c == '"' || c == '\\')
			sb_addf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			sb_addf(out, "\\u%04x", c);
		else
			sb_addc(out, (char)c);
	}
	sb_addc(out, '"');
}

static void add_text_message(struct sb *out, struct str message)
{
	/* One line each, whatever a user's object puts into it. */
	for (size_t i = 0; i < message.n; i++) {
		unsigned char c = (unsigned char)message.p[i];
		sb_addc(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
	}
}

static void add_text_object(struct sb *out, const struct log_object *object)
{
	if (object->kind)
		sb_addf(out, "%s ", object->kind);
	if (!str_empty(object->ns))
		sb_addf(out, STR_FMT "/", STR_ARG(object->ns));
	add_text_message(out, object->name);
	sb_adds(out, ": ");
}

void log_format(struct sb *out, enum log_level level, int64_t at_ms, bool json,
		const struct log_object *object, struct str message)
{
	if (!json) {
		add_time(out, at_ms);
		sb_addf(out, " %s ", names[level]);
		if (object)
			add_text_object(out, object);
		add_text_message(out, message);
		sb_addc(out, '\n');
		return;
	}
	sb_adds(out, "{\"time\":\"");
	add_time(out, at_ms);
	sb_addf(out, "\",\"level\":\"%s\"", names[level]);
	if (object) {
		add_json_field(out, "kind", str_of(object->kind));
		add_json_field(out, "namespace", object->ns);
		add_json_field(out, "name", object->name);
	}
	add_json_field(out, "message", message);
	sb_adds(out, "}\n");
}

void log_about(enum log_level level, const struct log_object *object, const char *fmt, ...)
{
	if (level > settings.level)
		return;
	char message[MAX_MESSAGE_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);

	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct sb line;
	sb_init(&line, 6 * MAX_LINE_BYTES);
	log_format(&line, level, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, settings.json,
		   object, str_of(message));
	/* One write, so that lines of several processes do not mix; a log that cannot be
	 * written is nobody's to report. */
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		(void)0;
	sb_fini(&line);
}
