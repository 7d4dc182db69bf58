// SPDX-License-Identifier: MIT
/* Datagrams over Unix sockets: nothing is lost, and descriptors come along. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/net/dgram.h"
#include "tests/dgram.h"
#include "tests/sharded.h"
#include "tests/suites.h"
#include "tests/world.h"

static char path[64], at[80], name[80];

static void names_make(void)
{
	snprintf(path, sizeof(path), "/tmp/mn-dgram-%d", (int)getpid());
	snprintf(at, sizeof(at), "unix:%s", path);
	snprintf(name, sizeof(name), "unix:@mn-dgram-%d", (int)getpid());
	unlink(path);
}

/* --- nothing is lost --- */

#define MANY	2000

struct sender {
	struct mn_dgram *d;
	const char *to;		/* NULL: it is connected */
};

static int send_many(void *arg)
{
	const struct sender *s = arg;
	struct mn_addr to;

	if (s->to)
		ck_assert_int_eq(mn_addr_parse(s->to, &to), 0);
	for (uint32_t i = 0; i < MANY; i++)
		ck_assert_int_eq(mn_dgram_send_copy(s->d, s->to ? &to : NULL, &i, sizeof(i)), 0);
	return 0;
}

static void expect_many(struct mn_dgram *d)
{
	for (uint32_t i = 0; i < MANY; i++) {
		struct mn_packet packet;
		uint32_t got;

		if (i % 100 == 0)
			mn_sleep(MN_MSEC);	/* who receives slowly */
		ck_assert_int_eq(mn_dgram_recv(d, &packet, 1), 1);
		memcpy(&got, packet.buf.data, sizeof(got));
		if (packet.buf.len != sizeof(got) || got != i)
			ck_abort_msg("%u instead of %u", got, i);
		mn_packet_free(&packet);
	}
}

static void lossless(const char *bind, bool connected, size_t size_max)
{
	struct mn_dgram *server = dgram(
		&(struct mn_dgram_conf){ .bind = bind, .queue_max = 16, .size_max = size_max });
	struct sender s = { .to = connected ? NULL : bind };
	struct mn_fiber *fiber;

	s.d = dgram(
		&(struct mn_dgram_conf){ .family = AF_UNIX, .connect = connected ? bind : NULL });
	ck_assert_int_eq(mn_spawn(send_many, &s, &fiber), 0);
	expect_many(server);
	ck_assert_int_eq(mn_join(fiber), 0);
	mn_dgram_close(s.d);
	mn_dgram_close(server);
}

static int lossless_fiber(void *arg)
{
	lossless(at, true, 0);
	lossless(name, true, 0);
	lossless(at, false, 0);
	lossless(at, true, 65536);
	ck_assert_int_ne(access(path, F_OK), 0);
	return 0;
}

START_TEST(who_sends_faster_than_the_other_receives_waits)
{
	names_make();
	sharded_run_backend(_i, lossless_fiber);
}
END_TEST

static int back_fiber(void *arg)
{
	struct mn_dgram *server, *client;
	struct mn_packet packet;
	char text[MN_ADDR_TEXT_MAX];

	server = dgram(&(struct mn_dgram_conf){ .bind = at });
	client = dgram(&(struct mn_dgram_conf){ .bind = name, .connect = at });
	packet_put(client, 3, 2000);
	ck_assert_int_eq(mn_dgram_recv(server, &packet, 1), 1);
	mn_addr_format(&packet.peer, text, sizeof(text));
	ck_assert_str_eq(text, name);
	ck_assert_int_eq(mn_dgram_send(server, &packet, 1), 1);
	packet_expect(client, 3, 2000);
	mn_dgram_close(server);
	ck_assert_int_eq(mn_dgram_send_copy(client, NULL, "x", 1), -ECONNREFUSED);
	mn_dgram_close(client);
	return 0;
}

START_TEST(a_peer_with_a_name_is_answered)
{
	names_make();
	sharded_run_backend(_i, back_fiber);
}
END_TEST

/* --- seqpacket --- */

static struct mn_dgram *listening(const char *bind)
{
	return dgram(&(struct mn_dgram_conf){ .bind = bind, .seqpacket = true });
}

static struct mn_dgram *connecting(const char *to)
{
	return dgram(&(struct mn_dgram_conf){ .connect = to, .seqpacket = true });
}

static int accept_echo(void *arg)
{
	struct mn_packet packet;
	struct mn_dgram *conn;
	struct mn_cred cred;
	int n;

	ck_assert_int_eq(mn_dgram_accept(arg, &conn), 0);
	ck_assert_int_eq(mn_dgram_cred(conn, &cred), 0);
	ck_assert_int_eq(cred.pid, getpid());
	ck_assert_uint_eq(cred.uid, getuid());
	ck_assert_uint_eq(cred.gid, getgid());
	while ((n = mn_dgram_recv(conn, &packet, 1)) == 1)
		ck_assert_int_eq(mn_dgram_send(conn, &packet, 1), 1);
	mn_dgram_close(conn);
	return n;
}

static int seqpacket_fiber(void *arg)
{
	static const char *const where[] = { at, name };

	if (is_virtual())
		return 0;
	for (size_t w = 0; w < ARRAY_SIZE(where); w++) {
		struct mn_dgram *listener = listening(where[w]), *client;
		struct mn_packet packet;
		struct mn_fiber *server;

		ck_assert_int_eq(mn_spawn(accept_echo, listener, &server), 0);
		client = connecting(where[w]);
		for (size_t i = 1; i < 100; i++)
			packet_put(client, i, i * 30);
		for (size_t i = 1; i < 100; i++)
			packet_expect(client, i, i * 30);
		ck_assert_int_eq(mn_dgram_send_copy(client, NULL, "", 0), -EINVAL);
		ck_assert_int_eq(mn_dgram_recv(listener, &packet, 1), -EINVAL);
		mn_dgram_close(client);
		ck_assert_int_eq(mn_join(server), 0);	/* the end */
		mn_dgram_close(listener);
	}
	ck_assert_int_ne(access(path, F_OK), 0);
	return 0;
}

START_TEST(seqpackets_keep_their_bounds_and_have_an_end)
{
	names_make();
	sharded_run_backend(_i, seqpacket_fiber);
}
END_TEST

static int accept_one(void *arg)
{
	struct mn_dgram *conn;

	return mn_dgram_accept(arg, &conn);
}

static int ended_fiber(void *arg)
{
	struct mn_dgram *listener, *client, *conn;
	struct mn_packet packet;
	struct mn_fiber *fiber;

	if (is_virtual())
		return 0;
	listener = listening(name);
	client = connecting(name);
	ck_assert_int_eq(mn_dgram_accept(listener, &conn), 0);
	packet_put(conn, 0, 10);
	mn_dgram_close(conn);
	packet_expect(client, 0, 10);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mn_dgram_recv(client, &packet, 1), 0);
	ck_assert_int_eq(mn_dgram_send_copy(client, NULL, "x", 1), -EPIPE);
	mn_dgram_close(client);
	ck_assert_int_eq(mn_spawn(accept_one, listener, &fiber), 0);
	mn_sleep(MN_MSEC);
	mn_fiber_cancel(fiber);
	ck_assert_int_eq(mn_join(fiber), -ECANCELED);
	mn_dgram_close(connecting(name));
	mn_dgram_close(listener);
	ck_assert_int_eq(
		mn_dgram_open(&(struct mn_dgram_conf){ .connect = name, .seqpacket = true },
				       &client),
			 -ECONNREFUSED);
	return 0;
}

START_TEST(the_end_of_a_connection_is_told_as_often_as_it_is_asked_for)
{
	names_make();
	sharded_run_backend(_i, ended_fiber);
}
END_TEST

/* --- descriptors and credentials --- */

static int nr_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void pass(struct mn_dgram *from, struct mn_dgram *to, size_t len)
{
	struct mn_packet packet = { .buf = mn_buf_static("pipe", len) };
	int end[2], got;
	char byte = 0;

	ck_assert_int_eq(pipe(end), 0);
	packet.fd[packet.nr_fds++] = end[1];
	ck_assert_int_eq(mn_dgram_send(from, &packet, 1), 1);
	close(end[1]);
	ck_assert_int_eq(mn_dgram_recv(to, &packet, 1), 1);
	ck_assert_uint_eq(packet.buf.len, len);
	ck_assert_uint_eq(packet.nr_fds, 1);
	ck_assert(!packet.fds_lost);
	got = packet.fd[0];
	ck_assert_int_eq(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(write(got, "x", 1), 1);
	ck_assert_int_eq(read(end[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'x');
	mn_packet_free(&packet);	/* closes it, too: the pipe ends */
	ck_assert_int_eq(read(end[0], &byte, 1), 0);
	close(end[0]);
}

static int pass_fiber(void *arg)
{
	struct mn_dgram *server, *client, *listener;
	int before;

	if (is_virtual())
		return 0;
	server = dgram(&(struct mn_dgram_conf){ .bind = name });
	client = dgram(&(struct mn_dgram_conf){ .connect = name });
	mn_sleep(MN_MSEC);
	before = nr_fds();
	pass(client, server, 4);
	pass(client, server, 0);
	ck_assert_int_eq(nr_fds(), before);
	mn_dgram_close(client);
	mn_dgram_close(server);

	listener = listening(name);
	client = connecting(name);
	ck_assert_int_eq(mn_dgram_accept(listener, &server), 0);
	pass(client, server, 4);
	pass(server, client, 4);
	mn_dgram_close(client);
	mn_dgram_close(server);
	mn_dgram_close(listener);
	return 0;
}

START_TEST(descriptors_come_along_and_are_closed_with_what_brought_them)
{
	names_make();
	sharded_run_backend(_i, pass_fiber);
}
END_TEST

/* From a plain socket, as many as it likes. */
static void send_fds(int nr, int fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char control[CMSG_SPACE(64 * sizeof(int))] __attribute__((aligned(16))) = { 0 };
	struct iovec iov = { (char[]){ "many" }, 4 };
	size_t len = (size_t)nr * sizeof(int);
	struct msghdr hdr = { .msg_name = &un,
			      .msg_namelen = sizeof(sa_family_t) + (socklen_t)strlen(name) - 5,
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(len) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
	int from = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(un.sun_path + 1, name + 6, strlen(name) - 6);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(len);
	for (int i = 0; i < nr; i++)
		memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &fd, sizeof(int));
	ck_assert_int_eq(sendmsg(from, &hdr, 0), 4);
	close(from);
}

static void expect_fds(struct mn_dgram *d, unsigned int nr, bool lost)
{
	struct mn_packet packet;

	ck_assert_int_eq(mn_dgram_recv(d, &packet, 1), 1);
	ck_assert_uint_eq(packet.buf.len, 4);
	ck_assert_uint_eq(packet.nr_fds, nr);
	ck_assert_int_eq(packet.fds_lost, lost);
	mn_packet_free(&packet);
}

static void many_fds(const struct mn_dgram_conf *conf)
{
	struct mn_dgram *d = dgram(conf);
	int before, end[2];
	char byte;

	ck_assert_int_eq(pipe(end), 0);
	before = nr_fds();
	send_fds(MN_PACKET_FDS, end[1]);
	expect_fds(d, MN_PACKET_FDS, false);
	send_fds(MN_PACKET_FDS + 1, end[1]);
	expect_fds(d, MN_PACKET_FDS, true);
	send_fds(60, end[1]);
	expect_fds(d, MN_PACKET_FDS, true);
	ck_assert_int_eq(nr_fds(), before);
	for (int i = 0; i < 10; i++)
		send_fds(3, end[1]);	/* nobody takes these */
	mn_sleep(MN_MSEC);
	mn_dgram_close(d);
	close(end[1]);
	ck_assert_int_eq(read(end[0], &byte, 1), 0);
	close(end[0]);
}

static int many_fiber(void *arg)
{
	if (is_virtual())
		return 0;
	many_fds(&(struct mn_dgram_conf){ .bind = name });
	many_fds(&(struct mn_dgram_conf){ .bind = name, .creds = true });
	many_fds(&(struct mn_dgram_conf){ .bind = name, .size_max = 65536 });
	many_fds(&(struct mn_dgram_conf){ .bind = name, .size_max = 65536, .queue_max = 1 });
	return 0;
}

START_TEST(descriptors_that_are_too_many_or_not_taken_are_closed)
{
	names_make();
	sharded_run_backend(_i, many_fiber);
}
END_TEST

/* The process has as many as it may: what comes along is lost, and the rest is not. */
static int emfile_fiber(void *arg)
{
	struct rlimit old, tight;
	struct mn_dgram *d;
	int end[2];

	if (is_virtual())
		return 0;
	d = dgram(&(struct mn_dgram_conf){ .bind = name });
	ck_assert_int_eq(pipe(end), 0);
	send_fds(2, end[1]);	/* waits in the socket until this fiber does */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	expect_fds(d, 0, true);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	send_fds(2, end[1]);
	expect_fds(d, 2, false);
	mn_dgram_close(d);
	close(end[0]);
	close(end[1]);
	return 0;
}

START_TEST(descriptors_beyond_the_limit_of_the_process_are_lost_alone)
{
	names_make();
	sharded_run_backend(_i, emfile_fiber);
}
END_TEST

static int creds_fiber(void *arg)
{
	struct mn_dgram *server, *client;
	struct mn_packet packet;

	if (is_virtual())
		return 0;
	for (size_t size_max = 0; size_max <= 65536; size_max += 65536) {
		server = dgram(&(struct mn_dgram_conf){
			.bind = name, .creds = true, .size_max = size_max });
		client = dgram(&(struct mn_dgram_conf){ .connect = name });
		packet_put(client, 1, 100);
		ck_assert_int_eq(mn_dgram_recv(server, &packet, 1), 1);
		ck_assert_int_eq(packet.cred.pid, getpid());
		ck_assert_uint_eq(packet.cred.uid, getuid());
		ck_assert_uint_eq(packet.cred.gid, getgid());
		mn_packet_free(&packet);
		mn_dgram_close(client);
		mn_dgram_close(server);
	}
	return 0;
}

START_TEST(the_kernel_says_who_sent_it)
{
	names_make();
	sharded_run_backend(_i, creds_fiber);
}
END_TEST

TCase *tcase_dgram_unix(void)
{
	TCase *tc = tcase_create("unix");
	int n = sharded_backends();

	tcase_set_timeout(tc, TEST_TIMEOUT_S);
	tcase_add_loop_test(tc, who_sends_faster_than_the_other_receives_waits, 0, n);
	tcase_add_loop_test(tc, a_peer_with_a_name_is_answered, 0, n);
	tcase_add_loop_test(tc, seqpackets_keep_their_bounds_and_have_an_end, 0, n);
	tcase_add_loop_test(tc, the_end_of_a_connection_is_told_as_often_as_it_is_asked_for, 0, n);
	tcase_add_loop_test(tc, descriptors_come_along_and_are_closed_with_what_brought_them, 0, n);
	tcase_add_loop_test(tc, descriptors_that_are_too_many_or_not_taken_are_closed, 0, n);
	tcase_add_loop_test(tc, descriptors_beyond_the_limit_of_the_process_are_lost_alone, 0, n);
	tcase_add_loop_test(tc, the_kernel_says_who_sent_it, 0, n);
	return tc;
}
