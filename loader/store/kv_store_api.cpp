// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/kv_store_api.h"

#include <bpf/libbpf.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "store/bpf_host.h"
#include "store/task.h"

struct kv_store {
    rr::store::store inner;
};

struct kv_store_task {
    rr::store::task_values inner;
};

namespace {

using namespace rr;
using namespace rr::store;

thread_local std::string last_error;

int failed(const Error& error) {
    last_error = describe(error);
    if (!error.hint.empty())
        last_error += "; " + error.hint;
    return -error.err;
}

int result(const Status& status) {
    return status ? 0 : failed(status.error());
}

rr::store::access access_of(int flags) {
    return (flags & KV_STORE_OWNER) != 0 ? rr::store::access::owner : rr::store::access::outside;
}

int give(Result<rr::store::store> made, ::kv_store** ret) {
    if (!made)
        return failed(made.error());
    *ret = new ::kv_store{std::move(*made)};
    return 0;
}

int copy_out(const Result<bytes>& value, void* to, size_t size) {
    if (!value)
        return failed(value.error());
    if (value->size() != size)
        return failed({EMSGSIZE, fmt::format("the value has {} bytes, not {}", value->size(), size),
                       "give a buffer of its size"});
    std::memcpy(to, value->data(), size);
    return static_cast<int>(size);
}

const_bytes view(const void* value, size_t size) {
    return {static_cast<const uint8_t*>(value), size};
}

}  // namespace

int kv_store_init(const char* object_path, const char* pin_path, ::kv_store** ret) {
    auto file = read_file(object_path);
    if (!file)
        return failed(file.error());
    auto m = manifest_of_object(*file);
    if (!m)
        return failed(m.error());
    return give(rr::store::store::create(*m, pin_path == nullptr ? "" : pin_path), ret);
}

int kv_store_open(const char* pin_path, ::kv_store** ret) {
    return give(rr::store::store::open(pin_path), ret);
}

int kv_store_open_fd(int map_fd, ::kv_store** ret) {
    auto opened = area::from_fd(Fd(::fcntl(map_fd, F_DUPFD_CLOEXEC, 3)));
    if (!opened)
        return failed(opened.error());
    *ret = new ::kv_store{rr::store::store(std::move(*opened))};
    return 0;
}

int kv_store_pin(::kv_store* kvs, const char* pin_path) {
    return result(kvs->inner.at().pin(pin_path));
}

void kv_store_close(::kv_store* kvs) {
    delete kvs;
}

int kv_store_fd(const ::kv_store* kvs) {
    return kvs->inner.at().fd();
}

int kv_store_reuse(::kv_store* kvs, const char* object_path, bpf_object** ret) {
    auto file = read_file(object_path);
    if (!file)
        return failed(file.error());
    auto baked = bake_for(kvs->inner, *file);
    if (!baked)
        return failed(baked.error());
    bpf_object* object = bpf_object__open_mem(baked->data(), baked->size(), nullptr);
    if (object == nullptr)
        return failed({errno, "libbpf cannot open the object file", ""});
    bpf_map* map = bpf_object__find_map_by_name(object, KV_SECTION_AREA);
    const int r = map == nullptr ? -ENODATA : bpf_map__reuse_fd(map, kvs->inner.at().fd());
    if (r != 0) {
        bpf_object__close(object);
        return failed({-r, "the program does not take the store", "use one of its keys"});
    }
    *ret = object;
    return 0;
}

int kv_store_get(::kv_store* kvs, int key, void* value, size_t size, int flags) {
    return copy_out(kvs->inner.get(static_cast<uint32_t>(key), access_of(flags)), value, size);
}

int kv_store_put(::kv_store* kvs, int key, const void* value, size_t size, int flags) {
    return result(kvs->inner.put(static_cast<uint32_t>(key), view(value, size), access_of(flags)));
}

int kv_store_find(::kv_store* kvs, const char* name) {
    auto found = kvs->inner.find(name);
    return found ? *found : failed(found.error());
}

int kv_store_make(::kv_store* kvs, int key, const char* name, const void* value, size_t size,
                  int flags) {
    const uint32_t sync = (flags & KV_STORE_SEQ) != 0      ? KV_SYNC_SEQ
                          : (flags & KV_STORE_ATOMIC) != 0 ? KV_SYNC_ATOMIC
                                                           : KV_SYNC_OWNER;
    return result(kvs->inner.make(static_cast<uint32_t>(key), name == nullptr ? "" : name, sync,
                                  view(value, size)));
}

int kv_store_delete(::kv_store* kvs, int key) {
    return result(kvs->inner.remove(static_cast<uint32_t>(key)));
}

int kv_store_update_value_size(::kv_store* kvs, int key, size_t size, int flags) {
    return result(kvs->inner.resize(static_cast<uint32_t>(key),
                                    static_cast<uint32_t>(std::min<size_t>(size, UINT32_MAX)),
                                    access_of(flags)));
}

int kv_store_each(::kv_store* kvs, kv_store_visit visit, void* arg) {
    auto m = kvs->inner.describe();
    if (!m)
        return failed(m.error());
    for (const key_entry& k : m->keys)
        if (int r = visit(k.id, k.name.c_str(), k.size, arg); r != 0)
            return r;
    return 0;
}

int kv_store_task_join(::kv_store* kvs, int tasks_fd, ::kv_store_task** ret) {
    auto joined = task_values::join(kvs->inner, tasks_fd);
    if (!joined)
        return failed(joined.error());
    *ret = new ::kv_store_task{std::move(*joined)};
    return 0;
}

int kv_store_task_get(::kv_store_task* task, int key, void* value, size_t size) {
    return copy_out(task->inner.get(static_cast<uint32_t>(key)), value, size);
}

int kv_store_task_put(::kv_store_task* task, int key, const void* value, size_t size) {
    return result(task->inner.put(static_cast<uint32_t>(key), view(value, size)));
}

int kv_store_task_follow(::kv_store_task* task) {
    return result(task->inner.follow());
}

void kv_store_task_leave(::kv_store_task* task) {
    delete task;
}

const char* kv_store_error(void) {
    return last_error.c_str();
}
