/* SPDX-License-Identifier: MIT */
/* What reader.c and writer.c have in common. */
#ifndef LIB_FILE_STREAM_H
#define LIB_FILE_STREAM_H

#include <miniss/filestream.h>

#include "core/shard.h"

#define STREAM_PAGE		4096
#define STREAM_CHUNK		(128U << 10)
#define STREAM_CHUNK_MAX	(16U << 20)
#define STREAM_DEPTH		8
#define STREAM_DEPTH_MAX	256
#define STREAM_END		(INT64_MAX - STREAM_CHUNK_MAX)	/* no file is as long */

/* stream_options - fill in what is zero; -EINVAL for what cannot be */
int stream_options(const struct mn_file *file, size_t *chunk, unsigned int *depth);

#endif
