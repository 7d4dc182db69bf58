/* SPDX-License-Identifier: MIT */
/*
 * The disk scheduler inside. A slot is a request's place in it, from when it
 * comes until it has ended; a disk has a number of them, so that is bounded.
 *
 * disk-queue.c is whose turn it is, disk-limit.c how many at a time; neither
 * knows of operations or clocks. disk.c is what they are for.
 */
#ifndef LIB_FILE_DISK_H
#define LIB_FILE_DISK_H

#include <miniss/disk.h>

#include "core/sched.h"
#include "lib/file/disk-limit.h"

struct disk_slot {
	struct disk_slot *next;		/* in the queue of its group, or of free ones */
	struct disk_slot **pprev;	/* NULL: it is not queued (any more) */
	struct mn_disk *disk;
	struct mn_op *op;
	void (*complete)(struct mn_op *op, int64_t res);	/* the operation's own */
	int64_t since_ns;		/* it has waited, and then it has been under way */
	uint32_t cost;
	uint8_t class;
	uint8_t group;
};

struct disk_group {
	struct disk_slot *first, **last;
	uint64_t ready;			/* of a top: which of those in it have requests */
	uint64_t floor;
	uint8_t top;
	bool latency;
	uint32_t nr_queued;

	uint64_t done, bytes, canceled;
	int64_t wait_ns, busy_ns;
};

/* What is queued, and who is next; as in core/sched.c, with costs for cycles. */
struct disk_queue {
	uint64_t ready;			/* tops that have requests */
	uint64_t floor;
	int64_t budget;			/* twice the cost that latency groups may still go first with */
	uint32_t nr_queued;
	struct share outer[MN_GROUPS_MAX], inner[MN_GROUPS_MAX];
	struct disk_group group[MN_GROUPS_MAX];
};

struct mn_disk {
	struct disk_limit limit;
	struct disk_queue queue;
	uint64_t in_flight_cost;
	uint32_t in_flight;
	uint32_t nr_slots, nr_free;
	bool dispatching;
	uint64_t refused;
	struct disk_slot *free;

	struct list entry;		/* of the shard's disks, by device */
	struct shard *shard;		/* this and the next never change: any shard may look */
	uint64_t dev;			/* 0: of no device in particular */
	struct disk_slot slot[];
};

void disk_queue_init(struct disk_queue *q);

/*
 * disk_queue_push - @slot waits for its turn; its group and cost are set
 * @sched: that has the groups' shares; NULL: there is only the default one
 */
void disk_queue_push(struct disk_queue *q, const struct sched *sched, struct disk_slot *slot);

/* disk_queue_take_out - it does not wait any more, and it was not its turn */
void disk_queue_take_out(struct disk_queue *q, struct disk_slot *slot);

/* disk_queue_first - whose turn it is, or NULL; it stays where it is */
struct disk_slot *disk_queue_first(struct disk_queue *q, bool *first);

/* disk_queue_pop - it has its turn: its group is charged. @first: as it was found */
void disk_queue_pop(struct disk_queue *q, struct disk_slot *slot, bool first);

/* disk_start - op_start() for a read or write of @len bytes, when its turn comes */
void disk_start(struct mn_disk *disk, struct mn_op *op, uint64_t len, bool write);

/* disk_cancel - of an operation that is OP_QUEUED: it ends now */
void disk_cancel(struct mn_op *op);

/* disk_of - this shard's scheduler of a device, made if need be; NULL: no memory */
struct mn_disk *disk_of(uint64_t dev);

#endif
