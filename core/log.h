/* SPDX-License-Identifier: MIT */
/*
 * The log inside: a ring of bytes per shard, which holds whole lines until
 * standard error takes them without blocking.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <miniss/log.h>

#include "core/compiler.h"

struct shard;

/** log_open - give a shard its ring: 0 or -ENOMEM. On the starting thread. */
int log_open(struct shard *shard);

/** log_close - write what is left, for at most a moment, and free the ring */
void log_close(struct shard *shard);

/**
 * log_flush - write what standard error takes now
 * On the shard's own thread; never blocks. Sets shard->log_pending.
 * Return: nothing is left.
 */
bool log_flush(struct shard *shard);

/** log_flush_last - the same, but wait a moment for a slow reader: before the end */
void log_flush_last(struct shard *shard);

/** log_now - write an error line at once, waiting a little: last words */
void log_now(const char *format, ...) __printf(1, 2);

/** log_program - the name that lines begin with: the last part of argv[0] */
void log_program(const char *argv0);
const char *log_program_name(void);

/* A bound for what may repeat without end; zeroed, embedded in what it is about. */
struct log_limit {
	int64_t since_ns;
	uint32_t lines; /* in this second */
	uint32_t missed; /* refused in it */
};

/** log_ratelimit - may another line be written? --log-rate a second */
bool log_ratelimit(struct log_limit *limit, int64_t now_ns);

/* log_once - a line for the first time only; @done: a bool of what it is about */
#define log_once(done, level, ...)                  \
	do {                                        \
		if (!*(done)) {                     \
			*(done) = true;             \
			mn_log(level, __VA_ARGS__); \
		}                                   \
	} while (0)

/** print_out - to standard output: --help, tables. Blocks: not on busy shards. */
void print_out(const char *format, ...) __printf(1, 2);

#endif
