/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (libcrypto), as lower-case hexadecimal. */
#pragma once

#include "base/str.h"

enum {
	DIGEST_RAW_BYTES = 32,
	DIGEST_HEX_BYTES = 64,  /* a whole digest */
	DIGEST_SHORT_BYTES = 16 /* the first 64 bits: ids of records */
};

/* Writes DIGEST_HEX_BYTES characters and a NUL. */
void digest_hex(struct str data, char ret_hex[DIGEST_HEX_BYTES + 1]);

/* The same as bytes. */
void digest_raw(struct str data, unsigned char ret_raw[DIGEST_RAW_BYTES]);
