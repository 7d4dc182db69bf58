// SPDX-License-Identifier: MIT
/* Files whose transfers go through a disk scheduler; on every backend alike. */
#include <stdlib.h>
#include <string.h>

#include <miniss/disk.h>
#include <miniss/fiber.h>

#include "core/compiler.h"
#include "tests/disk.h"
#include "tests/file.h"
#include "tests/suites.h"
#include "tests/world.h"

#define BLOCK	4096
#define BLOCKS	200

static uint64_t nr_done(const struct mn_disk *disk)
{
	struct mn_disk_group_stats stats;

	mn_disk_group_stats(disk, MN_GROUP_DEFAULT, &stats);
	return stats.done;
}

/* Those past the page cache wait for their turn; others only when told to. */
static int which(void *arg)
{
	struct mn_file direct, cached;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);
	struct mn_disk *own;
	int64_t err;

	file_make(&cached, "a", 2 * BLOCK);
	ck_assert_ptr_null(cached.disk);
	err = mn_file_open(&direct, in_dir("a"), O_RDWR | O_DIRECT, 0);
	if (!err) {	/* tmpfs of old has no such thing */
		uint64_t before = nr_done(direct.disk);
		struct mn_stat st;

		ck_assert_int_eq(mn_file_stat(&direct, &st), 0);
		ck_assert_ptr_eq(direct.disk, mn_disk_of(st.dev));
		is(mn_read(&direct, buf, BLOCK, 0), BLOCK);
		note_bytes(buf, BLOCK);
		is(mn_write(&direct, buf, BLOCK, BLOCK), BLOCK);
		is(mn_readv(&direct, &(struct iovec){ buf, BLOCK }, 1, BLOCK), BLOCK);
		is(mn_writev(&direct, &(struct iovec){ buf, BLOCK }, 1, BLOCK), BLOCK);
		is(mn_read(&direct, buf, BLOCK, 1), -EINVAL);	/* not worth waiting for */
		ck_assert_uint_eq(nr_done(direct.disk) - before, 4);
		ok(mn_file_close(&direct));
	}
	ok(mn_disk_open(&own, NULL));
	mn_file_schedule(&cached, own);
	is(mn_append(&cached, buf, 100), 100);
	is(mn_read(&cached, buf, BLOCK, 2 * BLOCK), 100);
	mn_file_schedule(&cached, NULL);
	is(mn_read(&cached, buf, BLOCK, 0), BLOCK);
	is((int64_t)nr_done(own), 2);
	ok(mn_file_close(&cached));
	mn_disk_close(own);
	free(buf);
	return 0;
}

/* Many at once, through a scheduler that must find its limit first. */
static int many(void *arg)
{
	struct mn_op *op = calloc(BLOCKS, sizeof(*op));
	uint8_t *data = malloc(BLOCKS * BLOCK), *copy = malloc(BLOCKS * BLOCK);
	struct mn_disk_stats stats;
	struct mn_disk *disk;
	struct mn_file file;

	ok(mn_file_open(&file, in_dir("many"), O_RDWR | O_CREAT, 0600));
	ok(mn_disk_open(&disk, &(struct mn_disk_options){ .requests_max = BLOCKS }));
	mn_file_schedule(&file, disk);
	pattern_fill(data, 0, BLOCKS * BLOCK);
	for (int pass = 0; pass < 4; pass++) {
		for (size_t i = 0; i < BLOCKS; i++)
			if (pass % 2)
				mn_read_start(&op[i], &file, copy + i * BLOCK, BLOCK,
					      (int64_t)i * BLOCK);
			else
				mn_write_start(&op[i], &file, data + i * BLOCK, BLOCK,
					       (int64_t)i * BLOCK);
		for (size_t i = 0; i < BLOCKS; i++)
			is(mn_op_await(&op[i], MN_NEVER), BLOCK);
	}
	ck_assert(!memcmp(data, copy, BLOCKS * BLOCK));
	mn_disk_stats(disk, &stats);
	is(stats.in_flight, 0);
	is(stats.queued, 0);
	is((int64_t)nr_done(disk), 4 * BLOCKS);
	ok(mn_file_close(&file));
	mn_disk_close(disk);
	free(data);
	free(copy);
	free(op);
	return 0;
}

/* A file that moved uses the other shard's scheduler: of the same device, or none. */
static int moved_there(void *arg)
{
	struct mn_file file = *(struct mn_file *)arg;
	uint8_t *buf = aligned_alloc(BLOCK, BLOCK);
	struct mn_stat st;
	uint64_t before;

	ck_assert_int_eq(mn_file_stat(&file, &st), 0);
	before = nr_done(mn_disk_of(st.dev));
	ck_assert_int_eq(mn_read(&file, buf, BLOCK, 0), BLOCK);
	if (file.offset_align > 1)
		ck_assert_uint_eq(nr_done(mn_disk_of(st.dev)) - before, 1);
	free(buf);
	return 0;
}

static int moved(void *arg)
{
	unsigned int there = (mn_shard() + 1) % mn_shards();
	struct mn_file direct, cached;
	struct mn_disk *own;

	file_make(&cached, "a", BLOCK);
	ok(mn_disk_open(&own, NULL));
	mn_file_schedule(&cached, own);
	ok(mn_call(there, moved_there, &cached));
	is((int64_t)nr_done(own), there == mn_shard());
	mn_file_schedule(&cached, NULL);
	if (!mn_file_open(&direct, in_dir("a"), O_RDONLY | O_DIRECT, 0)) {
		ok(mn_call(there, moved_there, &direct));
		ok(mn_file_close(&direct));
	}
	ok(mn_file_close(&cached));
	mn_disk_close(own);
	return 0;
}

static const struct script scripts[] = {
	{ "which", which },
	{ "many", many },
	{ "moved", moved },
};

SCRIPT_TEST(files_wait_for_their_turn, scripts)

TCase *tcase_disk_file(void)
{
	TCase *tc = tcase_create("disk_file");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, files_wait_for_their_turn, scripts);
	return tc;
}
