/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The KV store's memory: what BPF programs and user space both know of it.
 *
 * A store is one mmapable array map with one entry, the area:
 *
 *   kv_header     identity, state of a roll-out, the gate, the journal
 *   kv_bank[2]    per bank: directory, name hash, entries, types (a BTF blob)
 *   data[2]       per bank: the values
 *
 * One bank is active. A roll-out writes the other one and flips. A key is a
 * number below KV_KEYS_MAX; it may have a name. Its directory word says where
 * its value is, all in one 64-bit load, so that no reader ever sees the
 * offset of one value with the size of another.
 *
 * How a value is shared is fixed per key (enum kv_sync):
 *   OWNER   one context writes it, plain loads and stores. Others read it
 *           untorn only when it is one aligned word, or while the gate is shut.
 *   ATOMIC  1, 2, 4 or 8 bytes, naturally aligned: one load, store or add.
 *   SEQ     any size: kv_seq and two copies. A writer fills the copy that
 *           nobody reads, then publishes it by seq + 1; a reader that sees
 *           the same seq before and after has a whole value. A writer that
 *           dies halfway leaves the old value readable.
 *
 * User space can write every byte of this at any time. BPF trusts none of it
 * for its memory safety: offsets of keys known at load are frozen in the
 * program, all others are checked before use.
 */
#ifndef RINGRAID_KV_STORE_H
#define RINGRAID_KV_STORE_H

#include "types.h"

#define KV_MAGIC 0x3145524f5453564bULL /* "KVSTORE1" */

enum {
	KV_ABI = 1,
	KV_KEYS_MAX = 1024,
	KV_VALUE_MAX = 4096,
	KV_NAME_MAX = 32, /* with the NUL */
	KV_PAGE = 4096,
	KV_PAGES_DEFAULT = 8,
	KV_PAGES_MAX = 4096, /* of values in a bank */
	KV_BANKS = 2,
	KV_BUCKETS = 4096,
	KV_PROBES = 32, /* buckets that a search by name looks at, at most */
	KV_TYPES_BYTES = 65536,
	KV_LINKS_MAX = 8,
	KV_PATH_MAX = 128,
	KV_TASK_PAGES = 8,
	KV_TRIES = 64, /* attempts at a value that is being written */
};

enum kv_sync { KV_SYNC_OWNER = 0, KV_SYNC_ATOMIC = 1, KV_SYNC_SEQ = 2 };
enum kv_persist { KV_PERSIST_DURABLE = 0, KV_PERSIST_CACHE = 1, KV_PERSIST_RESET = 2 };
enum kv_home { KV_HOME_ARRAY = 0, KV_HOME_TASK = 1 };

/* A directory word: bytes from the area's start, size, sync, home, live. */
#define KV_META_LIVE  (1ULL << 63)
#define KV_META_DEAD  (1ULL << 62) /* deleted; user space frees it */
#define KV_META_FIXED (1ULL << 61) /* declared by the program: not deleted */
RR_STEP rr_u64 kv_meta(rr_u32 offset, rr_u32 size, rr_u32 sync, rr_u32 home)
{
	return offset | (rr_u64)size << 32 | (rr_u64)sync << 48 | (rr_u64)home << 52 | KV_META_LIVE;
}
RR_STEP rr_u32 kv_meta_offset(rr_u64 meta)
{
	return (rr_u32)meta;
}
RR_STEP rr_u32 kv_meta_size(rr_u64 meta)
{
	return meta >> 32 & 0xffff;
}
RR_STEP rr_u32 kv_meta_sync(rr_u64 meta)
{
	return meta >> 48 & 0xf;
}
RR_STEP rr_u32 kv_meta_home(rr_u64 meta)
{
	return meta >> 52 & 0x3;
}

/* Baked offsets carry this bit, so that 0 means "not resolved". */
#define KV_BAKED 0x80000000U

struct kv_seq {
	rr_u32 seq;  /* copy seq & 1 is the value */
	rr_u32 lock; /* 0, a thread id, or KV_LOCK_BPF: the one writer */
	rr_u8 copy[];
};
#define KV_LOCK_BPF 0x80000000U

RR_STEP rr_u32 kv_copy_bytes(rr_u32 size)
{
	return (size + 7) & ~7U;
}

/* Bytes that a value of @size takes in the data. */
RR_STEP rr_u32 kv_slot_bytes(rr_u32 size, rr_u32 sync)
{
	return sync == KV_SYNC_SEQ ? 8 + 2 * kv_copy_bytes(size) : kv_copy_bytes(size);
}

enum {
	KV_ENTRY_DYNAMIC = 1 << 0, /* made at run time, bytes without a type */
	KV_ENTRY_RANGE = 1 << 1,
};

/* What the manifest says of a key; *_str are offsets in the BTF's strings. */
struct kv_entry {
	rr_u64 type_hash;
	rr_s64 min;
	rr_s64 max;
	rr_u32 type_id;	   /* in the bank's types */
	rr_u32 default_at; /* offset of the default's bytes in the area, 0: zeros */
	rr_u32 sem;	   /* meaning, where the type stays the same */
	rr_u32 was_str;
	rr_u32 up_str;
	rr_u32 down_str;
	rr_u16 persist;
	rr_u16 flags;
	rr_u32 reserved;
	char name[KV_NAME_MAX];
};

struct kv_bank {
	rr_u64 dir[KV_KEYS_MAX];
	rr_u16 hash[KV_BUCKETS]; /* key + 1; 0: never used; KV_BUCKET_GONE */
	struct kv_entry entry[KV_KEYS_MAX];
	rr_u8 types[KV_TYPES_BYTES];
};
#define KV_BUCKET_GONE 0xffff

struct kv_bank_info {
	rr_u64 manifest_hash;
	rr_u32 version;
	rr_u32 generation; /* of the roll-out that made it */
	rr_u32 types_bytes;
	rr_u32 pages; /* of values in use, grows one at a time */
	rr_u32 flags; /* enum kv_program_flag */
	rr_u32 reserved;
};

enum kv_phase {
	KV_IDLE = 0,
	KV_APPLY_CONVERT = 1, /* the other bank is being made */
	KV_APPLY_SWAP = 2,    /* it is whole; programs are being swapped */
	KV_PROBATION = 3,     /* the new one is active, the old one kept */
	KV_ROLLBACK_CONVERT = 4,
	KV_ROLLBACK_SWAP = 5,
	KV_ROLLBACK_CLEAN = 6, /* the old one is active again */
	KV_COMMIT = 7,	       /* the old one is being freed */
};

/* kv_header.state: phase, active bank and generation in one word. */
RR_STEP rr_u64 kv_state(rr_u32 phase, rr_u32 active, rr_u32 generation)
{
	return phase | (rr_u64)active << 8 | (rr_u64)generation << 32;
}
RR_STEP rr_u32 kv_state_phase(rr_u64 state)
{
	return state & 0xff;
}
RR_STEP rr_u32 kv_state_active(rr_u64 state)
{
	return state >> 8 & 1;
}
RR_STEP rr_u32 kv_state_generation(rr_u64 state)
{
	return state >> 32;
}

/* A program's link in a roll-out: ids as of BPF_OBJ_GET_INFO. */
struct kv_journal_link {
	rr_u32 old_program;
	rr_u32 new_program;
	char pin[KV_PATH_MAX];
};

struct kv_header {
	/* Fixed when made; `check` covers it. */
	rr_u64 magic;
	rr_u32 abi;
	rr_u32 pages; /* of values in each bank */
	rr_u64 bytes; /* of the area */
	rr_u8 uuid[16];
	char program[KV_NAME_MAX];
	rr_u64 check;
	rr_u64 state;
	rr_u32 gate;	/* the generation whose programs may run; 0: none */
	rr_u32 changes; /* counts every step of adding, deleting and moving keys */
	rr_u32 links;
	rr_u32 generations; /* given out so far; none is given twice */
	struct kv_bank_info bank[KV_BANKS];
	struct kv_journal_link link[KV_LINKS_MAX];
	rr_u8 reserved[2840];
};

struct kv_area {
	struct kv_header h;
	struct kv_bank bank[KV_BANKS];
	rr_u8 data[];
};

#define KV_AREA_BYTES(pages) (sizeof(struct kv_area) + KV_BANKS * (rr_u64)(pages) * KV_PAGE)

RR_STEP rr_u32 kv_data_start(rr_u32 bank, rr_u32 pages)
{
	return (rr_u32)sizeof(struct kv_area) + bank * pages * KV_PAGE;
}

enum kv_program_flag {
	KV_GATED = 1 << 0, /* every program begins with KV_GATE() */
};

/* `kv_store_info` in a program's .rodata.kv; the loader sets what is baked. */
struct kv_program_info {
	char program[KV_NAME_MAX];
	rr_u32 version;
	rr_u32 flags;
	rr_u32 pages;
	rr_u32 baked; /* bank, generation and bytes hold */
	rr_u32 bank;
	rr_u32 generation;
	rr_u64 bytes; /* of the area */
};

/* The names that loaders look for. */
#define KV_SECTION_AREA ".bss.kv"
#define KV_SECTION_KEYS ".rodata.kv"
#define KV_SYMBOL_INFO	"kv_store_info"
#define KV_SYMBOL_KEY	"kv_key_"
#define KV_MAP_TASKS	"kv_tasks"

/* A name is hashed as KV_NAME_MAX bytes, NUL-padded, four words at a time. */
RR_STEP rr_u32 kv_name_hash(const rr_u64 *words)
{
	rr_u64 h = 0x9e3779b97f4a7c15ULL;

	h = (h ^ words[0]) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 32 ^ words[1]) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 32 ^ words[2]) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 32 ^ words[3]) * 0xff51afd7ed558ccdULL;
	return (rr_u32)(h >> 40) & (KV_BUCKETS - 1);
}

RR_STATIC_ASSERT(sizeof(struct kv_header) == KV_PAGE, "banks start on a page");
RR_STATIC_ASSERT(sizeof(struct kv_entry) == 88, "the manifest's format");
RR_STATIC_ASSERT(sizeof(struct kv_area) % KV_PAGE == 0, "data starts on a page");
RR_STATIC_ASSERT(sizeof(struct kv_program_info) == 64, "loaders write it");

#endif /* RINGRAID_KV_STORE_H */
