/* SPDX-License-Identifier: MIT */
/*
 * Worlds for tests: one shard or more, started on the test's own thread and
 * stepped by it. What waits too long is ended by Check's time limit.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <netinet/in.h>

#include "backends/backend.h"
#include "backends/mem.h"
#include "core/shard.h"

/* TSan is slow where many fibers meet. */
#define TEST_TIMEOUT_S (IS_ENABLED(CONFIG_SANITIZE_THREAD) ? 300 : 60)

/*
 * world_begin - open and start a world over a backend
 * @backend: its name, with its argument after a colon. Prints why and returns false if it cannot be used
 * here. Timers and queues are the preferred ones. mn_self is shard 0.
 */
bool world_begin(struct mn_world *world, const char *backend, unsigned int nr_shards);

/* world_make - the same without starting: for world_run() */
bool world_make(struct mn_world *world, const char *backend, unsigned int nr_shards);
void world_end(struct mn_world *world);

/* world_opens - world_open(), or false with a line: this user may not lock as much */
bool world_opens(struct mn_world *world, unsigned int nr_shards);

/* world_backend - the same for the loop variable of a test over all backends */
bool world_backend(struct mn_world *world, int i);
int nr_backends(void);

/* The same, and then over io_uring with kernel features masked, one by one and all together. */
bool world_variant(struct mn_world *world, int i);
int nr_variants(void);

/* variant - the name of its backend; what it does @without, or NULL, is masked from then on */
const char *variant(int i, const char **without);

bool world_is(const struct mn_world *world, const char *backend);

/* An operation that counts how often it ended, and checks what it receives. */
struct track {
	struct mn_op op;
	int64_t res; /* of the end */
	unsigned int ends;
	unsigned int items;
	bool cancel_at_item; /* from the completion function */

	/* RECV_STREAM: bytes are those of pattern(), from @len = 0 on */
	uint64_t len;
	uint64_t wrong;
	bool hold; /* keep the chunks */
	struct mn_chunk *held;

	/* ACCEPT_STREAM */
	int *fds;
	unsigned int fds_max;
};

uint8_t pattern(uint64_t i);
void pattern_fill(uint8_t *base, uint64_t from, size_t len);

/* Initialise; the caller fills in arguments and starts, or the second does it. */
void track_init(struct track *t, enum mn_opcode code, int fd);
void track_start(struct track *t, enum mn_opcode code, int fd);
void track_release(struct track *t); /* the chunks that were held */

/* Steps shard 0 until the operation ended; its result. */
int64_t track_finish(struct track *t);

/* Step shard 0 without waiting until it had nothing to do for a while. */
void settle(void);

/* Started and finished; the result. */
int64_t do_recv(int fd, void *base, size_t len);
int64_t do_send(int fd, const void *base, size_t len);
int64_t do_connect(int fd, const struct sockaddr_in *to);

/* Those that complete at once. */
int do_socket(void);
int do_call(enum mn_opcode code, int fd, int value); /* LISTEN, ACCEPT, SHUTDOWN, CLOSE */
int do_bind(int fd, const struct sockaddr_in *sa);
int do_name(enum mn_opcode code, int fd, struct sockaddr_in *sa); /* GETSOCKNAME, GETPEERNAME */
int do_setsockopt(int fd, int level, int name, int value);

int do_catch(uint64_t set, uint64_t once); /* SIGNAL_CATCH */

/* start_endless - start an operation that does not end: one at a time in a process */
void start_endless(struct mn_op *op);

struct sockaddr_in loopback(void); /* 127.0.0.1, any port */

/* A listener on a free port of 127.0.0.1; its address. */
int listener(struct sockaddr_in *sa, int backlog);

/* Two ends of a connection. @buffers: their kernel buffers, 0: as they are */
struct pair {
	int client, server;
};

struct pair connected(int buffers);

#endif
