/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sb.h"

#include <assert.h>
#include <stdarg.h>

#include "base/arena.h"

void sb_init(struct sb *sb, size_t max_bytes)
{
	*sb = (struct sb){ .max_bytes = max_bytes };
}

void sb_fini(struct sb *sb)
{
	free(sb->data);
	*sb = (struct sb){ .max_bytes = sb->max_bytes };
}

void sb_reset(struct sb *sb)
{
	sb->len = 0;
	sb->failed = false;
	if (sb->data)
		sb->data[0] = '\0';
}

static bool sb_room(struct sb *sb, size_t more)
{
	if (sb->failed)
		return false;
	if (more > sb->max_bytes - sb->len) {
		sb->failed = true;
		return false;
	}
	size_t need = sb->len + more + 1;
	if (need > sb->capacity) {
		size_t wanted = sb->capacity ? sb->capacity * 2 : 64;
		while (wanted < need)
			wanted *= 2;
		sb->data = xrealloc(sb->data, wanted);
		sb->capacity = wanted;
	}
	return true;
}

void sb_add(struct sb *sb, struct str s)
{
	if (!sb_room(sb, s.n))
		return;
	assert(sb->data);
	if (s.n)
		memcpy(sb->data + sb->len, s.p, s.n);
	sb->len += s.n;
	sb->data[sb->len] = '\0';
}

void sb_adds(struct sb *sb, const char *cstr)
{
	sb_add(sb, str_of(cstr));
}

void sb_addc(struct sb *sb, char c)
{
	sb_add(sb, (struct str){ &c, 1 });
}

void sb_addf(struct sb *sb, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	if (sb_room(sb, (size_t)n)) {
		vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, again);
		sb->len += (size_t)n;
	}
	va_end(again);
}

struct str sb_str(const struct sb *sb)
{
	return (struct str){ sb->data ? sb->data : "", sb->len };
}

bool sb_ok(const struct sb *sb, struct error *err)
{
	if (sb->failed)
		return error_set(err, ERR_LIMIT, "text longer than %zu bytes", sb->max_bytes);
	return true;
}

char *sb_take(struct sb *sb, size_t *ret_len)
{
	char *data = sb->data ? sb->data : xstrndup("", 0);
	if (ret_len)
		*ret_len = sb->len;
	*sb = (struct sb){ .max_bytes = sb->max_bytes };
	return data;
}
