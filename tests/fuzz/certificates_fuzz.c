/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS Secret's texts: the certificate chain, then the key. What is taken must be something
 * that HAProxy can be sent, and reads as itself. */
#include <assert.h>

#include "base/digest.h"
#include "decode/kinds.h"
#include "fuzz.h"
#include "haproxy/command.h"
#include "haproxy/readback.h"

static void check_taken(const struct secret *secret)
{
	char hex[41];
	assert(secret->digest.n == DIGEST_HEX_BYTES);
	assert(command_cert_fits(STR("/run/tidegate/certs/default.cert.pem"), secret->pem));
	assert(!memmem(secret->pem.p, secret->pem.n, "\n\n", 2)); /* would end a payload */
	assert(readback_pem_fingerprint(secret->pem, hex));
	for (size_t i = 0; i < secret->info.name_count; i++)
		assert(is_hostname(secret->info.names[i]) || is_ip(secret->info.names[i]));
	/* The PEM has chain and key. */
	struct arena *arena = arena_new();
	struct secret again = { .problem = STR_NONE };
	read_certificate(arena, secret->pem, secret->pem, &again);
	assert(str_empty(again.problem) && str_eq(again.digest, secret->digest));
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str key = fuzz_input(data, size), crt = fuzz_part(&key);
	struct secret secret = { .problem = STR_NONE };
	struct arena *arena = arena_new();
	char hex[41];
	read_certificate(arena, crt, key, &secret);
	assert(str_empty(secret.problem) == (secret.pem.n > 0));
	if (str_empty(secret.problem))
		check_taken(&secret);
	(void)readback_pem_fingerprint(crt, hex);
	arena_free(arena);
	return 0;
}
