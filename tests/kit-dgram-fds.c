// SPDX-License-Identifier: MIT
/* The contract kit, datagrams: descriptors and credentials that come along. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/dgram.h"
#include "tests/kit-dgram.h"
#include "tests/world.h"

static int nr_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* What was put into the write end that came along comes out of the pipe. */
static void through(const int end[2], const struct mn_packet *packet)
{
	char byte;

	for (unsigned int i = 0; i < packet->nr_fds; i++) {
		note(fcntl(packet->fd[i], F_GETFD));
		is(write(packet->fd[i], "x", 1), 1);
		is(read(end[0], &byte, 1), 1);
	}
}

static void pass(const struct two *t, const int end[2], unsigned int nr, size_t len)
{
	struct mn_packet packet = packet_make(0, len);

	for (unsigned int i = 0; i < nr; i++)
		packet.fd[packet.nr_fds++] = end[1];
	is(mn_dgram_send(t->client, &packet, 1), 1);
	is(mn_dgram_recv(t->server, &packet, 1), 1);
	ck_assert(packet_is(&packet, 0, len));
	is(packet.nr_fds, nr);
	is(packet.fds_lost, false);
	through(end, &packet);
	mn_packet_free(&packet);
}

static void pass_all(const struct dgram_script *s, const struct mn_dgram_conf *conf)
{
	struct mn_packet packet = { .nr_fds = MN_PACKET_FDS + 1 };
	int end[2], before;
	struct two t;

	two_open(&t, s, *conf, (struct mn_dgram_conf){ .bind = NULL });
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	pass(&t, end, 1, 10);	/* threads that there will be, are */
	before = nr_open();
	for (unsigned int nr = 0; nr <= MN_PACKET_FDS; nr++)
		pass(&t, end, nr, 1 + nr * 100);
	if (!s->seqpacket)
		pass(&t, end, 2, 0);
	is(mn_dgram_send(t.client, &packet, 1), -EINVAL);
	is(nr_open() - before, 0);
	close(end[0]);
	close(end[1]);
	two_close(&t);
}

int kit_descriptors(void *script)
{
	static const struct mn_dgram_conf confs[] = { { .creds = false },
						      { .creds = true },
						      { .size_max = 65536 } };

	for (size_t i = 0; i < ARRAY_SIZE(confs); i++)
		pass_all(script, &confs[i]);
	return 0;
}

/* Nobody receives them: they are closed, and the pipe ends. */
int kit_descriptors_left(void *script)
{
	int end[2];
	struct two t;
	char byte;

	two_open(&t, script, (struct mn_dgram_conf){ .queue_max = 2 },
		 (struct mn_dgram_conf){ .bind = NULL });
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	for (int i = 0; i < 5; i++) {
		struct mn_packet packet = packet_make(0, 10);

		packet.fd[0] = packet.fd[1] = end[1];
		packet.nr_fds = 2;
		is(mn_dgram_send(t.client, &packet, 1), 1);
		mn_yield();
	}
	close(end[1]);
	two_close(&t);
	is(read(end[0], &byte, 1), 0);
	close(end[0]);
	return 0;
}

int kit_creds(void *script)
{
	const struct dgram_script *s = script;
	struct mn_packet packet;
	struct mn_cred cred;
	struct two t;

	for (size_t size_max = 0; size_max <= 65536; size_max += 65536) {
		two_open(&t, s, (struct mn_dgram_conf){ .creds = true, .size_max = size_max },
			 (struct mn_dgram_conf){ .bind = NULL });
		packet = packet_make(0, 10);
		is(mn_dgram_send(t.client, &packet, 1), 1);
		is(mn_dgram_recv(t.server, &packet, 1), 1);
		is(packet.cred.pid == getpid() && packet.cred.uid == getuid() &&
			   packet.cred.gid == getgid(),
		   true);
		mn_packet_free(&packet);
		if (s->seqpacket) {
			ok(mn_dgram_cred(t.server, &cred));
			is(cred.pid == getpid() && cred.uid == getuid() && cred.gid == getgid(),
			   true);
		}
		two_close(&t);
	}
	return 0;
}
