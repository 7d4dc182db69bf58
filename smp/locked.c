// SPDX-License-Identifier: MIT
/*
 * A ring under a mutex: slow, and plainly correct. The other queues are
 * checked against it.
 *
 * One ring for all senders, so the receiver gets messages in the order in
 * which they came. Each sender has a share of it that the others cannot
 * take: a sender that is never drained stops itself, not the others.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/mem/mem.h"
#include "smp/queue.h"

struct locked {
	struct queue queue;
	uint32_t size; /* of the ring: a share for each sender */
	uint32_t share;
	uint32_t *used; /* by each sender; under @lock from here on */
	struct mn_msg *ring;
	pthread_mutex_t lock;
	uint32_t head; /* the oldest message */
	/* How many. Written under @lock; the receiver looks without it. */
	_Atomic uint32_t count;
};

static struct locked *to_locked(struct queue *queue)
{
	return container_of(queue, struct locked, queue);
}

static unsigned int locked_push_n(struct queue *queue, unsigned int from, const struct mn_msg *msg,
				  unsigned int n)
{
	struct locked *q = to_locked(queue);
	uint32_t count;
	uint64_t tail;

	pthread_mutex_lock(&q->lock);
	count = atomic_load_explicit(&q->count, memory_order_relaxed);
	tail = ((uint64_t)q->head + count) % q->size;
	n = min(n, q->share - q->used[from]);
	for (unsigned int i = 0; i < n; i++) {
		BUG_ON(msg[i].from != from);
		q->ring[tail] = msg[i];
		tail = tail + 1 == q->size ? 0 : tail + 1;
	}
	q->used[from] += n;
	/* Relaxed: who sees it and wants the messages takes the lock. */
	atomic_store_explicit(&q->count, count + n, memory_order_relaxed);
	pthread_mutex_unlock(&q->lock);
	return n;
}

static unsigned int locked_pop_n(struct queue *queue, struct mn_msg *msg, unsigned int n)
{
	struct locked *q = to_locked(queue);
	uint32_t count;

	pthread_mutex_lock(&q->lock);
	count = atomic_load_explicit(&q->count, memory_order_relaxed);
	n = min(n, count);
	for (unsigned int i = 0; i < n; i++) {
		msg[i] = q->ring[q->head];
		q->used[msg[i].from]--;
		q->head = q->head + 1 == q->size ? 0 : q->head + 1;
	}
	atomic_store_explicit(&q->count, count - n, memory_order_relaxed);
	pthread_mutex_unlock(&q->lock);
	return n;
}

static bool locked_empty(struct queue *queue)
{
	return !atomic_load_explicit(&to_locked(queue)->count, memory_order_relaxed);
}

static int locked_open(struct queue *queue, unsigned int senders, unsigned int depth)
{
	struct locked *q = to_locked(queue);
	uint64_t size = (uint64_t)senders * depth;

	if (!size || size > UINT32_MAX)
		return -EINVAL;
	q->used = mem_alloc(senders * sizeof(*q->used));
	if (!q->used)
		return -ENOMEM;
	q->ring = mem_map(size * sizeof(*q->ring));
	if (!q->ring) {
		mem_free(q->used);
		return -ENOMEM;
	}
	q->size = (uint32_t)size;
	q->share = depth;
	q->head = 0;
	atomic_init(&q->count, 0);
	pthread_mutex_init(&q->lock, NULL);
	return 0;
}

static void locked_close(struct queue *queue)
{
	struct locked *q = to_locked(queue);

	pthread_mutex_destroy(&q->lock);
	mem_unmap(q->ring, q->size * sizeof(*q->ring));
	mem_free(q->used);
}

static const struct queue_ops locked_ops = {
	.push_n = locked_push_n,
	.pop_n = locked_pop_n,
	.empty = locked_empty,
	.glance = locked_empty,
	.open = locked_open,
	.close = locked_close,
	.state_size = sizeof(struct locked),
	.drv = {
		.name = "locked",
		.rating = 100,
	},
};
queue_driver(locked_ops);
