/* SPDX-License-Identifier: MIT */
/* The suite of what goes on above files, in several files. */
#ifndef TESTS_FILE_STREAM_H
#define TESTS_FILE_STREAM_H

#include <check.h>

TCase *tcase_commit(void);

#endif
