/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* test_steps.c as BPF object. */
	.section .rodata
	.balign 16
	.globl test_object_start
test_object_start:
	.incbin RR_TEST_STEPS
	.globl test_object_end
test_object_end:
	.section .note.GNU-stack, "", %progbits
