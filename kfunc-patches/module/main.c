// SPDX-License-Identifier: GPL-2.0-only
/*
 * uring_bpf_xor() as a module, for kernels without the patches.
 *
 * The function itself is io_uring/bpf_xor.c of the patch series, taken out of
 * it when the module is built, so there is one source of it. A program that
 * uses the function holds a reference to the module while it is loaded.
 */
#include <linux/module.h>

#include "bpf_xor.h"
#include "layout.h"

static int __init rr_xor_init(void)
{
	int ret = rr_layout_check();

	if (ret)
		return ret;
	/* Without, the kernel registers nothing and says that all is well. */
	if (!THIS_MODULE->btf_data_size) {
		pr_err("uring_bpf_xor: built without BTF: no program could call it (pahole and the kernel's vmlinux were missing)\n");
		return -ENOEXEC;
	}
	return iou_bpf_xor_init();
}
module_init(rr_xor_init);

/* The set of kfuncs goes with the module's BTF. */
static void __exit rr_xor_exit(void)
{
}
module_exit(rr_xor_exit);

MODULE_DESCRIPTION("XOR of registered buffers for io_uring BPF programs");
MODULE_LICENSE("GPL");
