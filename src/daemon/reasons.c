/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reasons.h"

/* The place of the text, also when it is not there yet; the last one is for all others. */
static size_t find(const struct reasons *reasons, const char *text)
{
	size_t i = 0;
	while (i < reasons->count && i < MAX_RELOAD_REASONS - 1 &&
	       strncmp(reasons->items[i].text, text, REASON_BYTES - 1) != 0)
		i++;
	return i;
}

void reasons_add(struct reasons *reasons, const char *text)
{
	size_t i = find(reasons, text);
	if (i == reasons->count) {
		reasons->count++;
		snprintf(reasons->items[i].text, REASON_BYTES, "%s",
			 i < MAX_RELOAD_REASONS - 1 ? text : "other reasons");
	}
	reasons->items[i].count++;
}
