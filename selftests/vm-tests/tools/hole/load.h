// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A load of which is known, at every moment, what each sector of the array may hold.
//
// All of it follows from a seed. Each thread has blocks of its own and a note, written with
// FUA: "all of my writes before number n are durable, n may be under way". So a sector holds
// the last write before n, or, in a block of write n, that one or n. Blocks that no thread
// has are never written after the first fill: they are what the hole is about.
//
// A write is durable by RWF_DSYNC, or by fdatasync() behind it: with FUA on a member's writes
// nobody would see a log that is used again before its rows are flushed.
//
// md with a log answers that flush at once, and flushes rows only before it uses the log again
// (raid5-ppl.c: ppl_handle_flush_request(), ppl_do_flush()). So of its rows some are old that
// it said were durable, where members have a volatile cache (settings.flush_late). That is no
// hole: each holds all of a version that it had since the last write by RWF_DSYNC, or was
// as good as under way and is lost with its member.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/fd.h"

namespace rr::hole {

inline constexpr size_t block_bytes = 4096;

struct settings {
    uint64_t seed = 1;
    uint32_t threads = 8;
    uint32_t ops = 200;  // of each thread
    uint32_t members = 4;
    uint32_t chunk_kib = 16;
    uint64_t member_sectors = 16384;
    uint64_t blocks = 0;      // of the array
    bool through = false;     // members have no volatile cache: no entry of a log is a flush
    bool no_log = false;      // superblocks are read as if they told of no partial parity log
    bool flush_late = false;  // who wrote answers a flush before it is one
};

[[noreturn]] void die(const std::string& what);

template <typename T>
T must(Result<T> value, const std::string& what) {
    if (!value)
        die(what + ": " + describe(value.error()));
    return std::move(*value);
}
void must(const Status& ok, const std::string& what);

[[nodiscard]] uint64_t mix(uint64_t x);
[[nodiscard]] Fd open_device(const std::string& path, int flags);

// By its size.
void take_blocks(settings& set, const Fd& fd);

struct extent {
    uint64_t first;
    uint64_t blocks;
};

// Which thread writes what. A third of the stripes is written in any length, a third by
// chunks, each of which has its own thread, and a third the same, but for its last chunk,
// which nobody writes.
class plan_of_load {
public:
    explicit plan_of_load(const settings& set);
    // Blocks of write @number of @thread.
    [[nodiscard]] extent write(uint32_t thread, uint64_t number) const;

private:
    void give(const extent& e);

    settings set_;
    std::vector<std::vector<extent>> of_;
};

// What each block may hold, by the notes. They only go forward.
class expected {
public:
    explicit expected(const settings& set);

    void advance(std::span<const uint8_t> notes);
    [[nodiscard]] bool is_under_way(uint64_t block) const { return under_way_.contains(block); }
    // True where @bytes are what @sector holds, or may hold.
    [[nodiscard]] bool right(uint64_t sector, const uint8_t* bytes) const;
    // A flush that may be late was to make the block's last write durable.
    [[nodiscard]] bool may_be_late(uint64_t block) const;
    // Then what @sector held before, and since the last write that needs no flush.
    [[nodiscard]] bool late(uint64_t sector, const uint8_t* bytes) const;
    [[nodiscard]] uint64_t acknowledged() const;

private:
    template <typename Do>
    void for_each(uint32_t thread, uint64_t number, const Do& what) const;

    settings set_;
    plan_of_load plan_;
    std::vector<uint64_t> version_;
    std::vector<uint64_t> sure_;  // the last that was durable by itself
    std::vector<uint64_t> done_;
    std::map<uint64_t, uint64_t> under_way_;
};

// Every block of @device has its first content.
int fill(settings set, const std::string& device);
// The threads write to @device, and their notes to @acks.
int load(settings set, const std::string& device, const std::string& acks);
// What is on a device that somebody made of a crash whose notes are in the file @acks.
int verify(settings set, const std::string& device, const std::string& acks, bool idle_only);

inline constexpr int found_wrong = 3;

}  // namespace rr::hole
