/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF object, byte for byte; RR_BPF_OBJECT is its path. */
	.section .rodata
	.balign 16
	.globl rr_bpf_object_start
rr_bpf_object_start:
	.incbin RR_BPF_OBJECT
	.globl rr_bpf_object_end
rr_bpf_object_end:
	.section .note.GNU-stack, "", %progbits
