/* SPDX-License-Identifier: Apache-2.0 */
/* What a Runtime API socket answers, be it HAProxy's or not: the parsers, and the comparison
 * with a small plan, whose repairs must be whole commands that HAProxy can take.
 *
 *   version u8 | backends | spares | servers | map | counts | crt-list
 *
 * separated as in fuzz.h. */
#include <assert.h>

#include "base/map.h"
#include "fuzz.h"
#include "haproxy/readback.h"
#include "haproxy/render.h"
#include "model/limits.h"

static const char plan_text[] =
	"frontend\tdefault.gw.443\thttps *:443\n"
	"frontend\tdefault.gw.80\thttp *:80\n"
	"listener\tdefault.gw.443 *\thttps\n"
	"listener\tdefault.gw.80 *\thttp\n"
	"certificate\tdefault.cert\tab12\n"
	"sni\tdefault.gw.443 default.cert\twww.example.com\n"
	"default-cert\tdefault.gw.443\tdefault.cert\n"
	"backend\tdefault.api.80\th2c\n"
	"backend\tdefault.web.80\th1\n"
	"server\tdefault.api.80/pod-a\t[fd00::1]:8080 1\n"
	"server\tdefault.web.80/pod-a\t10.0.0.1:8080 1\n"
	"server\tdefault.web.80/pod-b\t10.0.0.2:8080 256\n"
	"header\th1/req/set/x-a\tone two\n"
	"split\t%1/\tdefault.web.80\n"
	"split\t%1/19\tdefault.api.80\n"
	"list\t?1\tmethod=GET header.x-a=\"b\" => default.web.80 default/r/0 ; => http-404 -\n"
	"rule\t@default/r/1\t%1/10/10|||||h1\n"
	"route\tdefault.gw.80 www.example.com/\t?1\n"
	"route\tdefault.gw.80 www.example.com/a/\t@default/r/1\n";

/* ---- the parsers ---- */

static void check_slice(struct str whole, struct str part)
{
	assert(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void check_tables(struct arena *arena, struct str reply)
{
	struct live_server *servers;
	struct image_entry *entries;
	struct str *lines;
	size_t count;
	struct error err = { 0 };
	if (reply_servers(arena, reply, &servers, &count, &err)) {
		for (size_t i = 0; i < count; i++)
			assert(servers[i].port <= 65535 &&
			       (i == 0 || str_cmp(servers[i - 1].key, servers[i].key) <= 0));
	} else {
		assert(err.code == ERR_PROTO && err.text[0]);
	}
	if (reply_map(arena, reply, &entries, &count, NULL)) {
		for (size_t i = 1; i < count; i++)
			assert(str_cmp(entries[i - 1].key, entries[i].key) <= 0);
	}
	count = reply_lines(arena, reply, &lines);
	for (size_t i = 0; i < count; i++)
		assert(lines[i].n > 0);
}

static void check_parsers(struct str reply)
{
	struct arena *arena = arena_new();
	struct reply_info info;
	struct reply_proc proc;
	struct error err = { 0 };
	check_tables(arena, reply);
	if (reply_info(reply, &info, NULL)) {
		assert(info.pid > 0 && info.version.n > 0);
		check_slice(reply, info.version);
	}
	if (reply_proc(reply, &proc, NULL))
		assert(proc.master_pid > 0 && proc.worker_pid >= 0);
	if (!reply_ok(reply, &err))
		assert(err.code == ERR_REFUSED);
	map_free(reply_map_counts(reply), NULL);
	check_slice(reply, reply_fingerprint(reply));
	arena_free(arena);
}

/* ---- comparison and repair ---- */

/* Words of one command, as HAProxy's command line splits them. */
static size_t check_command(struct str command)
{
	static const char *const verbs[] = { "add map ",    "set map ",	   "del map ",
					     "add server ", "set server ", "add backend ",
					     "publish backend ", "del ssl crt-list " };
	bool known = false;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		known = known || str_starts(command, str_of(verbs[i]));
	assert(known);
	return 1;
}

/* One line of commands separated by ";" that no backslash takes away. */
static size_t check_chain(struct str chain)
{
	size_t commands = 0, from = 0;
	for (size_t i = 0; i < chain.n; i++) {
		assert(chain.p[i] != '\n' && chain.p[i] != '\0');
		if (chain.p[i] == '\\')
			i++;
		else if (chain.p[i] == ';') {
			commands += check_command(str_sub(chain, from, i));
			from = i + 1;
		}
	}
	return commands + check_command(str_sub(chain, from, chain.n));
}

/* "HEAD <<", lines of which none is empty, and the empty one that ends it. */
static size_t check_payload(struct str batch)
{
	struct str head = str_cut(&batch, '\n');
	assert(str_starts(head, STR("add map ")) || str_starts(head, STR("add ssl crt-list ")));
	while (!str_is(batch, "\n"))
		assert(str_cut(&batch, '\n').n > 0);
	return 1;
}

static void check_commands(struct commands *commands)
{
	size_t count = 0;
	commands_flush(commands);
	assert(!commands->chain.failed);
	for (size_t i = 0; i < commands->count; i++) {
		struct str batch = commands->batches[i];
		size_t end = str_chr(batch, '\n', 0);
		assert(batch.n <= MAX_COMMAND_BYTES && end < batch.n);
		if (str_ends(str_sub(batch, 0, end), STR(" <<"))) {
			count += check_payload(batch);
		} else {
			assert(end == batch.n - 1);
			count += check_chain(str_sub(batch, 0, end));
		}
	}
	assert(count == commands->command_count);
}

static void note_suspect(void *user, struct str file)
{
	assert(file.n > 0);
	(*(size_t *)user)++;
}

static struct state *make_state(unsigned char version)
{
	struct haproxy_caps caps;
	struct plan *plan = plan_parse(str_of(plan_text), NULL);
	assert(plan);
	assert(caps_parse(version & 1 ? STR("3.4.0") : STR("2.6.12"), &caps, NULL));
	struct state *state = state_new(&caps, "/run/tidegate");
	state_load(state, plan);
	state_settle(state);
	state_set_spares(state, 2);
	plan_free(plan);
	return state;
}

static void compare(struct readback *rb, struct str rest)
{
	struct str backends = fuzz_part(&rest), spares = fuzz_part(&rest);
	struct str servers = fuzz_part(&rest), map = fuzz_part(&rest), counts = fuzz_part(&rest);
	struct image *image = image_new(rb->state, STR_NONE);
	size_t suspects = 0;
	(void)!readback_backends(rb, backends, spares, NULL);
	(void)!readback_servers(rb, servers, NULL);
	for (size_t i = 0; i < image->count; i++)
		(void)!readback_map(rb, &image->maps[i], map, NULL);
	readback_counts(rb, image, counts, note_suspect, &suspects);
	assert(suspects <= image->count);
	readback_crt_list(rb, STR("default.gw.443"), rest);
	image_free(image);
}

/* First only comparing, which must leave the state alone, then repairing. */
static void check_readback(unsigned char version, struct str replies)
{
	struct state *state = make_state(version);
	struct sb differences;
	sb_init(&differences, 1 << 26);
	struct readback rb = { .state = state, .differences = &differences, .server_due_ms = 1000 };
	compare(&rb, replies);
	rb = (struct readback){ .state = state,
				.commands = commands_new(),
				.removals = version & 2 ? commands_new() : NULL,
				.record_due_ms = 2000,
				.server_due_ms = 1000 };
	compare(&rb, replies);
	check_commands(rb.commands);
	if (rb.removals)
		check_commands(rb.removals);
	commands_free(rb.removals);
	commands_free(rb.commands);
	sb_fini(&differences);
	state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str rest = fuzz_input(data + 1, size - 1), replies = rest;
	check_parsers(rest);
	while (rest.n)
		check_parsers(fuzz_part(&rest));
	check_readback(data[0], replies);
	return 0;
}
