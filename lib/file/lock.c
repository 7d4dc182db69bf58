// SPDX-License-Identifier: MIT
/*
 * Locks. The system has no way to wait for one that can be called off, but
 * for a thread that waits; and those that wait could take every thread that
 * the one who has the lock needs. So it is asked again and again, less and
 * less often.
 */
#include <miniss/timer.h>

#include "lib/file/file.h"

#define PAUSE_MIN_NS	(MN_MSEC / 4)
#define PAUSE_MAX_NS	(50 * MN_MSEC)

static int lock_init(struct mn_op *op, struct mn_file *file, int type, int64_t off, int64_t len)
{
	file_op(op, MN_OP_LOCK, file);
	op->range.off = off;
	op->range.len = len;
	op->range.flags = type;
	return off < 0 || len < 0 || len > INT64_MAX - off ? -EINVAL : 0;
}

int mn_file_trylock(struct mn_file *file, enum mn_lock how, int64_t off, int64_t len)
{
	struct mn_op op;
	int err = lock_init(&op, file, how == MN_LOCK_SHARED ? F_RDLCK : F_WRLCK, off, len);

	if (!err)
		err = (int)file_do(&op);
	return err == -EACCES ? -EAGAIN : err;	/* systems say either */
}

int mn_file_lock(struct mn_file *file, enum mn_lock how, int64_t off, int64_t len)
{
	int64_t pause_ns = PAUSE_MIN_NS;
	int err;

	while ((err = mn_file_trylock(file, how, off, len)) == -EAGAIN) {
		err = mn_sleep(pause_ns);
		if (err)
			break;
		pause_ns = min(2 * pause_ns, PAUSE_MAX_NS);
	}
	return err;
}

int mn_file_unlock(struct mn_file *file, int64_t off, int64_t len)
{
	struct mn_op op;
	int err = lock_init(&op, file, F_UNLCK, off, len);

	return err ? err : (int)file_finish(&op);
}
