/* SPDX-License-Identifier: Apache-2.0 */
/* One c-ares channel on libev. Each name has its own due time; one timer serves them all and
 * c-ares' own time-outs.
 *
 *   idle ──(due)──► asking ──► idle (due again when the TTL runs out, or after a back-off)
 *
 * A query cannot be taken back, so a name that is forgotten while it is asking is freed by the
 * answer. */
#include "source/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <ev.h>
#include <netdb.h>

#include "base/map.h"
#include "source/clock.h"

enum {
	MIN_TTL_S = 1,
	MAX_TTL_S = 3600,
	MIN_RETRY_S = 1,
	MAX_RETRY_S = 30,
	QUERY_TIMEOUT_MS = 2000,
	QUERY_TRIES = 2,
	MAX_SOCKETS = 64,
	MAX_QUERIES = 100, /* at the same time; the others wait for their turn */
};

struct address_set {
	struct str *items; /* each one from the heap; sorted, without duplicates */
	size_t count, capacity;
};

struct name {
	struct dns *dns; /* NULL: forgotten while asking */
	char *host;
	struct address_set addresses; /* in force; empty until the first answer */
	struct address_set fresh;     /* of the answer under way */
	int lost;                     /* the family that `fresh` lacks, being asked for alone */
	bool asking, wanted;
	double due;          /* by clock_s() */
	unsigned int retry_s; /* the next back-off */
};

struct socket_io {
	struct ev_io io;
	ares_socket_t fd; /* ARES_SOCKET_BAD: free */
};

struct dns {
	struct ev_loop *loop;
	ares_channel channel;
	struct ev_timer timer;
	struct socket_io sockets[MAX_SOCKETS];
	struct map *names; /* host -> struct name */
	size_t asking_count;
	void (*changed)(void *user, struct str host);
	void *user;
	struct dns_stats stats;
};

/* ---- Addresses ---- */

static void set_fini(struct address_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free((void *)(uintptr_t)set->items[i].p);
	free(set->items);
	*set = (struct address_set){ .items = NULL };
}

static void set_add(struct address_set *set, struct str text)
{
	set->items = grow(set->items, set->count, &set->capacity, sizeof(*set->items));
	set->items[set->count++] = (struct str){ xstrndup(text.p, text.n), text.n };
}

static void set_sort(struct address_set *set)
{
	size_t kept = 0;
	if (set->count)
		qsort(set->items, set->count, sizeof(*set->items), str_order);
	for (size_t i = 0; i < set->count; i++) {
		if (kept && str_eq(set->items[i], set->items[kept - 1]))
			free((void *)(uintptr_t)set->items[i].p);
		else
			set->items[kept++] = set->items[i];
	}
	set->count = kept;
}

static bool set_eq(const struct address_set *a, const struct address_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!str_eq(a->items[i], b->items[i]))
			return false;
	}
	return true;
}

static int family_of(struct str address)
{
	return str_chr(address, ':', 0) < address.n ? AF_INET6 : AF_INET;
}

static void set_add_family(struct address_set *set, const struct address_set *from, int family)
{
	for (size_t i = 0; i < from->count; i++) {
		if (family_of(from->items[i]) == family)
			set_add(set, from->items[i]);
	}
}

static bool set_has(const struct address_set *set, int family)
{
	for (size_t i = 0; i < set->count; i++) {
		if (family_of(set->items[i]) == family)
			return true;
	}
	return false;
}

/* ---- Answers ---- */

static void name_free(void *user)
{
	struct name *name = user;
	set_fini(&name->addresses);
	set_fini(&name->fresh);
	free(name->host);
	free(name);
}

static void collect(const struct ares_addrinfo *info, struct address_set *set)
{
	char text[INET6_ADDRSTRLEN];
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
		const void *address = NULL;
		if (node->ai_family == AF_INET)
			address = &((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr;
		else if (node->ai_family == AF_INET6)
			address = &((const struct sockaddr_in6 *)(const void *)node->ai_addr)
					   ->sin6_addr;
		if (address && inet_ntop(node->ai_family, address, text, sizeof(text)))
			set_add(set, str_of(text));
	}
}

/* The shortest of all records that led here. */
static int ttl_of(const struct ares_addrinfo *info)
{
	int ttl = MAX_TTL_S;
	for (const struct ares_addrinfo_cname *cname = info->cnames; cname; cname = cname->next)
		ttl = cname->ttl < ttl ? cname->ttl : ttl;
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
		ttl = node->ai_ttl < ttl ? node->ai_ttl : ttl;
	return ttl < MIN_TTL_S ? MIN_TTL_S : ttl;
}

/* Not the loop's time, which jumps with the system's clock. */
/* No addresses is a failure too: a name that answers with nothing keeps what it had. */
static void fail(struct name *name)
{
	struct dns *dns = name->dns;
	dns->stats.failures++;
	name->due = clock_s() + name->retry_s;
	name->retry_s = name->retry_s * 2 < MAX_RETRY_S ? name->retry_s * 2 : MAX_RETRY_S;
}

/* What is fresh comes into force. */
static void adopt(struct name *name)
{
	struct dns *dns = name->dns;
	set_sort(&name->fresh);
	bool changed = !set_eq(&name->addresses, &name->fresh);
	set_fini(&name->addresses);
	name->addresses = name->fresh;
	name->fresh = (struct address_set){ .items = NULL };
	if (changed)
		dns->changed(dns->user, str_of(name->host));
}

static void ask(struct name *name, int family, ares_addrinfo_callback answered)
{
	struct ares_addrinfo_hints hints = { .ai_family = family,
					     .ai_flags = ARES_AI_NOSORT,
					     .ai_socktype = SOCK_STREAM };
	name->asking = true;
	name->dns->asking_count++;
	name->dns->stats.queries++;
	ares_getaddrinfo(name->dns->channel, name->host, NULL, &hints, answered, name);
}

/* False when nobody waits for the answer any more. */
static bool answered(struct name *name)
{
	name->asking = false;
	if (!name->dns) {
		name_free(name);
		return false;
	}
	name->dns->asking_count--;
	return true;
}

/* The family is gone only when DNS says so; when it does not answer, the last addresses stay. */
static void on_lost_answer(void *user, int status, int timeouts, struct ares_addrinfo *info)
{
	struct name *name = user;
	(void)timeouts;
	if (answered(name)) {
		if (status == ARES_SUCCESS) {
			collect(info, &name->fresh);
		} else if (status != ARES_ENODATA && status != ARES_ENOTFOUND) {
			name->dns->stats.failures++;
			set_add_family(&name->fresh, &name->addresses, name->lost);
		}
		adopt(name);
	}
	ares_freeaddrinfo(info);
}

/* c-ares calls it a success when one of the two families has answered. */
static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *info)
{
	struct name *name = user;
	(void)timeouts;
	if (answered(name)) {
		if (status == ARES_SUCCESS)
			collect(info, &name->fresh);
		if (name->fresh.count == 0) {
			fail(name);
		} else {
			name->due = clock_s() + ttl_of(info);
			name->retry_s = MIN_RETRY_S;
			name->lost = set_has(&name->fresh, AF_INET) ? AF_INET6 : AF_INET;
			if (set_has(&name->addresses, name->lost) &&
			    !set_has(&name->fresh, name->lost))
				ask(name, name->lost, on_lost_answer);
			else
				adopt(name);
		}
	}
	ares_freeaddrinfo(info);
}

/* ---- The loop ---- */

/* Starts what is due; returns the seconds until something else is, or -1. */
static double ask_due(struct dns *dns)
{
	double now = clock_s(), wait = -1;
	for (struct map_entry *e = map_first(dns->names); e; e = map_next(e)) {
		struct name *name = map_value(e);
		if (!name->asking && name->due <= now && dns->asking_count < MAX_QUERIES)
			ask(name, AF_UNSPEC, on_answer);
		double left = name->due > now ? name->due - now : 0;
		if (!name->asking && (left > 0 || dns->asking_count < MAX_QUERIES) &&
		    (wait < 0 || left < wait))
			wait = left;
	}
	return wait;
}

static void rearm(struct dns *dns)
{
	double wait = ask_due(dns);
	struct timeval tv;
	if (ares_timeout(dns->channel, NULL, &tv)) {
		double ares_wait = (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
		if (wait < 0 || ares_wait < wait)
			wait = ares_wait;
	}
	ev_timer_stop(dns->loop, &dns->timer);
	if (wait < 0)
		return;
	ev_timer_set(&dns->timer, wait, 0.);
	ev_timer_start(dns->loop, &dns->timer);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	struct dns *dns = timer->data;
	(void)loop, (void)revents;
	ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(dns);
}

static void on_socket(struct ev_loop *loop, struct ev_io *io, int revents)
{
	struct dns *dns = io->data;
	(void)loop;
	ares_process_fd(dns->channel, revents & EV_READ ? io->fd : ARES_SOCKET_BAD,
			revents & EV_WRITE ? io->fd : ARES_SOCKET_BAD);
	rearm(dns);
}

static struct socket_io *socket_find(struct dns *dns, ares_socket_t fd)
{
	for (size_t i = 0; i < MAX_SOCKETS; i++) {
		if (dns->sockets[i].fd == fd)
			return &dns->sockets[i];
	}
	return NULL;
}

static void on_socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
	struct dns *dns = user;
	struct socket_io *socket = socket_find(dns, fd);
	if (socket)
		ev_io_stop(dns->loop, &socket->io);
	if (!readable && !writable) {
		if (socket)
			socket->fd = ARES_SOCKET_BAD;
		return;
	}
	if (!socket)
		socket = socket_find(dns, ARES_SOCKET_BAD);
	if (!socket) /* the query times out and is tried again */
		return;
	socket->fd = fd;
	ev_io_set(&socket->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	ev_io_start(dns->loop, &socket->io);
}

/* ---- The interface ---- */

static bool open_channel(struct dns *dns, const char *servers, struct error *err)
{
	struct ares_options options = { .timeout = QUERY_TIMEOUT_MS,
					.tries = QUERY_TRIES,
					.lookups = (char *)(uintptr_t)"fb",
					.sock_state_cb = on_socket_state,
					.sock_state_cb_data = dns };
	int status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status != ARES_SUCCESS)
		return error_set(err, ERR_REFUSED, "c-ares: %s", ares_strerror(status));
	status = ares_init_options(&dns->channel, &options,
				   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
					   ARES_OPT_SOCK_STATE_CB);
	if (status == ARES_SUCCESS && servers) {
		status = ares_set_servers_ports_csv(dns->channel, servers);
		if (status != ARES_SUCCESS)
			ares_destroy(dns->channel);
	}
	if (status == ARES_SUCCESS)
		return true;
	ares_library_cleanup();
	return error_set(err, ERR_SYNTAX, "DNS servers '%s': %s",
			 servers ? servers : "/etc/resolv.conf", ares_strerror(status));
}

struct dns *dns_new(struct ev_loop *loop, const char *servers,
		    void (*changed)(void *user, struct str host), void *user, struct error *err)
{
	struct dns *dns = xcalloc(1, sizeof(*dns));
	dns->loop = loop;
	dns->changed = changed;
	dns->user = user;
	for (size_t i = 0; i < MAX_SOCKETS; i++) {
		ev_init(&dns->sockets[i].io, on_socket);
		dns->sockets[i].io.data = dns;
		dns->sockets[i].fd = ARES_SOCKET_BAD;
	}
	ev_init(&dns->timer, on_timer);
	dns->timer.data = dns;
	if (!open_channel(dns, servers, err)) {
		free(dns);
		return NULL;
	}
	dns->names = map_new();
	return dns;
}

/* Takes the name out; an answer that is under way frees it. */
static void forget(struct dns *dns, struct name *name)
{
	map_del(dns->names, str_of(name->host));
	if (!name->asking) {
		name_free(name);
		return;
	}
	dns->asking_count--;
	name->dns = NULL;
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	for (struct map_entry *e = map_first(dns->names), *next; e; e = next) {
		next = map_next(e);
		forget(dns, map_value(e));
	}
	ares_destroy(dns->channel); /* answers all queries, closes all sockets */
	ares_library_cleanup();
	ev_timer_stop(dns->loop, &dns->timer);
	map_free(dns->names, NULL);
	free(dns);
}

void dns_follow(struct dns *dns, const struct str *hosts, size_t count)
{
	for (struct map_entry *e = map_first(dns->names); e; e = map_next(e)) {
		struct name *name = map_value(e);
		name->wanted = false;
	}
	for (size_t i = 0; i < count; i++) {
		struct name *name = map_get(dns->names, hosts[i]);
		if (!name) {
			name = xcalloc(1, sizeof(*name));
			name->dns = dns;
			name->host = xstrndup(hosts[i].p, hosts[i].n);
			name->retry_s = MIN_RETRY_S;
			map_put(dns->names, hosts[i], name);
		}
		name->wanted = true;
	}
	for (struct map_entry *e = map_first(dns->names), *next; e; e = next) {
		struct name *name = map_value(e);
		next = map_next(e);
		if (!name->wanted)
			forget(dns, name);
	}
	/* From the loop: an answer from /etc/hosts comes at once, and changed() must not be
	 * called while the caller is still busy. */
	ev_timer_stop(dns->loop, &dns->timer);
	ev_timer_set(&dns->timer, 0., 0.);
	ev_timer_start(dns->loop, &dns->timer);
}

bool dns_lookup(void *user, struct str host, struct name_addresses *ret_addresses)
{
	const struct dns *dns = user;
	const struct name *name = map_get(dns->names, host);
	if (!name || name->addresses.count == 0)
		return false;
	*ret_addresses = (struct name_addresses){ .addresses = name->addresses.items,
						  .count = name->addresses.count };
	return true;
}

void dns_stats(const struct dns *dns, struct dns_stats *ret_stats)
{
	*ret_stats = dns->stats;
	ret_stats->names = map_count(dns->names);
}
