// SPDX-License-Identifier: MIT
/*
 * A seccomp filter without io_uring, as containers have it: whatever may
 * choose goes on with libev and says so, and who insists is told why not. With
 * MN_TEST_DENY=EPERM (or ENOSYS) in the environment all tests run like that.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <miniss/run.h>

#include "tests/denied.h"
#include "tests/run.h"
#include "tests/spawn.h"
#include "tests/suites.h"

static int deny(int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return -errno;
	return 0;
}

int deny_as_named(const char *name)
{
	if (!strcmp(name, "EPERM"))
		return deny(EPERM);
	return strcmp(name, "ENOSYS") ? -EINVAL : deny(ENOSYS);
}

/* A test is a process of its own: it ends with the filter. */
static const struct denial {
	const char *name, *text;
} denials[] = {
	{ "EPERM", "Operation not permitted" },
	{ "ENOSYS", "Function not implemented" },
};

static bool denied(const struct denial *d)
{
	int err = getenv("MN_TEST_DENY") ? -EBUSY : deny_as_named(d->name);

	if (err)
		printf("skipped: a seccomp filter: %s\n", strerror(-err));
	return !err;
}

static void said(const struct program *p, const char *text)
{
	ck_assert_msg(strstr(p->text[1], text), "no \"%s\" in:\n%s", text, p->text[1]);
}

START_TEST(who_insists_on_io_uring_is_told_why_not)
{
	static struct program p;

	need_backend("io_uring");
	if (!denied(&denials[_i]))
		return;
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-hello", "--backend=io_uring")), 1);
	program_err(&p);
	said(&p, "--backend=io_uring");
	said(&p, denials[_i].text);
}
END_TEST

START_TEST(who_may_choose_goes_on_with_libev)
{
	static struct program p;

	need_backend("io_uring");
	need_backend("libev");
	if (!denied(&denials[_i]))
		return;
	ck_assert_int_eq(program_run(&p, NULL, ARGS("mn-hello")), 0);
	ck_assert_ptr_nonnull(strstr(program_out(&p), "hello world"));
	program_err(&p);
	if (!IS_ENABLED(CONFIG_BACKEND_DEFAULT_IO_URING))
		return;		/* it was not asked at all */
	said(&p, "io_uring");
	said(&p, denials[_i].text);
	said(&p, "trying libev");
}
END_TEST

static int serves(void *arg)
{
	return 0;
}

START_TEST(worlds_of_it_do_not_open)
{
	need_backend("io_uring");
	if (!denied(&denials[_i]))
		return;
	ck_assert_int_eq(run_main("io_uring", 1, serves, NULL), RUN_SKIPPED);
}
END_TEST

Suite *suite_denied(void)
{
	Suite *s = suite_create("denied");
	TCase *tc = tcase_create("denied");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, who_insists_on_io_uring_is_told_why_not, 0, ARRAY_SIZE(denials));
	tcase_add_loop_test(tc, who_may_choose_goes_on_with_libev, 0, ARRAY_SIZE(denials));
	tcase_add_loop_test(tc, worlds_of_it_do_not_open, 0, ARRAY_SIZE(denials));
	suite_add_tcase(s, tc);
	return s;
}
