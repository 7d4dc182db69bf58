/* SPDX-License-Identifier: MIT */
/*
 * One I/O operation. The caller embeds it, starts it, and waits for its
 * future. What is in flight must not be freed: it ends by completing, also
 * after it was cancelled. One operation, one result.
 */
#ifndef MINISS_OP_H
#define MINISS_OP_H

#include <sys/socket.h>
#include <sys/uio.h>

#include <miniss/future.h>

struct mn_op;
struct mn_chunk;
struct mn_file;
struct open_how;

enum mn_opcode {
	MN_OP_NOP,
	MN_OP_POLL,		/* fd, poll.events: wait for readiness; result: revents */
	MN_OP_RECV,		/* fd, buf.base, buf.len: result: bytes, 0 at the end */
	MN_OP_SEND,		/* fd, buf.base, buf.len: all of it; result: bytes */
	MN_OP_SENDMSG,		/* fd, msg.hdr: all of it; result: bytes. May change its iovecs */
	MN_OP_SENDMSG_ZC,	/* the same without a copy, of backends that have it; see backend.h */
	MN_OP_RECV_STREAM,	/* fd: pooled buffers until the end; multishot, see backend.h */
	MN_OP_ACCEPT_STREAM,	/* fd: connections until an error; multishot, see backend.h */
	MN_OP_RECV_PACKETS,	/* fd, msg.hdr: datagrams until an error; multishot, see backend.h */
	MN_OP_RECVMSG,		/* fd, msg.hdr: one datagram; result: bytes */
	MN_OP_CONNECT,		/* fd, addr.sa, addr.len */
	MN_OP_SIGNAL,		/* signal.counts: 64, each added to; result: how many came */

	/* Files. Transfers go on until all of it, the end of the file, or an error. */
	MN_OP_READ,		/* file, rw: result: bytes, less than rw.len at the end only */
	MN_OP_READV,		/* file, rwv: likewise */
	MN_OP_WRITE,		/* file, rw; off -1: at the end. Result: bytes, fewer before an error */
	MN_OP_WRITEV,		/* file, rwv: likewise */
	MN_OP_FSYNC,		/* range.flags: 1: what is needed to read the data again only */
	MN_OP_SYNC_RANGE,	/* range */
	MN_OP_ALLOCATE,		/* range; flags as of fallocate() */
	MN_OP_ADVISE,		/* range; flags: POSIX_FADV_* */
	MN_OP_OPEN,		/* fd: of a directory; open; result: a descriptor */
	MN_OP_CLOSE_FILE,	/* fd: as MN_OP_CLOSE, for what may block */
	MN_OP_STAT,		/* fd: of a directory; stat */
	MN_OP_RENAME,		/* fd: of a directory; names; flags as of renameat2() */
	MN_OP_LINK,		/* likewise; flags as of linkat() */
	MN_OP_SYMLINK,		/* names.path: what it says, names.to: where it is */
	MN_OP_UNLINK,		/* fd: of a directory; names.path; flags as of unlinkat() */
	MN_OP_MKDIR,		/* fd: of a directory; names.path; flags: its mode */
	MN_OP_SPLICE,		/* fd, splice: one of the two a pipe; does not wait: bytes, -EAGAIN */
	/* The same, and only threads can do these. */
	MN_OP_TRUNCATE,		/* range.len */
	MN_OP_READLINK,		/* fd: of a directory; link; result: bytes */
	MN_OP_LIST,		/* fd, buf: whole entries, as the system has them; result: bytes */
	MN_OP_LOCK,		/* fd, range; flags: F_RDLCK, F_WRLCK, F_UNLCK. Never waits for it: -EAGAIN */

	/* Cheap calls, completed where they are submitted. */
	MN_OP_SOCKET,		/* socket.family, socket.type: result: a descriptor */
	MN_OP_BIND,		/* fd, addr.sa, addr.len */
	MN_OP_LISTEN,		/* fd, value: backlog */
	MN_OP_ACCEPT,		/* fd: what is queued now; result: a descriptor, -EAGAIN */
	MN_OP_SETSOCKOPT,	/* fd, sockopt: level, name, value */
	MN_OP_GETSOCKNAME,	/* fd, addr.sa, addr.len: room; result: length */
	MN_OP_GETPEERNAME,	/* the same for the other end */
	MN_OP_SIGNAL_CATCH,	/* caught.set, caught.once: what MN_OP_SIGNAL waits for */
	MN_OP_NONBLOCK,		/* fd: what does not wait for it, like MN_OP_SPLICE, gets -EAGAIN */
	MN_OP_PIPE,		/* pipe.fds: two; close-on-exec; result: how much it holds */
	MN_OP_SHUTDOWN,		/* fd, value: SHUT_RD, SHUT_WR, SHUT_RDWR */
	MN_OP_GETSOCKOPT,	/* fd, sockmem: level, name, base, len: room; result: length */
	MN_OP_SETSOCKMEM,	/* fd, sockmem: the same, to set what is more than a number */
	MN_OP_SEND_PACKETS,	/* fd, packets: result: how many were sent; -EAGAIN if none can be now */
	MN_OP_CONNECT_NOW,	/* the same as CONNECT for what need not wait: -EAGAIN if it has to */
	MN_OP_UNIX_BIND,	/* fd, bind: in the place of a dead socket; result: MN_OP_UNIX_UNBIND's @ino */
	MN_OP_UNIX_UNBIND,	/* unbind: remove the file, if it is that one still */
	MN_OP_ADVANCE,		/* advance.ns: in a virtual world; waits there, -EOPNOTSUPP elsewhere */
	MN_OP_CLOSE,		/* fd: with no operation of its own in flight */
	MN_OP_FSTAT,		/* fd, stat.buf, stat.mask */
	MN_OP_NR
};

/* One of many messages, as the system's struct mmsghdr where it has that. */
struct mn_mmsg {
	struct msghdr hdr;
	unsigned int len;
};

struct mn_op {
	struct mn_future done;

	/* Called by the backend through op_complete(); resolves @done by default. */
	void (*complete)(struct mn_op *op, int64_t res);
	union {
		struct mn_chunk *chunk;		/* RECV_STREAM, _PACKETS: the buffer delivered */
		struct mn_file *file;		/* that it is about, or NULL */
	};
	int fd;
	uint8_t code;			/* enum mn_opcode */
	uint8_t state;			/* enum op_state, core/op.h */
	uint8_t flags;			/* OP_*, core/op.h */
	uint8_t priv;			/* the backend's, zero at submission */

	/* clang-format off */
	union {
		struct { void *base; size_t len; } buf;
		struct { struct msghdr *hdr; int copied; } msg;	/* SENDMSG_ZC: 1, or why (-errno) */
		struct { const struct sockaddr *sa; socklen_t len; } addr;
		struct { const struct sockaddr *sa; socklen_t len; uint16_t mode, backlog; } bind;
		struct { const struct sockaddr *sa; uint64_t ino; } unbind;
		struct { uint32_t *counts; } signal;		/* [n-1]: of signal n */
		struct { uint64_t set, once; } caught;		/* bit n-1: signal n */
		struct { int64_t ns; } advance;
		struct { uint32_t events; } poll;
		struct { int family, type; } socket;
		struct { int level, name, value; } sockopt;
		struct { void *base; size_t len; int64_t off; } rw;
		struct { const struct iovec *iov; size_t nr; int64_t off; } rwv;
		struct { int64_t off, len; int flags; } range;
		struct { int64_t from_off, to_off; int from; uint32_t len; } splice; /* -1: none */
		struct { int *fds; } pipe;
		struct { const char *path; const struct open_how *how; } open;
		struct { const char *path; void *buf; uint32_t flags, mask; } stat;
		struct { const char *path, *to; int to_fd, flags; } names;
		struct { const char *path; char *buf; size_t len; } link;
		struct { int level, name; void *base; socklen_t len; } sockmem;
		struct { struct mn_mmsg *msg; unsigned int n; } packets;
		int value;
	};
	/* clang-format on */

	/* The backend's while in flight. */
	union {
		void *ptr;
		uint64_t num;
	} be;
	union {
		struct {
			struct mn_op *next;
			struct mn_op **pprev;
		};
		unsigned char job[48] __attribute__((aligned(8)));	/* on a thread that may block */
	};
};

/** mn_op_in_flight - was it started and has it not completed yet? */
MN_API bool mn_op_in_flight(const struct mn_op *op);

/**
 * mn_op_cancel - ask that an operation end early
 * @op: started on this shard
 *
 * The operation still completes, later: with -ECANCELED, or with its result
 * if that came first. Sticky and idempotent; nothing happens to an
 * operation that has completed.
 */
MN_API void mn_op_cancel(struct mn_op *op);

/**
 * mn_op_await - wait for an operation, cancel it when time is up
 * @timeout_ns: from now; MN_NEVER for no limit
 *
 * From a fiber. When the time is up, or the fiber is cancelled, the
 * operation is cancelled, and this still waits for its final completion: on
 * return nobody, the kernel included, holds its memory.
 *
 * Return: the result if it won, else -ETIMEDOUT, or -ECANCELED.
 */
MN_API int64_t mn_op_await(struct mn_op *op, int64_t timeout_ns);

/*
 * Raw operations on a descriptor, for what streams do not cover. Each
 * initialises @op and starts it; @op and what it points to belong to the
 * runtime until @op->done is resolved. Never suspends, never allocates.
 */
MN_API void mn_nop_start(struct mn_op *op);
MN_API void mn_poll_start(struct mn_op *op, int fd, uint32_t events);
MN_API void mn_recv_start(struct mn_op *op, int fd, void *base, size_t len);
MN_API void mn_send_start(struct mn_op *op, int fd, const void *base, size_t len);

#ifdef CONFIG_DEBUG	/* so that reports can say where */
#define mn_nop_start(...)	(mn__origin(MN__HERE), mn_nop_start(__VA_ARGS__))
#define mn_poll_start(...)	(mn__origin(MN__HERE), mn_poll_start(__VA_ARGS__))
#define mn_recv_start(...)	(mn__origin(MN__HERE), mn_recv_start(__VA_ARGS__))
#define mn_send_start(...)	(mn__origin(MN__HERE), mn_send_start(__VA_ARGS__))
#endif

#endif
