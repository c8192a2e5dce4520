// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Jobs (engine/job.h), with members that answer when the test says so: what is
// begun and when, where the frontier stands, what a job finds and mends, and what
// clients' plans make of a target and of rows whose parity means nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

constexpr uint32_t cells = 64;

// An array of five whose members are memory: all zeros, which is in parity.
class EngineJob : public testing::Test {
protected:
    explicit EngineJob(uint32_t chunk = 8, uint32_t slots = 8) : array_(config(chunk, slots)) {
        disks_.assign(5, std::vector<std::byte>(size_t{cells} * chunk * 512));
    }

    static rr::array_config config(uint32_t chunk, uint32_t slots) {
        rr::array_config c = shape(5, chunk);
        c.slots = slots;
        return c;
    }

    rr_array* a() { return array_.get(); }
    rr_queue* q() { return array_.queue(); }
    rr_job& job() { return array_->job; }
    uint64_t epoch() { return rr_state_epoch(array_->state); }
    uint32_t parity(uint64_t cell) { return rr_parity_member(&array_->geometry, cell); }
    uint32_t data(uint64_t cell, uint32_t d) {
        return rr_data_member(&array_->geometry, parity(cell), d);
    }

    void order(uint32_t kind, uint64_t end = cells, uint32_t at_once = 3) {
        job().at_once = at_once;
        job().end = end;
        job().limit = end;
        job().kind = kind;
        look();
    }
    void rebuild(uint32_t role) {
        array_->state = 1ULL << role | RR_STATE_REBUILD;
        std::fill(disks_[role].begin(), disks_[role].end(), std::byte{0x5a});
    }
    void look() {
        rr_message(a(), q());
        settle();
    }
    void settle() {
        rr_settle(a(), q());
        while (q()->action_head != q()->action_tail) {
            const rr_action* n = rr_action_at(a(), q(), q()->action_head++);
            if (n->act == RR_ACT_COMMIT)
                answers_.push_back(static_cast<int32_t>(n->length));
            else
                flight_.push_back(*n);
        }
    }

    uint64_t cell_of(const rr_action& n) { return n.position >> array_->cell_shift; }
    // Cells with I/O in flight.
    std::vector<uint64_t> at_work() {
        std::vector<uint64_t> list;
        for (const rr_action& n : flight_)
            list.push_back(cell_of(n));
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
        return list;
    }

    // Whether an I/O fails, by its action.
    virtual int32_t error_of(const rr_action&) { return 0; }
    void end_io(size_t i) {
        const rr_action n = flight_[i];
        flight_.erase(flight_.begin() + static_cast<long>(i));
        const int32_t error = n.act == RR_ACT_FLUSH ? 0 : error_of(n);
        auto* memory = reinterpret_cast<std::byte*>(a()) + n.address;
        std::byte* disk = disks_[n.role].data() + n.position;
        if (!error && n.act == RR_ACT_READ)
            std::memcpy(memory, disk, n.length);
        else if (!error && (n.act == RR_ACT_WRITE || n.act == RR_ACT_WRITE_FUA))
            std::memcpy(disk, memory, n.length);
        rr_complete(a(), q(), n.token, error ? error : static_cast<int32_t>(n.length));
        settle();
    }
    // All that is in flight for the cell now, and what follows from it.
    void end_cell(uint64_t cell) {
        for (size_t i = 0; i < flight_.size();)
            if (cell_of(flight_[i]) == cell)
                end_io(i), i = 0;
            else
                i++;
    }
    void end_all() {
        while (!flight_.empty())
            end_io(0);
    }

    void request(uint32_t tag, uint8_t op, uint64_t sector, uint32_t sectors, uint8_t flags = 0) {
        rr_request* r = rr_request_at(a(), q(), tag);
        *r = {};
        r->op = op;
        r->sector = sector;
        r->sectors = sectors;
        r->flags = flags;
        rr_request_start(a(), q(), tag);
        settle();
    }
    // Data sector @s of chunk @d in the stripe of cell @cell, with chunks of one cell.
    uint64_t sector_of(uint64_t cell, uint32_t d, uint32_t s = 0) {
        return (cell * 4 + d) * (1U << array_->geometry.chunk_shift) + s;
    }
    // Of a client's slots: the actions of the kind that go to a role.
    bool goes_to(uint32_t role, uint8_t act) {
        return std::any_of(flight_.begin(), flight_.end(),
                           [&](const rr_action& n) { return n.role == role && n.act == act; });
    }

    small_array array_;
    std::vector<std::vector<std::byte>> disks_;
    std::vector<rr_action> flight_;
    std::vector<int32_t> answers_;
};

using list = std::vector<uint64_t>;

TEST_F(EngineJob, TheFrontierIsTheFirstCellThatIsNotDone) {
    order(RR_JOB_CHECK);
    ASSERT_EQ(at_work(), (list{0, 1, 2}));
    end_cell(2);
    end_cell(1);
    EXPECT_EQ(job().frontier, 0U);
    EXPECT_EQ(job().done, 6U);
    EXPECT_EQ(job().next, 5U);
    ASSERT_EQ(at_work(), (list{0, 3, 4}));
    end_cell(4);
    end_cell(0);
    EXPECT_EQ(job().frontier, 3U);
    EXPECT_EQ(job().done, 2U);
    end_all();
    EXPECT_EQ(job().frontier, cells);
    EXPECT_EQ(job().done, 0U);
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().error, 0);
    EXPECT_EQ(job().wrong_rows, 0U);
    EXPECT_EQ(q()->free_slots, array_->slots);
}

TEST_F(EngineJob, LimitHaltParkAndTheEndAreObeyed) {
    job().limit = 2;
    job().at_once = 4;
    job().end = 20;
    job().kind = RR_JOB_CHECK;
    look();
    ASSERT_EQ(at_work(), (list{0, 1}));
    end_all();
    EXPECT_EQ(job().ended, 0U);
    job().limit = 20;
    array_->park = 1;
    look();
    EXPECT_TRUE(at_work().empty());
    array_->park = 0;
    look();
    EXPECT_EQ(at_work(), (list{2, 3, 4, 5}));
    job().halt = 1;
    end_cell(3);
    EXPECT_EQ(at_work(), (list{2, 4, 5}));
    EXPECT_EQ(job().ended, 0U);
    end_all();
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().frontier, 6U);
    job().halt = 0;
    job().ended = 0;
    look();
    EXPECT_EQ(at_work(), (list{6, 7, 8, 9}));
    q()->gone = q()->job_look = 1;
    end_all();
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().frontier, 10U);
}

class EngineJobFourSlots : public EngineJob {
protected:
    EngineJobFourSlots() : EngineJob(8, 4) {}
};

TEST_F(EngineJobFourSlots, ClientsComeFirstButOneCellIsAlwaysAllowed) {
    for (uint32_t tag = 0; tag < 3; tag++)
        request(tag, RR_OP_READ, sector_of(40 + tag, 0), 8, RR_REQ_COPY);
    order(RR_JOB_CHECK, cells, 16);
    EXPECT_EQ(at_work(), (list{0, 40, 41, 42}));
    request(3, RR_OP_READ, sector_of(43, 0), 8, RR_REQ_COPY);
    end_cell(0);
    // The request was waiting for the slot.
    EXPECT_EQ(at_work(), (list{40, 41, 42, 43}));
    EXPECT_EQ(job().in_work, 0U);
    // Nobody tells the job when a slot comes free: it looks.
    end_io(0);
    end_io(static_cast<size_t>(std::find_if(flight_.begin(), flight_.end(),
                                            [](auto& n) { return n.act == RR_ACT_COPY_OUT; }) -
                               flight_.begin()));
    EXPECT_EQ(job().in_work, 1U);
    end_all();
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().frontier, cells);
    EXPECT_EQ(answers_.size(), 4U);
}

// Requests without end, more than there are slots for.
class EngineJobCrowd : public EngineJob, public testing::WithParamInterface<uint32_t> {
protected:
    EngineJobCrowd() : EngineJob(8, GetParam()) {}
};

TEST_P(EngineJobCrowd, AJobEndsAndSoDoClients) {
    uint32_t answered = 0;
    auto submit = [&](uint32_t tag) { request(tag, RR_OP_WRITE, sector_of(40 + tag, 0), 8); };
    for (uint32_t tag = 0; tag < 4; tag++)
        submit(tag);
    order(RR_JOB_CHECK, 8, 16);
    for (uint32_t io = 0; io < 4000 && !job().ended; io++) {
        ASSERT_FALSE(flight_.empty());
        end_io(0);
        for (; answered < answers_.size(); answered++)
            ASSERT_EQ(answers_[answered], 4096);
        for (uint32_t tag = 0; tag < 4; tag++)
            if (!rr_request_at(a(), q(), tag)->pending &&
                !(rr_request_at(a(), q(), tag)->flags & RR_REQ_QUEUED))
                submit(tag);
    }
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().frontier, 8U);
    EXPECT_GT(answered, 4U);
    end_all();
}

INSTANTIATE_TEST_SUITE_P(Slots, EngineJobCrowd, testing::Values(1U, 2U, 3U));

// Cells of four rows of 4 KiB.
class EngineJobRows : public EngineJob {
protected:
    EngineJobRows() : EngineJob(32) {}
    void spoil(uint32_t role, uint64_t row) { disks_[role][row * 4096 + 7] ^= std::byte{1}; }
};

TEST_F(EngineJobRows, ACheckCountsWrongRowsAndARepairMendsThem) {
    spoil(0, 5);
    spoil(2, 7);
    spoil(4, 200);
    const auto before = disks_;
    order(RR_JOB_CHECK, cells, 1);
    end_all();
    EXPECT_EQ(job().wrong_rows, 3U);
    EXPECT_EQ(job().wrong[0], 5U);
    EXPECT_EQ(job().wrong[1], 7U);
    EXPECT_EQ(job().wrong[2], 200U);
    EXPECT_EQ(disks_, before);
    for (uint32_t kind : {RR_JOB_REPAIR, RR_JOB_CHECK}) {
        job() = {};
        order(kind, cells, 1);
        end_all();
        EXPECT_EQ(job().wrong_rows, kind == RR_JOB_REPAIR ? 3U : 0U);
        EXPECT_EQ(job().frontier, cells);
    }
}

TEST_F(EngineJobRows, MoreWrongRowsThanThereAreNotesAreCounted) {
    for (uint64_t row = 0; row < 100; row++)
        spoil(1, row);
    order(RR_JOB_CHECK, cells, 1);
    end_all();
    EXPECT_EQ(job().wrong_rows, 100U);
    for (uint64_t i = 0; i < RR_JOB_NOTES; i++)
        EXPECT_EQ(job().wrong[i], i);
}

// A slot that has the rows of its last write in memory (kept.h).
TEST_F(EngineJobRows, WhatARepairHasWrittenIsReadAgain) {
    request(0, RR_OP_WRITE, sector_of(0, 0), 8);
    EXPECT_TRUE(goes_to(parity(0), RR_ACT_READ));
    end_all();
    request(0, RR_OP_WRITE, sector_of(0, 0), 8);
    EXPECT_FALSE(goes_to(parity(0), RR_ACT_READ));
    end_all();
    spoil(data(0, 1), 0);
    order(RR_JOB_REPAIR, 1, 1);
    end_all();
    EXPECT_EQ(job().wrong_rows, 1U);
    job() = {};
    request(0, RR_OP_WRITE, sector_of(0, 0), 8);
    EXPECT_TRUE(goes_to(parity(0), RR_ACT_READ)) << "parity is not what the slot has";
    end_all();
    order(RR_JOB_CHECK, 1, 1);
    end_all();
    EXPECT_EQ(job().wrong_rows, 0U);
}

// Reads of some blocks fail; writes to a role do.
class EngineJobErrors : public EngineJob {
protected:
    int32_t error_of(const rr_action& n) override {
        if (n.act != RR_ACT_READ)
            return n.act == RR_ACT_WRITE && n.role == write_fails_ ? -RR_EIO : 0;
        return cell_of(n) == bad_cell_ && (bad_roles_ >> n.role & 1) ? -RR_EIO : 0;
    }

    uint32_t write_fails_ = RR_NO_ROLE;
    uint64_t bad_cell_ = 0;
    uint32_t bad_roles_ = 0;
};

TEST_F(EngineJobErrors, ACheckRewritesOneBlockAndGoesOnBehindTwo) {
    bad_cell_ = 3;
    bad_roles_ = 1U << 2;
    disks_[2][3 * 4096] = std::byte{9};  // what cannot be read is not what it was
    order(RR_JOB_CHECK);
    end_all();
    EXPECT_EQ(job().mended[2], 1U);
    EXPECT_EQ(disks_[2][3 * 4096], std::byte{0});
    EXPECT_EQ(job().wrong_rows, 0U);
    job() = {};
    bad_roles_ = 6;
    order(RR_JOB_CHECK);
    end_all();
    EXPECT_EQ(job().unreadable_cells, 1U);
    EXPECT_EQ(job().error, 0);
    EXPECT_EQ(job().frontier, cells);
}

TEST_F(EngineJobErrors, ARebuildStopsWhereItCannotRead) {
    rebuild(1);
    bad_cell_ = 9;
    bad_roles_ = 1;
    order(RR_JOB_REBUILD);
    end_all();
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().error, -RR_EIO);
    EXPECT_EQ(job().error_cell, 9U);
    EXPECT_EQ(job().frontier, 9U);
}

TEST_F(EngineJobErrors, ATargetThatFailsIsNoTargetAndMovesTheEpoch) {
    rebuild(1);
    order(RR_JOB_REBUILD);
    end_cell(0);
    EXPECT_EQ(job().frontier, 1U);
    EXPECT_EQ(epoch(), 0U);
    write_fails_ = 1;
    end_all();
    EXPECT_EQ(array_->state, 2U | 1ULL << RR_STATE_EPOCH_SHIFT);
    EXPECT_EQ(array_->members[1].error, RR_EIO);
    EXPECT_EQ(job().frontier, 1U);
    EXPECT_EQ(job().ended, 1U);
    EXPECT_EQ(job().error, -RR_ECANCELED);
}

TEST_F(EngineJob, ARebuildMakesTheMissingMember) {
    for (uint32_t role : {0U, 2U, 3U, 4U})
        for (std::byte& b : disks_[role])
            b = static_cast<std::byte>(&b - disks_[role].data() + role * 3);
    rebuild(1);
    order(RR_JOB_REBUILD, cells, 16);
    end_all();
    ASSERT_EQ(job().ended, 1U);
    EXPECT_EQ(job().frontier, cells);
    for (size_t i = 0; i < disks_[1].size(); i++)
        ASSERT_EQ(disks_[1][i], disks_[0][i] ^ disks_[2][i] ^ disks_[3][i] ^ disks_[4][i]) << i;
}

struct place_of_cell {
    const char* name;
    uint64_t frontier, next;
    bool read, written;  // the target, by clients of cell 10
};

class EngineJobPlans : public EngineJob, public testing::WithParamInterface<place_of_cell> {
protected:
    EngineJobPlans() {
        job().frontier = GetParam().frontier;
        job().next = GetParam().next;
    }
};

TEST_P(EngineJobPlans, TheTargetIsWhatTheTableSays) {
    const auto [name, frontier, next, read, written] = GetParam();
    for (uint32_t d = 0; d < 4; d++) {
        rebuild(data(10, d));
        request(0, RR_OP_READ, sector_of(10, d), 8);
        EXPECT_EQ(goes_to(data(10, d), RR_ACT_READ_DIRECT), read) << d;
        EXPECT_EQ(!goes_to(data(10, d), RR_ACT_READ_DIRECT), goes_to(parity(10), RR_ACT_READ));
        end_all();
        // One sector of it: its old content is in nobody's way. Half of it, half of another's.
        for (uint32_t at : {0U, 7U}) {
            if (at == 7 && d == 3)
                continue;
            request(0, RR_OP_WRITE, sector_of(10, d, at), at == 7 ? 2 : 1);
            bool was_read = false, was_written = false, was_parity = false;
            while (!flight_.empty()) {
                was_read |= goes_to(data(10, d), RR_ACT_READ);
                was_written |= goes_to(data(10, d), RR_ACT_WRITE);
                was_parity |= goes_to(parity(10), RR_ACT_WRITE);
                end_io(0);
            }
            EXPECT_EQ(was_written, written) << d << " " << at;
            EXPECT_TRUE(was_parity);
            EXPECT_FALSE(was_read && !read);
        }
        // A write beside it: it is read where it is a member, or nothing asks for it.
        request(0, RR_OP_WRITE, sector_of(10, (d + 1) % 4), 8);
        EXPECT_FALSE(goes_to(data(10, d), RR_ACT_READ) && !read);
        end_all();
    }
    // Parity itself.
    rebuild(parity(10));
    request(0, RR_OP_WRITE, sector_of(10, 0), 8);
    bool was_read = false, was_written = false;
    while (!flight_.empty()) {
        was_read |= goes_to(parity(10), RR_ACT_READ);
        was_written |= goes_to(parity(10), RR_ACT_WRITE);
        end_io(0);
    }
    EXPECT_EQ(was_read, read);
    EXPECT_EQ(was_written, written);
    for (int32_t result : answers_)
        EXPECT_GT(result, 0);
    EXPECT_EQ(epoch(), 0U);
}

INSTANTIATE_TEST_SUITE_P(All, EngineJobPlans,
                         testing::Values(place_of_cell{"done", 11, 11, true, true},
                                         place_of_cell{"between", 10, 11, false, true},
                                         place_of_cell{"first", 4, 12, false, true},
                                         place_of_cell{"not begun", 4, 10, false, false},
                                         place_of_cell{"none", 0, 0, false, false}));

class EngineJobResync : public EngineJobErrors {
protected:
    EngineJobResync() {
        array_->state = RR_STATE_RESYNC;
        job().frontier = job().next = 10;
    }
    // Of a write of @sectors: whether parity was read for it.
    bool reads_parity(uint64_t sector, uint32_t sectors, uint64_t cell) {
        request(0, RR_OP_WRITE, sector, sectors);
        const bool read = goes_to(parity(cell), RR_ACT_READ);
        end_all();
        return read;
    }
};

TEST_F(EngineJobResync, NothingIsReadFromAParityThatMeansNothing) {
    // One of four blocks: RMW reads two, and RCW three.
    EXPECT_TRUE(reads_parity(sector_of(9, 0), 8, 9));
    EXPECT_FALSE(reads_parity(sector_of(10, 0), 8, 10));
    job().next = 12;
    EXPECT_FALSE(reads_parity(sector_of(11, 0), 8, 11));
    for (int32_t result : answers_)
        EXPECT_EQ(result, 4096);
}

TEST_F(EngineJobResync, WhatIsLostThereIsNotMadeUp) {
    bad_roles_ = 1U << data(9, 0);
    bad_cell_ = 9;
    request(0, RR_OP_READ, sector_of(9, 0), 8, RR_REQ_COPY);
    end_all();
    EXPECT_EQ(answers_, (std::vector<int32_t>{4096}));
    bad_roles_ = 1U << data(10, 0);
    bad_cell_ = 10;
    // The block itself; and a write that needs it.
    request(0, RR_OP_READ, sector_of(10, 0), 8, RR_REQ_COPY);
    end_all();
    request(0, RR_OP_WRITE, sector_of(10, 1), 8);
    end_all();
    array_->state |= 1U << data(10, 0);
    request(0, RR_OP_READ, sector_of(10, 0), 8);
    end_all();
    request(0, RR_OP_WRITE, sector_of(10, 1), 8);
    end_all();
    EXPECT_EQ(answers_, (std::vector<int32_t>{4096, -RR_EIO, -RR_EIO, -RR_EIO, -RR_EIO}));
}

TEST_F(EngineJobResync, TheJobStopsWhereDataCannotBeRead) {
    bad_cell_ = 12;
    bad_roles_ = 1U << data(12, 1);
    disks_[parity(11)][11 * 4096] = std::byte{3};
    order(RR_JOB_RESYNC, cells, 1);
    end_all();
    EXPECT_EQ(disks_[parity(11)][11 * 4096], std::byte{0});
    EXPECT_EQ(job().error, -RR_EIO);
    EXPECT_EQ(job().frontier, 12U);
    // Parity that cannot be read is made.
    job().error = job().ended = 0;
    job().next = 12;
    bad_roles_ = 1U << parity(12);
    look();
    end_all();
    EXPECT_EQ(job().frontier, cells);
    EXPECT_EQ(job().mended[parity(12)], 1U);
}

// Member 1 is replaced by what is behind the five roles.
class EngineReplacement : public EngineJob {
protected:
    static constexpr uint32_t role = 1, copy = 5;
    EngineReplacement() {
        disks_.emplace_back(disks_[0].size());
        array_->replaced = role;
        array_->state |= RR_STATE_REPLACE;
    }
    int32_t error_of(const rr_action& n) override { return n.role == bad_ ? -RR_EIO : 0; }
    // A cell whose data chunk @d is the member's.
    uint64_t cell_with(uint32_t d, uint64_t from) {
        while (data(from, d) != role)
            from++;
        return from;
    }
    bool same(uint64_t cell) {
        const auto at = static_cast<long>(cell * 4096);
        return std::equal(disks_[role].begin() + at, disks_[role].begin() + at + 4096,
                          disks_[copy].begin() + at);
    }

    uint32_t bad_ = ~0U;
};

TEST_F(EngineReplacement, WhatTheMemberGetsItGetsWhereTheJobHasBegun) {
    job().next = job().frontier = 20;
    const uint64_t below = cell_with(0, 5), above = cell_with(0, 25);
    for (const uint64_t cell : {below, above}) {
        request(0, RR_OP_WRITE, sector_of(cell, 0), 8);
        while (!flight_.empty() && flight_[0].act != RR_ACT_WRITE)
            end_io(0);
        EXPECT_TRUE(goes_to(role, RR_ACT_WRITE)) << cell;
        EXPECT_EQ(goes_to(copy, RR_ACT_WRITE), cell == below) << cell;
        for (const rr_action& n : flight_) {
            for (const rr_action& other : flight_) {
                if (n.role == role && other.role == copy) {
                    EXPECT_EQ(n.address, other.address);
                    EXPECT_EQ(n.position, other.position);
                    EXPECT_EQ(n.length, other.length);
                }
            }
        }
        end_all();
    }
    // Nor what other members get.
    uint64_t other = 0;
    while (data(other, 0) == role || parity(other) == role)
        other++;
    request(0, RR_OP_WRITE, sector_of(other, 0), 8);
    while (!flight_.empty() && flight_[0].act != RR_ACT_WRITE)
        end_io(0);
    EXPECT_FALSE(goes_to(copy, RR_ACT_WRITE));
    end_all();
    // It is read by nobody.
    request(0, RR_OP_READ, sector_of(below, 0), 8);
    EXPECT_FALSE(goes_to(copy, RR_ACT_READ));
    end_all();
}

TEST_F(EngineReplacement, AFlushReachesIt) {
    job().next = job().frontier = cells;
    request(0, RR_OP_WRITE, sector_of(cell_with(0, 5), 0), 8);
    end_all();
    request(1, RR_OP_FLUSH, 0, 0);
    EXPECT_TRUE(goes_to(copy, RR_ACT_FLUSH));
    end_all();
    request(1, RR_OP_FLUSH, 0, 0);
    EXPECT_FALSE(goes_to(copy, RR_ACT_FLUSH)) << "nothing was written since";
    end_all();
    request(0, RR_OP_WRITE, sector_of(cell_with(0, 5), 0), 8);
    end_all();
    array_->state &= ~RR_STATE_REPLACE;
    request(1, RR_OP_FLUSH, 0, 0);
    EXPECT_FALSE(goes_to(copy, RR_ACT_FLUSH)) << "it is none any more";
    end_all();
}

TEST_F(EngineReplacement, WhatItMissesIsAcknowledgedWhenSuperblocksTell) {
    job().next = job().frontier = cells;
    bad_ = copy;
    request(0, RR_OP_WRITE, sector_of(cell_with(0, 5), 0), 8);
    end_all();
    EXPECT_TRUE(answers_.empty());
    EXPECT_EQ(array_->state & (RR_STATE_REPLACE | RR_STATE_MISSING), 0U);
    EXPECT_EQ(array_->members[copy].error, RR_EIO);
    array_->durable_epoch = static_cast<uint32_t>(epoch());
    look();
    EXPECT_EQ(answers_, (std::vector<int32_t>{4096})) << "the row is whole";
}

TEST_F(EngineReplacement, TheJobCopiesAndMakesWhatCannotBeRead) {
    for (uint32_t i = 0; i < 5; i++)
        std::fill(disks_[i].begin(), disks_[i].end(), i % 2 ? std::byte{0x33} : std::byte{0});
    // In parity: two of five are not zero.
    order(RR_JOB_REPLACE);
    end_all();
    EXPECT_EQ(job().frontier, cells);
    EXPECT_EQ(job().ended, 1U);
    for (uint64_t cell = 0; cell < cells; cell++)
        EXPECT_TRUE(same(cell)) << cell;
    EXPECT_EQ(disks_[copy][0], std::byte{0x33});
}

TEST_F(EngineReplacement, ALossOfEitherEndsTheJob) {
    for (const uint32_t lost : {role, 2U, copy}) {
        job() = rr_job{};
        array_->state = RR_STATE_REPLACE;
        order(RR_JOB_REPLACE);
        rr_member_fail(a(), lost, -RR_EIO);
        end_all();
        look();
        end_all();
        EXPECT_EQ(array_->state & RR_STATE_REPLACE, 0U) << lost;
        EXPECT_EQ(job().ended, 1U) << lost;
        EXPECT_NE(job().error, 0) << lost;
        EXPECT_LT(job().frontier, cells) << lost;
    }
}

TEST(EngineLoss, OfEachStateOnlyWhatIsInUseIsLost) {
    constexpr uint64_t one = 1ULL << RR_STATE_EPOCH_SHIFT, copy = 1U << 5, member = 1U << 2;
    auto after = [](uint64_t state, uint64_t bit) {
        return rr_state_after_loss(state, bit, uint64_t{1U << 5});
    };
    EXPECT_EQ(after(RR_STATE_REPLACE, copy), one);
    EXPECT_EQ(after(0, copy), 0U);
    EXPECT_EQ(after(one, copy), one) << "the second time";
    EXPECT_EQ(after(RR_STATE_REPLACE, member), one | member);
    EXPECT_EQ(after(RR_STATE_RESYNC, copy), RR_STATE_RESYNC) << "it waits";
    EXPECT_EQ(after(member | one, 1U), member | one | RR_STATE_BROKEN);
    EXPECT_EQ(after(member | RR_STATE_REBUILD, member), member | one);
    // Sixteen members: no bit is the replacement's.
    EXPECT_EQ(rr_replacement_bit(16), 0U);
    EXPECT_EQ(rr_state_after_loss(0, 1U << 15, 0), one | 1U << 15);
}

}  // namespace
