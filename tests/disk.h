/* SPDX-License-Identifier: MIT */
/* The suite of the disk scheduler, in several files. */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include <check.h>

TCase *tcase_disk_model(void);
TCase *tcase_disk_queue(void);
TCase *tcase_disk_file(void);

#endif
