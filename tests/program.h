/* SPDX-License-Identifier: MIT */
/* The suite of the built programs, in several files. */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include <check.h>

TCase *tcase_program_stop(void);
TCase *tcase_program_load(void);
TCase *tcase_program_idle(void);
TCase *tcase_program_bench(void);
TCase *tcase_program_doctor(void);

/* program_said - each of these is in @text */
void program_said(const char *text, const char *const *says);

#endif
