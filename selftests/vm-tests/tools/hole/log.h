// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Crashes, made of a log of dm-log-writes (Linux drivers/md/dm-log-writes.c).
//
// Members and a region for the notes are cut out of one device whose writes that target
// keeps: members one behind the other, the notes behind them. It keeps a write when it is
// durable: one with FUA when it is over, another with the flush that follows. Where members
// have no volatile cache (settings.through) it keeps each when it is over, since nothing is
// a flush there. So each prefix of the log is what a crash may leave.
//
// That is so only where one flush is over before the next begins: the first takes all writes
// before it and tells them when it is over, and the second may be over earlier and tell none,
// though they are as durable. Who made the log sees to it (guest/writehole.sh: carve).
//
// Cuts are behind every n-th entry, behind flushes and writes with FUA, and anywhere. Two
// things are made worse than the log has them: of the writes since the last flush that had
// no FUA any may be missing, and of the entry behind the cut only some sectors may be there.
//
// What no prefix has: a write that a volatile cache wrote back before a write with FUA that
// the log has first. Only members without a cache show who writes data before its log.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "load.h"

namespace rr::hole {

enum : uint64_t { log_flush = 1, log_fua = 2, log_discard = 4, log_mark = 8 };

struct log_entry {
    uint64_t sector;   // of 512 bytes
    uint64_t sectors;  // of 512 bytes
    uint64_t flags;
    const uint8_t* data;
};

class write_log {
public:
    explicit write_log(const std::string& path);
    [[nodiscard]] const std::vector<log_entry>& entries() const { return entries_; }
    // The first entry behind the mark "begin".
    [[nodiscard]] size_t begin() const { return begin_; }

private:
    Fd fd_;
    size_t begin_ = 0;
    std::vector<log_entry> entries_;
};

// Members as files in memory, and the notes behind them.
class image {
public:
    explicit image(const settings& set);
    [[nodiscard]] size_t bytes() const { return set_.member_sectors * 512; }
    [[nodiscard]] int fd(uint32_t member) const { return fds_[member].get(); }
    [[nodiscard]] std::span<const uint8_t> member(uint32_t m) const { return {at_[m], bytes()}; }
    [[nodiscard]] std::span<const uint8_t> notes() const { return notes_; }

    void copy(const image& other);
    // Sectors of @e for which @chosen.
    template <typename Chosen>
    void apply(const log_entry& e, const Chosen& chosen);
    void apply(const log_entry& e);

private:
    void apply_sector(const log_entry& e, uint64_t s);

    settings set_;
    std::vector<Fd> fds_;
    std::vector<uint8_t*> at_;
    std::vector<uint8_t> notes_;
};

class crash_maker {
public:
    crash_maker(const settings& set, const write_log& log);

    // The crash behind @cut entries. Cuts only go forward.
    void make(size_t cut, image& out);

private:
    [[nodiscard]] bool makes_durable(const log_entry& e) const;

    settings set_;
    const write_log& log_;
    image flushed_;
    size_t flushed_at_ = 0;  // entries before it are in flushed_
};

// @count of them between the mark and the end.
[[nodiscard]] std::vector<size_t> choose_cuts(const settings& set, const write_log& log,
                                              size_t count);

}  // namespace rr::hole
