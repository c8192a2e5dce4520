// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/task.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "store/diff.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

namespace rr::store {
namespace {

// As BPF's struct kv_task: the kernel takes user addresses here and pins them.
struct task_pages {
    uint64_t page[KV_TASK_PAGES];
    uint32_t generation;
    uint32_t reserved;
};

uint8_t* map_pages(uint32_t pages) {
    void* m = ::mmap(nullptr, size_t{pages} * KV_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return m == MAP_FAILED ? nullptr : static_cast<uint8_t*>(m);
}

uint32_t pages_of(const manifest& m) {
    uint32_t end = 0;
    for (const key_entry& k : m.keys)
        if (k.home == KV_HOME_TASK)
            end = std::max(end, k.offset + kv_slot_bytes(k.size, k.sync));
    return (end + KV_PAGE - 1) / KV_PAGE;
}

}  // namespace

task_values::task_values(task_values&& other) noexcept
    : of_(other.of_),
      tasks_(other.tasks_),
      thread_(std::move(other.thread_)),
      m_(std::move(other.m_)),
      generation_(other.generation_),
      memory_(std::exchange(other.memory_, nullptr)),
      pages_(std::exchange(other.pages_, 0)) {}

task_values::~task_values() {
    if (memory_ == nullptr)
        return;
    const int key = thread_.get();
    (void)bpf_map_delete_elem(tasks_, &key);
    ::munmap(memory_, size_t{pages_} * KV_PAGE);
}

Result<task_values> task_values::join(const store& of, int tasks) {
    task_values out(of);
    out.tasks_ = tasks;
    out.thread_.reset(static_cast<int>(
        ::syscall(SYS_pidfd_open, static_cast<pid_t>(::syscall(SYS_gettid)), PIDFD_THREAD)));
    if (!out.thread_)
        return with_hint(fail(errno, "cannot open the thread"), "pidfds of threads need Linux 6.9");
    if (Status ok = out.follow(); !ok)
        return forward_error(ok.error());
    return out;
}

Status task_values::follow() {
    const uint64_t state = of_->at().state();
    const uint32_t generation = kv_state_generation(state);
    if (memory_ != nullptr && generation == generation_)
        return {};
    auto now = of_->at().read_manifest(kv_state_active(state));
    if (!now)
        return forward_error(now.error());
    const uint32_t pages = pages_of(*now);
    if (pages == 0)
        return with_hint(fail(ENOENT, "version {} keeps nothing for tasks", now->version),
                         "declare keys with KV_TASK_KEY()");
    uint8_t* memory = map_pages(pages);
    if (memory == nullptr)
        return fail(ENOMEM, "no memory for {} pages", pages);
    auto give_up = [&](const Error& error) -> Status {
        ::munmap(memory, size_t{pages} * KV_PAGE);
        return forward_error(error);
    };
    // What was accepted at the roll-out is not asked again here: cut to fit.
    const direction way = now->version >= m_.version ? direction::up : direction::down;
    const manifest_diff diff = diff_manifests(m_, *now, {"*"}, way);
    for (const key_diff& d : diff.keys) {
        if (d.to == nullptr || d.to->home != KV_HOME_TASK)
            continue;
        const std::span<uint8_t> fresh(memory + d.to->offset, d.to->size);
        std::copy(d.to->initial.begin(), d.to->initial.end(), fresh.begin());
        if (d.from == nullptr || d.from->home != KV_HOME_TASK || d.keep_default ||
            memory_ == nullptr)
            continue;
        const const_bytes old(memory_ + d.from->offset, d.from->size);
        if (Status ok = convert(m_.type(*d.from), old, now->type(*d.to), fresh, true); !ok)
            return give_up(ok.error());
    }
    task_pages value{};
    value.generation = generation;
    for (uint32_t i = 0; i < pages; i++)
        value.page[i] = reinterpret_cast<uint64_t>(memory + size_t{i} * KV_PAGE);
    const int key = thread_.get();
    if (bpf_map_update_elem(tasks_, &key, &value, BPF_ANY) != 0)
        return give_up({errno, "the kernel does not take the task's pages",
                        "it needs task storage with uptr (Linux 6.13)"});
    if (memory_ != nullptr)
        ::munmap(memory_, size_t{pages_} * KV_PAGE);
    memory_ = memory;
    pages_ = pages;
    m_ = *now;
    generation_ = generation;
    return {};
}

Result<bytes> task_values::get(uint32_t id) const {
    const key_entry* k = m_.find(id);
    if (k == nullptr || k->home != KV_HOME_TASK)
        return with_hint(fail(ENOENT, "tasks have no key {}", id), "declare it with KV_TASK_KEY()");
    bytes out(k->size);
    if (Status ok = read_value(memory_ + k->offset, k->sync, out); !ok)
        return forward_error(ok.error());
    return out;
}

Status task_values::put(uint32_t id, const_bytes value) const {
    const key_entry* k = m_.find(id);
    if (k == nullptr || k->home != KV_HOME_TASK)
        return with_hint(fail(ENOENT, "tasks have no key {}", id), "declare it with KV_TASK_KEY()");
    if (value.size() != k->size)
        return fail(EMSGSIZE, "key {} has {} bytes, the value {}", id, k->size, value.size());
    if (Status ok = check_range(m_, *k, value); !ok)
        return ok;
    return write_value(memory_ + k->offset, k->sync, value);
}

}  // namespace rr::store
