/* SPDX-License-Identifier: Apache-2.0 */
/* YAML (and so JSON) text -> json-c objects, with bounds.
 *
 * YAML 1.2's core schema, read from libyaml's events: only true and false are booleans, a
 * quoted scalar is a string. Merge keys (`<<`) work. Refused: a key twice in one mapping, tags
 * other than the core ones, more nesting than MAX_DOCUMENT_DEPTH, and more values in a document
 * than MAX_OBJECT_NODES, where an alias counts as much as what it stands for. */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct json_object;

/* Cuts the next document's text off *rest; false at the end. A document starts at a line of
 * "---" or behind one of "...", wherever that stands, so the cuts are found without parsing.
 * *line is the line that *rest starts on (1 at first) and moves on with it. */
bool yaml_cut(struct str *rest, size_t *line, struct str *ret_text, size_t *ret_line);

/* Takes one document (borrowed) that starts on `line`. */
typedef void (*yaml_document_fn)(void *user, struct json_object *json, size_t line);

/* Parses text whose first line is number first_line of the file `path`, and calls fn for every
 * document that is not empty. Fails with ERR_SYNTAX or ERR_LIMIT ("path:line:column: why");
 * fn may have been called for earlier documents by then. */
bool yaml_parse(struct str text, const char *path, size_t first_line, yaml_document_fn fn,
		void *user, struct error *err) must_check;
