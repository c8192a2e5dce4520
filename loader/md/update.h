// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Changes of a running array's metadata: dirty, clean, a member failed.
//
// What makes a crash survivable is the order, here and in the caller:
//
//   before the first data write       mark_dirty() returns
//   before a write is acknowledged
//   that a failed member missed       mark_failed() returns
//   before mark_clean()               no write in flight, members flushed
//
// Every change raises `events` by one on all members that are left (md also
// lowers it again when going clean; we never do, which md accepts). Members
// are written one after the other, each durable before the next, so a crash
// in between leaves whole superblocks that differ by one event at most, which
// md and assemble.h resolve in favour of the newer. The newer is always the
// safer: dirty before data, failed before an acknowledgement, clean after all.
//
// A position that is empty at the start is declared faulty with the first
// change. Otherwise its device, absent now and one event behind later, would
// come back as a member in good standing.
//
// A member whose metadata cannot be written does not stop the others: it is
// reported, and the caller decides, usually mark_failed(). It must be decided
// before any acknowledgement, because that member still looks current. Where more
// than one cannot be written, they are left one event behind and no further, so that
// all is there once they can: until then nothing is written, and they are reported.
//
// A rebuild. The device that takes a role over holds its rows up to recovery_offset,
// which its own superblock alone tells; the others show it as active, as md has it:
//
//   begin_rebuild()      its own superblock first: md takes one that does not know of
//                        its role for in sync
//   rebuild_reached()    after its rows were flushed
//   rebuild_finished()   the same, of all rows
//
// A replacement. The device that becomes a copy of a member has the member's role, too, and
// its own superblock says that it is one, and how far. It gets all that the others get,
// under the index behind the roles:
//
//   begin_replacement()      its own superblock first, as above
//   replacement_reached()    after its rows were flushed
//   replacement_finished()   the same, of all rows: its own superblock first, then all
//                            others call the old member's number faulty; that one's
//                            superblock stays behind
//
// When a member fails it is one no longer: its number is a spare's.
//
// Cost: one 4 KiB write and one flush per member, in sequence. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "md/superblock.h"

namespace rr::md {

// @sb tells of what @policy needs, and of nothing else of the kind. ENOSPC as of name_ppl().
[[nodiscard]] Status change_consistency(md_superblock& sb, consistency policy);

struct member_write_error {
    uint32_t role = 0;
    Error error;
};

struct update_report {
    uint64_t events = 0;
    std::vector<uint32_t> written;           // roles, in the order of writing
    std::vector<member_write_error> failed;  // these hold older metadata

    [[nodiscard]] bool complete() const { return failed.empty(); }
};

// Makes a superblock durable on the member in @role; on the replacement where that is
// their number.
using superblock_writer = std::function<Status(uint32_t role, const md_superblock& sb)>;

// Writes with write_superblock() to the descriptor of each role, which it
// does not own.
[[nodiscard]] superblock_writer write_to(std::vector<int> fd_by_role);

// Told around every write of superblocks, so that a successor knows which events
// the members may carry: begin() before the first byte, done() when every one of
// them is known to have them.
struct events_witness {
    std::function<void(uint64_t events, uint64_t utime)> begin;
    std::function<void(uint64_t events, uint64_t utime)> done;
};

class array_metadata {
public:
    struct state {
        std::vector<std::optional<md_superblock>> members;  // by role
        uint32_t features_to_clear = 0;                     // assembly_plan's
        bool needs_resync = false;                          // assembly_plan's
        // What is on each member, by role; empty: the same on all. A mark that was cut off
        // or failed leaves some behind. Its write is finished before the next one begins: cut
        // off, too, that one would leave them two behind, too old to be believed.
        std::vector<uint64_t> events_found = {};
        std::optional<md_superblock> replacement = {};  // assembly_plan's
    };
    // As assembly_plan or make_new() hand it over; nothing is written yet.
    array_metadata(state initial, superblock_writer writer, events_witness witness = {});

    // Durable on each member not in `failed` before it returns; writes nothing
    // when the array is dirty already by our own hand. ENODEV: no member left.
    [[nodiscard]] Result<update_report> mark_dirty();

    // Nothing is in flight. While parity is not right everywhere, they say how far it is:
    // the next start goes on there, and where that is nowhere they stay dirty.
    // Writes nothing when the array is clean already by our own hand.
    [[nodiscard]] Result<update_report> mark_clean();

    // Declares @role faulty on all others. EINVAL: no such role. ENODEV: it was
    // the last member. Writes nothing when that is durable already.
    [[nodiscard]] Result<update_report> mark_failed(uint32_t role);

    // @own, of make_spare(), takes @role, of which nothing is there; or, @by_bitmap, it had
    // the role, and lacks what the bitmap names. EEXIST: the role has a member.
    [[nodiscard]] Result<update_report> begin_rebuild(uint32_t role, md_superblock own,
                                                      bool by_bitmap = false);
    // The first @sectors of @role's data are on its device. EINVAL: it is not rebuilt.
    [[nodiscard]] Result<update_report> rebuild_reached(uint32_t role, uint64_t sectors);
    [[nodiscard]] Result<update_report> rebuild_finished(uint32_t role);

    // @own, of make_spare(), is to become a copy of the member in @role. EEXIST: there is one
    // already. EINVAL: no such member, or no room for one.
    [[nodiscard]] Result<update_report> begin_replacement(uint32_t role, md_superblock own);
    // The first @sectors of the member's data are on it. EINVAL: there is none.
    [[nodiscard]] Result<update_report> replacement_reached(uint64_t sectors);
    // It is the member. EINVAL: there is none. EAGAIN: some superblock is late. Where an error
    // comes back, or nothing was written, all is as before.
    [[nodiscard]] Result<update_report> replacement_finished();
    // It is none any more: a spare, or @failed. Its own superblock is not written.
    [[nodiscard]] Result<update_report> end_replacement(bool failed);

    // @sectors of @role could not be read and were written again: its superblock tells with
    // the next mark, which is then written also where nothing else is new.
    void reads_corrected(uint32_t role, uint32_t sectors);

    // They tell of a bitmap whose pages, or of logs that are, durable where
    // change_consistency() has them; or of neither. ENOSPC: some member has no room for a log.
    [[nodiscard]] Result<update_report> set_consistency(consistency policy);

    // The parity of every stripe is right again; nothing is written.
    void resync_finished() { synced_ = resync_none; }
    // ... of the first @sectors of each member; nothing is written.
    void resync_reached(uint64_t sectors) { synced_ = sectors; }

    [[nodiscard]] bool needs_resync() const { return synced_ != resync_none; }
    // Superblocks were written by our hand.
    [[nodiscard]] bool has_written() const { return has_written_; }
    [[nodiscard]] uint64_t events() const { return events_; }
    [[nodiscard]] const std::optional<md_superblock>& member(uint32_t role) const {
        return members_.at(role);
    }
    [[nodiscard]] const std::optional<md_superblock>& replacement() const { return replacement_; }

private:
    enum class written_state { unknown, dirty, clean };

    void declare_faulty(uint32_t role);
    void set_number(uint32_t number, uint16_t role);
    void drop_replacement(uint16_t becomes);
    void forget_strangers();
    std::optional<md_superblock>& at(uint32_t index);
    std::vector<member_write_error> catch_up();
    [[nodiscard]] bool needs(const std::vector<member_write_error>& behind) const;
    Result<update_report> write_all(uint64_t resync_offset,
                                    std::optional<uint32_t> first = std::nullopt,
                                    std::optional<uint32_t> without = std::nullopt);
    Result<update_report> write_as_it_is(std::optional<uint32_t> first,
                                         std::optional<uint32_t> without = std::nullopt);
    Status write_own(uint32_t role, uint64_t now, uint64_t resync_offset);
    Result<update_report> change_to(written_state wanted, uint64_t resync_offset);

    std::vector<std::optional<md_superblock>> members_;
    std::optional<md_superblock> replacement_;
    uint32_t features_to_clear_;
    uint64_t synced_;  // sectors of each member whose parity is right, or resync_none
    struct late_write {
        uint32_t role;
        md_superblock superblock;
    };
    std::vector<late_write> behind_;
    bool has_written_ = false;
    uint64_t events_ = 0;
    bool clean_ = true;                               // what was written last, on whichever members
    written_state written_ = written_state::unknown;  // on all members, by us
    superblock_writer write_;
    events_witness witness_;
};

}  // namespace rr::md
