/* SPDX-License-Identifier: MIT */
/* What an operation does when its descriptor is ready, or may be. */
#ifndef BACKENDS_LIBEV_TRY_H
#define BACKENDS_LIBEV_TRY_H

#include <stdint.h>
#include <sys/types.h>

struct mn_op;

#define NOT_YET INT64_MIN /* would block */

/*
 * libev_try - do what can be done of an operation now; its result, or NOT_YET
 * Of all but the multishot ones and those that complete inline. @done is its
 * progress, zero at first.
 */
int64_t libev_try(struct mn_op *op, uint64_t *done);

/* libev_transferred - the same for what recv() and its like returned */
int64_t libev_transferred(ssize_t n);

#endif
