/* SPDX-License-Identifier: MIT */
/*
 * Runs a relacy test: at random, then all ways to switch between threads a
 * few times. C++.
 */
#ifndef TESTS_MODELS_MODEL_H
#define TESTS_MODELS_MODEL_H

#include <iostream>
#include <sstream>

#include "smp/atomics.h"

#define RANDOM_ITERATIONS	20000
#define SWITCHES_MAX		2
#define BOUND_ITERATIONS	200000

/* model_run - false, and the first wrong execution on standard output */
template <typename T> bool model_run(const char *name)
{
	std::ostringstream silence;
	rl::test_params params;
	bool ok;

	params.progress_stream = &silence;
	params.output_stream = &silence;
	params.execution_depth_limit = 4000;
	params.iteration_count = RANDOM_ITERATIONS;
	ok = rl::simulate<T>(params);
	if (ok) {
		params.search_type = rl::sched_bound;
		params.context_bound = SWITCHES_MAX;
		params.iteration_count = BOUND_ITERATIONS;
		ok = rl::simulate<T>(params);
	}
	std::cout << name << ": " << (ok ? "ok" : rl::test_result_str(params.test_result)) << ", "
		  << params.stop_iteration << " executions in the last search" << std::endl;
	return ok;
}

#endif
