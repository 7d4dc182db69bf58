/* SPDX-License-Identifier: MIT */
/*
 * What every other public header needs. Errors are negative errno values
 * everywhere; times are int64_t nanoseconds; absolute times are on the
 * shard's monotonic clock (mn_now()).
 */
#ifndef MINISS_TYPES_H
#define MINISS_TYPES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <miniss/config.h>

#define MN_API		__attribute__((visibility("default")))

#define MN_NEVER	INT64_MAX	/* a deadline that never comes */

#define MN_USEC		INT64_C(1000)
#define MN_MSEC		INT64_C(1000000)
#define MN_SEC		INT64_C(1000000000)

#endif
