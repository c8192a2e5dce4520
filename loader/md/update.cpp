// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "md/update.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "ringraid/geometry.h"

namespace rr::md {
namespace {

constexpr uint32_t rebuild_bits = feature_recovery_offset | feature_recovery_bitmap;

}  // namespace

Status change_consistency(md_superblock& sb, consistency policy) {
    md_superblock changed = sb;
    clear_features(changed, feature_bitmap | ppl_features);
    if (policy == consistency::bitmap)
        name_bitmap(changed);
    Status ok = policy == consistency::ppl ? name_ppl(changed) : Status{};
    if (ok)
        sb = std::move(changed);
    return ok;
}

superblock_writer write_to(std::vector<int> fd_by_role) {
    return [fds = std::move(fd_by_role)](uint32_t role, const md_superblock& sb) {
        return write_superblock(fds.at(role), sb);
    };
}

array_metadata::array_metadata(state initial, superblock_writer writer, events_witness witness)
    : members_(std::move(initial.members)),
      replacement_(std::move(initial.replacement)),
      features_to_clear_(initial.features_to_clear),
      synced_(initial.needs_resync ? 0 : resync_none),
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
    forget_strangers();
}

// By role, and the replacement behind them.
std::optional<md_superblock>& array_metadata::at(uint32_t index) {
    return index < members_.size() ? members_[index] : replacement_;
}

// A number that has the role of another member, and no device: a replacement that is not
// here. Of the two, the member stays.
void array_metadata::forget_strangers() {
    for (uint32_t role = 0; role < members_.size(); role++) {
        if (!members_[role])
            continue;
        const std::vector<uint16_t> roles = members_[role]->dev_roles;
        for (uint32_t number = 0; number < roles.size(); number++) {
            const bool its_own = number == members_[role]->dev_number ||
                                 (replacement_ && number == replacement_->dev_number);
            if (roles[number] == role && !its_own)
                set_number(number, role_spare);
        }
    }
}

void array_metadata::set_number(uint32_t number, uint16_t role) {
    for (uint32_t index = 0; index <= members_.size(); index++) {
        auto& sb = at(index);
        if (!sb)
            continue;
        if (sb->dev_roles.size() <= number)
            sb->dev_roles.resize(number + 1, role_spare);
        sb->dev_roles[number] = role;
    }
}

void array_metadata::drop_replacement(uint16_t becomes) {
    if (!replacement_)
        return;
    const uint32_t number = replacement_->dev_number;
    replacement_.reset();
    std::erase_if(behind_, [this](const late_write& late) { return late.role == members_.size(); });
    set_number(number, becomes);
}

// Device numbers are not roles: every number that holds the role is marked.
void array_metadata::declare_faulty(uint32_t role) {
    for (uint32_t index = 0; index <= members_.size(); index++) {
        auto& sb = at(index);
        if (sb)
            std::replace(sb->dev_roles.begin(), sb->dev_roles.end(), static_cast<uint16_t>(role),
                         uint16_t{role_faulty});
    }
}

// Who stays behind.
std::vector<member_write_error> array_metadata::catch_up() {
    std::vector<member_write_error> failed;
    std::erase_if(behind_, [&](const late_write& late) {
        const Status level = at(late.role) ? write_(late.role, late.superblock) : Status{};
        if (!level)
            failed.push_back({late.role, level.error()});
        return static_cast<bool>(level);
    });
    return failed;
}

// Without those that stay behind the array is not whole enough to be assembled.
bool array_metadata::needs(const std::vector<member_write_error>& behind) const {
    size_t level = 0;
    for (uint32_t role = 0; role < members_.size(); role++) {
        const bool late = std::ranges::any_of(
            behind, [role](const member_write_error& one) { return one.role == role; });
        const bool filled =
            members_[role] && (members_[role]->feature_map & feature_recovery_offset) == 0;
        level += filled && !late ? 1 : 0;
    }
    return !behind.empty() && level + 1 < members_.size();
}

Status array_metadata::write_own(uint32_t role, uint64_t now, uint64_t resync_offset) {
    md_superblock& sb = *at(role);
    sb.events = events_;
    sb.utime = now;
    sb.resync_offset = resync_offset;
    clear_features(sb, features_to_clear_);
    return write_(role, sb);
}

// @first is written before the others, and nothing where it cannot be; @without is left out.
Result<update_report> array_metadata::write_all(uint64_t resync_offset,
                                                std::optional<uint32_t> first,
                                                std::optional<uint32_t> without) {
    if (std::none_of(members_.begin(), members_.end(), [](const auto& m) { return bool{m}; }))
        return fail(ENODEV, "no member is left to hold metadata");
    has_written_ = true;
    update_report report;
    report.events = events_;
    // One that stays behind is on its way out. More than one would be too old to come back
    // once they can be written: they are reported, and nothing is written.
    report.failed = catch_up();
    if (needs(report.failed))
        return report;
    report.failed.clear();
    clean_ = resync_offset == resync_none;
    report.events = ++events_;
    // Each write is later than the one before: a successor tells them by it.
    uint64_t newest = 0;
    for (uint32_t index = 0; index <= members_.size(); index++) {
        const auto& sb = at(index);
        if (sb && md_microseconds(sb->utime) > md_microseconds(newest))
            newest = sb->utime;
    }
    const uint64_t now = md_time_after(newest);
    if (witness_.begin)
        witness_.begin(events_, now);
    if (first) {
        // Nobody else has these events: two ahead, the next write would make the others old.
        if (Status own = write_own(*first, now, resync_offset); !own) {
            events_--;
            return forward_error(own.error());
        }
        report.written.push_back(*first);
    }
    for (uint32_t role = 0; role <= members_.size(); role++) {
        if (!at(role) || role == first || role == without)
            continue;
        if (Status written = write_own(role, now, resync_offset); written)
            report.written.push_back(role);
        else
            report.failed.push_back({role, written.error()});
    }
    behind_.clear();
    for (const member_write_error& lost : report.failed)
        behind_.push_back({lost.role, *at(lost.role)});
    if (witness_.done && report.complete())
        witness_.done(events_, now);
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
    return change_to(written_state::clean, synced_);
}

// Clean stays clean, dirty stays dirty.
Result<update_report> array_metadata::write_as_it_is(std::optional<uint32_t> first,
                                                     std::optional<uint32_t> without) {
    const bool clean = clean_;
    auto report = write_all(clean ? resync_none : 0, first, without);
    const auto reached = clean ? written_state::clean : written_state::dirty;
    written_ = report && report->complete() ? reached : written_state::unknown;
    return report;
}

Result<update_report> array_metadata::begin_rebuild(uint32_t role, md_superblock own,
                                                    bool by_bitmap) {
    if (role >= members_.size() || members_[role])
        return fail(EEXIST, "role {} has a member", role);
    own.feature_map &= ~rebuild_bits;
    own.feature_map |= by_bitmap ? rebuild_bits : uint32_t{feature_recovery_offset};
    own.recovery_offset = 0;
    const uint32_t number = own.dev_number;
    for (const auto& member : members_) {
        const uint16_t has = member ? member->role_of(number) : uint16_t{role_spare};
        if (member && (member->dev_number == number || (has < role_journal && has != role)))
            return fail(EEXIST, "number {} is another member's", number);
    }
    drop_replacement(role_spare);
    members_[role] = std::move(own);
    // What failed in this role keeps its number and no place in the array.
    declare_faulty(role);
    set_number(number, static_cast<uint16_t>(role));
    auto report = write_as_it_is(role);
    // As if it had never come; the others do not know of it.
    if (!report || report->written.empty()) {
        members_[role].reset();
        declare_faulty(role);
    }
    return report;
}

Result<update_report> array_metadata::rebuild_reached(uint32_t role, uint64_t sectors) {
    if (role >= members_.size() || !members_[role] ||
        (members_[role]->feature_map & feature_recovery_offset) == 0)
        return fail(EINVAL, "role {} is not being rebuilt", role);
    members_[role]->recovery_offset = sectors;
    return write_as_it_is(role);
}

// The numbers of failed devices are free again, as with md.
Result<update_report> array_metadata::rebuild_finished(uint32_t role) {
    if (role >= members_.size() || !members_[role])
        return fail(EINVAL, "role {} is not being rebuilt", role);
    members_[role]->feature_map &= ~rebuild_bits;
    members_[role]->recovery_offset = 0;
    for (auto& member : members_) {
        if (member)
            std::replace(member->dev_roles.begin(), member->dev_roles.end(), uint16_t{role_faulty},
                         uint16_t{role_spare});
    }
    return write_as_it_is(role);
}

Result<update_report> array_metadata::begin_replacement(uint32_t role, md_superblock own) {
    if (role >= members_.size() || !members_[role])
        return fail(EINVAL, "there is no member {} to replace", role);
    if (members_.size() >= RR_MEMBERS_MAX)
        return fail(EINVAL, "{} members leave no room for a replacement", members_.size());
    const uint32_t number = own.dev_number;
    if (replacement_ || members_[role]->role_of(number) < role_journal)
        return fail(EEXIST, "number {} is another member's, or one is being replaced", number);
    own.feature_map &= ~rebuild_bits;
    own.feature_map |= feature_recovery_offset | feature_replacement;
    own.recovery_offset = 0;
    replacement_ = std::move(own);
    set_number(number, static_cast<uint16_t>(role));
    auto report = write_as_it_is(static_cast<uint32_t>(members_.size()));
    // As if it had never come; the others do not know of it.
    if (!report || report->written.empty())
        drop_replacement(role_spare);
    return report;
}

Result<update_report> array_metadata::replacement_reached(uint64_t sectors) {
    if (!replacement_)
        return fail(EINVAL, "no member is being replaced");
    replacement_->recovery_offset = sectors;
    return write_as_it_is(static_cast<uint32_t>(members_.size()));
}

// The old member is in use until all of the others know better: only then may the caller
// stop writing to it.
Result<update_report> array_metadata::replacement_finished() {
    if (!replacement_)
        return fail(EINVAL, "no member is being replaced");
    if (!behind_.empty())
        return fail(EAGAIN, "not all superblocks are up to date");
    const md_superblock as_it_was = *replacement_;
    const uint16_t role = replacement_->role();
    const uint32_t old = members_.at(role)->dev_number;
    replacement_->feature_map &= ~(rebuild_bits | feature_replacement);
    replacement_->recovery_offset = 0;
    set_number(old, role_faulty);
    auto report = write_as_it_is(static_cast<uint32_t>(members_.size()), role);
    if (!report || report->written.empty()) {
        set_number(old, role);
        replacement_ = as_it_was;
        return report;
    }
    members_[role] = std::move(replacement_);
    replacement_.reset();
    return report;
}

Result<update_report> array_metadata::end_replacement(bool failed) {
    if (!replacement_)
        return fail(EINVAL, "no member is being replaced");
    drop_replacement(failed ? role_faulty : role_spare);
    return write_as_it_is(std::nullopt);
}

void array_metadata::reads_corrected(uint32_t role, uint32_t sectors) {
    if (role >= members_.size() || !members_[role] || sectors == 0)
        return;
    written_ = written_state::unknown;
    uint32_t& sum = members_[role]->corrected_reads;
    if (__builtin_add_overflow(sum, sectors, &sum))
        sum = std::numeric_limits<uint32_t>::max();
}

Result<update_report> array_metadata::set_consistency(consistency policy) {
    for (uint32_t index = 0; policy == consistency::ppl && index <= members_.size(); index++) {
        auto changed = at(index);
        if (Status ok = changed ? change_consistency(*changed, policy) : Status{}; !ok)
            return forward_error(ok.error());
    }
    // One that was given up at the start is another one.
    features_to_clear_ &= ~(feature_bitmap | ppl_features);
    for (uint32_t index = 0; index <= members_.size(); index++) {
        if (at(index))
            (void)change_consistency(*at(index), policy);
    }
    return write_as_it_is(std::nullopt);
}

Result<update_report> array_metadata::mark_failed(uint32_t role) {
    if (role >= members_.size())
        return fail(EINVAL, "no role {} in an array of {}", role, members_.size());
    if (!members_[role] && written_ != written_state::unknown)
        return update_report{events_, {}, {}};
    drop_replacement(role_spare);
    members_[role].reset();
    declare_faulty(role);
    // A member may fail while nothing is being written.
    return write_as_it_is(std::nullopt);
}

}  // namespace rr::md
