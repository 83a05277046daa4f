/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files, with any compiler: those that are named, or the target's
 * whole corpus. The name of each input is printed before it runs, so that the last one is the
 * culprit. */
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "fuzz.h"

enum { PATH_BYTES = 4096, MAX_INPUT_BYTES = 1 << 24, TIMEOUT_S = 60 };

static bool replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	uint8_t *bytes = xmalloc(MAX_INPUT_BYTES);
	size_t n = fread(bytes, 1, MAX_INPUT_BYTES, file);
	fclose(file);
	/* Not one byte more, so that a sanitizer sees what reads past the end. */
	bytes = xrealloc(bytes, n);
	printf("%s\n", path);
	fflush(stdout);
	alarm(TIMEOUT_S); /* an input that hangs fails */
	LLVMFuzzerTestOneInput(bytes, n);
	alarm(0);
	free(bytes);
	return true;
}

/* "spop_fuzz" runs corpus/spop. */
static bool replay_corpus(const char *program)
{
	const char *slash = strrchr(program, '/');
	struct str name = str_of(slash ? slash + 1 : program);
	char directory[PATH_BYTES], path[2 * PATH_BYTES];
	snprintf(directory, sizeof(directory), "%s/" STR_FMT, CORPUS_DIR,
		 STR_ARG(str_sub(name, 0, str_chr(name, '_', 0))));
	struct dirent **entries;
	int count = scandir(directory, &entries, NULL, alphasort), inputs = 0;
	bool ok = true;
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
			ok = replay(path) && ok;
			inputs++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	printf("%d inputs in %s\n", inputs, directory);
	return ok && inputs > 0;
}

int main(int argc, char **argv)
{
	bool ok = true;
	for (int i = 1; i < argc; i++)
		ok = replay(argv[i]) && ok;
	if (argc < 2)
		ok = replay_corpus(argv[0]);
	return ok ? 0 : 1;
}
