// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "md/update.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rr::md {
namespace {

constexpr uint32_t ppl_bits = feature_ppl | feature_multiple_ppls;

// Without its feature bit the place of a log or bitmap must not be kept: a
// tool that sets the bit again would find an old log there.
void clear_features(md_superblock& sb, uint32_t features) {
    if ((sb.feature_map & features & (feature_bitmap | ppl_bits)) != 0)
        sb.log_place = 0;
    sb.feature_map &= ~features;
}

}  // namespace

superblock_writer write_to(std::vector<int> fd_by_role) {
    return [fds = std::move(fd_by_role)](uint32_t role, const md_superblock& sb) {
        return write_superblock(fds.at(role), sb);
    };
}

array_metadata::array_metadata(state initial, superblock_writer writer, events_witness witness)
    : members_(std::move(initial.members)),
      features_to_clear_(initial.features_to_clear),
      needs_resync_(initial.needs_resync),
      write_(std::move(writer)),
      witness_(std::move(witness)) {
    for (const auto& member : members_) {
        if (member) {
            events_ = std::max(events_, member->events);
            clean_ = clean_ && member->clean();
        }
    }
    // As the others have it: what is new comes with the next events.
    for (uint32_t role = 0; role < initial.events_found.size(); role++) {
        if (members_[role] && initial.events_found[role] < events_)
            behind_.push_back({role, *members_[role]});
    }
    for (uint32_t role = 0; role < members_.size(); role++) {
        if (!members_[role])
            declare_faulty(role);
    }
}

// Device numbers are not roles: every number that holds the role is marked.
void array_metadata::declare_faulty(uint32_t role) {
    for (auto& member : members_) {
        if (member)
            std::replace(member->dev_roles.begin(), member->dev_roles.end(),
                         static_cast<uint16_t>(role), uint16_t{role_faulty});
    }
}

// One whose superblock cannot be written is reported by the write that follows.
void array_metadata::catch_up() {
    for (const late_write& late : std::exchange(behind_, {})) {
        if (members_[late.role])
            (void)write_(late.role, late.superblock);
    }
}

Result<update_report> array_metadata::write_all(uint64_t resync_offset) {
    if (std::none_of(members_.begin(), members_.end(), [](const auto& m) { return bool{m}; }))
        return fail(ENODEV, "no member is left to hold metadata");
    has_written_ = true;
    catch_up();
    clean_ = resync_offset == resync_none;
    update_report report;
    report.events = ++events_;
    if (witness_.begin)
        witness_.begin(events_);
    const uint64_t now = md_time_now();
    for (uint32_t role = 0; role < members_.size(); role++) {
        if (!members_[role])
            continue;
        md_superblock& sb = *members_[role];
        sb.events = events_;
        sb.utime = now;
        sb.resync_offset = resync_offset;
        clear_features(sb, features_to_clear_);
        if (auto written = write_(role, sb); written)
            report.written.push_back(role);
        else
            report.failed.push_back({role, written.error()});
    }
    if (witness_.done && report.complete())
        witness_.done(events_);
    return report;
}

Result<update_report> array_metadata::change_to(written_state wanted, uint64_t resync_offset) {
    if (written_ == wanted)
        return update_report{events_, {}, {}};
    auto report = write_all(resync_offset);
    written_ = report && report->complete() ? wanted : written_state::unknown;
    return report;
}

Result<update_report> array_metadata::mark_dirty() {
    return change_to(written_state::dirty, 0);
}

Result<update_report> array_metadata::mark_clean() {
    if (needs_resync_)
        return with_hint(fail(EBUSY, "array cannot be clean before its resync has finished"),
                         "it stays dirty; the next start repeats the resync");
    return change_to(written_state::clean, resync_none);
}

Result<update_report> array_metadata::mark_failed(uint32_t role) {
    if (role >= members_.size())
        return fail(EINVAL, "no role {} in an array of {}", role, members_.size());
    if (!members_[role] && written_ != written_state::unknown)
        return update_report{events_, {}, {}};
    // Clean stays clean: a member may fail while nothing is being written.
    const bool clean = clean_;
    members_[role].reset();
    declare_faulty(role);
    auto report = write_all(clean ? resync_none : 0);
    const auto reached = clean ? written_state::clean : written_state::dirty;
    written_ = report && report->complete() ? reached : written_state::unknown;
    return report;
}

}  // namespace rr::md
