/* SPDX-License-Identifier: MIT */
/* The suite of scopes is in several files. */
#ifndef TESTS_SCOPE_H
#define TESTS_SCOPE_H

#include <check.h>

TCase *tcase_scope_end(void);
TCase *tcase_scope_exact(void);
TCase *tcase_scope_model(void) __attribute__((weak));	/* with the mem backend */
TCase *tcase_scope_part(void);
TCase *tcase_scope_stop(void);

/* Fibers that sleep for @ns, or for ever, and count their ends. */
extern int scope_nr_ended;
int scope_sleeper(void *ns);
int scope_for_long(void *arg);

/* An operation that does not end by itself; what mn_op_await() returned. */
int scope_op(void *timeout_ns);

#endif
