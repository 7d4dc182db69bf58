/* SPDX-License-Identifier: MIT */
/*
 * Runs a relacy test, in executions chosen at random: which thread goes on at
 * each atomic access, and which of the values that it may see a load returns.
 * C++.
 */
#ifndef TESTS_MODELS_MODEL_H
#define TESTS_MODELS_MODEL_H

#include <iostream>

#include "smp/atomics.h"

/* model_run - false, with the first wrong execution on standard output */
template <typename T> bool model_run(const char *name, unsigned iterations)
{
	std::ostream silence(nullptr);
	rl::test_params params;
	bool ok;

	params.progress_stream = &silence;
	params.execution_depth_limit = 4000;
	params.iteration_count = iterations;
	ok = rl::simulate<T>(params);
	std::cout << name << ": " << (ok ? "ok" : rl::test_result_str(params.test_result)) << ", "
		  << params.stop_iteration << " executions" << std::endl;
	return ok;
}

#endif
