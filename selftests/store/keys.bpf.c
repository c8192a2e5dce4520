// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Baked and dynamic keys, read and written from BPF; answers in .data. */
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct point {
    __u32 x;
    __u32 y;
    __u64 z;
};
struct big {
    __u64 word[512];
};

KV_STORE(keys, 1, KV_GATED, 12);
KV_KEY(0, first, __u8, ATOMIC) = KV_DEFAULT(200);
KV_KEY(1, number, __s64, ATOMIC) = KV_DEFAULT(-5);
KV_KEY(2, point, struct point, SEQ) = KV_DEFAULT({.x = 1, .y = 2, .z = 3});
KV_KEY(3, own, struct point, OWNER) = KV_DEFAULT({.x = 4});
KV_KEY(4, big, struct big, OWNER);
KV_KEY(5, title, char[16], SEQ) = KV_DEFAULT("hello");
KV_KEY(1023, last, __u32, ATOMIC) = KV_DEFAULT(1023);

/* What to do, and what came of it. */
__u32 key;
__u64 name[KV_NAME_MAX / 8];
__s64 result;
__s64 found;
struct point seen;
struct point give;
__s64 number_seen;
__u64 sum;
__u32 last_seen;

SEC("tc")
int baked(struct __sk_buff* skb) {
    struct point p;
    struct big* b;
    struct point* own;

    number_seen = KV_GET(number);
    last_seen = KV_GET(last);
    result = KV_READ(point, &p);
    seen = p;
    p.x += 10;
    if (result == 0)
        result = KV_WRITE(point, &p);
    own = KV_PTR(own);
    if (own)
        own->x++;
    b = KV_PTR(big);
    if (b)
        b->word[511] = 0x1122334455667788ULL;
    if (KV_PUT(first, 201) && result == 0)
        result = -1;
    return 0;
}

SEC("tc")
int dynamic_get(struct __sk_buff* skb) {
    struct point p = {};

    result = kv_store_get(key, &p, sizeof(p), 8);
    seen = p;
    return 0;
}

SEC("tc")
int dynamic_put(struct __sk_buff* skb) {
    struct point p = give;

    result = kv_store_put(key, &p, sizeof(p), 8);
    return 0;
}

SEC("tc")
int dynamic_delete(struct __sk_buff* skb) {
    result = kv_store_delete(key);
    return 0;
}

SEC("tc")
int dynamic_find(struct __sk_buff* skb) {
    __u64 words[KV_NAME_MAX / 8] = {name[0], name[1], name[2], name[3]};

    found = kv_store_find(words);
    return 0;
}

/* As a program would that aligns its copy to 4 bytes only. */
SEC("tc")
int dynamic_halves(struct __sk_buff* skb) {
    struct {
        __u32 low, high;
    } v = {};

    result = kv_store_get(key, &v, sizeof(v), 4);
    if (result == -EINVAL)
        result = kv_store_put(key, &v, sizeof(v), 4);
    return 0;
}

/* 8-byte values by number: the size that a test of many keys uses. */
SEC("tc")
int dynamic_word(struct __sk_buff* skb) {
    __u64 v = 0;

    result = kv_store_get(key, &v, sizeof(v), 8);
    sum += v;
    return 0;
}
