/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/shares.h"

#include "base/map.h"
#include "resolve/address.h"
#include "resolve/pool.h"
#include "resolve/service.h"

/* One address that a Gateway asks for. */
struct want {
	struct str ip; /* empty: any */
	size_t index;  /* in spec.addresses */
	bool met, recorded;
};

struct party {
	struct gateway_view *gateway;
	struct want wants[MAX_ADDRESSES];
	size_t count;
};

struct sharing {
	struct gateways_view *view;
	const struct address_pool *pool;
	struct party *parties; /* oldest Gateway first */
	size_t count;
	struct map *taken; /* address -> struct gateway_view that has it, or is to have it */
	struct pool_walk walk; /* everything before it is taken */
};

static void take(struct sharing *sharing, const struct party *party, struct want *want,
		 struct str ip)
{
	want->ip = ip;
	want->met = true;
	map_put(sharing->taken, ip, party->gateway);
}

/* ---- what is asked for ---- */

static void read_wants(struct sharing *sharing, struct party *party)
{
	const struct gateway *spec = &party->gateway->object->gateway;
	for (size_t i = 0; i < spec->address_count; i++) {
		const struct gateway_address *address = &spec->addresses[i];
		struct want want = { .index = i };
		if (!str_is(address->type, "IPAddress"))
			continue;
		if (!str_empty(address->value) &&
		    !address_canonical(sharing->view->arena, address->value, &want.ip))
			continue;
		party->wants[party->count++] = want;
	}
	if (spec->address_count == 0)
		party->count = 1; /* any */
}

static struct want *find_want(struct party *party, struct str ip)
{
	for (size_t i = 0; i < party->count; i++) {
		struct want *want = &party->wants[i];
		if (!want->met && (str_empty(ip) ? str_empty(want->ip) : str_eq(want->ip, ip)))
			return want;
	}
	return NULL;
}

/* ---- what is recorded ---- */

static void keep_recorded(struct sharing *sharing, struct party *party)
{
	const struct gateway *gateway = &party->gateway->object->gateway;
	for (size_t i = 0; i < gateway->recorded_count; i++) {
		struct str ip;
		if (!address_canonical(sharing->view->arena, gateway->recorded[i], &ip) ||
		    !pool_has(sharing->pool, ip) || map_get(sharing->taken, ip))
			continue;
		struct want *want = find_want(party, ip);
		if (!want)
			want = find_want(party, STR_NONE);
		if (!want)
			continue;
		take(sharing, party, want, ip);
		want->recorded = true;
	}
}

/* ---- what is chosen ---- */

/* The first problem is the Gateway's. */
static void fall_short(struct sharing *sharing, const struct party *party, size_t index,
		       const char *reason, struct str text)
{
	struct pool_share *share = party->gateway->share;
	char field[64] = "spec.addresses";
	if (party->gateway->object->gateway.address_count)
		snprintf(field, sizeof(field), "spec.addresses[%zu]", index);
	findings_add(&sharing->view->findings, SEVERITY_ERROR, KIND_GATEWAY,
		     &party->gateway->object->meta, field, reason, STR_FMT, STR_ARG(text));
	if (share->reason)
		return;
	share->reason = reason;
	share->text = text;
}

static void choose_asked(struct sharing *sharing, struct party *party, struct want *want)
{
	struct arena *arena = sharing->view->arena;
	const struct gateway_view *other = map_get(sharing->taken, want->ip);
	if (!pool_has(sharing->pool, want->ip))
		fall_short(sharing, party, want->index, "AddressNotUsable",
			   arena_strf(arena, "The address " STR_FMT " is not in the address pool. Ask "
				      "for one that is, or add it to the pool.", STR_ARG(want->ip)));
	else if (!other)
		take(sharing, party, want, want->ip);
	else if (other != party->gateway) /* else it is asked for twice, written in two ways */
		fall_short(sharing, party, want->index, "AddressNotUsable",
			   arena_strf(arena, "The address " STR_FMT " is that of Gateway " STR_FMT
				      "/" STR_FMT ". Ask for another one, or for none.",
				      STR_ARG(want->ip), STR_ARG(other->object->meta.ns),
				      STR_ARG(other->object->meta.name)));
}

static void choose_any(struct sharing *sharing, struct party *party, struct want *want)
{
	struct str ip;
	while (pool_next(sharing->pool, &sharing->walk, sharing->view->arena, &ip)) {
		if (!map_get(sharing->taken, ip)) {
			take(sharing, party, want, ip);
			return;
		}
	}
	fall_short(sharing, party, want->index, "AddressNotAssigned",
		   STR("No address of the pool is free. Add addresses to it, or remove a Gateway that "
		       "is not used."));
}

/* A Gateway that is rejected keeps what it has, and gets nothing. */
static void choose(struct sharing *sharing, bool any)
{
	for (size_t i = 0; i < sharing->count; i++) {
		struct party *party = &sharing->parties[i];
		for (size_t k = 0; k < party->count && !gateway_rejected(party->gateway); k++) {
			struct want *want = &party->wants[k];
			if (want->met || str_empty(want->ip) != any)
				continue;
			if (any)
				choose_any(sharing, party, want);
			else
				choose_asked(sharing, party, want);
		}
	}
}

/* ---- all together ---- */

static int cmp_age(const void *a, const void *b)
{
	const struct party *left = a, *right = b;
	return meta_cmp_age(&left->gateway->object->meta, &right->gateway->object->meta);
}

static void write_share(const struct party *party)
{
	struct pool_share *share = party->gateway->share;
	for (size_t i = 0; i < party->count; i++) {
		if (!party->wants[i].met)
			continue;
		share->recorded[share->count] = party->wants[i].recorded;
		share->recorded_count += party->wants[i].recorded;
		share->addresses[share->count++] = party->wants[i].ip;
	}
}

void shares_distribute(struct gateways_view *view, const struct address_pool *pool)
{
	struct sharing sharing = { .view = view, .pool = pool, .count = view->gateway_count };
	sharing.parties = xcalloc(sharing.count + 1, sizeof(*sharing.parties));
	sharing.taken = map_new();
	for (size_t i = 0; i < sharing.count; i++) {
		sharing.parties[i].gateway = &view->gateways[i];
		view->gateways[i].share = arena_alloc(view->arena, sizeof(struct pool_share));
		read_wants(&sharing, &sharing.parties[i]);
	}
	qsort(sharing.parties, sharing.count, sizeof(*sharing.parties), cmp_age);
	for (size_t i = 0; i < sharing.count; i++)
		keep_recorded(&sharing, &sharing.parties[i]);
	choose(&sharing, false);
	choose(&sharing, true);
	for (size_t i = 0; i < sharing.count; i++)
		write_share(&sharing.parties[i]);
	map_free(sharing.taken, NULL);
	free(sharing.parties);
}

/* The first address that the leader has not recorded yet. */
static struct str unrecorded(const struct pool_share *share)
{
	for (size_t i = 0; i < share->count; i++) {
		if (!share->recorded[i])
			return share->addresses[i];
	}
	return STR_NONE;
}

struct str share_missing(const struct gateways_view *view, const struct gateway_view *gateway)
{
	const struct pool_share *share = gateway->share;
	return share->reason ? share->text :
			       arena_strf(view->arena, "Waiting for the replica that leads to record "
					  "the address " STR_FMT " of the pool in the status. If this "
					  "lasts, its findings say why.", STR_ARG(unrecorded(share)));
}

void share_addresses(struct gateways_view *view, struct gateway_view *gateway)
{
	const struct pool_share *share = gateway->share;
	const struct condition *programmed = conditions_get(&gateway->conditions, "Programmed");
	bool waits = strcmp(programmed->reason, "AddressNotAssigned") == 0;
	gateway->addresses = arena_array(view->arena, share->count, sizeof(*gateway->addresses));
	for (size_t i = 0; i < share->count; i++)
		gateway->addresses[gateway->address_count++] =
			(struct gateway_address){ STR("IPAddress"), share->addresses[i] };
	if ((programmed->status || waits) && (share->reason || share->recorded_count < share->count))
		conditions_set(&gateway->conditions, "Programmed", false,
			       share->reason ? share->reason : "AddressNotAssigned",
			       share_missing(view, gateway));
}
