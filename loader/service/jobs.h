// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The array's work on itself: which job runs, how fast, and what comes of it.
//
// The work is the engine's (bpf/engine/job.h); no byte of it passes here. This writes
// the orders into the arena, looks ten times a second where it is, and does what is
// due on the disks, in an order that a power cut cannot spoil:
//
//   rebuild   the superblocks tell of the device (md/update.h), then the job begins
//             every 1/16 and every half minute: its rows flushed, then the checkpoint
//             at the end: flushed, superblocks, then the array counts on it
//   check, repair   nothing but counts; what they found is kept until the next one, and
//             where they are, as often, for the next start (scrub_note.h).
//             A member whose cells they rewrote has that in its superblock from the next
//             write of it on, as has one of which a client's request met a bad block; md
//             counts so, 8 sectors each time. What a dead daemon counted since its last
//             one is lost
//   resync    at the end the superblocks may say clean again
//   replace   as rebuild; at the end nothing may be in flight while the two change places,
//             which is the main thread's affair (array_replace.cpp): it is asked, and the
//             job is over when it says so
//
// Rates are md's: KiB/s of each member, sync-max while nobody uses the array, sync-min
// at least while somebody does. Between the two a job has one cell in work, so it gets
// what clients leave.
//
// A job that is in the arena when a daemon takes over goes on from there.
//
// Where the array has a write-intent bitmap, a resync, and the rebuild of a member that
// comes back, do the regions that need it, run after run (bitmap.h): each is a job of
// the engine's, and the frontier jumps from the end of one to the begin of the next.
//
// Cost: a look is a few loads; a wake-up of queue 0 where it had to wait.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "md/update.h"
#include "ringraid/abi.h"
#include "service/bitmap.h"
#include "service/scrub_note.h"

namespace rr {

struct sync_rates {
    uint64_t min_kib = 1000;
    uint64_t max_kib = 0;  // 0: as fast as the members
};

class array_jobs {
public:
    using clock = std::chrono::steady_clock;

    struct needs {
        std::function<void()> wake = [] {};  // sends every queue a message
        std::function<void()> look = [] {};  // has look() called soon, from any thread
        // The member's rows that are in its cache. Who cannot is failed in the arena.
        std::function<bool(uint32_t role)> flush = [](uint32_t) { return true; };
        array_bitmap* bitmap = nullptr;  // it outlives this object
        sync_rates rates;
        // What people and programs are told: an event of mdadm --monitor's, and of what.
        std::function<void(const std::string& event, const nlohmann::json& more)> tell =
            [](const std::string&, const nlohmann::json&) {};
        // Where a check is, for the next start; nothing: there is none. Waits for nothing.
        std::function<void(const std::optional<scrub_note>&)> keep =
            [](const std::optional<scrub_note>&) {};
        // All of a replacement is there: replaced() is to be called. Now and then.
        std::function<void()> replace = [] {};
    };

    // The arena outlives this object.
    array_jobs(rr_array* array, needs how);

    // From any thread.
    // Sectors of a member. EBUSY: another job runs. EINVAL: nothing lies there.
    Status begin_check(bool repair, uint64_t from, uint64_t to);
    Status pause();
    Status resume();
    // EBUSY: not a rebuild or a resync, which the array needs.
    Status cancel();
    Status set_rates(sync_rates rates);
    [[nodiscard]] sync_rates rates() const;
    [[nodiscard]] nlohmann::json status() const;
    // Sectors that could not be read and were written again, since the start of the daemon.
    [[nodiscard]] uint32_t corrected(uint32_t role) const;

    // From the thread that uses @metadata only.
    // The device in @role, whose superblocks are written, is filled from @done cells on;
    // @by_region: where the bitmap needs it.
    void begin_rebuild(uint32_t role, uint64_t done, bool by_region = false);
    // A replacement is in the superblocks, and in the arena, of whose data the first @done
    // cells are there. It begins when parity is right.
    void begin_replacement(uint64_t done);
    // All cells of a replacement are done, and nothing else is the matter.
    [[nodiscard]] bool is_to_replace() const;
    // It has the place of the member. While nothing is in flight; an epoch passes.
    void replaced();
    // Parity is right up to the frontier; RR_STATE_RESYNC is set.
    void begin_resync();
    // A check that an earlier daemon did not end. It begins when the array is whole; after
    // a takeover it is the one that runs.
    void go_on(const scrub_note& note);
    void look(md::array_metadata& metadata, clock::time_point now);
    // Another one from here on, or none.
    void use_bitmap(array_bitmap* bitmap) { how_.bitmap = bitmap; }
    // Nothing is in work any more: what is done is recorded.
    void close(md::array_metadata& metadata);
    [[nodiscard]] bool runs() const;
    // The last rebuild met rows of which two blocks cannot be read.
    [[nodiscard]] bool is_hopeless() const { return hopeless_.load(); }

private:
    struct finished {
        uint32_t kind = RR_JOB_NONE;
        std::string how;  // "done", "cancelled", or why it ended
        uint64_t wrong_rows = 0, mended_cells = 0, unreadable_cells = 0;
        nlohmann::json rows;  // positions of the first wrong ones
    };

    rr_job& job() const { return array_->job; }
    void prepare(uint64_t from, uint64_t end, bool by_region = false);
    void prepare_regions(uint64_t from);
    bool next_run();
    [[nodiscard]] bool is_through() const;
    [[nodiscard]] uint64_t done_cells() const;
    void launch(uint32_t kind);
    void steer(clock::time_point now);
    void end(md::array_metadata& metadata);
    void end_rebuild(md::array_metadata& metadata);
    void end_replacement(bool lost);
    void launch_replacement();
    [[nodiscard]] bool is_copied() const;
    [[nodiscard]] uint32_t replacement() const { return array_->geometry.members; }
    [[nodiscard]] std::optional<uint32_t> target() const;
    void begin_what_waits();
    void checkpoint(md::array_metadata& metadata, clock::time_point now);
    void keep_place(clock::time_point now);
    [[nodiscard]] bool is_scrub() const;
    [[nodiscard]] bool is_due(uint64_t frontier, clock::time_point now) const;
    [[nodiscard]] scrub_note place() const;
    void tell_progress();
    [[nodiscard]] nlohmann::json about() const;
    void fail_target(int error);
    void record_reached(md::array_metadata& metadata, uint32_t index, uint64_t frontier);
    void record(const Result<md::update_report>& written);
    void count_corrected(md::array_metadata& metadata);
    void count_of_clients(md::array_metadata& metadata);
    void correct(md::array_metadata& metadata, uint32_t role, uint32_t sectors);
    [[nodiscard]] uint64_t cell_sectors() const;
    [[nodiscard]] uint64_t cells_in_all() const;
    [[nodiscard]] bool is_busy();
    [[nodiscard]] std::string why_ended() const;
    [[nodiscard]] nlohmann::json found() const;

    rr_array* array_;
    needs how_;
    mutable std::mutex lock_;  // of the orders, and of what others look at
    sync_rates rates_;
    std::atomic<bool> hopeless_{false};
    bool paused_ = false;
    bool cancelled_ = false;
    uint64_t first_ = 0;                    // cell, of this run
    uint64_t done_before_ = 0, total_ = 0;  // cells, of all runs
    uint64_t told_percent_ = 0;
    uint64_t checkpoint_ = 0;  // cells
    clock::time_point checkpoint_time_, looked_, steered_;
    uint64_t looked_at_ = 0;  // cells, then
    double kib_per_second_ = 0;
    uint64_t client_count_ = 0;
    double credit_ = 0;  // cells that sync-max allows to begin
    uint64_t credited_next_ = 0;
    clock::time_point credited_ = clock::now();
    std::optional<finished> last_;
    std::optional<scrub_note> waiting_;
    std::optional<uint64_t> replacement_waits_;  // cells
    clock::time_point asked_;
    std::array<rr_u64, RR_MEMBERS_MAX> counted_{};               // of the job's mended cells
    std::array<uint32_t, RR_MEMBERS_MAX> counted_of_clients_{};  // of rr_member.corrected
    std::array<uint32_t, RR_MEMBERS_MAX> corrected_{};           // sectors
};

const char* job_name(uint32_t kind);

}  // namespace rr
