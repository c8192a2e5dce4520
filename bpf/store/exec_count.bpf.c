// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts what is executed, and remembers the last one: an example of a program
 * that keeps its state in a KV store, in two versions. docs/kv-store.md goes
 * through it step by step; it needs nothing else of ringraid.
 *
 *   clang-19 -target bpf -O2 -g -DVERSION=1 -I bpf/include -c ...
 */
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "GPL";

KV_STORE(exec_count, VERSION, KV_GATED);

#if VERSION == 1

struct last {
	__u32 pid;
	char comm[16];
};
KV_KEY(1, execs, __u32, ATOMIC);
KV_KEY(2, last, struct last, SEQ);
KV_KEY(3, min_uid, __u32, ATOMIC, KV_RANGE(0, 65535));
KV_KEY(4, pause_ms, __u32, ATOMIC, KV_RANGE(0, 60000)) = KV_DEFAULT(1500);

#else

/* The time is new, the pid has a better name, and all of it moved. */
struct last {
	__u64 time_ns;
	char comm[16];
	__u32 process KV_WAS(pid);
};
KV_KEY(1, execs, __u64, ATOMIC); /* wider */
KV_KEY(2, last, struct last, SEQ);
KV_KEY(3, first_uid, __u32, ATOMIC, KV_RANGE(0, 65535), KV_WAS(min_uid));
/* Another unit in the same type: only the author can say what to do. */
KV_KEY(4, pause_us, __u32, ATOMIC, KV_WAS(pause_ms), KV_SEM(1), KV_UP(ms_to_us), KV_DOWN(us_to_ms));
KV_KEY(5, exits, __u64, ATOMIC);

KV_CONVERTER(ms_to_us, __u32, __u32)
{
	if (c->from > 0xffffffffU / 1000)
		return -ERANGE;
	c->to = c->from * 1000;
	return 0;
}

KV_CONVERTER(us_to_ms, __u32, __u32)
{
	c->to = c->from / 1000;
	return 0;
}

SEC("raw_tp/sched_process_exit")
int on_exit(void *ctx)
{
	KV_GATE(0);
	KV_ADD(exits, 1);
	return 0;
}

#endif

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	struct last last = {};

	KV_GATE(0);
#if VERSION == 1
	if ((__u32)bpf_get_current_uid_gid() < KV_GET(min_uid))
		return 0;
	last.pid = bpf_get_current_pid_tgid() >> 32;
#else
	if ((__u32)bpf_get_current_uid_gid() < KV_GET(first_uid))
		return 0;
	last.process = bpf_get_current_pid_tgid() >> 32;
	last.time_ns = bpf_ktime_get_ns();
#endif
	bpf_get_current_comm(last.comm, sizeof(last.comm));
	KV_ADD(execs, 1);
	KV_WRITE(last, &last); /* -EBUSY when two processors meet: the other one's is as good */
	return 0;
}
