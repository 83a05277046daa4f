/* SPDX-License-Identifier: Apache-2.0 */
/* The run directory: what HAProxy starts from, and what the next controller starts from. */
#include "daemon/engine_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 1 << 30, FILE_MODE = 0640, KEY_MODE = 0600 };

static bool make_dir(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_errno(err, "cannot create the directory %s", path);
	return true;
}

/* HAProxy gives up root, and must still reach the agent's socket: the run directory, and by its
 * set-group-id bit the sockets made in it, belong to HAProxy's group. The agent may be of an
 * earlier start, and all of it have been given to somebody else meanwhile. */
static bool share_run_dir(struct engine *engine, struct error *err)
{
	const struct engine_options *o = &engine->options;
	if (geteuid() != 0 || (!o->user && !o->group))
		return true;
	const struct group *group = o->group ? getgrnam(o->group) : NULL;
	if (!group)
		return error_set(err, ERR_NOTFOUND, "there is no user '%s' or group '%s' (--user, "
				 "--group)", o->user ? o->user : "", o->group ? o->group : "");
	char socket[4096];
	snprintf(socket, sizeof(socket), "%s/agent.sock", engine->run_dir);
	if (chown(engine->run_dir, (uid_t)-1, group->gr_gid) < 0 ||
	    chmod(engine->run_dir, 02750) < 0 ||
	    (lchown(socket, (uid_t)-1, group->gr_gid) < 0 && errno != ENOENT))
		return error_errno(err, "cannot share %s with HAProxy's group", engine->run_dir);
	return true;
}

bool engine_make_dirs(struct engine *engine, struct error *err)
{
	char path[4096];
	if (!make_dir(engine->run_dir, 0750, err))
		return error_prefix(err, "run directory (--run-dir)");
	if (!share_run_dir(engine, err))
		return false;
	static const char *const names[] = { "maps", "certs", "ask" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", engine->run_dir, names[i]);
		if (!make_dir(path, 0750, err))
			return false;
	}
	if (access(engine->run_dir, W_OK | X_OK) < 0)
		return error_errno(err, "cannot write to the run directory %s (--run-dir)",
				   engine->run_dir);
	return true;
}

/* Now (HAProxy is about to read it), or by the writer. The builder is empty afterwards. */
static bool put(struct engine *engine, bool now, const char *path, struct sb *data, bool durable,
		struct error *err)
{
	bool done = true;
	if (now)
		done = writer_replace(engine->writer, path, sb_str(data), FILE_MODE, durable, err);
	else
		writer_take(engine->writer, path, data, FILE_MODE, durable);
	sb_reset(data);
	return done;
}

static bool put_maps(struct engine *engine, bool now, struct error *err)
{
	struct arena *arena = arena_new();
	struct image *image = image_new(engine->state, STR_NONE);
	struct sb sb;
	sb_init(&sb, MAX_FILE_BYTES);
	bool done = true;
	for (size_t i = 0; done && i < image->count; i++) {
		/* Whoever starts from these files has every backend under its own name. */
		if (!str_is(image->maps[i].file, "spare.map"))
			image_print(&image->maps[i], &sb);
		done = put(engine, now,
			   render_map_path(engine->state, arena, image->maps[i].file).p, &sb,
			   false, err);
	}
	sb_fini(&sb);
	image_free(image);
	arena_free(arena);
	return done;
}

static bool put_plan(struct engine *engine, bool now, struct error *err)
{
	struct arena *arena = arena_new();
	struct sb sb;
	sb_init(&sb, MAX_FILE_BYTES);
	state_print_plan(engine->state, &sb);
	bool done = put(engine, now, engine_path(engine, arena, "plan.last").p, &sb, true, err);
	sb_fini(&sb);
	arena_free(arena);
	return done;
}

static bool put_crt_lists(struct engine *engine, bool now, struct error *err)
{
	struct arena *arena = arena_new();
	const struct texts *frontends = engine->state->tables[PLAN_FRONTEND];
	bool done = true;
	for (size_t i = 0; done && i < texts_count(frontends); i++) {
		struct sb sb;
		struct frontend_value frontend;
		struct str name = texts_key(frontends, i);
		if (!frontend_parse(texts_value(frontends, i), &frontend) || !frontend.https)
			continue;
		sb_init(&sb, MAX_FILE_BYTES);
		render_crt_list(engine->state, name, &sb);
		done = put(engine, now, render_crt_list_path(engine->state, arena, name).p,
			   &sb, false, err);
		sb_fini(&sb);
	}
	arena_free(arena);
	return done;
}

static bool put_cfg(struct engine *engine, bool now, struct error *err)
{
	struct arena *arena = arena_new();
	struct sb sb;
	sb_init(&sb, MAX_FILE_BYTES);
	render_spoe(&sb);
	bool done = put(engine, now, engine_path(engine, arena, "agent.spoe").p, &sb, false,
			err) &&
		    put_crt_lists(engine, now, err);
	render_cfg(engine->state, &engine->render, &sb);
	/* The last: somebody may wait for it to start HAProxy. */
	done = done && put(engine, now, engine_path(engine, arena, "haproxy.cfg").p, &sb, false,
			   err);
	sb_fini(&sb);
	arena_free(arena);
	return done;
}

/* A certificate whose key material is gone keeps the file of the last run. */
static bool put_certs(struct engine *engine, struct error *err)
{
	struct arena *arena = arena_new();
	bool done = true;
	const struct texts *certs = engine->state->tables[PLAN_CERTIFICATE];
	const struct texts *defaults = engine->state->tables[PLAN_DEFAULT_CERT];
	for (size_t i = 0; done && i < texts_count(certs); i++) {
		struct str pem, name = texts_key(certs, i);
		if (engine_pem(engine, name, &pem))
			done = writer_replace(engine->writer,
					      render_cert_path(engine->state, arena, name).p, pem,
					      KEY_MODE, false, err);
	}
	for (size_t i = 0; done && i < texts_count(defaults); i++) {
		struct str pem, frontend = texts_key(defaults, i);
		if (engine_pem(engine, texts_value(defaults, i), &pem))
			done = writer_replace(
				engine->writer,
				render_default_path(engine->state, arena, frontend).p, pem,
				KEY_MODE, false, err);
	}
	arena_free(arena);
	return done;
}

bool engine_write_all(struct engine *engine, struct error *err)
{
	bool done = put_certs(engine, err) && put_maps(engine, true, err) &&
		    put_cfg(engine, true, err) && put_plan(engine, true, err);
	engine->maps_dirty = engine->cfg_dirty = !done;
	return done;
}

void engine_write_changed(struct engine *engine)
{
	struct error err; /* the writer reports by itself */
	if (engine->maps_dirty)
		(void)!put_maps(engine, false, &err);
	if (engine->cfg_dirty)
		(void)!put_cfg(engine, false, &err);
	if (engine->maps_dirty || engine->cfg_dirty)
		(void)!put_plan(engine, false, &err);
	engine->maps_dirty = engine->cfg_dirty = false;
}

void engine_write_cert(struct engine *engine, struct str path, struct str pem)
{
	writer_put(engine->writer, path.p, pem, KEY_MODE, false);
}

static struct str read_file(struct arena *arena, const char *path, size_t max_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return STR_NONE;
	struct sb sb;
	char buf[65536];
	sb_init(&sb, max_bytes);
	for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
		sb_add(&sb, (struct str){ buf, (size_t)n });
	close(fd);
	struct str text = arena_str(arena, sb_str(&sb));
	sb_fini(&sb);
	return text;
}

bool engine_same_schema(struct engine *engine, struct str description)
{
	struct str rest = description;
	uint64_t spares;
	if (!str_is(str_cut(&rest, ' '), "schema"))
		return false; /* not a configuration of ours */
	struct str schema = rest;
	str_cut(&rest, ' ');
	if (str_u64(rest, 1 << 20, &spares))
		state_set_spares(engine->state, (unsigned)spares);
	struct arena *arena = arena_new();
	bool same = str_eq(schema, render_schema(engine->state, &engine->render, arena));
	arena_free(arena);
	return same;
}

struct str engine_read_version(struct engine *engine, struct arena *arena)
{
	return read_file(arena, engine_path(engine, arena, "haproxy.version").p, 4096);
}

struct plan *engine_last_plan(const struct engine_options *options, struct error *err)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/plan.last", options->run_dir);
	struct arena *arena = arena_new();
	struct str text = read_file(arena, path, MAX_FILE_BYTES);
	struct plan *plan = NULL;
	if (!text.p)
		error_set(err, ERR_NOTFOUND, "no last-good plan at %s", path);
	else if (!(plan = plan_parse(text, err)))
		error_prefix(err, "%s", path);
	arena_free(arena);
	return plan;
}

/* ---- operators' overrides: "BACKEND/SERVER STATE" lines ---- */

void engine_load_overrides(struct engine *engine)
{
	struct arena *arena = arena_new();
	struct str text =
		read_file(arena, engine_path(engine, arena, "servers.override").p, 1 << 24);
	while (text.n > 0) {
		struct str value = str_cut(&text, '\n');
		struct str key = str_cut(&value, ' ');
		if (str_is(value, "drain") || str_is(value, "maint"))
			state_put_str(engine->state->overrides, key, value);
	}
	arena_free(arena);
}

void engine_write_overrides(struct engine *engine)
{
	struct arena *arena = arena_new();
	struct sb sb;
	sb_init(&sb, 1 << 24);
	size_t count = map_count(engine->state->overrides);
	struct map_entry **sorted = map_sorted(engine->state->overrides);
	for (size_t i = 0; i < count; i++)
		sb_addf(&sb, STR_FMT " " STR_FMT "\n", STR_ARG(map_key(sorted[i])),
			STR_ARG(*(struct str *)map_value(sorted[i])));
	free(sorted);
	writer_put(engine->writer, engine_path(engine, arena, "servers.override").p, sb_str(&sb),
		   FILE_MODE, true);
	sb_fini(&sb);
	arena_free(arena);
}

/* ---- addresses ---- */

/* The address HAProxy will bind: "*" and IPv4, or IPv6 in brackets or not. */
static socklen_t bind_address(struct str text, uint16_t port, struct sockaddr_storage *ret)
{
	char host[64];
	memset(ret, 0, sizeof(*ret));
	if (str_starts(text, STR("[")))
		text = str_sub(text, 1, text.n - 1);
	snprintf(host, sizeof(host), STR_FMT, STR_ARG(text));
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	if (str_is(text, "*") || inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

/* 0, or why it cannot be bound. With SO_REUSEPORT, as HAProxy does: our own HAProxy's
 * listeners are no obstacle. Its `transparent` comes down to IP_FREEBIND where it has no rights
 * for more. */
static int try_bind(struct str text, uint16_t port, bool transparent, bool v6only)
{
	struct sockaddr_storage address;
	socklen_t len = bind_address(text, port, &address);
	if (len == 0)
		return EINVAL;
	int on = 1, failed = 0;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (transparent)
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	if (v6only)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* No listen(): the socket would take connections that are HAProxy's. */
	if (bind(fd, (const struct sockaddr *)&address, len) < 0)
		failed = errno;
	close(fd);
	return failed;
}

/* Both, if there are both. */
static int try_bind_any(const struct engine *engine, uint16_t port)
{
	int failed = try_bind(STR("*"), port, false, false);
	return failed || !engine->render.ipv6 ? failed : try_bind(STR("::"), port, false, true);
}

bool engine_has_ipv6(void)
{
	return try_bind(STR("::"), 0, false, true) == 0;
}

static void set_blocked(struct engine *engine, struct str name, struct str why)
{
	if (str_eq(state_map_str(engine->state->blocked, name), why))
		return;
	if (str_empty(why))
		state_del_str(engine->state->blocked, name);
	else
		state_put_str(engine->state->blocked, name, why);
	engine->stats.block_changes++;
}

static void block_frontend(struct engine *engine, struct str name, struct str address,
			   struct str port, int why)
{
	struct arena *arena = arena_new();
	const char *remedy = why == EACCES	? "run as root, or with CAP_NET_BIND_SERVICE" :
			     why == EADDRINUSE	? "another program listens there: stop it, or "
						  "change the listener's port" :
			     why == EADDRNOTAVAIL ? "this host does not have the address" :
						    "see the Gateway's spec.addresses and ports";
	struct str text = arena_strf(arena, "cannot bind " STR_FMT ":" STR_FMT ": %s; %s",
				     STR_ARG(address), STR_ARG(port), strerror(why), remedy);
	if (!map_get(engine->state->blocked, name))
		engine_event(engine, "bind", false, STR_FMT ": " STR_FMT, STR_ARG(name),
			     STR_ARG(text));
	set_blocked(engine, name, text);
	arena_free(arena);
}

void engine_test_binds(struct engine *engine)
{
	const struct texts *frontends = engine->state->tables[PLAN_FRONTEND];
	for (size_t i = 0; i < texts_count(frontends); i++) {
		struct str name = texts_key(frontends, i);
		struct frontend_value frontend;
		uint64_t port = 0;
		int failed = 0;
		if (!frontend_parse(texts_value(frontends, i), &frontend) ||
		    !str_u64(frontend.bind_port, 65535, &port))
			continue;
		struct str rest = frontend.addresses, address = STR_NONE;
		while (rest.n > 0 && !failed) {
			address = str_cut(&rest, ',');
			failed = str_is(address, "*") ?
					 try_bind_any(engine, (uint16_t)port) :
					 try_bind(address, (uint16_t)port, frontend.transparent,
						  false);
		}
		if (failed)
			block_frontend(engine, name, address, frontend.bind_port, failed);
		else
			set_blocked(engine, name, STR_NONE);
	}
}

void engine_learn_schema(struct engine *engine)
{
	engine->schema_pid = engine->worker_pid;
	state_learn_headers(engine->state);
	map_free(engine->live_frontends, NULL);
	engine->live_frontends = map_new();
	const struct texts *frontends = engine->state->tables[PLAN_FRONTEND];
	for (size_t i = 0; i < texts_count(frontends); i++) {
		if (state_frontend_served(engine->state, texts_key(frontends, i)))
			map_put(engine->live_frontends, texts_key(frontends, i), engine);
	}
}

void engine_learn_old_frontends(struct engine *engine)
{
	struct arena *arena = arena_new();
	struct str text = read_file(arena, engine_path(engine, arena, "haproxy.cfg").p,
				    MAX_FILE_BYTES);
	map_free(engine->live_frontends, NULL);
	engine->live_frontends = map_new();
	while (text.n > 0) {
		struct str line = str_cut(&text, '\n');
		if (str_is(str_cut(&line, ' '), "frontend"))
			map_put(engine->live_frontends, str_cut(&line, ' '), engine);
	}
	arena_free(arena);
}

void engine_block_others(struct engine *engine, const char *why)
{
	struct arena *arena = arena_new();
	const struct texts *frontends = engine->state->tables[PLAN_FRONTEND];
	for (size_t i = 0; i < texts_count(frontends); i++) {
		struct str name = texts_key(frontends, i);
		if (!map_get(engine->live_frontends, name) &&
		    state_frontend_served(engine->state, name))
			set_blocked(engine, name, arena_strf(arena, "not in HAProxy yet: %s", why));
	}
	arena_free(arena);
}

bool engine_unblocked(struct engine *engine)
{
	size_t before = map_count(engine->state->blocked);
	if (before > 0)
		engine_test_binds(engine);
	return map_count(engine->state->blocked) < before;
}

struct str engine_blocked(const struct engine *engine, struct str frontend)
{
	return state_map_str(engine->state->blocked, frontend);
}
