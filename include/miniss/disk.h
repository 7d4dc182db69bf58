/* SPDX-License-Identifier: MIT */
/*
 * The disk scheduler: how much a device is given at a time, and whose requests.
 *
 * A device is quickest with some requests under way, and with more of them
 * each only takes longer: they wait in its queue, where nobody can sort them
 * or take them back. So the queue is here. What is under way is limited, by a
 * limit that is found while it runs; what is not under way waits, and is given
 * to the device by the shares of the scheduling groups (miniss/sched.h). It
 * can be cancelled as long as it waits; what the device has, it will do.
 *
 * Each shard has a scheduler of its own for each device, and they know nothing
 * of each other: each goes by how long its requests take.
 *
 * Files opened with O_DIRECT go this way, unless --file.scheduler=off. Others do
 * not: they read and write the page cache, and what the device gets of that
 * the kernel decides. mn_file_schedule() says otherwise for a file.
 */
#ifndef MINISS_DISK_H
#define MINISS_DISK_H

#include <miniss/sched.h>

struct mn_disk;
struct mn_file;

/**
 * mn_disk_of - this shard's scheduler of a device
 * @dev: as in struct mn_stat; each partition is one of its own
 *
 * The runtime's, as long as the shard lives. Does not suspend.
 * Return: it, or NULL without memory.
 */
MN_API struct mn_disk *mn_disk_of(uint64_t dev);

/**
 * mn_file_schedule - from now on, let the transfers of a file wait for their turn
 * @disk: of this shard; one of mn_disk_open() outlives the file; NULL: not any more
 *
 * Transfers then also end with -EBUSY, when the scheduler has too many, and
 * those that wait for their turn can be cancelled. Does not suspend.
 */
MN_API void mn_file_schedule(struct mn_file *file, struct mn_disk *disk);

/**
 * struct mn_disk_options - zero: as the parameters say
 * @goal_ns: how long a request should take, at most, once the device has it;
 *	0: --file.disk_goal_us, and if that is 0: twice of what it takes when the
 *	device is not crowded
 * @requests_max: waiting and under way, all together, 1 to 65536; 0:
 *	--file.disk_requests. More are refused with -EBUSY
 */
struct mn_disk_options {
	int64_t goal_ns;
	unsigned int requests_max;
};

/**
 * mn_disk_open - make a scheduler that is of no device in particular
 * @disk: gets it; of this shard; ended by mn_disk_close()
 * @options: NULL: all zero
 *
 * For files that are to share a limit, on one device or several. Does not
 * suspend. Return: 0; -EINVAL; -ENOMEM.
 */
MN_API int mn_disk_open(struct mn_disk **disk, const struct mn_disk_options *options);

/** mn_disk_close - free it; no file uses it any more, and nothing waits in it */
MN_API void mn_disk_close(struct mn_disk *disk);

/** mn_disk_set_goal - another goal, as in struct mn_disk_options; 0: twice the floor */
MN_API void mn_disk_set_goal(struct mn_disk *disk, int64_t goal_ns);

/**
 * struct mn_disk_stats - of one shard's scheduler of a device
 * @limit: how much may be under way: in requests of 4 KiB, of which one of
 *	16 KiB counts as almost two, and one of 128 KiB as seven
 * @in_flight, @queued: requests under way, and waiting
 * @stretch: of late, how long requests took: 1.0 is the goal
 * @refused: there were too many already
 */
struct mn_disk_stats {
	double limit;
	unsigned int in_flight;
	unsigned int queued;
	double stretch;
	uint64_t refused;
};

MN_API void mn_disk_stats(const struct mn_disk *disk, struct mn_disk_stats *stats);

/**
 * struct mn_disk_group_stats - what a scheduling group did with it
 * @wait_ns: time that its requests waited, all together
 * @busy_ns: time that they were under way, all together
 * @canceled: before their turn came
 */
struct mn_disk_group_stats {
	unsigned int queued;
	uint64_t done;
	uint64_t bytes;
	uint64_t canceled;
	int64_t wait_ns;
	int64_t busy_ns;
};

/** mn_disk_group_stats - @group: below MN_GROUPS_MAX; one that did nothing is all zero */
MN_API void mn_disk_group_stats(const struct mn_disk *disk, unsigned int group,
				struct mn_disk_group_stats *stats);

#endif
