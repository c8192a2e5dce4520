/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A kernel that refuses one command of ublk: where io_uring asks the security
 * modules about a command of a driver, this one says -EIO to REFUSED, which the
 * build sets. For the ways back of a start and of a takeover, whose last step
 * fails on no machine that a test could make.
 *
 *	bpftool prog loadall refuse_start.bpf.o DIRECTORY autoattach
 *
 * pins the refusal; it ends with the directory.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/ioctl.h>
#include <linux/ublk_cmd.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct io_uring_cmd {
	__u32 cmd_op;
} __attribute__((preserve_access_index));

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fmod_ret/security_uring_cmd")
int BPF_PROG(refuse, struct io_uring_cmd *command, int allowed)
{
	return command->cmd_op == REFUSED ? -EIO : allowed;
}
