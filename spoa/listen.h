/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets from an address in HAProxy's way of writing them:
 * unix@/path, abns@name, 127.0.0.1:port, [::1]:port. */
#pragma once

#include "base/error.h"

/* A non-blocking, close-on-exec socket; -1 with ERR_SYNTAX, ERR_REFUSED (somebody else listens
 * there) or ERR_IO. A Unix socket gets mode 0660; a file that a dead process left is
 * replaced. */
int listen_open(const char *address, struct error *err);

/* Removes the file of a unix@ address. */
void listen_unlink(const char *address);
