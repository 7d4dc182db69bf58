// SPDX-License-Identifier: MIT
/* What only the run-time library of AddressSanitizer knows. */
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>

#include "lib/mem/poison.h"

/* Of sanitizer/allocator_interface.h, which gcc does not install. */
size_t __sanitizer_get_allocated_size(const volatile void *ptr);
int __sanitizer_install_malloc_and_free_hooks(void (*made)(const volatile void *ptr, size_t size),
					      void (*freed)(const volatile void *ptr));

/* The heap belongs to the process, not to a world. */
static struct {
	pthread_once_t once;
	void (*fn)(const void *base, size_t size);
} on_free = { .once = PTHREAD_ONCE_INIT };

static void made(const volatile void *base, size_t size)
{
}

static void freed(const volatile void *base)
{
	const void *ptr = (const void *)(uintptr_t)base;

	if (ptr)
		on_free.fn(ptr, __sanitizer_get_allocated_size(ptr));
}

static void install(void)
{
	__sanitizer_install_malloc_and_free_hooks(made, freed);
}

void poison_on_free(void (*fn)(const void *base, size_t size))
{
	if (!on_free.fn)
		on_free.fn = fn;
	pthread_once(&on_free.once, install);
}

void poison_backtrace(void)
{
	__sanitizer_print_stack_trace();
}
