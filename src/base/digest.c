/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <assert.h>
#include <openssl/evp.h>

void digest_raw(struct str data, unsigned char ret_raw[DIGEST_RAW_BYTES])
{
	unsigned int len = 0;
	int done = EVP_Digest(data.n ? data.p : "", data.n, ret_raw, &len, EVP_sha256(), NULL);
	assert(done == 1 && len == DIGEST_RAW_BYTES);
	(void)done;
}

void digest_hex(struct str data, char ret_hex[DIGEST_HEX_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[DIGEST_RAW_BYTES];
	digest_raw(data, raw);
	for (size_t i = 0; i < DIGEST_RAW_BYTES; i++) {
		ret_hex[2 * i] = digits[raw[i] >> 4];
		ret_hex[2 * i + 1] = digits[raw[i] & 0xf];
	}
	ret_hex[DIGEST_HEX_BYTES] = '\0';
}
