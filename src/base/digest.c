/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <assert.h>
#include <openssl/evp.h>

void digest_hex(struct str data, char ret_hex[DIGEST_HEX_BYTES + 1])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int done = EVP_Digest(data.n ? data.p : "", data.n, raw, &len, EVP_sha256(), NULL);
	assert(done == 1 && len == DIGEST_HEX_BYTES / 2);
	(void)done;
	for (unsigned int i = 0; i < len; i++)
		snprintf(ret_hex + 2 * (size_t)i, 3, "%02x", raw[i]);
}
