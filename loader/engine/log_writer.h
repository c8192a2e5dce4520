// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Writes the partial parity logs: the other half of bpf/engine/log.h.
//
// What queues ask for is taken from all of them at once: one unit for each member, with
// all that wait for it (md/ppl.h has the format), so the more there is to do the less an
// entry costs. Of each log one unit is in flight or has rows that may be in the middle of a
// write; its successor is written when there are none. So what counts after a power cut,
// the newest unit, names every row that may be torn.
//
//   take     slots that ask -> the log of their parity's member, or nowhere
//   begin    a log that is idle, with slots that wait -> a unit
//   written  -> all of them have a share, and are answered
//   (queues give the shares back: begin)
//
// Where units are. One behind the other; from the area's start again where the next would
// end within 16 sectors of the area's end: md does not find a unit that ends in the last
// eight. Generations rise by one, from 1 in an area that is empty (md::write_empty_ppl()).
//
// The area begins with a header that has no entries, as an empty one does; where units begin
// anew a newer one is written there first, alone. A cut may leave any sectors of a write: if
// it was a unit that went over several old ones, the first of them could be whole and the
// others gone, and it would count, though its rows have been written again since. So each
// pass through the area has a write more, of a block.
//
// What is behind a unit must not be taken for a newer one, and partial parity is clients'
// data. `quiet` says where a header may be looked for: where there are zeroes still, or a
// header of our own that is older. A unit that ends elsewhere has a block of zeroes behind
// it. Units without partial parity, of whole stripes, never need one.
//
// While a failure is not in the superblocks no unit is begun and nobody is answered.
//
// This class does no I/O and knows no thread: the caller writes and says when that is
// durable, and calls from one thread. It reads slots, and their buffers of parity, while
// they stand in phase LOG.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/io.h"
#include "md/ppl.h"
#include "md/superblock.h"
#include "ringraid/abi.h"

namespace rr {

class log_writer {
public:
    struct needs {
        // To @sector of the member's log; written() when it is durable. The bytes stay.
        std::function<void(uint32_t role, uint64_t sector, std::span<const uint8_t> bytes)> write =
            [](uint32_t, uint64_t, std::span<const uint8_t>) {};
        std::function<void(uint32_t queue)> wake = [](uint32_t) {};  // sends it a message
        // The member's log could not be written: it is taken out of use, and that recorded.
        std::function<void(uint32_t role, int error)> fail = [](uint32_t, int) {};
    };

    // The arena outlives this object. No queue has started.
    log_writer(rr_array* array, const md::uuid& set_uuid,
               const std::array<uint64_t, RR_MEMBERS_MAX>& area_sectors, needs how);

    // Takes and begins what it can. After a message, and when a failure is recorded.
    void look();
    // The member's unit is durable, or could not be written (errno).
    void written(uint32_t role, int error);
    // The member has an empty log, which is @sectors long.
    void restart(uint32_t role, uint64_t sectors);

    // True: queues send a message from now on. False: look once more.
    [[nodiscard]] bool may_sleep();
    // Somebody waits for what no queue tells of: look now and then.
    [[nodiscard]] bool waits() const;
    [[nodiscard]] bool is_writing(uint32_t role) const { return logs_[role].writing; }

    // Since it was made; from any thread.
    struct totals {
        uint64_t units = 0;
        uint64_t entries = 0;
    };
    [[nodiscard]] totals counted() const { return {units_, entries_written_}; }

    // An area that takes a unit of any one slot.
    [[nodiscard]] static uint64_t sectors_least(uint32_t cell_bytes);

private:
    struct ask {
        uint16_t queue, slot;
    };
    struct log {
        uint64_t sectors = 0;
        uint64_t place = 0;  // of the next unit; 0 is the empty header's
        uint64_t generation = 0;
        bool writing = false;
        size_t entries = 0;       // of the unit that is being written
        std::vector<bool> quiet;  // by sector
        std::vector<ask> waiting;
        std::vector<ask> in_unit;
        std::optional<aligned_buffer> unit;
    };

    // As many of those that wait as have room, whose entries are in entries_.
    struct gathered {
        size_t slots;
        uint64_t sectors;
    };

    [[nodiscard]] rr_slot* slot_of(const ask& who) const;
    uint64_t add_entries(const ask& who);
    gathered gather(const log& l);
    gathered next_unit(log& l);
    [[nodiscard]] uint64_t end_unit(log& l, uint64_t sectors);
    [[nodiscard]] bool covers(const rr_slot& slot, uint32_t role, uint32_t sector,
                              uint32_t& end) const;
    [[nodiscard]] uint32_t written_at(const rr_slot& slot, uint32_t sector, uint32_t& next) const;
    [[nodiscard]] bool has_log(const rr_slot& slot) const;
    [[nodiscard]] bool failures_are_durable() const;
    [[nodiscard]] bool may_begin(uint32_t role) const;
    void take(uint32_t queue);
    void begin(uint32_t role);
    void write_unit(uint32_t role);
    void answer(std::vector<ask>& all, bool share);
    void wake_answered();

    rr_array* array_;
    md::uuid set_uuid_;
    needs how_;
    std::array<log, RR_MEMBERS_MAX> logs_;
    std::array<uint32_t, RR_QUEUES_MAX> taken_{};
    std::vector<ask> elsewhere_;              // their rows have no log
    std::vector<md::new_ppl_entry> entries_;  // of the unit that is being built
    uint32_t answered_ = 0;                   // mask of queues
    std::atomic<uint64_t> units_{0}, entries_written_{0};
};

}  // namespace rr
