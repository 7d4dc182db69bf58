/* SPDX-License-Identifier: MIT */
#ifndef CORE_COMPILER_H
#define CORE_COMPILER_H

#include <stddef.h>

#include "generated/autoconf.h"

#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(cond)		_Static_assert(!(cond), #cond)
#define min(a, b)			((a) < (b) ? (a) : (b))
#define max(a, b)			((a) > (b) ? (a) : (b))

#define __cacheline_aligned	__attribute__((aligned(CONFIG_CACHELINE_BYTES)))
#define __noinline		__attribute__((noinline))
#define __cold			__attribute__((cold, noinline))
#define __no_sanitize		__attribute__((no_sanitize("thread", "address")))
#define __printf(f, a)		__attribute__((format(printf, f, a)))

/* IS_ENABLED(CONFIG_X): 1 or 0, in plain C, so that both arms compile. */
#define ARG_PLACEHOLDER_1		0,
#define TAKE_SECOND(ignored, val, ...)	val
#define IS_DEFINED__(arg1_or_junk)	TAKE_SECOND(arg1_or_junk 1, 0)
#define IS_DEFINED_(val)		IS_DEFINED__(ARG_PLACEHOLDER_##val)
#define IS_ENABLED(option)		IS_DEFINED_(option)

/* BUG_ON: what only a bug can cause. Checked in debug builds, then aborts. */
void bug(const char *what, const char *where) __attribute__((cold, noreturn));
/* bugf - the same with a format; it should name the object and where it was made */
void bugf(const char *where, const char *format, ...)
	__attribute__((cold, noreturn, format(printf, 2, 3)));
#define HERE_STR2(x)	#x
#define HERE_STR(x)	HERE_STR2(x)
#define HERE		__FILE__ ":" HERE_STR(__LINE__)
#define BUG_ON(cond)							\
	do {								\
		if (IS_ENABLED(CONFIG_DEBUG) && __builtin_expect(!!(cond), 0)) \
			bug(#cond, HERE);				\
	} while (0)

#endif
