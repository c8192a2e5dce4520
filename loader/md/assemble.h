// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which devices make up an array, and in which role: a pure function over
// superblocks that were read before. It opens nothing and writes nothing, and
// the order of the devices does not matter.
//
// The rules are md's (linux drivers/md/md.c super_1_load, super_1_validate,
// analyze_sbs):
//
//   1. Devices of one set_uuid belong together. Several sets without a choice
//      by uuid or name: refused. With a choice, the others are left out.
//   2. The freshest superblock is that with the most events among members
//      with a role. Its facts are the array's.
//   3. A member behind by two events or more is stale: it missed writes. One
//      behind by exactly one was overtaken by the last metadata write, perhaps
//      the one that declared it faulty, so its role is taken from the
//      freshest superblock and not from its own.
//   4. A position in the array has one device. Two that claim it, or two with
//      the same device uuid (a copy), whatever their events and roles, are
//      refused: either may be the old one.
//   5. One missing position is a degraded array; more are none. A position that
//      the freshest superblock gives to a device which is not here is late: the
//      first write without it throws that device out, so it starts only when
//      that is asked for (mdadm: --run). One that is known to be faulty is not
//      late.
//   6. A dirty array that is degraded has stripes whose missing block cannot
//      be computed. It starts only when forced, which asks for rule 5 too; or with a
//      partial parity log, of which the caller finds out what it is worth; not where a
//      resync was stopped on its way, of which the superblock tells: no log has those rows.
//   7. A device that has a role and holds its data only up to recovery_offset, as its own
//      superblock says, is being rebuilt: the array is degraded, and goes on with it,
//      unless it contradicts an equally fresh member: a rebuild that was cut off as it
//      began, or that went on without it. Nobody needs what is on it. Spares are kept.
//      One whose own superblock says that it is a replacement shares the role with the
//      member that it becomes a copy of. Where that one is not here it is as a rebuild
//      that has come so far; where another is not, it is left out: the array needs it as
//      a spare. After a crash it is one of nothing: what was being written may be on the
//      member alone.
//   8. A member in good standing that is here and cannot be used now (read-only,
//      in somebody's hands) refuses the array: it is no lost one.
//
// Stricter than md where guessing would be silent: members with equal events
// that disagree on the array are refused, and a member that whitelist.h does
// not allow refuses the array, not just itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "md/superblock.h"
#include "ringraid/geometry.h"

namespace rr::md {

struct candidate {
    std::string path;
    uint64_t sectors = 0;  // device size
    Result<md_superblock> superblock;
    std::string disk{};               // what tells disks apart; empty: not known
    std::optional<Error> unusable{};  // readable, but not to be a member now
};

struct assembly_options {
    std::optional<uuid> set_uuid{};
    std::optional<std::string> name{};  // "host:name", or "name" of any host
    bool force = false;                 // start although dirty and degraded
    bool degraded = false;              // start without members that are late
};

enum class exclusion {
    unreadable,  // no superblock could be read
    foreign,     // belongs to another array
    stale,       // missed writes
    spare,
    faulty,  // the others declared it failed
    journal,
    bad_role,   // its role is outside of the array, or not the one it was filled for
    too_small,  // ends before the data its superblock describes
    mismatch,   // level, layout or chunk differ from the freshest
};

struct excluded_device {
    size_t candidate;  // index into the input
    std::string path;
    exclusion why;
    std::string reason;  // a sentence for people
};

struct assembled_member {
    size_t candidate;  // index into the input
    std::string path;
    // Its own superblock with the array's facts of the freshest: what
    // update.h starts from.
    md_superblock superblock;
};

struct rebuilding_member {
    uint32_t role = 0;
    uint64_t sectors = 0;    // of its data that are there
    bool by_bitmap = false;  // of the rest, what the bitmap does not name
};

struct replacing_member {
    uint32_t role = 0;
    uint64_t sectors = 0;  // of the member's data that are there
    assembled_member device;
};

struct assembly_plan {
    rr_geometry geometry{};
    uuid set_uuid{};
    std::string name;
    uint64_t member_sectors = 0;  // used on each member
    uint64_t array_sectors = 0;
    uint64_t events = 0;
    uint32_t logical_block_bytes = 0;                      // the array's, at least; 0: its members'
    std::vector<std::optional<assembled_member>> members;  // by role
    std::vector<uint32_t> missing;                         // roles
    std::vector<uint32_t> late;                            // of those, by rule 5
    std::optional<rebuilding_member> rebuilding;           // in `members` and in `missing`
    std::optional<replacing_member> replacement;           // of a member that is there
    std::vector<size_t> spares;                            // candidates that could take a role
    std::vector<excluded_device> excluded;                 // by input index
    bool clean = false;
    bool needs_resync = false;  // dirty and complete: parity must be recomputed
    uint64_t resync_from = 0;   // ... from this sector of the members on
    bool forced = false;        // dirty and degraded, and started all the same
    bool has_ppl = false;       // a partial parity log, to be replayed where it is dirty
    uint32_t features_to_clear = 0;

    [[nodiscard]] bool degraded() const { return !missing.empty(); }
};

// ENODEV: too few members, or none. EEXIST: duplicates. EAGAIN: a member is late.
// EUCLEAN: dirty and degraded, without a partial parity log. A member's `unusable`: rule 8. EINVAL:
// an ambiguous choice or members that contradict each other. ENOTSUP: an array that ringraid does
// not serve. Bad block logs are on the devices: the caller checks them with
// check_servable_member().
[[nodiscard]] Result<assembly_plan> plan_assembly(const std::vector<candidate>& candidates,
                                                  const assembly_options& options = {});

[[nodiscard]] const char* to_string(exclusion why);

}  // namespace rr::md
