// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The array's bitmap on its members: where bitmap.h's pages go; and `ringraid set` of it
// while the array serves.
//
//   a new one    all bits, on all members; queues heed the regions, all of which are set;
//                superblocks. What is idle is taken back from there on
//   none         superblocks; then no queue asks any more. Between the two a crash
//                costs a resync of everything, as without
//
// Commands come from the main thread; the metadata's thread does it (durability.h).
#include <cerrno>

#include "base/log.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/report.h"

namespace rr {
namespace {

md::md_superblock with_bitmap(md::md_superblock sb) {
    (void)md::change_consistency(sb, md::consistency::bitmap);
    return sb;
}

}  // namespace

void array_service::make_bitmap() {
    if (!members_.bitmap)
        return;
    array_bitmap::needs how;
    how.write = [this](const md::bitmap& image, std::span<const uint32_t> pages) {
        write_bitmap(image, pages);
    };
    how.flush = [this] { flush_all(); };
    how.wake = [this] { durability_->wake_queues(); };
    std::lock_guard hold(parts_lock_);
    bitmap_.emplace(array(), std::move(*members_.bitmap), std::move(how));
    members_.bitmap.reset();
}

// What is being rebuilt has its copy, too. Another host may have been found to have them while
// the one before was insisted on; and where that host has stopped since, nothing is reserved
// that would refuse this.
void array_service::write_bitmap(const md::bitmap& image, std::span<const uint32_t> pages) {
    for (uint32_t role = 0; role < members_.devices.size() && !fenced_; role++) {
        const auto& member = members_.plan.members[role];
        if (!members_.devices[role] || !member || rr_state_is_out(array()->state, role) != 0)
            continue;
        Status ok = durability_->insist(role, [&] {
            return md::write_bitmap(members_.devices[role]->fd.get(), member->superblock, image,
                                    pages);
        });
        if (!ok)
            lose_member(*array(), members_, role, ok.error());
    }
}

// The bitmap has the events first: superblocks that are ahead of it say that it is old.
md::events_witness array_service::witness() {
    if (!arena_)
        return {};
    md::events_witness both = life_witness(*life_record());
    both.begin = [this, begin = both.begin](uint64_t events, uint64_t utime) {
        if (begin)
            begin(events, utime);
        if (bitmap_)
            bitmap_->before_events(events);
    };
    return both;
}

// Where there is room on every member. Errors as of choose_bitmap_chunk().
Result<uint32_t> array_service::choose_chunk(uint64_t wanted_sectors) const {
    uint64_t room = ~uint64_t{0};
    for (const auto& member : members_.plan.members) {
        if (member)
            room = std::min(room, md::bitmap_room(with_bitmap(member->superblock)));
    }
    return md::choose_bitmap_chunk(array()->member_sectors, room, wanted_sectors);
}

// In the metadata's thread, or before there is one.
Status array_service::put_bitmap(uint32_t chunk_sectors) {
    name_in_plan(md::consistency::bitmap);
    members_.bitmap.emplace(set_uuid_, array()->member_sectors, chunk_sectors, true);
    make_bitmap();
    const md::bitmap& image = bitmap_->image();
    write_bitmap(image, image.all_pages());
    // Who has none is out before any superblock tells of one.
    durability_->settle();
    bitmap_->begin(false, 0);
    auto written = metadata_->set_consistency(md::consistency::bitmap);
    if (!written)
        return forward_error(written.error());
    lose_unwritten(*array(), *written);
    return {};
}

Status array_service::add_bitmap(uint32_t chunk_sectors) {
    Status done;
    durability_->run([&] {
        done = put_bitmap(chunk_sectors);
        if (bitmap_)
            durability_->use_bitmap(&*bitmap_);
    });
    return done;
}

Status array_service::drop_bitmap() {
    Status done;
    durability_->run([&] {
        auto written = metadata_->set_consistency(md::consistency::resync);
        if (!written) {
            done = forward_error(written.error());
            return;
        }
        lose_unwritten(*array(), *written);
        __atomic_store_n(&array()->regions_on, 0U, __ATOMIC_SEQ_CST);
        durability_->use_bitmap(nullptr);
        // What waits for a region waits no more.
        durability_->wake_queues();
        name_in_plan(md::consistency::resync);
        std::lock_guard hold(parts_lock_);
        bitmap_.reset();
    });
    return done;
}

Result<nlohmann::json> array_service::change_bitmap(const nlohmann::json& request) {
    auto kind = request.find("kind");
    auto size = request.find("chunk_bytes");
    const bool wanted = kind == request.end() || *kind != "none";
    const uint64_t chunk = size != request.end() && size->is_number_unsigned()
                               ? size->get<uint64_t>() >> RR_SECTOR_SHIFT
                               : 0;
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    if ((state & (RR_STATE_REBUILD | RR_STATE_RESYNC)) != 0)
        return with_hint(fail(EBUSY, "what is under way goes by the bitmap, or will be in it"),
                         "wait for it: ringraid wait");
    // Bits are all that says what a member that is away has missed.
    if ((state & RR_STATE_MISSING) != 0)
        return with_hint(fail(EBUSY, "a member is missing"), "add a device first: ringraid add");
    // Before the one that there is goes.
    auto sectors = wanted ? choose_chunk(chunk) : 0U;
    if (!sectors)
        return forward_error(sectors.error());
    Status done;
    if (bitmap_)
        done = drop_bitmap();
    if (done && array()->log_roles != 0)
        done = drop_log();
    if (done && wanted)
        done = add_bitmap(*sectors);
    if (!done)
        return forward_error(done.error());
    return nlohmann::json{{"schema", json_schema}, {"ok", true}};
}

}  // namespace rr
