/* SPDX-License-Identifier: MIT */
/* Where a thread is, on standard error, from a signal handler of its own. */
#ifndef SMP_BACKTRACE_H
#define SMP_BACKTRACE_H

#include "core/compiler.h"

#ifdef CONFIG_HAVE_BACKTRACE
#include <execinfo.h>
#include <unistd.h>

#define BACKTRACE_MAX	32

/* backtrace_prepare - not from a handler: it loads what the first use needs */
static inline void backtrace_prepare(void)
{
	void *frame[1];

	backtrace(frame, 1);
}

static inline void backtrace_print(void)
{
	void *frame[BACKTRACE_MAX] = { NULL };
	int n = backtrace(frame, BACKTRACE_MAX);

	backtrace_symbols_fd(frame, n, STDERR_FILENO);
}
#else
static inline void backtrace_prepare(void)
{
}

static inline void backtrace_print(void)
{
}
#endif

#endif
