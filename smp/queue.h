/* SPDX-License-Identifier: MIT */
/*
 * The contract of cross-shard queues. Included by the drivers, by smp/ and
 * by tests; never by users.
 *
 * A queue is the inbox of one shard. Messages are 32 bytes, by value; their
 * order is kept for each sender. It is bounded: what does not fit stays with
 * the sender.
 */
#ifndef SMP_QUEUE_H
#define SMP_QUEUE_H

#include <stdint.h>

#include "core/driver.h"

enum msg_kind {
	MSG_CALL,	/* run fn(arg) in a fiber of the group @res, then reply */
	MSG_POST,	/* the same, and nobody waits for the result */
	MSG_RUN,	/* run fn(arg) from the reactor; it must not suspend */
	MSG_CANCEL,	/* cancel the fiber that runs @credit, because of @res */
	MSG_REPLY,	/* @reply has ended with @res; @credit is free again */
	MSG_SETTLE,	/* as many credits are free again as @res says, listed in @list */
	MSG_HOME,	/* the batch of frees at @arg; smp/homing.c */
	MSG_HOMED,	/* it was received; @reply is the sender's */
	MSG_PARCELS,	/* the batch of parcels at @arg; smp/parcel.c */
	MSG_PARCELED,	/* likewise */
};

#define MSG_LIST	16

struct mn_msg {
	union {
		struct {
			int (*fn)(void *arg);
			void *arg;
		};
		uint8_t list[MSG_LIST];
	};
	void *reply;		/* the sender's, handed back untouched */
	union {
		struct {
			int32_t res;
			uint16_t from;	/* the shard that sent it */
			uint8_t kind;	/* enum msg_kind; the top bit is the queue's */
			uint8_t credit;	/* which of the pair's, on this lane */
		};
		uint64_t word;		/* all four: msg_word() */
	};
};

_Static_assert(sizeof(struct mn_msg) == 32, "a message is half a cache line");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MSG_BIT(little, big)	(little)
#else
#define MSG_BIT(little, big)	(big)
#endif

/*
 * msg_word - written as a whole, since it is soon read as a whole: a processor
 * hands a store that is under way to a load of the same bytes, not of more.
 */
static inline uint64_t msg_word(int32_t res, unsigned int from, enum msg_kind kind, uint8_t credit)
{
	return (uint64_t)(uint32_t)res << MSG_BIT(0, 32) | (uint64_t)from << MSG_BIT(32, 16) |
	       (uint64_t)kind << MSG_BIT(48, 8) | (uint64_t)credit << MSG_BIT(56, 0);
}

#define MSG_QUEUE_BIT	(UINT64_C(1) << MSG_BIT(55, 15))	/* in the word: no kind has it */

struct queue;

struct queue_ops {
	/**
	 * @push_n: append messages of one sender
	 *	On the thread of shard @from. Returns how many fitted; they are
	 *	visible to the receiver when it returns.
	 */
	unsigned int (*push_n)(struct queue *queue, unsigned int from, const struct mn_msg *msg,
			       unsigned int n);

	/** @pop_n: take up to @n messages, on the receiving shard */
	unsigned int (*pop_n)(struct queue *queue, struct mn_msg *msg, unsigned int n);

	/** @empty: nothing to take, as far as the receiving shard can see */
	bool (*empty)(struct queue *queue);

	/**
	 * @glance: like @empty, but may look at some senders only, others each
	 *	time. Costs the same for any number of them; what one glance
	 *	misses a later one sees, after a few times as many as there are
	 *	senders at most
	 */
	bool (*glance)(struct queue *queue);

	/* once */

	/** @open: room for at least @depth messages of each of @senders shards */
	int (*open)(struct queue *queue, unsigned int senders, unsigned int depth);
	void (*close)(struct queue *queue);

	size_t state_size;	/* of the struct that embeds struct queue */
	struct driver drv;
};

struct queue {
	const struct queue_ops *ops;
};

unsigned int queue_push_n(struct queue *queue, unsigned int from, const struct mn_msg *msg,
			  unsigned int n);
unsigned int queue_pop_n(struct queue *queue, struct mn_msg *msg, unsigned int n);
bool queue_empty(struct queue *queue);
bool queue_glance(struct queue *queue);
int queue_open(struct queue *queue, unsigned int senders, unsigned int depth);
void queue_close(struct queue *queue);

/* clang-format off */
#define QUEUE_CALLS(OPS)						\
	unsigned int queue_push_n(struct queue *queue, unsigned int from, \
				  const struct mn_msg *msg, unsigned int n) \
	{ return (OPS)->push_n(queue, from, msg, n); }			\
	unsigned int queue_pop_n(struct queue *queue, struct mn_msg *msg, unsigned int n) \
	{ return (OPS)->pop_n(queue, msg, n); }				\
	bool queue_empty(struct queue *queue)				\
	{ return (OPS)->empty(queue); }					\
	bool queue_glance(struct queue *queue)				\
	{ return (OPS)->glance(queue); }				\
	int queue_open(struct queue *queue, unsigned int senders, unsigned int depth) \
	{ return (OPS)->open(queue, senders, depth); }			\
	void queue_close(struct queue *queue)				\
	{ (OPS)->close(queue); }
/* clang-format on */

#ifdef SOLE_DRIVER	/* set by the Makefile when there is only one */
#define queue_driver(ops)						\
	section_entry(queue_drivers, ops, ops.drv);			\
	QUEUE_CALLS(&(ops))						\
	_Static_assert(1, "")
#else
#define queue_driver(ops)	section_entry(queue_drivers, ops, ops.drv)
#endif

#endif
