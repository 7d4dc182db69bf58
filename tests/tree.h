/* SPDX-License-Identifier: MIT */
/* A folder of files that are made up, in place of what the kernel would show. */
#ifndef TESTS_TREE_H
#define TESTS_TREE_H

extern char tree[64]; /* where it is */

void tree_make(void);
void tree_remove(void);

/* tree_put - write a file in the tree, and make the folders above it */
void tree_put(const char *name, const char *text);

#endif
