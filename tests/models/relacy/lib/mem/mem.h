/* SPDX-License-Identifier: MIT */
/* In place of lib/mem/mem.h: memory in which atomic objects live. C++. */
#ifndef LIB_MEM_MEM_H
#define LIB_MEM_MEM_H

#include <cstddef>
#include <functional>
#include <map>

static std::map<const void *, std::function<void()>> mem_live;

/* As void * does in C, it becomes a pointer to anything: there the objects are made. */
struct mem_new {
	size_t size;

	template <typename T> operator T *() const
	{
		T *objects = new T[size / sizeof(T)]();

		mem_live[objects] = [objects] { delete[] objects; };
		return objects;
	}
};

static inline mem_new mem_alloc(size_t size)
{
	return { size };
}

static inline void mem_free(const void *ptr)
{
	mem_live.at(ptr)();
	mem_live.erase(ptr);
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
