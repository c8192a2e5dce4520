// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/bitmap.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "engine/words.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr std::chrono::milliseconds wait_for_era(20);
constexpr uint64_t sectors_to_bytes = 512;

}  // namespace

array_bitmap::array_bitmap(rr_array* array, md::bitmap image, needs how)
    : array_(array), image_(std::move(image)), how_(std::move(how)), set_bits_(image_.count()) {}

rr_u32& array_bitmap::word(uint64_t region) const {
    auto* words =
        reinterpret_cast<rr_u32*>(reinterpret_cast<char*>(array_) + array_->regions_offset);
    return words[region];
}

uint64_t array_bitmap::region_sectors() const {
    return uint64_t{1} << (array_->region_shift + array_->geometry.chunk_shift);
}

std::pair<uint64_t, uint64_t> array_bitmap::sectors_of(uint64_t region) const {
    return {region * region_sectors(),
            std::min<uint64_t>((region + 1) * region_sectors(), array_->member_sectors)};
}

// The last region's end is the member's.
uint64_t array_bitmap::cell_of(uint64_t region) const {
    return std::min<uint64_t>(region * region_sectors(), array_->member_sectors) >>
           (array_->cell_shift - RR_SECTOR_SHIFT);
}

// Queues change words, too.
void array_bitmap::change(uint64_t region, uint32_t clear, uint32_t set) {
    rr_u32 seen = load(word(region));
    while (!__atomic_compare_exchange_n(&word(region), &seen, (seen & ~clear) | set, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
}

void array_bitmap::adopt() {
    for (uint64_t region = 0; region < array_->regions; region++) {
        const auto [from, to] = sectors_of(region);
        // And the other way round: where it may be written, all of its bits are there.
        if (image_.any(from, to) || (load(word(region)) & RR_REGION_SET) != 0) {
            image_.set(from, to);
            change(region, 0, RR_REGION_SET);
        }
    }
    write_changed();
    // What was asked for is granted again.
    __atomic_store_n(&array_->regions_asked, ~0ULL, __ATOMIC_SEQ_CST);
    __atomic_store_n(&array_->regions_on, 1U, __ATOMIC_SEQ_CST);
}

void array_bitmap::begin(bool needed, uint64_t sector) {
    for (uint64_t region = 0; region < array_->regions; region++) {
        const auto [from, to] = sectors_of(region);
        const bool set = image_.any(from, to);
        if (set)
            image_.set(from, to);
        const bool to_do = needed && set && to > sector;
        const uint32_t needs = to_do ? uint32_t{RR_REGION_NEEDED} : 0;
        change(region, ~0U, set ? RR_REGION_SET | needs : 0);
    }
    __atomic_store_n(&array_->regions_on, 1U, __ATOMIC_SEQ_CST);
}

// A count of bits is for people: it need not be of this moment.
void array_bitmap::write_changed() {
    const std::vector<uint32_t> pages = image_.take_changed();
    if (pages.empty())
        return;
    set_bits_ = image_.count();
    how_.write(image_, pages);
}

void array_bitmap::grant() {
    // As below: it would be for nothing.
    if (!failures_are_durable())
        return;
    const uint64_t asked = __atomic_exchange_n(&array_->regions_asked, 0, __ATOMIC_SEQ_CST);
    if (asked == 0)
        return;
    std::vector<uint64_t> found;
    for (uint64_t region = 0; region < array_->regions; region++) {
        const uint64_t block = region * RR_REGION_BLOCKS / array_->regions;
        if ((asked >> block & 1) == 0 || (load(word(region)) & RR_REGION_ASKED) == 0)
            continue;
        const auto [from, to] = sectors_of(region);
        image_.set(from, to);
        found.push_back(region);
    }
    write_changed();
    // One that could not be written lacks a bit, and looks current until the others say that
    // it is out. md believes the first copy that it finds.
    if (!failures_are_durable()) {
        __atomic_or_fetch(&array_->regions_asked, asked, __ATOMIC_SEQ_CST);
        return;
    }
    for (const uint64_t region : found)
        change(region, RR_REGION_ASKED, RR_REGION_SET | RR_REGION_TOUCHED);
    if (!found.empty())
        how_.wake();
}

bool array_bitmap::failures_are_durable() const {
    return load(array_->state) >> RR_STATE_EPOCH_SHIFT == load(array_->durable_epoch);
}

// Failures that no superblock tells yet come first, and so does a resync of all rows.
bool array_bitmap::may_clear() const {
    const uint64_t state = load(array_->state);
    if ((state & RR_STATE_RESYNC) != 0 && load(array_->job.by_region) == 0)
        return false;
    return (state & (RR_STATE_MISSING | RR_STATE_BROKEN)) == 0 && failures_are_durable();
}

bool array_bitmap::old_era_is_over() const {
    const uint32_t era = load(array_->region_era);
    for (uint32_t i = 0; i < array_->queues; i++) {
        const rr_queue* q = rr_host_queue(array_, i);
        // The era first: writes of the old one were all counted before it.
        if (load(q->era) != era || load(q->writes_open[(era - 1) & 1]) != 0)
            return false;
    }
    return true;
}

void array_bitmap::look_for_idle() {
    for (uint64_t region = 0; region < array_->regions; region++) {
        rr_u32 seen = load(word(region));
        if ((seen & RR_REGION_SET) == 0 || (seen & RR_REGION_NEEDED) != 0)
            continue;
        const bool idle = (seen & RR_REGION_TOUCHED) == 0;
        const rr_u32 next = idle ? 0 : rr_u32{RR_REGION_SET};
        // Who writes meanwhile has it.
        if (__atomic_compare_exchange_n(&word(region), &seen, next, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST) &&
            idle)
            going_.push_back(region);
    }
    if (going_.empty())
        return;
    __atomic_add_fetch(&array_->region_era, 1, __ATOMIC_SEQ_CST);
    how_.wake();
}

// A bit that other regions share stays while one of them is set.
void array_bitmap::clear_bits_of(uint64_t region) {
    const uint64_t chunk = image_.chunk_sectors();
    const auto [from, to] = sectors_of(region);
    for (uint64_t bit = from / chunk; bit * chunk < to; bit++) {
        bool used = false;
        for (uint64_t other = bit * chunk / region_sectors();
             other < array_->regions && other * region_sectors() < (bit + 1) * chunk; other++)
            used = used || load(word(other)) != 0;
        if (!used)
            image_.clear(bit);
    }
}

// Their bits are there, so they may be written again.
void array_bitmap::keep_going_ones() {
    for (const uint64_t region : std::exchange(going_, {}))
        change(region, 0, RR_REGION_SET);
}

void array_bitmap::clear_idle(const md::array_metadata& metadata) {
    how_.flush();
    if (!may_clear())
        return keep_going_ones();
    std::vector<uint64_t> regions = std::exchange(going_, {});
    // What was set again meanwhile, or is asked for, has its bits.
    std::erase_if(regions, [this](uint64_t region) { return load(word(region)) != 0; });
    if (regions.empty())
        return;
    image_.set_events_cleared(metadata.events());
    write_changed();
    for (const uint64_t region : regions)
        clear_bits_of(region);
    write_changed();
}

void array_bitmap::look(const md::array_metadata& metadata, clock::time_point now) {
    grant();
    if (!going_.empty()) {
        if (old_era_is_over())
            clear_idle(metadata);
        return;
    }
    const auto sleep = how_.sleep.value_or(std::chrono::seconds(image_.daemon_sleep_seconds()));
    if (now - looked_ < sleep)
        return;
    looked_ = now;
    // One era at a time: of the one before the last nobody keeps count.
    if (may_clear() && old_era_is_over())
        look_for_idle();
}

std::chrono::milliseconds array_bitmap::wait() const {
    return going_.empty() ? std::chrono::milliseconds(1000) : wait_for_era;
}

void array_bitmap::before_events(uint64_t events) {
    image_.set_events(events);
    write_changed();
}

void array_bitmap::close(const md::array_metadata& metadata) {
    if (!may_clear())
        return;
    going_.clear();
    for (uint64_t region = 0; region < array_->regions; region++) {
        if ((load(word(region)) & RR_REGION_NEEDED) == 0) {
            change(region, ~0U, 0);
            going_.push_back(region);
        }
    }
    clear_idle(metadata);
}

std::optional<array_bitmap::run> array_bitmap::next_needed(uint64_t cell) const {
    uint64_t region = (cell << (array_->cell_shift - RR_SECTOR_SHIFT)) / region_sectors();
    while (region < array_->regions && (load(word(region)) & RR_REGION_NEEDED) == 0)
        region++;
    if (region >= array_->regions)
        return std::nullopt;
    const uint64_t begin = std::max(cell, cell_of(region));
    // The last region may end with the member, in its middle.
    if (begin >= cell_of(array_->regions))
        return std::nullopt;
    while (region < array_->regions && (load(word(region)) & RR_REGION_NEEDED) != 0)
        region++;
    return run{begin, cell_of(region)};
}

uint64_t array_bitmap::needed_cells(uint64_t from) const {
    uint64_t sum = 0;
    for (auto next = next_needed(from); next; next = next_needed(next->end))
        sum += next->end - next->begin;
    return sum;
}

void array_bitmap::done_up_to(uint64_t cell) {
    for (uint64_t region = 0; region < array_->regions && cell_of(region + 1) <= cell; region++) {
        if ((load(word(region)) & RR_REGION_NEEDED) != 0)
            change(region, RR_REGION_NEEDED, 0);
    }
}

void array_bitmap::need_all_set() {
    // Who saw them set may have written without the member. Their era goes on.
    for (const uint64_t region : going_)
        change(region, 0, RR_REGION_SET);
    for (uint64_t region = 0; region < array_->regions; region++) {
        const bool set = (load(word(region)) & (RR_REGION_SET | RR_REGION_ASKED)) != 0;
        if (set)
            change(region, 0, RR_REGION_NEEDED);
        else
            change(region, RR_REGION_NEEDED, 0);
    }
}

void array_bitmap::need_nothing() {
    for (uint64_t region = 0; region < array_->regions; region++)
        change(region, RR_REGION_NEEDED, 0);
}

void give_up_regions(rr_array& array) {
    array.regions_on = 0;
    if (array.job.by_region == 0)
        return;
    array.job.by_region = 0;
    array.job.end = array.job.limit = array.member_sectors >> (array.cell_shift - RR_SECTOR_SHIFT);
}

nlohmann::json array_bitmap::status() const {
    return {{"chunk_bytes", image_.chunk_sectors() * sectors_to_bytes},
            {"region_bytes", region_sectors() * sectors_to_bytes},
            {"bits", image_.bits()},
            {"set_bits", set_bits_.load()}};
}

}  // namespace rr
