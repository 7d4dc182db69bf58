/* SPDX-License-Identifier: MIT */
/* In place of smp/atomics.h: the same names, for relacy. C++. */
#ifndef SMP_ATOMICS_H
#define SMP_ATOMICS_H

#include <cstdint>
#include <relacy/relacy.hpp>

#undef new
#undef delete

using rl::mo_acq_rel;
using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;
using rl::mo_seq_cst;

/* Zero at first, as the memory that it stands for. */
template <typename T> struct zeroed : rl::atomic<T> {
	zeroed()
	{
		this->store(0, mo_relaxed, $);
	}
};
#define _Atomic(type) zeroed<type>

/* relacy spells an order as "order, place". */
#define atomic_init(var, value)				(var)->store(value, mo_relaxed, $)
#define atomic_load_explicit(var, order)		(var)->load(order)
#define atomic_store_explicit(var, value, order)	(var)->store(value, order)
#define atomic_exchange_explicit(var, value, order)	(var)->exchange(value, order)
#define atomic_fetch_add_explicit(var, value, order)	(var)->fetch_add(value, order)
#define atomic_compare_exchange_weak_explicit(var, expected, value, order, failure) \
	(var)->compare_exchange_weak(*(expected), value, order, failure)
#define atomic_thread_fence(order)			rl::atomic_thread_fence(order)

/* A value with a variable that relacy watches, written and read with it. */
template <typename T> class watched {
	T value;
	mutable rl::var<unsigned> watch;

public:
	void operator=(const T &from)
	{
		watch($) = 1;
		value = from;
	}

	operator T() const
	{
		RL_ASSERT(watch($) == 1);
		return value;
	}
};
#define handed_over(type)	watched<type>
#define handed(var)		(var)

static inline bool atomic_differ_16(const zeroed<uint16_t> *shared, const uint16_t *own)
{
	for (int i = 0; i < 16; i++)
		if (shared[i].load(mo_relaxed, $) != own[i])
			return true;
	return false;
}

#endif
