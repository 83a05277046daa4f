/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate chain and the key of a TLS Secret.
 *
 * Both are parsed and written again, so that what goes to HAProxy has no comments, no blank
 * line (it would end a Runtime API payload) and always the same bytes for the same content.
 * What HAProxy would refuse to load is refused here, where there is somebody to tell. */
#include "decode/kinds.h"

#include "base/digest.h"

/* OpenSSL has a type of the same name as one of our error codes. */
#define ERR_REFUSED openssl_err_state
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#undef ERR_REFUSED

enum {
	MAX_CHAIN = 10,          /* OpenSSL verifies 100, no client wants more than a few */
	MAX_NAMES = 1000,        /* of a certificate: public issuers stop at 100 */
	MIN_SECURITY_BITS = 112, /* OpenSSL's security level 2, the default: RSA 2048 */
	MAX_PEM_BYTES = MAX_COMMAND_BYTES - 512, /* the rest of the command has a file's name */
};

struct bundle {
	X509 *chain[MAX_CHAIN]; /* the leaf first */
	size_t count;
	EVP_PKEY *key;
};

static BIO *open_text(struct str text)
{
	return BIO_new_mem_buf(text.n ? text.p : "", (int)text.n);
}

/* The end of the text, as opposed to a block that cannot be parsed. */
static bool is_at_end(void)
{
	unsigned long code = ERR_peek_last_error();

	return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static const char *read_chain(BIO *bio, struct bundle *bundle)
{
	X509 *certificate;

	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (bundle->count == MAX_CHAIN) {
			X509_free(certificate);
			return "tls.crt has more than 10 certificates: it should have the server's "
			       "certificate and its intermediates only";
		}
		bundle->chain[bundle->count++] = certificate;
	}
	if (!is_at_end())
		return "tls.crt has a certificate that cannot be read: is it cut off or changed?";
	if (bundle->count == 0)
		return "tls.crt has no certificate in PEM form (-----BEGIN CERTIFICATE-----)";
	return NULL;
}

/* Never asks anybody; remembers that it was asked. */
static int refuse_password(char *buffer, int size, int for_writing, void *was_asked)
{
	(void)buffer;
	(void)size;
	(void)for_writing;
	*(bool *)was_asked = true;
	return -1;
}

/* What the library says of a text without any key depends on its version. */
static bool has_key_header(struct str text)
{
	struct str header = STR("PRIVATE KEY-----");

	for (size_t at = 0; at + header.n <= text.n; at++) {
		if (!memcmp(text.p + at, header.p, header.n))
			return true;
	}
	return false;
}

static const char *read_key(BIO *bio, struct str text, struct bundle *bundle)
{
	bool is_encrypted = false;

	bundle->key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &is_encrypted);
	if (bundle->key)
		return NULL;
	if (is_encrypted)
		return "tls.key is encrypted with a password: store it decrypted (openssl pkey)";
	if (!has_key_header(text))
		return "tls.key has no private key in PEM form (-----BEGIN PRIVATE KEY-----)";
	return "tls.key cannot be read: is it cut off or changed?";
}

static bool is_weak_signature(X509 *certificate)
{
	int bits = 0;

	if (X509_get_extension_flags(certificate) & EXFLAG_SS)
		return false; /* nobody checks the signature of a root */
	return X509_get_signature_info(certificate, NULL, NULL, &bits, NULL) == 1 &&
	       bits < MIN_SECURITY_BITS;
}

static const char *check_bundle(const struct bundle *bundle)
{
	if (X509_check_private_key(bundle->chain[0], bundle->key) != 1)
		return "tls.key does not belong to the first certificate of tls.crt";
	for (size_t i = 0; i < bundle->count; i++) {
		EVP_PKEY *public_key = X509_get0_pubkey(bundle->chain[i]);

		if (!public_key)
			return "a certificate of tls.crt has a public key of an unknown type";
		if (EVP_PKEY_security_bits(public_key) < MIN_SECURITY_BITS)
			return "a key in tls.crt is too short, HAProxy refuses it: use RSA with "
			       "2048 bits or more, or ECDSA";
		if (is_weak_signature(bundle->chain[i]))
			return "a certificate of tls.crt is signed with SHA-1 or MD5, HAProxy may "
			       "refuse it: have it issued again";
	}
	return NULL;
}

static const char *write_pem(struct arena *arena, const struct bundle *bundle,
			     struct secret *secret)
{
	char digest[DIGEST_HEX_BYTES + 1];
	BIO *out = BIO_new(BIO_s_mem());
	const char *problem = NULL;
	char *text = NULL;
	bool is_written = out != NULL;
	long length;

	for (size_t i = 0; is_written && i < bundle->count; i++)
		is_written = PEM_write_bio_X509(out, bundle->chain[i]) == 1;
	if (!is_written ||
	    PEM_write_bio_PrivateKey(out, bundle->key, NULL, NULL, 0, NULL, NULL) != 1) {
		BIO_free(out);
		return "tls.key is of a type that cannot be written as PEM";
	}
	length = BIO_get_mem_data(out, &text);
	if (length > MAX_PEM_BYTES) {
		problem = "certificates and key are too long for HAProxy's Runtime API (14 KB as "
			  "PEM): leave out the root, or use a shorter chain";
	} else {
		secret->pem = arena_str(arena, (struct str){ text, (size_t)length });
		digest_hex(secret->pem, digest);
		secret->digest = arena_str(arena, str_of(digest));
	}
	BIO_free(out);
	return problem;
}

/* ---- what is in the leaf ---- */

static void add_name(struct arena *arena, struct certificate_info *info, const ASN1_STRING *value)
{
	struct str name = { (const char *)ASN1_STRING_get0_data(value),
			    (size_t)ASN1_STRING_length(value) };

	if (info->name_count == MAX_NAMES || name.n == 0 || name.n > MAX_HOSTNAME_BYTES)
		return;
	name = arena_lower(arena, name);
	if (is_hostname(name) || is_ip(name))
		info->names[info->name_count++] = name;
}

static void read_names(struct arena *arena, X509 *leaf, struct certificate_info *info)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int count = all ? sk_GENERAL_NAME_num(all) : 0;
	int at;

	info->names = arena_array(arena, (size_t)(count < MAX_NAMES ? count : MAX_NAMES) + 1,
				  sizeof(*info->names));
	for (int i = 0; i < count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		if (name->type == GEN_DNS)
			add_name(arena, info, name->d.dNSName);
	}
	GENERAL_NAMES_free(all);
	if (info->name_count > 0)
		return;
	at = X509_NAME_get_index_by_NID(X509_get_subject_name(leaf), NID_commonName, -1);
	if (at >= 0)
		add_name(arena, info,
			 X509_NAME_ENTRY_get_data(
				 X509_NAME_get_entry(X509_get_subject_name(leaf), at)));
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return 0;
	return utc_seconds((int64_t)tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			   tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
}

static const char *read_bundle(struct arena *arena, struct str crt, struct str key,
			       struct bundle *bundle, struct secret *secret)
{
	BIO *crt_bio = open_text(crt), *key_bio = open_text(key);
	const char *problem = "out of memory";

	if (crt_bio && key_bio) {
		problem = read_chain(crt_bio, bundle);
		if (!problem)
			problem = read_key(key_bio, key, bundle);
		if (!problem)
			problem = check_bundle(bundle);
		if (!problem)
			problem = write_pem(arena, bundle, secret);
	}
	BIO_free(crt_bio);
	BIO_free(key_bio);
	return problem;
}

void read_certificate(struct arena *arena, struct str crt, struct str key, struct secret *secret)
{
	struct bundle bundle = { .count = 0 };
	const char *problem;

	ERR_set_mark();
	problem = read_bundle(arena, crt, key, &bundle, secret);
	if (problem) {
		secret->problem = str_of(problem);
	} else {
		read_names(arena, bundle.chain[0], &secret->info);
		secret->info.not_before_s = seconds_of(X509_get0_notBefore(bundle.chain[0]));
		secret->info.not_after_s = seconds_of(X509_get0_notAfter(bundle.chain[0]));
	}
	for (size_t i = 0; i < bundle.count; i++)
		X509_free(bundle.chain[i]);
	EVP_PKEY_free(bundle.key);
	ERR_pop_to_mark();
}
