// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Values of a task: pages that its process lends to BPF (task storage, uptr).
//
// The process owns the memory and writes it like any of its own; BPF reaches
// it with one lookup a run. A thread joins for itself; its values live as long
// as this object or the thread. After a roll-out, and after a rollback,
// programs of the other version see no values of the task until the process
// calls follow(), which converts them: one map update swaps all pages.
#pragma once

#include "store/store.h"

namespace rr::store {

class task_values {
public:
    // Joins the calling thread, with the defaults. @tasks is the map kv_tasks.
    static Result<task_values> join(const store& of, int tasks);

    task_values(task_values&&) noexcept;
    task_values& operator=(task_values&&) = delete;
    ~task_values();

    Result<bytes> get(uint32_t id) const;
    Status put(uint32_t id, const_bytes value) const;

    // Converts to the store's active version, if it is another one.
    Status follow();
    [[nodiscard]] uint32_t pages() const { return pages_; }

private:
    explicit task_values(const store& of) : of_(&of) {}

    const store* of_;
    int tasks_ = -1;
    Fd thread_;
    manifest m_;
    uint32_t generation_ = 0;
    uint8_t* memory_ = nullptr;
    uint32_t pages_ = 0;
};

}  // namespace rr::store
