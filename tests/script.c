// SPDX-License-Identifier: MIT
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/run.h"
#include "tests/script.h"
#include "tests/world.h"

#define NOTES_MAX	65536

struct notes {
	size_t nr;
	int64_t res[NOTES_MAX];
};

static struct notes first, again, *notes;
static char dir[256];

int64_t note(int64_t res)
{
	ck_assert_uint_lt(notes->nr, NOTES_MAX);
	notes->res[notes->nr++] = res;
	return res;
}

void note_bytes(const void *base, size_t len)
{
	const uint8_t *byte = base;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	note((int64_t)hash);
}

const char *in_dir(const char *name)
{
	static char path[8][512];
	static unsigned int i;

	i = (i + 1) % ARRAY_SIZE(path);
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

const char *own_name(const char *text)
{
	static char name[4][128];
	static unsigned int i;

	i = (i + 1) % ARRAY_SIZE(name);
	snprintf(name[i], sizeof(name[i]), "%s-%d", text, (int)getpid());
	return name[i];
}

static void dir_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/mn-test-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int script_fiber(void *arg)
{
	const struct script *script = arg;

	return mn_call(mn_shards() - 1, script->fn, arg);
}

static void compare(const struct script *script, const char *one, const char *other,
		    const char *without)
{
	size_t i;

	for (i = 0; i < first.nr && i < again.nr && first.res[i] == again.res[i]; i++)
		;
	ck_assert_msg(i == first.nr && i == again.nr,
		      "%s: note %zu: %s says %lld (of %zu), %s without %s says %lld (of %zu)",
		      script->name, i, one, i < first.nr ? (long long)first.res[i] : 0, first.nr,
		      other, without ? without : "nothing",
		      i < again.nr ? (long long)again.res[i] : 0, again.nr);
}

/* Each ring takes the kernel a while to take down: one by one is for check-all. */
static bool wanted(const char *without)
{
	return !without || !strcmp(without, "all") || getenv("MN_TEST_MASKS");
}

void script_run(const struct script *script, unsigned int nr_shards)
{
	const char *one = NULL;

	for (int i = 0; i < nr_variants(); i++) {
		const char *without, *backend = variant(i, &without);
		int ret;

		if (!wanted(without))
			continue;
		notes = one ? &again : &first;
		notes->nr = 0;
		dir_make();
		ret = run_main(backend, nr_shards, script_fiber, (void *)(uintptr_t)script);
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		if (ret == RUN_SKIPPED)
			continue;
		ck_assert_msg(ret == 0, "%s, %s without %s, %u shards: %d", script->name, backend,
			      without ? without : "nothing", nr_shards, ret);
		if (one)
			compare(script, one, backend, without);
		else
			one = backend;
	}
}
