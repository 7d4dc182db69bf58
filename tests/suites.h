/* SPDX-License-Identifier: MIT */
/*
 * The suites of bin/mn-test, a file each. A suite that this configuration
 * did not build is NULL.
 */
#ifndef TESTS_SUITES_H
#define TESTS_SUITES_H

#include <check.h>

#define SUITE(name) Suite *suite_##name(void) __attribute__((weak))

SUITE(accept);
SUITE(alien);
SUITE(alloc);
SUITE(backend_contract);
SUITE(blocking);
SUITE(build);
SUITE(call);
SUITE(cancel);
SUITE(channel);
SUITE(clock);
SUITE(combine);
SUITE(connect);
SUITE(core);
SUITE(core_shard);
SUITE(cp);
SUITE(denied);
SUITE(disk);
SUITE(dns);
SUITE(dgram);
SUITE(driver);
SUITE(faults);
SUITE(fiber_switch);
SUITE(file);
SUITE(file_stream);
SUITE(fsevent);
SUITE(file_faults);
SUITE(histogram);
SUITE(hygiene);
SUITE(kit_dgram);
SUITE(kit_event);
SUITE(kit_passing);
SUITE(kit_process);
SUITE(kit_stream);
SUITE(integration);
SUITE(ledger);
SUITE(log);
SUITE(mem);
SUITE(memory);
SUITE(fail_alloc);
SUITE(static);
SUITE(migrate);
SUITE(param);
SUITE(poll);
SUITE(process);
SUITE(program);
SUITE(queue_contract);
SUITE(reader);
SUITE(sched);
SUITE(scope);
SUITE(serve);
SUITE(sharded);
SUITE(splice);
SUITE(stall);
SUITE(signals);
SUITE(stream);
SUITE(stress);
SUITE(stuck);
SUITE(sync);
SUITE(timer);
SUITE(timer_queue);
SUITE(topology);
SUITE(topology_sys);
SUITE(unix_sockets);
SUITE(uring_fixed);
SUITE(uring_incremental);
SUITE(uring_files);
SUITE(uring_read);
SUITE(uring_waker);
SUITE(uring_zc);
SUITE(wake);
SUITE(writer);
SUITE(zero_copy);

/*
 * test_skip - leave a test that this machine or configuration cannot run
 * Check has no such result: the line that says why is what counts.
 */
#define test_skip(...)                             \
	do {                                       \
		printf("skipped: %s: ", __func__); \
		printf(__VA_ARGS__);               \
		printf("\n");                      \
		fflush(stdout);                    \
		return;                            \
	} while (0)

/*
 * test_stderr_begin - catch what is written to standard error from here on
 * test_stderr_end - until here: the text, valid until the next one
 * For less than 64 KiB; tests are processes of their own.
 */
void test_stderr_begin(void);
const char *test_stderr_end(void);

#endif
