// SPDX-License-Identifier: MIT
#include <errno.h>

#include <miniss/file.h>
#include <miniss/param.h>

#include "backends/backend.h"
#include "core/op.h"
#include "lib/file/disk.h"
#include "lib/mem/mem.h"

#define REQUESTS_MAX	65536

MN_PARAM(uint, disk_goal_us, 0, 0, 60000000,
	 "how long a request should take, once a device has it; 0: as found out");
MN_PARAM(uint, disk_requests, 1024, 1, REQUESTS_MAX,
	 "reads and writes of a shard that wait for a device or are under way there, at most");

/* ---- requests ---- */

/* An operation has no room for it; but until it has ended it has no result. */
static struct disk_slot *slot_of(const struct mn_op *op)
{
	return (struct disk_slot *)(uintptr_t)op->done.result;
}

static struct disk_slot *slot_get(struct mn_disk *disk)
{
	struct disk_slot *slot = disk->free;

	if (slot) {
		disk->free = slot->next;
		disk->nr_free--;
	}
	return slot;
}

static void slot_put(struct mn_disk *disk, struct disk_slot *slot)
{
	slot->op = NULL;
	slot->next = disk->free;
	disk->free = slot;
	disk->nr_free++;
}

static void dispatch(struct mn_disk *disk);

static void disk_done(struct mn_op *op, int64_t res)
{
	struct disk_slot *slot = slot_of(op);
	struct mn_disk *disk = slot->disk;
	struct disk_group *group = &disk->queue.group[slot->group];
	int64_t now_ns = backend_now(mn_self->be), took_ns = now_ns - slot->since_ns;

	op->complete = slot->complete;
	disk->in_flight--;
	disk->in_flight_cost -= slot->cost;
	group->done++;
	group->bytes += res > 0 ? (uint64_t)res : 0;
	group->busy_ns += took_ns;
	if (res >= 0)
		disk_limit_done(&disk->limit, slot->class, slot->cost, took_ns, now_ns,
				disk->in_flight);
	slot_put(disk, slot);
	op->complete(op, res);
	dispatch(disk);
}

static void begin(struct mn_disk *disk, struct disk_slot *slot, bool first)
{
	int64_t now_ns = backend_now(mn_self->be);
	struct mn_op *op = slot->op;

	disk_queue_pop(&disk->queue, slot, first);
	disk->queue.group[slot->group].wait_ns += now_ns - slot->since_ns;
	slot->since_ns = now_ns;
	disk->in_flight++;
	disk->in_flight_cost += slot->cost;
	slot->complete = op->complete;
	op->complete = disk_done;
	op->state = OP_IN_FLIGHT;
	backend_submit(mn_self->be, op);
}

/* A backend may complete what it is given before it returns: then this is called from there. */
static void dispatch(struct mn_disk *disk)
{
	struct disk_slot *slot;
	bool first;

	if (disk->dispatching)
		return;
	disk->dispatching = true;
	while ((slot = disk_queue_first(&disk->queue, &first))) {
		if (disk->in_flight && disk->in_flight_cost + slot->cost > disk->limit.limit) {
			disk->limit.full = true;
			break;
		}
		begin(disk, slot, first);
	}
	disk->dispatching = false;
}

/* Of a file that has moved to this shard: the scheduler of the same device here, or none. */
static __cold struct mn_disk *disk_here(const struct mn_disk *disk)
{
	return disk->dev ? disk_of(disk->dev) : NULL;
}

static void disk_queue(struct mn_disk *disk, struct mn_op *op, uint64_t len, bool write)
{
	struct disk_slot *slot = slot_get(disk);

	FUTURE_BUG_ON(&op->done, mn_op_in_flight(op), "an operation in flight was started again");
	ledger_op(op, future_origin(&op->done));
	op->state = OP_QUEUED;
	stats_add(mn_self, STAT_OPS, 1);
	if (!slot) {
		disk->refused++;
		op_complete(op, -EBUSY);
		return;
	}
	slot->op = op;
	slot->since_ns = backend_now(mn_self->be);
	slot->cost = disk_cost(len);
	slot->class = (uint8_t)disk_class(len, write);
	slot->group = (uint8_t)mn_self->group;
	op->done.result = (int64_t)(uintptr_t)slot;
	disk_queue_push(&disk->queue, mn_self->sched, slot);
	dispatch(disk);
}

void disk_start(struct mn_disk *disk, struct mn_op *op, uint64_t len, bool write)
{
	if (disk->shard != mn_self)
		disk = disk_here(disk);
	if (disk)
		disk_queue(disk, op, len, write);
	else
		op_start(op);
}

void disk_cancel(struct mn_op *op)
{
	struct disk_slot *slot = slot_of(op);
	struct mn_disk *disk = slot->disk;

	disk_queue_take_out(&disk->queue, slot);
	disk->queue.group[slot->group].canceled++;
	slot_put(disk, slot);
	op_complete(op, -ECANCELED);
	dispatch(disk);		/* who is next may be smaller */
}

/* ---- disks ---- */

static struct mn_disk *disk_new(const struct mn_disk_options *options)
{
	unsigned int n = options->requests_max ? options->requests_max : param_disk_requests;
	struct mn_disk *disk = mem_alloc(sizeof(*disk) + n * sizeof(disk->slot[0]));

	if (!disk)
		return NULL;
	disk_queue_init(&disk->queue);
	disk_limit_init(&disk->limit, (uint32_t)min((uint64_t)n * disk_cost(1 << 20), UINT32_MAX),
			options->goal_ns ? options->goal_ns : param_disk_goal_us * MN_USEC);
	list_init(&disk->entry);
	disk->shard = mn_self;
	disk->nr_slots = n;
	while (n) {
		disk->slot[--n].disk = disk;
		slot_put(disk, &disk->slot[n]);
	}
	return disk;
}

int mn_disk_open(struct mn_disk **disk, const struct mn_disk_options *options)
{
	static const struct mn_disk_options zero;

	if (!options)
		options = &zero;
	if (options->goal_ns < 0 || options->requests_max > REQUESTS_MAX)
		return -EINVAL;
	*disk = disk_new(options);
	return *disk ? 0 : -ENOMEM;
}

void mn_disk_close(struct mn_disk *disk)
{
	BUG_ON(disk->nr_free != disk->nr_slots);
	list_del(&disk->entry);
	mem_free(disk);
}

struct mn_disk *disk_of(uint64_t dev)
{
	struct list *pos, *tmp;
	struct mn_disk *disk;

	list_for_each_safe(pos, tmp, &mn_self->disks)
		if (container_of(pos, struct mn_disk, entry)->dev == dev)
			return container_of(pos, struct mn_disk, entry);
	disk = disk_new(&(struct mn_disk_options){ .goal_ns = 0 });
	if (disk) {
		disk->dev = dev;
		list_add_tail(&mn_self->disks, &disk->entry);
	}
	return disk;
}

void disks_free(struct shard *shard)
{
	while (!list_empty(&shard->disks))
		mn_disk_close(list_first(&shard->disks, struct mn_disk, entry));
}

struct mn_disk *mn_disk_of(uint64_t dev)
{
	return disk_of(dev);
}

void mn_file_schedule(struct mn_file *file, struct mn_disk *disk)
{
	file->disk = disk;
}

/* ---- what it knows ---- */

void mn_disk_set_goal(struct mn_disk *disk, int64_t goal_ns)
{
	disk->limit.goal_ns = goal_ns;
	disk->limit.growing = true;
}

void mn_disk_stats(const struct mn_disk *disk, struct mn_disk_stats *stats)
{
	*stats = (struct mn_disk_stats){
		.limit = (double)disk->limit.limit / disk_cost(4096),
		.in_flight = disk->in_flight,
		.queued = disk->queue.nr_queued,
		.stretch = disk->limit.stretch / 256.0,
		.refused = disk->refused,
	};
}

void mn_disk_group_stats(const struct mn_disk *disk, unsigned int group,
			 struct mn_disk_group_stats *stats)
{
	const struct disk_group *g = &disk->queue.group[group];

	*stats = (struct mn_disk_group_stats){
		.queued = g->nr_queued,
		.done = g->done,
		.bytes = g->bytes,
		.canceled = g->canceled,
		.wait_ns = g->wait_ns,
		.busy_ns = g->busy_ns,
	};
}
