/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the datapath keeps in its KV store: state that a program of another
 * version takes over, in whatever shape it has it (docs/kv-store.md).
 *
 * The arena is not among it. It is the engine's work in progress, as both
 * versions must know it to the bit; `ringraid upgrade` refuses a program whose
 * arena is another. `array` and `members` are a copy for whoever looks into
 * the store: the daemon makes it from the superblocks, which are the authority.
 *
 * Another version is this file with other keys, named by RR_KEYS.
 */
#ifndef RINGRAID_RAID5_KEYS_H
#define RINGRAID_RAID5_KEYS_H

#include "include/ringraid/abi.h"
#include "include/ringraid/kv_store.bpf.h"

/* The queues park for a roll-out, so there is no gate. */
KV_STORE(raid5, 1, 0, 4);

struct rr_kept_array {
	char name[32];
	char uuid[36];
	__u32 members;
	__u32 layout;
	__u32 chunk_bytes;
	__u32 queues;
	__u32 depth;
	__u64 size_bytes;
	__u64 member_bytes;
};

enum rr_kept_state {
	rr_none = 0,
	rr_active = 1,
	rr_failed = 2,
	rr_missing = 3,
};

struct rr_kept_member {
	enum rr_kept_state state;
	__s32 error; /* errno */
	__u64 data_offset_bytes;
};

struct rr_kept_members {
	__u64 events;
	struct rr_kept_member member[RR_MEMBERS_MAX];
};

KV_KEY(1, array, struct rr_kept_array, SEQ);
KV_KEY(2, members, struct rr_kept_members, SEQ);

/* How often an I/O that failed for the moment is tried again, and how soon. */
KV_KEY(8, retries_max, __u32, ATOMIC, KV_RANGE(1, RR_RETRIES_LIMIT)) = KV_DEFAULT(RR_RETRIES_MAX);
KV_KEY(9, tick_ms, __u32, ATOMIC, KV_RANGE(1, 1000)) = KV_DEFAULT(RR_TICK_MS);

/* By queue, each written by its queue alone. */
struct rr_kept_counters {
	struct rr_counters queue[RR_QUEUES_MAX];
};
KV_KEY(16, counters, struct rr_kept_counters, OWNER);

/* SQEs of the queues that io_uring handed to a worker thread (raid5_punt). */
KV_KEY(17, punts, __u64, ATOMIC);
KV_KEY(18, flush_punts, __u64, ATOMIC);

/* The engine's hooks (engine/arena.h). */
#define rr_retries_max() KV_GET(retries_max)
#define rr_tick_ms()	 KV_GET(tick_ms)

#endif /* RINGRAID_RAID5_KEYS_H */
