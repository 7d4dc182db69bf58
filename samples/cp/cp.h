/* SPDX-License-Identifier: MIT */
/*
 * mn-cp inside. A copy is made beside the target, under a name of its own, and
 * gets the target's name when all of it is on the disk: so there is the old
 * file, or the new one, and never a part.
 *
 * Beside it are its sums: after each block of the source, the checksum of all
 * that came until then. Who resumes reads what there is, and goes on after the
 * last block that is as its sum says.
 */
#ifndef CP_CP_H
#define CP_CP_H

#include <limits.h>

#include <miniss/miniss.h>

#include "xxh64.h"

#define BLOCK		(INT64_C(16) << 20)	/* bytes from one sum to the next */

struct copy {
	const char *source_path, *target_path;
	char part_path[PATH_MAX], sums_path[PATH_MAX], dir_path[PATH_MAX];
	bool sync, verify, direct, resume;
	size_t chunk;
	unsigned int depth;

	struct mn_file source, part, sums;
	struct mn_stat stat;		/* of the source, at first */
	struct xxh64 sum;		/* of all up to @pos */
	int64_t pos, from;		/* how far it is, and where this run began */
	const char *doing;

	uint64_t *digest;		/* after each block, as they go into the sums */
	size_t nr_digests, nr_written;
	struct mn_op write;		/* of some of them */
	bool writing;
};

/*
 * copy_run - all of it
 * Says what is wrong by itself. Return: 0; -ECANCELED: what there is stays for
 * another time; else nothing is left of it.
 */
int copy_run(struct copy *c);

/* copy_is - @what with @path has failed: says so, returns @err */
int copy_failed(const char *what, const char *path, int err);

/* state.c: the sums beside a part of a copy */

/* sums_check - how much of the part is as its sums say: c->pos, with c->sum; 0 if nothing */
int sums_check(struct copy *c);

/* sums_begin - forget those after c->pos; from here on they are written again */
int sums_begin(struct copy *c);

/* sums_add - c->pos is the end of a block. Does not suspend */
void sums_add(struct copy *c);
void sums_end(struct copy *c);

/* progress.c: a fiber that shows how far it is */
int progress_show(void *copy);
void progress_end(const struct copy *c);

#endif
