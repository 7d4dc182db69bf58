// SPDX-License-Identifier: MIT
/*
 * What memory costs: mn_alloc() beside malloc() of the C library, of jemalloc and
 * of mimalloc, in one process and through a pointer each.
 *
 *	mem.alloc.64		take 64 bytes, and free them
 *	mem.alloc.mix		one of 1,000 objects of mixed sizes is freed, another taken
 *	mem.alloc.remote	128 bytes are taken on one CPU and freed on another, which
 *				gets them in batches; as shards do, these make a turn for each
 *
 * jemalloc wants thread-local memory that a program keeps none of for what it loads:
 * GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384 mn-bench --filter='^mem'
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include <miniss/miniss.h>

#include "lib/mem/mem.h"
#include "tools/bench/bench.h"

#define LIVE		1000
#define PLAN		4096		/* steps of the mix, over and over */
#define BATCH		128
#define BATCHES		8		/* on their way */
#define REMOTE_BYTES	128

struct allocator {
	const char *library, *package;	/* NULL: none is needed */
	const char *take_name, *give_name;
	void *(*take)(size_t size);
	void (*give)(void *ptr);
};

/* The last part of a bench's name says whose. */
static struct allocator allocators[] = {
	{ .take = mn_alloc, .give = mn_free },
	{ "libc.so.6", "libc6", "malloc", "free", NULL, NULL },
	{ "libjemalloc.so.2", "libjemalloc2", "malloc", "free", NULL, NULL },
	{ "libmimalloc.so.2", "libmimalloc2.0", "mi_malloc", "mi_free", NULL, NULL },
};

struct mem {
	struct allocator *a;
	void *live[LIVE];
	struct {
		uint16_t at, size;
	} plan[PLAN];
	unsigned int step;

	/* remote */
	struct mn_world world;
	pthread_t thread;
	sem_t start;
	void *relay[BATCHES][BATCH];
	uint64_t n;			/* batches of the sample; 0: the end */
	_Atomic uint64_t sent __cacheline_aligned, freed __cacheline_aligned;
};

static int allocator_open(struct allocator *a)
{
	void *library, *take, *give;

	if (a->take)
		return 0;
	library = dlopen(a->library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (!library) {
		mn_warn("%s: install %s", dlerror(), a->package);
		return -ENOENT;
	}
	take = dlsym(library, a->take_name);
	give = dlsym(library, a->give_name);
	if (!take || !give)
		return -ENOSYS;
	memcpy(&a->take, &take, sizeof(take));
	memcpy(&a->give, &give, sizeof(give));
	return 0;
}

static int mem_open(struct bench_case *c)
{
	static const char *const suffix[] = { ".shard", ".libc", ".jemalloc", ".mimalloc" };
	struct mem *mem = mem_alloc(sizeof(*mem));
	unsigned int i = 0;

	if (!mem)
		return -ENOMEM;
	while (strcmp(strrchr(c->bench->name, '.'), suffix[i]))
		i++;
	mem->a = &allocators[i];
	c->state = mem;
	return allocator_open(mem->a);
}

static void mem_close(struct bench_case *c)
{
	mem_free(c->state);
}

/* ---- one object ---- */

static void local_run(struct bench_case *c, uint64_t n)
{
	const struct allocator *a = ((struct mem *)c->state)->a;

	mn_self = c->shard;
	for (; n; n--) {
		char *obj = a->take(64);

		*obj = 1;
		a->give(obj);
	}
}

/* ---- many, of mixed sizes ---- */

/* Small ones are many, as they are in programs. */
static int mix_open(struct bench_case *c)
{
	uint64_t seed = 1;
	struct mem *mem;
	int err = mem_open(c);

	if (err)
		return err;
	mem = c->state;
	mn_self = c->shard;
	for (unsigned int i = 0; i < PLAN; i++) {
		uint64_t r = bench_random(&seed);
		unsigned int limit = 16u << (r >> 32) % 9;

		mem->plan[i].at = r % LIVE;
		mem->plan[i].size = (uint16_t)(limit / 2 + (r >> 40) % limit / 2 + 1);
	}
	for (unsigned int i = 0; i < LIVE; i++)
		mem->live[i] = mem->a->take(mem->plan[i].size);
	return 0;
}

static void mix_close(struct bench_case *c)
{
	struct mem *mem = c->state;

	for (unsigned int i = 0; i < LIVE; i++)
		mem->a->give(mem->live[i]);
	mem_close(c);
}

static void mix_run(struct bench_case *c, uint64_t n)
{
	struct mem *mem = c->state;
	const struct allocator *a = mem->a;

	mn_self = c->shard;
	for (; n; n--) {
		unsigned int step = mem->step++ % PLAN;
		void **at = &mem->live[mem->plan[step].at];

		a->give(*at);
		*at = a->take(mem->plan[step].size);
		**(char **)at = 1;
	}
}

/* ---- from one CPU to another ---- */

static void turn(struct mem *mem, unsigned int shard)
{
	if (mem->world.nr_shards)
		shard_step(mem->world.shards[shard], false);
}

static void *sink_main(void *arg)
{
	struct mem *mem = arg;

	if (mem->world.nr_shards && shard_start(mem->world.shards[1]))
		return NULL;
	for (;;) {
		while (sem_wait(&mem->start))
			;
		if (!mem->n)
			return NULL;
		for (uint64_t left = mem->n; left; left--) {
			uint64_t freed = mem->freed;
			void **batch = mem->relay[freed % BATCHES];

			while (mem->sent == freed)
				turn(mem, 1);
			for (unsigned int i = 0; i < BATCH; i++)
				mem->a->give(batch[i]);
			turn(mem, 1);
			atomic_store_explicit(&mem->freed, freed + 1, memory_order_release);
		}
	}
}

static int remote_open(struct bench_case *c)
{
	struct mem *mem;
	int err = mem_open(c);

	if (err)
		return err;
	mem = c->state;
	mem->world.backend = c->world.backend;
	mem->world.timer = c->world.timer;
	mem->world.queue = c->world.queue;
	sem_init(&mem->start, 0, 0);
	if (mem->a->take == mn_alloc)
		err = world_open(&mem->world, 2, NULL);
	if (!err && mem->world.nr_shards)
		err = shard_start(mem->world.shards[0]);
	return err ? err : other_cpu_start(&mem->thread, sink_main, mem);
}

static void remote_close(struct bench_case *c)
{
	struct mem *mem = c->state;

	mem->n = 0;
	sem_post(&mem->start);
	pthread_join(mem->thread, NULL);
	mn_self = NULL;
	if (mem->world.nr_shards)
		world_close(&mem->world);
	mn_self = c->shard;
	mem_close(c);
}

static void remote_prepare(struct bench_case *c, uint64_t n)
{
	struct mem *mem = c->state;

	mem->n = n / BATCH + 1;
	sem_post(&mem->start);
}

static void remote_run(struct bench_case *c, uint64_t n)
{
	struct mem *mem = c->state;

	for (uint64_t left = mem->n; left; left--) {
		uint64_t sent = mem->sent;
		void **batch = mem->relay[sent % BATCHES];

		turn(mem, 0);
		while (sent - mem->freed == BATCHES)
			turn(mem, 0);
		for (unsigned int i = 0; i < BATCH; i++) {
			batch[i] = mem->a->take(REMOTE_BYTES);
			*(char *)batch[i] = 1;
		}
		atomic_store_explicit(&mem->sent, sent + 1, memory_order_release);
	}
	while (mem->freed != mem->sent)
		turn(mem, 0);
	mn_self = c->shard;
}

/* clang-format off */
#define MEM_BENCH(what, whose)						\
	static const struct bench mem_##what##_##whose = {		\
		.name = "mem.alloc." NAME_##what "." #whose,		\
		.family = "mem.alloc." NAME_##what,			\
		.open = what##_open,					\
		.prepare = PREPARE_##what,				\
		.run = what##_run,					\
		.close = what##_close,					\
	};								\
	bench_register(mem_##what##_##whose)
#define MEM_BENCHES(what)						\
	MEM_BENCH(what, shard);					\
	MEM_BENCH(what, libc);					\
	MEM_BENCH(what, jemalloc);				\
	MEM_BENCH(what, mimalloc)
/* clang-format on */

#define NAME_local	"64"
#define NAME_mix	"mix"
#define NAME_remote	"remote"
#define PREPARE_local	NULL
#define PREPARE_mix	NULL
#define PREPARE_remote	remote_prepare
#define local_open	mem_open
#define local_close	mem_close

MEM_BENCHES(local);
MEM_BENCHES(mix);
MEM_BENCHES(remote);
