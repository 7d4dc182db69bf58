// SPDX-License-Identifier: MIT
/* Choosing drivers, with tables of the test's own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/driver.h"
#include "tests/suites.h"

static const char *probed_arg;

static int probe_works(const char *arg)
{
	probed_arg = arg;
	return 0;
}

static int probe_denied(const char *arg)
{
	return -EPERM;
}

static int probe_nomem(const char *arg)
{
	return -ENOMEM;
}

static const struct driver ring = { .name = "ring", .rating = 300, .probe = probe_works };
static const struct driver denied = {
	.name = "denied",
	.rating = 350,
	.probe = probe_denied,
	.hint = "the sysctl?",
};
static const struct driver nomem = { .name = "nomem", .rating = 320, .probe = probe_nomem };
static const struct driver alpha = { .name = "alpha", .rating = 200 };
static const struct driver beta = { .name = "beta", .rating = 200 };
static const struct driver toy = { .name = "toy", .rating = 0 };

static struct driver_choice choice;

#define KIND(preference, ...)                                      \
	(&(struct driver_kind){                                    \
		.title = "thing",                                  \
		.option = "--thing",                               \
		.preferred = preference,                           \
		.start = (const struct driver *[]){ __VA_ARGS__ }, \
	})

static int choose_after(struct driver_kind *kind, size_t n, const char *request,
			const struct driver *after)
{
	kind->stop = kind->start + n;
	test_stderr_begin();
	return driver_choose(kind, request, "--thing", after, &choice);
}

#define NR(...) (sizeof((const struct driver *[]){ __VA_ARGS__ }) / sizeof(void *))
#define choose(preference, request, ...) \
	choose_after(KIND(preference, __VA_ARGS__), NR(__VA_ARGS__), request, NULL)

static void ck_said(const char *text)
{
	const char *said = test_stderr_end();

	ck_assert_msg(strstr(said, text), "\"%s\" is not in \"%s\"", text, said);
}

START_TEST(the_best_rating_wins_in_any_link_order)
{
	ck_assert_int_eq(choose("", NULL, &alpha, &ring, &toy), 0);
	ck_assert_ptr_eq(choice.driver, &ring);
	ck_assert_int_eq(choose("", NULL, &ring, &toy, &alpha), 0);
	ck_assert_ptr_eq(choice.driver, &ring);
	ck_assert_ptr_null(choice.arg);
	ck_assert_str_eq(test_stderr_end(), "");
}
END_TEST

START_TEST(equal_ratings_resolve_by_name)
{
	ck_assert_int_eq(choose("", NULL, &beta, &alpha), 0);
	ck_assert_ptr_eq(choice.driver, &alpha);
	ck_assert_int_eq(choose("", NULL, &alpha, &beta), 0);
	ck_assert_ptr_eq(choice.driver, &alpha);
}
END_TEST

START_TEST(the_preference_comes_first_and_falls_back)
{
	ck_assert_int_eq(choose("beta", NULL, &ring, &alpha, &beta), 0);
	ck_assert_ptr_eq(choice.driver, &beta);
	ck_assert_str_eq(choice.reason, "preferred by the configuration");
	ck_assert_int_eq(choose("nomem", NULL, &alpha, &nomem, &ring), 0);
	ck_assert_ptr_eq(choice.driver, &ring);
	ck_said("thing nomem: Cannot allocate memory; trying ring");
}
END_TEST

START_TEST(each_that_fails_is_named_with_the_reason)
{
	const char *said;

	ck_assert_int_eq(choose("", NULL, &alpha, &denied, &nomem), 0);
	ck_assert_ptr_eq(choice.driver, &alpha);
	ck_said("thing denied: Operation not permitted (the sysctl?); trying nomem\n");
	ck_said("thing nomem: Cannot allocate memory; trying alpha\n");
	ck_assert_str_eq(choice.reason, "nomem: Cannot allocate memory");
	said = strchr(test_stderr_end(), '\n');
	ck_assert_ptr_eq(strchr(said + 1, '\n'), strrchr(said, '\n'));
}
END_TEST

START_TEST(when_all_fail_nothing_is_chosen)
{
	ck_assert_int_eq(choose("", NULL, &denied, &nomem, &toy), -ENODEV);
	ck_said("thing nomem: Cannot allocate memory; there is no other\n");
}
END_TEST

START_TEST(a_request_is_used_with_its_argument)
{
	ck_assert_int_eq(choose("", "toy", &ring, &toy), 0);
	ck_assert_ptr_eq(choice.driver, &toy);
	ck_assert_ptr_null(choice.arg);
	ck_assert_str_eq(choice.reason, "asked for by --thing");
	ck_assert_int_eq(choose("", "ring:seed:7", &ring, &toy), 0);
	ck_assert_ptr_eq(choice.driver, &ring);
	ck_assert_str_eq(choice.arg, "seed:7");
	ck_assert_str_eq(probed_arg, "seed:7");
}
END_TEST

START_TEST(a_request_never_falls_back)
{
	ck_assert_int_eq(choose("", "denied", &ring, &denied), -ENODEV);
	ck_said("--thing=denied: cannot be used here: Operation not permitted (the sysctl?)\n");
	ck_assert_int_eq(choose_after(KIND("", &ring, &alpha), 2, "ring", &ring), -ENODEV);
}
END_TEST

START_TEST(unknown_names_list_the_known)
{
	static const char *const unknown[] = { "rin", "ringo", "RING", "", ":7" };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		char text[64];

		ck_assert_int_eq(choose("", unknown[i], &alpha, &ring), -EINVAL);
		snprintf(text, sizeof(text), "--thing=%s: no such thing; known: ring, alpha\n",
			 unknown[i]);
		ck_said(text);
	}
}
END_TEST

START_TEST(after_a_failed_open_the_next_is_tried)
{
	struct driver_kind *kind = KIND("beta", &alpha, &beta, &ring, &toy);

	ck_assert_int_eq(choose_after(kind, 4, NULL, &beta), 0);
	ck_assert_ptr_eq(choice.driver, &ring);
	ck_assert_str_eq(choice.reason, "beta could not be opened");
	ck_assert_int_eq(choose_after(kind, 4, NULL, &ring), 0);
	ck_assert_ptr_eq(choice.driver, &alpha);
	/* The toy is not for serving. */
	ck_assert_int_eq(choose_after(kind, 4, NULL, &alpha), -ENODEV);
	ck_said("there is no other thing\n");
}
END_TEST

START_TEST(the_list_shows_ratings_and_reasons)
{
	struct driver_kind *kind = KIND("", &toy, &denied, &ring);

	kind->stop = kind->start + 3;
	test_stderr_begin();
	ck_assert_int_ge(dup2(2, 1), 0);
	driver_list(kind);
	fflush(stdout);
	ck_assert_str_eq(test_stderr_end(),
			 "thing (--thing=NAME)\n"
			 "  denied       350  Operation not permitted (the sysctl?)\n"
			 "  ring         300  works\n"
			 "  toy            0  works; only on request\n");
}
END_TEST

START_TEST(the_built_kinds_have_drivers)
{
	static const struct driver_kind *const kinds[] = {
		&backend_kind,
		&timer_queue_kind,
		&queue_kind,
	};
	const struct driver *const *d;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ck_assert(kinds[i]->start < kinds[i]->stop);
		for (d = kinds[i]->start; d < kinds[i]->stop; d++) {
			ck_assert_ptr_nonnull((*d)->name);
			ck_assert_ptr_null(strchr((*d)->name, ':'));
			ck_assert((*d)->rating >= 0 && (*d)->rating < 400);
		}
	}
}
END_TEST

Suite *suite_driver(void)
{
	Suite *suite = suite_create("driver");
	TCase *tc = tcase_create("driver");

	tcase_add_test(tc, the_best_rating_wins_in_any_link_order);
	tcase_add_test(tc, equal_ratings_resolve_by_name);
	tcase_add_test(tc, the_preference_comes_first_and_falls_back);
	tcase_add_test(tc, each_that_fails_is_named_with_the_reason);
	tcase_add_test(tc, when_all_fail_nothing_is_chosen);
	tcase_add_test(tc, a_request_is_used_with_its_argument);
	tcase_add_test(tc, a_request_never_falls_back);
	tcase_add_test(tc, unknown_names_list_the_known);
	tcase_add_test(tc, after_a_failed_open_the_next_is_tried);
	tcase_add_test(tc, the_list_shows_ratings_and_reasons);
	tcase_add_test(tc, the_built_kinds_have_drivers);
	suite_add_tcase(suite, tc);
	return suite;
}
