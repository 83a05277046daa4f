/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's notification protocol (sd_notify(3)): one datagram of KEY=VALUE lines
 * to $NOTIFY_SOCKET. Without that variable nothing happens. */
#pragma once

#include "base/error.h"

/* Sends "KEY=VALUE\n..." as it is; failures are nobody's to handle. */
void notify_send(const char *fmt, ...) printf_like(1, 2);

/* RELOADING=1 with the clock that the manager asks for. */
void notify_reloading(void);

/* How often WATCHDOG=1 is to be sent, in seconds (half the limit); 0: not at all. */
double notify_watchdog_s(void);
