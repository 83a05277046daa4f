/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses as texts. Inside resolve/ only. */
#pragma once

#include "base/arena.h"

/* The address as inet_ntop() writes it, in the arena; false when it is none. */
bool address_canonical(struct arena *arena, struct str value, struct str *ret_text);

/* Whether a port cannot be bound on both; "*" is every address. */
bool address_overlaps(struct str a, struct str b);
