/* SPDX-License-Identifier: MIT */
/* What a test may do to the world of the mem backend, and no program can. */
#ifndef BACKENDS_MEM_H
#define BACKENDS_MEM_H

#include <stdint.h>

struct mn_world;

#ifdef CONFIG_BACKEND_MEM

/*
 * The clock stands still but for these and for world_run(), which moves it
 * to the next deadline when every shard is idle. It begins at one second and
 * never goes back.
 */
int64_t mem_clock_now(struct mn_world *world);
void mem_clock_set(struct mn_world *world, int64_t now_ns);
void mem_clock_advance(struct mn_world *world, int64_t ns);

/* mem_raise - a signal comes: now, or it waits for who asks for it */
void mem_raise(struct mn_world *world, int sig);

/* mem_fd_limit - descriptors that may be open at once, as RLIMIT_NOFILE */
void mem_fd_limit(struct mn_world *world, unsigned int n);

#else	/* tests skip what they would do with it */

static inline int64_t mem_clock_now(struct mn_world *world)
{
	return 0;
}

static inline void mem_clock_set(struct mn_world *world, int64_t now_ns)
{
}

static inline void mem_clock_advance(struct mn_world *world, int64_t ns)
{
}

static inline void mem_raise(struct mn_world *world, int sig)
{
}

static inline void mem_fd_limit(struct mn_world *world, unsigned int n)
{
}

#endif

#endif
