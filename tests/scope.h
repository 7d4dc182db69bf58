/* SPDX-License-Identifier: MIT */
/* The suite of scopes is in several files. */
#ifndef TESTS_SCOPE_H
#define TESTS_SCOPE_H

#include <check.h>

TCase *tcase_scope_end(void);
TCase *tcase_scope_exact(void);
TCase *tcase_scope_stop(void);

/* An operation that does not end by itself; what mn_op_await() returned. */
int scope_op(void *timeout_ns);

#endif
