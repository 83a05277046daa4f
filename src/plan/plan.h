/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: everything HAProxy must be, as sorted lines of (table, key, value).
 *
 * It is complete, canonical (the same objects in any order give the same bytes) and has one
 * text form, which is the golden-file format, what `tidectl plan` prints, and the last-good
 * snapshot on disk:
 *
 *     backend   default.web.8080            proto=h1
 *     route     default.gw.8080 www.example.com/foo/   default.web.8080 default/store/0
 *
 * one entry a line: table, TAB, key, TAB, value, newline; sorted by table, then key, bytewise.
 * Keys and values hold no TAB, CR, LF or NUL. docs/routing.md explains every table with an
 * example; the texts in haproxy/ are what reads them. */
#pragma once

#include "base/arena.h"
#include "base/sb.h"

enum plan_table {
	/* Schema: a change reloads HAProxy. */
	PLAN_FRONTEND = 0, /* NS.GATEWAY.PORT ; "http|https ADDR[,ADDR...]:PORT", the one that is
			    * bound; behind it " for PORT" if the listener's is another, and
			    * " transparent" if the host need not have the address */
	PLAN_LISTENER,     /* FRONTEND SP HOSTNAME|* ; listener name (https: for 421) */

	/* State: live. */
	PLAN_CERTIFICATE, /* NS.SECRET ; hex SHA-256 of the PEM */
	PLAN_SNI,         /* FRONTEND SP CERTIFICATE ; SNI filters, space separated, sorted;
			   * "-" none (served for the names inside the certificate) */
	PLAN_DEFAULT_CERT, /* FRONTEND ; CERTIFICATE served when no SNI filter matches */
	PLAN_BACKEND,     /* NAME ; "h1" or "h2c" */
	PLAN_SERVER,      /* BACKEND/SERVER ; "ADDR:PORT WEIGHT"; v6 in brackets */
	PLAN_HEADER,      /* FILTER/DIR/OP/name ; value ("-" for del). DIR req|res, OP set|add|del,
			   * name lower case */
	PLAN_SPLIT,       /* %ID/ or %ID/1DIGITS ; target */
	PLAN_LIST,        /* ?ID ; decision list text (match/list.h) */
	PLAN_METHOD,      /* ~ID/ or ~ID/METHOD/ ; verdict */
	PLAN_SWITCH,      /* ?ID ; HEADER SP verdict of other values. ?ID/VALUE ; verdict */
	PLAN_RULE,        /* @RULE[/REF] ; record, ten fields joined by "|" */
	PLAN_ROUTE,       /* FRONTEND SP HOST/path/ or HOST/path/? ; verdict */
	PLAN_WILDCARD,    /* FRONTEND SP SUFFIX ; *.SUFFIX */
	PLAN_TABLE_COUNT,
};

extern const char *const plan_table_names[PLAN_TABLE_COUNT]; /* "frontend", ... */

struct plan_entry {
	enum plan_table table;
	struct str key, value;
};

/* <0, 0, >0 by table, then key. */
int plan_entry_cmp(const void *a, const void *b);

/* ---- a whole plan, read only ---- */

struct plan {
	struct arena *arena;
	struct plan_entry *entries; /* sorted, keys unique within a table */
	size_t count;
};

void plan_free(struct plan *plan);

/* The entries of one table: a sub-slice of entries. */
const struct plan_entry *plan_table(const struct plan *plan, enum plan_table table,
				    size_t *ret_count);
const struct plan_entry *plan_find(const struct plan *plan, enum plan_table table, struct str key);

/* Text form. */
void plan_print(const struct plan *plan, struct sb *out);
void plan_print_entry(const struct plan_entry *entry, struct sb *out);
/* NULL with ERR_SYNTAX (line number and what is wrong) or ERR_LIMIT. */
struct plan *plan_parse(struct str text, struct error *err);

/* ---- differences ---- */

enum change_op { CHANGE_ADD = 0, CHANGE_SET, CHANGE_DEL };

struct change {
	enum change_op op;
	enum plan_table table;
	struct str key;
	struct str value; /* new value; CHANGE_DEL: empty */
	struct str old;   /* previous value; CHANGE_ADD: empty */
};

struct changes {
	struct arena *arena; /* owns the array and all strings */
	struct change *items;
	size_t count, capacity;
};

struct changes *changes_new(void);
void changes_free(struct changes *changes);
void changes_add(struct changes *changes, enum change_op op, enum plan_table table,
		 struct str key, struct str value, struct str old);

/* What turns `from` into `to`, in apply order (see changes_sort()). */
struct changes *plan_diff(const struct plan *from, const struct plan *to);

/* Puts changes in the order in which they must reach HAProxy:
 *   1. adds and sets of certificates, SNI, backends, servers
 *   2. adds of records: header, split, list, method, switch
 *   3. rules: adds and sets; then routes: adds and sets, longest key first; wildcards: adds
 *   4. wildcards: dels; routes: dels, shortest key first; rules: dels
 *   5. (after a grace time) dels of records, servers, backends, SNI, certificates
 * Schema changes come first of all: they are reasons to reload. */
void changes_sort(struct changes *changes);

/* 1 to 5 as above; 0 for schema. */
int change_phase(const struct change *change);
