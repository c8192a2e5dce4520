// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How far a check or a repair came, for the next start.
//
// md keeps nothing of it on the members, and neither do we: it is in a file beside the
// machine's other state, as mdcheck has it, so that it outlives a reboot. A start goes
// on from there; who ends the job, or begins another one, removes the file. A successor
// has all of it in the arena, and only the beginning from here.
//
// The file decides what is read, and of a repair which parity is written again; so the
// directory is root's alone, and a note that does not fit the array is no note. When it
// cannot be written or is lost, a check begins anew when somebody orders it.
//
// Positions are sectors of a member's data, as cells are not the same in every start.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "md/superblock.h"
#include "ringraid/abi.h"
#include "service/scribe.h"

namespace rr {

struct scrub_note {
    uint32_t kind = RR_JOB_CHECK;  // or RR_JOB_REPAIR
    uint64_t from = 0, reached = 0, to = 0;
    uint64_t wrong_rows = 0, unreadable_cells = 0;
    std::vector<uint64_t> wrong;                       // the first of them: rows of 4 KiB
    std::array<uint64_t, RR_MEMBERS_MAX> mended = {};  // cells, by role

    bool operator==(const scrub_note&) const = default;
};

[[nodiscard]] nlohmann::json to_json(const scrub_note& note, const md::uuid& set_uuid);
// Nothing where @json is no note of this set.
[[nodiscard]] std::optional<scrub_note> note_of(const nlohmann::json& json,
                                                const md::uuid& set_uuid);

class scrub_notes {
public:
    // @path lies in a directory of its own, which is made when it is needed.
    scrub_notes(std::string path, const md::uuid& set_uuid);

    [[nodiscard]] std::optional<scrub_note> read() const;
    // From any thread; never waits. Nothing: there is none to keep.
    void keep(const std::optional<scrub_note>& note);

private:
    std::string path_;
    md::uuid set_uuid_;
    std::shared_ptr<std::atomic<bool>> lost_ = std::make_shared<std::atomic<bool>>(false);
    scribe scribe_;
};

}  // namespace rr
