// SPDX-License-Identifier: MIT
/* The last words of a program that found a bug in itself. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/shard.h"

void bug(const char *what, const char *where)
{
	struct shard *shard = mn_self;
	const char *name;

	/* What led here comes first. */
	if (shard && shard->log)
		log_flush_last(shard);
	if (shard && shard->fiber) {
		name = shard->fiber->name;
		log_now("bug: %s, at %s, in fiber %s", what, where, name ? name : "without a name");
	} else {
		log_now("bug: %s, at %s", what, where);
	}
	abort();
}

void bugf(const char *where, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	bug(what, where);
}
