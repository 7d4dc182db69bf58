/* SPDX-License-Identifier: MIT */
/*
 * Logging never blocks a shard: lines go to a bounded ring of the shard and
 * leave by non-blocking writes to standard error. What does not fit is
 * dropped and counted.
 */
#ifndef MINISS_LOG_H
#define MINISS_LOG_H

#include <miniss/types.h>

enum mn_log_level { MN_LOG_ERR, MN_LOG_WARN, MN_LOG_INFO, MN_LOG_DEBUG };

/**
 * mn_log - write a line
 * @format: also names the place: each place may write --log-rate lines a
 *	second on each shard; the others are counted and summed up
 *
 * Any thread; one that is no shard writes at once, and waits a little. Does not
 * suspend. Control characters are replaced, long lines are cut.
 */
MN_API void mn_log(enum mn_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define mn_err(...)	mn_log(MN_LOG_ERR, __VA_ARGS__)
#define mn_warn(...)	mn_log(MN_LOG_WARN, __VA_ARGS__)
#define mn_info(...)	mn_log(MN_LOG_INFO, __VA_ARGS__)

/* Free where it is not compiled in, but still checked. */
#ifdef CONFIG_LOG_DEBUG
#define mn_debug(...)	mn_log(MN_LOG_DEBUG, __VA_ARGS__)
#else
#define mn_debug(...)							\
	do {								\
		if (0)							\
			mn_log(MN_LOG_DEBUG, __VA_ARGS__);		\
	} while (0)
#endif

#endif
