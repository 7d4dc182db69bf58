// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include <miniss/run.h>
#include <miniss/sched.h>

#include "backends/backend.h"
#include "core/log.h"
#include "core/report.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "smp/call.h"

void report_version(void)
{
	print_out("miniss %s\n", MINISS_VERSION);
}

void report_drivers(void)
{
	driver_list(&backend_kind);
	driver_list(&timer_queue_kind);
	driver_list(&queue_kind);
}

void report_chosen(const struct mn_world *world)
{
	const struct driver_choice *choice[] = { &world->backend, &world->timer, &world->queue };
	const char *title[] = { "backend", "timer queue", "queue" };
	const struct backend_ops *ops =
		container_of(world->backend.driver, struct backend_ops, drv);
	char text[320] = "";

	for (unsigned int i = 0; i < ARRAY_SIZE(choice); i++)
		print_out("  %-12s %-10s %s\n", title[i], choice[i]->driver->name,
			  choice[i]->reason);
	ops->describe(world->shards[0]->be, text, sizeof(text));
	print_out("  %-12s %-10s %s\n", "", "", text);
}

/* Each shard copies its own; the table is the caller's, one row a shard. */
struct table {
	uint64_t (*row)[STAT_NR];
};

static int stats_copy(void *arg)
{
	struct table *table = arg;

	mn_self->stats[STAT_TURNS] = mn_self->turns;	/* counted in any case */
	memcpy(table->row[mn_self->id], mn_self->stats, sizeof(mn_self->stats));
	return 0;
}

static void table_print(const struct table *table, unsigned int nr_shards)
{
	print_out("%-14s", "shard");
	for (unsigned int i = 0; i < nr_shards; i++)
		print_out(" %15u", i);
	print_out("\n");
	for (unsigned int s = 0; s < STAT_NR; s++) {
		print_out("%-14s", stat_names[s]);
		for (unsigned int i = 0; i < nr_shards; i++)
			print_out(" %15llu", (unsigned long long)table->row[i][s]);
		print_out("\n");
	}
}

/* A row for each group and shard; likewise. */
struct group_table {
	unsigned int nr_groups;
	struct mn_group_stats *row;
};

static int group_stats_copy(void *arg)
{
	struct group_table *table = arg;
	struct mn_group_stats *row = &table->row[mn_self->id * table->nr_groups];

	for (unsigned int i = 0; i < table->nr_groups; i++)
		mn_group_stats(i, &row[i]);
	return 0;
}

static void group_table_print(const struct group_table *table, unsigned int nr_shards)
{
	print_out("%-24s %7s %5s %12s %12s %15s\n", "group", "shares", "shard", "run, ms",
		  "wait, ms", "tasks");
	for (unsigned int i = 0; i < table->nr_groups * nr_shards; i++) {
		unsigned int group = i / nr_shards, shard = i % nr_shards;
		const struct mn_group_stats *row = &table->row[shard * table->nr_groups + group];

		if (!row->name[0])	/* it was destroyed */
			continue;
		print_out("%-24s %7u %5u %12.1f %12.1f %15llu\n", row->name, row->shares, shard,
			  (double)row->run_ns / MN_MSEC, (double)row->wait_ns / MN_MSEC,
			  (unsigned long long)row->tasks);
	}
}

static int groups_print(const struct mn_world *world)
{
	struct group_table table;
	int err;

	if (!world->groups)
		return 0;
	table.nr_groups = 64 - (unsigned int)__builtin_clzll(world->groups);
	table.row = mem_alloc(world->nr_shards * table.nr_groups * sizeof(*table.row));
	err = table.row ? shard_call_all(group_stats_copy, &table) : -ENOMEM;
	if (!err)
		group_table_print(&table, world->nr_shards);
	mem_free(table.row);
	return err;
}

/* A row a shard; likewise. */
struct heap_table {
	struct heap_stats *row;
};

static int heap_stats_copy(void *arg)
{
	struct heap_table *table = arg;

	heap_stats(&mn_self->heap, &table->row[mn_self->id]);
	return 0;
}

static void heap_row_print(const struct heap_stats *row, unsigned int shard)
{
	print_out(
		"%-14s %5u %12zu %12zu %12zu %9llu objects came back from other shards, %llu trims\n",
		  "memory, KiB", shard, row->in_use >> 10, row->bytes >> 10, row->bytes_max >> 10,
		  (unsigned long long)row->nr_returned, (unsigned long long)row->nr_trims);
	for (unsigned int i = 0; i < HEAP_CLASSES; i++)
		if (row->class[i].nr_blocks_max)
			print_out("%8zu bytes %5u %12zu %12zu %12zu\n", heap_class_size(i), shard,
				  row->class[i].in_use >> 10,
				  row->class[i].nr_blocks * HEAP_BLOCK >> 10,
				  row->class[i].nr_blocks_max * HEAP_BLOCK >> 10);
	if (row->large_bytes)
		print_out("%-14s %5u %12zu\n", "        larger", shard, row->large_bytes >> 10);
}

static int heaps_print(const struct mn_world *world)
{
	struct heap_table table;
	int err;

	if (!IS_ENABLED(CONFIG_MEM_SHARD))
		return 0;
	table.row = mem_alloc(world->nr_shards * sizeof(*table.row));
	err = table.row ? shard_call_all(heap_stats_copy, &table) : -ENOMEM;
	if (!err) {
		print_out("%-14s %5s %12s %12s %12s\n", "", "shard", "in use", "held", "most held");
		for (unsigned int i = 0; i < world->nr_shards; i++)
			heap_row_print(&table.row[i], i);
	}
	mem_free(table.row);
	return err;
}

int mn_print_stats(void)
{
	const struct mn_world *world = mn_self->world;
	struct table table = { .row = mem_alloc(world->nr_shards * sizeof(*table.row)) };
	int err = table.row ? shard_call_all(stats_copy, &table) : -ENOMEM;

	if (!err) {
		print_out("drivers:\n");
		report_chosen(world);
		if (IS_ENABLED(CONFIG_STATS))
			table_print(&table, world->nr_shards);
	}
	mem_free(table.row);
	if (!err)
		err = heaps_print(world);
	return err ? err : groups_print(world);
}
