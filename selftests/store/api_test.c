/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The C interface from C: returns the line that failed, 0 if none did. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/kv_store_api.h"

#define CHECK(condition)                                               \
    do {                                                               \
        if (!(condition)) {                                            \
            fprintf(stderr, "%s: %s\n", #condition, kv_store_error()); \
            return __LINE__;                                           \
        }                                                              \
    } while (0)

static int count(int key, const char* name, size_t size, void* arg) {
    (void)key, (void)name, (void)size;
    ++*(int*)arg;
    return 0;
}

int api_from_c(const char* object, const char* pin);
int api_from_c(const char* object, const char* pin) {
    struct kv_store *kvs, *again;
    struct bpf_object* loaded;
    unsigned int limits[2] = {7, 8}, sample = 20;
    char name[16] = "something", back[32];
    int keys = 0, key;

    CHECK(kv_store_open(pin, &kvs) == -ENOENT && strstr(kv_store_error(), "init"));
    CHECK(kv_store_init(object, pin, &kvs) == 0);
    CHECK((key = kv_store_find(kvs, "limits")) == 2);
    CHECK(kv_store_put(kvs, key, limits, sizeof(limits), 0) == 0);
    CHECK(kv_store_put(kvs, key, limits, 4, 0) == -EMSGSIZE);
    CHECK(kv_store_put(kvs, 3, &sample, sizeof(sample), 0) == -EBUSY);
    CHECK(kv_store_put(kvs, 3, &sample, sizeof(sample), KV_STORE_OWNER) == 0);
    CHECK(kv_store_make(kvs, 100, "dyn", name, sizeof(name), KV_STORE_SEQ) == 0);
    CHECK(kv_store_update_value_size(kvs, 100, 32, 0) == 0);
    CHECK(kv_store_reuse(kvs, object, &loaded) == 0);
    CHECK(bpf_object__load(loaded) == 0);
    bpf_object__close(loaded);
    kv_store_close(kvs);

    CHECK(kv_store_open(pin, &again) == 0);
    CHECK(kv_store_get(again, 100, back, sizeof(back), 0) == 32 && !strcmp(back, "something"));
    CHECK(kv_store_get(again, 2, limits, sizeof(limits), 0) == 8 && limits[1] == 8);
    CHECK(kv_store_each(again, count, &keys) == 0 && keys == 8);
    CHECK(kv_store_delete(again, 100) == 0);
    CHECK(kv_store_delete(again, 100) == -ENOENT);
    CHECK(kv_store_delete(again, 2) == -EPERM);
    kv_store_close(again);
    return 0;
}
