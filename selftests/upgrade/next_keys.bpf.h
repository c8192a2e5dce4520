/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A next version of what the datapath keeps, for the upgrade tests: the same
 * engine with every kind of change that a layout can see. Numbers are wider,
 * members are in another order, one key has a new name, unit and meaning, one
 * is new.
 */
#ifndef RINGRAID_NEXT_KEYS_H
#define RINGRAID_NEXT_KEYS_H

#include "../../bpf/include/ringraid/abi.h"
#include "../../bpf/include/ringraid/kv_store.bpf.h"

KV_STORE(raid5, 2, 0, 4);

struct rr_kept_array {
    __u64 member_bytes;
    __u64 size_bytes;
    char uuid[36];
    char name[64];
    __u64 chunk_bytes;
    __u32 members;
    __u32 layout;
    __u32 queues;
    __u32 depth;
    __u32 reserved;
};

enum rr_kept_state {
    rr_none = 0,
    rr_active = 1,
    rr_failed = 2,
    rr_missing = 3,
};

struct rr_kept_member {
    __u64 data_offset_bytes;
    __s64 error;
    enum rr_kept_state state;
};

struct rr_kept_members {
    struct rr_kept_member member[RR_MEMBERS_MAX];
    __u64 events;
};

KV_KEY(1, array, struct rr_kept_array, SEQ);
KV_KEY(2, members, struct rr_kept_members, SEQ);

KV_CONVERTER(ms_to_us, __u32, __u64) {
    c->to = c->from * 1000ULL;
    return 0;
}

KV_CONVERTER(us_to_ms, __u64, __u32) {
    c->to = c->from < 1000 ? 1 : (__u32)(c->from / 1000);
    return 0;
}

KV_KEY(8, retries_max, __u64, ATOMIC, KV_RANGE(1, RR_RETRIES_LIMIT)) = KV_DEFAULT(RR_RETRIES_MAX);
KV_KEY(9, tick_us, __u64, ATOMIC, KV_RANGE(100, 1000000), KV_WAS(tick_ms), KV_SEM(1),
       KV_UP(ms_to_us), KV_DOWN(us_to_ms)) = KV_DEFAULT(RR_TICK_MS * 1000);

struct rr_next_counters {
    __u64 copied_bytes, xor_bytes;
    __u64 submits, sqes, cqes, steps;
    __u64 ticks, wakes, replans, held_acks, region_waits, slot_waits, lock_waits;
    __u64 retries, write_errors, read_errors;
    __u64 repaired, rebuilt_reads;
    __u64 payload_cells, recon_cells, rmw_cells, rcw_cells, full_cells;
    __u64 member_flushes, slot_writes, slot_reads, direct_reads;
    __u64 write_sectors, read_sectors, flushes, writes, reads;
};

struct rr_kept_counters {
    struct rr_next_counters queue[RR_QUEUES_MAX];
};
KV_KEY(16, counters, struct rr_kept_counters, OWNER);

KV_KEY(17, punts, __u64, ATOMIC);
KV_KEY(18, flush_punts, __u64, ATOMIC);
KV_KEY(19, note, __u32, ATOMIC) = KV_DEFAULT(7);

#define rr_retries_max() ((__u32)KV_GET(retries_max))
#define rr_tick_ms() (KV_GET(tick_us) / 1000 + 1)

#endif /* RINGRAID_NEXT_KEYS_H */
