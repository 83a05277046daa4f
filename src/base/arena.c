/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define RED_ZONE 8 /* poisoned bytes between two allocations */
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define RED_ZONE 0
#endif

enum {
	ALIGN = 16,
	FIRST_CHUNK_BYTES = 1024, /* most objects of a cluster fit in one */
	MAX_CHUNK_BYTES = 256 * 1024,
};

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	_Alignas(ALIGN) unsigned char bytes[];
};

struct arena {
	struct chunk *newest;
	size_t next_size;
	size_t total;
};

static void out_of_memory(size_t size_bytes)
{
	fprintf(stderr, "tidegate: out of memory (asked for %zu bytes)\n", size_bytes);
	abort();
}

void *xmalloc(size_t size_bytes)
{
	void *p = malloc(size_bytes ? size_bytes : 1);
	if (!p)
		out_of_memory(size_bytes);
	return p;
}

void *xcalloc(size_t count, size_t size_bytes)
{
	void *p = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
	if (!p)
		out_of_memory(count * size_bytes);
	return p;
}

void *xrealloc(void *old, size_t size_bytes)
{
	void *p = realloc(old, size_bytes ? size_bytes : 1);
	if (!p)
		out_of_memory(size_bytes);
	return p;
}

char *xstrndup(const char *p, size_t n)
{
	char *copy = xmalloc(n + 1);
	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *xvasprintf(const char *fmt, va_list args, size_t *ret_len)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	assert(n >= 0);
	char *text = xmalloc((size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	*ret_len = (size_t)n;
	return text;
}

void *grow(void *array, size_t count, size_t *capacity, size_t element_bytes)
{
	if (count < *capacity)
		return array;
	size_t wanted = *capacity ? *capacity * 2 : 8;
	if (wanted > SIZE_MAX / element_bytes)
		out_of_memory(SIZE_MAX);
	*capacity = wanted;
	return xrealloc(array, wanted * element_bytes);
}

struct arena *arena_new(void)
{
	struct arena *arena = xcalloc(1, sizeof(*arena));
	arena->next_size = FIRST_CHUNK_BYTES;
	return arena;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->newest, *next; chunk; chunk = next) {
		next = chunk->next;
		UNPOISON(chunk->bytes, chunk->size);
		free(chunk);
	}
	free(arena);
}

static struct chunk *chunk_add(struct arena *arena, size_t need)
{
	size_t size = arena->next_size - sizeof(struct chunk);
	if (size < need)
		size = need;
	else if (arena->next_size < MAX_CHUNK_BYTES)
		arena->next_size *= 2;
	struct chunk *chunk = xmalloc(sizeof(*chunk) + size);
	*chunk = (struct chunk){ .next = arena->newest, .size = size };
	POISON(chunk->bytes, size);
	arena->newest = chunk;
	arena->total += sizeof(*chunk) + size;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
	if (size_bytes > SIZE_MAX / 2)
		out_of_memory(size_bytes);
	size_t need = (size_bytes + RED_ZONE + ALIGN - 1) / ALIGN * ALIGN;
	struct chunk *chunk = arena->newest;
	if (!chunk || chunk->size - chunk->used < need)
		chunk = chunk_add(arena, need);
	unsigned char *p = chunk->bytes + chunk->used;
	chunk->used += need;
	assert(chunk->used <= chunk->size);
	UNPOISON(p, size_bytes);
	memset(p, 0, size_bytes);
	return p;
}

void *arena_array(struct arena *arena, size_t count, size_t size_bytes)
{
	if (size_bytes && count > SIZE_MAX / 2 / size_bytes)
		out_of_memory(SIZE_MAX);
	return arena_alloc(arena, count * size_bytes);
}

struct str arena_str(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);
	if (s.n)
		memcpy(copy, s.p, s.n);
	return (struct str){ copy, s.n };
}

struct str arena_strf(struct arena *arena, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	char *p = arena_alloc(arena, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){ p, (size_t)n };
}

size_t arena_bytes(const struct arena *arena)
{
	return arena->total;
}
