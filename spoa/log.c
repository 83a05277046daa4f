/* SPDX-License-Identifier: Apache-2.0 */
#include "spoa/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "base/sb.h"

enum { LINE_MAX_BYTES = 4096, TEXT_MAX_BYTES = 600 };

static const char *const level_names[] = { "info", "warning", "error" };

static void add_json_string(struct sb *out, const char *text)
{
	sb_addc(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			sb_addf(out, "\\%c", c);
		else if (c < ' ' || c >= 0x7f) /* peers' bytes need not be UTF-8 */
			sb_addf(out, "\\u%04x", c);
		else
			sb_addc(out, (char)c);
	}
	sb_addc(out, '"');
}

static void add_text(struct sb *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < ' ' || c == 0x7f)
			sb_addf(out, "\\x%02x", c);
		else
			sb_addc(out, (char)c);
	}
}

void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
{
	char text[TEXT_MAX_BYTES], stamp[32];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	time_t now = time(NULL);
	struct tm tm;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));

	struct sb line;
	sb_init(&line, LINE_MAX_BYTES);
	if (log->format == LOG_JSON) {
		sb_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", stamp,
			level_names[level]);
		add_json_string(&line, text);
		sb_adds(&line, "}\n");
	} else {
		sb_addf(&line, "%s %s ", stamp, level_names[level]);
		add_text(&line, text);
		sb_addc(&line, '\n');
	}
	/* There is nowhere to report that the log cannot be written. */
	ssize_t written = write(STDERR_FILENO, line.data, line.len);
	(void)written;
	sb_fini(&line);
}
