/* SPDX-License-Identifier: Apache-2.0 */
#include "haproxy/reply.h"

/* Prefixes of the lines that mean success, on 2.6 to 3.4. */
static const char *const successes[] = {
	"New server registered",	 "Server deleted",	"New backend registered",
	"Backend published",		 "Backend unpublished", "Backend deleted",
	"Success!",			 "Done.",		"Committing ",
	"Transaction created for ",	 "Transaction updated", "New empty certificate store",
	"Inserting certificate ",	 "Entry '",		"Certificate '",
	"IP changed from ",		 "port changed from ",	"no need to change ",
	"nothing changed",
	"Transaction aborted",
};

static bool is_success(struct str line)
{
	for (size_t i = 0; i < sizeof(successes) / sizeof(successes[0]); i++) {
		if (str_starts(line, str_of(successes[i])))
			return true;
	}
	return str_starts(line, STR("backend '")) || str_starts(line, STR("Backend '"));
}

bool reply_ok(struct str reply, struct error *err)
{
	/* Every command is answered with a line end at least. */
	if (reply.n == 0)
		return error_set(err, ERR_PROTO, "HAProxy hung up without an answer");
	while (reply.n > 0) {
		struct str line = str_trim(str_cut(&reply, '\n'));
		/* "...." is a progress mark of long commands. */
		while (str_starts(line, STR(".")))
			line = str_sub(line, 1, line.n);
		if (!str_empty(line) && !is_success(line))
			return error_set(err, ERR_REFUSED, "HAProxy says: " STR_FMT,
					 STR_ARG(str_sub(line, 0, 200)));
	}
	return true;
}

bool reply_whole(struct str reply, struct error *err)
{
	if (str_is(reply, "\n") || str_ends(reply, STR("\n\n")))
		return true;
	return error_set(err, ERR_PROTO, "an answer of HAProxy stops half way");
}

bool reply_info(struct str reply, struct reply_info *ret_info, struct error *err)
{
	struct reply_info info = { 0 };
	while (reply.n > 0) {
		struct str value = str_cut(&reply, '\n');
		struct str name = str_cut(&value, ':');
		uint64_t number = 0;
		value = str_trim(value);
		if (str_is(name, "Version"))
			info.version = value;
		else if (str_is(name, "Pid") && str_u64(value, INT32_MAX, &number))
			info.pid = (int)number;
		else if (str_is(name, "Stopping"))
			info.stopping = str_u64(value, UINT64_MAX, &number) && number != 0;
		else if (str_is(name, "Uptime_sec") && str_u64(value, UINT64_MAX, &number))
			info.uptime_s = number;
		else if (str_is(name, "description"))
			info.description = value;
	}
	if (info.pid == 0 || str_empty(info.version))
		return error_set(err, ERR_PROTO, "the answer to 'show info' names no process");
	*ret_info = info;
	return true;
}

/* ---- show servers state ---- */

enum { COLUMN_BACKEND = 0, COLUMN_ID, COLUMN_SERVER, COLUMN_ADDRESS, COLUMN_ADMIN,
       COLUMN_WEIGHT, COLUMN_PORT, COLUMN_COUNT };
static const char *const column_names[COLUMN_COUNT] = {
	"be_name", "srv_id", "srv_name", "srv_addr", "srv_admin_state", "srv_uweight", "srv_port",
};
enum { MAX_COLUMNS = 64 };

static bool find_columns(struct str header, size_t ret_at[COLUMN_COUNT])
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		ret_at[i] = MAX_COLUMNS;
	str_cut(&header, ' '); /* "#" */
	for (size_t at = 0; header.n > 0 && at < MAX_COLUMNS; at++) {
		struct str name = str_cut(&header, ' ');
		for (size_t i = 0; i < COLUMN_COUNT; i++) {
			if (str_is(name, column_names[i]))
				ret_at[i] = at;
		}
	}
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		if (ret_at[i] == MAX_COLUMNS)
			return false;
	}
	return true;
}

static bool parse_server(struct arena *arena, struct str line, const size_t at[COLUMN_COUNT],
			 struct live_server *ret_server)
{
	struct str cells[MAX_COLUMNS];
	size_t count = 0;
	while (line.n > 0 && count < MAX_COLUMNS)
		cells[count++] = str_cut(&line, ' ');
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		if (at[i] >= count)
			return false;
	}
	uint64_t id, admin, weight, port;
	if (!str_u64(cells[at[COLUMN_ID]], UINT32_MAX, &id) ||
	    !str_u64(cells[at[COLUMN_ADMIN]], UINT32_MAX, &admin) ||
	    !str_u64(cells[at[COLUMN_WEIGHT]], UINT32_MAX, &weight) ||
	    !str_u64(cells[at[COLUMN_PORT]], UINT16_MAX, &port))
		return false;
	*ret_server = (struct live_server){
		.key = arena_join(arena, cells[at[COLUMN_BACKEND]], '/',
				  cells[at[COLUMN_SERVER]]),
		.address = cells[at[COLUMN_ADDRESS]],
		.port = (unsigned)port,
		.id = (unsigned)id,
		.admin = (unsigned)admin,
		.weight = (unsigned)weight,
	};
	return true;
}

static size_t count_lines(struct str text)
{
	size_t count = 1;
	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == '\n';
	return count;
}

bool reply_servers(struct arena *arena, struct str reply, struct live_server **ret_servers,
		   size_t *ret_count, struct error *err)
{
	size_t at[COLUMN_COUNT], count = 0;
	struct live_server *servers = arena_array(arena, count_lines(reply), sizeof(*servers));
	bool header = false, whole = reply_whole(reply, err);
	if (!str_is(str_trim(str_cut(&reply, '\n')), "1"))
		return error_set(err, ERR_PROTO, "'show servers state' is not of version 1");
	if (!whole)
		return false;
	while (reply.n > 0) {
		struct str line = str_cut(&reply, '\n');
		if (str_empty(str_trim(line)))
			continue;
		if (!header) {
			if (!find_columns(line, at))
				return error_set(err, ERR_PROTO,
						 "'show servers state' lacks a column");
			header = true;
		} else if (!parse_server(arena, line, at, &servers[count++])) {
			return error_set(err, ERR_PROTO, "bad line of 'show servers state'");
		}
	}
	if (!header)
		return error_set(err, ERR_PROTO, "'show servers state' has no header");
	*ret_servers = servers;
	*ret_count = count;
	return true;
}

/* ---- maps ---- */

bool reply_map(struct arena *arena, struct str reply, struct image_entry **ret_entries,
	       size_t *ret_count, struct error *err)
{
	size_t count = 0;
	struct str text = arena_str(arena, reply);
	struct image_entry *entries = arena_array(arena, count_lines(text), sizeof(*entries));
	if (!reply_whole(text, err))
		return false;
	while (text.n > 0) {
		struct str line = str_cut(&text, '\n');
		if (str_empty(line))
			continue;
		if (!str_starts(line, STR("0x")))
			return error_set(err, ERR_PROTO, "'show map' says: " STR_FMT,
					 STR_ARG(str_sub(line, 0, 160)));
		str_cut(&line, ' ');
		struct str key = str_cut(&line, ' ');
		entries[count++] = (struct image_entry){ key, line };
	}
	if (count > 1)
		qsort(entries, count, sizeof(*entries), image_entry_cmp);
	*ret_entries = entries;
	*ret_count = count;
	return true;
}

struct map *reply_map_counts(struct str reply)
{
	struct map *counts = map_new();
	while (reply.n > 0) {
		struct str line = str_cut(&reply, '\n');
		size_t open = str_chr(line, '(', 0), close = str_chr(line, ')', open);
		struct str mark = STR("entry_cnt=");
		uint64_t number;
		for (size_t at = close; at + mark.n < line.n; at++) {
			struct str rest = str_sub(line, at, line.n);
			if (!str_starts(rest, mark))
				continue;
			rest = str_sub(rest, mark.n, rest.n);
			if (str_u64(str_trim(str_cut(&rest, ' ')), UINT32_MAX, &number))
				map_put(counts, str_sub(line, open + 1, close),
					(void *)(uintptr_t)(number + 1));
			break;
		}
	}
	return counts;
}

size_t reply_lines(struct arena *arena, struct str reply, struct str **ret_lines)
{
	size_t count = 0;
	struct str text = arena_str(arena, reply);
	struct str *lines = arena_array(arena, count_lines(text), sizeof(*lines));
	while (text.n > 0) {
		struct str line = str_trim(str_cut(&text, '\n'));
		if (!str_empty(line) && line.p[0] != '#')
			lines[count++] = line;
	}
	*ret_lines = lines;
	return count;
}

struct str reply_fingerprint(struct str reply)
{
	while (reply.n > 0) {
		struct str value = str_cut(&reply, '\n');
		struct str name = str_cut(&value, ':');
		if (str_is(name, "SHA1 FingerPrint"))
			return str_trim(value);
	}
	return STR_NONE;
}

/* ---- show proc ---- */

static struct str cut_word(struct str *rest)
{
	*rest = str_trim(*rest);
	size_t at = 0;
	while (at < rest->n && rest->p[at] != ' ' && rest->p[at] != '\t')
		at++;
	struct str word = str_sub(*rest, 0, at);
	*rest = str_trim(str_sub(*rest, at, rest->n));
	return word;
}

/* "#<PID> <type> <reloads> <uptime> <version>"; current workers before "# old workers". */
bool reply_proc(struct str reply, struct reply_proc *ret_proc, struct error *err)
{
	struct reply_proc proc = { 0 };
	bool old = false;
	while (reply.n > 0) {
		struct str line = str_cut(&reply, '\n');
		if (str_starts(line, STR("# old")))
			old = true;
		uint64_t pid;
		if (!str_u64(cut_word(&line), INT32_MAX, &pid))
			continue;
		struct str type = cut_word(&line);
		if (str_is(type, "master")) {
			proc.master_pid = (int)pid;
			size_t at = str_chr(line, '[', 0);
			struct str mark = STR("[failed: ");
			struct str rest = str_sub(line, at, line.n);
			if (str_starts(rest, mark)) {
				rest = str_sub(rest, mark.n, rest.n);
				if (!str_u64(str_cut(&rest, ']'), UINT32_MAX, &proc.failed))
					proc.failed = 1;
			}
		} else if (str_is(type, "worker") && !old && proc.worker_pid == 0) {
			proc.worker_pid = (int)pid;
		}
	}
	if (proc.master_pid == 0)
		return error_set(err, ERR_PROTO, "the answer to 'show proc' names no master");
	*ret_proc = proc;
	return true;
}
