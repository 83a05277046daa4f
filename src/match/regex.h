/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions: RE2's language, run by PCRE2 (JIT where the machine has it).
 *
 * The whole value must match. Subjects are bytes; where they are valid UTF-8, characters and
 * classes such as \pL mean characters, and nothing matches a byte that is not. Work is
 * bounded: a match that needs more than the limits does not match and says so. */
#pragma once

#include "base/error.h"
#include "base/str.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	REGEX_MAX_BYTES = 4096,          /* of a pattern: the API's longest (header values) */
	REGEX_MATCH_LIMIT = 100 * 1000,  /* steps: about a millisecond */
	REGEX_WORK = 50 * 1000 * 1000,   /* bytes looked at, at worst: about 30 milliseconds */
	REGEX_HEAP_LIMIT_KIB = 1024,     /* for the interpreter */
	REGEX_NEST_LIMIT = 100,          /* parentheses */
};

struct regex {
	pcre2_code *code;
	size_t byte_cost; /* of looking at one byte of the subject, at worst */
};

/* What a match needs besides the expression; reused, used by one thread at a time. */
struct regex_scratch {
	pcre2_match_data *data;
	pcre2_match_context *context;
};

enum regex_verdict { REGEX_NO = 0, REGEX_YES, REGEX_LIMIT };

/* ERR_SYNTAX ("column 12: ...") or ERR_LIMIT. */
bool regex_compile(struct str pattern, struct regex *ret_regex, struct error *err) must_check;
void regex_fini(struct regex *regex); /* accepts a zeroed one */
size_t regex_bytes(const struct regex *regex);

bool regex_scratch_init(struct regex_scratch *scratch, struct error *err) must_check;
void regex_scratch_fini(struct regex_scratch *scratch); /* accepts a zeroed one */

enum regex_verdict regex_match(const struct regex *regex, const struct regex_scratch *scratch,
			       struct str subject);
