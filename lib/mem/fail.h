/* SPDX-License-Identifier: MIT */
/* Allocations that fail when they are told to: --mem.fail_nth, --mem.fail_one_in. */
#ifndef LIB_MEM_FAIL_H
#define LIB_MEM_FAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/compiler.h"

#ifdef CONFIG_MEM_FAIL
/* mem_fails - each allocation of the memory layer asks it: is it this one's turn? */
bool mem_fails(void);

/* mem_nr_failed - how many were told so, in the process */
uint64_t mem_nr_failed(void);
#else
static inline bool mem_fails(void)
{
	return false;
}

static inline uint64_t mem_nr_failed(void)
{
	return 0;
}
#endif

#endif
