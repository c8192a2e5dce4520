// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Values of a task, in two versions. */
#define KV_TASKS
#include <ringraid/kv_store.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

KV_STORE(tasks, VERSION, KV_GATED);
KV_KEY(1, total, __u64, ATOMIC);

struct page {
    __u8 byte[4000];
};
struct large {
    __u8 byte[4096];
};
#if VERSION == 1
KV_TASK_KEY(2, calls, __u32, OWNER) = KV_DEFAULT(5);
KV_TASK_KEY(3, page3, struct page, OWNER);
#else
KV_TASK_KEY(2, calls, __u64, OWNER) = KV_DEFAULT(5);
KV_TASK_KEY(3, page3, struct page, OWNER);
KV_TASK_KEY(4, p4, struct large, OWNER);
KV_TASK_KEY(5, p5, struct large, OWNER);
KV_TASK_KEY(6, p6, struct large, OWNER);
KV_TASK_KEY(7, p7, struct large, OWNER);
KV_TASK_KEY(8, p8, struct large, OWNER);
KV_TASK_KEY(9, p9, struct large, OWNER);
KV_TASK_KEY(10, p10, struct large, OWNER);
#endif

SEC("syscall")
int bump(void* ctx) {
    struct kv_task* t = kv_task_self();
    kv_type_of_calls* calls;
    struct page* p;

    if (!t)
        return 1;
    calls = KV_TASK_PTR(t, calls);
    p = KV_TASK_PTR(t, page3);
    if (!calls || !p)
        return 2;
    ++*calls;
    p->byte[3999]++;
#if VERSION == 2
    {
        struct large* last = KV_TASK_PTR(t, p10);

        if (!last)
            return 3;
        last->byte[4095] = 42;
    }
#endif
    KV_ADD(total, 1);
    return 0;
}
