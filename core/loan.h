/* SPDX-License-Identifier: MIT */
/*
 * Debug builds: memory that is lent to operations in flight. The kernel reads
 * and writes it when it likes, and no sanitizer sees that: so who frees such
 * memory is told here, and not by a program that breaks somewhere else later.
 *
 * A hash table of pieces of the address space. What an operation has been lent
 * is in the bucket of each piece that it touches; what is very long is in one
 * bucket that is always looked at.
 */
#ifndef CORE_LOAN_H
#define CORE_LOAN_H

#include <miniss/op.h>

struct loans;

struct loans *loans_open(void);
void loans_close(struct loans *loans);

/*
 * loans_add - all the memory that @op has, itself included
 * @dead: gets the first address of what is not anybody's any more, or NULL
 *	(under ASan; other builds do not know)
 * Return: what loans_remove() takes.
 */
uint32_t loans_add(struct loans *loans, const struct mn_op *op, const void **dead);
void loans_remove(struct loans *loans, uint32_t first);

/* loans_find - an operation that has some of this memory, or NULL */
const void *loans_find(const struct loans *loans, const void *base, size_t len);

#endif
