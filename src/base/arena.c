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
#define TEXT_ALIGN 8 /* of what can be poisoned exactly */
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define RED_ZONE 0
#define TEXT_ALIGN 1
#endif

enum {
	ALIGN = 16,
	FIRST_BYTES = 576, /* most objects of a cluster, and their views, fit, or nearly so */
	MIN_CHUNK_BYTES = 128,
	MAX_CHUNK_BYTES = 256 * 1024,
};

struct chunk {
	struct chunk *next;
	uint32_t low, high; /* bytes[low, high) is free */
	_Alignas(ALIGN) unsigned char bytes[];
};

/* The first chunk lies behind it, in the same allocation. */
struct arena {
	struct chunk *newest;
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

static struct chunk *chunk_init(struct arena *arena, void *p, size_t bytes)
{
	struct chunk *chunk = p;
	chunk->next = arena->newest;
	chunk->low = 0;
	chunk->high = (uint32_t)(bytes - sizeof(*chunk));
	POISON(chunk->bytes, chunk->high);
	arena->newest = chunk;
	return chunk;
}

struct arena *arena_new(void)
{
	struct arena *arena = xmalloc(FIRST_BYTES);
	*arena = (struct arena){ .total = FIRST_BYTES };
	chunk_init(arena, arena + 1, FIRST_BYTES - sizeof(*arena));
	return arena;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->newest, *next; (next = chunk->next); chunk = next)
		free(chunk);
	free(arena); /* and the first chunk */
}

/* A quarter more than there is: what stays unused is small beside what is used. */
static struct chunk *chunk_add(struct arena *arena, size_t need)
{
	size_t bytes = arena->total / 4 / ALIGN * ALIGN;
	bytes = bytes < MIN_CHUNK_BYTES ? MIN_CHUNK_BYTES :
		bytes > MAX_CHUNK_BYTES ? MAX_CHUNK_BYTES :
					  bytes;
	if (bytes < sizeof(struct chunk) + need)
		bytes = sizeof(struct chunk) + need;
	arena->total += bytes;
	return chunk_init(arena, xmalloc(bytes), bytes);
}

/* A chunk with room for so many bytes, which become a multiple of align: the newest one, or what
 * something large has left over in the one before. */
static struct chunk *chunk_for(struct arena *arena, size_t size_bytes, size_t align,
			       uint32_t *ret_need)
{
	struct chunk *chunk = arena->newest;
	if (size_bytes > UINT32_MAX - RED_ZONE - ALIGN)
		out_of_memory(size_bytes);
	*ret_need = (uint32_t)((size_bytes + RED_ZONE + align - 1) / align * align);
	if (chunk->next && chunk->next->high - chunk->next->low >= *ret_need)
		return chunk->next;
	return chunk->high - chunk->low >= *ret_need ? chunk : chunk_add(arena, *ret_need);
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
	uint32_t need;
	struct chunk *chunk = chunk_for(arena, size_bytes, ALIGN, &need);
	unsigned char *p = chunk->bytes + chunk->low;
	chunk->low += need;
	UNPOISON(p, size_bytes);
	memset(p, 0, size_bytes);
	return p;
}

/* Not zeroed, not aligned: from the other end. */
static char *alloc_text(struct arena *arena, size_t size_bytes)
{
	uint32_t need;
	struct chunk *chunk = chunk_for(arena, size_bytes, TEXT_ALIGN, &need);
	chunk->high -= need;
	assert(chunk->high >= chunk->low);
	UNPOISON(chunk->bytes + chunk->high, size_bytes);
	return (char *)chunk->bytes + chunk->high;
}

void *arena_array(struct arena *arena, size_t count, size_t size_bytes)
{
	if (size_bytes && count > SIZE_MAX / 2 / size_bytes)
		out_of_memory(SIZE_MAX);
	return arena_alloc(arena, count * size_bytes);
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t *capacity,
		 size_t element_bytes)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity ? *capacity * 2 : 8;
	void *wider = arena_array(arena, *capacity, element_bytes);
	if (count)
		memcpy(wider, array, count * element_bytes);
	return wider;
}

struct str arena_str(struct arena *arena, struct str s)
{
	char *copy = alloc_text(arena, s.n + 1);
	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return (struct str){ copy, s.n };
}

struct str arena_join(struct arena *arena, struct str a, char between, struct str b)
{
	size_t n = a.n + 1 + b.n;
	char *copy = alloc_text(arena, n + 1);
	if (a.n)
		memcpy(copy, a.p, a.n);
	copy[a.n] = between;
	if (b.n)
		memcpy(copy + a.n + 1, b.p, b.n);
	copy[n] = '\0';
	return (struct str){ copy, n };
}

struct str arena_lower(struct arena *arena, struct str s)
{
	char *copy = alloc_text(arena, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		copy[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
	copy[s.n] = '\0';
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
	char *p = alloc_text(arena, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){ p, (size_t)n };
}

size_t arena_bytes(const struct arena *arena)
{
	return arena->total;
}
