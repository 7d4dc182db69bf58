// SPDX-License-Identifier: MIT
/*
 * Broadcasts. Items are numbered from the first; the ring has the last ones,
 * and each reader knows the number of its next. A reader that waits has read
 * all: the next item goes straight to it.
 */
#include "lib/sync/chan.h"

/* A fiber that waits for a reader's next item. */
struct receiver {
	struct mn_waiter entry;
	struct mn_wait wait;
	struct mn_broadcast_reader *reader;
};

void mn__broadcast_init(struct mn_broadcast *b, void *ring, size_t item_size, size_t capacity,
			enum mn_broadcast_policy policy, const char *origin)
{
	BUG_ON(!item_size || item_size > UINT32_MAX || !capacity || capacity > UINT32_MAX);
	*b = (struct mn_broadcast){
		.ring = ring,
		.item_size = (uint32_t)item_size,
		.capacity = (uint32_t)capacity,
		.policy = (uint8_t)policy,
	};
	mn__waitq_init(&b->senders, origin);
	mn__waitq_init(&b->receivers, origin);
}

void mn_broadcast_destroy(struct mn_broadcast *b)
{
	BUG_ON(b->readers);
	mn__waitq_destroy(&b->senders);
	mn__waitq_destroy(&b->receivers);
}

static void *place(const struct mn_broadcast *b, uint64_t number)
{
	return b->ring + number % b->capacity * b->item_size;
}

/* What the slowest one has read is only looked up when the ring seems full. */
static bool has_room(struct mn_broadcast *b)
{
	if (b->policy == MN_BROADCAST_LOSE || b->nr_sent - b->nr_read < b->capacity)
		return true;
	b->nr_read = b->nr_sent;
	for (const struct mn_broadcast_reader *r = b->readers; r; r = r->next)
		b->nr_read = min(b->nr_read, r->nr_read);
	return b->nr_sent - b->nr_read < b->capacity;
}

/*
 * Of several fibers that wait with one reader only the first gets the item:
 * by then the reader has read it, and the others wait on.
 */
static void put(struct mn_broadcast *b, const void *item)
{
	struct mn_waiter *entry = b->receivers.first;

	item_copy(place(b, b->nr_sent), item, b->item_size);
	b->nr_sent++;
	while (entry) {
		struct receiver *receiver = container_of(entry, struct receiver, entry);
		struct mn_waiter *next = entry->next;

		if (receiver->reader->nr_read < b->nr_sent) {
			receiver->reader->nr_read = b->nr_sent;
			item_copy(entry->item, item, b->item_size);
			wait_grant(entry, 1);
		}
		entry = next;
	}
}

/* A reader went on, or away: those that wait to send may do so. */
static void admit(struct mn_broadcast *b)
{
	struct mn_waiter *sender;

	while ((sender = b->senders.first) && has_room(b)) {
		put(b, sender->item);
		wait_grant(sender, 0);
	}
}

void mn_broadcast_join(struct mn_broadcast *b, struct mn_broadcast_reader *reader)
{
	mn__waitq_check(&b->senders);
	reader->broadcast = b;
	reader->nr_read = b->nr_sent;
	reader->nr_lost = 0;
	reader->next = b->readers;
	reader->pprev = &b->readers;
	if (reader->next)
		reader->next->pprev = &reader->next;
	b->readers = reader;
}

void mn_broadcast_leave(struct mn_broadcast_reader *reader)
{
	struct mn_broadcast *b = reader->broadcast;

	mn__waitq_check(&b->senders);
	*reader->pprev = reader->next;
	if (reader->next)
		reader->next->pprev = reader->pprev;
	admit(b);
}

int mn__broadcast_send(struct mn_broadcast *b, const void *item, size_t size, int64_t timeout_ns)
{
	struct mn_waiter entry = { .queue = &b->senders, .item = (void *)(uintptr_t)item };
	struct mn_wait wait = WAIT_FOR(&entry, 1, NULL);

	mn__waitq_check(&b->senders);
	BUG_ON(size != b->item_size);
	if (b->closed)
		return -EPIPE;
	if (b->senders.first || !has_room(b))
		return (int)wait_run(&wait, timeout_ns);
	put(b, item);
	return 0;
}

/* What it did not read in time was overwritten. */
static void catch_up(const struct mn_broadcast *b, struct mn_broadcast_reader *reader)
{
	uint64_t behind = b->nr_sent - reader->nr_read;

	if (behind <= b->capacity)
		return;
	reader->nr_lost += behind - b->capacity;
	reader->nr_read = b->nr_sent - b->capacity;
}

int mn__broadcast_recv(struct mn_broadcast_reader *reader, void *item, size_t size,
		       int64_t timeout_ns)
{
	struct mn_broadcast *b = reader->broadcast;
	struct receiver receiver = { .entry = { .queue = &b->receivers, .item = item } };

	mn__waitq_check(&b->senders);
	BUG_ON(size != b->item_size);
	if (reader->nr_read == b->nr_sent) {
		if (b->closed)
			return 0;
		receiver.reader = reader;
		receiver.wait = (struct mn_wait)WAIT_FOR(&receiver.entry, 1, NULL);
		return (int)wait_run(&receiver.wait, timeout_ns);
	}
	catch_up(b, reader);
	item_copy(item, place(b, reader->nr_read), b->item_size);
	reader->nr_read++;
	admit(b);
	return 1;
}

void mn_broadcast_close(struct mn_broadcast *b)
{
	mn__waitq_check(&b->senders);
	b->closed = true;
	wait_grant_all(&b->receivers, 0);
	wait_grant_all(&b->senders, -EPIPE);
}
