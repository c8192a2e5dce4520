// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A traffic counter in three versions: what the roll-out tests move between.
 * Each version counts by a weight of its own, so that a test sees which one
 * ran: v1 adds 1 to `marks`, v2 adds 1000, v3 adds 1000000.
 */
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

KV_STORE(flow, VERSION, KV_GATED);

KV_KEY(1, packets, __u64, ATOMIC);
KV_KEY(9, marks, __u64, ATOMIC);

#if VERSION == 1
struct limits {
    __u32 rate;
    __u32 burst;
};
KV_KEY(2, limits, struct limits, SEQ) = KV_DEFAULT({.rate = 100, .burst = 10});
KV_KEY(3, sample, __u32, OWNER, KV_RANGE(1, 1000)) = KV_DEFAULT(10);
KV_KEY(4, seconds, __u32, ATOMIC) = KV_DEFAULT(7);
KV_KEY(5, scratch, __u32, ATOMIC, KV_RESET) = KV_DEFAULT(3);
KV_KEY(6, guess, __u32, ATOMIC, KV_CACHE) = KV_DEFAULT(1);
#define STEP 1
#elif VERSION == 2
struct limits {
    __u64 burst; /* wider, and first now */
    __u32 rate;
    __u32 window;
};
KV_KEY(2, limits, struct limits, SEQ) = KV_DEFAULT({.rate = 100, .burst = 10, .window = 60});
KV_KEY(3, sampling, __u64, OWNER, KV_RANGE(1, 1000000), KV_WAS(sample)) = KV_DEFAULT(10);
KV_KEY(4, milliseconds, __u64, ATOMIC, KV_WAS(seconds), KV_SEM(1), KV_UP(to_ms), KV_DOWN(from_ms));
KV_KEY(5, scratch, __u32, ATOMIC, KV_RESET) = KV_DEFAULT(4);
KV_KEY(6, guess, float, OWNER, KV_CACHE) = KV_DEFAULT(0.5f);
KV_KEY(7, added, __u16, ATOMIC) = KV_DEFAULT(77);
#define STEP 1000
KV_CONVERTER(to_ms, __u32, __u64) {
    c->to = c->from * 1000ULL;
    return 0;
}
KV_CONVERTER(from_ms, __u64, __u32) {
    if (c->from / 1000 > 0xffffffffULL)
        return -ERANGE;
    c->to = c->from / 1000;
    return 0;
}
#else
struct limits {
    __u32 window;
    __u64 burst;
    __u32 speed KV_WAS(rate);
    __u64 extra[2];
};
KV_KEY(2, limits, struct limits, SEQ) = KV_DEFAULT({.speed = 100, .burst = 10, .extra = {1, 2}});
KV_KEY(3, sampling, __u64, OWNER, KV_RANGE(1, 1000000)) = KV_DEFAULT(10);
KV_KEY(4, milliseconds, __u64, ATOMIC, KV_SEM(1));
KV_KEY(5, scratch, __u32, ATOMIC, KV_RESET) = KV_DEFAULT(5);
KV_KEY(7, added, __u32, ATOMIC) = KV_DEFAULT(77);
KV_KEY(8, late, __u8, ATOMIC) = KV_DEFAULT(1);
#define STEP 1000000
#endif

SEC("tcx/ingress")
int count(struct __sk_buff* skb) {
    KV_GATE(-1);
    KV_ADD(packets, 1);
    KV_ADD(marks, STEP);
    return -1; /* TCX_NEXT */
}

/* Attached by itself; a link that cannot be updated. */
SEC("raw_tracepoint/sys_enter")
int trace(void* ctx) {
    KV_GATE(0);
    if ((__u32)bpf_get_current_pid_tgid() == 0)
        return 0;
    KV_ADD(marks, STEP);
    return 0;
}
