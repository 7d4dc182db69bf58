// SPDX-License-Identifier: MIT
/*
 * Messages between two CPUs: the bench's own, and that of a peer, a thread
 * that does its half of each sample and sleeps in between. One way is half
 * of a round trip; the limit is one line that both write in turns.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "tools/bench/bench.h"

#define DEPTH	192
#define BATCH	16

struct pair {
	struct queue *there, *back;	/* the inbox of the peer, and ours */
	void (*peer_run)(struct pair *pair, uint64_t n);

	pthread_t thread;
	sem_t start;
	uint64_t n;			/* of the sample that starts; 0: the end */
	unsigned int seen;		/* stages */

	_Atomic uint64_t line __cacheline_aligned;
	_Atomic unsigned int stage __cacheline_aligned;	/* odd: the peer is at it; even: it sleeps */
};

static void stage_begin(struct pair *pair)
{
	unsigned int stage = atomic_load_explicit(&pair->stage, memory_order_relaxed);

	atomic_store_explicit(&pair->stage, stage + 1, memory_order_release);
}

/* The next stage of the peer: not the one that was seen last. */
static void stage_wait(struct pair *pair)
{
	while ((int)(atomic_load_explicit(&pair->stage, memory_order_acquire) - pair->seen) <= 0)
		;
	pair->seen++;
}

static void *peer_main(void *arg)
{
	struct pair *pair = arg;

	for (;;) {
		while (sem_wait(&pair->start))
			;
		if (!pair->n)
			return NULL;
		stage_begin(pair);
		pair->peer_run(pair, pair->n);
		stage_begin(pair);
	}
}

static void pair_prepare(struct bench_case *c, uint64_t n)
{
	struct pair *pair = c->state;

	pair->n = n;
	atomic_store_explicit(&pair->line, 0, memory_order_relaxed);
	sem_post(&pair->start);
	stage_wait(pair);
}

static struct queue *inbox_open(const struct driver *drv, unsigned int senders)
{
	const struct queue_ops *ops = container_of(drv, struct queue_ops, drv);
	struct queue *queue = mem_alloc(ops->state_size);

	if (!queue)
		return NULL;
	queue->ops = ops;
	if (!queue_open(queue, senders, DEPTH))
		return queue;
	mem_free(queue);
	return NULL;
}

static void inbox_close(struct queue *queue)
{
	if (queue)
		queue_close(queue);
	mem_free(queue);
}

static void pair_free(struct pair *pair)
{
	inbox_close(pair->there);
	inbox_close(pair->back);
	sem_destroy(&pair->start);
	mem_free(pair);
}

static int pair_open(struct bench_case *c, void (*peer_run)(struct pair *pair, uint64_t n))
{
	struct pair *pair = mem_alloc(sizeof(*pair));
	int err = 0;

	if (!pair)
		return -ENOMEM;
	c->state = pair;
	pair->peer_run = peer_run;
	sem_init(&pair->start, 0, 0);
	if (c->driver) {
		pair->there = inbox_open(c->driver, 2);
		pair->back = inbox_open(c->driver, 2);
		if (!pair->there || !pair->back)
			err = -ENOMEM;
	}
	if (!err)
		err = other_cpu_start(&pair->thread, peer_main, pair);
	if (err)
		pair_free(pair);
	return err;
}

static void pair_close(struct bench_case *c)
{
	struct pair *pair = c->state;

	pair->n = 0;
	sem_post(&pair->start);
	pthread_join(pair->thread, NULL);
	pair_free(pair);
}

/* The bare line: odd values are ours, even ones the peer's. */
static void line_pass(struct pair *pair, uint64_t value)
{
	while (atomic_load_explicit(&pair->line, memory_order_acquire) != value - 1)
		;
	atomic_store_explicit(&pair->line, value, memory_order_release);
}

static void handoff_peer(struct pair *pair, uint64_t n)
{
	for (uint64_t i = 2; i <= n; i += 2)
		line_pass(pair, i);
}

static void handoff_run(struct bench_case *c, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i += 2)
		line_pass(c->state, i);
	stage_wait(c->state);
}

static int handoff_open(struct bench_case *c)
{
	return pair_open(c, handoff_peer);
}

static const struct bench smp_handoff = {
	.name = "smp.handoff",
	.family = "smp.awake",
	.bare_of = "*",
	.open = handoff_open,
	.prepare = pair_prepare,
	.run = handoff_run,
	.close = pair_close,
};
bench_register(smp_handoff);

static void send_one(struct queue *queue, unsigned int from)
{
	struct mn_msg msg = { .from = (uint16_t)from };

	queue_push_n(queue, from, &msg, 1);
}

/* As an idle shard does it: look each turn, then take what there is. */
static void receive_one(struct queue *queue)
{
	struct mn_msg msg[BATCH];

	while (queue_glance(queue) || !queue_pop_n(queue, msg, BATCH))
		;
	bench_keep(msg[0].reply);
}

static void oneway_peer(struct pair *pair, uint64_t n)
{
	for (; n > 1; n -= 2) {
		receive_one(pair->there);
		send_one(pair->back, 1);
	}
}

static void oneway_run(struct bench_case *c, uint64_t n)
{
	struct pair *pair = c->state;

	for (; n > 1; n -= 2) {
		send_one(pair->there, 0);
		receive_one(pair->back);
	}
	stage_wait(pair);
}

static int oneway_open(struct bench_case *c)
{
	return pair_open(c, oneway_peer);
}

static const struct bench smp_oneway = {
	.name = "smp.oneway",
	.family = "smp.awake",
	.kind = &queue_kind,
	.open = oneway_open,
	.prepare = pair_prepare,
	.run = oneway_run,
	.close = pair_close,
};
bench_register(smp_oneway);

static void stream_peer(struct pair *pair, uint64_t n)
{
	struct mn_msg msg[BATCH];

	while (n)
		if (!queue_empty(pair->there))
			n -= queue_pop_n(pair->there, msg, BATCH);
}

static void stream_run(struct bench_case *c, uint64_t n)
{
	struct pair *pair = c->state;
	struct mn_msg msg[BATCH] = { { .from = 0 } };

	while (n)
		n -= queue_push_n(pair->there, 0, msg, (unsigned int)min(n, BATCH));
	stage_wait(pair);
}

static int stream_open(struct bench_case *c)
{
	return pair_open(c, stream_peer);
}

/* In batches, one after the other. */
static const struct bench smp_queue = {
	.name = "smp.queue",
	.kind = &queue_kind,
	.open = stream_open,
	.prepare = pair_prepare,
	.run = stream_run,
	.close = pair_close,
};
bench_register(smp_queue);

/* What each turn pays for senders that send nothing. */
static void idle_run(struct bench_case *c, uint64_t n)
{
	for (; n; n--)
		bench_keep(queue_empty(c->state));
}

static int idle_open(struct bench_case *c, unsigned int senders)
{
	c->state = inbox_open(c->driver, senders);
	return c->state ? 0 : -ENOMEM;
}

static void idle_close(struct bench_case *c)
{
	inbox_close(c->state);
}

static int idle_1_open(struct bench_case *c)
{
	return idle_open(c, 1);
}

static const struct bench smp_idle_1 = {
	.name = "smp.idle-1",
	.family = "smp.idle",
	.kind = &queue_kind,
	.open = idle_1_open,
	.run = idle_run,
	.close = idle_close,
};
bench_register(smp_idle_1);

static int idle_64_open(struct bench_case *c)
{
	return idle_open(c, 64);
}

static const struct bench smp_idle_64 = {
	.name = "smp.idle-64",
	.family = "smp.idle",
	.kind = &queue_kind,
	.open = idle_64_open,
	.run = idle_run,
	.close = idle_close,
};
bench_register(smp_idle_64);
