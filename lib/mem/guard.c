// SPDX-License-Identifier: MIT
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/compiler.h"
#include "lib/mem/guard.h"
#include "lib/mem/mem.h"

/* linux/mman.h of 6.13; older headers lack it, and what it does is tried. */
#define ADVICE_GUARD_INSTALL	102

/* The kernel's part of a signal frame can be 11 KiB; untouched pages are free. */
#define ALTSTACK_SIZE		((size_t)64 * 1024)

/* Who handles a fault belongs to the process, not to a world. */
static struct {
	pthread_mutex_t lock;
	unsigned int nr_threads;
	bool installed;
	struct sigaction old;
} guard = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* NULL: the thread had a signal stack before (a sanitizer's), which will do. */
static _Thread_local void *altstack;

size_t guard_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* An emulator may answer 0 and do nothing: believe the kernel's own access. */
static bool guard_works(void *page)
{
	bool works;
	int fds[2];

	if (madvise(page, guard_size(), ADVICE_GUARD_INSTALL) || pipe(fds))
		return false;
	works = write(fds[1], page, 1) < 0 && errno == EFAULT;
	close(fds[0]);
	close(fds[1]);
	return works;
}

enum guard_kind guard_probe(void)
{
	void *page = mem_map(guard_size());
	bool works = page && guard_works(page);

	if (page)
		mem_unmap(page, guard_size());
	return works ? GUARD_MADVISE : GUARD_MPROTECT;
}

int guard_install(enum guard_kind kind, void *page)
{
	int ret = kind == GUARD_MADVISE ? madvise(page, guard_size(), ADVICE_GUARD_INSTALL) :
					  mprotect(page, guard_size(), PROT_NONE);

	return ret ? -errno : 0;
}

/*
 * Not ours: let who was there before have it. Without anybody, returning
 * repeats the fault with the default action, so that a core dump shows the
 * place; a signal that somebody sent has to be sent again.
 */
static void fault_pass_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *old = &guard.old;

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, context);
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	} else if (old->sa_handler == SIG_DFL || info->si_code > 0) {
		signal(sig, SIG_DFL);
		if (info->si_code <= 0)
			raise(sig);
	}
}

static void fault(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	char line[128];
	size_t len = info->si_code > 0 ? guard_explain(info->si_addr, line, sizeof(line)) : 0;

	if (len) {
		if (write(STDERR_FILENO, line, len) < 0)
			errno = saved_errno;	/* nobody to tell: the core dump has it */
		abort();
	}
	fault_pass_on(sig, info, context);
	errno = saved_errno;
}

static void altstack_set(void)
{
	stack_t cur, new = { .ss_size = ALTSTACK_SIZE };

	if (sigaltstack(NULL, &cur) || !(cur.ss_flags & SS_DISABLE))
		return;
	new.ss_sp = mem_map(ALTSTACK_SIZE);
	if (new.ss_sp && sigaltstack(&new, NULL)) {
		mem_unmap(new.ss_sp, ALTSTACK_SIZE);
		new.ss_sp = NULL;
	}
	altstack = new.ss_sp;
}

void guard_thread_enter(void)
{
	struct sigaction sa = { .sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	altstack_set();
	pthread_mutex_lock(&guard.lock);
	guard.nr_threads++;
	if (!guard.installed)
		guard.installed = !sigaction(SIGSEGV, &sa, &guard.old);
	pthread_mutex_unlock(&guard.lock);
}

void guard_thread_leave(void)
{
	stack_t none = { .ss_flags = SS_DISABLE };
	struct sigaction cur;

	pthread_mutex_lock(&guard.lock);
	/* Somebody may have put a handler above ours that calls it: then it stays for good. */
	if (!--guard.nr_threads && !sigaction(SIGSEGV, NULL, &cur) && cur.sa_sigaction == fault)
		guard.installed = sigaction(SIGSEGV, &guard.old, NULL) != 0;
	pthread_mutex_unlock(&guard.lock);
	if (!altstack)
		return;
	sigaltstack(&none, NULL);
	mem_unmap(altstack, ALTSTACK_SIZE);
	altstack = NULL;
}
