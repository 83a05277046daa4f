/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/privileges.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <cap-ng.h>
#include <sys/prctl.h>

/* As in systemd/tidegate.service.in, and CAP_SYS_RESOURCE: HAProxy raises its own limits. */
static const unsigned kept[] = {
	CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_KILL,		CAP_CHOWN,
	CAP_FOWNER,	      CAP_FSETID, /* the run directory's group is HAProxy's */
	CAP_DAC_OVERRIDE,     CAP_SYS_RESOURCE,
};

bool privileges_drop(struct error *err)
{
	const capng_type_t sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET;
	bool had[sizeof(kept) / sizeof(*kept)];
	if (geteuid() != 0)
		return true;
	if (capng_get_caps_process() != 0)
		return error_set(err, ERR_IO, "the process's capabilities: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		if (had[i])
			capng_update(CAPNG_ADD, sets, kept[i]);
	}
	if (capng_apply(CAPNG_SELECT_BOTH) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, ERR_IO, "capabilities cannot be given up: %s",
				 strerror(errno));
	return true;
}
