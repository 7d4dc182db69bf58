// SPDX-License-Identifier: MIT
/*
 * The door of smp/door.c as shipped, under relacy, with the handshake of
 * smp/wake.h: two threads push, one of them twice, and the shard receives
 * what it sees, then wants to sleep. Each item is received once, whole, in
 * the order of who pushed it; the shard does not sleep with an item that
 * nobody wakes it for, and is woken once a sleep. An item that was received
 * is its owner's again, and pushed again.
 */
#include "smp/door.c"

#include "tests/models/model.h"

#define PUSHERS		2
#define ITERATIONS	100000

static unsigned woken;	/* threads of relacy run one at a time */

void backend_wake(struct backend *be)
{
	woken++;
}

struct parcel {
	struct door_item item;
	handed_over(unsigned) value;
	_Atomic(uint32_t) received;	/* as many as its owner may know of */
};

static unsigned received[PUSHERS], wrong;

static void parcel_receive(struct shard *self, struct door_item *item)
{
	struct parcel *parcel = container_of(item, struct parcel, item);
	unsigned value = handed(parcel->value), from = value / 10;

	wrong += value % 10 != received[from]++;
	atomic_store_explicit(&parcel->received, received[from], memory_order_release);
}

struct door_test : rl::test_suite<door_test, PUSHERS + 1> {
	struct shard shard;
	struct parcel parcel[PUSHERS][2];
	unsigned taken;
	bool slept;

	void before()
	{
		woken = wrong = taken = 0;
		slept = false;
		shard.be = nullptr;
		atomic_init(&shard.door.pushed, nullptr);
		shard.door.taken = nullptr;
		for (unsigned i = 0; i < PUSHERS; i++) {
			received[i] = 0;
			parcel[i][0].item.receive = parcel_receive;
			parcel[i][1].item.receive = parcel_receive;
		}
	}

	void push(unsigned from, unsigned n, struct parcel *p)
	{
		handed(p->value) = from * 10 + n;
		door_push(&shard, &p->item);
	}

	/* The second is the first again if that is back, as a job's item is. */
	void send(unsigned from)
	{
		struct parcel *p = parcel[from];

		push(from, 0, &p[0]);
		if (from)
			return;
		push(from, 1,
		     atomic_load_explicit(&p[0].received, memory_order_acquire) ? &p[0] : &p[1]);
	}

	void receive()
	{
		taken = door_drain(&shard);
		wake_announce(&shard.asleep);
		slept = door_quiet(&shard.door);
		if (!slept)
			wake_cancel(&shard.asleep);
	}

	void thread(unsigned index)
	{
		if (index < PUSHERS)
			send(index);
		else
			receive();
	}

	void after()
	{
		RL_ASSERT(!slept || woken || taken == PUSHERS + 1);
		door_drain(&shard);
		RL_ASSERT(!wrong && received[0] == 2 && received[1] == 1);
		RL_ASSERT(woken <= 1);
	}
};

int main()
{
	return !model_run<door_test>("door", ITERATIONS);
}
