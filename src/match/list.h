/* SPDX-License-Identifier: Apache-2.0 */
/* Decision lists: what the agent decides for HAProxy.
 *
 * A list is one line of text, a map value that `show map` prints as it is:
 *
 *     method=GET header.x-canary="always" => default.canary.80 default/store/1 ; => default.web.80 default/store/0
 *
 *     list    = entry *( " ; " entry )
 *     entry   = *( cond " " ) "=>" " " verdict
 *     cond    = "method=" TOKEN | "path~" STRING
 *             | "header." name ( "=" / "~" ) STRING | "query." name ( "=" / "~" ) STRING
 *     name    = TOKEN | STRING           ; header names in lower case
 *     STRING  = DQUOTE *( any byte but DQUOTE, "\" | "\" DQUOTE | "\\" | "\t" | "\xHH" ) DQUOTE
 *     TOKEN   = 1*( a byte that is not space, DQUOTE, "=", "~", ";" or a control byte )
 *     verdict = any bytes up to " ; " or the end
 *
 * Entries are tried in order; the first whose conditions all hold gives the verdict. A list
 * that runs out gives NO_MATCH ("http-404"). "~" is a PCRE2 regular expression that must match
 * the whole value; one that exceeds the match limit does not match, and is counted.
 * path: without the query, as received. header: repeated headers are compared joined by ","
 * in order; a header that is not there matches nothing. query: the first occurrence of the
 * parameter; the request's name and value are percent-decoded ("+" is a space) first, the
 * list's are plain text; names are case-sensitive. */
#pragma once

#include "base/arena.h"
#include "base/sb.h"
#include "match/request.h"

#define LIST_NO_MATCH "http-404"

enum list_subject { LIST_METHOD = 0, LIST_PATH, LIST_HEADER, LIST_QUERY };

struct list_cond {
	enum list_subject subject;
	bool regex;
	struct str name; /* headers, queries */
	struct str value;
};

struct list_entry {
	const struct list_cond *conds;
	size_t cond_count;
	struct str verdict;
};

/* Appends the text of one list. A method is a TOKEN and exact, a path is a regular
 * expression, a verdict is not empty and has no " ; ". */
void list_print(const struct list_entry *entries, size_t count, struct sb *out);

struct list; /* compiled */

/* NULL with ERR_SYNTAX ("column 12: ...") or ERR_LIMIT. The text is copied. */
struct list *list_compile(struct str text, struct error *err);
void list_free(struct list *list); /* accepts NULL */

struct list_result {
	struct str verdict; /* borrowed from the list, or LIST_NO_MATCH; empty when timed_out */
	size_t entry;       /* index of the entry that decided; count when none did */
	uint32_t limits_hit; /* regular expressions that exceeded the match limit */
	bool timed_out;      /* the request's deadline had come, and there were some left */
};

/* Thread-safe for different `list`s; one list is used by one thread at a time. */
struct list_result list_decide(struct list *list, const struct request *request);

size_t list_entry_count(const struct list *list);

/* Memory that the list keeps, for caches. */
size_t list_bytes(const struct list *list);

/* Checks a regular expression as list_compile() would; false with the reason and column. */
bool regex_check(struct str pattern, struct error *err);

/* The longest literal prefix that every match of the pattern starts with; may be empty.
 * Case-insensitive patterns and alternatives at the top have none. */
struct str regex_literal_prefix(struct arena *arena, struct str pattern);
