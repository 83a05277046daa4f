/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of src/source/kube_client.c: requests are answered, from the loop, with what the
 * test says, and watches must ask for what keeps them going. Pauses last a millisecond. */
#pragma once

#include "source/kube_client.h"

struct fake_answer {
	int status;	  /* of HTTP; 0: none, and `body` says why */
	const char *body; /* what the server says of it when it is not 200 */
	bool breaks;	  /* behind the body */
	bool stays;	  /* behind the body: open */
};

/* What a request for this path and query is answered. */
extern struct fake_answer (*fake_client_answer)(const char *path);
