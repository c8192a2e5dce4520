// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// uring_bpf_xor() over the simulator's memory, sector by sector.
//
// It refuses what the kernel refuses, and reads a client's page as often as it
// is told to: an unstable client may show another version each time. Where copies may
// fail, one does here in the middle, for the request whose pages it is about.
#pragma once

#include <span>

#include "ringraid/ring.h"
#include "rng.h"

namespace rr::sim {

class world;

class xor_model {
public:
    xor_model(world& w, uint32_t queue, rng& chance) : w_(w), queue_(queue), chance_(chance) {}

    // An rr_xor_fn; @context is an xor_model. 0, -EINVAL or -EFAULT.
    static int call(void* context, const rr_xor_ref* refs, rr_u32 n, rr_u32 bytes, rr_u64 flags);
    // A copy has failed as it was meant to.
    bool broke() const { return broke_; }

private:
    bool is_client(const rr_xor_ref& r) const;
    bool reachable(const rr_xor_ref& r, uint32_t bytes, bool write, bool read) const;
    int check(std::span<const rr_xor_ref> refs, uint32_t bytes, uint64_t flags) const;
    uint64_t address(const rr_xor_ref& r, uint32_t sector) const;
    uint64_t load(const rr_xor_ref& r, uint32_t sector);
    void store(const rr_xor_ref& r, uint32_t sector, uint64_t value);
    uint32_t breaks_at(std::span<const rr_xor_ref> refs, uint32_t sectors);

    world& w_;
    uint32_t queue_;
    rng& chance_;
    bool broke_ = false;
};

}  // namespace rr::sim
