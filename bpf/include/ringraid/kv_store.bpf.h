/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * State of a BPF program that outlives the program: the BPF side.
 *
 *   KV_STORE(flow, 1, KV_GATED);
 *   KV_KEY(1, packets, __u64, ATOMIC);
 *   KV_KEY(2, limits, struct limits, SEQ) = KV_DEFAULT({ .rate = 100 });
 *   KV_KEY(3, sample, __u32, OWNER, KV_RANGE(1, 1000)) = KV_DEFAULT(10);
 *
 *   KV_GATE(0);                    // in every program, where KV_GATED is said
 *   KV_ADD(packets, 1);
 *   KV_READ(limits, &copy);        // 0, or -errno
 *   rate = KV_GET(sample);
 *
 * The declarations are the layout: the manifest is made of their BTF, nothing
 * else lists them. The number is the key's identity for ever; everything else
 * may change from version to version, by the rules in docs/kv-store.md.
 *
 * Cost: the loader writes each key's offset into .rodata.kv, which is frozen.
 * The verifier takes it for a constant, so an access is a load at a fixed
 * address: no call, no lookup, no bounds check. In a program that nobody
 * baked the constant is 0, reads give defaults, writes give -ENOENT, and the
 * verifier removes the rest.
 *
 * Keys made at run time: kv_store_get/put/delete by number (a directory in
 * the area: no lookup, one bounds check), kv_store_find() for the number of a
 * name (a hash in the area, KV_PROBES buckets at most).
 *
 * Keys of a task (KV_TASK_KEY) live in pages that the task's process lends:
 * kv_task_self() once per run, one lookup, then KV_TASK_*.
 *
 * BPF writes existing keys only; user space makes them. A program that
 * sleeps must be parked by its loader for a roll-out: the gate waits for
 * those that do not sleep.
 */
#ifndef RINGRAID_KV_STORE_BPF_H
#define RINGRAID_KV_STORE_BPF_H

#ifndef __bpf__
#error "for BPF programs; user space includes kv_store.h"
#endif

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>
#include "kv_store.h"

#define KV_TAG(text) __attribute__((btf_decl_tag("kv." text)))

/* Attributes of a key, after its sync. */
#define KV_CACHE	  KV_TAG("persist=cache") /* may be dropped by a roll-out */
#define KV_RESET	  KV_TAG("persist=reset") /* starts at its default in each version */
#define KV_RANGE(lo, hi)  KV_RANGE_(lo, hi)
#define KV_RANGE_(lo, hi) KV_TAG("range=" #lo ".." #hi)
#define KV_WAS(old)	  KV_TAG("was=" #old) /* also on members of structs */
#define KV_SEM(n)	  KV_TAG("sem=" #n)   /* new meaning, same type: needs a converter */
#define KV_UP(function)	  KV_TAG("up=" #function)
#define KV_DOWN(function) KV_TAG("down=" #function)
#define KV_DEFAULT(...)	  { .value = __VA_ARGS__ }

/* KV_STORE(name, version[, flags[, pages]]) */
#define KV_STORE(name, version, ...)   KV_STORE_(name, version, ##__VA_ARGS__, 0, KV_PAGES_DEFAULT)
#define KV_STORE_(name, ver, flg, ...) KV_STORE__(name, ver, flg, ##__VA_ARGS__, 0)
#define KV_STORE__(name, ver, flg, npages, ...)                                                    \
	struct kv_area_memory {                                                                    \
		rr_u64 word[KV_AREA_BYTES((npages) ? (npages) : KV_PAGES_DEFAULT) / 8];            \
	} kv_store_area SEC(KV_SECTION_AREA);                                                      \
	const volatile struct kv_program_info kv_store_info SEC(KV_SECTION_KEYS) = {               \
		.program = #name,                                                                  \
		.version = (ver),                                                                  \
		.flags = (flg),                                                                    \
		.pages = (npages) ? (npages) : KV_PAGES_DEFAULT,                                   \
		.bytes = KV_AREA_BYTES((npages) ? (npages) : KV_PAGES_DEFAULT),                    \
	}

/* Attributes, with or without commas between them. */
#define KV_EACH(...)			   KV_EACH_(__VA_ARGS__, , , , , , , , )
#define KV_EACH_(a, b, c, d, e, f, g, ...) a b c d e f g

#define KV_KEY_IN(id, name, type, how, where, ...)                                                 \
	typedef typeof(type) kv_type_of_##name;                                                    \
	enum { kv_sync_of_##name = KV_SYNC_##how, kv_home_of_##name = KV_HOME_##where };           \
	_Static_assert((id) >= 0 && (id) < KV_KEYS_MAX, "key numbers are below 1024");             \
	_Static_assert(sizeof(type) >= 1 && sizeof(type) <= KV_VALUE_MAX,                          \
		       "values have 1 to 4096 bytes");                                             \
	_Static_assert(sizeof(#name) <= KV_NAME_MAX, "names have 31 characters at most");          \
	_Static_assert(KV_SYNC_##how != KV_SYNC_ATOMIC || sizeof(type) == 8 ||                     \
			       sizeof(type) == 4 || sizeof(type) == 2 || sizeof(type) == 1,        \
		       "ATOMIC is for 1, 2, 4 or 8 bytes; take SEQ");                              \
	_Static_assert(KV_SYNC_##how != KV_SYNC_ATOMIC || __alignof__(type) == sizeof(type),       \
		       "ATOMIC is for one word, this would be copied in pieces; take SEQ");        \
	const volatile struct {                                                                    \
		rr_u32 offset;                                                                     \
		rr_u32 reserved;                                                                   \
		kv_type_of_##name value;                                                           \
	} kv_key_##name SEC(KV_SECTION_KEYS) KV_TAG("id=" #id) KV_TAG("sync=" #how)                \
		KV_TAG("home=" #where) KV_EACH(__VA_ARGS__)

/* KV_KEY(id, name, type, OWNER | ATOMIC | SEQ, attributes...) */
#define KV_KEY(id, name, type, how, ...)      KV_KEY_IN(id, name, type, how, ARRAY, __VA_ARGS__)
#define KV_TASK_KEY(id, name, type, how, ...) KV_KEY_IN(id, name, type, how, TASK, __VA_ARGS__)

extern struct kv_area_memory kv_store_area;
extern const volatile struct kv_program_info kv_store_info;

#define kv_barrier() asm volatile("" ::: "memory")
/* x86 keeps loads and stores in order; elsewhere a full barrier does. */
#ifdef __TARGET_ARCH_x86
#define kv_fence(word) kv_barrier()
#else
#define kv_fence(word) ((void)__sync_fetch_and_add(word, 0))
#endif

#define kv_base() ((char *)&kv_store_area)

/* The value's place; a null pointer where nobody baked the program. */
#define KV_AT(name)                                                                                \
	({                                                                                         \
		rr_u32 at_ = kv_key_##name.offset;                                                 \
		at_ ? kv_base() + (at_ & ~KV_BAKED) : (char *)0;                                   \
	})

/* A value is copied as words, whatever its members are: these may alias all. */
typedef rr_u64 __attribute__((may_alias)) kv_word64;
typedef rr_u32 __attribute__((may_alias)) kv_word32;
typedef rr_u16 __attribute__((may_alias)) kv_word16;

/* Copies in words as large as @unit, the alignment that both sides have. */
RR_STEP void kv_copy(void *to, const void *from, rr_u32 size, rr_u32 unit)
{
	rr_u32 i;

	if (unit >= 8) {
#pragma clang loop unroll(disable)
		for (i = 0; i < size / 8; i++)
			((volatile kv_word64 *)to)[i] = ((const volatile kv_word64 *)from)[i];
		i *= 8;
	} else if (unit >= 4) {
#pragma clang loop unroll(disable)
		for (i = 0; i < size / 4; i++)
			((volatile kv_word32 *)to)[i] = ((const volatile kv_word32 *)from)[i];
		i *= 4;
	} else if (unit >= 2) {
#pragma clang loop unroll(disable)
		for (i = 0; i < size / 2; i++)
			((volatile kv_word16 *)to)[i] = ((const volatile kv_word16 *)from)[i];
		i *= 2;
	} else {
		i = 0;
	}
#pragma clang loop unroll(disable)
	for (; i < size; i++)
		((volatile char *)to)[i] = ((const volatile char *)from)[i];
}

/* One whole value of a SEQ slot; -EAGAIN when writers kept overtaking. */
RR_STEP int kv_seq_read(struct kv_seq *s, void *to, rr_u32 size, rr_u32 unit)
{
	rr_u32 try;

#pragma clang loop unroll(disable)
	for (try = 0; try < KV_TRIES; try++) {
		rr_u32 seq = *(volatile rr_u32 *)&s->seq;

		kv_fence(&s->seq);
		if (seq & 1)
			kv_copy(to, s->copy + kv_copy_bytes(size), size, unit);
		else
			kv_copy(to, s->copy, size, unit);
		kv_fence(&s->seq);
		if (*(volatile rr_u32 *)&s->seq == seq)
			return 0;
	}
	return -EAGAIN;
}

/* -EBUSY when another writer holds the value. */
RR_STEP int kv_seq_write(struct kv_seq *s, const void *from, rr_u32 size, rr_u32 unit)
{
	rr_u32 seq, try;

#pragma clang loop unroll(disable)
	for (try = 0; try < KV_TRIES; try++) {
		if (__sync_val_compare_and_swap(&s->lock, 0, KV_LOCK_BPF) != 0)
			continue;
		seq = *(volatile rr_u32 *)&s->seq;
		if (seq & 1)
			kv_copy(s->copy, from, size, unit);
		else
			kv_copy(s->copy + kv_copy_bytes(size), from, size, unit);
		kv_fence(&s->seq);
		*(volatile rr_u32 *)&s->seq = seq + 1;
		kv_fence(&s->seq);
		*(volatile rr_u32 *)&s->lock = 0;
		return 0;
	}
	return -EBUSY;
}

/*
 * Keys known at load. OWNER gives a pointer; the others are read and written
 * as a whole.
 */
#define KV_PTR(name)                                                                               \
	({                                                                                         \
		_Static_assert(kv_sync_of_##name == KV_SYNC_OWNER &&                               \
				       kv_home_of_##name == KV_HOME_ARRAY,                         \
			       "not an OWNER key");                                                \
		(kv_type_of_##name *)KV_AT(name);                                                  \
	})

#define KV_GET(name)                                                                               \
	({                                                                                         \
		_Static_assert(kv_sync_of_##name != KV_SYNC_SEQ, "KV_READ a SEQ key");             \
		_Static_assert(kv_home_of_##name == KV_HOME_ARRAY, "a key of a task");             \
		char *p_ = KV_AT(name);                                                            \
		p_ ? *(volatile kv_type_of_##name *)p_ : (kv_type_of_##name)kv_key_##name.value;   \
	})

#define KV_READ(name, to)                                                                          \
	({                                                                                         \
		kv_type_of_##name *to_ = (to);                                                     \
		char *p_ = KV_AT(name);                                                            \
		rr_u32 unit_ = __alignof__(kv_type_of_##name);                                     \
		int r_ = 0;                                                                        \
		_Static_assert(kv_home_of_##name == KV_HOME_ARRAY, "a key of a task");             \
		if (!p_)                                                                           \
			kv_copy(to_, (const void *)&kv_key_##name.value, sizeof(*to_), unit_);     \
		else if (kv_sync_of_##name == KV_SYNC_SEQ)                                         \
			r_ = kv_seq_read((struct kv_seq *)p_, to_, sizeof(*to_), unit_);           \
		else                                                                               \
			kv_copy(to_, p_, sizeof(*to_), unit_);                                     \
		r_;                                                                                \
	})

#define KV_WRITE(name, from)                                                                       \
	({                                                                                         \
		const kv_type_of_##name *from_ = (from);                                           \
		char *p_ = KV_AT(name);                                                            \
		rr_u32 unit_ = __alignof__(kv_type_of_##name);                                     \
		int r_ = 0;                                                                        \
		_Static_assert(kv_home_of_##name == KV_HOME_ARRAY, "a key of a task");             \
		if (!p_)                                                                           \
			r_ = -ENOENT;                                                              \
		else if (kv_sync_of_##name == KV_SYNC_SEQ)                                         \
			r_ = kv_seq_write((struct kv_seq *)p_, from_, sizeof(*from_), unit_);      \
		else                                                                               \
			kv_copy(p_, from_, sizeof(*from_), unit_);                                 \
		r_;                                                                                \
	})

#define KV_PUT(name, what)                                                                         \
	({                                                                                         \
		_Static_assert(kv_sync_of_##name != KV_SYNC_SEQ, "KV_WRITE a SEQ key");            \
		_Static_assert(kv_home_of_##name == KV_HOME_ARRAY, "a key of a task");             \
		char *p_ = KV_AT(name);                                                            \
		if (p_)                                                                            \
			*(volatile kv_type_of_##name *)p_ = (what);                                \
		p_ ? 0 : -ENOENT;                                                                  \
	})

#define KV_ADD(name, n)                                                                            \
	({                                                                                         \
		_Static_assert(kv_sync_of_##name == KV_SYNC_ATOMIC &&                              \
				       (sizeof(kv_type_of_##name) == 8 ||                          \
					sizeof(kv_type_of_##name) == 4),                           \
			       "KV_ADD is for ATOMIC keys of 4 or 8 bytes");                       \
		_Static_assert(kv_home_of_##name == KV_HOME_ARRAY, "a key of a task");             \
		char *p_ = KV_AT(name);                                                            \
		if (p_)                                                                            \
			__sync_fetch_and_add((kv_type_of_##name *)p_, (n));                        \
		p_ ? 0 : -ENOENT;                                                                  \
	})

/*
 * Programs of one generation run at a time, the one that the gate names: a
 * roll-out attaches the new ones beside the old ones and lets one store decide.
 */
#define kv_gate_word()                                                                             \
	(*(volatile rr_u32 *)(kv_base() + __builtin_offsetof(struct kv_header, gate)))
#define kv_gate_open()                                                                             \
	(kv_store_info.baked ? kv_gate_word() == kv_store_info.generation : kv_gate_word() != 0)
#define KV_GATE(result)                                                                            \
	do {                                                                                       \
		if (!kv_gate_open())                                                               \
			return result;                                                             \
	} while (0)

/*
 * A converter, named by KV_UP or KV_DOWN: fills c->to, which holds the
 * default (up) or the old version's value (down), from c->from; 0 or -errno.
 *
 *   KV_CONVERTER(rate_up, __u32, __u64) { c->to = c->from * 1000ULL; return 0; }
 */
#define KV_CONVERTER(function, from_type, to_type)                                                 \
	struct kv_convert_##function {                                                             \
		typeof(from_type) from;                                                            \
		typeof(to_type) to __attribute__((aligned(8)));                                    \
	};                                                                                         \
	SEC("syscall")                                                                             \
	int function(struct kv_convert_##function *c)

/*
 * Keys made at run time. @size is a constant: the key must have just that
 * size. @unit is the alignment of the caller's copy; an ATOMIC value is copied
 * as a whole, so there it must be @size. 0 or -errno: -ENOENT no such key,
 * -EMSGSIZE another size, -EINVAL it would be torn.
 */
RR_STEP rr_u32 kv_bank_now(void)
{
	/* A baked program knows its bank; the other one follows the store. */
	if (kv_store_info.baked)
		return kv_store_info.bank & 1;
	return kv_state_active(
		*(volatile rr_u64 *)(kv_base() + __builtin_offsetof(struct kv_header, state)));
}

RR_STEP volatile rr_u64 *kv_dir(rr_u32 key)
{
	/* Unsigned and 64 bits wide, or LLVM extends the sign of the index. */
	rr_u64 at = __builtin_offsetof(struct kv_area, bank) +
		    (rr_u64)kv_bank_now() * sizeof(struct kv_bank) +
		    (rr_u64)(key & (KV_KEYS_MAX - 1)) * 8;

	return (volatile rr_u64 *)(kv_base() + at);
}

/* The live key's word, 0 where there is none of @size in the array. */
RR_STEP int kv_lookup(rr_u32 key, rr_u32 size, rr_u64 *ret_meta)
{
	rr_u64 meta;

	if (key >= KV_KEYS_MAX)
		return -ENOENT;
	meta = *kv_dir(key);
	if (!(meta & KV_META_LIVE) || kv_meta_home(meta) != KV_HOME_ARRAY)
		return -ENOENT;
	if (kv_meta_size(meta) != size)
		return -EMSGSIZE;
	*ret_meta = meta;
	return 0;
}

/* Where @need bytes are, or a null pointer when user space wrote nonsense. */
RR_STEP char *kv_place(rr_u64 meta, rr_u32 need)
{
	rr_u64 at = kv_meta_offset(meta) & ~7ULL;

	if (at < sizeof(struct kv_area) || at > kv_store_info.bytes - need)
		return (char *)0;
	return kv_base() + at;
}

RR_STEP int kv_store_get(rr_u32 key, void *to, rr_u32 size, rr_u32 unit)
{
	rr_u64 meta;
	int err = kv_lookup(key, size, &meta);
	char *p;

	if (err)
		return err;
	if (kv_meta_sync(meta) == KV_SYNC_SEQ) {
		p = kv_place(meta, kv_slot_bytes(size, KV_SYNC_SEQ));
		return p ? kv_seq_read((struct kv_seq *)p, to, size, unit) : -EFAULT;
	}
	if (kv_meta_sync(meta) == KV_SYNC_ATOMIC && unit < size)
		return -EINVAL;
	p = kv_place(meta, kv_slot_bytes(size, KV_SYNC_OWNER));
	if (!p)
		return -EFAULT;
	kv_copy(to, p, size, unit);
	return 0;
}

RR_STEP int kv_store_put(rr_u32 key, const void *from, rr_u32 size, rr_u32 unit)
{
	rr_u64 meta;
	int err = kv_lookup(key, size, &meta);
	char *p;

	if (err)
		return err;
	if (kv_meta_sync(meta) == KV_SYNC_SEQ) {
		p = kv_place(meta, kv_slot_bytes(size, KV_SYNC_SEQ));
		return p ? kv_seq_write((struct kv_seq *)p, from, size, unit) : -EFAULT;
	}
	if (kv_meta_sync(meta) == KV_SYNC_ATOMIC && unit < size)
		return -EINVAL;
	p = kv_place(meta, kv_slot_bytes(size, KV_SYNC_OWNER));
	if (!p)
		return -EFAULT;
	kv_copy(p, from, size, unit);
	return 0;
}

/* The key is gone at once; its space when user space looks next. */
RR_STEP int kv_store_delete(rr_u32 key)
{
	volatile rr_u64 *word;
	rr_u64 meta;

	if (key >= KV_KEYS_MAX)
		return -ENOENT;
	word = kv_dir(key);
	meta = *word;
	if (!(meta & KV_META_LIVE))
		return -ENOENT;
	if (meta & KV_META_FIXED)
		return -EPERM;
	if (__sync_val_compare_and_swap((rr_u64 *)word, meta,
					(meta & ~KV_META_LIVE) | KV_META_DEAD) != meta)
		return -EAGAIN;
	return 0;
}

/* The number of the key called @name (KV_NAME_MAX bytes, NUL-padded), or -ENOENT. */
RR_STEP int kv_store_find(const rr_u64 name[KV_NAME_MAX / 8])
{
	rr_u32 bank = kv_bank_now(), bucket = kv_name_hash(name), i;

#pragma clang loop unroll(disable)
	for (i = 0; i < KV_PROBES; i++) {
		rr_u64 slot = (bucket + i) & (KV_BUCKETS - 1);
		rr_u64 start = __builtin_offsetof(struct kv_area, bank) +
			       (rr_u64)bank * sizeof(struct kv_bank);
		rr_u64 key =
			*(volatile rr_u16 *)(kv_base() + start +
					     __builtin_offsetof(struct kv_bank, hash) + slot * 2);
		volatile rr_u64 *entry;

		if (!key)
			return -ENOENT;
		if (key > KV_KEYS_MAX)
			continue;
		key = (key - 1) & (KV_KEYS_MAX - 1);
		entry = (volatile rr_u64 *)(kv_base() + start +
					    __builtin_offsetof(struct kv_bank, entry) +
					    key * sizeof(struct kv_entry) +
					    __builtin_offsetof(struct kv_entry, name));
		if (entry[0] == name[0] && entry[1] == name[1] && entry[2] == name[2] &&
		    entry[3] == name[3] && *kv_dir((rr_u32)key) & KV_META_LIVE)
			return (int)key;
	}
	return -ENOENT;
}

/*
 * Values of a task. The task's process lends pages (kv_store_task_join());
 * a value never crosses a page. The pages are of one generation of the store;
 * a program baked for another one does not see them until the process has
 * converted them.
 */
struct kv_task_page {
	rr_u8 bytes[KV_PAGE];
};

#define kv_uptr __attribute__((btf_type_tag("uptr")))
struct kv_task {
	struct {
		struct kv_task_page kv_uptr *page;
	} pages[KV_TASK_PAGES];
	rr_u32 generation;
	rr_u32 reserved;
	struct kv_task_page whole[]; /* or clang's BTF only declares the pages' type */
};

#ifdef KV_TASKS
struct task_struct;
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct kv_task);
} kv_tasks SEC(".maps");

/* The one lookup of a run. */
RR_STEP struct kv_task *kv_task_self(void)
{
	struct kv_task *t = bpf_task_storage_get(&kv_tasks, bpf_get_current_task_btf(), 0, 0);

	return t && kv_store_info.baked && t->generation == kv_store_info.generation
		       ? t
		       : (struct kv_task *)0;
}
#endif

#define KV_TASK_PTR(task, name)                                                                    \
	({                                                                                         \
		rr_u32 at_ = kv_key_##name.offset & ~KV_BAKED;                                     \
		struct kv_task_page *page_ = (void *)0;                                            \
		kv_type_of_##name *p_ = (void *)0;                                                 \
		_Static_assert(kv_home_of_##name == KV_HOME_TASK, "not a key of tasks");           \
		_Static_assert(kv_sync_of_##name != KV_SYNC_SEQ, "a task owns its values");        \
		if (kv_key_##name.offset && at_ / KV_PAGE < KV_TASK_PAGES)                         \
			page_ = (task)->pages[at_ / KV_PAGE].page;                                 \
		if (page_)                                                                         \
			p_ = (void *)(page_->bytes + at_ % KV_PAGE);                               \
		p_;                                                                                \
	})

#endif /* RINGRAID_KV_STORE_BPF_H */
