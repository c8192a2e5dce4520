// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The write-intent bitmap: the control plane's own class, on simulated members.
//
// Its words are touched under interleave.h, so queues have their turns between any two
// of them, and while pages are written and members flushed. It may die there: a death is
// thrown, through array_bitmap, to world::mortally(), and is a kill or a power cut.
//
// Superblocks have their events here, so that copies of the bitmap can be judged by
// them; all members in use get them at once, after the bitmap has them.
#include "bitmap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "base/fd.h"
#include "check.h"
#include "world.h"

namespace rr::sim {
namespace {

constexpr size_t sector = 512;
constexpr size_t header_bytes = 256;
// Behind the superblock.
constexpr int32_t place = 8;
constexpr md::uuid name = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
// Later than any clock: how often it looks is by the schedule's time alone.
constexpr array_bitmap::clock::time_point long_ago{std::chrono::hours(1000000)};

md::md_superblock superblock_of(const schedule& s, size_t bitmap_bytes, uint64_t events) {
    md::md_superblock sb;
    sb.set_uuid = name;
    sb.size = s.config.member_sectors;
    sb.events = events;
    sb.log_place = place;
    sb.data_offset = md::sb_sector + place + bitmap_bytes / sector;
    return sb;
}

}  // namespace

void bitmap_disk::format(const md::bitmap& image) {
    now_.assign(size_t{image.pages()} * md::bitmap::page_bytes, 0);
    stable_ = now_;
    dirty_.clear();
    for (uint32_t page = 0; page < image.pages(); page++)
        write(image, page);
    flush();
}

void bitmap_disk::write(const md::bitmap& image, uint32_t page) {
    const auto from = image.page(page);
    const size_t at = size_t{page} * md::bitmap::page_bytes;
    std::copy(from.begin(), from.end(), now_.begin() + static_cast<ptrdiff_t>(at));
    for (size_t i = 0; i < md::bitmap::page_bytes; i += sector)
        dirty_.push_back(static_cast<uint32_t>((at + i) / sector));
}

void bitmap_disk::flush() {
    for (const uint32_t i : dirty_)
        std::copy_n(now_.begin() + ptrdiff_t{i} * sector, sector,
                    stable_.begin() + ptrdiff_t{i} * sector);
    dirty_.clear();
}

void bitmap_disk::power_cut(rng& chance) {
    std::erase_if(dirty_, [&](uint32_t) { return chance.below(2) != 0; });
    flush();
    now_ = stable_;
}

bool bitmap_disk::holds(uint64_t bit) const {
    const size_t at = header_bytes + bit / 8;
    return at < stable_.size() && (stable_[at] >> bit % 8 & 1) != 0;
}

uint64_t world::bit_of(uint32_t row) const {
    const uint32_t chunk = plan.config.chunk_sectors;
    return (plan.stripe[row / chunk] * chunk + row % chunk) / plan.bitmap_chunk;
}

bool world::job_has_to(uint32_t row) const {
    if (cell_of(row) < arena->job.frontier)
        return false;
    const auto* words = reinterpret_cast<const rr_u32*>(memory_ + arena->regions_offset);
    return !arena->job.by_region ||
           (words[plan.stripe[stripe_of(row)] >> arena->region_shift] & RR_REGION_NEEDED) != 0;
}

// What the superblocks of all members in use say is @events.
void world::record_events(uint64_t events) {
    superblock_events_ = events;
    for (uint32_t role = 0; role < plan.config.members; role++)
        if (!(unwritten() >> role & 1))
            member_events_[role] = events;
    md::array_metadata::state state;
    state.members.emplace_back(superblock_of(plan, 0, events));
    metadata_.emplace(std::move(state),
                      [](uint32_t, const md::md_superblock&) { return Status(); });
}

// Of a new array, or one that was stopped: what was written last is set.
void world::format_bitmap() {
    bitmap_.reset();
    if (!plan.bitmap)
        return;
    md::bitmap image(name, plan.config.member_sectors, plan.bitmap_chunk, plan.resync);
    for (uint32_t n = chance_.below(4); n > 0; n--) {
        const uint64_t at = plan.stripe[chance_.below(plan.stripes)] * plan.config.chunk_sectors;
        image.set(at, at + plan.config.chunk_sectors);
    }
    image.set_events(1);
    image.set_events_cleared(1);
    (void)image.take_changed();
    for (uint32_t role = 0; role < plan.config.members; role++)
        bitmap_disks[role].format(image);
    member_events_.fill(1);
    may_return_ = ~plan.missing;
    record_events(1);
    make_bitmap(std::move(image));
    bitmap_->begin(plan.resync, 0);
    arena->job.by_region = plan.resync;
}

void world::make_bitmap(md::bitmap image) {
    array_bitmap::needs how;
    how.write = [this](const md::bitmap& now, std::span<const uint32_t> pages) {
        write_pages(now, pages);
    };
    how.flush = [this] { flush_members(); };
    how.wake = [this] {
        if (!parked_)
            wake_queues();
        at_risk(true);
    };
    how.sleep = std::chrono::milliseconds(plan.bitmap_sleep);
    bitmap_.emplace(arena, std::move(image), std::move(how));
}

// As find_bitmap() of loader/service/membership.h; of roles in @without nothing is read.
md::bitmap world::read_copies(uint32_t without) {
    std::vector<md::bitmap_copy> copies;
    uint64_t events = 0;
    for (uint32_t role = 0; role < plan.config.members; role++) {
        if (without >> role & 1)
            continue;
        const auto bytes = bitmap_disks[role].bytes();
        const md::md_superblock sb = superblock_of(plan, bytes.size(), member_events_[role]);
        const Fd file(::memfd_create("bitmap", MFD_CLOEXEC));
        if (::pwrite(file.get(), bytes.data(), bytes.size(),
                     static_cast<off_t>(md::bitmap_sector(sb) * sector)) !=
            static_cast<ssize_t>(bytes.size()))
            std::abort();
        auto copy = md::read_bitmap(file.get(), sb);
        if (copy)
            copies.push_back({role, std::move(*copy)});
        else
            wrong("the bitmap of role {} cannot be read: {}", role, copy.error().what);
        events = std::max(events, member_events_[role]);
    }
    superblock_events_ = std::max(superblock_events_, events);
    auto joined = md::join_bitmaps(std::move(copies), events);
    if (joined)
        return std::move(*joined);
    wrong("no copy of the bitmap is as new as the superblocks");
    return {name, plan.config.member_sectors, plan.bitmap_chunk, true};
}

// As a successor does.
void world::adopt_bitmap() {
    if (!plan.bitmap)
        return;
    bitmap_.reset();
    make_bitmap(read_copies(missing()));
    bitmap_->adopt();
    raise_events();
}

// After a power cut, in a new arena whose state says what is to be done, from its frontier.
void world::read_bitmap() {
    if (!plan.bitmap)
        return;
    bitmap_.reset();
    const bool by_region =
        rebuilding() ? superblock_by_region_ : (arena->state & RR_STATE_RESYNC) != 0;
    const uint64_t from = arena->job.frontier << (arena->cell_shift - RR_SECTOR_SHIFT);
    make_bitmap(read_copies(missing()));
    bitmap_->begin(by_region, from);
    arena->job.by_region = by_region;
    may_return_ = ~missing();
    if ((arena->state & RR_STATE_RESYNC) && !bitmap_->next_needed(0))
        arena->state &= ~RR_STATE_RESYNC;
    sum_->partial += by_region;
}

// The bitmap first, then the superblocks.
void world::raise_events() {
    if (!plan.bitmap)
        return;
    const uint64_t next = superblock_events_ + 1;
    control([&] { bitmap_->before_events(next); });
    record_events(next);
}

void world::look_at_bitmap() {
    // The thread that it has records failures first (service/durability.h).
    if ((arena->state >> RR_STATE_EPOCH_SHIFT) != arena->durable_epoch)
        return;
    // It has other things to do, too.
    if (!plan.bitmap || (plan.what != kind::prompt && chance_.below(4) == 0))
        return;
    control([&] { bitmap_->look(*metadata_, long_ago + std::chrono::milliseconds(now_)); });
}

// A write waits for its region, and nothing is to come that would set it.
bool world::region_waits() const {
    for (uint32_t q = 0; q < arena->queues; q++)
        if (rr_host_queue(arena, q)->region_wait.head != RR_NIL ||
            rr_host_queue(arena, q)->zero_held)
            return true;
    return false;
}

// Here the daemon, or the power, may end.
void world::at_risk(bool at_io) {
    if (!deaths_left_ || at_io != plan.death_at_io || depth_ > in_control())
        return;
    if (death_in_-- > 0)
        return;
    plan_death();
    deaths_left_--;
    throw death{plan.what == kind::power_cut};
}

void world::plan_death() {
    static constexpr uint32_t far[] = {10, 60, 200};
    death_in_ = chance_.below(far[chance_.below(std::size(far))] * (plan.death_at_io ? 1 : 40));
}

// Others have their turns while the control plane waits for members.
void world::others() {
    if (depth_ && !parked_ && !resting_)
        let_others(chance_.below(4));
}

void world::control_word() {
    at_risk(false);
    if (in_daemon())
        interleave();
}

void world::fail_in_control(uint32_t role) {
    say("role {} takes no bitmap or flush", role);
    rr_host_fail(arena, role, -EIO);
}

void world::write_pages(const md::bitmap& image, std::span<const uint32_t> pages) {
    if (verbose_)
        say("bitmap: {} pages, {} bits", pages.size(), image.count());
    check_cleared(image);
    for (uint32_t role = 0; role < plan.config.members; role++) {
        if (rr_state_is_out(arena->state, role))
            continue;
        at_risk(true);
        disk& d = disks[role];
        if (d.vanished || d.write_errors) {
            d.write_errors -= d.vanished ? 0 : 1;
            fail_in_control(role);
            continue;
        }
        for (const uint32_t page : pages)
            bitmap_disks[role].write(image, page);
        at_risk(true);
        others();
        bitmap_disks[role].flush();
    }
    at_risk(true);
    others();
}

void world::flush_members() {
    for (uint32_t role = 0; role < plan.config.members; role++) {
        if (rr_state_is_out(arena->state, role))
            continue;
        at_risk(true);
        disk& d = disks[role];
        if (d.vanished || d.flush_errors) {
            d.flush_errors -= d.vanished ? 0 : 1;
            fail_in_control(role);
            continue;
        }
        d.flush();
        others();
    }
    at_risk(true);
}

// What can still be lost, or is under way, keeps its bit.
void world::check_cleared(const md::bitmap& image) {
    if (broken())
        return;
    for (uint32_t i = 0; i < ios_used; i++)
        if (ios[i].live && ios[i].writer && !image.test(bit_of(ios[i].row)))
            return wrong("a bit is not set, and row {} of role {} is being written", ios[i].row,
                         ios[i].action.role);
    for (uint32_t role = 0; role < plan.config.members; role++) {
        if (unwritten() >> role & 1)
            continue;
        disks[role].each_dirty([&](uint32_t writer, uint32_t row) {
            if (writer && !image.test(bit_of(row)))
                wrong("a bit is not set, and role {} can still lose row {}", role, row);
        });
    }
}

// The array is stopped: nothing that is written is in danger.
void world::close_bitmap() {
    if (!plan.bitmap || broken())
        return;
    deaths_left_ = 0;
    const bool whole = !missing() && failures_are_recorded() && !(arena->state & RR_STATE_RESYNC);
    bitmap_->close(*metadata_);
    if (!whole || missing())
        return;
    for (uint32_t role = 0; role < plan.config.members; role++)
        for (uint64_t bit = 0; bit < bitmap_->image().bits(); bit++)
            if (bitmap_disks[role].holds(bit))
                return wrong("the array is stopped, and bit {} of role {} is set", bit, role);
}

}  // namespace rr::sim
