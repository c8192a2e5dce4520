// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From device paths to an array that may be served: devices opened, their
// superblocks read and judged, roles known. Nothing is written.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "md/assemble.h"
#include "md/bitmap.h"
#include "md/ppl.h"
#include "md/update.h"
#include "members/member.h"
#include "members/nvme.h"
#include "resync/resync.h"

namespace rr {

// Not in use, and held for the day when a member fails.
struct spare_device {
    member_device device;
    md::md_superblock superblock;
};

// Becomes a copy of the member in `role`. Its index is the one behind all roles.
struct replacement_device {
    uint32_t role = 0;
    uint64_t sectors = 0;  // of its data that were there at the start
    member_device device;
    md::md_superblock found;       // as read from it
    md::md_superblock superblock;  // what update.h starts from
};

// md's partial parity logs as they were read and believed (parity_log.h).
struct parity_logs {
    std::vector<std::optional<md::ppl_unit>> units;  // by role; nothing: none that holds
    bool sound = false;                              // each of them, to the last entry
    bool force = false;                              // what cannot be recovered is left
};

struct array_members {
    md::assembly_plan plan;
    std::vector<std::optional<member_device>> devices;  // by role, opened O_EXCL
    std::vector<md::md_superblock> found;               // by role, as read from the device
    std::vector<spare_device> spares;
    std::optional<replacement_device> replacement;
    std::optional<md::bitmap> bitmap;  // as read, or of a new array; until it is served
    std::optional<parity_logs> logs;   // to be replayed before it is served
    bool logged = false;               // every member has a log, which is kept (parity_log.h)
    uint32_t logical_block_bytes = 512;

    [[nodiscard]] std::vector<const member_device*> present() const;
    // By role and the replacement's behind them, where it may have one; -1 where missing.
    [[nodiscard]] std::vector<int> fds() const;
    [[nodiscard]] uint32_t replacement_index() const;
    [[nodiscard]] const member_device* device(uint32_t index) const;  // null: missing
    [[nodiscard]] uint32_t missing_mask() const;
    // What md::array_metadata starts from.
    [[nodiscard]] md::array_metadata::state metadata_state() const;
    // Complete arrays only.
    [[nodiscard]] std::vector<resync_member> resync_members() const;
    // For NVMe commands, by role; nothing where missing. Errors as of
    // open_nvme().
    [[nodiscard]] Result<std::vector<std::optional<nvme_namespace>>> open_namespaces() const;
};

// Opens @paths exclusively. A path that leads nowhere, or to what cannot be read,
// is a member that is not here, and the plan's `excluded` says so; a device that
// can be read but is read-only or in use is judged by its superblock, and refuses
// an array that counts on it. Errors as of plan_assembly(); EEXIST: two paths
// name one device. Devices that the plan leaves out are closed again.
Result<array_members> open_array(const std::vector<std::string>& paths,
                                 const md::assembly_options& options);

// Reads what @members.plan says is there: fills @members.bitmap, or has the feature cleared
// where it cannot be kept. A bitmap that cannot be believed has all its bits.
void find_bitmap(array_members& members);

// The role of the member that @spelled means: a role's number, or a device as
// spell_device() of members/spelling.h has it. A member that is gone is found by
// the path that it was opened by, its kernel name or its number.
std::optional<uint32_t> find_member(const array_members& members, const std::string& spelled);

}  // namespace rr
