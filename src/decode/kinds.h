/* SPDX-License-Identifier: Apache-2.0 */
/* One decoder per kind. `root` is the document, an object whose envelope and metadata have
 * been read; object->meta is filled and the rest is zeroed. Findings tell what is wrong;
 * after an error the caller drops the object, so decoders need not finish it. */
#pragma once

#include "decode/check.h"

void decode_gateway_class(const struct node *root, struct object *object);
void decode_gateway(const struct node *root, struct object *object);
void decode_http_route(const struct node *root, struct object *object);
void decode_reference_grant(const struct node *root, struct object *object);
void decode_namespace(const struct node *root, struct object *object);
void decode_service(const struct node *root, struct object *object);
void decode_endpoint_slice(const struct node *root, struct object *object);
void decode_config_map(const struct node *root, struct object *object);
void decode_secret(const struct node *root, struct object *object);
void decode_backend(const struct node *root, struct object *object);

/* spec.filters of a rule or of a backendRef. */
struct filter *decode_filters(const struct node *owner, size_t *ret_count);

/* Reads secret->pem, ->digest and ->info from the texts of tls.crt and tls.key, or sets
 * secret->problem. */
void read_certificate(struct arena *arena, struct str crt, struct str key, struct secret *secret);
