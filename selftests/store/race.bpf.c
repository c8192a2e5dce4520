// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A value whose words must always be equal, written and read by programs and
 * by threads at the same time.
 */
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct even {
    __u64 word[24];
};

KV_STORE(race, 1);
KV_KEY(1, even, struct even, SEQ);
KV_KEY(2, count, __u64, ATOMIC);
KV_KEY(4, half, __u16, ATOMIC);
/* The same without protection: a test of the test. */
KV_KEY(3, bare, struct even, OWNER);

__u64 torn;
__u64 half_torn;
__u64 bare_torn;
__u64 reads;
__u64 writes;
__u64 refused;

RR_STEP int differs(struct even* e) {
    int i, bad = 0;

    for (i = 1; i < 24; i++)
        bad |= e->word[i] != e->word[0];
    return bad;
}

SEC("tc")
int reader(struct __sk_buff* skb) {
    struct even e;
    __u16 half = 0;

    KV_READ(half, &half);
    if ((half >> 8) != (half & 0xff))
        __sync_fetch_and_add(&half_torn, 1);
    if (KV_READ(even, &e) == 0) {
        __sync_fetch_and_add(&reads, 1);
        if (differs(&e))
            __sync_fetch_and_add(&torn, 1);
    }
    KV_READ(bare, &e);
    if (differs(&e))
        __sync_fetch_and_add(&bare_torn, 1);
    return 0;
}

SEC("tc")
int writer(struct __sk_buff* skb) {
    struct even e;
    __u64 v = bpf_get_prandom_u32();
    __u16 half = (v & 0xff) * 0x101;
    int i;

    KV_WRITE(half, &half);
    for (i = 0; i < 24; i++)
        e.word[i] = v;
    if (KV_WRITE(even, &e) == 0)
        __sync_fetch_and_add(&writes, 1);
    else
        __sync_fetch_and_add(&refused, 1);
    KV_WRITE(bare, &e);
    KV_ADD(count, 1);
    return 0;
}
