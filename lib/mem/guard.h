/* SPDX-License-Identifier: MIT */
/*
 * Guards: pages that fault when touched, and what is said when one was. For
 * fiber stacks; part of the memory layer because it takes system calls.
 */
#ifndef LIB_MEM_GUARD_H
#define LIB_MEM_GUARD_H

#include <stddef.h>

enum guard_kind {
	GUARD_UNKNOWN,
	GUARD_MADVISE,		/* Linux 6.13: in the page table, no mapping of its own */
	GUARD_MPROTECT,		/* two mappings each, of the 65,530 that a process may have */
};

/** guard_probe - the best kind that works here, found by trying it */
enum guard_kind guard_probe(void);

/** guard_install - make @page of a mapping fault; 0 or -errno */
int guard_install(enum guard_kind kind, void *page);

/** guard_size - how large a page is */
size_t guard_size(void);

/**
 * guard_thread_enter - have faults of this thread explained
 *
 * A fault is handled on a stack of its own. If guard_explain() knows the
 * address, its line is written to standard error and the process aborts; if
 * not, the fault goes to whoever handled it before, or ends the process as
 * it would have. Pairs with guard_thread_leave().
 */
void guard_thread_enter(void);
void guard_thread_leave(void);

/**
 * guard_explain - what touching @addr means; core/stack.c defines it
 * @line: @size bytes for the explanation, with a newline
 *
 * Called by the signal handler on the thread that faulted.
 *
 * Return: the length of the explanation; 0: it means nothing to us.
 */
size_t guard_explain(const void *addr, char *line, size_t size);

#endif
