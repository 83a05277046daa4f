/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cli.h"

#include <string.h>

static const struct option_row *find_in(const struct option_row *rows, struct str name, char letter)
{
	for (; rows && rows->name; rows++) {
		if (letter ? rows->letter == letter : str_is(name, rows->name))
			return rows;
	}
	return NULL;
}

static const struct option_row builtin_options[] = {
	{ "help", NULL, NULL, NULL, "shows help: of the program, or of the command", 'h', NULL },
	{ "version", NULL, NULL, NULL, "prints the version", 'V', NULL },
	OPTION_END,
};

static const struct option_row *find_option(const struct cli *cli, struct str name, char letter)
{
	const struct option_row *row = NULL;
	if (cli->verb)
		row = find_in(cli->verb->options, name, letter);
	if (!row)
		row = find_in(cli->program->options, name, letter);
	return row ? row : find_in(builtin_options, name, letter);
}

const struct verb *cli_find_verb(const struct program *program, const char *name)
{
	for (const struct verb *const *verb = program->verbs; *verb; verb++) {
		if (strcmp((*verb)->name, name) == 0)
			return *verb;
	}
	return NULL;
}

static bool value_allowed(const struct option_row *row, const char *value, struct error *err)
{
	if (!row->values)
		return true;
	char list[160] = "";
	for (const char *const *v = row->values; *v; v++) {
		if (strcmp(*v, value) == 0)
			return true;
		size_t used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", *v);
	}
	return error_set(err, ERR_SYNTAX, "--%s takes one of %s, not \"%s\"", row->name, list,
			 value);
}

static bool add_option(struct cli *cli, const struct option_row *row, const char *value,
		       struct error *err)
{
	if (cli->option_count == CLI_MAX_VALUES)
		return error_set(err, ERR_LIMIT, "more than %d options", CLI_MAX_VALUES);
	if (row->arg && *value && !value_allowed(row, value, err))
		return false;
	cli->options[cli->option_count++] = (struct cli_value){ row, value };
	return true;
}

/* Takes the option at argv[*i], and its value, which may be the next word. */
static bool take_option(struct cli *cli, int argc, char *const *argv, int *i, struct error *err)
{
	const char *word = argv[*i];
	const char *value = NULL;
	const struct option_row *row;
	if (word[1] == '-') {
		struct str rest = str_of(word + 2);
		size_t equals = str_chr(rest, '=', 0);
		if (equals < rest.n)
			value = rest.p + equals + 1;
		row = find_option(cli, str_sub(rest, 0, equals), 0);
	} else {
		row = find_option(cli, STR_NONE, word[1]);
		if (row && word[2])
			value = word + 2;
	}
	if (!row)
		return error_set(err, ERR_SYNTAX, "there is no option %s: see %s%s%s --help", word,
				 cli->program->name, cli->verb ? " " : "",
				 cli->verb ? cli->verb->name : "");
	if (!row->arg && value)
		return error_set(err, ERR_SYNTAX, "--%s takes no value", row->name);
	if (row->arg && row->arg[0] != '[' && !value) {
		if (*i + 1 >= argc)
			return error_set(err, ERR_SYNTAX, "--%s needs a value: %s", row->name,
					 row->arg);
		value = argv[++*i];
	}
	return add_option(cli, row, value ? value : "", err);
}

static bool take_word(struct cli *cli, const char *word, struct error *err)
{
	if (!cli->verb) {
		cli->verb = cli_find_verb(cli->program, word);
		if (!cli->verb)
			return error_set(err, ERR_SYNTAX, "there is no command \"%s\": see %s --help",
					 word, cli->program->name);
		return true;
	}
	if (cli->arg_count == CLI_MAX_VALUES)
		return error_set(err, ERR_LIMIT, "more than %d arguments", CLI_MAX_VALUES);
	cli->args[cli->arg_count++] = word;
	return true;
}

static bool check_arg_count(const struct cli *cli, struct error *err)
{
	const struct verb *verb = cli->verb;
	if (!verb || cli_has(cli, "help"))
		return true;
	if (cli->arg_count < verb->min_args || cli->arg_count > verb->max_args)
		return error_set(err, ERR_SYNTAX, "%s arguments: %s %s %s",
				 cli->arg_count < verb->min_args ? "missing" : "too many",
				 cli->program->name, verb->name, verb->args ? verb->args : "");
	return true;
}

bool cli_parse(const struct program *program, int argc, char *const *argv, struct cli *ret,
	       struct error *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->program = program;
	bool words_only = false;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (!words_only && strcmp(word, "--") == 0) {
			words_only = true;
			continue;
		}
		bool option = !words_only && word[0] == '-' && word[1];
		if (option ? !take_option(ret, argc, argv, &i, err) : !take_word(ret, word, err))
			return false;
	}
	return check_arg_count(ret, err);
}

const char *cli_option(const struct cli *cli, const char *name)
{
	for (size_t i = cli->option_count; i > 0; i--) {
		if (strcmp(cli->options[i - 1].row->name, name) == 0)
			return cli->options[i - 1].value;
	}
	return NULL;
}

const char *cli_option_or(const struct cli *cli, const char *name, const char *fallback)
{
	const char *value = cli_option(cli, name);
	return value ? value : fallback;
}

bool cli_has(const struct cli *cli, const char *name)
{
	return cli_option(cli, name) != NULL;
}

bool cli_number(const struct cli *cli, const char *name, uint64_t max, uint64_t fallback,
		uint64_t *ret_value, struct error *err)
{
	const char *text = cli_option(cli, name);
	if (!text) {
		*ret_value = fallback;
		return true;
	}
	if (!str_u64(str_of(text), max, ret_value))
		return error_set(err, ERR_SYNTAX, "--%s takes a number from 0 to %llu, not \"%s\"",
				 name, (unsigned long long)max, text);
	return true;
}

static int print_and_free(struct sb *out)
{
	int status = out->failed ? EXIT_FAILED : EXIT_OK;
	fwrite(out->data ? out->data : "", 1, out->len, stdout);
	sb_fini(out);
	return status;
}

static int show_help(const struct program *program, const struct verb *verb)
{
	struct sb out;
	sb_init(&out, 1 << 20);
	cli_help(program, verb, &out);
	return print_and_free(&out);
}

static int run_help(const struct cli *cli)
{
	const char *shell = cli_option(cli, "completion");
	struct sb out;
	sb_init(&out, 1 << 20);
	if (cli_has(cli, "man")) {
		cli_man(cli->program, &out);
		return print_and_free(&out);
	}
	if (shell) {
		if (strcmp(shell, "zsh") == 0)
			cli_zsh(cli->program, &out);
		else
			cli_bash(cli->program, &out);
		return print_and_free(&out);
	}
	sb_fini(&out);
	const struct verb *verb = cli->arg_count ? cli_find_verb(cli->program, cli->args[0]) : NULL;
	if (cli->arg_count && !verb) {
		fprintf(stderr, "%s: there is no command \"%s\"\n", cli->program->name,
			cli->args[0]);
		return EXIT_USAGE;
	}
	return show_help(cli->program, verb);
}

static int run_version(const struct cli *cli)
{
	printf("%s %s\n", cli->program->name, PACKAGE_VERSION);
	return EXIT_OK;
}

static const char *const shells[] = { "bash", "zsh", NULL };

static const struct option_row help_options[] = {
	{ "man", NULL, NULL, NULL, "prints the manual page (troff)", 0, NULL },
	{ "completion", "SHELL", NULL, NULL, "prints the completion script of bash or zsh", 0,
	  shells },
	OPTION_END,
};

const struct verb verb_help = {
	.name = "help",
	.args = "[COMMAND]",
	.usage = "explains a command",
	.options = help_options,
	.max_args = 1,
	.run = run_help,
};

const struct verb verb_version = {
	.name = "version",
	.usage = "prints the version",
	.run = run_version,
};

int cli_main(const struct program *program, int argc, char *const *argv, void *user)
{
	struct cli cli;
	struct error err;
	if (!cli_parse(program, argc, argv, &cli, &err)) {
		fprintf(stderr, "%s: %s\n", program->name, err.text);
		return EXIT_USAGE;
	}
	cli.user = user;
	if (cli_has(&cli, "help"))
		return show_help(program, cli.verb);
	if (cli_has(&cli, "version"))
		return run_version(&cli);
	if (!cli.verb) {
		struct sb out;
		sb_init(&out, 1 << 20);
		cli_help(program, NULL, &out);
		fwrite(out.data, 1, out.len, stderr);
		sb_fini(&out);
		return EXIT_USAGE;
	}
	return cli.verb->run(&cli);
}
