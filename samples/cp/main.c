// SPDX-License-Identifier: MIT
/*
 * mn-cp: copies a file, quickly, and so that there is a right copy or none.
 *
 *	mn-cp [--sync=off] [--verify] [--resume=off] [--progress=on|off]
 *		[--direct] [--chunk_kb=N] [--depth=N] SOURCE TARGET [runtime options]
 *
 * Reads ahead and writes behind, sums up what goes by (XXH64, printed at the
 * end), and gives the copy its name when it is on the disk. What SIGINT, SIGTERM
 * or a crash has interrupted goes on where it was when it is started again:
 * TARGET.mn-cp and TARGET.mn-cp-sums are for that. Exit codes: 0, 1 failed or
 * interrupted, 2 usage.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cp.h"

MN_APP_PARAM(bool, sync, true, 0, 0, "see to it that the copy is on the disk");
MN_APP_PARAM(bool, verify, false, 0, 0, "read the copy and compare its sum");
MN_APP_PARAM(bool, resume, true, 0, 0, "go on with a copy that was interrupted");
MN_APP_PARAM(str, progress, "auto", 1, 4, "show it: on, off, or auto: on a terminal");
MN_APP_PARAM(bool, direct, false, 0, 0, "past the page cache (O_DIRECT)");
MN_APP_PARAM(uint, chunk_kb, 256, 4, 16384, "KiB to read and write at once, a multiple of 4");
MN_APP_PARAM(uint, depth, 8, 1, 256, "reads ahead, and writes behind, at most");

struct run {
	struct copy copy;
	struct mn_scope scope;
	bool interrupted;
	int res;
};

/* Two of them: what a signal ends, and what ends by itself. */
static int stopper(void *arg)
{
	struct run *run = arg;

	if (mn_stop_wait())
		return 0;
	run->interrupted = true;
	mn_scope_cancel(&run->scope);
	return 0;
}

static int worker(void *arg)
{
	struct run *run = arg;

	run->res = copy_run(&run->copy);
	mn_scope_cancel(&run->scope);
	return 0;
}

static bool shows_progress(void)
{
	return !strcmp(param_progress, "on") ||
	       (!strcmp(param_progress, "auto") && isatty(STDERR_FILENO));
}

static int usage(char *const *argv)
{
	static const char *const progress[] = { "on", "off", "auto" };
	int err = mn_args_end(argv, 2);

	if (err)
		return err;
	if (!argv[1] || !argv[2]) {
		mn_err("SOURCE and TARGET are needed: mn-cp [OPTIONS] SOURCE TARGET");
		return MN_EXIT_USAGE;
	}
	if (param_chunk_kb % 4) {
		mn_err("--chunk_kb=%u: not a multiple of 4", param_chunk_kb);
		return MN_EXIT_USAGE;
	}
	for (int i = 0; i < 3; i++)
		if (!strcmp(param_progress, progress[i]))
			return 0;
	mn_err("--progress=%s: on, off or auto", param_progress);
	return MN_EXIT_USAGE;
}

static int app(void *arg)
{
	static struct run run;
	char *const *argv = arg;
	int err = usage(argv);

	if (err)
		return err;
	run.copy.source_path = argv[1];
	run.copy.target_path = argv[2];
	run.copy.sync = param_sync;
	run.copy.verify = param_verify;
	run.copy.direct = param_direct;
	run.copy.resume = param_resume;
	run.copy.chunk = (size_t)param_chunk_kb << 10;
	run.copy.depth = param_depth;
	run.copy.doing = "copying";
	mn_scope_open(&run.scope, NULL);
	err = mn_scope_spawn(&run.scope, stopper, &run);
	if (!err && shows_progress())
		err = mn_scope_spawn(&run.scope, progress_show, &run.copy);
	if (!err)
		err = mn_scope_spawn(&run.scope, worker, &run);
	mn_scope_join(&run.scope);
	if (shows_progress())
		progress_end(&run.copy);
	if (err)
		return err;
	if (run.interrupted && run.res == -ECANCELED)
		mn_err("%s: interrupted; the same command goes on with it", argv[2]);
	if (!run.res)
		printf("%016" PRIx64 "  %s\n", xxh64_digest(&run.copy.sum), argv[2]);
	return run.res ? MN_EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, argv);
}
