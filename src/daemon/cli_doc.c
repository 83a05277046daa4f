/* SPDX-License-Identifier: Apache-2.0 */
/* The documents made from the tables of cli.h: help, man page, shell completion. */
#include "daemon/cli.h"

enum { HELP_COLUMN = 28, HELP_WIDTH = 92 };

/* ---- help ---- */

/* Words of `text`, wrapped at HELP_WIDTH, each line behind `indent` spaces; the cursor stands
 * at `column` when it begins. */
static void add_wrapped(struct sb *out, const char *text, size_t indent, size_t column)
{
	struct str rest = str_of(text);
	bool first = true;
	while (!str_empty(rest)) {
		struct str word = str_cut(&rest, ' ');
		if (!first && column + 1 + word.n > HELP_WIDTH) {
			sb_addf(out, "\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		if (!first) {
			sb_addc(out, ' ');
			column++;
		}
		sb_add(out, word);
		column += word.n;
		first = false;
	}
	sb_addc(out, '\n');
}

/* Paragraphs are separated by newlines in the text; an indented line is kept as it is. */
static void add_paragraphs(struct sb *out, const char *text)
{
	struct str rest = str_of(text);
	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n');
		char copy[2048];
		if (line.n >= sizeof(copy) || str_empty(line) || line.p[0] == ' ') {
			sb_add(out, line);
			sb_addc(out, '\n');
			continue;
		}
		memcpy(copy, line.p, line.n);
		copy[line.n] = '\0';
		add_wrapped(out, copy, 0, 0);
	}
}

static void option_spelling(const struct option_row *row, char *buf, size_t size)
{
	char letter[8] = "";
	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	bool optional = row->arg && row->arg[0] == '[';
	if (optional)
		snprintf(buf, size, "%s--%s[=%.*s]", letter, row->name, (int)strlen(row->arg) - 2,
			 row->arg + 1);
	else
		snprintf(buf, size, "%s--%s%s%s", letter, row->name, row->arg ? " " : "",
			 row->arg ? row->arg : "");
}

static void option_sentence(const struct option_row *row, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s%s%s", row->help, row->unit ? ", in " : "",
		 row->unit ? row->unit : "", row->def ? " (default: " : "", row->def ? row->def : "",
		 row->def ? ")" : "", "");
}

static void help_line(struct sb *out, const char *left, const char *right)
{
	size_t len = strlen(left);
	sb_addf(out, "  %s", left);
	if (len + 4 > HELP_COLUMN)
		sb_addf(out, "\n%*s", HELP_COLUMN, "");
	else
		sb_addf(out, "%*s", (int)(HELP_COLUMN - len - 2), "");
	add_wrapped(out, right, HELP_COLUMN, HELP_COLUMN);
}

static void help_options(struct sb *out, const char *title, const struct option_row *rows)
{
	if (!rows || !rows->name)
		return;
	sb_addf(out, "\n%s:\n", title);
	for (; rows->name; rows++) {
		char left[128], right[512];
		option_spelling(rows, left, sizeof(left));
		option_sentence(rows, right, sizeof(right));
		help_line(out, left, right);
	}
}

static void help_verb(const struct program *program, const struct verb *verb, struct sb *out)
{
	sb_addf(out, "Usage: %s %s%s%s%s\n\n", program->name, verb->name,
		verb->options ? " [OPTION...]" : "", verb->args ? " " : "",
		verb->args ? verb->args : "");
	sb_addf(out, "%s %s: %s.\n", program->name, verb->name, verb->usage);
	if (verb->help) {
		sb_addc(out, '\n');
		add_paragraphs(out, verb->help);
	}
	help_options(out, "Options", verb->options);
	help_options(out, "Global options", program->options);
}

void cli_help(const struct program *program, const struct verb *verb, struct sb *out)
{
	if (verb) {
		help_verb(program, verb, out);
		return;
	}
	sb_addf(out, "Usage: %s COMMAND [OPTION...] [ARGUMENT...]\n\n%s: %s.\n\n", program->name,
		program->name, program->usage);
	add_paragraphs(out, program->help);
	sb_adds(out, "\nCommands:\n");
	for (const struct verb *const *v = program->verbs; *v; v++) {
		char left[160];
		snprintf(left, sizeof(left), "%s%s%s", (*v)->name, (*v)->args ? " " : "",
			 (*v)->args ? (*v)->args : "");
		help_line(out, left, (*v)->usage);
	}
	help_options(out, "Options of every command", program->options);
	sb_addf(out, "\n\"%s COMMAND --help\" tells more of one command.\n", program->name);
}

/* ---- man page ---- */

/* Text for troff: a backslash, a leading dot or quote, and hyphens of options are escaped. */
static void man_text(struct sb *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool line_start = i == 0 || text.p[i - 1] == '\n';
		if (line_start && (c == '.' || c == '\''))
			sb_adds(out, "\\&");
		if (c == '\\')
			sb_adds(out, "\\e");
		else if (c == '-')
			sb_adds(out, "\\-");
		else
			sb_addc(out, c);
	}
}

static void man_paragraphs(struct sb *out, const char *text)
{
	struct str rest = str_of(text);
	bool literal = false;
	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n');
		bool indented = !str_empty(line) && line.p[0] == ' ';
		if (indented != literal)
			sb_adds(out, indented ? ".PP\n.nf\n" : ".fi\n");
		literal = indented;
		if (str_empty(line)) {
			sb_adds(out, ".PP\n");
			continue;
		}
		man_text(out, line);
		sb_addc(out, '\n');
	}
	if (literal)
		sb_adds(out, ".fi\n");
}

static void man_options(struct sb *out, const struct option_row *rows)
{
	for (; rows && rows->name; rows++) {
		char left[128], right[512];
		option_spelling(rows, left, sizeof(left));
		option_sentence(rows, right, sizeof(right));
		sb_adds(out, ".TP\n.B ");
		man_text(out, str_of(left));
		sb_addc(out, '\n');
		man_text(out, str_of(right));
		sb_adds(out, ".\n");
	}
}

static void man_verb(struct sb *out, const struct program *program, const struct verb *verb)
{
	sb_adds(out, ".SS ");
	man_text(out, str_of(verb->name));
	sb_addf(out, "\n.B %s %s\n", program->name, verb->name);
	if (verb->args) {
		sb_adds(out, ".I ");
		man_text(out, str_of(verb->args));
		sb_addc(out, '\n');
	}
	sb_adds(out, ".PP\n");
	man_text(out, str_of(verb->usage));
	sb_adds(out, ".\n");
	if (verb->help) {
		sb_adds(out, ".PP\n");
		man_paragraphs(out, verb->help);
	}
	man_options(out, verb->options);
}

void cli_man(const struct program *program, struct sb *out)
{
	sb_addf(out, ".TH %s %s \"\" \"tidegate %s\" \"Tidegate\"\n.SH NAME\n%s \\- %s\n",
		program->name, program->section, PACKAGE_VERSION, program->name, program->usage);
	sb_addf(out, ".SH SYNOPSIS\n.B %s\n.I COMMAND\n[OPTION...] [ARGUMENT...]\n",
		program->name);
	sb_adds(out, ".SH DESCRIPTION\n");
	man_paragraphs(out, program->help);
	sb_adds(out, ".SH COMMANDS\n");
	for (const struct verb *const *v = program->verbs; *v; v++)
		man_verb(out, program, *v);
	sb_adds(out, ".SH GLOBAL OPTIONS\n");
	man_options(out, program->options);
	for (const struct cli_section *s = program->sections; s && s->title; s++) {
		sb_addf(out, ".SH %s\n", s->title);
		man_paragraphs(out, s->text);
	}
	sb_addf(out, ".SH SEE ALSO\n%s\n", program->see_also);
}

/* ---- completion ---- */

static void option_words(struct sb *out, const struct option_row *rows)
{
	for (; rows && rows->name; rows++)
		sb_addf(out, " --%s", rows->name);
}

static void bash_values(struct sb *out, const struct option_row *rows)
{
	for (; rows && rows->name; rows++) {
		if (!rows->arg || rows->arg[0] == '[')
			continue;
		sb_addf(out, "\t--%s", rows->name);
		if (rows->letter)
			sb_addf(out, "|-%c", rows->letter);
		if (rows->values) {
			sb_adds(out, ") COMPREPLY=($(compgen -W \"");
			for (const char *const *v = rows->values; *v; v++)
				sb_addf(out, "%s%s", v == rows->values ? "" : " ", *v);
			sb_adds(out, "\" -- \"$cur\")); return ;;\n");
		} else {
			sb_adds(out, ") compopt -o default; COMPREPLY=(); return ;;\n");
		}
	}
}

void cli_bash(const struct program *program, struct sb *out)
{
	const char *name = program->name;
	sb_addf(out, "# bash completion of %s; made by: %s help --completion bash\n_%s()\n{\n",
		name, name, name);
	sb_adds(out, "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}"
		     " verb= i\n\tCOMPREPLY=()\n\tcase $prev in\n");
	bash_values(out, program->options);
	for (const struct verb *const *v = program->verbs; *v; v++)
		bash_values(out, (*v)->options);
	sb_adds(out, "\tesac\n\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		     "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	for (const struct verb *const *v = program->verbs; *v; v++)
		sb_addf(out, "%s%s", v == program->verbs ? "" : "|", (*v)->name);
	sb_adds(out, ") verb=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n"
		     "\tlocal words=\"--help");
	option_words(out, program->options);
	sb_adds(out, "\"\n\tcase $verb in\n\t'') words+=\"");
	for (const struct verb *const *v = program->verbs; *v; v++)
		sb_addf(out, " %s", (*v)->name);
	sb_adds(out, "\" ;;\n");
	for (const struct verb *const *v = program->verbs; *v; v++) {
		if (!(*v)->options)
			continue;
		sb_addf(out, "\t%s) words+=\"", (*v)->name);
		option_words(out, (*v)->options);
		sb_adds(out, "\" ;;\n");
	}
	sb_addf(out,
		"\tesac\n\tif [[ $cur == -* || -z $verb ]]; then\n"
		"\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\telse\n"
		"\t\tcompopt -o default\n\tfi\n}\ncomplete -F _%s %s\n",
		name, name);
}

/* For single-quoted zsh specs: quotes, brackets and colons have meanings there. */
static void zsh_text(struct sb *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			sb_adds(out, "'\\''");
		else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
			sb_addf(out, "\\%c", *text);
		else
			sb_addc(out, *text);
	}
}

static void zsh_options(struct sb *out, const struct option_row *rows)
{
	for (; rows && rows->name; rows++) {
		sb_addf(out, " \\\n\t\t\t'*--%s%s[", rows->name,
			rows->arg ? rows->arg[0] == '[' ? "=-" : "=" : "");
		zsh_text(out, rows->help);
		sb_addc(out, ']');
		if (rows->arg) {
			sb_addf(out, ":%s:", rows->name);
			if (!rows->values)
				sb_adds(out, "_files");
			for (const char *const *v = rows->values; v && *v; v++)
				sb_addf(out, "%s%s%s", v == rows->values ? "(" : " ", *v,
					v[1] ? "" : ")");
		}
		sb_addc(out, '\'');
	}
}

void cli_zsh(const struct program *program, struct sb *out)
{
	sb_addf(out, "#compdef %s\n# made by: %s help --completion zsh\n_%s()\n{\n", program->name,
		program->name, program->name);
	sb_adds(out, "\tlocal -a verbs=(\n");
	for (const struct verb *const *v = program->verbs; *v; v++) {
		sb_addf(out, "\t\t'%s:", (*v)->name);
		zsh_text(out, (*v)->usage);
		sb_adds(out, "'\n");
	}
	sb_adds(out, "\t)\n\tlocal state line\n\t_arguments -C '1: :->verb' '*:: :->rest'");
	zsh_options(out, program->options);
	sb_addf(out, "\n\tcase $state in\n\tverb) _describe command verbs ;;\n\trest)\n"
		     "\t\tcase $line[1] in\n");
	for (const struct verb *const *v = program->verbs; *v; v++) {
		sb_addf(out, "\t\t%s) _arguments '*:argument:_files'", (*v)->name);
		zsh_options(out, program->options);
		zsh_options(out, (*v)->options);
		sb_adds(out, " ;;\n");
	}
	sb_addf(out, "\t\tesac ;;\n\tesac\n}\n_%s \"$@\"\n", program->name);
}

/* ---- candidates ---- */

static void add_candidate(struct sb *out, struct str begun, const char *before, const char *word)
{
	char text[128];
	snprintf(text, sizeof(text), "%s%s", before, word);
	if (str_starts(str_of(text), begun))
		sb_addf(out, "%s\n", text);
}

static const struct option_row *find_row(const struct option_row *rows, const char *word)
{
	for (; rows && rows->name; rows++) {
		bool named = word[0] == '-' && word[1] == '-' && strcmp(word + 2, rows->name) == 0;
		bool lettered = word[0] == '-' && word[1] && word[1] == rows->letter && !word[2];
		if (named || lettered)
			return rows;
	}
	return NULL;
}

static const struct verb *first_verb(const struct program *program, int argc, char *const *argv)
{
	const struct verb *verb = NULL;
	for (int i = 1; i < argc - 1 && !verb; i++)
		verb = cli_find_verb(program, argv[i]);
	return verb;
}

static void option_candidates(const struct option_row *rows, struct str begun, struct sb *out)
{
	for (; rows && rows->name; rows++)
		add_candidate(out, begun, "--", rows->name);
}

bool cli_candidates(const struct program *program, int argc, char *const *argv, struct sb *out)
{
	struct str begun = str_of(argc > 1 ? argv[argc - 1] : "");
	const struct verb *verb = first_verb(program, argc, argv);
	const char *before = argc > 2 ? argv[argc - 2] : "";
	const struct option_row *row = find_row(verb ? verb->options : NULL, before);
	if (!row)
		row = find_row(program->options, before);
	if (row && row->arg && row->arg[0] != '[') {
		for (const char *const *v = row->values; v && *v; v++)
			add_candidate(out, begun, "", *v);
		return row->values != NULL;
	}
	if (str_starts(begun, STR("-"))) {
		option_candidates(verb ? verb->options : NULL, begun, out);
		option_candidates(program->options, begun, out);
		return true;
	}
	for (const struct verb *const *v = program->verbs; !verb && *v; v++)
		add_candidate(out, begun, "", (*v)->name);
	return !verb;
}
