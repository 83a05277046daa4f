/* SPDX-License-Identifier: Apache-2.0 */
/* Status conditions: a small set, one of each type. */
#include "resolve/view.h"

#include <assert.h>

static size_t find(const struct conditions *conditions, const char *type)
{
	size_t i = 0;
	while (i < conditions->count && strcmp(conditions->items[i].type, type) != 0)
		i++;
	return i;
}

void conditions_set(struct conditions *conditions, const char *type, bool status,
		    const char *reason, struct str message)
{
	size_t at = find(conditions, type);
	assert(at < MAX_CONDITIONS);
	if (at == conditions->count)
		conditions->count++;
	conditions->items[at] = (struct condition){
		.type = type, .status = status, .reason = reason, .message = message
	};
}

const struct condition *conditions_get(const struct conditions *conditions, const char *type)
{
	size_t at = find(conditions, type);
	return at < conditions->count ? &conditions->items[at] : NULL;
}
