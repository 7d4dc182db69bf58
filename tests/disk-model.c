// SPDX-License-Identifier: MIT
/*
 * The limit of a disk scheduler, with a device that is a few lines: so many
 * channels, each with one request at a time, and a queue before them. Time is a
 * number here, so hours of it take a moment.
 */
#include <stdio.h>

#include "lib/file/disk-limit.h"
#include "core/compiler.h"
#include "tests/disk.h"

#define CHANNELS_MAX	128
#define FLIGHT_MAX	2048
#define CLIENTS_MAX	4
#define DEPTH_MAX	1024			/* requests of a client, at most */

struct request {
	int64_t begun_ns, ends_ns;
	uint64_t len;
	unsigned int client;
	bool write;
};

/* Who has requests without end, and what became of them. */
struct device_client {
	struct disk_limit limit;
	uint64_t len[2];			/* one of these, by chance */
	uint64_t in_flight_cost;
	uint32_t in_flight;
	uint32_t wants;				/* under way at most by itself; 0: no end */
	bool stopped;

	uint64_t done;				/* since device_forget() */
	int64_t took_ns;
};

struct device {
	unsigned int nr_channels;
	int64_t request_ns, page_ns;		/* what one takes, and each 4 KiB of it */
	int64_t free_ns[CHANNELS_MAX];		/* when each channel is free again */
	struct request flight[FLIGHT_MAX];
	unsigned int nr_flight;
	struct device_client client[CLIENTS_MAX];
	unsigned int nr_clients;
	int64_t now_ns;
	uint64_t random;
};

static uint64_t device_random(struct device *d, uint64_t n)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random % n;
}

/* A fifth more or less, each time. */
static int64_t service_ns(struct device *d, uint64_t len)
{
	int64_t ns = d->request_ns + (int64_t)((len + 4095) / 4096) * d->page_ns;

	return ns * 4 / 5 + (int64_t)device_random(d, (uint64_t)ns * 2 / 5 + 1);
}

static void device_submit(struct device *d, unsigned int client, uint64_t len)
{
	struct request *r = &d->flight[d->nr_flight++];
	unsigned int best = 0;

	ck_assert_uint_le(d->nr_flight, FLIGHT_MAX);
	for (unsigned int i = 1; i < d->nr_channels; i++)
		if (d->free_ns[i] < d->free_ns[best])
			best = i;
	*r = (struct request){ .begun_ns = d->now_ns, .len = len, .client = client };
	r->ends_ns = max(d->now_ns, d->free_ns[best]) + service_ns(d, len);
	d->free_ns[best] = r->ends_ns;
}

/* As lib/file/disk.c does it. */
static void client_fill(struct device *d, unsigned int i)
{
	struct device_client *c = &d->client[i];

	while (!c->stopped && !(c->wants && c->in_flight >= c->wants)) {
		uint64_t len = c->len[device_random(d, 2)];

		if (c->in_flight && c->in_flight_cost + disk_cost(len) > c->limit.limit) {
			c->limit.full = true;
			break;
		}
		c->in_flight++;
		c->in_flight_cost += disk_cost(len);
		device_submit(d, i, len);
	}
}

static void device_complete(struct device *d)
{
	unsigned int first = 0;
	struct device_client *c;
	struct request r;

	for (unsigned int i = 1; i < d->nr_flight; i++)
		if (d->flight[i].ends_ns < d->flight[first].ends_ns)
			first = i;
	r = d->flight[first];
	d->flight[first] = d->flight[--d->nr_flight];
	d->now_ns = r.ends_ns;
	c = &d->client[r.client];
	c->in_flight--;
	c->in_flight_cost -= disk_cost(r.len);
	c->done++;
	c->took_ns += r.ends_ns - r.begun_ns;
	disk_limit_done(&c->limit, disk_class(r.len, false), disk_cost(r.len),
			r.ends_ns - r.begun_ns, d->now_ns, c->in_flight);
	client_fill(d, r.client);
}

static void device_run(struct device *d, int64_t ns)
{
	int64_t until_ns = d->now_ns + ns;

	for (unsigned int i = 0; i < d->nr_clients; i++) {
		d->client[i].done = 0;
		d->client[i].took_ns = 0;
		client_fill(d, i);
	}
	while (d->nr_flight && d->now_ns < until_ns)
		device_complete(d);
}

static struct device_client *device_client(struct device *d, uint64_t len, int64_t goal_ns)
{
	struct device_client *c = &d->client[d->nr_clients++];

	*c = (struct device_client){ .len = { len, len } };
	disk_limit_init(&c->limit, DEPTH_MAX * disk_cost(4096), goal_ns);
	return c;
}

static void device_init(struct device *d, unsigned int nr_channels, int64_t request_ns)
{
	*d = (struct device){
		.nr_channels = nr_channels,
		.request_ns = request_ns,
		.now_ns = 500 * MN_MSEC,	/* looks at floors are at multiples of 5 s */
		.random = UINT64_C(88172645463325252),
	};
}

/* What it did, of what it can do, in percent; requests of one size. */
static unsigned int busy_percent(const struct device *d, int64_t ns, uint64_t done)
{
	int64_t each_ns =
		d->request_ns + (int64_t)((d->client[0].len[0] + 4095) / 4096) * d->page_ns;

	return (unsigned int)((double)done * (double)each_ns * 100 / ((double)ns * d->nr_channels));
}

static double depth(const struct device_client *c)
{
	return (double)c->limit.limit / disk_cost(c->len[0]);
}

/* ---- one shard ---- */

static const unsigned int channels[] = { 1, 4, 32, 128 };

START_TEST(the_limit_finds_how_many_a_device_does_at_a_time)
{
	unsigned int k = channels[_i];
	struct device_client *c;
	struct device d;

	device_init(&d, k, MN_MSEC);
	c = device_client(&d, 4096, 0);
	device_run(&d, 2 * MN_SEC);
	for (int i = 0; i < 30; i++) {	/* also while it looks at its floors */
		device_run(&d, MN_SEC);
		ck_assert_msg(busy_percent(&d, MN_SEC, c->done) >= 95, "%u channels: %u%% busy", k,
			      busy_percent(&d, MN_SEC, c->done));
		ck_assert_msg(depth(c) >= k && depth(c) <= 4 * k + 2, "%u channels: depth %f", k,
			      depth(c));
		ck_assert_int_le(c->took_ns / (int64_t)c->done, 3 * MN_MSEC);
	}
}
END_TEST

START_TEST(a_goal_is_how_long_requests_take)
{
	static const int64_t goals_ns[] = { 15 * MN_MSEC, 4 * MN_MSEC, 20 * MN_MSEC };
	int64_t goal_ns = goals_ns[_i];
	struct device_client *c;
	struct device d;

	device_init(&d, 16, MN_MSEC);
	c = device_client(&d, 4096, goal_ns);
	device_run(&d, 5 * MN_SEC);
	device_run(&d, MN_SEC);
	ck_assert_int_le(c->took_ns / (int64_t)c->done, goal_ns * 11 / 10);
	ck_assert_int_ge(c->took_ns / (int64_t)c->done, goal_ns * 8 / 10);
	ck_assert_uint_ge(busy_percent(&d, MN_SEC, c->done), 95);
}
END_TEST

START_TEST(a_goal_that_cannot_be_met_leaves_one_request_at_a_time)
{
	struct device_client *c;
	struct device d;

	device_init(&d, 16, MN_MSEC);
	c = device_client(&d, 65536, 100 * MN_USEC);
	device_run(&d, MN_SEC);
	ck_assert_uint_eq(c->limit.limit, disk_cost(4096));
	ck_assert_uint_eq(c->in_flight, 1);
	ck_assert_uint_ge(c->done, 800);
}
END_TEST

START_TEST(the_limit_follows_a_device_that_changes)
{
	struct device_client *c;
	struct device d;

	device_init(&d, 32, MN_MSEC);
	c = device_client(&d, 4096, 0);
	device_run(&d, 2 * MN_SEC);
	ck_assert_double_ge(depth(c), 32);
	d.nr_channels = 4;
	device_run(&d, 5 * MN_SEC);
	ck_assert_double_le(depth(c), 20);
	ck_assert_uint_ge(busy_percent(&d, 5 * MN_SEC, c->done), 95);
	d.nr_channels = 64;
	device_run(&d, 5 * MN_SEC);
	device_run(&d, MN_SEC);
	ck_assert_uint_ge(busy_percent(&d, MN_SEC, c->done), 95);
	d.request_ns *= 5;	/* a quarter of it looks like a crowd, until the floors are taken */
	device_run(&d, 21 * MN_SEC);
	device_run(&d, MN_SEC);
	ck_assert_uint_ge(busy_percent(&d, MN_SEC, c->done), 95);
	ck_assert_double_le(depth(c), 4 * 64);
}
END_TEST

START_TEST(sizes_do_not_take_each_other_for_a_crowd)
{
	struct device_client *c;
	struct device d;
	double per_ns;

	device_init(&d, 16, 800 * MN_USEC);
	d.page_ns = 100 * MN_USEC;
	c = device_client(&d, 4096, 0);
	c->len[1] = 1 << 20;
	device_run(&d, 3 * MN_SEC);
	device_run(&d, 3 * MN_SEC);
	per_ns = ((double)d.request_ns * 2 + (1 + 256) * (double)d.page_ns) / 2;
	ck_assert_double_ge((double)c->done * per_ns / (3.0 * MN_SEC * 16), 0.9);
	ck_assert_double_le((double)c->limit.limit / disk_cost(1 << 20), 16 * 4);
}
END_TEST

START_TEST(who_does_not_want_more_is_not_given_more)
{
	struct device_client *c;
	struct device d;

	device_init(&d, 32, MN_MSEC);
	c = device_client(&d, 4096, 0);
	c->wants = 2;
	device_run(&d, 50 * MN_SEC);
	ck_assert_double_le(depth(c), 4);
}
END_TEST

/* ---- several shards ---- */

START_TEST(shards_that_share_a_device_come_to_have_alike)
{
	struct device_client *c[CLIENTS_MAX];
	uint64_t total = 0, least = UINT64_MAX, most = 0;
	struct device d;

	device_init(&d, 32, MN_MSEC);
	for (int i = 0; i < CLIENTS_MAX; i++) {	/* those who come late see a crowd at once */
		c[i] = device_client(&d, 4096, 0);
		device_run(&d, 3 * MN_SEC);
	}
	device_run(&d, 60 * MN_SEC);
	device_run(&d, 20 * MN_SEC);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		total += c[i]->done;
		least = min(least, c[i]->done);
		most = max(most, c[i]->done);
		ck_assert_int_le(c[i]->took_ns / (int64_t)c[i]->done, 5 * MN_MSEC);
	}
	ck_assert_uint_ge(busy_percent(&d, 20 * MN_SEC, total), 95);
	ck_assert_msg(least * 2 >= most, "%llu and %llu", (unsigned long long)least,
		      (unsigned long long)most);
	for (int i = 1; i < CLIENTS_MAX; i++)
		c[i]->stopped = true;
	device_run(&d, 5 * MN_SEC);
	device_run(&d, MN_SEC);
	ck_assert_uint_ge(busy_percent(&d, MN_SEC, c[0]->done), 95);
}
END_TEST

/* ---- arithmetic ---- */

START_TEST(costs_and_classes_are_bounded)
{
	ck_assert_uint_eq(disk_cost(0), 4);
	ck_assert_uint_eq(disk_cost(1), 5);
	ck_assert_uint_eq(disk_cost(4096), 5);
	ck_assert_uint_eq(disk_cost(4097), 6);
	ck_assert_uint_eq(disk_cost(1 << 20), 260);
	ck_assert_uint_eq(disk_cost(INT64_MAX), 4 + DISK_COST_MAX);
	ck_assert_uint_eq(disk_class(0, false), 0);
	ck_assert_uint_eq(disk_class(4096, true), 1);
	ck_assert_uint_eq(disk_class(4097, false), 2);
	ck_assert_uint_eq(disk_class(8192, false), 2);
	ck_assert_uint_eq(disk_class(8193, false), 4);
	ck_assert_uint_eq(disk_class(8 << 20, false), 22);
	ck_assert_uint_eq(disk_class(INT64_MAX, true), DISK_CLASSES - 1);
}
END_TEST

TCase *tcase_disk_model(void)
{
	TCase *tc = tcase_create("disk_model");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, the_limit_finds_how_many_a_device_does_at_a_time, 0,
			    (int)ARRAY_SIZE(channels));
	tcase_add_loop_test(tc, a_goal_is_how_long_requests_take, 0, 3);
	tcase_add_test(tc, a_goal_that_cannot_be_met_leaves_one_request_at_a_time);
	tcase_add_test(tc, the_limit_follows_a_device_that_changes);
	tcase_add_test(tc, sizes_do_not_take_each_other_for_a_crowd);
	tcase_add_test(tc, who_does_not_want_more_is_not_given_more);
	tcase_add_test(tc, shards_that_share_a_device_come_to_have_alike);
	tcase_add_test(tc, costs_and_classes_are_bounded);
	return tc;
}
