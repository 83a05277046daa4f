/* SPDX-License-Identifier: Apache-2.0 */
/* Where a source delivers, and what it says about itself. */
#pragma once

#include "model/model.h"

/* Called from the loop, never from inside a call of the source except its start. */
struct source_sink {
	void *user;
	void (*put)(void *user, struct object *object); /* takes ownership */
	void (*remove)(void *user, enum kind kind, struct str ns, struct str name);
	/* A batch of puts and removes is complete: make a pass now. Called at the end of the
	 * first reading too, even when it found nothing. */
	void (*settled)(void *user);
};

struct source_state { /* cheap to ask for at every pass */
	bool complete; /* everything has been read once, but what nobody waits for */
	bool waiting;  /* for objects that others refer to: hold changes back, settled() follows */
	char stale[640]; /* why what it has may be old; "": it is not */
	double stale_s;	 /* since when, in seconds ago */
};
