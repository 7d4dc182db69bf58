// SPDX-License-Identifier: MIT
#include <stdatomic.h>

#include <miniss/param.h>

#include "core/random.h"
#include "lib/mem/fail.h"

MN_PARAM(int64, fail_nth, 0, 0, INT64_MAX, "let the n-th allocation of the program fail; 0: none");
MN_PARAM(int64, fail_one_in, 0, 0, INT64_MAX,
	 "let one allocation of so many fail, at random (--seed); 0: none");

/* Of the process, since what is to be found is somewhere in it. */
static atomic_int_least64_t nr_asked, nr_failed;

bool mem_fails(void)
{
	int64_t n;
	bool fails;

	if (!param_fail_nth && !param_fail_one_in)
		return false;
	n = atomic_fetch_add(&nr_asked, 1) + 1;
	fails = n == param_fail_nth;
	if (param_fail_one_in) {
		uint64_t seed = mn_self ? mn_self->world->seed : 0;

		fails |= random_mix(seed ^ (uint64_t)n) % (uint64_t)param_fail_one_in == 0;
	}
	if (fails)
		atomic_fetch_add(&nr_failed, 1);
	return fails;
}

uint64_t mem_nr_failed(void)
{
	return (uint64_t)atomic_load(&nr_failed);
}
