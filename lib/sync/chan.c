// SPDX-License-Identifier: MIT
/*
 * Channels. There are items, or somebody waits for one, never both; and who
 * waits to send does so only while the ring is full. So an item goes straight
 * from sender to receiver if one waits, and a receiver that makes room puts the
 * item of the first sender there: nobody can come in between.
 */
#include "lib/sync/chan.h"

void mn__chan_init(struct mn_chan *chan, void *ring, size_t item_size, size_t capacity,
		   const char *origin)
{
	BUG_ON(!item_size || item_size > UINT32_MAX || capacity > UINT32_MAX);
	*chan = (struct mn_chan){
		.ring = ring,
		.item_size = (uint32_t)item_size,
		.capacity = (uint32_t)capacity,
	};
	mn__waitq_init(&chan->senders, origin);
	mn__waitq_init(&chan->receivers, origin);
}

void mn_chan_destroy(struct mn_chan *chan)
{
	BUG_ON(chan->remotes);
	mn__waitq_destroy(&chan->senders);
	mn__waitq_destroy(&chan->receivers);
}

static void ring_put(struct mn_chan *chan, const void *item)
{
	uint32_t at = chan->head + chan->n++;

	if (at >= chan->capacity)
		at -= chan->capacity;
	item_copy(chan->ring + (size_t)at * chan->item_size, item, chan->item_size);
}

static void ring_get(struct mn_chan *chan, void *item)
{
	item_copy(item, chan->ring + (size_t)chan->head * chan->item_size, chan->item_size);
	chan->n--;
	if (++chan->head == chan->capacity)
		chan->head = 0;
}

int chan_push(struct mn_chan *chan, const void *item)
{
	struct mn_waiter *receiver = chan->receivers.first;

	if (chan->closed)
		return -EPIPE;
	if (receiver) {
		item_copy(receiver->item, item, chan->item_size);
		wait_grant(receiver, 1);
		return 0;
	}
	if (chan->n == chan->capacity)
		return -EAGAIN;
	ring_put(chan, item);
	return 0;
}

int chan_pop(struct mn_chan *chan, void *item)
{
	struct mn_waiter *sender = chan->senders.first;

	if (chan->n) {
		ring_get(chan, item);
		if (sender)
			ring_put(chan, sender->item);
	} else if (sender) {
		item_copy(item, sender->item, chan->item_size);
	} else {
		return chan->closed ? 0 : -EAGAIN;
	}
	if (sender)
		wait_grant(sender, 0);
	return 1;
}

static void chan_check(const struct mn_chan *chan, size_t size)
{
	mn__waitq_check(&chan->senders);
	BUG_ON(size != chan->item_size);
}

int mn__chan_try_send(struct mn_chan *chan, const void *item, size_t size)
{
	chan_check(chan, size);
	return chan_push(chan, item);
}

int mn__chan_send(struct mn_chan *chan, const void *item, size_t size, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &chan->senders, .item = (void *)(uintptr_t)item };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int err;

	chan_check(chan, size);
	err = chan_push(chan, item);
	return err == -EAGAIN ? (int)wait_run(&wait, timeout_ns) : err;
}

int mn__chan_try_recv(struct mn_chan *chan, void *item, size_t size)
{
	chan_check(chan, size);
	return chan_pop(chan, item);
}

int mn__chan_recv(struct mn_chan *chan, void *item, size_t size, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &chan->receivers, .item = item };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int res;

	chan_check(chan, size);
	res = chan_pop(chan, item);
	return res == -EAGAIN ? (int)wait_run(&wait, timeout_ns) : res;
}

void mn_chan_close(struct mn_chan *chan)
{
	mn__waitq_check(&chan->senders);
	if (chan->closed)
		return;
	chan->closed = true;
	wait_grant_all(&chan->receivers, 0);
	wait_grant_all(&chan->senders, -EPIPE);
	for (struct mn_chan_remote *remote = chan->remotes; remote; remote = remote->home.next)
		remote_chan_closed(remote);
}
