/* SPDX-License-Identifier: Apache-2.0 */
/* TLS Secrets, with certificates made here. */
#include "decoding.h"

#define ERR_REFUSED openssl_err_state
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#undef ERR_REFUSED

static EVP_PKEY *good_key, *other_key, *weak_key;

static EVP_PKEY *make_key(int type, int rsa_bits)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(type, NULL);
	EVP_PKEY *key = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(context), 1);
	if (type == EVP_PKEY_RSA)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, rsa_bits), 1);
	assert_int_equal(EVP_PKEY_keygen(context, &key), 1);
	EVP_PKEY_CTX_free(context);
	return key;
}

static int make_keys(void **state)
{
	(void)state;
	good_key = make_key(EVP_PKEY_RSA, 2048);
	other_key = make_key(EVP_PKEY_RSA, 2048);
	weak_key = make_key(EVP_PKEY_RSA, 1024);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(good_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(weak_key);
	return 0;
}

static struct str take_bio(struct arena *arena, BIO *bio)
{
	char *text;
	long length = BIO_get_mem_data(bio, &text);
	struct str copy = arena_str(arena, (struct str){ text, (size_t)length });

	BIO_free(bio);
	return copy;
}

/* san may be NULL; issuer_key NULL: self-signed. */
static struct str make_certificate(struct arena *arena, EVP_PKEY *key, const char *cn,
				   const char *san, EVP_PKEY *issuer_key, const EVP_MD *digest)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	BIO *bio = BIO_new(BIO_s_mem());

	X509_set_version(certificate, 2);
	ASN1_TIME_set(X509_getm_notBefore(certificate), 1000000);
	ASN1_TIME_set(X509_getm_notAfter(certificate), 2000000000);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	if (issuer_key)
		name = X509_NAME_new();
	X509_set_issuer_name(certificate, name);
	if (issuer_key)
		X509_NAME_free(name);
	if (san) {
		X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
		X509_add_ext(certificate, extension, -1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(certificate, issuer_key ? issuer_key : key, digest) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	X509_free(certificate);
	return take_bio(arena, bio);
}

static struct str write_key(struct arena *arena, EVP_PKEY *key, const char *password)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, password ? EVP_aes_128_cbc() : NULL,
						  (const unsigned char *)password,
						  password ? (int)strlen(password) : 0, NULL, NULL),
			 1);
	return take_bio(arena, bio);
}

/* Through stringData, or base64 in data. */
static struct decoding decode_secret_of(struct str crt, struct str key, bool is_base64)
{
	struct json_object *json = json_tokener_parse(
		"{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s'},'type':"
		"'kubernetes.io/tls'}");
	struct json_object *data = json_object_new_object();
	struct str texts[] = { crt, key };
	struct decoding decoding;

	for (int i = 0; i < 2; i++) {
		char *coded = calloc(1, texts[i].n * 2 + 8);
		int n = (int)texts[i].n;
		if (is_base64)
			n = EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)texts[i].p, n);
		else
			memcpy(coded, texts[i].p, texts[i].n);
		json_object_object_add(data, i ? "tls.key" : "tls.crt",
				       json_object_new_string_len(coded, n));
		free(coded);
	}
	json_object_object_add(json, is_base64 ? "data" : "stringData", data);
	decoding = decode_json(json);
	json_object_put(json);
	assert_int_equal(decoding.result, DECODE_OK);
	assert_int_equal(ERR_peek_error(), 0);
	return decoding;
}

static void assert_problem(struct str crt, struct str key, const char *words)
{
	struct decoding decoding = decode_secret_of(crt, key, true);
	const struct secret *secret = &decoding.output.object->secret;

	assert_false(secret->is_tls);
	if (!strstr(secret->problem.p, words))
		fail_msg("problem is '%s'", secret->problem.p);
	assert_int_equal(secret->pem.n, 0);
	assert_int_equal(decoding.findings.count, 1);
	assert_int_equal(decoding.findings.items[0].severity, SEVERITY_WARNING);
	decoding_free(&decoding);
}

static void usable(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct str leaf = make_certificate(arena, good_key, "cn.example",
					   "DNS:WWW.Example.com,DNS:*.b.example,IP:10.0.0.1", NULL,
					   EVP_sha256());
	struct str root = make_certificate(arena, other_key, "root", NULL, NULL, EVP_sha1());
	struct str chain = arena_strf(arena, "Bag\r\n\r\n%s\n\n# text\n%s\n\n", leaf.p, root.p);
	struct str key = write_key(arena, good_key, NULL);
	struct decoding plain = decode_secret_of(chain, key, false);
	struct decoding coded = decode_secret_of(arena_strf(arena, "%s%s", leaf.p, root.p), key, true);
	const struct secret *secret = &plain.output.object->secret;
	assert_true(secret->is_tls);
	assert_int_equal(secret->problem.n, 0);
	assert_int_equal(plain.findings.count, 0);
	assert_true(str_starts(secret->pem, leaf));
	assert_null(strstr(secret->pem.p, "\n\n"));
	assert_null(strchr(secret->pem.p, '#'));
	assert_true(str_ends(secret->pem, STR("-----END PRIVATE KEY-----\n")));
	assert_int_equal(secret->digest.n, 64);
	assert_true(str_eq(secret->digest, coded.output.object->secret.digest));
	assert_int_equal(secret->info.name_count, 2);
	assert_true(str_is(secret->info.names[0], "www.example.com"));
	assert_true(str_is(secret->info.names[1], "*.b.example"));
	assert_int_equal(secret->info.not_before_s, 1000000);
	assert_int_equal(secret->info.not_after_s, 2000000000);
	decoding_free(&plain);
	decoding_free(&coded);
	arena_free(arena);
}

static void common_name_without_san(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct decoding decoding = decode_secret_of(
		make_certificate(arena, good_key, "CN.example", NULL, NULL, EVP_sha256()),
		write_key(arena, good_key, NULL), true);
	const struct certificate_info *info = &decoding.output.object->secret.info;
	assert_int_equal(info->name_count, 1);
	assert_true(str_is(info->names[0], "cn.example"));
	decoding_free(&decoding);
	arena_free(arena);
}

static void unusable(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct str leaf = make_certificate(arena, good_key, "a", NULL, NULL, EVP_sha256());
	struct str key = write_key(arena, good_key, NULL);
	struct str cut = arena_strf(arena, "%.200s\n-----END CERTIFICATE-----\n", leaf.p);
	assert_problem(STR("garbage"), key, "no certificate in PEM");
	assert_problem(STR(""), key, "no certificate in PEM");
	assert_problem(key, key, "no certificate in PEM");
	assert_problem(cut, key, "cannot be read");
	assert_problem(arena_strf(arena, "%s%s", leaf.p, cut.p), key, "cannot be read");
	assert_problem(leaf, STR("garbage"), "no private key in PEM");
	assert_problem(leaf, leaf, "no private key in PEM");
	assert_problem(leaf, write_key(arena, good_key, "secret"), "encrypted");
	assert_problem(leaf, write_key(arena, other_key, NULL), "does not belong");
	assert_problem(make_certificate(arena, weak_key, "a", NULL, NULL, EVP_sha256()),
		       write_key(arena, weak_key, NULL), "too short");
	assert_problem(make_certificate(arena, good_key, "a", NULL, other_key, EVP_sha1()), key,
		       "SHA-1");
	struct str chain = leaf;
	for (int i = 0; i < 10; i++)
		chain = arena_strf(arena, "%s%s", chain.p, leaf.p);
	assert_problem(chain, key, "more than 10");
	arena_free(arena);
}

static void missing_parts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
		size_t finding_count;
	} rows[] = {
		{ "'type':'kubernetes.io/tls'", "tls.crt and tls.key are missing", 1 },
		{ "'type':'Opaque','data':{'a':'!'}", "are missing", 0 },
		{ "'data':{'tls.crt':'YQ=='}", "tls.key is missing", 1 },
		{ "'data':{'tls.key':'YQ=='}", "tls.crt is missing", 1 },
		{ "'data':{'tls.crt':'not base64!','tls.key':'YQ=='}", "tls.crt is not base64", 1 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[300];
		snprintf(text, sizeof(text),
			 "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s'},%s}", rows[i].text);
		struct decoding decoding = decode_text(text);
		assert_int_equal(decoding.result, DECODE_OK);
		assert_false(decoding.output.object->secret.is_tls);
		assert_non_null(strstr(decoding.output.object->secret.problem.p, rows[i].words));
		assert_int_equal(decoding.findings.count, rows[i].finding_count);
		decoding_free(&decoding);
	}
	struct decoding decoding = decode_text(
		"{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s'},'data':{'tls.crt':5}}");
	assert_int_equal(decoding.result, DECODE_INVALID);
	decoding_free(&decoding);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usable),
		cmocka_unit_test(common_name_without_san),
		cmocka_unit_test(unusable),
		cmocka_unit_test(missing_parts),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
