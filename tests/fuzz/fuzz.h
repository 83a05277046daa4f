/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target is one function that takes any bytes and returns 0;
 * what must hold for all bytes is asserted. The driver is libFuzzer (tests/fuzz/run), or
 * replay.c, which feeds it the files of tests/fuzz/corpus/TARGET in `make check`.
 *
 * An input with several texts has them one behind the other, with a line "%%" between. */
#pragma once

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct str fuzz_input(const uint8_t *data, size_t size)
{
	return (struct str){ (const char *)data, size };
}

/* Cuts off the text before the next line of "%%", or all of it. */
static inline struct str fuzz_part(struct str *rest)
{
	const char *mark = rest->n ? memmem(rest->p, rest->n, "\n%%\n", 4) : NULL;
	size_t end = mark ? (size_t)(mark - rest->p) : rest->n;
	struct str part = str_sub(*rest, 0, end);
	*rest = str_sub(*rest, end + 4, rest->n);
	return part;
}
