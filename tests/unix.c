// SPDX-License-Identifier: MIT
/*
 * Streams over Unix sockets: served by every shard through one listener, and
 * the files that they leave, or must not. Each case on every backend with 1,
 * 2 and 8 shards; no descriptor and no buffer may be left.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "tests/sharded.h"
#include "tests/site.h"
#include "tests/suites.h"
#include "tests/world.h"

static char dir[32], path[64], addr[80], abstract[80];

static void names_make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/mn-unix-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(addr, sizeof(addr), "unix:%s", path);
	snprintf(abstract, sizeof(abstract), "unix:@mn-test-%d", (int)getpid());
}

static void names_drop(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);	/* nothing else was left in there */
}

/* The file system is not in the virtual world. */
static bool no_files(void)
{
	return mn_self->virtual_time;
}

static bool there(void)
{
	struct stat st;

	return !lstat(path, &st);
}

/* --- echo --- */

static atomic_uint served[8];

static int counted_echo(struct mn_stream *conn, void *arg)
{
	atomic_fetch_add(&served[mn_shard()], 1);
	return echo_conn(conn, arg);
}

static int talk(void *arg)
{
	struct mn_stream *stream = site_connect(arg);

	send_pattern(stream, 0, 100000);
	expect_pattern(stream, 0, 100000);
	ck_assert_int_eq(mn_stream_shutdown(stream), 0);
	expect_end(stream);
	return mn_stream_close(stream);
}

static int talk_often(void *arg)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(talk(arg), 0);
	return 0;
}

static void echo_at(const char *where, mn_input_fn on_input)
{
	struct site site = { .conf.addr = where };

	if (on_input)
		site.conf.on_input = on_input;
	else
		site.conf.on_conn = counted_echo;
	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_str_eq(site.addr, where);
	ck_assert_int_eq(mn_call_all(talk_often, &site), 0);
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert(!there());
}

static int path_fiber(void *arg)
{
	echo_at(addr, NULL);
	return 0;
}

static int path_input_fiber(void *arg)
{
	echo_at(addr, echo_input);
	return 0;
}

static int name_fiber(void *arg)
{
	echo_at(abstract, NULL);
	return 0;
}

START_TEST(every_shard_is_reached_at_a_path_and_at_a_name)
{
	names_make();
	sharded_run_backend(_i, path_fiber);
	sharded_run_backend(_i, path_input_fiber);
	sharded_run_backend(_i, name_fiber);
	names_drop();
}
END_TEST

static int even_fiber(void *arg)
{
	enum { EACH = 4 };
	struct site site = { .conf = { .addr = addr, .on_conn = counted_echo } };
	struct mn_stream *stream[8 * EACH];
	unsigned int n = EACH * mn_shards();

	memset(served, 0, sizeof(served));
	ck_assert_int_eq(site_open(&site), 0);
	for (unsigned int i = 0; i < n; i++) {
		stream[i] = site_connect(&site);
		send_pattern(stream[i], 0, 10);
		expect_pattern(stream[i], 0, 10);
	}
	for (unsigned int i = 0; i < mn_shards(); i++)
		ck_assert_uint_eq(atomic_load(&served[i]), EACH);
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	return site_close(&site);
}

START_TEST(connections_of_one_listener_are_shared_out_evenly)
{
	names_make();
	sharded_run_backend(_i, even_fiber);
	names_drop();
}
END_TEST

/* --- the file --- */

static void leave_dead_socket(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	close(fd);
	ck_assert(there());
}

static int file_fiber(void *arg)
{
	struct site site = { .conf.addr = addr }, second = { .conf.addr = addr };
	struct mn_stream *stream;

	if (no_files())
		return 0;
	ck_assert_int_eq(mn_connect(addr, MN_SEC, &stream), -ENOENT);
	leave_dead_socket();
	ck_assert_int_eq(mn_connect(addr, MN_SEC, &stream), -ECONNREFUSED);
	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(site_open(&second), -EADDRINUSE);
	ck_assert_int_eq(mn_join(second.fiber), -EADDRINUSE);
	ck_assert_int_eq(talk(&site), 0);	/* the one that was refused has not harmed it */
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert(!there());
	return 0;
}

START_TEST(a_dead_socket_is_replaced_and_one_that_answers_is_not)
{
	names_make();
	sharded_run_backend(_i, file_fiber);
	names_drop();
}
END_TEST

static int foreign_fiber(void *arg)
{
	struct site site = { .conf.addr = addr };
	int fd;

	if (no_files())
		return 0;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	ck_assert_int_eq(site_open(&site), -EADDRINUSE);
	ck_assert_int_eq(mn_join(site.fiber), -EADDRINUSE);
	ck_assert(there());
	ck_assert_int_eq(unlink(path), 0);

	/* Somebody replaces ours: then it is not ours to remove. */
	site = (struct site){ .conf.addr = addr };
	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(unlink(path), 0);
	leave_dead_socket();
	ck_assert_int_eq(site_close(&site), 0);
	ck_assert(there());
	return unlink(path);
}

START_TEST(files_of_others_stay)
{
	names_make();
	sharded_run_backend(_i, foreign_fiber);
	names_drop();
}
END_TEST

static unsigned int mode;

static int mode_fiber(void *arg)
{
	struct site site = { .conf = { .addr = addr, .unix_mode = mode } };
	struct stat st = { .st_mode = 0 };

	if (no_files())
		return 0;
	ck_assert_int_eq(site_open(&site), 0);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, mode ? mode : 0750);
	ck_assert_int_eq(talk(&site), 0);
	return site_close(&site);
}

START_TEST(the_file_has_the_permissions_that_were_asked_for)
{
	static const unsigned int modes[] = { 0, 0600, 0666 };

	umask(027);
	names_make();
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		mode = modes[i];
		sharded_run_backend(_i, mode_fiber);
	}
	names_drop();
}
END_TEST

static int addresses_fiber(void *arg)
{
	char text[200] = "unix:/";
	struct mn_stream *stream;

	ck_assert_int_eq(mn_connect("unix:", MN_SEC, &stream), -EINVAL);
	ck_assert_int_eq(mn_connect("unix:@", MN_SEC, &stream), -EINVAL);
	memset(text + 6, 'x', 107);
	ck_assert_int_eq(mn_connect(text, MN_SEC, &stream), -ENAMETOOLONG);
	ck_assert_int_eq(mn_serve(text, echo_conn, NULL), -ENAMETOOLONG);
	text[5] = '@';	/* has a byte of its own, and needs none at the end */
	ck_assert_int_eq(mn_connect(text, MN_SEC, &stream), -ENAMETOOLONG);
	text[5 + 107] = '\0';
	ck_assert_int_eq(mn_connect(text, MN_SEC, &stream), -ECONNREFUSED);
	ck_assert_int_eq(mn_serve_with(&(struct mn_server){
				 .addr = addr, .on_conn = echo_conn, .unix_mode = 01000 }),
			 -EINVAL);
	return 0;
}

START_TEST(addresses_that_cannot_be_are_refused)
{
	names_make();
	sharded_run_backend(_i, addresses_fiber);
	names_drop();
}
END_TEST

static int peer_conn(struct mn_stream *conn, void *arg)
{
	char text[MN_ADDR_TEXT_MAX];

	ck_assert_int_eq(mn_stream_peer(conn, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "unix:");
	return echo_conn(conn, arg);
}

static int peer_fiber(void *arg)
{
	struct site site = { .conf = { .addr = addr, .on_conn = peer_conn } };
	char text[MN_ADDR_TEXT_MAX];
	struct mn_stream *stream;
	struct mn_cred cred;

	ck_assert_int_eq(site_open(&site), 0);
	stream = site_connect(&site);
	ck_assert_int_eq(mn_stream_peer(stream, text, sizeof(text)), 0);
	ck_assert_str_eq(text, addr);
	if (!mn_self->virtual_time) {
		ck_assert_int_eq(mn_stream_cred(stream, &cred), 0);
		ck_assert_int_eq(cred.pid, getpid());
		ck_assert_uint_eq(cred.uid, getuid());
		ck_assert_uint_eq(cred.gid, getgid());
	}
	send_pattern(stream, 0, 100);
	expect_pattern(stream, 0, 100);
	ck_assert_int_eq(mn_stream_close(stream), 0);
	return site_close(&site);
}

START_TEST(peers_have_the_names_that_they_were_bound_to)
{
	names_make();
	sharded_run_backend(_i, peer_fiber);
	names_drop();
}
END_TEST

/* --- a backlog that is full --- */

static int wait_connect(void *arg)
{
	struct mn_stream *stream;
	int err = mn_connect(addr, 10 * MN_SEC, &stream);

	return err ? err : mn_stream_close(stream);
}

static int backlog_fiber(void *arg)
{
	struct site site = { .conf = { .addr = addr, .conns_max = 1, .backlog = 1 } };
	struct mn_stream *stream[6];
	struct mn_fiber *late, *canceled;
	int n = 0, err;

	if (mn_shards() > 1)	/* conns_max is of each shard */
		return 0;
	ck_assert_int_eq(site_open(&site), 0);
	while (!(err = mn_connect(addr, 30 * MN_MSEC, &stream[n])))
		ck_assert_int_lt(++n, 6);
	ck_assert_int_eq(err, -ETIMEDOUT);
	ck_assert_int_eq(mn_spawn(wait_connect, NULL, &late), 0);
	ck_assert_int_eq(mn_spawn(wait_connect, NULL, &canceled), 0);
	mn_sleep(5 * MN_MSEC);
	mn_fiber_cancel(canceled);
	ck_assert_int_eq(mn_join(canceled), -ECANCELED);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(mn_stream_close(stream[i]), 0);
	ck_assert_int_eq(mn_join(late), 0);
	return site_close(&site);
}

START_TEST(who_finds_the_backlog_full_waits_until_its_time_is_up)
{
	names_make();
	sharded_run_backend(_i, backlog_fiber);
	names_drop();
}
END_TEST

Suite *suite_unix_sockets(void)
{
	Suite *s = suite_create("unix_sockets");
	TCase *tc = tcase_create("unix_sockets");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, every_shard_is_reached_at_a_path_and_at_a_name, 0, n);
	tcase_add_loop_test(tc, connections_of_one_listener_are_shared_out_evenly, 0, n);
	tcase_add_loop_test(tc, a_dead_socket_is_replaced_and_one_that_answers_is_not, 0, n);
	tcase_add_loop_test(tc, files_of_others_stay, 0, n);
	tcase_add_loop_test(tc, the_file_has_the_permissions_that_were_asked_for, 0, n);
	tcase_add_loop_test(tc, addresses_that_cannot_be_are_refused, 0, n);
	tcase_add_loop_test(tc, peers_have_the_names_that_they_were_bound_to, 0, n);
	tcase_add_loop_test(tc, who_finds_the_backlog_full_waits_until_its_time_is_up, 0, n);
	suite_add_tcase(s, tc);
	return s;
}
