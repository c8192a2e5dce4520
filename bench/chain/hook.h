// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Look-ups in a B+-tree on a NVMe namespace whose hops are taken in the driver's
// completion, by the program of bpf/bench/hook.bpf.c: one command, and one
// completion, a look-up. The kernel needs the last patch of kfunc-patches.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <string_view>

#include "bench/hook.h"

struct bpf_link;
struct bpf_object;

class hooked {
public:
    hooked(const char* object, int namespace_fd, unsigned lookups, unsigned block_bytes);
    ~hooked();
    hooked(const hooked&) = delete;
    hooked& operator=(const hooked&) = delete;

    // Look-up number @n begins at the namespace's first block. @now: the interrupt sends
    // the commands that follow, and no kernel worker.
    void ask(unsigned n, const chain_btree_query& query, bool now);
    // Sends what was asked for, and waits until @count look-ups have ended.
    void finish(unsigned count);
    // What look-up @n has found, after @hops hops and not more.
    [[nodiscard]] std::string_view found(unsigned n, unsigned hops) const;
    [[nodiscard]] uint64_t system_calls() const { return calls_; }

private:
    static constexpr unsigned out_bytes = 64;

    void load(const char* object);

    uint32_t nsid_;
    unsigned block_bytes_;
    int arena_fd_;
    uint64_t bytes_;
    hook_lookup* lookup_;
    uint8_t *out_, *blocks_;
    bpf_object* object_ = nullptr;
    bpf_link* link_ = nullptr;
    io_uring ring_{};
    uint64_t calls_ = 0;
};
