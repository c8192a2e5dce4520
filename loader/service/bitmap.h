// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The array's write-intent bitmap while it serves: what queues ask for is set on all
// members, and what was not written for a while is taken back.
//
// bpf/engine/region.h has the words that queues look at; md/bitmap.h what is on disk and
// why it can be believed. A region may hold several bits, or a part of one. Order:
//
//   asked       its bits durable on every member in use, and of who takes none the others
//               say that it is out; then the word, then the write
//   superblocks the header with their events first, on every member in use
//   idle        not written at two looks in a row: word 0, a new era, and when no write
//               of the old one is open
//               -> members flushed -> events_cleared -> bits
//
// Nothing is taken back while a member is missing, or of regions that a resync still has
// to do: a member that comes back gets what is set, and after a crash parity is computed
// of what is set. A failure in the middle of it leaves bits that need not be there.
//
// Killed anywhere, bits may be set on disk whose word is 0: adopt() sets the words.
//
// Cost: for the first write to a region that was idle one round of writes to the members,
// shared by all that ask meanwhile. A flush of the members every `daemon_sleep` (5 s) in
// which something became idle.
//
// From the thread that owns the metadata only, but for status().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "md/bitmap.h"
#include "md/update.h"
#include "ringraid/abi.h"

namespace rr {

class array_bitmap {
public:
    using clock = std::chrono::steady_clock;

    struct needs {
        // These pages, durable on all members in use. Who cannot is failed in the arena.
        std::function<void(const md::bitmap& image, std::span<const uint32_t> pages)> write =
            [](const md::bitmap&, std::span<const uint32_t>) {};
        std::function<void()> flush = [] {};               // all members; who cannot is failed
        std::function<void()> wake = [] {};                // sends every queue a message
        std::optional<std::chrono::milliseconds> sleep{};  // nothing: as the bitmap says
    };

    // The arena outlives this object. Words say what @image does, and queues heed them.
    array_bitmap(rr_array* array, md::bitmap image, needs how);

    // Words as they are, of a dead daemon: what is set on disk is set.
    void adopt();
    // No word is there yet: what is set in the image is, and where @needed, from @sector of
    // the members on, it is a resync's. A region of which some bit is set has all of them,
    // which the members get with the next events, before anything is written.
    void begin(bool needed, uint64_t sector);

    void look(const md::array_metadata& metadata, clock::time_point now);
    // When to look again at the latest.
    [[nodiscard]] std::chrono::milliseconds wait() const;
    // Superblocks of @events are about to be written.
    void before_events(uint64_t events);
    // Nothing is in flight, and members are flushed: bits that are not needed go.
    void close(const md::array_metadata& metadata);
    // A member joins: it has all pages first.
    [[nodiscard]] const md::bitmap& image() const { return image_; }

    // Cells of the regions that a job by region has to do.
    struct run {
        uint64_t begin, end;
    };
    // The first of them from @cell on; nothing: it is through.
    [[nodiscard]] std::optional<run> next_needed(uint64_t cell) const;
    [[nodiscard]] uint64_t needed_cells(uint64_t from) const;
    // Rows of cells below @cell are done.
    void done_up_to(uint64_t cell);
    // All that is set or asked for, for a member that missed it. Queues are parked.
    void need_all_set();
    void need_nothing();

    [[nodiscard]] nlohmann::json status() const;

private:
    [[nodiscard]] rr_u32& word(uint64_t region) const;
    [[nodiscard]] uint64_t region_sectors() const;
    [[nodiscard]] std::pair<uint64_t, uint64_t> sectors_of(uint64_t region) const;
    [[nodiscard]] uint64_t cell_of(uint64_t region) const;
    [[nodiscard]] bool failures_are_durable() const;
    [[nodiscard]] bool may_clear() const;
    [[nodiscard]] bool old_era_is_over() const;
    void change(uint64_t region, uint32_t clear, uint32_t set);
    void grant();
    void write_changed();
    void look_for_idle();
    void clear_idle(const md::array_metadata& metadata);
    void clear_bits_of(uint64_t region);
    void keep_going_ones();

    rr_array* array_;
    md::bitmap image_;
    needs how_;
    clock::time_point looked_ = clock::now();
    std::vector<uint64_t> going_;  // regions whose words were made 0, in the last era
    mutable std::atomic<uint64_t> set_bits_{0};
};

// The array has no bitmap any more, and no queue runs: what a job by region has left is all
// from its frontier on.
void give_up_regions(rr_array& array);

}  // namespace rr
