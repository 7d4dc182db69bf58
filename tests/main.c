// SPDX-License-Identifier: MIT
/*
 * mn-test [[!]REGEX]: run the suites whose names match, or with ! those that
 * do not, or all of them. MN_TEST is the same. CK_VERBOSITY, CK_FORK and the
 * others are Check's own. MINISS_IO_URING_MASK=LIST and
 * MINISS_IO_URING_INCREMENTAL=on are heeded.
 */
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/io_uring/features.h"
#include "core/compiler.h"
#include "tests/denied.h"
#include "tests/suites.h"

/* clang-format off */
#define SUITE_ENTRY(name)	{ #name, suite_##name }

static const struct {
	const char *name;
	Suite *(*make)(void);
} suites[] = {
	/* what the others stand on comes first */
	SUITE_ENTRY(param),
	SUITE_ENTRY(log),
	SUITE_ENTRY(driver),
	SUITE_ENTRY(topology),
	SUITE_ENTRY(topology_sys),
	SUITE_ENTRY(fiber_switch),
	SUITE_ENTRY(queue_contract),
	SUITE_ENTRY(timer_queue),
	SUITE_ENTRY(timer),
	SUITE_ENTRY(backend_contract),
	SUITE_ENTRY(core),
	SUITE_ENTRY(core_shard),
	SUITE_ENTRY(scope),
	SUITE_ENTRY(combine),
	SUITE_ENTRY(uring_waker),
	SUITE_ENTRY(uring_fixed),
	SUITE_ENTRY(uring_zc),
	SUITE_ENTRY(uring_incremental),
	SUITE_ENTRY(uring_files),
	SUITE_ENTRY(uring_read),
	SUITE_ENTRY(sync),
	SUITE_ENTRY(wake),
	SUITE_ENTRY(call),
	SUITE_ENTRY(channel),
	SUITE_ENTRY(sched),
	SUITE_ENTRY(disk),
	SUITE_ENTRY(file_stream),
	SUITE_ENTRY(alloc),
	SUITE_ENTRY(alien),
	SUITE_ENTRY(blocking),
	SUITE_ENTRY(sharded),
	SUITE_ENTRY(stress),
	SUITE_ENTRY(stuck),
	SUITE_ENTRY(stall),
	SUITE_ENTRY(clock),
	SUITE_ENTRY(signals),
	SUITE_ENTRY(hygiene),
	SUITE_ENTRY(ledger),
	SUITE_ENTRY(poll),
	SUITE_ENTRY(fsevent),
	SUITE_ENTRY(dns),
	SUITE_ENTRY(mem),
	SUITE_ENTRY(memory),
	SUITE_ENTRY(fail_alloc),
	SUITE_ENTRY(static),
	SUITE_ENTRY(stream),
	SUITE_ENTRY(reader),
	SUITE_ENTRY(writer),
	SUITE_ENTRY(zero_copy),
	SUITE_ENTRY(splice),
	SUITE_ENTRY(process),
	SUITE_ENTRY(file),
	SUITE_ENTRY(kit_stream),
	SUITE_ENTRY(kit_dgram),
	SUITE_ENTRY(kit_event),
	SUITE_ENTRY(kit_process),
	SUITE_ENTRY(kit_passing),
	SUITE_ENTRY(file_faults),
	SUITE_ENTRY(serve),
	SUITE_ENTRY(accept),
	SUITE_ENTRY(unix_sockets),
	SUITE_ENTRY(dgram),
	SUITE_ENTRY(connect),
	SUITE_ENTRY(migrate),
	SUITE_ENTRY(cancel),
	SUITE_ENTRY(histogram),
	SUITE_ENTRY(program),
	SUITE_ENTRY(integration),
	SUITE_ENTRY(cp),
	SUITE_ENTRY(denied),
	SUITE_ENTRY(faults),
	SUITE_ENTRY(build),
};
/* clang-format on */

static FILE *caught;

void test_stderr_begin(void)
{
	if (!caught)
		caught = tmpfile();
	ck_assert_ptr_nonnull(caught);
	ck_assert_int_eq(ftruncate(fileno(caught), 0), 0);
	fflush(stderr);
	ck_assert_int_ge(dup2(fileno(caught), STDERR_FILENO), 0);
	lseek(STDERR_FILENO, 0, SEEK_SET);
}

const char *test_stderr_end(void)
{
	static char text[65536];
	ssize_t len = pread(fileno(caught), text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/*
 * Every test is a fork of this process, and looks for leaks in all of its
 * memory at the end: with the usual 256 MiB of freed memory kept that takes a
 * second each.
 */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16";
}

/*
 * libev leaves a descriptor that nobody watches any more in its epoll set, and
 * takes it out when it hears of it again: perhaps while the shard that a
 * connection has moved to closes it. The kernel then refuses, and libev makes
 * a new set. For TSan that is a race, on a descriptor and never on memory.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:epoll_ctl\n";
}

/* Who starts us in the background, or under nohup, may have signals ignored or blocked. */
static void signals_as_usual(void)
{
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char **argv)
{
	const char *filter = argc > 1 ? argv[1] : getenv("MN_TEST");
	SRunner *runner = srunner_create(NULL);
	int unwanted = REG_NOMATCH, failed;
	unsigned int n = 0;
	regex_t regex;

	signals_as_usual();
	if (filter && *filter == '!') {
		unwanted = 0;
		filter++;
	}
	if (regcomp(&regex, filter ? filter : "", REG_EXTENDED | REG_NOSUB)) {
		fprintf(stderr, "mn-test: %s: not a regular expression\n", filter);
		return 2;
	}
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].make && regexec(&regex, suites[i].name, 0, NULL, 0) != unwanted) {
			srunner_add_suite(runner, suites[i].make());
			n++;
		}
	regfree(&regex);
	if (!n) {
		fprintf(stderr, "mn-test: no suite matches %s\n", filter ? filter : "");
		srunner_free(runner);
		return 2;
	}
	if (IS_ENABLED(CONFIG_BACKEND_IO_URING) && getenv("MINISS_IO_URING_MASK"))
		uring_mask_set(getenv("MINISS_IO_URING_MASK"));
	if (IS_ENABLED(CONFIG_BACKEND_IO_URING) && getenv("MINISS_IO_URING_INCREMENTAL"))
		uring_incremental_set(true);
	/* At once, or few would ever send often enough. */
	if (IS_ENABLED(CONFIG_BACKEND_IO_URING) && getenv("MINISS_IO_URING_FILES"))
		uring_files_set((unsigned int)atoi(getenv("MINISS_IO_URING_FILES")), 1);
	if (getenv("MN_TEST_DENY") && deny_as_named(getenv("MN_TEST_DENY"))) {
		fprintf(stderr, "mn-test: MN_TEST_DENY=%s: it should be EPERM or ENOSYS\n",
			getenv("MN_TEST_DENY"));
		return 2;
	}
	/* Standard output may be a pipe, and tests are forked from here. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	/* Check names what failed after its closing line; here that line is the last. */
	if (failed)
		srunner_print(runner, CK_NORMAL);
	srunner_print(runner, CK_MINIMAL);
	srunner_free(runner);
	return failed ? 1 : 0;
}
