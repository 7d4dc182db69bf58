/* SPDX-License-Identifier: MIT */
/*
 * What the bare servers share: the command line, pinning, the listening
 * socket. Header only, so that each server is one file to compile and to read,
 * and included by nothing else. Errors here end the process: 2 for usage, 1
 * for what the system refused.
 */
#ifndef BARE_COMMON_H
#define BARE_COMMON_H

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define BACKLOG 4096 /* the kernel lowers it to net.core.somaxconn */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct bare_opts {
	const char *listen; /* ADDR:PORT; port 0 lets the kernel choose */
	int cpu; /* to pin to; -1: wherever we are */
	bool reuseport; /* several of us share the port */
};

static inline long bare_number(const char *text, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (end == text || *end || errno || n < 0 || n > max)
		errx(EXIT_USAGE, "'%s' is not a number from 0 to %ld", text, max);
	return n;
}

/* Take @arg if it is an option that every bare server has. */
static inline bool bare_option(struct bare_opts *opts, const char *arg)
{
	if (!strncmp(arg, "--listen=", 9))
		opts->listen = arg + 9;
	else if (!strncmp(arg, "--cpu=", 6))
		opts->cpu = (int)bare_number(arg + 6, CPU_SETSIZE - 1);
	else if (!strcmp(arg, "--reuseport"))
		opts->reuseport = true;
	else
		return false;
	return true;
}

static inline void bare_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(EXIT_FAILURE, "cannot run on CPU %d", cpu);
}

static inline struct addrinfo *bare_resolve(const char *spec)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(spec, ':');
	struct addrinfo *ai;
	char host[64];
	int host_len, status;

	if (!colon)
		errx(EXIT_USAGE, "'%s' is not ADDR:PORT", spec);
	bare_number(colon + 1, 65535);

	host_len = (int)(colon - spec);
	if (host_len >= 2 && spec[0] == '[' && colon[-1] == ']') {
		spec++;
		host_len -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", host_len, spec);
	status = getaddrinfo(host, colon + 1, &hints, &ai);
	if (status)
		errx(EXIT_USAGE, "address '%s': %s", host, gai_strerror(status));
	return ai;
}

/* Say where clients find us; port 0 is known only now. */
static inline void bare_announce(int fd)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	char host[64], port[8];

	if (getsockname(fd, (struct sockaddr *)&ss, &ss_len) ||
	    getnameinfo((struct sockaddr *)&ss, ss_len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		errx(EXIT_FAILURE, "cannot read the address of the listening socket");
	printf(ss.ss_family == AF_INET6 ? "listening on [%s]:%s\n" : "listening on %s:%s\n", host,
	       port);
	fflush(stdout);
}

/*
 * A listening socket. TCP_NODELAY is set here because what is accepted
 * inherits it: no system call per connection.
 */
static inline int bare_listen(const struct bare_opts *opts, int sock_flags)
{
	struct addrinfo *ai = bare_resolve(opts->listen);
	const int one = 1;
	int fd;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | sock_flags, IPPROTO_TCP);
	if (fd < 0)
		err(EXIT_FAILURE, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(EXIT_FAILURE, "setsockopt");
	if (opts->reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		err(EXIT_FAILURE, "SO_REUSEPORT");
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG))
		err(EXIT_FAILURE, "cannot listen on %s", opts->listen);
	freeaddrinfo(ai);
	return fd;
}

/*
 * Nothing here outlives the process, so a signal ends it where it stands: no
 * flag to test in the loop, no race between the test and the sleep.
 */
static void bare_on_term(int sig)
{
	(void)sig;
	_exit(EXIT_SUCCESS);
}

static inline void bare_signals(void)
{
	struct sigaction sa = { .sa_handler = bare_on_term };

	if (sigaction(SIGTERM, &sa, NULL) || sigaction(SIGINT, &sa, NULL))
		err(EXIT_FAILURE, "sigaction");
}

#endif /* BARE_COMMON_H */
