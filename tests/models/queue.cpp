// SPDX-License-Identifier: MIT
/*
 * A queue under relacy, the shipped file unchanged: QUEUE_FILE, whose struct
 * and ops are QUEUE and OPS. Rings of one or two slots for each sender, three
 * messages, so that each ring wraps; one at a time or two.
 */
#include QUEUE_FILE

#include "tests/models/model.h"

#define MESSAGES	3
#define ITERATIONS	50000

template <unsigned SENDERS, unsigned DEPTH, unsigned BATCH> struct queue_test
	: rl::test_suite<queue_test<SENDERS, DEPTH, BATCH>, SENDERS + 1> {
	QUEUE q {};

	void before()
	{
		RL_ASSERT(!OPS.open(&q.queue, SENDERS, DEPTH));
	}

	void send(unsigned from)
	{
		for (uintptr_t sent = 0; sent < MESSAGES;) {
			mn_msg msg[BATCH] = {};
			unsigned n = min(BATCH, MESSAGES - sent);

			for (unsigned i = 0; i < n; i++) {
				msg[i].arg = (void *)(sent + i);
				msg[i].from = from;
			}
			n = OPS.push_n(&q.queue, from, msg, n);
			sent += n;
			if (!n)
				rl::yield(1, $);
		}
	}

	void receive()
	{
		uintptr_t got[SENDERS] = {};
		mn_msg msg[BATCH];

		for (unsigned total = 0, n; total < SENDERS * MESSAGES; total += n) {
			n = OPS.empty(&q.queue) ? 0 : OPS.pop_n(&q.queue, msg, BATCH);
			for (unsigned i = 0; i < n; i++)
				RL_ASSERT((uintptr_t)msg[i].arg == got[msg[i].from]++);
			if (!n)
				rl::yield(1, $);
		}
		RL_ASSERT(OPS.empty(&q.queue));
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
		OPS.close(&q.queue);
	}
};

int main()
{
	bool ok = model_run<queue_test<1, 2, 1>>("one sender", ITERATIONS);

	ok = ok && model_run<queue_test<1, 2, 2>>("one sender, two at a time", ITERATIONS);
	ok = ok && model_run<queue_test<2, 1, 1>>("two senders, one slot each", ITERATIONS);
	ok = ok && model_run<queue_test<2, 2, 2>>("two senders, two at a time", ITERATIONS);
	return !ok;
}
