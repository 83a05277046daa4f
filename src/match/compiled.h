/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled list, shared by list.c, which makes it, and decide.c, which runs it. */
#pragma once

#include "match/list.h"
#include "match/regex.h"

struct compiled_cond {
	enum list_subject subject;
	bool is_regex;
	struct str name;
	struct str value;
	struct regex regex; /* when is_regex */
};

struct compiled_entry {
	size_t first_cond; /* index into list->conds */
	size_t cond_count;
	struct str verdict;
};

struct list {
	char *text; /* the copy that every slice points into; STRINGs are unescaped in place */
	struct compiled_entry *entries;
	size_t entry_count, entry_capacity;
	struct compiled_cond *conds;
	size_t cond_count, cond_capacity;
	struct regex_scratch scratch; /* set up when there is a regular expression */
	size_t text_bytes;
};
