/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests without a daemon: read, resolved and compiled in this process. */
#include "ctl/ctl.h"

#include "plan/compile.h"
#include "source/files.h"

#include <time.h>

static size_t named_files(const struct cli *cli, const char *ret_paths[CLI_MAX_VALUES])
{
	size_t count = 0;
	for (size_t i = 0; i < cli->option_count; i++) {
		if (strcmp(cli->options[i].row->name, "files") == 0)
			ret_paths[count++] = cli->options[i].value;
	}
	return count;
}

static void print_findings(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->items[i];
		if (f->severity == SEVERITY_ERROR)
			fprintf(stderr, "warning: " STR_FMT "%s" STR_FMT ": " STR_FMT "\n",
				STR_ARG(f->ns), str_empty(f->ns) ? "" : "/", STR_ARG(f->name),
				STR_ARG(f->text));
	}
}

bool offline_load(struct offline *offline, const struct cli *cli, struct error *err)
{
	const char *paths[CLI_MAX_VALUES];
	size_t count = named_files(cli, paths);
	struct arena *arena = arena_new();
	struct findings findings;
	findings_init(&findings, arena);
	*offline = (struct offline){ .store = store_new() };
	bool ok = files_load(paths, count, offline->store, &findings, err);
	if (ok) {
		const struct compile_options options = {
			.resolve = { .now_s = time(NULL), .controller_name = STR(CONTROLLER_NAME) },
		};
		offline->compiler = compiler_new(offline->store);
		compiler_mark_all(offline->compiler);
		changes_free(compile_pass(offline->compiler, &options));
		print_findings(&findings);
	}
	arena_free(arena);
	return ok;
}

void offline_free(struct offline *offline)
{
	compiler_free(offline->compiler);
	store_free(offline->store);
	*offline = (struct offline){ NULL, NULL };
}
