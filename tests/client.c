// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/client.h"
#include "tests/spawn.h"
#include "tests/suites.h"

#define SMALL_BUFFER	4096

static char sample(size_t i)
{
	return (char)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static int connect_with(unsigned int port, int buffer)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (buffer) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	}
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int client_open(unsigned int port)
{
	return connect_with(port, 0);
}

int client(unsigned int port)
{
	int fd = client_open(port);

	ck_assert_msg(fd >= 0, "cannot connect to port %u: %s", port, strerror(-fd));
	return fd;
}

int client_small(unsigned int port)
{
	int fd = connect_with(port, SMALL_BUFFER);

	ck_assert_msg(fd >= 0, "cannot connect to port %u: %s", port, strerror(-fd));
	return fd;
}

/* What is possible of @events, or 0 when patience is at its end. */
static short wait_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&pfd, 1, PATIENCE_MS);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? pfd.revents : 0;
}

void client_send(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n;

		ck_assert_msg(wait_for(fd, POLLOUT), "nothing can be sent");
		n = send(fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
}

bool client_recv(int fd, void *data, size_t len)
{
	char *to = data;

	while (len) {
		ssize_t n;

		if (!wait_for(fd, POLLIN))
			return false;
		n = recv(fd, to, len, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

bool client_ended(int fd)
{
	char byte;

	for (;;) {
		ssize_t n;

		if (!wait_for(fd, POLLIN))
			return false;
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		if (n > 0 || errno != EAGAIN)
			return false;
	}
}

static size_t echo_send(int fd, size_t done, size_t len)
{
	char data[16384] = { 0 };
	size_t size = len - done < sizeof(data) ? len - done : sizeof(data);
	ssize_t n;

	for (size_t i = 0; i < size; i++)
		data[i] = sample(done + i);
	n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
	return n > 0 ? (size_t)n : 0;
}

static size_t echo_recv(int fd, size_t done)
{
	char data[16384];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	ck_assert_msg(n != 0, "the connection ended after %zu bytes", done);
	ck_assert_msg(n > 0 || errno == EAGAIN, "recv: %s", strerror(errno));
	/* An assertion that holds is reported, too: not for each byte. */
	for (ssize_t i = 0; i < n; i++)
		if (data[i] != sample(done + (size_t)i))
			ck_abort_msg("byte %zu is wrong", done + (size_t)i);
	return n > 0 ? (size_t)n : 0;
}

void client_echo(int fd, size_t len)
{
	size_t sent = 0, got = 0;

	while (got < len) {
		short events = wait_for(fd, (short)(POLLIN | (sent < len ? POLLOUT : 0)));

		ck_assert_msg(events, "%zu of %zu bytes came back, %zu were sent", got, len, sent);
		if (sent < len && events & POLLOUT)
			sent += echo_send(fd, sent, len);
		if (events & ~POLLOUT)
			got += echo_recv(fd, got);
	}
	ck_assert_uint_eq(got, len);
}

void client_reset(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

size_t client_push(int fd, size_t len)
{
	static const char zeros[65536];
	size_t done = 0;

	while (done < len) {
		size_t size = len - done < sizeof(zeros) ? len - done : sizeof(zeros);
		ssize_t n = send(fd, zeros, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}
