/* SPDX-License-Identifier: MIT */
/* The suite of readers, in two files. */
#ifndef TESTS_READER_H
#define TESTS_READER_H

#include "tests/suites.h"

/* pattern_is - are these the bytes of pattern() from @from on? */
bool pattern_is(const uint8_t *data, uint64_t from, size_t len);

TCase *tcase_reader_model(void);

#endif
