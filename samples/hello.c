// SPDX-License-Identifier: MIT
/* mn-hello: a main fiber and one that it waits for. Try --help, --doctor. */
#include <stdio.h>

#include <miniss/miniss.h>

static int greet(void *name)
{
	mn_sleep(100 * MN_MSEC);	/* others run meanwhile */
	printf("hello %s, from shard %u of %u\n", (const char *)name, mn_shard(), mn_shards());
	return 0;
}

static int app(void *arg)
{
	struct mn_fiber *fiber;
	int err = mn_spawn(greet, arg, &fiber);

	return err ? err : mn_join(fiber);
}

int main(int argc, char **argv)
{
	return mn_run(argc, argv, app, "world");
}
