/* SPDX-License-Identifier: Apache-2.0 */
/* A region of memory that is freed as a whole.
 *
 *   arena ──► chunk ──► chunk ──► chunk
 *             [structs ──►  free  ◄── text]     only the newest chunk has room
 *
 * Everything decoded from one object, or built by one pass, lives in one arena and dies with
 * it. Under AddressSanitizer the unused part of a chunk is poisoned, so reads behind an
 * allocation are seen. Running out of memory ends the process with a message (HAProxy keeps
 * serving without us; sizes that come from input are bounded before they get here). */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena); /* accepts NULL */

/* Zeroed, aligned for any type. size_bytes 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size_bytes);

/* count * size_bytes, zeroed; ends the process on overflow. */
void *arena_array(struct arena *arena, size_t count, size_t size_bytes);

/* grow() for an array in the arena: what is outgrown stays until the arena is freed. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t *capacity,
		 size_t element_bytes);

/* A copy with a NUL behind it. */
struct str arena_str(struct arena *arena, struct str s);
struct str arena_strf(struct arena *arena, const char *fmt, ...) printf_like(2, 3);
struct str arena_join(struct arena *arena, struct str a, char between, struct str b);
struct str arena_lower(struct arena *arena, struct str s); /* ASCII letters only */

/* Bytes taken from the system so far. */
size_t arena_bytes(const struct arena *arena);

/* malloc, realloc and strndup that end the process with a message instead of failing. */
void *xmalloc(size_t size_bytes);
void *xcalloc(size_t count, size_t size_bytes);
void *xrealloc(void *old, size_t size_bytes);
char *xstrndup(const char *p, size_t n);
char *xvasprintf(const char *fmt, va_list args, size_t *ret_len) printf_like(1, 0);

/* Makes room for one more element in a heap array that doubles; returns the array. */
void *grow(void *array, size_t count, size_t *capacity, size_t element_bytes);
