/* SPDX-License-Identifier: MIT */
/* Scripts (tests/script.h) on files. */
#ifndef TESTS_FILE_H
#define TESTS_FILE_H

#include <miniss/file.h>

#include "tests/script.h"

/* file_make - a file of @len bytes of pattern(), open for reading and writing */
void file_make(struct mn_file *file, const char *name, size_t len);

TCase *tcase_file_names(void);
TCase *tcase_file_direct(void);
TCase *tcase_file_fixed(void);

#endif
