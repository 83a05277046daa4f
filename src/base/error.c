/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

bool error_set(struct error *err, enum err_code code, const char *fmt, ...)
{
	if (!err)
		return false;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	return false;
}

bool error_errno(struct error *err, const char *fmt, ...)
{
	int saved = errno;
	if (!err)
		return false;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	size_t len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(saved));
	err->code = ERR_IO;
	return false;
}

bool error_prefix(struct error *err, const char *fmt, ...)
{
	if (!err)
		return false;
	char rest[sizeof(err->text)];
	memcpy(rest, err->text, sizeof(rest));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	size_t len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", rest);
	return false;
}
