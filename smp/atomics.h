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

#include "core/compiler.h"

/*
 * Data that is not atomic and is handed over by something that is: a checker
 * looks for races on it.
 */
#define handed_over(type)	type
#define handed(var)		(var)

/*
 * Do any of these 16 differ from those, which are the caller's own? Relaxed.
 * Two vectors, since a machine's vectors of 16 bytes do not tear 16-bit words;
 * the language has no word for that, so the thread sanitizer gets another.
 */
static inline bool atomic_differ_16(const _Atomic(uint16_t) *shared, const uint16_t *own)
{
	typedef uint64_t __attribute__((vector_size(16), may_alias)) eight;
	const volatile eight *s = (const volatile eight *)shared;
	const eight *o = (const eight *)own;
	eight differ;

	if (IS_ENABLED(CONFIG_SANITIZE_THREAD)) {
		for (int i = 0; i < 16; i++)
			if (atomic_load_explicit(&shared[i], memory_order_relaxed) != own[i])
				return true;
		return false;
	}
	differ = (s[0] ^ o[0]) | (s[1] ^ o[1]);
	return differ[0] | differ[1];
}

#endif
