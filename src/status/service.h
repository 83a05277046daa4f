/* SPDX-License-Identifier: Apache-2.0 */
/* A Gateway's Service as it is to be, from its view and what is stored.
 *
 * Ours in it are our labels, its type, selector and ports, and what the Gateway asks for beyond
 * that, which is listed in an annotation so that it can be taken back. Everything else belongs to
 * others and stays: cluster IPs, node ports, their labels and annotations.
 *
 * Target ports are chosen here, once, and are recorded nowhere but in the Service. */
#pragma once

#include "resolve/view.h"

struct json_object;

/* Names of what is set beyond the fixed part, in sections: {"spec":["loadBalancerIP"]}. */
#define ANNOTATION_FIELDS GROUP_TIDEGATE "/fields"

enum { PORT_COUNT = 65536, SELECTOR_MAX = 16 };

struct service_settings { /* borrowed */
	struct str ns;	       /* where the Services are */
	struct str controller; /* their LABEL_CONTROLLER */
	struct pair selector[SELECTOR_MAX]; /* of our own pods */
	size_t selector_count;
	uint16_t min_port, max_port; /* of target ports */
	struct json_object *owner;   /* an ownerReference; NULL: none */
};

/* "app=a,instance=b", and "20000-29999". Texts go to the arena. */
bool service_parse_selector(struct str text, struct arena *arena, struct service_settings *settings,
			    struct error *err) must_check;
bool service_parse_ports(struct str text, struct service_settings *settings, struct error *err)
	must_check;

/* GatewayParameters from a JSON object such as their spec.service. object_free() it. NULL with what
 * is wrong with the text. */
struct object *service_parse_defaults(struct str text, struct error *err);

/* How many Services have each target port. */
struct port_book {
	uint16_t users[PORT_COUNT];
};
void port_book_add(struct port_book *book, struct json_object *service);
void port_book_remove(struct port_book *book, struct json_object *service);

bool service_is_ours(struct json_object *service, struct str controller);

/* What to store; equal to `stored` (NULL: there is none) if nothing is to be done. book counts
 * what is stored. NULL with ERR_LIMIT: no target port is left; with ERR_REFUSED: the Gateway has
 * no port to serve. The caller's. */
struct json_object *service_wanted(const struct gateway_view *gateway,
				   const struct service_settings *settings,
				   struct json_object *stored, const struct port_book *book,
				   struct error *err);
