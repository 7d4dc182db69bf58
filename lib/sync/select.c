// SPDX-License-Identifier: MIT
#include "lib/sync/chan.h"

static int case_try(struct mn_select_case *c)
{
	if (!c->chan)
		return -EAGAIN;
	mn__waitq_check(&c->chan->senders);
	BUG_ON(!c->send == !c->recv || c->size != c->chan->item_size);
	return c->send ? chan_push(c->chan, c->send) : chan_pop(c->chan, c->recv);
}

static int case_done(struct mn_select *select, unsigned int i, int res)
{
	select->cases[i].res = res;
	select->next = i + 1;
	return (int)i;
}

int mn_select_try(struct mn_select *select)
{
	unsigned int n = select->nr_cases;

	if (n > MN_SELECT_MAX)
		return -EINVAL;
	for (unsigned int k = 0; k < n; k++) {
		unsigned int i = (select->next + k) % n;
		int res = case_try(&select->cases[i]);

		if (res != -EAGAIN)
			return case_done(select, i, res);
	}
	return -EAGAIN;
}

/* An entry for each case; which case is which, in @index. */
static unsigned int entries_make(const struct mn_select *select, struct mn_waiter *entry,
				 unsigned int *index)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < select->nr_cases; i++) {
		const struct mn_select_case *c = &select->cases[i];

		if (!c->chan)
			continue;
		entry[n] = (struct mn_waiter){
			.queue = c->send ? &c->chan->senders : &c->chan->receivers,
			.item = c->send ? (void *)(uintptr_t)c->send : c->recv,
		};
		index[n++] = i;
	}
	return n;
}

int mn_select_timeout(struct mn_select *select, int64_t timeout_ns)
{
	struct mn_waiter entry[MN_SELECT_MAX];
	struct mn_wait wait = WAIT_FOR(entry, 0, NULL);
	unsigned int index[MN_SELECT_MAX];
	int res = mn_select_try(select);

	if (res != -EAGAIN)
		return res;
	wait.nr_entries = entries_make(select, entry, index);
	res = (int)wait_run(&wait, timeout_ns);
	return wait.granted ? case_done(select, index[wait.granted - entry], res) : res;
}
