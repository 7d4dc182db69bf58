// SPDX-License-Identifier: MIT
/*
 * What a worker does. Each checks what comes back: the result, that the
 * function ran once and has ended, and that what it was given is whole.
 *
 * A function that was called or posted calls on only to shards with a higher
 * number, without exception: calls that go round may use up all credits and
 * then wait for each other (smp.h).
 */
#include <stdlib.h>

#include <miniss/miniss.h>

#include "core/future.h"
#include "lib/mem/mem.h"
#include "tests/stress.h"
#include "tests/world.h"

#define PAUSE_NS_MAX	(200 * MN_USEC)
#define STAYING_MAX	16	/* posts on a shard that keep their credits */

uint64_t stress_random(uint64_t *state, uint64_t n)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);	/* splitmix64 */

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (x ^ x >> 31) % n;
}

static unsigned int any(unsigned int n)
{
	return (unsigned int)stress_random(&stress_here()->random, n);
}

/* A shard for what is called from here: any from a worker, else one above this. */
static unsigned int above(void)
{
	return mn_shard() + 1 + any(mn_shards() - mn_shard() - 1);
}

static bool is_last(void)
{
	return mn_shard() == mn_shards() - 1;
}

static bool ending(void)
{
	return atomic_load(&stress.ending);
}

/* Take some time, or none: 0, or -ECANCELED. */
static int dawdle(void)
{
	switch (any(8)) {
	case 0:
		return mn_sleep(any(PAUSE_NS_MAX));
	case 1:
	case 2:
		mn_yield();
		return 0;
	default:
		return 0;
	}
}

/* ---- calls that a fiber waits for ---- */

/* On the caller's stack; the called function's until the call returns. */
struct job {
	int value;
	unsigned int begun, ended;
	struct mn_buf buf;
	uint64_t at;		/* the number of the buffer's first byte */
};

static int work(void *arg)
{
	struct job *job = arg;
	int err;

	job->begun++;
	err = dawdle();
	job->ended++;
	return err && any(2) ? err : job->value;	/* some do not care */
}

static void ck_job(const struct job *job, int res, bool may_be_late)
{
	ck_assert_uint_eq(job->begun, job->ended);
	ck_assert_uint_le(job->begun, 1);
	if (res == job->value)
		ck_assert_uint_eq(job->begun, 1);
	else if (res == -ECANCELED)
		ck_assert(ending());
	else
		ck_assert_msg(res == -ETIMEDOUT && may_be_late, "%d, not %d", res, job->value);
}

static void do_call_one(void)
{
	struct job job = { .value = (int)any(1000000) };
	struct mn_call_options options = { .urgent = any(4) == 0 };
	unsigned int to = any(mn_shards());
	int res;

	if (any(2))
		options.timeout_ns = 1 + any(any(2) ? 5 * MN_USEC : 2 * PAUSE_NS_MAX);
	res = mn_call_with(to, work, &job, &options);
	ck_job(&job, res, options.timeout_ns);
}

static int chain_link(void *arg)
{
	struct job *job = arg, next = { .value = job->value + 1 };
	struct mn_call_options options = { .timeout_ns = any(3) ? 0 : 1 + any(PAUSE_NS_MAX) };
	int res;

	job->begun++;
	if (!is_last() && any(4)) {
		res = mn_call_with(above(), chain_link, &next, &options);
		/* A link further; or cancelled, with its caller or for being late. */
		ck_assert_uint_eq(next.begun, next.ended);
		ck_assert(res == next.value || res == -ECANCELED || res == -ETIMEDOUT);
	}
	job->ended++;
	return job->value;
}

static void do_chain(void)
{
	struct job job = { .value = 1 };

	ck_job(&job, mn_call(any(mn_shards()), chain_link, &job), false);
}

/* ---- calls and posts that are numbered: they arrive in order ---- */

static void *number(unsigned int to)
{
	return (void *)(uintptr_t)(stress_here()->numbered[to] * STRESS_SHARDS + mn_shard());
}

static uint64_t arrive(void *arg)
{
	unsigned int from = (uintptr_t)arg % STRESS_SHARDS;
	uint64_t n = (uintptr_t)arg / STRESS_SHARDS;

	ck_assert_msg(n == stress_here()->arrived[from],
		      "from %u to %u: message %llu came after %llu others", from, mn_shard(),
		      (unsigned long long)n, (unsigned long long)stress_here()->arrived[from]);
	stress_here()->arrived[from]++;
	return n;
}

static int numbered_call(void *arg)
{
	uint64_t n = arrive(arg);
	int err = dawdle();

	return err && n % 2 ? err : (int)(n % 1000);
}

static int numbered_post(void *arg)
{
	arrive(arg);
	if (any(64) == 0 && stress_here()->staying < STAYING_MAX) {
		stress_here()->staying++;
		mn_sleep(3600 * MN_SEC);	/* until the stop */
	} else {
		dawdle();
	}
	stress_here()->posts_ended++;
	return 0;
}

static void do_start(void)
{
	enum { N = 12 };
	struct mn_call call[N];
	bool canceled[N] = { false };
	int want[N], n = 0;

	for (int i = (int)any(N) + 1; i > 0; i--) {
		unsigned int to = any(mn_shards());

		if (mn_call_start(&call[n], to, numbered_call, number(to)))
			continue;
		want[n++] = (int)(stress_here()->numbered[to]++ % 1000);
	}
	dawdle();
	for (int i = 0; i < n; i++) {
		canceled[i] = any(3) == 0;
		if (canceled[i] && !mn_future_ready(&call[i].done))
			mn_call_cancel(&call[i]);
	}
	for (int i = n; i-- > 0;) {
		int res = (int)fiber_wait(&call[i].done);

		ck_assert(res == want[i] || (res == -ECANCELED && (canceled[i] || ending())));
	}
}

static void do_post(void)
{
	unsigned int to = any(mn_shards()), tries = 20;

	for (unsigned int n = 1 + any(100); n && tries;) {
		if (mn_post(to, numbered_post, number(to))) {
			tries--;
			mn_yield();
			continue;
		}
		stress_here()->numbered[to]++;
		stress_here()->posts++;
		n--;
	}
}

/* ---- all shards ---- */

static int stamp(void *arg)
{
	unsigned int *stamps = arg;
	int err;

	stamps[mn_shard()]++;
	err = dawdle();
	stamps[mn_shard()]++;
	return err;
}

static void do_all(void)
{
	unsigned int stamps[STRESS_SHARDS] = { 0 };
	int res = mn_call_all(stamp, stamps);

	ck_assert(!res || (res == -ECANCELED && ending()));
	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert(stamps[i] == 2 || (res && stamps[i] == 0));
}

static int map_shard(void *arg, int64_t *value)
{
	*value = *(int *)arg + (int64_t)mn_shard();
	return dawdle();
}

struct sum {
	int first;
	int64_t sum;
};

static void reduce_sum(void *arg, int64_t value)
{
	((struct sum *)arg)->sum += value;
}

static void do_map(void)
{
	struct sum sum = { .first = (int)any(1000) };
	int64_t n = mn_shards();
	int res = mn_map_reduce(map_shard, reduce_sum, &sum);

	ck_assert(!res || (res == -ECANCELED && ending()));
	ck_assert(res || sum.sum == n * sum.first + n * (n - 1) / 2);
}

/* ---- what goes home ---- */

static void ck_bytes(const struct mn_buf *buf, uint64_t at)
{
	for (size_t i = 0; i < buf->len; i++)
		if (buf->data[i] != pattern(at + i))
			ck_abort_msg("byte %zu of a buffer of shard %u has changed", i, mn_shard());
}

/* Free some of a buffer here, and the rest here or further up. */
static int buf_travel(void *arg)
{
	struct job *job = arg;
	struct mn_buf front;
	size_t len = any((unsigned int)job->buf.len + 1);

	job->begun++;
	ck_bytes(&job->buf, job->at);
	mn_buf_split(&job->buf, len, &front);
	job->at += len;
	dawdle();
	mn_buf_free(&front);
	if (!is_last() && any(2)) {
		struct job next = { .buf = job->buf, .at = job->at };

		mn_call(above(), buf_travel, &next);
		job->buf = next.buf;	/* empty, or as it was */
	}
	mn_buf_free(&job->buf);
	job->ended++;
	return 0;
}

static void do_buf(void)
{
	struct job job = { .at = any(1000) };

	if (mn_buf_alloc(&job.buf))
		return;
	job.buf.len = min(job.buf.len, 1 + (size_t)any(300));
	pattern_fill(job.buf.data, job.at, job.buf.len);
	ck_job(&job, mn_call(any(mn_shards()), buf_travel, &job), false);
	if (job.begun)
		ck_assert_ptr_null(job.buf.data);
	mn_buf_free(&job.buf);
}

struct object {
	struct mn_foreign foreign;
	struct mn_foreign_node node;
	unsigned int shard;
};

static void object_destroy(void *obj)
{
	struct object *object = obj;

	ck_assert_uint_eq(object->shard, mn_shard());
	stress_here()->destroyed++;
	mem_free(object);
}

static int object_keep(void *arg)
{
	struct object *object = arg;
	struct mn_foreign foreign = object->foreign;

	dawdle();
	if (!is_last() && any(2) && !mn_post(above(), object_keep, object))
		stress_here()->posts++;
	else
		mn_foreign_free(&foreign);
	stress_here()->posts_ended++;
	return 0;
}

static void do_foreign(void)
{
	struct object *object = mem_alloc(sizeof(*object));
	struct mn_foreign foreign;

	ck_assert_ptr_nonnull(object);
	foreign = mn_foreign_make(&object->node, object, object_destroy);
	object->foreign = foreign;
	object->shard = mn_shard();
	stress_here()->made++;
	if (!mn_post(any(mn_shards()), object_keep, object))
		stress_here()->posts++;
	else
		mn_foreign_free(&foreign);
}

/* ---- workers ---- */

static void do_pause(void)
{
	mn_sleep(any(5 * PAUSE_NS_MAX));
}

int stress_worker(void *arg)
{
	static void (*const things[])(void) = {
		do_call_one, do_call_one, do_call_one, do_start,   do_start, do_post,
		do_all,	     do_map,	  do_chain,    do_foreign, do_buf,   do_pause,
	};

	mn_fiber_name("stress");
	while (!mn_fiber_canceled()) {
		things[any(ARRAY_SIZE(things))]();
		stress_here()->ops++;
		/* Some things need not suspend; the other fibers want a turn. */
		if (mn_need_preempt() || mn_self->virtual_time)
			mn_yield();
	}
	return 0;
}

/* ---- threads that are not shards ---- */

struct request {
	int value;
	int nap_ns;
};

static int serve(void *arg)
{
	const struct request *request = arg;
	int err = request->nap_ns ? mn_sleep(request->nap_ns) : 0;

	return err ? err : request->value;
}

static int serve_post(void *arg)
{
	return serve(arg) < 0 ? -ECANCELED : 0;
}

void *stress_alien(void *arg)
{
	uint64_t *random = arg;

	for (;;) {
		struct request request = { .value = (int)stress_random(random, 1000) };
		unsigned int to = (unsigned int)stress_random(random, STRESS_SHARDS);
		int64_t timeout_ns = MN_NEVER;
		int res;

		if (stress_random(random, 2))
			request.nap_ns = (int)stress_random(random, PAUSE_NS_MAX);
		if (stress_random(random, 3) == 0)
			timeout_ns = (int64_t)stress_random(random, PAUSE_NS_MAX);
		if (stress_random(random, 4)) {
			res = mn_alien_call(stress.gate, to, serve, &request, sizeof(request),
					    timeout_ns);
			ck_assert(res == request.value || res == -ESHUTDOWN ||
				  (res == -ETIMEDOUT && timeout_ns != MN_NEVER));
		} else {
			res = mn_alien_post(stress.gate, to, serve_post, &request, sizeof(request));
			ck_assert(!res || res == -EAGAIN || res == -ESHUTDOWN);
		}
		if (res == -ESHUTDOWN)
			return NULL;
		atomic_fetch_add(&stress.alien_calls, 1);
	}
}
