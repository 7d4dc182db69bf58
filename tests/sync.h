/* SPDX-License-Identifier: MIT */
/* The suites of what is in lib/sync/, in several files. */
#ifndef TESTS_SYNC_H
#define TESTS_SYNC_H

#include <check.h>

#include <miniss/miniss.h>

TCase *tcase_sync_group(void);
TCase *tcase_sync_model(void);
TCase *tcase_sync_cancel(void);
TCase *tcase_broadcast(void);
TCase *tcase_channel_model(void);
TCase *tcase_channel_remote(void);

/*
 * sync_run - run @fn on the i-th backend: on the only shard, then on both of
 * two at once. @fn returns 0.
 */
void sync_run(int i, mn_fiber_fn fn);

/* sync_spawn - a fiber that has begun to wait when this returns */
struct mn_fiber *sync_spawn(mn_fiber_fn fn, void *arg);

#endif
