/* SPDX-License-Identifier: MIT */
/*
 * The fiber switch for AArch64 (AAPCS64); core/fiber.h says what each entry
 * does. A call clobbers all other registers already, so these are all that a
 * stack needs to be resumed: x19-x30, the low halves of v8-v15, and FPCR, of
 * which a function must preserve the rounding mode.
 *
 * The way back is signed with the stack pointer that it belongs to, by
 * instructions that older processors take for NOPs. PACIASP is a landing pad
 * for indirect calls (BTI) too.
 */
#define FRAME		176
#define FRAME_FPCR	160

#define PACIASP		hint #25
#define AUTIASP		hint #29
#define PACIA1716	hint #8
#define BTI_C		hint #34

	.macro	function name
	.globl	\name
	.hidden	\name
	.type	\name, %function
	.p2align 4
\name:
	.cfi_startproc
	.endm

	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	save_pair a, b, at
	stp	\a, \b, [sp, #\at]
	.cfi_rel_offset \a, \at
	.cfi_rel_offset \b, \at + 8
	.endm

	.macro	load_pair a, b, at
	ldp	\a, \b, [sp, #\at]
	.cfi_restore \a
	.cfi_restore \b
	.endm

	.macro	save control
	PACIASP
	.cfi_negate_ra_state
	sub	sp, sp, #FRAME
	.cfi_adjust_cfa_offset FRAME
	save_pair x29, x30, 0
	save_pair x19, x20, 16
	save_pair x21, x22, 32
	save_pair x23, x24, 48
	save_pair x25, x26, 64
	save_pair x27, x28, 80
	save_pair d8, d9, 96
	save_pair d10, d11, 112
	save_pair d12, d13, 128
	save_pair d14, d15, 144
	str	\control, [sp, #FRAME_FPCR]
	.endm

	/* The stack in sp has what save left. Writing FPCR is slow, and it hardly ever differs. */
	.macro	resume
	ldr	x10, [sp, #FRAME_FPCR]
	mrs	x9, fpcr
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x10
1:
	load_pair d14, d15, 144
	load_pair d12, d13, 128
	load_pair d10, d11, 112
	load_pair d8, d9, 96
	load_pair x27, x28, 80
	load_pair x25, x26, 64
	load_pair x23, x24, 48
	load_pair x21, x22, 32
	load_pair x19, x20, 16
	load_pair x29, x30, 0
	add	sp, sp, #FRAME
	.cfi_adjust_cfa_offset -FRAME
	AUTIASP
	.cfi_negate_ra_state
	ret
	.endm

	.text

	function fiber_switch		/* (void **save_sp, void *load_sp) */
	BTI_C
	mrs	x2, fpcr
	save	x2
	/* Both stacks look the same from here, so the unwind rules hold on. */
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1
	resume
	end	fiber_switch

	function fiber_enter		/* (void **save_sp, void *load_sp, uint64_t control) */
	save	x2
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1
	resume
	end	fiber_enter

	function fiber_exit		/* (void *load_sp) */
	.cfi_undefined x30
	BTI_C
	mov	sp, x0
	.cfi_adjust_cfa_offset FRAME
	.cfi_negate_ra_state
	resume
	end	fiber_exit

	function fiber_control		/* (void) */
	BTI_C
	mrs	x0, fpcr
	ret
	end	fiber_control

	/*
	 * Where a new stack begins: nothing called it, and unwinders must know.
	 * They look up the instruction before the one to go on with: a nop.
	 */
	.type	fiber_start, %function
	.p2align 4
fiber_start:
	.cfi_startproc
	.cfi_undefined x30
	nop
.Lstart:
	blr	x19
	brk	#1			/* it may not return */
	end	fiber_start

	/*
	 * As if fiber_start had switched; no x29 ends the chain of frames. The
	 * v registers start as they are found.
	 */
	function fiber_prepare		/* (void *top, void (*entry)(void), uint64_t control) */
	BTI_C
	mov	x16, x0
	adr	x17, .Lstart
	PACIA1716			/* sign x17 for a stack pointer of x16 */
	sub	x0, x0, #FRAME
	stp	xzr, x17, [x0, #0]
	stp	x1, xzr, [x0, #16]	/* x19 */
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	stp	xzr, xzr, [x0, #80]
	str	x2, [x0, #FRAME_FPCR]
	ret
	end	fiber_prepare

	.section .note.GNU-stack, "", %progbits

	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI and PAC */
	.section .note.gnu.property, "a", %note
	.p2align 3
	.long	4, 16, 5
	.string	"GNU"
	.long	0xc0000000, 4, 3, 0
