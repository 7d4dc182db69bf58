// SPDX-License-Identifier: MIT
/*
 * The fiber switch alone, without the library, so that the one of another
 * processor runs under an emulator: link with core/fiber_*.S, exit 0 or 1.
 */
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void fiber_switch(void **save_sp, void *load_sp);
void fiber_enter(void **save_sp, void *load_sp, uint64_t control);
void fiber_exit(void *load_sp) __attribute__((noreturn));
uint64_t fiber_control(void);
void *fiber_prepare(void *top, void (*entry)(void), uint64_t control);

#define STACK_SIZE	((size_t)64 * 1024)
#define NR_STACKS	3
#define ROUNDS		1000

static void *main_sp, *sp[NR_STACKS];
static int running, failures;
static int64_t sum[NR_STACKS];
static uint64_t control;

static void check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fiber switch: %s\n", what);
		failures++;
	}
}

static void leave(void)
{
	fiber_switch(&sp[running], main_sp);
}

/*
 * More live values than there are registers for, of both kinds, each read
 * again after the switch: whatever is not saved shows in the sum.
 */
static void many_values(int self)
{
	int64_t i[12];
	double d[12];

	for (int k = 0; k < 12; k++) {
		i[k] = self * 1000 + k;
		d[k] = self * 0.5 + k;
	}
	for (int round = 0; round < ROUNDS; round++) {
		int64_t i0 = i[0], i1 = i[1], i2 = i[2], i3 = i[3], i4 = i[4], i5 = i[5], i6 = i[6],
			i7 = i[7], i8 = i[8], i9 = i[9];
		double d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3], d4 = d[4], d5 = d[5], d6 = d[6],
		       d7 = d[7];

		__asm__ volatile("" : "+r"(i0), "+r"(i1), "+r"(i2), "+r"(i3), "+r"(i4));
		__asm__ volatile("" : "+r"(i5), "+r"(i6), "+r"(i7), "+r"(i8), "+r"(i9));
		leave();
		sum[self] += i0 + i1 + i2 + i3 + i4 + i5 + i6 + i7 + i8 + i9;
		sum[self] += (int64_t)(2 * (d0 + d1 + d2 + d3 + d4 + d5 + d6 + d7));
	}
}

static void entry(void)
{
	int self = running;
	volatile double third = 3;
	static const int mode[NR_STACKS] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };

	check(((uintptr_t)__builtin_frame_address(0) & 15) == 0, "the stack is misaligned");
	check(fegetround() == FE_TONEAREST, "a new stack has another rounding mode");
	fesetround(mode[self]);
	leave();
	check(fegetround() == mode[self], "the rounding mode did not survive");
	check((1 / third * third >= 1) == (self == 0), "rounding is not as its mode says");
	many_values(self);
	running = -1;
	fiber_exit(main_sp);
}

static int turn(int self)
{
	running = self;
	if (self)
		fiber_enter(&main_sp, sp[self], control);
	else
		fiber_switch(&main_sp, sp[self]);
	return running < 0;
}

int main(void)
{
	int ended = 0;

	control = fiber_control();
	for (int k = 0; k < NR_STACKS; k++) {
		char *stack = aligned_alloc(64, STACK_SIZE);

		if (!stack)
			return 1;
		sp[k] = fiber_prepare(stack + STACK_SIZE, entry, control);
	}
	for (int round = 0; ended < NR_STACKS && round < 2 * ROUNDS; round++)
		for (int k = 0; k < NR_STACKS; k++)
			ended += turn(k);
	check(ended == NR_STACKS, "not all came to their end");
	check(fegetround() == FE_TONEAREST, "the caller's rounding mode changed");
	for (int64_t k = 0; k < NR_STACKS; k++)
		check(sum[k] == ROUNDS * (10 * 1000 * k + 45 + 8 * k + 56), "a register was lost");
	if (!failures)
		puts("fiber switch: ok");
	return failures != 0;
}
