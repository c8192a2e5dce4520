/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* steps.c as BPF object, byte for byte; RR_CHAIN_STEPS is its path. */
	.section .rodata
	.balign 16
	.globl rr_chain_steps_start
rr_chain_steps_start:
	.incbin RR_CHAIN_STEPS
	.globl rr_chain_steps_end
rr_chain_steps_end:
	.section .note.GNU-stack, "", %progbits
