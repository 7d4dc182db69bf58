/* SPDX-License-Identifier: MIT */
/* How to open a file: as Linux has it, and the same shape elsewhere. */
#ifndef LIB_FILE_HOW_H
#define LIB_FILE_HOW_H

#include <stdint.h>

#ifdef __linux__

#include <linux/openat2.h>

#define HOW_BENEATH	(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
#define RENAME_NEW	1	/* RENAME_NOREPLACE */

#else

struct open_how {
	uint64_t flags, mode, resolve;
};

#define HOW_BENEATH	1
#define RENAME_NEW	1

#ifndef O_DIRECT
#define O_DIRECT	0
#endif
#ifndef O_TMPFILE
#define O_TMPFILE	0x40000000
#endif

#endif

#endif
