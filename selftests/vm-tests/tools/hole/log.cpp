// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/bytes.h"

namespace rr::hole {
namespace {

// Discards and marks have no data in the log.
bool has_data(uint64_t flags) {
    return (flags & (log_discard | log_mark)) == 0;
}

}  // namespace

write_log::write_log(const std::string& path) : fd_(open_device(path, O_RDONLY)) {
    const auto size = static_cast<size_t>(::lseek(fd_.get(), 0, SEEK_END));
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (at == MAP_FAILED)
        die(path + ": cannot be mapped");
    const std::span<const uint8_t> all(static_cast<const uint8_t*>(at), size);
    if (load_le<uint64_t>(all, 0) != 0x6a736677736872ULL)
        die(path + " is no log of writes");
    const auto count = load_le<uint64_t>(all, 16);
    const uint64_t unit = load_le<uint32_t>(all, 24);
    uint64_t next = unit;
    for (uint64_t i = 0; i < count; i++) {
        const auto head = all.subspan(next, unit);
        const log_entry e{load_le<uint64_t>(head, 0) * unit / 512,
                          load_le<uint64_t>(head, 8) * unit / 512, load_le<uint64_t>(head, 16),
                          all.data() + next + unit};
        const auto length = load_le<uint64_t>(head, 24);
        if ((e.flags & log_mark) != 0 &&
            std::string(reinterpret_cast<const char*>(head.data()) + 32, length) == "begin")
            begin_ = i + 1;
        next += unit + (has_data(e.flags) ? e.sectors * 512 : 0);
        entries_.push_back(e);
    }
    if (begin_ == 0)
        die(path + " has no mark");
}

image::image(const settings& set) : set_(set), notes_(set.threads * block_bytes, 0) {
    for (uint32_t i = 0; i < set.members; i++) {
        fds_.emplace_back(::memfd_create("member", MFD_CLOEXEC));
        if (!fds_.back() || ::ftruncate(fds_.back().get(), static_cast<off_t>(bytes())) != 0)
            die("no memory for a member");
        at_.push_back(static_cast<uint8_t*>(
            ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fds_.back().get(), 0)));
    }
}

void image::copy(const image& other) {
    for (uint32_t m = 0; m < set_.members; m++)
        std::memcpy(at_[m], other.at_[m], bytes());
    notes_ = other.notes_;
}

void image::apply_sector(const log_entry& e, uint64_t s) {
    const uint64_t m = (e.sector + s) / set_.member_sectors;
    const uint64_t at = (e.sector + s) % set_.member_sectors * 512;
    if (m >= set_.members && at + 512 > notes_.size())
        return;
    uint8_t* to = m < set_.members ? at_[m] + at : notes_.data() + at;
    if ((e.flags & log_discard) != 0)
        std::memset(to, 0, 512);
    else
        std::memcpy(to, e.data + s * 512, 512);
}

template <typename Chosen>
void image::apply(const log_entry& e, const Chosen& chosen) {
    for (uint64_t s = 0; s < e.sectors && (e.flags & log_mark) == 0; s++) {
        if (chosen(s))
            apply_sector(e, s);
    }
}

void image::apply(const log_entry& e) {
    apply(e, [](uint64_t) { return true; });
}

crash_maker::crash_maker(const settings& set, const write_log& log)
    : set_(set), log_(log), flushed_(set) {}

bool crash_maker::makes_durable(const log_entry& e) const {
    return set_.through || (e.flags & log_flush) != 0;
}

void crash_maker::make(size_t cut, image& out) {
    const auto& all = log_.entries();
    for (size_t i = flushed_at_; i < cut; i++) {
        if (!makes_durable(all[i]))
            continue;
        for (; flushed_at_ <= i; flushed_at_++)
            flushed_.apply(all[flushed_at_]);
    }
    out.copy(flushed_);
    const uint64_t r = mix(set_.seed ^ mix(cut + 77));
    const bool lost_cache = r % 3 == 0;
    for (size_t i = flushed_at_; i < cut; i++) {
        const bool lost = lost_cache && (all[i].flags & log_fua) == 0 && mix(r + i) % 2 == 0;
        if (!lost)
            out.apply(all[i]);
    }
    if (cut < all.size() && r / 3 % 2 == 0)
        out.apply(all[cut], [r](uint64_t s) { return mix(r ^ mix(s)) % 2 == 0; });
}

std::vector<size_t> choose_cuts(const settings& set, const write_log& log, size_t count) {
    const size_t all = log.entries().size() - log.begin();
    if (count >= all)
        count = all;
    std::set<size_t> out;
    for (size_t i = 0; i < count / 3; i++)
        out.insert(log.begin() + (i + 1) * all / (count / 3));
    std::vector<size_t> behind;
    for (size_t i = log.begin(); i < log.entries().size(); i++) {
        if ((log.entries()[i].flags & (log_flush | log_fua)) != 0)
            behind.push_back(i + 1);
    }
    for (uint64_t i = 0; i < count / 3 && !behind.empty(); i++)
        out.insert(behind[mix(set.seed ^ mix(i + 1000)) % behind.size()]);
    for (uint64_t i = 0; out.size() < count; i++)
        out.insert(log.begin() + mix(set.seed ^ mix(i)) % all + 1);
    return {out.begin(), out.end()};
}

}  // namespace rr::hole
