/* SPDX-License-Identifier: Apache-2.0 */
#include "base/texts.h"

#include <assert.h>

#include "base/arena.h"

struct line {
	uint32_t key_len, value_len;
	char text[]; /* key, NUL, value, NUL */
};

struct texts {
	struct line **lines;
	size_t count, capacity;
};

struct texts *texts_new(void)
{
	return xcalloc(1, sizeof(struct texts));
}

void texts_free(struct texts *texts)
{
	if (!texts)
		return;
	for (size_t i = 0; i < texts->count; i++)
		free(texts->lines[i]);
	free(texts->lines);
	free(texts);
}

static struct line *line_new(struct str key, struct str value)
{
	assert(key.n < UINT32_MAX && value.n < UINT32_MAX);
	struct line *line = xmalloc(sizeof(*line) + key.n + value.n + 2);
	line->key_len = (uint32_t)key.n;
	line->value_len = (uint32_t)value.n;
	if (key.n)
		memcpy(line->text, key.p, key.n);
	line->text[key.n] = '\0';
	if (value.n)
		memcpy(line->text + key.n + 1, value.p, value.n);
	line->text[key.n + 1 + value.n] = '\0';
	return line;
}

size_t texts_count(const struct texts *texts)
{
	return texts->count;
}

struct str texts_key(const struct texts *texts, size_t i)
{
	const struct line *line = texts->lines[i];
	return (struct str){ line->text, line->key_len };
}

struct str texts_value(const struct texts *texts, size_t i)
{
	const struct line *line = texts->lines[i];
	return (struct str){ line->text + line->key_len + 1, line->value_len };
}

size_t texts_find(const struct texts *texts, struct str key)
{
	size_t low = 0, high = texts->count;
	if (high && str_cmp(texts_key(texts, high - 1), key) < 0)
		return high; /* filling in order */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (str_cmp(texts_key(texts, middle), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_before(const struct texts *texts, size_t i, struct str key)
{
	return i < texts->count && str_cmp(texts_key(texts, i), key) < 0;
}

size_t texts_find_near(const struct texts *texts, struct str key, size_t near)
{
	bool here = near <= texts->count && !is_before(texts, near, key) &&
		    (near == 0 || is_before(texts, near - 1, key));
	return here ? near : texts_find(texts, key);
}

static bool is_at(const struct texts *texts, size_t i, struct str key)
{
	return i < texts->count && str_eq(texts_key(texts, i), key);
}

size_t texts_at(const struct texts *texts, struct str key, size_t near)
{
	if (is_at(texts, near, key))
		return near;
	size_t i = texts_find(texts, key);
	return is_at(texts, i, key) ? i : texts->count;
}

struct str texts_get(const struct texts *texts, struct str key)
{
	size_t i = texts_find(texts, key);
	return is_at(texts, i, key) ? texts_value(texts, i) : STR_NONE;
}

void texts_put(struct texts *texts, struct str key, struct str value)
{
	struct line *line = line_new(key, value); /* first: both may lie in the old one */
	size_t i = texts_find(texts, key);
	if (is_at(texts, i, key)) {
		free(texts->lines[i]);
		texts->lines[i] = line;
		return;
	}
	texts->lines = grow(texts->lines, texts->count, &texts->capacity, sizeof(*texts->lines));
	memmove(texts->lines + i + 1, texts->lines + i,
		(texts->count - i) * sizeof(*texts->lines));
	texts->lines[i] = line;
	texts->count++;
}

void texts_del(struct texts *texts, struct str key)
{
	size_t i = texts_find(texts, key);
	if (!is_at(texts, i, key))
		return;
	free(texts->lines[i]);
	texts->count--;
	memmove(texts->lines + i, texts->lines + i + 1,
		(texts->count - i) * sizeof(*texts->lines));
}
