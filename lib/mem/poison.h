/* SPDX-License-Identifier: MIT */
/*
 * Debug builds: who touches a buffer that is free. Sanitizers see what this
 * program does, and not what the kernel writes: so a free buffer also has a
 * pattern in it, which is looked at when it is taken. In release builds all of
 * this is nothing.
 */
#ifndef LIB_MEM_POISON_H
#define LIB_MEM_POISON_H

#include <stdint.h>
#include <string.h>

#include "core/compiler.h"

#ifdef CONFIG_SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#define poison_hide(base, size)	__asan_poison_memory_region(base, size)
#define poison_show(base, size)	__asan_unpoison_memory_region(base, size)

/* poison_find - the first address in there that is nobody's, or NULL: nothing is known of any */
static inline const void *poison_find(const void *base, size_t size)
{
	return __asan_region_is_poisoned((void *)(uintptr_t)base, size);
}

/* poison_on_free - have @fn called before memory of the heap is freed; the first one stays */
void poison_on_free(void (*fn)(const void *base, size_t size));

/* poison_backtrace - who called this, on standard error */
void poison_backtrace(void);
#else
#define poison_hide(base, size)	((void)(base), (void)(size))
#define poison_show(base, size)	((void)(base), (void)(size))

static inline const void *poison_find(const void *base, size_t size)
{
	return NULL;
}

static inline void poison_on_free(void (*fn)(const void *base, size_t size))
{
}

static inline void poison_backtrace(void)
{
}
#endif

#define POISON_BYTE	0x6b
#define POISON_REDZONE	(IS_ENABLED(CONFIG_DEBUG) ? 64u : 0u)	/* after each buffer */

/* poison_free - it is free from now on */
static inline void poison_free(uint8_t *base, size_t size)
{
	if (!IS_ENABLED(CONFIG_DEBUG))
		return;
	memset(base, POISON_BYTE, size);
	poison_hide(base, size);
}

/* poison_take - it is somebody's; abort if anybody wrote to it, or behind it, meanwhile */
static inline void poison_take(uint8_t *base, size_t size)
{
	if (!IS_ENABLED(CONFIG_DEBUG))
		return;
	poison_show(base, size + POISON_REDZONE);
	if (base[0] != POISON_BYTE || memcmp(base, base + 1, size + POISON_REDZONE - 1))
		bug("a buffer was written to after it was freed, or beyond its end", HERE);
	poison_hide(base + size, POISON_REDZONE);
}

#endif
