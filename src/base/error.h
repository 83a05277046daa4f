/* SPDX-License-Identifier: Apache-2.0 */
/* Failures: a code for the program, one sentence for a person, on the caller's stack.
 *
 * Three things are kept apart everywhere: a bug is an assert; a failure is `false` with a
 * struct error; a user's bad object is data (model/finding.h) and the rest carries on.
 * Reporting a failure never allocates. A struct error is written only on failure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_code {
	ERR_NONE = 0,
	ERR_NOMEM,    /* an allocation failed */
	ERR_LIMIT,    /* an input exceeds a documented maximum (model/limits.h) */
	ERR_SYNTAX,   /* text or bytes that cannot be parsed */
	ERR_PROTO,    /* a peer breaks its protocol */
	ERR_IO,       /* a system call failed; the text has strerror() */
	ERR_NOTFOUND, /* what was asked for is not there */
	ERR_REFUSED,  /* not possible now */
	ERR_TIMEOUT,  /* a peer does not answer in time */
};

struct error {
	enum err_code code;
	char text[320];
};

/* Sets code and text (truncated at the array's size) and returns false, so that a function
 * can `return error_set(err, ERR_LIMIT, "...")`. err may be NULL. */
bool error_set(struct error *err, enum err_code code, const char *fmt, ...) printf_like(3, 4);

/* Like error_set() with ERR_IO; appends ": " and strerror(errno). */
bool error_errno(struct error *err, const char *fmt, ...) printf_like(2, 3);

/* Puts "<prefix>: " before the text, on the way up. Returns false. err may be NULL. */
bool error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);
