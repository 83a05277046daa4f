/* SPDX-License-Identifier: Apache-2.0 */
/* Put before every file by the build (-include): configuration, the C library's three usual
 * headers, and the functions that nobody may call. */
#pragma once

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the compiler is clang, glibc's checking versions of these are macros. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strtok atoi atol gets
