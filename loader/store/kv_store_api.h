/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The KV store for C programs and loaders of their own.
 *
 *   struct kv_store *kvs;
 *   struct bpf_object *obj;
 *
 *   kv_store_init("prog.bpf.o", "/sys/fs/bpf/flow/store", &kvs);  // once
 *   kv_store_open("/sys/fs/bpf/flow/store", &kvs);                // later
 *   kv_store_reuse(kvs, "prog.bpf.o", &obj);  // keys resolved, map lent
 *   bpf_object__load(obj); ...
 *   kv_store_put(kvs, kv_store_find(kvs, "limits"), &limits, sizeof(limits));
 *   kv_store_close(kvs);                      // the pinned store stays
 *
 * Results: 0 or a count, or a negative errno; kv_store_error() has the
 * sentence, and what to do, for the calling thread's last failure.
 *
 * One handle may be used by several threads for get, put and find.
 */
#ifndef RINGRAID_KV_STORE_API_H
#define RINGRAID_KV_STORE_API_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bpf_object;
struct kv_store;

enum kv_store_flag {
    KV_STORE_OWNER = 1, /* no program writes the OWNER keys while we do */
    KV_STORE_SEQ = 2,   /* kv_store_make: a SEQ value, not an OWNER one */
    KV_STORE_ATOMIC = 4,
};

/* Makes a store for the program in the object file; pin_path may be NULL. */
int kv_store_init(const char* object_path, const char* pin_path, struct kv_store** ret);
int kv_store_open(const char* pin_path, struct kv_store** ret);
int kv_store_open_fd(int map_fd, struct kv_store** ret);
int kv_store_pin(struct kv_store* kvs, const char* pin_path);
void kv_store_close(struct kv_store* kvs);
int kv_store_fd(const struct kv_store* kvs);

/*
 * Opens the object with its keys resolved and the store's map set; the caller
 * loads and closes it. -EINVAL when the store is of another version.
 */
int kv_store_reuse(struct kv_store* kvs, const char* object_path, struct bpf_object** ret);

/* The size of the value, or -EMSGSIZE when it is not @size. */
int kv_store_get(struct kv_store* kvs, int key, void* value, size_t size, int flags);
int kv_store_put(struct kv_store* kvs, int key, const void* value, size_t size, int flags);
int kv_store_find(struct kv_store* kvs, const char* name);

/* Keys made at run time; @name may be NULL. */
int kv_store_make(struct kv_store* kvs, int key, const char* name, const void* value, size_t size,
                  int flags);
int kv_store_delete(struct kv_store* kvs, int key);
/* Keeps the value: what is added is zeros. */
int kv_store_update_value_size(struct kv_store* kvs, int key, size_t size, int flags);

/* Calls @visit for each key until it returns non-zero, and returns that. */
typedef int (*kv_store_visit)(int key, const char* name, size_t size, void* arg);
int kv_store_each(struct kv_store* kvs, kv_store_visit visit, void* arg);

/*
 * Values of the calling thread, where the program has KV_TASK_KEY()s;
 * @tasks_fd is its map kv_tasks. follow() after a roll-out.
 */
struct kv_store_task;
int kv_store_task_join(struct kv_store* kvs, int tasks_fd, struct kv_store_task** ret);
int kv_store_task_get(struct kv_store_task* task, int key, void* value, size_t size);
int kv_store_task_put(struct kv_store_task* task, int key, const void* value, size_t size);
int kv_store_task_follow(struct kv_store_task* task);
void kv_store_task_leave(struct kv_store_task* task);

const char* kv_store_error(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_KV_STORE_API_H */
