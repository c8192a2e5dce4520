// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Crashes judged by the code of a start: superblocks parsed, the assembly planned, logs read
// and rows recovered as a start does, in memory. Then every block is looked at, and computed
// from the others as if its member was lost.
//
//   whole   a complete array, whose member is lost after the recovery
//   less    an array that is started without that member; by force, where it is refused
//
// Of an array without a log there is no recovery in "whole" but a resync, so only "less" is
// looked at, and that is where the hole is.
//
// Where flushes may be late (load.h), they are so in rows of the newest unit of a log: all
// other rows were flushed before that was written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "load.h"
#include "log.h"
#include "service/membership.h"
#include "service/parity_log.h"

namespace rr::hole {

struct tally {
    uint64_t looks = 0;       // at arrays with one member out
    uint64_t refused = 0;     // not started, not by force either
    uint64_t forced = 0;      // started by force only
    uint64_t entries = 0;     // recovered
    uint64_t torn = 0;        // not recovered, since they were cut off
    uint64_t idle_wrong = 0;  // sectors that nobody was writing
    uint64_t busy_wrong = 0;  // of writes under way, and not told as lost
    uint64_t told = 0;        // ... told
    uint64_t late = 0;        // before a flush that was answered too early
};

// An idle block is wrong where the array is started without the member.
struct found_hole {
    size_t cut;
    uint32_t missing;
    uint64_t sectors;
};

class judge {
public:
    judge(const settings& set, bool quiet) : set_(set), work_(set), quiet_(quiet) {}

    tally whole, less;
    std::vector<found_hole> holes;
    std::vector<size_t> late_cuts;  // where a flush was late

    void look(const image& crash, const expected& want, size_t cut);

private:
    Result<array_members> members(std::optional<uint32_t> missing, bool force);
    std::optional<array_members> start(std::optional<uint32_t> missing, tally& to,
                                       std::vector<lost_blocks>& lost);
    void keep_rows(const array_members& array);
    void look_at_whole(const expected& want);
    void look_without(const expected& want, uint32_t missing);
    void compare(const array_members& array, const expected& want, uint32_t out,
                 const std::set<uint64_t>& lost, tally& to);
    void read_sector(const array_members& array, const rr_location& at, uint32_t out,
                     uint8_t* sector) const;
    void count(const expected& want, uint64_t sector, bool told, tally& to, uint32_t out);
    void say(const std::string& what);

    settings set_;
    image work_;
    bool quiet_;
    size_t cut_ = 0;
    uint32_t said_ = 0;
    std::map<uint32_t, uint32_t> device_of_;  // by role
    std::set<uint64_t> in_log_;               // sectors that the newest units of the logs are of
};

// @set with what the superblocks say of the array.
[[nodiscard]] settings sized(settings set, const write_log& log);

}  // namespace rr::hole
