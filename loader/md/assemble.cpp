// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "md/assemble.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "md/whitelist.h"

namespace rr::md {
namespace {

// An event margin of one is md's: see rule 3.
bool too_old(uint64_t events, uint64_t freshest) {
    return events < freshest && freshest - events > 1;
}

bool is_position(uint16_t role) {
    return role < role_journal;
}

// "name" selects "host:name" of any host, as mdadm --name does for its own.
bool name_matches(const std::string& full, const std::string& wanted) {
    if (full == wanted)
        return true;
    const auto colon = full.find(':');
    return colon != std::string::npos && full.substr(colon + 1) == wanted;
}

bool is_being_filled(const md_superblock& sb) {
    return (sb.feature_map & feature_recovery_offset) != 0;
}

// Ties go to who holds its data, then to the lower number, so that the devices' order
// cannot matter.
bool fresher(const md_superblock& one, const md_superblock& other) {
    if (one.events != other.events)
        return one.events > other.events;
    return is_being_filled(one) != is_being_filled(other) ? is_being_filled(other)
                                                          : one.dev_number < other.dev_number;
}

class planner {
public:
    planner(const std::vector<candidate>& candidates, const assembly_options& options)
        : candidates_(candidates), options_(options) {}

    Result<assembly_plan> run() {
        Status step = choose_set();
        if (step)
            step = check_copies();
        if (step)
            step = find_freshest();
        if (step)
            step = check_agreement();
        if (step)
            step = seat_members();
        if (step)
            step = check_members();
        if (step)
            step = check_completeness();
        if (step)
            settle_replacement();
        if (!step)
            return forward_error(step.error());
        std::sort(plan_.excluded.begin(), plan_.excluded.end(),
                  [](const auto& a, const auto& b) { return a.candidate < b.candidate; });
        return std::move(plan_);
    }

private:
    const md_superblock& superblock(size_t i) const { return *candidates_[i].superblock; }

    void exclude(size_t i, exclusion why, std::string reason) {
        plan_.excluded.push_back({i, candidates_[i].path, why, std::move(reason)});
    }

    bool selected(const md_superblock& sb) const {
        return (!options_.set_uuid || *options_.set_uuid == sb.set_uuid) &&
               (!options_.name || name_matches(sb.set_name, *options_.name));
    }

    // Rule 1: fills group_ with the devices of one set.
    Status choose_set() {
        for (size_t i = 0; i < candidates_.size(); i++) {
            if (!candidates_[i].superblock)
                exclude(i, exclusion::unreadable, describe(candidates_[i].superblock.error()));
            else if (!selected(superblock(i)))
                exclude(i, exclusion::foreign,
                        fmt::format("belongs to array {} '{}'", to_string(superblock(i).set_uuid),
                                    superblock(i).set_name));
            else
                group_.push_back(i);
        }
        if (group_.empty())
            return with_hint(fail(ENODEV, "no device carries the array"), excluded_text());
        for (const size_t i : group_) {
            if (superblock(i).set_uuid != superblock(group_[0]).set_uuid)
                return with_hint(fail(EINVAL, "{} and {} belong to different arrays",
                                      candidates_[group_[0]].path, candidates_[i].path),
                                 fmt::format("select one by its uuid: {} or {}",
                                             to_string(superblock(group_[0]).set_uuid),
                                             to_string(superblock(i).set_uuid)));
        }
        return {};
    }

    // Rule 4, before anybody's events are believed.
    Status check_copies() const {
        for (auto one = group_.begin(); one != group_.end(); ++one) {
            for (auto other = one + 1; other != group_.end(); ++other) {
                if (superblock(*one).device_uuid == superblock(*other).device_uuid)
                    return copies(candidates_[*one], candidates_[*other]);
            }
        }
        return {};
    }

    Status copies(const candidate& one, const candidate& other) const {
        if (!one.disk.empty() && one.disk == other.disk)
            return with_hint(
                fail(EEXIST, "{} and {} are two paths of one disk", one.path, other.path),
                "give one of them, or the multipath device above them");
        return duplicate(one.path, other.path,
                         "have the device uuid " + to_string(one.superblock->device_uuid));
    }

    // Rule 2. A spare's events say nothing: md does not update it on every change.
    Status find_freshest() {
        for (const size_t i : group_) {
            if (!is_position(superblock(i).role()))
                continue;
            if (!freshest_ || fresher(superblock(i), superblock(*freshest_)))
                freshest_ = i;
        }
        if (!freshest_)
            return with_hint(fail(ENODEV, "no device has a role in the array"),
                             "only spares, faulty or journal devices were given");
        return {};
    }

    bool same_facts(const md_superblock& sb) const {
        const md_superblock& fresh = superblock(*freshest_);
        if (!same_layout(sb, fresh) || sb.raid_disks != fresh.raid_disks || sb.size != fresh.size)
            return false;
        const auto numbers =
            static_cast<uint32_t>(std::max(sb.dev_roles.size(), fresh.dev_roles.size()));
        for (uint32_t number = 0; number < numbers; number++) {
            const uint16_t one = sb.role_of(number), other = fresh.role_of(number);
            if (one != other && (is_position(one) || is_position(other)))
                return false;
        }
        return true;
    }

    bool contradicts(size_t i) const {
        const md_superblock& sb = superblock(i);
        return sb.events == superblock(*freshest_).events && is_position(sb.role()) &&
               !same_facts(sb);
    }

    // Two freshest superblocks that differ: none can be believed over the other, unless
    // rule 7 tells them apart.
    Status check_agreement() {
        std::erase_if(group_, [this](size_t i) {
            const bool out = is_being_filled(superblock(i)) && contradicts(i);
            if (out)
                exclude(i, exclusion::bad_role,
                        "was being rebuilt, and the other members do not know of it");
            return out;
        });
        for (const size_t i : group_) {
            if (contradicts(i))
                return with_hint(
                    fail(EINVAL, "{} and {} are equally fresh and contradict each other",
                         candidates_[*freshest_].path, candidates_[i].path),
                    "compare them with mdadm --examine, and leave the wrong one out");
        }
        return {};
    }

    // Rule 3 and what the role says; nullopt when the device is left out. A
    // device that does not know of its role yet was never filled with its data.
    std::optional<uint32_t> position_of(size_t i) {
        const md_superblock& sb = superblock(i);
        const md_superblock& fresh = superblock(*freshest_);
        if (is_position(sb.role()) && too_old(sb.events, fresh.events)) {
            exclude(
                i, exclusion::stale,
                fmt::format("missed writes: {} events, the array has {}", sb.events, fresh.events));
            return std::nullopt;
        }
        if (!same_layout(sb, fresh)) {
            exclude(i, exclusion::mismatch, "level, layout or chunk differ from the array's");
            return std::nullopt;
        }
        const uint16_t role = is_position(sb.role()) ? fresh.role_of(sb.dev_number) : sb.role();
        if (role == role_spare)
            keep_spare(i);
        else if (role == role_faulty)
            exclude(i, exclusion::faulty, "was declared faulty by the other members");
        else if (role == role_journal)
            exclude(i, exclusion::journal, "is a journal device");
        else if (role >= fresh.raid_disks)
            exclude(i, exclusion::bad_role,
                    fmt::format("claims role {} of an array of {}", role, fresh.raid_disks));
        else if (role != sb.role())
            exclude(i, exclusion::bad_role,
                    fmt::format("holds the data of role {}, the array gives it role {}", sb.role(),
                                role));
        else
            return role;
        return std::nullopt;
    }

    void keep_spare(size_t i) {
        const md_superblock& fresh = superblock(*freshest_);
        const md_superblock& sb = superblock(i);
        // Both say so: one that lost its role may hold what somebody wants to look at.
        const bool agreed = sb.role() == role_spare && fresh.role_of(sb.dev_number) == role_spare;
        // Added while the other was not there: one number cannot have two roles.
        const bool twin = std::ranges::any_of(plan_.spares, [&](size_t other) {
            return superblock(other).dev_number == sb.dev_number;
        });
        if (agreed && !twin && !candidates_[i].unusable &&
            sb.data_offset + fresh.size <= candidates_[i].sectors)
            plan_.spares.push_back(i);
        else
            exclude(i, exclusion::spare, "is a spare that cannot be used");
    }

    bool fits(size_t i) {
        const md_superblock& sb = superblock(i);
        const uint64_t size = std::max(superblock(*freshest_).size, sb.data_size);
        if (sb.data_offset <= candidates_[i].sectors &&
            size <= candidates_[i].sectors - sb.data_offset &&
            superblock(*freshest_).size <= sb.data_size)
            return true;
        exclude(i, exclusion::too_small,
                fmt::format("has {} sectors, its data ends at {}", candidates_[i].sectors,
                            sb.data_offset + size));
        return false;
    }

    // What the member's superblock becomes with its next write.
    md_superblock refreshed(size_t i) const {
        md_superblock sb = with_facts(superblock(i), superblock(*freshest_));
        sb.resync_offset = plan_.clean ? resync_none : 0;
        return sb;
    }

    // Rule 4. Dirty if any of the freshest says so.
    Status seat_members() {
        const md_superblock& fresh = superblock(*freshest_);
        if (auto terms = check_servable(fresh); !terms)
            return forward_error(named(*freshest_, terms.error()));
        plan_.clean = std::all_of(group_.begin(), group_.end(), [&](size_t i) {
            return superblock(i).events != fresh.events || !is_position(superblock(i).role()) ||
                   superblock(i).clean();
        });
        plan_.members.resize(fresh.raid_disks);
        for (const size_t i : group_) {
            const auto position = position_of(i);
            if (!position || !fits(i))
                continue;
            if (superblock(i).has(feature_replacement)) {
                if (Status ok = hold_replacement(i, *position); !ok)
                    return ok;
                continue;
            }
            auto& seat = plan_.members[*position];
            if (seat)
                return duplicate(seat->path, candidates_[i].path,
                                 fmt::format("claim role {}", *position));
            seat = assembled_member{i, candidates_[i].path, refreshed(i)};
        }
        seat_replacement();
        return {};
    }

    Status hold_replacement(size_t i, uint32_t role) {
        if (superblock(*freshest_).raid_disks == RR_MEMBERS_MAX)
            return with_hint(fail(ENOTSUP, "array has a member that is being replaced"),
                             "of so many members md alone can do that: mdadm --wait");
        if (plan_.replacement)
            return with_hint(fail(ENOTSUP, "{} and {} both replace a member",
                                  plan_.replacement->device.path, candidates_[i].path),
                             "leave one of them out, or let md end it: mdadm --wait");
        const md_superblock& own = superblock(i);
        const uint64_t size = superblock(*freshest_).size;
        plan_.replacement = replacing_member{
            role, is_being_filled(own) ? std::min(own.recovery_offset, size) : size,
            assembled_member{i, candidates_[i].path, refreshed(i)}};
        return {};
    }

    // The member is not here: its place is that of the replacement, as far as it came.
    void seat_replacement() {
        if (!plan_.replacement || plan_.members[plan_.replacement->role])
            return;
        assembled_member& device = plan_.replacement->device;
        device.superblock.feature_map &= ~uint32_t{feature_replacement};
        if (is_being_filled(device.superblock))
            plan_.late.push_back(plan_.replacement->role);
        plan_.members[plan_.replacement->role] = std::move(device);
        plan_.replacement.reset();
    }

    void settle_replacement() {
        if (!plan_.replacement)
            return;
        replacing_member& replacement = *plan_.replacement;
        const size_t i = replacement.device.candidate;
        if (const auto why = why_no_replacement(i)) {
            exclude(i, exclusion::spare,
                    fmt::format("was to replace member {}: {}", replacement.role, *why));
            return plan_.replacement.reset();
        }
        if (plan_.needs_resync)
            replacement.sectors = replacement.device.superblock.recovery_offset = 0;
    }

    std::optional<std::string> why_no_replacement(size_t i) {
        if (plan_.degraded())
            return "the array is degraded, and can have it as a spare";
        if (candidates_[i].unusable)
            return describe(*candidates_[i].unusable);
        auto terms = check_servable(superblock(i));
        if (!terms)
            return describe(terms.error());
        plan_.features_to_clear |= terms->features_to_clear;
        return std::nullopt;
    }

    static Status duplicate(const std::string& one, const std::string& other,
                            const std::string& what) {
        return with_hint(fail(EEXIST, "{} and {} both {}", one, other, what),
                         "one is a copy of the other: leave the copy out");
    }

    static Error named(const std::string& path, Error error) {
        error.what = path + ": " + error.what;
        return error;
    }
    Error named(size_t i, Error error) const {
        return named(candidates_[i].path, std::move(error));
    }

    Status check_members() {
        for (uint32_t role = 0; role < plan_.members.size(); role++) {
            const auto& member = plan_.members[role];
            if (!member) {
                plan_.missing.push_back(role);
                if (is_active(role))
                    plan_.late.push_back(role);
                continue;
            }
            if (const md_superblock& own = superblock(member->candidate); is_being_filled(own)) {
                plan_.missing.push_back(role);
                plan_.rebuilding = rebuilding_member{
                    role, std::min(own.recovery_offset, superblock(*freshest_).size),
                    (own.feature_map & feature_recovery_bitmap) != 0};
            }
            if (const auto& why = candidates_[member->candidate].unusable)
                return forward_error(*why);
            const auto terms = check_servable(superblock(member->candidate));
            if (!terms)
                return forward_error(named(member->path, terms.error()));
            plan_.features_to_clear |= terms->features_to_clear;
        }
        return {};
    }

    // True when the freshest superblock counts on a device in @role.
    bool is_active(uint32_t role) const {
        const auto& roles = superblock(*freshest_).dev_roles;
        return std::find(roles.begin(), roles.end(), role) != roles.end();
    }

    std::string missing_text() const {
        std::string roles;
        for (const uint32_t role : plan_.missing)
            roles += fmt::format("{}{}", roles.empty() ? "" : ", ", role);
        return roles;
    }

    std::string excluded_text() const {
        std::string text;
        for (const auto& device : plan_.excluded)
            text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", device.path, device.reason);
        return text;
    }

    std::string late_hint() const {
        const std::string known = excluded_text();
        return fmt::format(
            "add that member, or start without it: --degraded; it is then out of "
            "the array{}{}",
            known.empty() ? "" : ". ", known);
    }

    // Rules 5 and 6, and the plan's facts.
    Status check_completeness() {
        const md_superblock& fresh = superblock(*freshest_);
        if (plan_.missing.size() > 1)
            return with_hint(fail(ENODEV, "{} of {} members are missing: roles {}",
                                  plan_.missing.size(), fresh.raid_disks, missing_text()),
                             excluded_text());
        plan_.has_ppl = (fresh.feature_map & ppl_features) != 0;
        // Not clean and not 0: nothing was in flight, and a resync had come so far.
        plan_.resync_from = fresh.size;
        for (const size_t i : group_) {
            const md_superblock& sb = superblock(i);
            if (sb.events == fresh.events && is_position(sb.role()))
                plan_.resync_from = std::min(plan_.resync_from, sb.resync_offset);
        }
        // A log has nothing of rows whose parity was never made.
        const bool logged = plan_.has_ppl && plan_.resync_from == 0;
        const bool unsafe = !plan_.clean && plan_.degraded() && !logged;
        if (unsafe && !options_.force)
            return with_hint(
                fail(EUCLEAN, "array was not stopped cleanly and role {} is missing",
                     missing_text()),
                "add the missing member, or force: blocks of the missing member in stripes "
                "that were being written may then read wrong");
        if (!plan_.late.empty() && !options_.degraded && !options_.force)
            return with_hint(
                fail(EAGAIN, "role {} of {} is missing, and the other members count on it",
                     missing_text(), fresh.raid_disks),
                late_hint());
        plan_.geometry = {fresh.raid_disks,
                          static_cast<uint32_t>(std::countr_zero(fresh.chunk_sectors)),
                          fresh.layout};
        plan_.set_uuid = fresh.set_uuid;
        plan_.name = fresh.set_name;
        plan_.member_sectors = fresh.size;
        plan_.array_sectors = fresh.size * (fresh.raid_disks - 1);
        plan_.events = fresh.events;
        plan_.logical_block_bytes = fresh.logical_block_size;
        plan_.needs_resync = !plan_.clean && !plan_.degraded();
        plan_.forced = unsafe;
        return {};
    }

    const std::vector<candidate>& candidates_;
    const assembly_options& options_;
    std::vector<size_t> group_;  // candidates of the chosen set
    std::optional<size_t> freshest_;
    assembly_plan plan_;
};

}  // namespace

Result<assembly_plan> plan_assembly(const std::vector<candidate>& candidates,
                                    const assembly_options& options) {
    return planner(candidates, options).run();
}

const char* to_string(exclusion why) {
    switch (why) {
        case exclusion::unreadable:
            return "unreadable";
        case exclusion::foreign:
            return "foreign";
        case exclusion::stale:
            return "stale";
        case exclusion::spare:
            return "spare";
        case exclusion::faulty:
            return "faulty";
        case exclusion::journal:
            return "journal";
        case exclusion::bad_role:
            return "bad_role";
        case exclusion::too_small:
            return "too_small";
        case exclusion::mismatch:
            return "mismatch";
    }
    return "unknown";
}

}  // namespace rr::md
