/* SPDX-License-Identifier: MIT */
/* In place of lib/mem/mem.h: memory in which atomic objects live. C++. */
#ifndef LIB_MEM_MEM_H
#define LIB_MEM_MEM_H

#include <cstddef>
#include <cstdlib>

#define MEM_LIVE_MAX	16

/* How to end what lives; of an execution that was cut short, a rest stays and is no harm. */
static struct {
	const void *ptr;
	void (*end)(const void *ptr);
} mem_live[MEM_LIVE_MAX];
static unsigned mem_made;

template <typename T> void mem_end(const void *ptr)
{
	delete[] static_cast<const T *>(ptr);
}

/* As void * does in C, it becomes a pointer to anything: there the objects are made. */
struct mem_new {
	size_t size;

	template <typename T> operator T *() const
	{
		T *objects = new T[size / sizeof(T)]();

		mem_live[mem_made++ % MEM_LIVE_MAX] = { objects, mem_end<T> };
		return objects;
	}
};

static inline void mem_free(const void *ptr)
{
	for (unsigned age = 1; age <= MEM_LIVE_MAX; age++)
		if (mem_live[(mem_made - age) % MEM_LIVE_MAX].ptr == ptr)
			return mem_live[(mem_made - age) % MEM_LIVE_MAX].end(ptr);
	abort();
}

static inline mem_new mem_alloc(size_t size)
{
	return { size };
}

static inline mem_new mem_map(size_t size)
{
	return { size };
}

static inline void mem_unmap(const void *ptr, size_t)
{
	mem_free(ptr);
}

#endif
