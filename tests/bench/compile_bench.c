/* SPDX-License-Identifier: Apache-2.0 */
/* compile_bench ROUTES SERVICES: what a full pass and single changes cost, and the memory of
 * objects, views and plan together. */
#include "plan/compile.h"

#include <time.h>

#include "../plan/world.h"

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long status_kib(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;
	size_t n = strlen(field);
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, field, n) == 0)
			kib = strtol(line + n + 1, NULL, 10);
	}
	if (file)
		fclose(file);
	return kib;
}

static const struct compile_options options = { .resolve = { .now_s = 1 } };

static size_t pass(struct store *store, struct compiler *compiler, const char *what)
{
	int64_t from = now_us();
	struct changes *changes = compile_pass(compiler, &options);
	int64_t took = now_us() - from;
	size_t count = changes->count;
	changes_free(changes);
	store_reap(store);
	printf("%-28s %10lld us %8zu changes  %6ld KiB\n", what, (long long)took, count,
	       status_kib("VmRSS"));
	return count;
}

static void put(struct store *store, struct compiler *compiler, struct object *object)
{
	enum kind kind = object->kind;
	struct meta meta = object->meta;
	store_put(store, object);
	compiler_mark(compiler, kind, meta.ns, meta.name);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s ROUTES SERVICES\n", argv[0]);
		return 2;
	}
	size_t routes = strtoul(argv[1], NULL, 10), services = strtoul(argv[2], NULL, 10);
	if (routes == 0 || services == 0)
		return 2;
	struct store *store = store_new();
	struct compiler *compiler = compiler_new(store);
	put(store, compiler, bench_gateway_class());
	put(store, compiler, bench_gateway());
	for (size_t i = 0; i < services; i++) {
		put(store, compiler, bench_service(i));
		put(store, compiler, bench_slice(i, 1));
	}
	for (size_t i = 0; i < routes; i++)
		put(store, compiler, bench_route(i, 1, services));
	printf("%zu routes, %zu services: objects alone %ld KiB\n", routes, services,
	       status_kib("VmRSS"));
	pass(store, compiler, "first pass");
	compiler_mark_all(compiler);
	pass(store, compiler, "full pass again");
	put(store, compiler, bench_route(routes / 2, 2, services));
	pass(store, compiler, "one route");
	put(store, compiler, bench_route(routes / 3, 2, services));
	pass(store, compiler, "another route");
	put(store, compiler, bench_slice(services / 2, 2));
	pass(store, compiler, "one EndpointSlice");
	put(store, compiler, bench_service(services / 2));
	pass(store, compiler, "one Service, unchanged");
	printf("peak %ld KiB\n", status_kib("VmHWM"));
	compiler_free(compiler);
	store_free(store);
	return 0;
}
