// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/dns-server.h"

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };
enum { RCODE_OK, RCODE_FORMAT, RCODE_SERVFAIL, RCODE_NXDOMAIN };

#define HEADER		12
#define ANSWER_MAX	4096
#define TC		0x02	/* of the third byte */

struct answer {
	uint8_t byte[ANSWER_MAX];
	size_t len;
	unsigned int nr;
};

static void put16(struct answer *a, unsigned int n)
{
	a->byte[a->len++] = (uint8_t)(n >> 8);
	a->byte[a->len++] = (uint8_t)n;
}

static void put_name(struct answer *a, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		a->byte[a->len++] = (uint8_t)n;
		memcpy(a->byte + a->len, name, n);
		a->len += n;
		name += n + (name[n] == '.');
	}
	a->byte[a->len++] = 0;
}

/* Of the name that was asked for, or of another one. */
static void put_record(struct answer *a, const char *name, int type, unsigned int ttl,
		       const void *data, size_t len)
{
	if (name)
		put_name(a, name);
	else
		put16(a, 0xc000 | HEADER);
	put16(a, (unsigned int)type);
	put16(a, 1);
	put16(a, ttl >> 16);
	put16(a, ttl & 0xffff);
	put16(a, (unsigned int)len);
	memcpy(a->byte + a->len, data, len);
	a->len += len;
	a->nr++;
}

static void put_a(struct answer *a, const char *name, unsigned int ttl, uint32_t ip, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t data = htonl(ip + (uint32_t)i);

		put_record(a, name, TYPE_A, ttl, &data, sizeof(data));
	}
}

static void put_alias(struct answer *a, const char *target)
{
	struct answer name = { .len = 0 };

	put_name(&name, target);
	put_record(a, NULL, TYPE_CNAME, 1, name.byte, name.len);
}

/* What there is of this type; the code. */
static int fill(struct answer *a, const char *name, int type)
{
	if (!strcmp(name, "a.test")) {
		if (type == TYPE_AAAA)
			put_record(a, NULL, type, 60, &in6addr_loopback, 16);
		else
			put_a(a, NULL, 60, INADDR_LOOPBACK, 1);
	} else if (!strcmp(name, "v4.test") || !strcmp(name, "lost.test") ||
		   !strcmp(name, "host.search.test") || !strcmp(name, "nonsense.test")) {
		put_a(a, NULL, 60, INADDR_LOOPBACK + 1, type == TYPE_A);
	} else if (!strcmp(name, "brief.test")) {
		put_a(a, NULL, 1, INADDR_LOOPBACK, type == TYPE_A);
	} else if (!strcmp(name, "many.test")) {
		put_a(a, NULL, 60, INADDR_LOOPBACK, type == TYPE_A ? 20 : 0);
	} else if (!strcmp(name, "big.test")) {
		put_a(a, NULL, 60, INADDR_LOOPBACK, type == TYPE_A ? 40 : 0);
	} else if (!strcmp(name, "alias.test")) {
		put_alias(a, "v4.test");
		put_a(a, "v4.test", 60, INADDR_LOOPBACK + 1, type == TYPE_A);
	} else if (!strcmp(name, "fail.test")) {
		return RCODE_SERVFAIL;
	} else if (strcmp(name, "empty.test") != 0) {
		return RCODE_NXDOMAIN;
	}
	return RCODE_OK;
}

/* The name of a question, in small letters, and its type; where it ends, or 0. */
static size_t question(const uint8_t *in, size_t len, char *name, int *type)
{
	size_t at = HEADER, to = 0;

	while (at < len && in[at] && at + in[at] + 5u < len && to + in[at] < 255) {
		if (to)
			name[to++] = '.';
		for (unsigned int i = 1; i <= in[at]; i++)
			name[to++] = (char)(in[at + i] |
					    (in[at + i] >= 'A' && in[at + i] <= 'Z' ? 32 : 0));
		at += in[at] + 1u;
	}
	name[to] = '\0';
	*type = in[at + 1] << 8 | in[at + 2];
	return at + 5 <= len && !in[at] ? at + 5 : 0;
}

/* Whether to answer at all. */
static bool answer(struct dns_server *server, const uint8_t *in, size_t len, bool tcp,
		   struct answer *a)
{
	char name[512];
	int type, rcode;
	size_t end = len > HEADER + 4 ? question(in, len, name, &type) : 0;

	*a = (struct answer){ .len = end };
	if (!end || strstr(name, "silent.test"))
		return false;
	if (!strcmp(name, "lost.test") && !(server->lost & type)) {
		server->lost |= type;
		return false;
	}
	memcpy(a->byte, in, end);
	rcode = fill(a, name, type);
	a->byte[2] = 0x84 | (in[2] & 1);	/* an answer, of authority */
	if (!strcmp(name, "big.test") && !tcp) {
		a->len = end;
		a->nr = 0;
		a->byte[2] |= TC;
	}
	a->byte[3] = (uint8_t)(0x80 | rcode);
	a->byte[6] = 0;
	a->byte[7] = (uint8_t)a->nr;
	memset(a->byte + 8, 0, 4);	/* no further sections: EDNS is not answered */
	return true;
}

static void serve_udp(struct dns_server *server)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t in[1024];
	ssize_t n = recvfrom(server->udp, in, sizeof(in), 0, (struct sockaddr *)&from, &len);
	struct answer a;

	if (n <= 0)
		return;
	atomic_fetch_add(&server->nr_udp, 1);
	if (!answer(server, in, (size_t)n, false, &a))
		return;
	if (memmem(in, (size_t)n, "\10nonsense", 9))
		sendto(server->udp, a.byte, HEADER - 1, 0, (struct sockaddr *)&from, len);
	sendto(server->udp, a.byte, a.len, 0, (struct sockaddr *)&from, len);
}

/* One connection after another, each until its end. */
static void serve_tcp(struct dns_server *server)
{
	int fd = accept(server->tcp, NULL, NULL);
	uint8_t in[1024], length[2];
	struct answer a;

	while (recv(fd, length, 2, MSG_WAITALL) == 2) {
		size_t n = (size_t)(length[0] << 8 | length[1]);

		if (n > sizeof(in) || recv(fd, in, n, MSG_WAITALL) != (ssize_t)n)
			break;
		atomic_fetch_add(&server->nr_tcp, 1);
		if (!answer(server, in, n, true, &a))
			continue;
		length[0] = (uint8_t)(a.len >> 8);
		length[1] = (uint8_t)a.len;
		if (send(fd, length, 2, MSG_NOSIGNAL) != 2 ||
		    send(fd, a.byte, a.len, MSG_NOSIGNAL) != (ssize_t)a.len)
			break;
	}
	close(fd);
}

static void *serve(void *arg)
{
	struct dns_server *server = arg;
	struct pollfd pfd[] = { { .fd = server->udp, .events = POLLIN },
				{ .fd = server->tcp, .events = POLLIN } };

	while (!atomic_load(&server->stop)) {
		poll(pfd, 2, 10);
		if (pfd[0].revents)
			serve_udp(server);
		if (pfd[1].revents)
			serve_tcp(server);
	}
	return NULL;
}

/* The same port of both, as it must be. */
void dns_server_start(struct dns_server *server)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	*server = (struct dns_server){ .udp = -1 };
	for (int tries = 0; tries < 20; tries++) {
		sa.sin_port = 0;
		server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(bind(server->udp, (struct sockaddr *)&sa, len), 0);
		ck_assert_int_eq(getsockname(server->udp, (struct sockaddr *)&sa, &len), 0);
		if (!bind(server->tcp, (struct sockaddr *)&sa, len))
			break;
		close(server->udp);
		close(server->tcp);
	}
	ck_assert_int_eq(listen(server->tcp, 16), 0);
	snprintf(server->text, sizeof(server->text), "127.0.0.1:%u", ntohs(sa.sin_port));
	ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

void dns_server_stop(struct dns_server *server)
{
	atomic_store(&server->stop, 1);
	pthread_join(server->thread, NULL);
	close(server->udp);
	close(server->tcp);
}
