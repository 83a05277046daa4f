/* SPDX-License-Identifier: Apache-2.0 */
/* The process that holds a Pod's namespaces while its containers come and go. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void leave(int number)
{
	(void)number;
	_exit(EXIT_SUCCESS);
}

int main(void)
{
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
	signal(SIGCHLD, SIG_IGN); /* of a shared process namespace it is the reaper */
	for (;;)
		pause();
}
