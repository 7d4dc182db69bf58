// SPDX-License-Identifier: MIT
#include <string.h>

#include "core/loan.h"
#include "core/op.h"
#include "lib/mem/mem.h"
#include "lib/mem/poison.h"

#define PIECE_SHIFT	14
#define BUCKETS		4096
#define LONG		BUCKETS	/* the bucket of what touches more than this many pieces */
#define PIECES_MAX	64

#define NONE		0u	/* no node has this index */

struct loan {
	uintptr_t lo, hi;
	const void *op;
	uint32_t bucket;
	uint32_t next;		/* in the bucket; or of those that are free */
	uint32_t next_of_op;
};

struct loans {
	uint32_t bucket[BUCKETS + 1];
	uint32_t free, size;
	struct loan *loan;
};

struct loans *loans_open(void)
{
	return mem_must_alloc(sizeof(struct loans));
}

void loans_close(struct loans *loans)
{
	if (loans)
		mem_free(loans->loan);
	mem_free(loans);
}

static void grow(struct loans *loans)
{
	uint32_t size = loans->size ? 2 * loans->size : 256;
	struct loan *loan = mem_must_alloc(size * sizeof(*loan));

	if (loans->size)
		memcpy(loan, loans->loan, loans->size * sizeof(*loan));
	for (uint32_t i = max(loans->size, 1u); i < size; i++) {
		loan[i].next = loans->free;
		loans->free = i;
	}
	mem_free(loans->loan);
	loans->loan = loan;
	loans->size = size;
}

static uint32_t bucket_of(uintptr_t piece)
{
	return (uint32_t)(piece * UINT64_C(0x9e3779b97f4a7c15) >> 32) % BUCKETS;
}

static uint32_t push(struct loans *loans, struct loan what)
{
	uint32_t i;

	if (loans->free == NONE)
		grow(loans);
	i = loans->free;
	loans->free = loans->loan[i].next;
	what.next = loans->bucket[what.bucket];
	loans->loan[i] = what;
	loans->bucket[what.bucket] = i;
	return i;
}

/* What is being added. */
struct adding {
	struct loans *loans;
	const struct mn_op *op;
	uint32_t first;
	const void *dead;
};

static void lend(struct adding *to, const void *base, size_t len)
{
	struct loan loan = { .lo = (uintptr_t)base, .hi = (uintptr_t)base + len, .op = to->op };
	uintptr_t piece = loan.lo >> PIECE_SHIFT, last;

	if (!base || !len)
		return;
	if (!to->dead)
		to->dead = poison_find(base, len);
	last = (loan.hi - 1) >> PIECE_SHIFT;
	if (last - piece >= PIECES_MAX) {
		loan.bucket = LONG;
		loan.next_of_op = to->first;
		to->first = push(to->loans, loan);
		return;
	}
	for (; piece <= last; piece++) {
		loan.bucket = bucket_of(piece);
		loan.next_of_op = to->first;
		to->first = push(to->loans, loan);
	}
}

static void lend_text(struct adding *to, const char *text)
{
	if (text && !poison_find(text, 1))
		lend(to, text, strlen(text) + 1);
	else
		lend(to, text, 1);
}

static void lend_vector(struct adding *to, const struct iovec *iov, size_t nr)
{
	lend(to, iov, nr * sizeof(*iov));
	for (size_t i = 0; i < nr && !to->dead; i++)
		lend(to, iov[i].iov_base, iov[i].iov_len);
}

static void lend_message(struct adding *to, const struct msghdr *hdr)
{
	lend(to, hdr, sizeof(*hdr));
	if (to->dead)
		return;
	lend(to, hdr->msg_name, hdr->msg_namelen);
	lend(to, hdr->msg_control, hdr->msg_controllen);
	lend_vector(to, hdr->msg_iov, hdr->msg_iovlen);
}

/* Of what is a struct of the system's, its first byte will do. */
static void lend_names(struct adding *to, const struct mn_op *op)
{
	switch (op->code) {
	case MN_OP_OPEN:
		lend(to, op->open.how, 1);
		lend_text(to, op->open.path);
		break;
	case MN_OP_STAT:
		lend(to, op->stat.buf, 1);
		lend_text(to, op->stat.path);
		break;
	case MN_OP_RENAME:
	case MN_OP_LINK:
	case MN_OP_SYMLINK:
		lend_text(to, op->names.to);
		lend_text(to, op->names.path);
		break;
	case MN_OP_UNLINK:
	case MN_OP_MKDIR:
		lend_text(to, op->names.path);
		break;
	case MN_OP_READLINK:
		lend_text(to, op->link.path);
		lend(to, op->link.buf, op->link.len);
		break;
	}
}

uint32_t loans_add(struct loans *loans, const struct mn_op *op, const void **dead)
{
	struct adding to = { .loans = loans, .op = op, .first = NONE };

	lend(&to, op, sizeof(*op));
	switch (op->code) {
	case MN_OP_RECV:
	case MN_OP_SEND:
	case MN_OP_LIST:
		lend(&to, op->buf.base, op->buf.len);
		break;
	case MN_OP_SENDMSG:
	case MN_OP_SENDMSG_ZC:
	case MN_OP_RECVMSG:
		lend_message(&to, op->msg.hdr);
		break;
	case MN_OP_RECV_PACKETS:
		lend(&to, op->msg.hdr, sizeof(*op->msg.hdr));
		break;
	case MN_OP_CONNECT:
		lend(&to, op->addr.sa, op->addr.len);
		break;
	case MN_OP_SIGNAL:
		lend(&to, op->signal.counts, sizeof(*op->signal.counts));
		break;
	case MN_OP_READ:
	case MN_OP_WRITE:
		lend(&to, op->rw.base, op->rw.len);
		break;
	case MN_OP_READV:
	case MN_OP_WRITEV:
		lend_vector(&to, op->rwv.iov, op->rwv.nr);
		break;
	default:
		lend_names(&to, op);
	}
	*dead = to.dead;
	return to.first;
}

void loans_remove(struct loans *loans, uint32_t first)
{
	while (first != NONE) {
		struct loan *loan = &loans->loan[first];
		uint32_t *at = &loans->bucket[loan->bucket];

		while (*at != first)
			at = &loans->loan[*at].next;
		*at = loan->next;
		loan->next = loans->free;
		loans->free = first;
		first = loan->next_of_op;
	}
}

static const void *find_in(const struct loans *loans, uint32_t bucket, uintptr_t lo, uintptr_t hi)
{
	for (uint32_t i = loans->bucket[bucket]; i != NONE; i = loans->loan[i].next)
		if (loans->loan[i].lo < hi && lo < loans->loan[i].hi)
			return loans->loan[i].op;
	return NULL;
}

const void *loans_find(const struct loans *loans, const void *base, size_t len)
{
	uintptr_t lo = (uintptr_t)base, hi = lo + len, piece = lo >> PIECE_SHIFT;
	const void *op = len ? find_in(loans, LONG, lo, hi) : NULL;

	if (len >> PIECE_SHIFT >= BUCKETS)
		for (uint32_t i = 0; i < BUCKETS && !op; i++)
			op = find_in(loans, i, lo, hi);
	else
		for (; !op && len && piece <= (hi - 1) >> PIECE_SHIFT; piece++)
			op = find_in(loans, bucket_of(piece), lo, hi);
	return op;
}
