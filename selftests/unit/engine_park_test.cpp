// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The control plane parks a queue and lets it go again, in the middle of its
// turn: at every place where the turn touches a word that threads share, in all
// combinations. A request that comes meanwhile is started once, whatever the
// turn saw of it.
#include <cstdint>
#include <vector>

#include "meanwhile.h"

#include "ring_in_memory.h"

namespace {

class played_queue : public ring_in_memory<io_uring_sqe> {
public:
    played_queue() : ring_in_memory(rr::test::shape(4, 128)) {
        run();
        keep_fetches();
    }
    void TestBody() override {}

    // Parks before access number `park` of the turn, resumes before `resume`.
    // How many accesses there were.
    uint32_t play(uint32_t park, uint32_t resume) {
        bool parked = false, resumed = false;
        uint32_t places = 0;
        auto step = [&](uint32_t now) {
            if (!parked && now >= park) {
                parked = true;
                array_->park = 1;
            }
            if (!resumed && now >= resume) {
                resumed = true;
                array_->park = 0;
                io_uring_sqe wake{};
                wake.user_data = RR_TOKEN_MESSAGE;
                post(wake, 0);
            }
        };
        rr::test::next_request = {};
        rr::test::next_request.op_flags = UBLK_IO_OP_READ;
        rr::test::next_request.nr_sectors = 8;
        post(fetches_[0], 0);
        between = [&] { step(places++); };
        int verdict = run();
        between = nullptr;
        step(resume);
        // The thread enters a program that it has left as soon as park is 0.
        while (verdict == RR_STEP_STOP || queue()->count.cqes < posted_)
            verdict = run();
        while (!nothing_sent())
            started_ += sent().opcode == IORING_OP_READ_FIXED;
        return places;
    }

    uint32_t started() const { return started_; }
    uint32_t kept() { return queue()->parked_tags; }

private:
    void post(const io_uring_sqe& sqe, int32_t result) {
        answer(sqe, result);
        posted_++;
    }
    uint64_t posted_ = 0;
    uint32_t started_ = 0;
};

TEST(EnginePark, ARequestOfAnyMomentIsStartedOnce) {
    const uint32_t places = played_queue().play(UINT32_MAX, UINT32_MAX);
    ASSERT_GT(places, 2U);
    for (uint32_t park = 0; park <= places; park++)
        for (uint32_t resume = park; resume <= places; resume++) {
            played_queue q;
            q.play(park, resume);
            ASSERT_EQ(q.started(), 1U) << park << " " << resume;
            ASSERT_EQ(q.kept(), 0U) << park << " " << resume;
        }
}

}  // namespace
