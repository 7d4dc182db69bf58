// SPDX-License-Identifier: MIT
/*
 * The handshake of smp/wake.h over a queue, both as shipped: two senders, and
 * a receiver that takes what it sees, then wants to sleep. It must not sleep
 * with mail that nobody wakes it for; and one sender wakes it, not both.
 */
#include QUEUE_FILE
#include "smp/wake.h"

#include "tests/models/model.h"

#define SENDERS		2
#define ITERATIONS	100000

struct wake_test : rl::test_suite<wake_test, SENDERS + 1> {
	QUEUE q {};
	_Atomic(uint32_t) asleep;
	unsigned taken = 0, woken = 0;
	bool slept = false;

	void before()
	{
		RL_ASSERT(!OPS.open(&q.queue, SENDERS, 2));
	}

	void send(unsigned from)
	{
		mn_msg msg = {};

		msg.from = from;
		RL_ASSERT(OPS.push_n(&q.queue, from, &msg, 1) == 1);
		wake_look();
		woken += wake_claim(&asleep);
	}

	void receive()
	{
		mn_msg msg[SENDERS];

		taken = OPS.pop_n(&q.queue, msg, SENDERS);
		wake_announce(&asleep);
		slept = OPS.empty(&q.queue);
		if (!slept)
			wake_cancel(&asleep);
	}

	void thread(unsigned index)
	{
		if (index < SENDERS)
			send(index);
		else
			receive();
	}

	void after()
	{
		RL_ASSERT(woken <= 1);
		RL_ASSERT(!slept || woken || taken == SENDERS);
		OPS.close(&q.queue);
	}
};

int main()
{
	return !model_run<wake_test>("sleep and wake", ITERATIONS);
}
