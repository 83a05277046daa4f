/* SPDX-License-Identifier: Apache-2.0 */
/* Who has which addresses of the pool. Inside resolve/ only.
 *
 *   status.addresses ──► kept: what is recorded there, in the pool and asked for, or any will do;
 *                        of two with the same one the older Gateway has it
 *   then             ──► chosen, oldest Gateway first: what spec.addresses asks for, if it is free;
 *                        then the lowest that are free
 *
 * Every replica computes the same. HAProxy binds only what is recorded; the replica that leads
 * records what is chosen, by writing the status. So no two replicas ever bind one address for
 * two Gateways because they have seen different objects first. */
#pragma once

#include "resolve/view.h"

/* Fills the share of every Gateway. After a Gateway's own rejections. */
void shares_distribute(struct gateways_view *view, const struct address_pool *pool);

/* What a listener that has no address to bind waits for. */
struct str share_missing(const struct gateways_view *view, const struct gateway_view *gateway);

/* Fills addresses. A Gateway that does not have all that it asks for is not programmed. */
void share_addresses(struct gateways_view *view, struct gateway_view *gateway);
