/* SPDX-License-Identifier: Apache-2.0 */
/* One decoder per kind. `root` is the document, an object whose envelope and metadata have
 * been read; object->meta is filled and the rest is zeroed. Findings tell what is wrong;
 * after an error the caller drops the object, so decoders need not finish it. */
#pragma once

#include "decode/check.h"

void decode_gateway_class(const struct node *root, struct object *object);
void decode_gateway(const struct node *root, struct object *object);
void decode_http_route(const struct node *root, struct object *object);
void decode_grpc_route(const struct node *root, struct object *object);
void decode_reference_grant(const struct node *root, struct object *object);
void decode_namespace(const struct node *root, struct object *object);
void decode_service(const struct node *root, struct object *object);
void decode_endpoint_slice(const struct node *root, struct object *object);
void decode_config_map(const struct node *root, struct object *object);
void decode_secret(const struct node *root, struct object *object);
void decode_backend(const struct node *root, struct object *object);
void decode_gateway_parameters(const struct node *root, struct object *object);

/* protocol of a port of a Service or an EndpointSlice. */
struct str read_protocol(const struct node *port);
extern const struct text_rule rule_app_protocol;

/* spec.filters of a rule or of a backendRef; which there can be tells the decoder's kind. */
struct filter *decode_filters(const struct node *owner, size_t *ret_count);

/* What refers to a Service or to another backend: a backendRef, or a mirror's. */
void read_backend_object(const struct node *node, struct backend_ref *ref);

/* Reports what an API server would refuse in a filter that is not served yet; keeps nothing. */
void check_unserved_filter(const struct node *filter, const char *key);

/* Reads secret->pem, ->digest and ->info from the texts of tls.crt and tls.key, or sets
 * secret->problem. */
void read_certificate(struct arena *arena, struct str crt, struct str key, struct secret *secret);
