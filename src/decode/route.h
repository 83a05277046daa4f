/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTPRoutes and GRPCRoutes have in common. Inside decode/ only. */
#pragma once

#include "decode/kinds.h"

/* Reads spec: parents, hostnames, and rules where there are any. */
void decode_route(const struct node *root, const struct list_rule *rules, struct route *route);

/* Of a rule: all but its timeouts, which are not set. No matches: one for every request. */
void read_common_rule(const struct node *node, read_item_fn read_match, struct rule *rule);
void default_match(struct arena *arena, struct rule *rule);

/* Of a match. */
void read_header_matches(const struct node *node, struct match *match);
void read_query_matches(const struct node *node, struct match *match);
