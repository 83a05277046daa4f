/* SPDX-License-Identifier: Apache-2.0 */
/* Links every object of the pure libraries, and none of libev, libcurl, c-ares and
 * libmicrohttpd: the link is the test. purity then looks at what else they refer to. */
#include "base/str.h"

int main(void)
{
	return 0;
}
