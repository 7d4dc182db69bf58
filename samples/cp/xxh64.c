// SPDX-License-Identifier: MIT
#include <string.h>

#include "xxh64.h"

#define P1	UINT64_C(0x9e3779b185ebca87)
#define P2	UINT64_C(0xc2b2ae3d27d4eb4f)
#define P3	UINT64_C(0x165667b19e3779f9)
#define P4	UINT64_C(0x85ebca77c2b2ae63)
#define P5	UINT64_C(0x27d4eb2f165667c5)

static uint64_t rotate(uint64_t n, int by)
{
	return n << by | n >> (64 - by);
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? n : __builtin_bswap64(n);
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? n : __builtin_bswap32(n);
}

static uint64_t round64(uint64_t lane, uint64_t n)
{
	return rotate(lane + n * P2, 31) * P1;
}

void xxh64_init(struct xxh64 *x)
{
	*x = (struct xxh64){ .lane = { P1 + P2, P2, 0, -P1 } };
}

/* The four lanes stay in registers. */
static const uint8_t *stripes(struct xxh64 *x, const uint8_t *p, size_t n)
{
	uint64_t a = x->lane[0], b = x->lane[1], c = x->lane[2], d = x->lane[3];

	for (; n; n--, p += 32) {
		a = round64(a, load64(p));
		b = round64(b, load64(p + 8));
		c = round64(c, load64(p + 16));
		d = round64(d, load64(p + 24));
	}
	x->lane[0] = a;
	x->lane[1] = b;
	x->lane[2] = c;
	x->lane[3] = d;
	return p;
}

void xxh64_update(struct xxh64 *x, const void *data, size_t len)
{
	size_t have = x->len % 32;
	const uint8_t *p = data;

	x->len += len;
	if (have && len >= 32 - have) {
		memcpy(x->rest + have, p, 32 - have);
		p += 32 - have;
		len -= 32 - have;
		stripes(x, x->rest, 1);
		have = 0;
	}
	if (!have)
		p = stripes(x, p, len / 32);
	if (!have)
		len %= 32;
	if (len)
		memcpy(x->rest + have, p, len);
}

uint64_t xxh64_digest(const struct xxh64 *x)
{
	const uint8_t *p = x->rest, *end = p + x->len % 32;
	uint64_t h = x->lane[2] + P5;	/* which is 0 before the first stripe */

	if (x->len >= 32) {
		h = rotate(x->lane[0], 1) + rotate(x->lane[1], 7) + rotate(x->lane[2], 12) +
		    rotate(x->lane[3], 18);
		for (int i = 0; i < 4; i++)
			h = (h ^ round64(0, x->lane[i])) * P1 + P4;
	}
	h += x->len;
	for (; end - p >= 8; p += 8)
		h = rotate(h ^ round64(0, load64(p)), 27) * P1 + P4;
	if (end - p >= 4) {
		h = rotate(h ^ load32(p) * P1, 23) * P2 + P3;
		p += 4;
	}
	for (; p < end; p++)
		h = rotate(h ^ *p * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
