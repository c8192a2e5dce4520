// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A queue whose ring is plain memory: a test plays io_uring and ublk. It takes
// the SQEs that a turn wrote, answers them when and as it likes, and gives the
// requests.
#pragma once

#include <gtest/gtest.h>
#include <liburing.h>
#include <linux/ublk_cmd.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "engine_under_test.h"
#include "ringraid/ring.h"

namespace rr::test {

// What the turn that runs now finds: which ring, and the newest request.
inline const rr_ring_offsets* ring_at;
inline ublksrv_io_desc next_request;
inline uint64_t clock_ns = 1;
inline uint32_t clock_looks;

// Members behind NVMe's commands have larger entries, for the whole ring.
struct large_sqe : io_uring_sqe {
    std::byte rest[64];
};
static_assert(sizeof(large_sqe) == 1 << RR_RING_SQE_LARGE_SHIFT);

}  // namespace rr::test

namespace {

const rr_ring_offsets* rr_host_offsets() {
    return rr::test::ring_at;
}

long rr_host_descriptor(rr_u64, rr_u32, ublksrv_io_desc* d) {
    *d = rr::test::next_request;
    return 0;
}

rr_u64 rr_host_clock() {
    rr::test::clock_looks++;
    return rr::test::clock_ns;
}

struct rr_host_t {};
// Where a test sets rr_queue.fused: else the engine leaves nothing to it.
#define rr_host_fuses() 1
int rr_host_fuse(rr_host_t*, rr_array*, rr_queue*, rr_u32) {
    return 0;
}

#define typeof __typeof__
#include "ring/step.h"
#undef typeof

// Sqe is io_uring_sqe or large_sqe.
template <typename Sqe>
class ring_in_memory : public testing::Test {
protected:
    explicit ring_in_memory(const rr::array_config& config) : array_(config) {
        rr::test::ring_at = &offsets;
        rr::test::next_request = {};
    }

    int run() { return rr_step(nullptr, array_.get(), queue(), &ring_, sq_.data(), cq_.data()); }
    rr_queue* queue() { return array_.queue(); }

    // The oldest SQE that nobody took.
    Sqe sent() {
        uint32_t& head = word(offsets.sq_head);
        EXPECT_NE(head, word(offsets.sq_tail));
        return reinterpret_cast<Sqe*>(sq_.data())[head++ % RR_RING_SQ_ENTRIES];
    }
    bool nothing_sent() { return word(offsets.sq_head) == word(offsets.sq_tail); }
    void answer(const Sqe& sqe, int32_t result) {
        const uint32_t n = word(offsets.cq_tail)++ % RR_RING_CQ_ENTRIES;
        auto* cqe = reinterpret_cast<io_uring_cqe*>(cq_.data() + offsets.cqes +
                                                    (size_t{n} << offsets.cqe_shift));
        cqe->user_data = sqe.user_data;
        cqe->res = result;
    }

    // What a first turn has sent: it asks ublk for a request on each tag.
    void keep_fetches() {
        for (uint32_t tag = 0; tag < array_->depth; tag++)
            fetches_.push_back(sent());
    }
    // ublk has one for the tag.
    void request(uint32_t tag, uint32_t op_flags, uint64_t sector, uint32_t sectors) {
        rr::test::next_request = {};
        rr::test::next_request.op_flags = op_flags;
        rr::test::next_request.start_sector = sector;
        rr::test::next_request.nr_sectors = sectors;
        answer(fetches_[tag], 0);
    }

    rr::test::small_array array_;
    rr_ring ring_{};
    std::vector<rr_u8> sq_ = std::vector<rr_u8>(RR_RING_SQ_ENTRIES * sizeof(Sqe));
    std::vector<Sqe> fetches_;

private:
    static constexpr bool large = std::is_same_v<Sqe, rr::test::large_sqe>;
    // The ring's words first, the CQEs behind them.
    static constexpr rr_ring_offsets offsets = {
        .sq_head = 0,
        .sq_tail = 4,
        .cq_head = 8,
        .cq_tail = 12,
        .cqes = 64,
        .bytes = 0,
        .sqe_shift = large ? RR_RING_SQE_LARGE_SHIFT : RR_RING_SQE_SHIFT,
        .cqe_shift = large ? RR_RING_CQE_LARGE_SHIFT : RR_RING_CQE_SHIFT};

    uint32_t& word(uint32_t offset) { return *reinterpret_cast<uint32_t*>(cq_.data() + offset); }

    std::vector<rr_u8> cq_ =
        std::vector<rr_u8>(offsets.cqes + (size_t{RR_RING_CQ_ENTRIES} << offsets.cqe_shift));
};

}  // namespace
