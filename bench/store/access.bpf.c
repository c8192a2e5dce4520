// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One program for each way to reach a value: OPS accesses in a row, unrolled,
 * nothing else. The runner subtracts what the program `empty` takes.
 *
 * rfc_*: the uptr KV store RFC's v2 method for 8 bytes: task storage, a page
 * of metas, a page of data. Its dynptr for other sizes is not in any kernel.
 * tld_*: task local data, its successor: two task storages, cached offsets.
 * *_once: the lookup once a run, as both are meant to be used.
 */
#define KV_TASKS
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "GPL";

#define OPS 32
/* clang-format off */
#define REPEAT(op) \
	do { op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) \
	     op(13) op(14) op(15) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) \
	     op(25) op(26) op(27) op(28) op(29) op(30) op(31) } while (0)
/* clang-format on */
#define BENCH(name) \
    SEC("tc")       \
    int name(struct __sk_buff* skb)

struct pair {
    __u64 a;
    __u64 b;
};

KV_STORE(access, 1);
KV_KEY(1, word, __u64, ATOMIC);
KV_KEY(2, pair, struct pair, SEQ);
KV_KEY(3, owned, __u64, OWNER);
KV_TASK_KEY(4, mine, __u64, OWNER);

__u64 plain_word;
__u64 sink;
struct pair plain_pair;
const volatile __u32 dynamic_key = 100;
__u64 dynamic_name[KV_NAME_MAX / 8];

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, __u64);
} array SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u64);
} hash SEC(".maps");

struct text {
    char byte[32];
};
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct text);
    __type(value, __u64);
} named SEC(".maps");

struct rfc_meta {
    __u32 off : 12;
    __u32 size : 12;
    __u32 init : 1;
};
struct rfc_metas {
    struct rfc_meta meta[1024];
};
struct rfc_page {
    __u8 byte[4096];
};
struct rfc_value {
    struct rfc_metas kv_uptr* metas;
    struct rfc_page kv_uptr* page;
    struct {
        struct rfc_metas metas;
        struct rfc_page page;
    } types[]; /* defines them for clang's BTF */
};
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct rfc_value);
} rfc SEC(".maps");

struct tld_data {
    __u8 byte[4096];
};
struct tld_value {
    struct tld_data kv_uptr* data;
    struct tld_data data_type[];
};
struct tld_keys {
    __s32 offset[8];
};
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct tld_value);
} tld SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct tld_keys);
} tld_cache SEC(".maps");

BENCH(empty) {
    return 0;
}

#define volatile_word (*(volatile __u64*)&plain_word)

#define OP(i) sum += volatile_word;
BENCH(global_get) {
    __u64 sum = 0;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i) volatile_word = i;
BENCH(global_put) {
    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i) __sync_fetch_and_add(&plain_word, 1);
BENCH(global_add) {
    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i) sum += KV_GET(word);
BENCH(baked_get) {
    __u64 sum = 0;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i) KV_PUT(word, i);
BENCH(baked_put) {
    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i) KV_ADD(word, 1);
BENCH(baked_add) {
    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i)          \
    KV_READ(pair, &p); \
    sum += p.a;
BENCH(seq_get) {
    struct pair p = {};
    __u64 sum = 0;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i) \
    p.a = i;  \
    KV_WRITE(pair, &p);
BENCH(seq_put) {
    struct pair p = {};

    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i)                            \
    kv_store_get(dynamic_key, &v, 8, 8); \
    sum += v;
BENCH(number_get) {
    __u64 sum = 0, v = 0;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i) \
    v = i;    \
    kv_store_put(dynamic_key, &v, 8, 8);
BENCH(number_put) {
    __u64 v = 0;

    REPEAT(OP);
    return 0;
}
#undef OP

/* Not static: the verifier looks at it once, not once for each of the OPS. */
__noinline int find(__u64 a) {
    __u64 name[KV_NAME_MAX / 8] = {a, dynamic_name[1], dynamic_name[2], dynamic_name[3]};

    return kv_store_find(name);
}

#define OP(i)                                      \
    kv_store_get(find(dynamic_name[0]), &v, 8, 8); \
    sum += v;
BENCH(name_get) {
    __u64 sum = 0, v = 0;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)                              \
    key = i & 15;                          \
    v = bpf_map_lookup_elem(&array, &key); \
    if (v)                                 \
        sum += *(volatile __u64*)v;
BENCH(array_get) {
    __u64 sum = 0, *v;
    __u32 key;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)                              \
    key = i & 15;                          \
    v = bpf_map_lookup_elem(&array, &key); \
    if (v)                                 \
        *(volatile __u64*)v = i;
BENCH(array_put) {
    __u64* v;
    __u32 key;

    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i)                             \
    key = i & 15;                         \
    v = bpf_map_lookup_elem(&hash, &key); \
    if (v)                                \
        sum += *(volatile __u64*)v;
BENCH(hash_get) {
    __u64 sum = 0, *v;
    __u32 key;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)     \
    key = i & 15; \
    value = i;    \
    bpf_map_update_elem(&hash, &key, &value, BPF_EXIST);
BENCH(hash_put) {
    __u64 value;
    __u32 key;

    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i)                              \
    key.byte[31] = 0;                      \
    v = bpf_map_lookup_elem(&named, &key); \
    if (v)                                 \
        sum += *(volatile __u64*)v;
BENCH(hash_name_get) {
    struct text key = {"some-key-with-a-name"};
    __u64 sum = 0, *v;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

static __always_inline __u64* rfc_place(struct rfc_value* data, __u32 key) {
    struct rfc_metas* metas = data->metas;
    struct rfc_page* page = data->page;
    struct rfc_meta meta;

    if (!metas || !page || key >= 1024)
        return 0;
    meta = metas->meta[key];
    if (!meta.init || meta.size != 8 || meta.off > 4096 - 8)
        return 0;
    return (__u64*)(page->byte + meta.off);
}

#define OP(i)                                                            \
    data = bpf_task_storage_get(&rfc, bpf_get_current_task_btf(), 0, 0); \
    v = data ? rfc_place(data, 5) : 0;                                   \
    if (v)                                                               \
        sum += *(volatile __u64*)v;
BENCH(rfc_get) {
    struct rfc_value* data;
    __u64 sum = 0, *v;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)                                                            \
    data = bpf_task_storage_get(&rfc, bpf_get_current_task_btf(), 0, 0); \
    v = data ? rfc_place(data, 5) : 0;                                   \
    if (v)                                                               \
        *(volatile __u64*)v = i;
BENCH(rfc_put) {
    struct rfc_value* data;
    __u64* v;

    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i)               \
    v = rfc_place(data, 5); \
    if (v)                  \
        sum += *(volatile __u64*)v;
BENCH(rfc_get_once) {
    struct rfc_value* data = bpf_task_storage_get(&rfc, bpf_get_current_task_btf(), 0, 0);
    __u64 sum = 0, *v;

    if (!data)
        return 1;
    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

static __always_inline __u64* tld_place(struct tld_value* value, struct tld_keys* keys) {
    struct tld_data* data = value->data;
    __s32 at = *(volatile __s32*)&keys->offset[0];

    if (!data || at < 0 || at > 4096 - 8)
        return 0;
    return (__u64*)(data->byte + at);
}

#define OP(i)                                                                  \
    value = bpf_task_storage_get(&tld, bpf_get_current_task_btf(), 0, 0);      \
    keys = bpf_task_storage_get(&tld_cache, bpf_get_current_task_btf(), 0, 0); \
    v = value && keys ? tld_place(value, keys) : 0;                            \
    if (v)                                                                     \
        sum += *(volatile __u64*)v;
BENCH(tld_get) {
    struct tld_value* value;
    struct tld_keys* keys;
    __u64 sum = 0, *v;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)                                                                  \
    value = bpf_task_storage_get(&tld, bpf_get_current_task_btf(), 0, 0);      \
    keys = bpf_task_storage_get(&tld_cache, bpf_get_current_task_btf(), 0, 0); \
    v = value && keys ? tld_place(value, keys) : 0;                            \
    if (v)                                                                     \
        *(volatile __u64*)v = i;
BENCH(tld_put) {
    struct tld_value* value;
    struct tld_keys* keys;
    __u64* v;

    REPEAT(OP);
    return 0;
}
#undef OP

#define OP(i)                   \
    v = tld_place(value, keys); \
    if (v)                      \
        sum += *(volatile __u64*)v;
BENCH(tld_get_once) {
    struct tld_value* value = bpf_task_storage_get(&tld, bpf_get_current_task_btf(), 0, 0);
    struct tld_keys* keys = bpf_task_storage_get(&tld_cache, bpf_get_current_task_btf(), 0, 0);
    __u64 sum = 0, *v;

    if (!value || !keys)
        return 1;
    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)                     \
    t = kv_task_self();           \
    v = 0;                        \
    if (t)                        \
        v = KV_TASK_PTR(t, mine); \
    if (v)                        \
        sum += *(volatile __u64*)v;
BENCH(task_get) {
    struct kv_task* t;
    __u64 sum = 0, *v;

    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP

#define OP(i)                 \
    v = KV_TASK_PTR(t, mine); \
    if (v)                    \
        sum += *(volatile __u64*)v;
BENCH(task_get_once) {
    struct kv_task* t = kv_task_self();
    __u64 sum = 0, *v;

    if (!t)
        return 1;
    REPEAT(OP);
    sink = sum;
    return 0;
}
#undef OP
