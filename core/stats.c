// SPDX-License-Identifier: MIT
#include "core/stats.h"

const char *const stat_names[STAT_NR] = {
	[STAT_TURNS]		= "turns",
	[STAT_TASKS]		= "tasks",
	[STAT_FIBERS]		= "fibers",
	[STAT_TIMERS]		= "timers",
	[STAT_OPS]		= "ops",
	[STAT_COMPLETIONS]	= "completions",
	[STAT_SYSCALLS]		= "syscalls",
	[STAT_PARKS]		= "parks",
	[STAT_SPINS]		= "spins",
	[STAT_WAKES]		= "wakes",
	[STAT_WAKES_UNSENT]	= "wakes_unsent",
	[STAT_MESSAGES]		= "messages",
	[STAT_ACCEPTS]		= "accepts",
	[STAT_HANDED]		= "handed_over",
	[STAT_MIGRATIONS]	= "migrations",
	[STAT_ACCEPT_PAUSES]	= "accept_pauses",
	[STAT_BYTES_IN]		= "bytes_in",
	[STAT_BYTES_OUT]	= "bytes_out",
	[STAT_STARVED]		= "starved",
	[STAT_CQ_OVERFLOWS]	= "cq_overflows",
	[STAT_STALLS]		= "stalls",
	[STAT_ABANDONED]	= "abandoned",
	[STAT_LOG_DROPPED]	= "log_dropped",
};
