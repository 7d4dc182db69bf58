// SPDX-License-Identifier: MIT
/*
 * Connections that we begin, to one address or to the first that answers of
 * many ("Happy Eyeballs", RFC 8305): the families take turns, a next attempt
 * begins when the last one has failed or has taken a while, and the first that
 * succeeds ends the others. Nothing of them is left when this returns.
 */
#include <errno.h>

#include <miniss/connect.h>

#include "backends/backend.h"
#include "core/alarm.h"
#include "core/op.h"
#include "core/shard.h"
#include "lib/dns/dns.h"
#include "lib/mem/mem.h"
#include "lib/net/passing.h"
#include "lib/net/socket.h"
#include "lib/net/sockopt.h"
#include "lib/net/stream.h"

#define UNIX_PAUSE_MIN	(MN_MSEC / 4)
#define UNIX_PAUSE_MAX	(16 * MN_MSEC)
#define STAGGER_NS	(250 * MN_MSEC)

/* ---- one ---- */

/*
 * A Unix socket connects at once, or the backlog is full: of the place that
 * comes free then nobody is told, and a thread of the kernel that waits for it
 * would be one of few.
 */
static int connect_unix(int fd, const struct mn_addr *addr, int64_t timeout_ns)
{
	int64_t pause_ns = UNIX_PAUSE_MIN, waited_ns, from_ns = backend_now(mn_self->be);
	int err;

	while ((err = socket_connect_now(fd, addr)) == -EAGAIN) {
		waited_ns = backend_now(mn_self->be) - from_ns;
		if (waited_ns >= timeout_ns)
			return fiber_stopped(mn_self->fiber, -ETIMEDOUT);
		err = mn_sleep(min(pause_ns, timeout_ns - waited_ns));
		if (err)
			return err;
		pause_ns = min(2 * pause_ns, UNIX_PAUSE_MAX);
	}
	return err;
}

static void connect_start(struct mn_op *op, int fd, const struct mn_addr *addr)
{
	op_init(op, MN_OP_CONNECT, fd);
	op->addr.sa = &addr->sa;
	op->addr.len = addr->len;
}

int socket_connect(int fd, const struct mn_addr *addr, int64_t timeout_ns)
{
	struct mn_op op;

	if (addr->sa.sa_family == AF_UNIX)
		return connect_unix(fd, addr, timeout_ns);
	connect_start(&op, fd, addr);
	op_start(&op);
	return (int)mn_op_await(&op, timeout_ns);
}

/* A socket for it, with its options, and bound if that is asked for. */
static int socket_for(const struct mn_addr *to, const struct mn_connect_conf *conf)
{
	int family = to->sa.sa_family, fd = socket_open(family), err;

	if (fd < 0)
		return fd;
	err = sockopt_apply(fd, family, SOCKOPT_CLIENT, conf->opt);
	if (!err && conf->bind.len && conf->bind.sa.sa_family == family)
		err = socket_bind(fd, &conf->bind);
	if (!err)
		return fd;
	socket_close(fd);
	return err;
}

static int connect_one(const struct mn_addr *to, const struct mn_connect_conf *conf)
{
	int fd = socket_for(to, conf), err;

	if (fd < 0)
		return fd;
	err = socket_connect(fd, to, conf->timeout_ns ? conf->timeout_ns : MN_NEVER);
	if (!err)
		return fd;
	socket_close(fd);
	return err;
}

/* ---- the first of many ---- */

struct race;

struct attempt {
	struct mn_op op;
	struct race *race;
	int fd;			/* -1: none, or it has failed */
};

struct race {
	struct mn_fiber *fiber;
	const struct mn_connect_conf *conf;
	bool parked;		/* the fiber waits, and may be woken */
	bool over;		/* what comes now comes too late */
	bool failed;		/* an attempt has, since the last one began: on with the next */
	unsigned int n, nr_begun, nr_flying;
	int64_t next_ns, deadline_ns;
	struct attempt *winner;
	int err;		/* of the last that failed */
	const struct mn_addr *order[MN_CONNECT_MAX];
	struct attempt attempt[MN_CONNECT_MAX];
};

/* Take turns between the family of the first one and the others, each in their order. */
static void race_order(struct race *race, const struct mn_addr *addrs, unsigned int n)
{
	int first = addrs[0].sa.sa_family;
	unsigned int at[2] = { 0, 0 };

	for (unsigned int turn = 0; race->n < n; turn ^= 1) {
		unsigned int i = at[turn];

		while (i < n && (addrs[i].sa.sa_family != first) != turn)
			i++;
		if (i < n)
			race->order[race->n++] = &addrs[i++];
		at[turn] = i;
	}
}

static void attempt_result(struct attempt *a, int err)
{
	struct race *race = a->race;

	if (race->over)
		return;
	if (!err && !race->winner) {
		race->winner = a;
	} else if (err) {
		race->err = err;
		race->failed = true;
	}
	if (race->parked)
		task_schedule(mn_self, &race->fiber->task);
}

static void attempt_ended(struct mn_op *op, int64_t res)
{
	struct attempt *a = container_of(op, struct attempt, op);

	a->race->nr_flying--;
	mn_future_resolve(&op->done, 0);
	attempt_result(a, (int)res);
}

static void attempt_begin(struct race *race, int64_t now_ns)
{
	struct attempt *a = &race->attempt[race->nr_begun];
	const struct mn_addr *to = race->order[race->nr_begun++];
	int64_t stagger_ns = race->conf->stagger_ns;

	race->next_ns = now_ns + (stagger_ns ? stagger_ns : STAGGER_NS);
	race->failed = false;
	a->race = race;
	a->fd = socket_for(to, race->conf);
	if (a->fd < 0) {
		attempt_result(a, a->fd);
	} else if (to->sa.sa_family == AF_UNIX) {
		attempt_result(a, socket_connect_now(a->fd, to));
	} else {
		connect_start(&a->op, a->fd, to);
		a->op.complete = attempt_ended;
		race->nr_flying++;
		op_start(&a->op);
	}
}

static void race_wake(void *obj)
{
	struct mn_fiber *fiber = obj;

	task_schedule(mn_self, &fiber->task);
}

static void race_alarm(struct alarm *alarm)
{
	race_wake(alarm->obj);
}

static void race_wait(struct race *race, int64_t until_ns, int64_t now_ns)
{
	struct alarm alarm;

	if (until_ns != MN_NEVER)
		alarm_set(&alarm, until_ns - now_ns, race_alarm, race->fiber);
	race->parked = true;
	fiber_park(race_wake, race->fiber);
	race->parked = false;
	if (until_ns != MN_NEVER)
		alarm_cancel(&alarm);
}

/* Until there is a winner (0), or why there is none. */
static int race_run(struct race *race)
{
	while (!race->winner) {
		int64_t now_ns = backend_now(mn_self->be);
		bool more = race->nr_begun < race->n;

		if (race->fiber->stop)
			return race->fiber->stop;
		if (now_ns >= race->deadline_ns)
			return -ETIMEDOUT;
		if (more && (race->failed || now_ns >= race->next_ns))
			attempt_begin(race, now_ns);
		else if (race->nr_flying)
			race_wait(race,
				  more ? min(race->next_ns, race->deadline_ns) : race->deadline_ns,
				  now_ns);
		else
			return race->err;
	}
	return 0;
}

/* The others: what was connected, too, meanwhile. */
static void race_end(struct race *race)
{
	race->over = true;
	for (unsigned int i = 0; i < race->nr_begun; i++) {
		struct attempt *a = &race->attempt[i];

		if (a->fd < 0 || a == race->winner)
			continue;
		if (mn_op_in_flight(&a->op)) {
			mn_op_cancel(&a->op);
			if (mn_op_in_flight(&a->op))
				fiber_wait(&a->op.done);
		}
		socket_close(a->fd);
	}
}

static int connect_first(const struct mn_addr *addrs, unsigned int n,
			 const struct mn_connect_conf *conf)
{
	struct race race = { .fiber = mn_self->fiber, .conf = conf };
	int64_t now_ns = backend_now(mn_self->be);
	int err;

	race.next_ns = now_ns;
	race.deadline_ns = conf->timeout_ns && conf->timeout_ns < MN_NEVER - now_ns ?
				   now_ns + conf->timeout_ns :
				   MN_NEVER;
	race_order(&race, addrs, min(n, (unsigned int)MN_CONNECT_MAX));
	err = race_run(&race);
	race_end(&race);
	return err ? err : race.winner->fd;
}

/* ---- streams ---- */

static int stream_over(int fd, const struct mn_connect_conf *conf, struct mn_stream **stream)
{
	if (fd < 0)
		return fd;
	*stream = mem_alloc(sizeof(**stream));
	if (!*stream) {
		socket_close(fd);
		return -ENOMEM;
	}
	stream_init(*stream, fd);
	(*stream)->passing = passing_wanted(fd, conf->opt);
	stream_begin(*stream);
	return 0;
}

/* "NAME:PORT": the first of its addresses, in the time that there is for all. */
static int connect_name(const char *text, const struct mn_connect_conf *conf)
{
	int64_t timeout_ns = conf->timeout_ns ? conf->timeout_ns : MN_NEVER;
	int64_t from_ns = backend_now(mn_self->be);
	struct mn_connect_conf rest = *conf;
	struct mn_addr addr[DNS_ADDRS_MAX];
	int n = dns_name_port(text, addr, ARRAY_SIZE(addr), timeout_ns);

	if (n <= 0)
		return n;
	if (timeout_ns != MN_NEVER)
		rest.timeout_ns = max(timeout_ns - (backend_now(mn_self->be) - from_ns), 1);
	return connect_first(addr, (unsigned int)n, &rest);
}

int mn_connect_with(const char *addr, const struct mn_connect_conf *conf, struct mn_stream **stream)
{
	struct mn_addr to;
	int fd = mn_addr_parse(addr, &to);

	if (!fd)
		fd = connect_one(&to, conf);
	else if (fd == -EINVAL)
		fd = connect_name(addr, conf);
	return stream_over(fd, conf, stream);
}

int mn_connect(const char *addr, int64_t timeout_ns, struct mn_stream **stream)
{
	/* No time at all is not the default. */
	return mn_connect_with(addr, &(struct mn_connect_conf){ .timeout_ns = max(timeout_ns, 1) },
			       stream);
}

int mn_connect_any(const struct mn_addr *addrs, unsigned int n, const struct mn_connect_conf *conf,
		   struct mn_stream **stream)
{
	static const struct mn_connect_conf defaults;

	if (!n)
		return -EINVAL;
	conf = conf ? conf : &defaults;
	return stream_over(connect_first(addrs, n, conf), conf, stream);
}
