// SPDX-License-Identifier: MIT
/* The contract kit, descriptors and credentials over Unix streams: a peer that is a plain socket. */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <miniss/miniss.h>

#include "lib/net/stream.h"
#include "tests/kit-passing.h"
#include "tests/script.h"

static int raw_peer(struct mn_stream **stream, const struct mn_sockopt *opt)
{
	const char *name = own_name("unix:@mn-test-kit-raw");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(sizeof(sa_family_t) + strlen(name) - 5);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	memcpy(un.sun_path + 1, name + 6, strlen(name) - 6);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&un, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ok(mn_connect_with(name, &(struct mn_connect_conf){ .opt = opt }, stream));
	fd = accept(listener, (struct sockaddr *)&un, &len);
	ck_assert_int_ge(fd, 0);
	close(listener);
	return fd;
}

static void raw_send(int to, int fd, unsigned int nr)
{
	char control[CMSG_SPACE(MN_PASSED_MAX * sizeof(int))] __attribute__((aligned(16))) = { 0 };
	struct iovec iov = { (char[]){ "raw" }, 3 };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(nr * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	for (size_t i = 0; i < nr; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(int));
	ck_assert_int_eq(sendmsg(to, &hdr, 0), 3);
}

/* The process has as many as it may: they are lost, which is told once, and the bytes are not. */
int kit_passing_lost(void *arg)
{
	int fds[MN_PASSED_MAX], end[2], before;
	struct mn_passed passed = { .fds = fds, .fds_max = MN_PASSED_MAX };
	struct rlimit old, tight;
	struct mn_stream *stream;
	struct mn_buf in;
	int peer;

	peer = raw_peer(&stream, &takes);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	before = nr_open();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (unsigned int left_over = 0; left_over < 2; left_over++) {
		tight = old;
		tight.rlim_cur = left_over ? (rlim_t)before + 5 : 1;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
		raw_send(peer, end[1], 50);
		is(mn_stream_recv_fds(stream, &in, &passed), -EMFILE);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
		is(nr_open() - before, 0);
		is(mn_stream_recv_fds(stream, &in, &passed), 3);
		is(passed.nr_fds, 0);
		note_bytes(in.data, in.len);
		mn_buf_free(&in);
	}
	raw_send(peer, end[1], MN_PASSED_MAX);
	is(mn_stream_recv_fds(stream, &in, &passed), 3);
	mn_buf_free(&in);
	is(passed.nr_fds, MN_PASSED_MAX);
	through(end, fds, passed.nr_fds);
	close(peer);
	is(mn_stream_recv_fds(stream, &in, &passed), 0);
	ok(mn_stream_close(stream));
	close(end[0]);
	close(end[1]);
	return 0;
}

int kit_passing_creds(void *arg)
{
	struct mn_passed passed = { .fds_max = 0 };
	struct mn_stream *stream;
	struct mn_buf in;
	int peer;

	for (int i = 0; i < 2; i++) {
		peer = raw_peer(&stream, i ? &takes_creds : &takes);
		ck_assert_int_eq(write(peer, "hello", 5), 5);
		is(mn_stream_recv_fds(stream, &in, &passed), 5);
		mn_buf_free(&in);
		is(passed.cred.pid == (i ? getpid() : 0), true);
		is(passed.cred.uid == (i ? getuid() : 0), true);
		is(passed.cred.gid == (i ? getgid() : 0), true);
		ok(mn_stream_close(stream));
		close(peer);
	}
	return 0;
}

static int abort_fiber(void *arg)
{
	mn_sleep(MN_MSEC);
	mn_stream_abort(arg);
	return 0;
}

/* The peer takes nothing: who waits for room can be stopped, and nothing was sent. */
int kit_passing_no_room(void *arg)
{
	static char data[1 << 20];
	struct mn_stream *stream;
	struct mn_fiber *fiber;
	struct mn_scope scope;
	int peer;

	peer = raw_peer(&stream, &takes);
	while (send(stream->fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	mn_scope_open(&scope, &(struct mn_scope_options){ .deadline_ns = mn_now() + MN_MSEC });
	is(mn_stream_send_fds(stream, "x", 1, &peer, 1), -ETIMEDOUT);
	ok(mn_scope_join(&scope));
	ok(mn_spawn(abort_fiber, stream, &fiber));
	is(mn_stream_send_fds(stream, "x", 1, &peer, 1), -ECANCELED);
	ok(mn_join(fiber));
	is(mn_stream_send_fds(stream, "x", 1, &peer, 1), -ECANCELED);
	is(mn_stream_close(stream), -ECANCELED);
	close(peer);
	return 0;
}

int kit_passing_no_peer(void *arg)
{
	struct mn_stream *stream;
	int peer;

	peer = raw_peer(&stream, &takes);
	close(peer);
	is(mn_stream_send_fds(stream, "x", 1, (int[]){ 0 }, 1), -EPIPE);
	mn_stream_close(stream);
	return 0;
}
