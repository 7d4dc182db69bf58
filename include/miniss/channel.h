/* SPDX-License-Identifier: MIT */
/*
 * Channels: how fibers hand things to each other. All of it is of one shard
 * but for the last part, which sends into a channel from another shard.
 *
 * Items have one size and are copied: a number, a pointer, a small struct. The
 * caller owns the channel and the array that it keeps items in:
 *
 *	struct job jobs[16];
 *	struct mn_chan chan;
 *
 *	mn_chan_init(&chan, jobs);
 *
 *	err = mn_chan_send(&chan, &job);		0, or -EPIPE once it is closed
 *	while ((err = mn_chan_recv(&chan, &job)) > 0)	as if reading: 1, and 0 at the end
 *		...
 *
 * Who waits, how waits end early, and what debug builds check is as in
 * miniss/sync.h. An item was either handed over, and then both sides succeed,
 * or it was not.
 */
#ifndef MINISS_CHANNEL_H
#define MINISS_CHANNEL_H

#include <miniss/sync.h>

struct mn_chan_remote;

struct mn_chan {
	char *ring;
	uint32_t item_size;
	uint32_t capacity, head, n;	/* in items */
	bool closed;
	struct mn_waitq senders, receivers;
	struct mn_chan_remote *remotes;	/* from other shards */
};

/**
 * mn_chan_init - make a channel that holds as many items as an array
 * @chan: owned by the caller
 * @array: an array, not a pointer; the channel's until it is destroyed
 */
#define mn_chan_init(chan, array)					\
	mn__chan_init(chan, array, sizeof((array)[0]), sizeof(array) / sizeof((array)[0]), MN__HERE)

/**
 * mn_chan_init_sized - the same with a size and a capacity that are computed
 * @ring: of @capacity * @item_size bytes
 * @capacity: in items; 0: each item waits until somebody takes it
 */
#define mn_chan_init_sized(chan, ring, item_size, capacity)		\
	mn__chan_init(chan, ring, item_size, capacity, MN__HERE)

MN_API void mn__chan_init(struct mn_chan *chan, void *ring, size_t item_size, size_t capacity,
			  const char *origin);

/** mn_chan_destroy - the end; nobody waits, and no other shard sends. Items are forgotten */
MN_API void mn_chan_destroy(struct mn_chan *chan);

/**
 * mn_chan_send - hand over an item; suspends while the channel is full
 * @item: a pointer to it; copied
 *
 * It goes to whoever has waited longest, or behind all others.
 *
 * Return: 0; -EPIPE if the channel is closed, or is closed meanwhile;
 * -ECANCELED, and with a time -ETIMEDOUT. But for 0, nobody gets the item.
 */
#define mn_chan_send(chan, item)	mn_chan_send_timeout(chan, item, MN_NEVER)
#define mn_chan_send_timeout(chan, item, timeout_ns)			\
	mn__chan_send(chan, item, sizeof(*(item)), timeout_ns)

/** mn_chan_try_send - the same without a wait: -EAGAIN if it is full */
#define mn_chan_try_send(chan, item)	mn__chan_try_send(chan, item, sizeof(*(item)))

/**
 * mn_chan_recv - take the next item; suspends while there is none
 * @item: where to put it
 *
 * Return: 1 with an item; 0 at the end: the channel is closed and empty;
 * -ECANCELED, and with a time -ETIMEDOUT.
 */
#define mn_chan_recv(chan, item)	mn_chan_recv_timeout(chan, item, MN_NEVER)
#define mn_chan_recv_timeout(chan, item, timeout_ns)			\
	mn__chan_recv(chan, item, sizeof(*(item)), timeout_ns)

/** mn_chan_try_recv - the same without a wait: -EAGAIN if there is none */
#define mn_chan_try_recv(chan, item)	mn__chan_try_recv(chan, item, sizeof(*(item)))

MN_API int mn__chan_send(struct mn_chan *chan, const void *item, size_t size, int64_t timeout_ns);
MN_API int mn__chan_try_send(struct mn_chan *chan, const void *item, size_t size);
MN_API int mn__chan_recv(struct mn_chan *chan, void *item, size_t size, int64_t timeout_ns);
MN_API int mn__chan_try_recv(struct mn_chan *chan, void *item, size_t size);

/**
 * mn_chan_close - no more items
 *
 * Either side may close, and more than once. Those that wait to send get
 * -EPIPE, with their items; what was sent before can still be received.
 */
MN_API void mn_chan_close(struct mn_chan *chan);

/* ---- select ---- */

#define MN_SELECT_MAX	16

/* Something to wait for, along with others. */
struct mn_select_case {
	struct mn_chan *chan;	/* NULL: leave this one out */
	const void *send;	/* an item to send, or NULL */
	void *recv;		/* or where to put one */
	size_t size;
	int res;		/* of the one that was done: as mn_chan_send() or _recv() */
};

/* clang-format off */
#define MN_SEND(ch, item)	{ .chan = (ch), .send = (item), .size = sizeof(*(item)) }
#define MN_RECV(ch, item)	{ .chan = (ch), .recv = (item), .size = sizeof(*(item)) }
/* clang-format on */

struct mn_select {
	struct mn_select_case *cases;
	unsigned int nr_cases;	/* at most MN_SELECT_MAX */
	unsigned int next;	/* which to look at first; 0 at the beginning */
};

/**
 * mn_select - do one of several sends and receives; suspends until one can be
 * @select: with cases, in which channels may occur more than once
 *
 * A closed channel can always be done: its result is 0 or -EPIPE; take the
 * case out (@chan = NULL) to go on with the others. Of those that can be done at once, the
 * first is taken, in a round that begins behind the one that was done last:
 * so none waits for more than all others once each. Set @next to 0 before each call
 * for the order of the array.
 *
 * Return: the index of the one that was done, with its @res; -EINVAL for too
 * many; -ECANCELED, and with a time -ETIMEDOUT: then none was.
 */
MN_API int mn_select_timeout(struct mn_select *select, int64_t timeout_ns);

static inline int mn_select(struct mn_select *select)
{
	return mn_select_timeout(select, MN_NEVER);
}

/** mn_select_try - the same without a wait: -EAGAIN if none can be done */
MN_API int mn_select_try(struct mn_select *select);

/* ---- broadcast ---- */

/* What to do when the slowest reader has not read what would be overwritten. */
enum mn_broadcast_policy {
	MN_BROADCAST_WAIT,	/* the writer waits for it */
	MN_BROADCAST_LOSE,	/* the reader loses it, and is told how many */
};

struct mn_broadcast_reader;

/* Every reader gets every item that is sent while it is there. */
struct mn_broadcast {
	char *ring;
	uint32_t item_size;
	uint32_t capacity;
	uint64_t nr_sent;		/* items, ever */
	uint64_t nr_read;		/* by the slowest reader; or fewer */
	bool closed;
	uint8_t policy;
	struct mn_broadcast_reader *readers;
	struct mn_waitq senders, receivers;
};

/* Owned by the caller, from joining to leaving. */
struct mn_broadcast_reader {
	struct mn_broadcast *broadcast;
	uint64_t nr_read;		/* items before its next one */
	uint64_t nr_lost;		/* of those, by being slow */
	struct mn_broadcast_reader *next, **pprev;
};

/** mn_broadcast_init - @array: an array of at least one item; @policy: see above */
#define mn_broadcast_init(broadcast, array, policy)			\
	mn__broadcast_init(broadcast, array, sizeof((array)[0]),	\
			   sizeof(array) / sizeof((array)[0]), policy, MN__HERE)

MN_API void mn__broadcast_init(struct mn_broadcast *broadcast, void *ring, size_t item_size,
			       size_t capacity, enum mn_broadcast_policy policy,
			       const char *origin);

/** mn_broadcast_destroy - the end; all readers have left */
MN_API void mn_broadcast_destroy(struct mn_broadcast *broadcast);

/** mn_broadcast_join - become a reader of what is sent from now on. Does not suspend */
MN_API void mn_broadcast_join(struct mn_broadcast *broadcast, struct mn_broadcast_reader *reader);

/** mn_broadcast_leave - stop being one; no fiber waits in @reader. Does not suspend */
MN_API void mn_broadcast_leave(struct mn_broadcast_reader *reader);

/**
 * mn_broadcast_send - send an item to all readers
 *
 * With MN_BROADCAST_WAIT, suspends until the slowest one has room. Without
 * readers, items go nowhere.
 *
 * Return: 0; -EPIPE if it is closed, or is meanwhile; -ECANCELED, and with a
 * time -ETIMEDOUT. But for 0, no reader gets the item.
 */
#define mn_broadcast_send(broadcast, item) mn_broadcast_send_timeout(broadcast, item, MN_NEVER)
#define mn_broadcast_send_timeout(broadcast, item, timeout_ns)		\
	mn__broadcast_send(broadcast, item, sizeof(*(item)), timeout_ns)

/**
 * mn_broadcast_recv - take the reader's next item; suspends while there is none
 * @reader: may be used by several fibers; each item goes to one of them
 *
 * Return: 1 with an item: if @reader->nr_lost has grown, so many before it
 * were lost; 0 at the end: closed, and all was read; -ECANCELED, and with a
 * time -ETIMEDOUT.
 */
#define mn_broadcast_recv(reader, item) mn_broadcast_recv_timeout(reader, item, MN_NEVER)
#define mn_broadcast_recv_timeout(reader, item, timeout_ns)		\
	mn__broadcast_recv(reader, item, sizeof(*(item)), timeout_ns)

MN_API int mn__broadcast_send(struct mn_broadcast *broadcast, const void *item, size_t size,
			      int64_t timeout_ns);
MN_API int mn__broadcast_recv(struct mn_broadcast_reader *reader, void *item, size_t size,
			      int64_t timeout_ns);

/** mn_broadcast_close - no more items: readers get what there is, and then 0 */
MN_API void mn_broadcast_close(struct mn_broadcast *broadcast);

/* ---- pipe ---- */

/* Bytes, in order. */
struct mn_pipe {
	char *ring;
	size_t capacity, head, n;	/* in bytes */
	bool closed;
	struct mn_waitq writers, readers;
};

/** mn_pipe_init - @ring: of @capacity bytes, at least 1; the pipe's until it is destroyed */
#define mn_pipe_init(pipe, ring, capacity)	mn__pipe_init(pipe, ring, capacity, MN__HERE)

MN_API void mn__pipe_init(struct mn_pipe *pipe, void *ring, size_t capacity, const char *origin);
MN_API void mn_pipe_destroy(struct mn_pipe *pipe);

/**
 * mn_pipe_write - write bytes; suspends until all of them are in the pipe
 *
 * What several fibers write does not mix: the next one begins when this one's
 * is in.
 *
 * Return: @len; fewer if the pipe was closed or the wait ended early after so
 * many; or, with none, -EPIPE, -ECANCELED, and with a time -ETIMEDOUT.
 */
MN_API int64_t mn_pipe_write_timeout(struct mn_pipe *pipe, const void *base, size_t len,
				     int64_t timeout_ns);

static inline int64_t mn_pipe_write(struct mn_pipe *pipe, const void *base, size_t len)
{
	return mn_pipe_write_timeout(pipe, base, len, MN_NEVER);
}

/**
 * mn_pipe_read - read what there is, at most @len bytes; suspends while there is nothing
 *
 * Return: how many; 0 at the end, and for a @len of 0; -ECANCELED, and with a
 * time -ETIMEDOUT.
 */
MN_API int64_t mn_pipe_read_timeout(struct mn_pipe *pipe, void *base, size_t len,
				    int64_t timeout_ns);

static inline int64_t mn_pipe_read(struct mn_pipe *pipe, void *base, size_t len)
{
	return mn_pipe_read_timeout(pipe, base, len, MN_NEVER);
}

/** mn_pipe_close - by either side: readers get what is there, then 0; writers -EPIPE */
MN_API void mn_pipe_close(struct mn_pipe *pipe);

/* ---- from another shard ---- */

/* Carried between shards by the runtime. */
struct mn_parcel {
	struct mn_parcel *next;		/* to be sent; the sender's */
	struct mn_parcel *batch_next;	/* sent; read where it arrives */
	void (*pack)(struct mn_parcel *parcel);
	void (*receive)(struct mn_parcel *parcel);
	uint32_t to;
	bool queued;
};

/*
 * A way into a channel of another shard. It holds as many items as its array:
 * so many can be under way. Who sends more waits until the channel has taken
 * some. There may be any number of them for a channel; in its line of senders
 * each counts as one.
 *
 * Owned by the shard that sends, of which any fiber may use it. The home shard
 * of the channel has a part of it that is not to be touched until it is closed,
 * and that must be before the channel is destroyed.
 */
struct mn_chan_remote {
	char *ring;
	uint32_t item_size, capacity, tail;
	uint64_t nr_sent;		/* items, ever */
	uint64_t nr_free;		/* of which the place is free again */
	uint64_t nr_delivered;		/* of which the channel took them */
	uint32_t nr_packed, nr_seen;	/* parcels that went there; of which there was an answer */
	uint8_t end;			/* how it was closed */
	bool closed;			/* the channel is */
	bool detached;			/* the home shard has let go */
	struct mn_waitq senders, closing;
	struct mn_parcel there;
	struct {			/* what is in it */
		uint64_t nr_sent;
		uint8_t end;
	} packed;

	struct {
		struct mn_chan *chan;
		struct mn_chan_remote *next, **pprev;
		struct mn_waiter entry;	/* its place in the line of senders */
		struct mn_wait wait;
		uint64_t nr_sent;	/* that it knows of */
		uint64_t nr_taken, nr_delivered;
		uint32_t head, nr_received;
		uint8_t end, state;
		struct mn_parcel back;
		struct {
			uint64_t nr_free, nr_delivered;
			uint32_t nr_seen;
			bool closed, detached;
		} packed;
	} home __attribute__((aligned(CONFIG_CACHELINE_BYTES)));
};

/**
 * mn_chan_remote_open - begin to send into a channel of another shard
 * @remote: owned by the caller, of this shard
 * @chan: initialised on shard @home, with items of the same size; may be of
 *	this shard
 * @array: an array of at least one item; its size bounds what is under way
 *
 * Does not suspend, cannot fail, and does not look at @chan.
 */
#define mn_chan_remote_open(remote, chan, home, array)			\
	mn__chan_remote_open(remote, chan, home, array, sizeof((array)[0]), \
			     sizeof(array) / sizeof((array)[0]), MN__HERE)

MN_API void mn__chan_remote_open(struct mn_chan_remote *remote, struct mn_chan *chan,
				 unsigned int home, void *ring, size_t item_size, size_t capacity,
				 const char *origin);

/**
 * mn_chan_remote_send - send an item on its way; suspends while too many are
 * @item: a pointer to it; copied
 *
 * Items arrive in order. What goes out in a turn goes together.
 *
 * Return: 0: it goes there, but whether the channel takes it is known when
 * this is closed; -EPIPE if the channel was found closed; -ECANCELED, and with
 * a time -ETIMEDOUT. But for 0, it is not sent.
 */
#define mn_chan_remote_send(remote, item) mn_chan_remote_send_timeout(remote, item, MN_NEVER)
#define mn_chan_remote_send_timeout(remote, item, timeout_ns)		\
	mn__chan_remote_send(remote, item, sizeof(*(item)), timeout_ns)

/** mn_chan_remote_try_send - the same without a wait: -EAGAIN if too many are under way */
#define mn_chan_remote_try_send(remote, item)				\
	mn__chan_remote_try_send(remote, item, sizeof(*(item)))

MN_API int mn__chan_remote_send(struct mn_chan_remote *remote, const void *item, size_t size,
				int64_t timeout_ns);
MN_API int mn__chan_remote_try_send(struct mn_chan_remote *remote, const void *item, size_t size);

/**
 * mn_chan_remote_close - wait until the channel has taken all that was sent; the end
 *
 * Suspends. When it was cancelled, or its time is up, what the channel has not
 * taken by then is dropped, and this waits only until the home shard has let
 * go of @remote: that ends soon, and by nothing else. Once, and then no more
 * sends. The channel stays open for other senders.
 *
 * Return: 0: the channel took everything. Otherwise it did not take
 * mn_chan_remote_lost() of it: -EPIPE as it was closed, -ECANCELED, -ETIMEDOUT.
 */
MN_API int mn_chan_remote_close_timeout(struct mn_chan_remote *remote, int64_t timeout_ns);

static inline int mn_chan_remote_close(struct mn_chan_remote *remote)
{
	return mn_chan_remote_close_timeout(remote, MN_NEVER);
}

/**
 * mn_chan_remote_finish - the same, and close the channel behind what was sent
 *
 * For the last or only sender. The channel is closed in any case.
 */
MN_API int mn_chan_remote_finish_timeout(struct mn_chan_remote *remote, int64_t timeout_ns);

static inline int mn_chan_remote_finish(struct mn_chan_remote *remote)
{
	return mn_chan_remote_finish_timeout(remote, MN_NEVER);
}

/** mn_chan_remote_lost - after closing: how many of the items that were sent got lost */
static inline uint64_t mn_chan_remote_lost(const struct mn_chan_remote *remote)
{
	return remote->nr_sent - remote->nr_delivered;
}

#endif
