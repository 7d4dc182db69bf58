// SPDX-License-Identifier: MIT
/*
 * The ledger: a hash table of addresses with linear probing. It doubles when
 * half full, and removing shifts back what follows, so that there are no
 * tombstones: timers come and go all the time.
 */
#include <stdio.h>

#include "core/ledger.h"
#include "core/loan.h"
#include "core/log.h"
#include "core/shard.h"
#include "lib/mem/mem.h"
#include "lib/mem/poison.h"

#define LEDGER_MIN	256

struct entry {
	const void *obj;		/* NULL: free */
	const char *origin;
	struct mn_fiber *fiber;		/* on whose stack it is, or NULL */
	int fd;
	uint32_t loans;			/* loans_add() */
	uint8_t kind, code;
};

struct ledger {
	size_t n, size;
	struct entry *entry;
	struct loans *loans;
};

static const char *const op_names[MN_OP_NR] = {
	[MN_OP_NOP] = "NOP",
	[MN_OP_POLL] = "POLL",
	[MN_OP_RECV] = "RECV",
	[MN_OP_SEND] = "SEND",
	[MN_OP_SENDMSG] = "SENDMSG",
	[MN_OP_SENDMSG_ZC] = "SENDMSG_ZC",
	[MN_OP_RECV_STREAM] = "RECV_STREAM",
	[MN_OP_ACCEPT_STREAM] = "ACCEPT_STREAM",
	[MN_OP_CONNECT] = "CONNECT",
	[MN_OP_SIGNAL] = "SIGNAL",
	[MN_OP_READ] = "READ",
	[MN_OP_READV] = "READV",
	[MN_OP_WRITE] = "WRITE",
	[MN_OP_WRITEV] = "WRITEV",
	[MN_OP_FSYNC] = "FSYNC",
	[MN_OP_SYNC_RANGE] = "SYNC_RANGE",
	[MN_OP_ALLOCATE] = "ALLOCATE",
	[MN_OP_ADVISE] = "ADVISE",
	[MN_OP_TRUNCATE] = "TRUNCATE",
};

#define DESCRIBE_MAX	96

static const char *describe(const struct entry *entry, char text[static DESCRIBE_MAX])
{
	const char *name = entry->code < MN_OP_NR ? op_names[entry->code] : NULL;

	if (entry->kind == LEDGER_TIMER)
		snprintf(text, DESCRIBE_MAX, "a timer");
	else if (entry->fd < 0)
		snprintf(text, DESCRIBE_MAX, "an operation %s", name ? name : "of some kind");
	else
		snprintf(text, DESCRIBE_MAX, "an operation %s on descriptor %d",
			 name ? name : "of some kind", entry->fd);
	return text;
}

static const char *made_at(const struct entry *entry)
{
	return entry->origin ? entry->origin : "an unknown place";
}

static size_t home(const struct ledger *ledger, const void *obj)
{
	return ((uintptr_t)obj / 8 * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (ledger->size - 1);
}

static size_t following(const struct ledger *ledger, size_t i)
{
	return (i + 1) & (ledger->size - 1);
}

/* Where it is, or where it would be. */
static struct entry *find(const struct ledger *ledger, const void *obj)
{
	size_t i = home(ledger, obj);

	while (ledger->entry[i].obj && ledger->entry[i].obj != obj)
		i = following(ledger, i);
	return &ledger->entry[i];
}

static void grow(struct ledger *ledger)
{
	struct ledger old = *ledger;

	ledger->size = old.size ? 2 * old.size : LEDGER_MIN;
	ledger->entry = mem_must_alloc(ledger->size * sizeof(struct entry));
	for (size_t i = 0; i < old.size; i++)
		if (old.entry[i].obj)
			*find(ledger, old.entry[i].obj) = old.entry[i];
	mem_free(old.entry);
}

static struct ledger *ledger_of(struct shard *shard)
{
	struct ledger *ledger = shard->ledger;

	if (ledger)
		return ledger;
	ledger = mem_must_alloc(sizeof(*ledger));
	ledger->loans = loans_open();
	shard->ledger = ledger;
	poison_on_free(ledger_freed);
	return ledger;
}

static void add(struct entry entry)
{
	struct shard *shard = mn_self;
	struct mn_fiber *fiber = shard->fiber;
	struct ledger *ledger = ledger_of(shard);

	if (2 * ledger->n >= ledger->size)
		grow(ledger);
	if (fiber && (uintptr_t)entry.obj - (uintptr_t)fiber->stack_low < fiber->stack_size) {
		entry.fiber = fiber;
		fiber->nr_held++;
	}
	*find(ledger, entry.obj) = entry;
	ledger->n++;
}

void ledger_op(const struct mn_op *op, const char *origin)
{
	struct entry entry = {
		.obj = op, .origin = origin, .kind = LEDGER_OP, .fd = op->fd, .code = op->code
	};
	char text[DESCRIBE_MAX];
	const void *dead;

	entry.loans = loans_add(ledger_of(mn_self)->loans, op, &dead);
	if (dead)
		bugf(HERE,
		     "%s was given memory that was freed, or beyond its end, at %p; it was made at %s",
		     describe(&entry, text), dead, made_at(&entry));
	add(entry);
}

void ledger_timer(const struct mn_timer *timer)
{
	add((struct entry){ .obj = timer, .origin = timer->origin, .kind = LEDGER_TIMER });
}

void ledger_remove(const void *obj)
{
	struct ledger *ledger = mn_self ? mn_self->ledger : NULL;
	struct entry *entry = ledger ? find(ledger, obj) : NULL;
	size_t hole, i;

	if (!entry || !entry->obj)
		return;
	if (entry->fiber)
		entry->fiber->nr_held--;
	if (entry->kind == LEDGER_OP)
		loans_remove(ledger->loans, entry->loans);
	hole = (size_t)(entry - ledger->entry);
	for (i = following(ledger, hole); ledger->entry[i].obj; i = following(ledger, i)) {
		size_t from = home(ledger, ledger->entry[i].obj);

		/* It may go to the hole if that is not before its home. */
		if (((i - from) & (ledger->size - 1)) < ((i - hole) & (ledger->size - 1)))
			continue;
		ledger->entry[hole] = ledger->entry[i];
		hole = i;
	}
	ledger->entry[hole].obj = NULL;
	ledger->n--;
}

void ledger_idle(uintptr_t obj)
{
	const struct ledger *ledger = mn_self ? mn_self->ledger : NULL;
	const struct entry *entry = ledger ? find(ledger, (const void *)obj) : NULL;
	char text[DESCRIBE_MAX];

	if (entry && entry->obj)
		bugf(HERE,
		     "the memory of %s was initialised again while it is %s; it was made at %s",
		     describe(entry, text), entry->kind == LEDGER_OP ? "in flight" : "armed",
		     made_at(entry));
}

void ledger_lost(const void *obj)
{
	const struct ledger *ledger = mn_self ? mn_self->ledger : NULL;
	const struct entry *entry = ledger ? find(ledger, obj) : NULL;
	char text[DESCRIBE_MAX];

	if (!entry || !entry->obj)
		bug("an operation completed that was not in flight", HERE);
	bugf(HERE,
	     "the memory of %s was used for something else while it is in flight; it was made at %s",
	     describe(entry, text), made_at(entry));
}

static void check_loans(const void *base, size_t len, const char *what)
{
	const struct ledger *ledger = mn_self ? mn_self->ledger : NULL;
	const void *op = ledger ? loans_find(ledger->loans, base, len) : NULL;
	const struct entry *entry;
	char text[DESCRIBE_MAX];

	if (!op)
		return;
	entry = find(ledger, op);
	poison_backtrace();
	bugf(HERE, "%s that %s has, which is in flight; it was made at %s", what,
	     describe(entry, text), made_at(entry));
}

void ledger_fiber_ends(void)
{
	const struct mn_fiber *fiber = mn_self->fiber;
	const struct ledger *ledger = mn_self->ledger;
	char text[DESCRIBE_MAX];

	for (size_t i = 0; fiber->nr_held && i < ledger->size; i++) {
		const struct entry *entry = &ledger->entry[i];

		if (entry->obj && entry->fiber == fiber)
			bugf(HERE, "a fiber ended with %s of its stack %s; it was made at %s",
			     describe(entry, text),
			     entry->kind == LEDGER_OP ? "in flight" : "armed", made_at(entry));
	}
	check_loans(fiber->stack_low, fiber->stack_size, "a fiber ended with memory of its stack");
}

void ledger_freed(const void *base, size_t len)
{
	check_loans(base, len, "memory was freed");
}

void mn_timer_init_at(struct mn_timer *timer, mn_task_fn fn, const char *origin)
{
	ledger_idle((uintptr_t)timer);
	*timer = (struct mn_timer){ .task = MN_TASK_INIT(fn), .origin = origin };
}

unsigned int ledger_report(const struct shard *shard, enum ledger_kind kind, unsigned int n_max)
{
	const struct ledger *ledger = shard->ledger;
	char text[DESCRIBE_MAX];
	unsigned int n = 0;

	for (size_t i = 0; ledger && i < ledger->size; i++) {
		const struct entry *entry = &ledger->entry[i];

		if (!entry->obj || entry->kind != kind)
			continue;
		if (n++ < n_max)
			log_now("leak: shard %u: %s, made at %s", shard->id, describe(entry, text),
				made_at(entry));
	}
	return n;
}

void ledger_close(struct shard *shard)
{
	struct ledger *ledger = shard->ledger;

	shard->ledger = NULL;
	if (!ledger)
		return;
	loans_close(ledger->loans);
	mem_free(ledger->entry);
	mem_free(ledger);
}
