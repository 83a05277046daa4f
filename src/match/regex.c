/* SPDX-License-Identifier: Apache-2.0 */
#include "match/regex.h"

#include "match/list.h"

/* PCRE2 knows more than RE2; a pattern that needs the difference would behave otherwise on
 * every other gateway, and most of the difference is what makes matching slow. So the
 * pattern is read twice: here for what is not RE2's, then by PCRE2. */
struct scan {
	struct str pattern;
	size_t at;
	bool quantified; /* the last thing read was a quantifier */
};

static bool refuse(const struct scan *scan, const char *what, struct error *err)
{
	return error_set(err, ERR_SYNTAX, "column %zu: %s is not supported (patterns are RE2's)",
			 scan->at + 1, what);
}

static char peek(const struct scan *scan, size_t ahead)
{
	size_t i = scan->at + ahead;
	return i < scan->pattern.n ? scan->pattern.p[i] : '\0';
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind \Q: everything up to \E or the end is literal. */
static void skip_quoted(struct scan *scan)
{
	while (scan->at < scan->pattern.n) {
		if (peek(scan, 0) == '\\' && peek(scan, 1) == 'E') {
			scan->at += 2;
			return;
		}
		scan->at++;
	}
}

static bool scan_escape(struct scan *scan, bool in_class, struct error *err)
{
	char c = peek(scan, 1);
	if (c >= '1' && c <= '9' && !in_class)
		return refuse(scan, "a backreference", err);
	switch (c) {
	case 'g':
	case 'k':
		return refuse(scan, "a backreference or recursion (\\g, \\k)", err);
	case 'C':
		return refuse(scan, "\\C (a single byte)", err);
	case 'K':
		return refuse(scan, "\\K (a new start of the match)", err);
	default:
		break;
	}
	if (is_alnum(c) && !memchr("aftnrvxdDsSwWpPbBAzQ01234567", c, 28)) {
		char what[] = "the escape \\?";
		what[sizeof(what) - 2] = c;
		return refuse(scan, what, err);
	}
	scan->at += 2;
	if (c == 'Q')
		skip_quoted(scan);
	return true;
}

static bool scan_class(struct scan *scan, struct error *err)
{
	scan->at++;
	if (peek(scan, 0) == '^')
		scan->at++;
	bool first = true; /* a "]" that stands first is a member */
	while (scan->at < scan->pattern.n) {
		char c = peek(scan, 0);
		if (c == ']' && !first) {
			scan->at++;
			return true;
		}
		first = false;
		if (c == '\\') {
			if (!scan_escape(scan, true, err))
				return false;
		} else if (c == '[' && peek(scan, 1) == ':') {
			size_t end = str_chr(scan->pattern, ']', scan->at);
			bool named = end < scan->pattern.n && scan->pattern.p[end - 1] == ':' &&
				     end > scan->at + 2;
			scan->at = named ? end + 1 : scan->at + 1;
		} else {
			scan->at++;
		}
	}
	return true; /* PCRE2 says what is missing */
}

/* "(?": groups that RE2 has are (?:, (?P<name>, (?<name> and (?imsU-imsU) or with ":". */
static bool scan_group(struct scan *scan, struct error *err)
{
	char c = peek(scan, 2), next = peek(scan, 3);
	if (c == '=' || c == '!')
		return refuse(scan, "look-ahead", err);
	if (c == '<' && (next == '=' || next == '!'))
		return refuse(scan, "look-behind", err);
	if (c == 'P' && next == '=')
		return refuse(scan, "a backreference", err);
	if (c == 'R' || c == '&' || (c >= '0' && c <= '9') || c == '+' ||
	    (c == '-' && next >= '0' && next <= '9') || (c == 'P' && next == '>'))
		return refuse(scan, "recursion", err);
	if (c == 'C')
		return refuse(scan, "a callout", err);
	if (c == '(')
		return refuse(scan, "a conditional group", err);
	if (c == '>')
		return refuse(scan, "an atomic group", err);
	if (c == 'P' || c == '<') {
		scan->at += 3;
		return true;
	}
	size_t at = 2;
	while (peek(scan, at) && strchr("imsU-", peek(scan, at)))
		at++;
	if (peek(scan, at) != ':' && peek(scan, at) != ')')
		return refuse(scan, "this kind of group or flag", err);
	scan->at += at;
	if (peek(scan, 0) == ':')
		scan->at++;
	return true;
}

/* The length of "{n}", "{n,}" or "{n,m}" at the current place; 0 when a brace is literal. */
static size_t repeat_length(const struct scan *scan)
{
	size_t i = 1;
	while (peek(scan, i) >= '0' && peek(scan, i) <= '9')
		i++;
	if (i == 1)
		return 0;
	if (peek(scan, i) == ',')
		i++;
	while (peek(scan, i) >= '0' && peek(scan, i) <= '9')
		i++;
	return peek(scan, i) == '}' ? i + 1 : 0;
}

static size_t quantifier_length(const struct scan *scan)
{
	switch (peek(scan, 0)) {
	case '*':
	case '+':
	case '?':
		return 1;
	case '{':
		return repeat_length(scan);
	default:
		return 0;
	}
}

static bool scan_quantifier(struct scan *scan, size_t length, struct error *err)
{
	scan->at += length;
	if (peek(scan, 0) == '+')
		return refuse(scan, "a possessive quantifier", err);
	if (peek(scan, 0) == '?')
		scan->at++;
	return true;
}

static bool scan_pattern(struct str pattern, struct error *err)
{
	struct scan scan = { .pattern = pattern };
	while (scan.at < pattern.n) {
		char c = peek(&scan, 0);
		size_t length = quantifier_length(&scan);
		if (length) {
			if (!scan_quantifier(&scan, length, err))
				return false;
		} else if (c == '\\') {
			if (!scan_escape(&scan, false, err))
				return false;
		} else if (c == '[') {
			if (!scan_class(&scan, err))
				return false;
		} else if (c == '(' && peek(&scan, 1) == '*') {
			return refuse(&scan, "a verb (*...)", err);
		} else if (c == '(' && peek(&scan, 1) == '?') {
			if (!scan_group(&scan, err))
				return false;
		} else {
			scan.at++;
		}
	}
	return true;
}

static pcre2_code *compile_pcre2(struct str pattern, struct error *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (!context) {
		error_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	pcre2_set_max_pattern_length(context, REGEX_MAX_BYTES);
	pcre2_set_parens_nest_limit(context, REGEX_NEST_LIMIT);
	/* DOLLAR_ENDONLY: "$" is the end in RE2, not also before a last newline. */
	const uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF |
				 PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
				 PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C;
	int number = 0;
	size_t offset = 0;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n,
					 options, &number, &offset, context);
	pcre2_compile_context_free(context);
	if (!code) {
		PCRE2_UCHAR text[160];
		pcre2_get_error_message(number, text, sizeof(text));
		error_set(err, ERR_SYNTAX, "column %zu: %s", offset + 1, (const char *)text);
	}
	return code;
}

/* A character is compared with all members of a class that goes beyond ASCII, one by one. */
static size_t byte_cost(struct str pattern)
{
	bool wide = false;
	for (size_t i = 0; i < pattern.n && !wide; i++) {
		struct str rest = str_sub(pattern, i, pattern.n);
		wide = (unsigned char)rest.p[0] >= 0x80 || str_starts(rest, STR("\\x{")) ||
		       str_starts(rest, STR("\\p")) || str_starts(rest, STR("\\P"));
	}
	return wide ? 1 + pattern.n / 16 : 1;
}

bool regex_compile(struct str pattern, struct regex *ret_regex, struct error *err)
{
	if (pattern.n > REGEX_MAX_BYTES)
		return error_set(err, ERR_LIMIT, "the pattern has %zu bytes, the limit is %d",
				 pattern.n, REGEX_MAX_BYTES);
	if (!scan_pattern(pattern, err))
		return false;
	pcre2_code *code = compile_pcre2(pattern, err);
	if (!code)
		return false;
	/* Without JIT (the machine, a policy against writable code) the interpreter works. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	*ret_regex = (struct regex){ code, byte_cost(pattern) };
	return true;
}

void regex_fini(struct regex *regex)
{
	pcre2_code_free(regex->code);
	regex->code = NULL;
}

size_t regex_bytes(const struct regex *regex)
{
	size_t code = 0, jit = 0;
	if (regex->code) {
		pcre2_pattern_info(regex->code, PCRE2_INFO_SIZE, &code);
		pcre2_pattern_info(regex->code, PCRE2_INFO_JITSIZE, &jit);
	}
	return code + jit;
}

bool regex_scratch_init(struct regex_scratch *scratch, struct error *err)
{
	scratch->data = pcre2_match_data_create(1, NULL);
	scratch->context = pcre2_match_context_create(NULL);
	if (!scratch->data || !scratch->context) {
		regex_scratch_fini(scratch);
		return error_set(err, ERR_NOMEM, "out of memory");
	}
	pcre2_set_depth_limit(scratch->context, REGEX_MATCH_LIMIT);
	pcre2_set_heap_limit(scratch->context, REGEX_HEAP_LIMIT_KIB);
	return true;
}

void regex_scratch_fini(struct regex_scratch *scratch)
{
	pcre2_match_data_free(scratch->data);
	pcre2_match_context_free(scratch->context);
	scratch->data = NULL;
	scratch->context = NULL;
}

/* PCRE2 counts steps, and one step may run along the whole subject ("[a-z]*[0-9]"). */
static uint32_t step_limit(const struct regex *regex, struct str subject)
{
	size_t steps = REGEX_WORK / (subject.n + 1) / regex->byte_cost;
	return steps < REGEX_MATCH_LIMIT ? (uint32_t)steps : REGEX_MATCH_LIMIT;
}

enum regex_verdict regex_match(const struct regex *regex, const struct regex_scratch *scratch,
			       struct str subject)
{
	PCRE2_SPTR bytes = (PCRE2_SPTR)(subject.n ? subject.p : "");
	pcre2_set_match_limit(scratch->context, step_limit(regex, subject));
	int rc = pcre2_match(regex->code, bytes, subject.n, 0, 0, scratch->data,
			     scratch->context);
	/* JIT code works on 32 KiB of stack; the interpreter has the heap limit. */
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
		rc = pcre2_match(regex->code, bytes, subject.n, 0, PCRE2_NO_JIT, scratch->data,
				 scratch->context);
	if (rc == PCRE2_ERROR_NOMATCH)
		return REGEX_NO;
	if (rc < 0)
		return REGEX_LIMIT;
	/* In a subject that is not valid UTF-8 the anchors hold for the valid stretch that was
	 * searched; only a match of everything counts. */
	const size_t *offsets = pcre2_get_ovector_pointer(scratch->data);
	return offsets[0] == 0 && offsets[1] == subject.n ? REGEX_YES : REGEX_NO;
}

bool regex_check(struct str pattern, struct error *err)
{
	struct regex regex;
	if (!regex_compile(pattern, &regex, err))
		return false;
	regex_fini(&regex);
	return true;
}

/* One literal character of the pattern at scan->at: its length in the pattern, or 0. */
static size_t literal_length(const struct scan *scan)
{
	char c = peek(scan, 0);
	if (c == '\\') {
		char escaped = peek(scan, 1);
		/* Escaped ASCII punctuation; everything else has a meaning of its own. */
		return escaped > ' ' && escaped < 0x7f && !is_alnum(escaped) ? 2 : 0;
	}
	if (c == '{')
		return 0;
	if (!c || strchr(".[]()*+?|^$", c))
		return 0;
	if ((unsigned char)c < 0x80)
		return 1;
	/* A quantifier behind a UTF-8 character takes all its bytes. */
	size_t n = 1;
	while (((unsigned char)peek(scan, n) & 0xc0) == 0x80)
		n++;
	return n;
}

static bool has_top_alternative(struct str pattern)
{
	int depth = 0;
	struct scan scan = { .pattern = pattern };
	while (scan.at < pattern.n) {
		char c = peek(&scan, 0);
		if (c == '\\') {
			if (!scan_escape(&scan, false, NULL))
				return true;
			continue;
		}
		if (c == '[') {
			if (!scan_class(&scan, NULL))
				return true;
			continue;
		}
		depth += c == '(' ? 1 : c == ')' ? -1 : 0;
		if (c == '|' && depth <= 0)
			return true;
		scan.at++;
	}
	return false;
}

struct str regex_literal_prefix(struct arena *arena, struct str pattern)
{
	char *prefix = arena_alloc(arena, pattern.n + 1);
	struct scan scan = { .pattern = pattern };
	size_t n = 0;
	if (has_top_alternative(pattern))
		return (struct str){ prefix, 0 };
	if (peek(&scan, 0) == '^')
		scan.at++;
	size_t length;
	while ((length = literal_length(&scan)) != 0) {
		struct scan behind = { .pattern = pattern, .at = scan.at + length };
		/* "a\\Q\\E*" repeats the a. */
		if (quantifier_length(&behind) || (peek(&behind, 0) == '\\' && peek(&behind, 1) == 'Q'))
			break;
		bool escaped = peek(&scan, 0) == '\\';
		memcpy(prefix + n, pattern.p + scan.at + escaped, length - escaped);
		n += length - escaped;
		scan.at += length;
	}
	prefix[n] = '\0';
	return (struct str){ prefix, n };
}
