/* SPDX-License-Identifier: MIT */
/*
 * The fiber switch for x86-64 (System V ABI); core/fiber.h says what each
 * entry does. A call clobbers all other registers already, so these are all
 * that a stack needs to be resumed: rbx, rbp, r12-r15, the control words of
 * SSE and x87, and where to go on.
 *
 *	sp -> mxcsr, fcw   r15   r14   r13   r12   rbx   rbp   rip
 *
 * The last step is an indirect jump, not a return: the processor predicts a
 * return by the calls that it saw, which were made on the other stack. For
 * the same reason this cannot run under a shadow stack, and the note at the
 * end does not claim that it can; it does claim IBT.
 */
	.macro	function name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	endbr64
	.endm

	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	push reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
	.endm

	.macro	pop reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
	.endm

	.macro	save
	push	rbp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	.endm

	/* The stack in rsp has what save left, and the control words. */
	.macro	resume
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	notrack jmp *%rcx
	.endm

	.text

	/* Reading mxcsr takes longer than all the rest, so only this one does. */
	function fiber_switch		/* (void **save_sp, void *load_sp) */
	save
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	/* Both stacks look the same from here, so the unwind rules hold on. */
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	resume
	end	fiber_switch

	function fiber_enter		/* (void **save_sp, void *load_sp, uint64_t control) */
	save
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	resume
	end	fiber_enter

	function fiber_exit		/* (void *load_sp) */
	.cfi_undefined rip
	movq	%rdi, %rsp
	.cfi_adjust_cfa_offset 56
	resume
	end	fiber_exit

	function fiber_control		/* (void) */
	movq	$0, -8(%rsp)
	stmxcsr	-8(%rsp)
	fnstcw	-4(%rsp)
	movq	-8(%rsp), %rax
	ret
	end	fiber_control

	/*
	 * Where a new stack begins: nothing called it, and unwinders must know.
	 * They look up the instruction before the one to go on with: a nop.
	 */
	.type	fiber_start, @function
	.p2align 4
fiber_start:
	.cfi_startproc
	.cfi_undefined rip
	nop
.Lstart:
	call	*%rbx
	ud2				/* it may not return */
	end	fiber_start

	/* One cache line, as if fiber_start had switched. No rbp ends the chain of frames. */
	function fiber_prepare		/* (void *top, void (*entry)(void), uint64_t control) */
	leaq	.Lstart(%rip), %rcx
	leaq	-64(%rdi), %rax
	movq	%rdx, (%rax)
	movq	$0, 8(%rax)
	movq	$0, 16(%rax)
	movq	$0, 24(%rax)
	movq	$0, 32(%rax)
	movq	%rsi, 40(%rax)		/* rbx */
	movq	$0, 48(%rax)		/* rbp */
	movq	%rcx, 56(%rax)
	ret
	end	fiber_prepare

	.section .note.GNU-stack, "", @progbits

	/* GNU_PROPERTY_X86_FEATURE_1_AND: IBT */
	.section .note.gnu.property, "a", @note
	.p2align 3
	.long	4, 16, 5
	.string	"GNU"
	.long	0xc0000002, 4, 1, 0
