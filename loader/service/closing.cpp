// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/closing.h"

#include <cerrno>

#include "base/io.h"
#include "base/log.h"
#include "service/heritage.h"
#include "service/report.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

// Redo straight to the members: nothing else has them open.
class member_io : public redo_io {
public:
    explicit member_io(std::vector<int> fds) : fds_(std::move(fds)) {}

    int write(uint32_t role, uint64_t position, std::span<const std::byte> data) override {
        std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(data.data()), data.size());
        Status ok = fds_[role] < 0 ? Status(fail(ENODEV, "missing"))
                                   : write_exact(fds_[role], bytes, position);
        return ok ? 0 : ok.error().err;
    }

    int flush(uint32_t role) override {
        Status ok = fds_[role] < 0 ? Status(fail(ENODEV, "missing")) : sync_data(fds_[role]);
        return ok ? 0 : ok.error().err;
    }

private:
    std::vector<int> fds_;
};

bool is_out(const rr_array& array, uint32_t role) {
    return rr_state_is_out(array.state, role) != 0;
}

bool is_replacing(const rr_array& array) {
    return (array.state & RR_STATE_REPLACE) != 0;
}

// The failures so far, durable on the others; those that cannot be written to fail, too.
Status record_failures(rr_array& array, md::array_metadata& metadata,
                       const array_members& members) {
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        if (!is_out(array, role) || !metadata.member(role))
            continue;
        auto written = metadata.mark_failed(role);
        if (!written)
            return forward_error(written.error());
        for (const md::member_write_error& lost : written->failed)
            lose_member(array, members, lost.role, lost.error);
    }
    if (!lost_replacement(array, metadata))
        return {};
    auto written = metadata.end_replacement(true);
    if (!written)
        return forward_error(written.error());
    for (const md::member_write_error& lost : written->failed)
        lose_member(array, members, lost.role, lost.error);
    return {};
}

}  // namespace

bool lost_replacement(const rr_array& array, const md::array_metadata& metadata) {
    return metadata.replacement() && !is_replacing(array) &&
           array.members[array.geometry.members].error != 0;
}

// At most one role: a second failure is not recorded (decision 0005).
void failures_so_far::restore(rr_array& array, const md::array_metadata* metadata) const {
    uint64_t state = state_;
    for (uint32_t role = 0; role < array.geometry.members; role++) {
        if ((state & RR_STATE_MISSING) == 0 && is_out(array, role) && metadata != nullptr &&
            metadata->has_written() && !metadata->member(role))
            state = (state | uint64_t{1} << role) + (uint64_t{1} << RR_STATE_EPOCH_SHIFT);
    }
    // What was being rebuilt, too.
    for (uint32_t role = 0; role < array.geometry.members; role++) {
        if ((state & RR_STATE_REBUILD) != 0 && (state >> role & 1) != 0 && metadata != nullptr &&
            metadata->has_written() && !metadata->member(role))
            state = (state & ~RR_STATE_REBUILD) + (uint64_t{1} << RR_STATE_EPOCH_SHIFT);
    }
    // A replacement that was given up meanwhile stays so.
    if (!is_replacing(array) && (state & RR_STATE_REPLACE) != 0 && metadata != nullptr &&
        metadata->has_written() && !metadata->replacement())
        state = (state & ~RR_STATE_REPLACE) + (uint64_t{1} << RR_STATE_EPOCH_SHIFT);
    for (uint32_t role = 0; role < array.geometry.members; role++) {
        if ((state >> role & 1) == 0)
            array.members[role].error = 0;
    }
    if ((state & RR_STATE_REPLACE) != 0)
        array.members[array.geometry.members].error = 0;
    __atomic_store_n(&array.state, state, __ATOMIC_SEQ_CST);
}

Status failures_so_far::bearable(const rr_array& array) const {
    if ((state_ & RR_STATE_BROKEN) != 0 || health_of(&array) != array_health::failed)
        return {};
    return with_hint(
        fail(EIO, "two members are missing or take no writes"),
        "nothing is lost so far. Look at the kernel log, mend the disks and try again");
}

void lose_member(rr_array& array, const array_members& members, uint32_t role, const Error& why) {
    // Before it is told: nobody may read the log, and then that waits.
    rr_host_fail(&array, role, -(why.err != 0 ? why.err : EIO));
    const member_device* device = members.device(role);
    const std::string path = device != nullptr ? device->path : "";
    log_error("member {} ({}) cannot be flushed or written: {}; it is out", role, path,
              describe(why));
}

Status try_members(rr_array& array, const array_members& members) {
    if (health_of(&array) == array_health::failed)
        return {};
    const failures_so_far before(array);
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        if (!members.devices[role] || is_out(array, role))
            continue;
        Status taken = md::write_superblock(members.devices[role]->fd.get(), members.found[role]);
        if (!taken)
            lose_member(array, members, role, taken.error());
    }
    return before.bearable(array);
}

void lose_unwritten(rr_array& array, const md::update_report& report) {
    for (const md::member_write_error& lost : report.failed) {
        rr_host_fail(&array, lost.role, -lost.error.err);
        log_error("member {} cannot be written: {}", lost.role, describe(lost.error));
    }
}

bool flush_member(rr_array& array, const array_members& members, uint32_t role) {
    Status ok = sync_data(members.device(role)->fd.get());
    if (!ok)
        lose_member(array, members, role, ok.error());
    return static_cast<bool>(ok);
}

void flush_members(rr_array& array, const array_members& members) {
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        if (members.devices[role] && !is_out(array, role))
            (void)flush_member(array, members, role);
    }
    if (members.replacement && is_replacing(array))
        (void)flush_member(array, members, members.replacement_index());
}

Status close_array(rr_array& array, md::array_metadata& metadata, const array_members& members) {
    flush_members(array, members);
    if ((array.state & RR_STATE_RESYNC) != 0)
        metadata.resync_reached(array.job.frontier << (array.cell_shift - RR_SECTOR_SHIFT));
    // A round for each member that may fail in it; the second one ends it.
    for (;;) {
        if (health_of(&array) == array_health::failed)
            return with_hint(fail(EIO, "two members failed: the array is left dirty"),
                             "look at the kernel log");
        if (Status ok = record_failures(array, metadata, members); !ok)
            return ok;
        if (health_of(&array) == array_health::failed)
            continue;
        auto written = metadata.mark_clean();
        if (!written)
            return forward_error(written.error());
        if (written->complete())
            return {};
        for (const md::member_write_error& lost : written->failed)
            lose_member(array, members, lost.role, lost.error);
    }
}

Result<redo_report> redo_on(std::span<std::byte> arena, const array_members& members) {
    member_io io(members.fds());
    auto redone = redo_writes(arena, io);
    if (redone)
        log_info("wrote {} rows again that were being written", redone->slots);
    return redone;
}

void take_out_as_left(array_members& members, const rr_array& array) {
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        if (is_out(array, role) && members.devices[role]) {
            members.plan.members[role].reset();
            members.plan.missing.push_back(role);
            members.devices[role].reset();
        }
    }
    if (members.replacement && ((array.state & (RR_STATE_MISSING | RR_STATE_BROKEN)) != 0 ||
                                array.members[members.replacement_index()].error != 0))
        members.replacement.reset();
}

void take_as_left(array_members& members, rr_array& array, rr_life& life) {
    if (has_replaced(array, life, members))
        end_replaced(array, life, members);
    take_out_as_left(members, array);
    if (is_replacing(array) && !members.replacement)
        rr_host_fail(&array, members.replacement_index(), -ENODEV);
}

md::events_witness life_witness(rr_life& life) {
    return {[&life](uint64_t events, uint64_t utime) { life_begins_write(life, events, utime); },
            [&life](uint64_t events, uint64_t utime) { life_wrote(life, events, utime); }};
}

void drop_caches_of(const array_members& members) {
    for (uint32_t i = 0; i <= members.replacement_index(); i++) {
        if (const member_device* device = members.device(i))
            drop_page_cache(device->fd.get(), device->path);
    }
}

}  // namespace rr
