// SPDX-License-Identifier: MIT
/* Names, directories, files without a name, locks; scripts as in tests/file.c. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <miniss/param.h>
#include <miniss/scope.h>
#include <miniss/timer.h>

#include "core/param.h"
#include "tests/file.h"
#include "tests/suites.h"
#include "tests/world.h"

static void make(const char *name, const char *text)
{
	struct mn_file file;

	ok(mn_file_open(&file, in_dir(name), O_WRONLY | O_CREAT | O_EXCL, 0600));
	is(mn_write(&file, text, strlen(text), 0), (int64_t)strlen(text));
	ok(mn_file_close(&file));
}

static void says(const char *name, const char *text)
{
	struct mn_file file;
	char buf[100] = "";

	ok(mn_file_open(&file, in_dir(name), O_RDONLY, 0));
	is(mn_read(&file, buf, sizeof(buf) - 1, 0), (int64_t)strlen(text));
	ck_assert_str_eq(buf, text);
	ok(mn_file_close(&file));
}

static bool exists(const char *name)
{
	struct mn_stat st;

	return note(mn_lstat(in_dir(name), &st)) == 0;
}

static int names(void *arg)
{
	char text[100];

	make("a", "first");
	make("b", "second");
	is(mn_rename_new(in_dir("a"), in_dir("b")), -EEXIST);
	says("b", "second");
	ok(mn_rename(in_dir("a"), in_dir("b")));
	says("b", "first");
	ck_assert(!exists("a"));
	ok(mn_rename_new(in_dir("b"), in_dir("c")));
	is(mn_rename(in_dir("b"), in_dir("d")), -ENOENT);
	ok(mn_link(in_dir("c"), in_dir("e")));
	is(mn_link(in_dir("c"), in_dir("e")), -EEXIST);
	says("e", "first");
	ok(mn_unlink(in_dir("c")));
	says("e", "first");
	is(mn_unlink(in_dir("c")), -ENOENT);
	ok(mn_symlink("e", in_dir("l")));
	is(mn_symlink("e", in_dir("l")), -EEXIST);
	says("l", "first");
	is(mn_readlink(in_dir("l"), text, sizeof(text)), 1);
	ck_assert_str_eq(text, "e");
	is(mn_readlink(in_dir("l"), text, 2), 1);
	is(mn_readlink(in_dir("l"), text, 1), -ENAMETOOLONG);
	is(mn_readlink(in_dir("l"), text, 0), -EINVAL);
	is(mn_readlink(in_dir("e"), text, sizeof(text)), -EINVAL);
	ok(mn_mkdir(in_dir("dir"), 0700));
	is(mn_mkdir(in_dir("dir"), 0700), -EEXIST);
	make("dir/x", "inside");
	is(mn_rmdir(in_dir("dir")), -ENOTEMPTY);
	is(mn_unlink(in_dir("dir")), -EISDIR);
	is(mn_rmdir(in_dir("e")), -ENOTDIR);
	ok(mn_rename(in_dir("dir"), in_dir("other")));
	says("other/x", "inside");
	ok(mn_unlink(in_dir("other/x")));
	ok(mn_rmdir(in_dir("other")));
	ck_assert(!exists("other"));
	return 0;
}

/* --- beneath --- */

static int beneath(void *arg)
{
	struct mn_file dir, file;

	ok(mn_mkdir(in_dir("jail"), 0700));
	make("outside", "secret");
	make("jail/in", "public");
	ok(mn_symlink("../outside", in_dir("jail/up")));
	ok(mn_symlink("/etc/passwd", in_dir("jail/abs")));
	ok(mn_symlink("in", in_dir("jail/good")));
	ok(mn_file_open(&dir, in_dir("jail"), O_RDONLY | O_DIRECTORY, 0));
	is(mn_file_open_beneath(&file, &dir, "../outside", O_RDONLY, 0), -EXDEV);
	is(mn_file_open_beneath(&file, &dir, "up", O_RDONLY, 0), -EXDEV);
	is(mn_file_open_beneath(&file, &dir, "abs", O_RDONLY, 0), -EXDEV);
	is(mn_file_open_beneath(&file, &dir, "/etc/passwd", O_RDONLY, 0), -EXDEV);
	is(mn_file_open_beneath(&file, &dir, "../jail/in", O_RDONLY, 0), -EXDEV);
	is(mn_file_open_beneath(&file, &dir, "nothing", O_RDONLY, 0), -ENOENT);
	is(file.fd, -1);
	ok(mn_file_open_beneath(&file, &dir, "good", O_RDONLY, 0));
	ok(mn_file_close(&file));
	ok(mn_file_open_beneath(&file, &dir, "./x/../in/../in", O_RDONLY, 0) == -ENOENT ? 0 : 1);
	ok(mn_file_open_beneath(&file, &dir, "new", O_RDWR | O_CREAT, 0600));
	ok(mn_file_close(&file));
	ck_assert(exists("jail/new"));
	ok(mn_file_close(&dir));
	is(mn_file_open_beneath(&file, &dir, "in", O_RDONLY, 0), -EBADF);
	return 0;
}

/* --- listing --- */

#define ENTRIES	700	/* more than fit into the buffer, several times */

static int listing(void *arg)
{
	static bool seen[ENTRIES];
	struct mn_dirent entry;
	struct mn_dir dir;
	char name[64];
	int ret, n = 0;

	memset(seen, 0, sizeof(seen));
	ok(mn_mkdir(in_dir("list"), 0700));
	ok(mn_dir_open(&dir, in_dir("list")));
	is(mn_dir_next(&dir, &entry), 0);	/* empty, but for the dots */
	is(mn_dir_next(&dir, &entry), 0);
	ok(mn_dir_close(&dir));
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "list/entry-with-some-length-%d", i);
		if (i % 100 == 0)
			ck_assert_int_eq(mkdir(in_dir(name), 0700), 0);
		else
			ck_assert_int_eq(symlink("x", in_dir(name)), 0);
	}
	ok(mn_dir_open(&dir, in_dir("list")));
	while ((ret = mn_dir_next(&dir, &entry)) > 0) {
		int i;

		ck_assert_int_eq(sscanf(entry.name, "entry-with-some-length-%d", &i), 1);
		ck_assert(i >= 0 && i < ENTRIES && !seen[i] && entry.ino);
		ck_assert(entry.type == (i % 100 ? DT_LNK : DT_DIR) || entry.type == DT_UNKNOWN);
		seen[i] = true;
		n++;
	}
	is(ret, 0);
	is(n, ENTRIES);
	ok(mn_dir_close(&dir));
	make("plain", "");
	is(mn_dir_open(&dir, in_dir("plain")), -ENOTDIR);
	is(mn_dir_open(&dir, in_dir("nothing")), -ENOENT);
	return 0;
}

/* --- files without a name --- */

static int nr_files(void)
{
	struct mn_dirent entry;
	struct mn_dir dir;
	int n = 0;

	ok(mn_dir_open(&dir, in_dir(".")));
	while (mn_dir_next(&dir, &entry) > 0)
		n++;
	ok(mn_dir_close(&dir));
	return n;
}

static int temps(bool named)
{
	struct mn_temp temp;

	ok(mn_temp_open(&temp, in_dir("."), 0640));
	is(nr_files(), named);
	is(mn_write(&temp.file, "gone", 4, 0), 4);
	ok(mn_temp_close(&temp));
	is(nr_files(), 0);

	ok(mn_temp_open(&temp, in_dir("."), 0640));
	is(mn_write(&temp.file, "one", 3, 0), 3);
	ok(mn_temp_commit(&temp, "target", MN_TEMP_NEW));
	says("target", "one");
	ok(mn_temp_close(&temp));
	is(nr_files(), 1);

	ok(mn_temp_open(&temp, in_dir("."), 0640));
	is(mn_write(&temp.file, "two!", 4, 0), 4);
	is(mn_temp_commit(&temp, "target", MN_TEMP_NEW), -EEXIST);
	says("target", "one");
	is(mn_temp_commit(&temp, "nowhere/target", 0), -ENOENT);
	is(nr_files(), 2);	/* it has some name now, until it is closed */
	ok(mn_temp_commit(&temp, "target", MN_TEMP_NO_SYNC));
	says("target", "two!");
	is(mn_write(&temp.file, "2", 1, 0), 1);	/* it is the same file */
	ok(mn_temp_close(&temp));
	says("target", "2wo!");
	is(nr_files(), 1);
	is(mn_temp_open(&temp, in_dir("target"), 0600), -ENOTDIR);
	ok(mn_temp_close(&temp));
	return 0;
}

static void use_tmpfile(bool on)
{
	static const struct mn_app none;
	char *argv[] = { "test", on ? "--file.tmpfile=on" : "--file.tmpfile=off", NULL };
	char *env[] = { NULL };
	int argc = 2;

	ck_assert_int_eq(params_parse(&none, &argc, argv, env), 0);
}

static int temp_unnamed(void *arg)
{
	use_tmpfile(true);
	return temps(false);
}

static int temp_named(void *arg)
{
	use_tmpfile(false);
	return temps(true);
}

/* What is cancelled half way leaves no file of its own. */
static int temp_canceled(void *arg)
{
	struct mn_scope scope;
	struct mn_temp temp;

	use_tmpfile(false);
	mn_scope_open(&scope, NULL);
	ok(mn_temp_open(&temp, in_dir("."), 0600));
	mn_scope_cancel(&scope);
	is(mn_temp_commit(&temp, "target", 0), -ECANCELED);
	ok(mn_temp_close(&temp));
	ok(mn_scope_join(&scope));
	is(nr_files(), 0);
	return 0;
}

/* --- locks --- */

struct locker {
	struct mn_file *file;
	bool locked;
	int err;
};

static int locker(void *arg)
{
	struct locker *l = arg;

	l->err = mn_file_lock(l->file, MN_LOCK_EXCLUSIVE, 0, 0);
	l->locked = !l->err;
	return 0;
}

static int locks(void *arg)
{
	struct mn_file one, two;
	struct locker l = { .file = &two };
	struct mn_fiber *fiber;
	struct mn_scope scope;

	file_make(&one, "lock", 100);
	ok(mn_file_open(&two, in_dir("lock"), O_RDWR, 0));
	ok(mn_file_trylock(&one, MN_LOCK_SHARED, 0, 0));
	ok(mn_file_trylock(&two, MN_LOCK_SHARED, 0, 0));
	is(mn_file_trylock(&two, MN_LOCK_EXCLUSIVE, 0, 0), -EAGAIN);
	ok(mn_file_unlock(&two, 0, 0));
	ok(mn_file_trylock(&one, MN_LOCK_EXCLUSIVE, 10, 10));
	is(mn_file_trylock(&two, MN_LOCK_SHARED, 19, 1), -EAGAIN);
	ok(mn_file_trylock(&two, MN_LOCK_SHARED, 20, 1));

	ok(mn_spawn(locker, &l, &fiber));
	mn_sleep(20 * MN_MSEC);
	ck_assert(!l.locked);
	ok(mn_file_unlock(&one, 0, 0));
	ok(mn_join(fiber));
	ok(l.err);
	is(mn_file_trylock(&one, MN_LOCK_SHARED, 0, 1), -EAGAIN);

	mn_scope_open(&scope, &(struct mn_scope_options){ .timeout_ns = 30 * MN_MSEC });
	is(mn_file_lock(&one, MN_LOCK_SHARED, 0, 0), -ETIMEDOUT);
	ok(mn_scope_join(&scope));
	ok(mn_file_close(&two));	/* gives it back */
	ok(mn_file_lock(&one, MN_LOCK_SHARED, 0, 0));
	is(mn_file_trylock(&one, MN_LOCK_SHARED, -1, 0), -EINVAL);
	ok(mn_file_close(&one));
	ok(mn_file_open(&one, in_dir("lock"), O_RDONLY, 0));
	is(mn_file_trylock(&one, MN_LOCK_EXCLUSIVE, 0, 0), -EBADF);
	ok(mn_file_close(&one));
	return 0;
}

static const struct script scripts[] = {
	{ "names", names },	      { "beneath", beneath },
	{ "listing", listing },	      { "temp_unnamed", temp_unnamed },
	{ "temp_named", temp_named }, { "temp_canceled", temp_canceled },
	{ "locks", locks },
};

SCRIPT_TEST(names_are_the_same_on_every_backend, scripts)

TCase *tcase_file_names(void)
{
	TCase *tc = tcase_create("names");

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	script_test(tc, names_are_the_same_on_every_backend, scripts);
	return tc;
}
