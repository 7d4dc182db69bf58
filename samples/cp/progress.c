// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "cp.h"

#define WIDTH		30
#define EVERY_NS	(100 * MN_MSEC)

static void show(const struct copy *c, int64_t since_ns)
{
	static const char full[] = "##############################";
	static const char empty[] = "..............................";
	double part = c->stat.size ? (double)c->pos / (double)c->stat.size : 1;
	double s = (double)(mn_now() - since_ns) / 1e9;
	double rate = s > 0 ? (double)(c->pos - c->from) / s : 0;
	int n = (int)(part * WIDTH);

	fprintf(stderr, "\r%s [%.*s%.*s] %3.0f%%  %.0f MB/s  %.0f s   ", c->doing, n, full,
		WIDTH - n, empty, part * 100, rate / 1e6,
		rate > 0 ? ((double)c->stat.size - (double)c->pos) / rate : 0);
	fflush(stderr);
}

int progress_show(void *copy)
{
	int64_t since_ns = mn_now();

	do
		show(copy, since_ns);
	while (!mn_sleep(EVERY_NS));
	return 0;
}

void progress_end(const struct copy *c)
{
	fputc('\n', stderr);
}
