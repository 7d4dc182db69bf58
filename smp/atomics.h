/* SPDX-License-Identifier: MIT */
/*
 * How the queues and the wake handshake reach C11 atomics: under these names
 * only, atomic types spelled _Atomic(type), so that a checker of memory
 * models can put a header of its own in place of this one (tests/models/).
 */
#ifndef SMP_ATOMICS_H
#define SMP_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Data that is not atomic and is handed over by something that is: a checker
 * looks for races on it.
 */
#define handed_over(type)	type
#define handed(var)		(var)

/* Do any of these 16 differ from those, which are the caller's own? Relaxed, four in one look. */
static inline bool atomic_differ_16(const _Atomic(uint16_t) *shared, const uint16_t *own)
{
	typedef uint64_t __attribute__((may_alias)) four;
	const four *s = (const four *)shared, *o = (const four *)own;

	return (__atomic_load_n(&s[0], __ATOMIC_RELAXED) ^ o[0]) |
	       (__atomic_load_n(&s[1], __ATOMIC_RELAXED) ^ o[1]) |
	       (__atomic_load_n(&s[2], __ATOMIC_RELAXED) ^ o[2]) |
	       (__atomic_load_n(&s[3], __ATOMIC_RELAXED) ^ o[3]);
}

#endif
