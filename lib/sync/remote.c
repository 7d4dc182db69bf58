// SPDX-License-Identifier: MIT
/*
 * Sending into a channel of another shard.
 *
 * Items stay in the sender's ring. A parcel tells the home shard how many have
 * been sent; from then on these are the home shard's, which copies them into
 * the channel, or waits in its line of senders with the next one. The way back
 * is a parcel, too, and tells how many places are free again. Each side writes its own
 * half and what is in a parcel that is not under way; so no field is ever
 * written by one while the other may read it.
 *
 * The end: the home shard lets go once the sender has said that it wants to,
 * and answers every parcel that comes after that. When the last one was
 * answered, nobody over there knows of the sender's memory any more.
 */
#include "lib/sync/chan.h"
#include "smp/parcel.h"

enum { END_WANTED = 1, END_CLOSES = 2, END_AT_ONCE = 4 };	/* mn_chan_remote.end */
enum { HOME_NEW, HOME_ATTACHED, HOME_CLOSED, HOME_DETACHED };

/* ---- the home shard of the channel ---- */

static void home_pack(struct mn_parcel *parcel)
{
	struct mn_chan_remote *remote = container_of(parcel, struct mn_chan_remote, home.back);

	remote->home.packed.nr_free = remote->home.nr_taken;
	remote->home.packed.nr_delivered = remote->home.nr_delivered;
	remote->home.packed.nr_seen = remote->home.nr_received;
	remote->home.packed.closed = remote->home.state >= HOME_CLOSED;
	remote->home.packed.detached = remote->home.state == HOME_DETACHED;
}

static char *home_first(struct mn_chan_remote *remote)
{
	return remote->ring + (size_t)remote->home.head * remote->item_size;
}

static void home_took_first(struct mn_chan_remote *remote)
{
	if (++remote->home.head == remote->capacity)
		remote->home.head = 0;
	remote->home.nr_taken++;
	remote->home.nr_delivered++;
}

static void home_attach(struct mn_chan_remote *remote)
{
	struct mn_chan *chan = remote->home.chan;

	mn__waitq_check(&chan->senders);
	BUG_ON(remote->item_size != chan->item_size);
	remote->home.entry.queue = &chan->senders;
	remote->home.next = chan->remotes;
	remote->home.pprev = &chan->remotes;
	if (remote->home.next)
		remote->home.next->home.pprev = &remote->home.next;
	chan->remotes = remote;
	remote->home.state = chan->closed ? HOME_CLOSED : HOME_ATTACHED;
}

static void home_detach(struct mn_chan_remote *remote)
{
	if (remote->home.wait.waiting)
		wait_end(&remote->home.wait);
	*remote->home.pprev = remote->home.next;
	if (remote->home.next)
		remote->home.next->home.pprev = remote->home.pprev;
	remote->home.state = HOME_DETACHED;
	if (remote->home.end & END_CLOSES)
		mn_chan_close(remote->home.chan);
}

/* Put into the channel what it takes, and stand in line with the next one. */
static void home_go_on(struct mn_chan_remote *remote)
{
	while (remote->home.state == HOME_ATTACHED && !remote->home.wait.waiting &&
	       remote->home.nr_taken < remote->home.nr_sent) {
		if (!chan_push(remote->home.chan, home_first(remote))) {
			home_took_first(remote);
		} else {
			remote->home.entry.item = home_first(remote);
			wait_begin(&remote->home.wait);
		}
	}
	if (remote->home.state == HOME_CLOSED)
		remote->home.nr_taken = remote->home.nr_sent;
	if (remote->home.state != HOME_DETACHED &&
	    ((remote->home.end & END_AT_ONCE) ||
	     (remote->home.end && remote->home.nr_taken == remote->home.nr_sent)))
		home_detach(remote);
	parcel_send(&remote->home.back);
}

/* The channel took what we stood in line with, or is closed. */
static void home_woken(struct mn_wait *wait)
{
	struct mn_chan_remote *remote = container_of(wait, struct mn_chan_remote, home.wait);

	if (wait->res)
		remote->home.state = HOME_CLOSED;
	else
		home_took_first(remote);
	home_go_on(remote);
}

void remote_chan_closed(struct mn_chan_remote *remote)
{
	remote->home.state = HOME_CLOSED;
	home_go_on(remote);
}

static void home_receive(struct mn_parcel *parcel)
{
	struct mn_chan_remote *remote = container_of(parcel, struct mn_chan_remote, there);

	remote->home.nr_received++;
	remote->home.nr_sent = remote->packed.nr_sent;
	remote->home.end = remote->packed.end;
	if (remote->home.state == HOME_NEW)
		home_attach(remote);
	home_go_on(remote);
}

/* ---- the shard that sends ---- */

static void remote_pack(struct mn_parcel *parcel)
{
	struct mn_chan_remote *remote = container_of(parcel, struct mn_chan_remote, there);

	remote->packed.nr_sent = remote->nr_sent;
	remote->packed.end = remote->end;
	remote->nr_packed++;
}

static bool has_room(const struct mn_chan_remote *remote)
{
	return remote->nr_sent - remote->nr_free < remote->capacity;
}

static void put(struct mn_chan_remote *remote, const void *item)
{
	item_copy(remote->ring + (size_t)remote->tail * remote->item_size, item, remote->item_size);
	if (++remote->tail == remote->capacity)
		remote->tail = 0;
	remote->nr_sent++;
	parcel_send(&remote->there);
}

static bool has_ended(const struct mn_chan_remote *remote)
{
	return remote->detached && remote->nr_seen == remote->nr_packed && !remote->there.queued;
}

static void remote_receive(struct mn_parcel *parcel)
{
	struct mn_chan_remote *remote = container_of(parcel, struct mn_chan_remote, home.back);
	struct mn_waiter *sender;

	remote->nr_free = remote->home.packed.nr_free;
	remote->nr_delivered = remote->home.packed.nr_delivered;
	remote->nr_seen = remote->home.packed.nr_seen;
	remote->closed = remote->home.packed.closed;
	remote->detached = remote->home.packed.detached;
	if (remote->closed)
		wait_grant_all(&remote->senders, -EPIPE);
	while ((sender = remote->senders.first) && has_room(remote)) {
		put(remote, sender->item);
		wait_grant(sender, 0);
	}
	if (has_ended(remote))
		wait_grant_all(&remote->closing, 0);
}

void mn__chan_remote_open(struct mn_chan_remote *remote, struct mn_chan *chan, unsigned int home,
			  void *ring, size_t item_size, size_t capacity, const char *origin)
{
	BUG_ON(!item_size || item_size > UINT32_MAX || !capacity || capacity > UINT32_MAX);
	*remote = (struct mn_chan_remote){
		.ring = ring,
		.item_size = (uint32_t)item_size,
		.capacity = (uint32_t)capacity,
		.home.chan = chan,
		.home.state = HOME_NEW,
		.home.wait = { .entry = &remote->home.entry, .nr_entries = 1, .wake = home_woken },
	};
	mn__waitq_init(&remote->senders, origin);
	mn__waitq_init(&remote->closing, origin);
	parcel_init(&remote->there, home, remote_pack, home_receive);
	parcel_init(&remote->home.back, mn_self->id, home_pack, remote_receive);
}

int mn__chan_remote_try_send(struct mn_chan_remote *remote, const void *item, size_t size)
{
	mn__waitq_check(&remote->senders);
	BUG_ON(size != remote->item_size);
	if (remote->closed || remote->end)
		return -EPIPE;
	if (remote->senders.first || !has_room(remote))
		return -EAGAIN;
	put(remote, item);
	return 0;
}

int mn__chan_remote_send(struct mn_chan_remote *remote, const void *item, size_t size,
			 int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &remote->senders, .item = (void *)(uintptr_t)item };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int err = mn__chan_remote_try_send(remote, item, size);

	return err == -EAGAIN ? (int)wait_run(&wait, timeout_ns) : err;
}

static int remote_end(struct mn_chan_remote *remote, uint8_t end, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &remote->closing };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);
	int err;

	mn__waitq_check(&remote->closing);
	BUG_ON(remote->end);
	/* Who has not sent anything is not known there. */
	if (!remote->nr_sent && end == END_WANTED && !remote->senders.first)
		return 0;
	remote->end = end;
	wait_grant_all(&remote->senders, -EPIPE);
	parcel_send(&remote->there);
	err = (int)wait_run(&wait, timeout_ns);
	if (err) {
		remote->end |= END_AT_ONCE;
		parcel_send(&remote->there);
		wait_surely(&wait);
	}
	mn__waitq_destroy(&remote->senders);
	mn__waitq_destroy(&remote->closing);
	if (!mn_chan_remote_lost(remote))
		return 0;
	return err ? err : -EPIPE;
}

int mn_chan_remote_close_timeout(struct mn_chan_remote *remote, int64_t timeout_ns)
{
	return remote_end(remote, END_WANTED, timeout_ns);
}

int mn_chan_remote_finish_timeout(struct mn_chan_remote *remote, int64_t timeout_ns)
{
	return remote_end(remote, END_WANTED | END_CLOSES, timeout_ns);
}
