/* SPDX-License-Identifier: MIT */
/*
 * What the kernel may have and the backend can do without. Each is found by
 * trying, and each can be masked (--io_uring.mask), so that what is done
 * without it is tested on kernels that have it. Linux 5.15 has none of them.
 *
 * A new one: an entry here, a row in features.c, and what to do without it.
 */
#ifndef BACKENDS_IO_URING_FEATURES_H
#define BACKENDS_IO_URING_FEATURES_H

#include <stdbool.h>

enum uring_feature {
	/* flags of a ring */
	URING_SUBMIT_ALL,
	URING_COOP_TASKRUN,
	URING_SINGLE_ISSUER,
	URING_DEFER_TASKRUN,
	/* looked for when a ring is there */
	URING_REGISTERED_RING,
	URING_BUF_RING,
	URING_MULTISHOT_RECV,
	URING_MULTISHOT_ACCEPT,
	URING_MSG_RING,
	URING_NO_IOWAIT,
	URING_SEND_ZC,
	URING_FIXED_BUFS,
	URING_BUF_RING_INC,
	URING_FIXED_FILES,
	URING_FEATURES
};

#define URING_BIT(feature)	(1u << (feature))
#define URING_ALL		(URING_BIT(URING_FEATURES) - 1)

struct uring;
struct uring_plan;

/* uring_mask - what the user asked to do without, a set of bits */
unsigned int uring_mask(void);

/* uring_mask_set - the same as --io_uring.mask=LIST, for tests; kept, not copied */
void uring_mask_set(const char *list);

/* uring_incremental_set - the same for --io_uring.incremental */
void uring_incremental_set(bool on);

/* uring_files_set - the same for --io_uring.files, and after how many sends a socket is kept */
void uring_files_set(unsigned int files, unsigned int uses);

/* uring_feature_name - as the mask calls it */
const char *uring_feature_name(enum uring_feature feature);

/* uring_check - 0, or -EINVAL with a line logged: a parameter makes no sense */
int uring_check(void);

/* uring_flags - the @n-th best set of flags, as a plan's; false: there is none */
bool uring_flags(unsigned int n, struct uring_plan *plan);

/*
 * uring_find - add to a plan whose flags are set what a ring of these flags has
 * @u: such a ring, enabled by this thread, without buffers yet
 * Return: 0, or -errno when that could not be found out.
 */
int uring_find(struct uring *u, struct uring_plan *plan);

/* uring_without - the names of what a plan does without, "" or "; without A, B" */
void uring_without(const struct uring_plan *plan, char *text, unsigned long size);

/* uring_report - for --doctor: each, with what is lost without it. 0, or why there is no ring */
int uring_report(void);

#endif
