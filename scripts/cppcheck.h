/* SPDX-License-Identifier: Apache-2.0 */
/* What cppcheck has to know of system headers, which it does not read (scripts/analyse). */
#define STAILQ_HEAD(name, type) \
	struct name { struct type *first; struct type **last; }
#define STAILQ_ENTRY(type) \
	struct { struct type *next; }
#define TAILQ_FOREACH_SAFE(item, list, link, next) \
	for ((item) = TAILQ_FIRST(list); (item) && ((next) = TAILQ_NEXT(item, link), 1); (item) = (next))
