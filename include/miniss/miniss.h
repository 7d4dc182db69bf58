/* SPDX-License-Identifier: MIT */
/* miniss: a thread-per-core, shared-nothing runtime. This header is all of it. */
#ifndef MINISS_MINISS_H
#define MINISS_MINISS_H

#include <miniss/addr.h>
#include <miniss/alien.h>
#include <miniss/blocking.h>
#include <miniss/buf.h>
#include <miniss/channel.h>
#include <miniss/clock.h>
#include <miniss/combine.h>
#include <miniss/commit.h>
#include <miniss/connect.h>
#include <miniss/dgram.h>
#include <miniss/disk.h>
#include <miniss/fiber.h>
#include <miniss/file.h>
#include <miniss/filestream.h>
#include <miniss/foreign.h>
#include <miniss/fsevent.h>
#include <miniss/future.h>
#include <miniss/local.h>
#include <miniss/log.h>
#include <miniss/memory.h>
#include <miniss/op.h>
#include <miniss/param.h>
#include <miniss/poll.h>
#include <miniss/process.h>
#include <miniss/reader.h>
#include <miniss/resolve.h>
#include <miniss/run.h>
#include <miniss/sched.h>
#include <miniss/scope.h>
#include <miniss/serve.h>
#include <miniss/sharded.h>
#include <miniss/signal.h>
#include <miniss/splice.h>
#include <miniss/shared.h>
#include <miniss/smp.h>
#include <miniss/socket.h>
#include <miniss/stream.h>
#include <miniss/passing.h>
#include <miniss/sync.h>
#include <miniss/task.h>
#include <miniss/timer.h>
#include <miniss/types.h>
#include <miniss/waitq.h>

#endif
