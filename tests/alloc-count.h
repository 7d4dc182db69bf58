/* SPDX-License-Identifier: MIT */
/* Counts what the process allocates: in place of the C library's functions. */
#ifndef TESTS_ALLOC_COUNT_H
#define TESTS_ALLOC_COUNT_H

/* alloc_count_begin - from here on; alloc_count_end - how often anybody allocated or mapped */
void alloc_count_begin(void);
unsigned long alloc_count_end(void);

#endif
