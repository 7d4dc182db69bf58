/* SPDX-License-Identifier: MIT */
/*
 * XXH64, a checksum as quick as memory: by Yann Collet, as in
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md (seed 0), so
 * that xxh64sum can tell if a copy is right. It is no protection from anybody
 * who wants to deceive.
 */
#ifndef CP_XXH64_H
#define CP_XXH64_H

#include <stddef.h>
#include <stdint.h>

struct xxh64 {
	uint64_t lane[4];
	uint64_t len;
	uint8_t rest[32];	/* len % 32 bytes that do not fill a stripe */
};

void xxh64_init(struct xxh64 *x);
void xxh64_update(struct xxh64 *x, const void *data, size_t len);

/* xxh64_digest - of what came so far; more may follow */
uint64_t xxh64_digest(const struct xxh64 *x);

#endif
