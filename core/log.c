// SPDX-License-Identifier: MIT
/*
 * Logging. A shard formats its lines into its ring; log_flush() hands them
 * on whenever the reactor has a moment. A write must not block, and standard
 * error may not be made non-blocking, since other processes share it: so one
 * thread at a time asks whether there is room, and then writes no more than
 * PIPE_BUF bytes, for which a pipe that is writable has room.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <miniss/param.h>

#include "core/log-ring.h"
#include "core/shard.h"
#include "lib/mem/mem.h"

#define LAST_TRIES 10
#define LAST_TRY_MS 20

MN_PARAM(uint, log_level, MN_LOG_INFO, MN_LOG_ERR, MN_LOG_DEBUG,
	 "what to log: 0 errors, 1 warnings, 2 information, 3 debug messages");
MN_PARAM(uint, log_rate, 50, 1, 1000000, "lines a second that one place may log, on each shard");

static char program[64] = "miniss";
static atomic_flag writing = ATOMIC_FLAG_INIT; /* some shard writes to standard error */

void log_program(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	snprintf(program, sizeof(program), "%s", slash ? slash + 1 : argv0);
}

const char *log_program_name(void)
{
	return program;
}

/* One line, however odd the text: what peers send must not forge others. */
static size_t line_format(char line[static LOG_LINE_MAX], const struct shard *shard,
			  enum mn_log_level level, const char *format, va_list args)
{
	static const char *const labels[] = { "error: ", "warning: ", "", "debug: " };
	size_t len, start;
	int n;

	if (shard)
		n = snprintf(line, LOG_LINE_MAX, "%s[%u]: %s", program, shard->id, labels[level]);
	else
		n = snprintf(line, LOG_LINE_MAX, "%s: %s", program, labels[level]);
	start = (size_t)n;
	n = vsnprintf(line + start, LOG_LINE_MAX - start, format, args);
	len = start + (n < 0 ? 0 : (size_t)n);
	if (len > LOG_LINE_MAX - 1) {
		len = LOG_LINE_MAX - 1;
		memcpy(line + len - 3, "...", 3);
	}
	for (size_t i = start; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = line[i] == '\n' || line[i] == '\t' ? ' ' : '?';
	line[len] = '\n';
	return len + 1;
}

/* Alone, see above. Returns what is done with: written, or unwritable for good. */
static size_t write_some(const char *data, size_t len)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	if (poll(&fd, 1, 0) != 1)
		return 0;
	if (fd.revents & (POLLERR | POLLNVAL))
		return len; /* nobody reads; a write would raise SIGPIPE */
	n = send(STDERR_FILENO, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		n = write(STDERR_FILENO, data, len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : len;
	return (size_t)n;
}

/* Of whoever is no shard, and last words: wait, but not for ever, for who reads. */
static void write_patiently(const char *data, size_t len)
{
	for (int tries = 0; len && tries < LAST_TRIES;) {
		size_t n = write_some(data, len);

		data += n;
		len -= n;
		if (n)
			continue;
		poll(NULL, 0, LAST_TRY_MS);
		tries++;
	}
}

void log_now(const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	write_patiently(line, line_format(line, mn_self, MN_LOG_ERR, format, args));
	va_end(args);
}

static bool ring_flush(struct log_ring *ring)
{
	char data[PIPE_BUF];
	size_t len, done;

	do {
		len = ring_peek(ring, data, sizeof(data));
		done = len ? write_some(data, len) : 0;
		ring_skip(ring, done);
	} while (done == len && ring_used(ring));
	return !ring_used(ring);
}

bool log_flush(struct shard *shard)
{
	struct log_ring *ring = shard->log;
	int saved_errno = errno;

	if (ring && !atomic_flag_test_and_set_explicit(&writing, memory_order_acquire)) {
		if (ring_flush(ring) && ring_notice(ring, program, shard->id))
			ring_flush(ring);
		atomic_flag_clear_explicit(&writing, memory_order_release);
	}
	shard->log_pending = ring && (ring_used(ring) || ring->dropped);
	errno = saved_errno;
	return !shard->log_pending;
}

void log_flush_last(struct shard *shard)
{
	for (int i = 0; !log_flush(shard) && i < LAST_TRIES; i++)
		poll(NULL, 0, LAST_TRY_MS);
}

bool log_ratelimit(struct log_limit *limit, int64_t now_ns)
{
	if (now_ns - limit->since_ns >= MN_SEC) {
		limit->since_ns = now_ns;
		limit->lines = 0;
		limit->missed = 0;
	}
	if (limit->lines < param_log_rate) {
		limit->lines++;
		return true;
	}
	limit->missed++;
	return false;
}

static void shard_put(struct shard *shard, const char *line, size_t len)
{
	if (shard->log->dropped)
		ring_notice(shard->log, program, shard->id);
	if (!ring_put(shard->log, line, len)) {
		shard->log->dropped++;
		stats_add(shard, STAT_LOG_DROPPED, 1);
	}
	shard->log_pending = true;
	/* A shard that is never idle has to make room itself. */
	if (ring_used(shard->log) > LOG_RING_BYTES / 2)
		log_flush(shard);
}

/* May this place write now? Says first what it was not allowed to write before. */
static bool shard_may_log(struct shard *shard, const char *format)
{
	struct log_limit *limit = ring_limit(shard->log, format);
	uint32_t missed = limit->missed;
	char line[LOG_LINE_MAX];
	int len;

	if (!log_ratelimit(limit, shard_now(shard))) {
		stats_add(shard, STAT_LOG_DROPPED, 1);
		return false;
	}
	if (missed && !limit->missed) {
		len = snprintf(line, sizeof(line), "%s[%u]: %u lines like the next were left out\n",
			       program, shard->id, missed);
		shard_put(shard, line, (size_t)len);
	}
	return true;
}

void mn_log(enum mn_log_level level, const char *format, ...)
{
	struct shard *shard = mn_self && mn_self->log ? mn_self : NULL;
	int saved_errno = errno;
	char line[LOG_LINE_MAX];
	va_list args;
	size_t len;

	if (level > param_log_level || (shard && !shard_may_log(shard, format)))
		return;
	va_start(args, format);
	len = line_format(line, shard, level, format, args);
	va_end(args);
	if (shard)
		shard_put(shard, line, len);
	else
		write_patiently(line, len);
	errno = saved_errno;
}

int log_open(struct shard *shard)
{
	shard->log = mem_alloc(sizeof(*shard->log));
	return shard->log ? 0 : -ENOMEM;
}

void log_close(struct shard *shard)
{
	if (!shard->log)
		return;
	log_flush_last(shard);
	mem_free(shard->log);
	shard->log = NULL;
	shard->log_pending = false;
}

void print_out(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}
