/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "base/out.h"

enum { MAX_LINE_BYTES = 8192, MAX_MESSAGE_BYTES = 4096, TIME_BYTES = 48 };

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

bool log_is_json(void)
{
	return settings.json;
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

static void time_text(char ret_text[TIME_BYTES], int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm tm;
	char text[32];
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text, TIME_BYTES, "%s.%03dZ", text, (int)(at_ms % 1000));
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

static void add_given(struct out *out, const char *key, struct str value)
{
	if (!str_empty(value))
		out_kv_str(out, key, value);
}

static void format_json(struct sb *sb, enum log_level level, int64_t at_ms,
			const struct log_object *object, struct str message)
{
	char when[TIME_BYTES];
	struct out out;
	time_text(when, at_ms);
	out_init(&out, sb, OUT_JSON);
	out_object(&out);
	out_kv_cstr(&out, "time", when);
	out_kv_cstr(&out, "level", names[level]);
	if (object) {
		add_given(&out, "kind", str_of(object->kind));
		add_given(&out, "namespace", object->ns);
		add_given(&out, "name", object->name);
	}
	add_given(&out, "message", message);
	out_end(&out);
	sb_addc(sb, '\n');
}

void log_format(struct sb *out, enum log_level level, int64_t at_ms, bool json,
		const struct log_object *object, struct str message)
{
	char when[TIME_BYTES];
	if (json) {
		format_json(out, level, at_ms, object, message);
		return;
	}
	time_text(when, at_ms);
	sb_addf(out, "%s %s ", when, names[level]);
	if (object)
		add_text_object(out, object);
	add_text_message(out, message);
	sb_addc(out, '\n');
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
