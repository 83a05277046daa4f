/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines as data: one table of verbs and one of options is the parser, the help, the
 * man page and the shell completion of a program.
 *
 *     program [global options] VERB [options] [ARGUMENTS]
 *
 * Options may stand anywhere before "--". Global options are known to every verb. */
#pragma once

#include "base/error.h"
#include "base/sb.h"

struct option_row {
	const char *name; /* "run-dir": --run-dir */
	const char *arg;  /* "DIR"; NULL: a switch; "[TARGET]": may be left out (--x=TARGET) */
	const char *def;  /* what holds when it is not given, in words; may be NULL */
	const char *unit; /* may be NULL */
	const char *help; /* one sentence */
	char letter;      /* 'o': -o; 0: none */
	const char *const *values; /* the only values that are taken; NULL-terminated, or NULL */
};

struct cli_value {
	const struct option_row *row;
	const char *value; /* "" for a switch */
};

enum { CLI_MAX_VALUES = 256 };

struct program;

/* What a command line said. */
struct cli {
	const struct program *program;
	const struct verb *verb;
	struct cli_value options[CLI_MAX_VALUES];
	size_t option_count;
	const char *args[CLI_MAX_VALUES];
	size_t arg_count;
	void *user;
};

struct verb {
	const char *name;
	const char *args;  /* "ROUTE [NAME=WEIGHT...]"; NULL: none */
	const char *usage; /* one line: what it does */
	const char *help;  /* paragraphs, separated by an empty line; may be NULL */
	const struct option_row *options; /* ends with a row without a name; may be NULL */
	size_t min_args, max_args;
	int (*run)(const struct cli *cli);
};

struct cli_section {
	const char *title; /* "FILES" */
	const char *text;  /* paragraphs */
};

struct program {
	const char *name;
	const char *section; /* of the manual: "1", "8" */
	const char *usage;   /* one line */
	const char *help;    /* paragraphs */
	const struct option_row *options; /* global */
	const struct verb *const *verbs;  /* NULL-terminated */
	const struct cli_section *sections; /* of the man page; ends without a title */
	const char *see_also;
};

/* Exit statuses that every program here has. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* False with a sentence that says what to write instead. */
bool cli_parse(const struct program *program, int argc, char *const *argv, struct cli *ret,
	       struct error *err) must_check;

/* Parses and runs the verb; handles --help, --version and the verbs "help" and "version".
 * Returns the exit status. */
int cli_main(const struct program *program, int argc, char *const *argv, void *user);

/* The last value of an option, or NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* The same with `fallback` for NULL. */
const char *cli_option_or(const struct cli *cli, const char *name, const char *fallback);
bool cli_has(const struct cli *cli, const char *name);
/* A number 0..max; `fallback` when the option was not given. */
bool cli_number(const struct cli *cli, const char *name, uint64_t max, uint64_t fallback,
		uint64_t *ret_value, struct error *err) must_check;

const struct verb *cli_find_verb(const struct program *program, const char *name);

/* verb NULL: of the program. */
void cli_help(const struct program *program, const struct verb *verb, struct sb *out);
void cli_man(const struct program *program, struct sb *out);       /* troff, man(7) */
void cli_bash(const struct program *program, struct sb *out);      /* completion */
void cli_zsh(const struct program *program, struct sb *out);

/* The words that may take the place of the last one, which has begun, one a line. False when
 * those are not ours to know: it is an argument, or an option's value. */
bool cli_candidates(const struct program *program, int argc, char *const *argv, struct sb *out);

/* Rows and a verb that both programs share. */
#define OPTION_END { NULL, NULL, NULL, NULL, NULL, 0, NULL }
extern const struct verb verb_help, verb_version;
