// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "load.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/bytes.h"
#include "base/io.h"

namespace rr::hole {
namespace {

constexpr uint64_t note_magic = 0x31544f4e454c4f48ULL;

// Sector @sector of the array in @version of its block.
void fill_sector(const settings& set, uint64_t sector, uint64_t version, uint8_t* to) {
    uint64_t state = mix(set.seed ^ mix(sector) ^ mix(version << 20));
    for (size_t i = 0; i < 512; i += 8) {
        state = mix(state);
        std::memcpy(to + i, &state, 8);
    }
    std::memcpy(to, &sector, 8);
    std::memcpy(to + 8, &version, 8);
}

bool is_version(const settings& set, uint64_t sector, uint64_t version, const uint8_t* bytes) {
    uint8_t want[512];
    fill_sector(set, sector, version, want);
    return std::memcmp(bytes, want, 512) == 0;
}

uint64_t note_sum(const settings& set, uint32_t thread, uint64_t number) {
    return mix(set.seed ^ mix(thread ^ mix(number)));
}

void store_note(uint8_t* to, const settings& set, uint32_t thread, uint64_t number) {
    const std::span<uint8_t> note(to, 512);
    std::ranges::fill(note, uint8_t{0});
    store_le(note, 0, note_magic);
    store_le(note, 8, set.seed);
    store_le(note, 16, uint64_t{thread});
    store_le(note, 24, number);
    store_le(note, 32, note_sum(set, thread, number));
}

// A note is one sector: none is torn, but another load's may be there.
uint64_t load_note(const uint8_t* from, const settings& set, uint32_t thread) {
    const std::span<const uint8_t> note(from, 512);
    const auto number = load_le<uint64_t>(note, 24);
    const bool holds = load_le<uint64_t>(note, 0) == note_magic &&
                       load_le<uint64_t>(note, 32) == note_sum(set, thread, number);
    return holds ? number : 0;
}

// Write @number of every thread is durable by a flush behind it.
bool is_flushed(const settings& set, uint64_t number) {
    return mix(set.seed + number) % 2 == 0;
}

}  // namespace

void die(const std::string& what) {
    std::printf("hole: %s\n", what.c_str());
    std::exit(1);
}

void must(const Status& ok, const std::string& what) {
    if (!ok)
        die(what + ": " + describe(ok.error()));
}

uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

Fd open_device(const std::string& path, int flags) {
    Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
    if (!fd)
        die(path + ": " + std::strerror(errno));
    return fd;
}

void take_blocks(settings& set, const Fd& fd) {
    const off_t end = ::lseek(fd.get(), 0, SEEK_END);
    set.blocks = static_cast<uint64_t>(end) / block_bytes;
}

plan_of_load::plan_of_load(const settings& set) : set_(set), of_(set.threads) {
    const uint64_t chunk = set.chunk_kib * 1024 / block_bytes;
    const uint64_t stripe = chunk * (set.members - 1);
    for (uint64_t s = 0; (s + 1) * stripe <= set.blocks; s++) {
        const uint64_t kind = mix(set.seed + s) % 3;
        if (kind == 0)
            give({s * stripe, stripe});
        for (uint64_t c = 0; kind != 0 && c + (kind == 2 ? 1 : 0) < set.members - 1; c++)
            give({s * stripe + c * chunk, chunk});
    }
}

extent plan_of_load::write(uint32_t thread, uint64_t number) const {
    const uint64_t r = mix(set_.seed ^ mix(thread + 1) ^ mix(number << 8));
    const auto& mine = of_[thread];
    const extent& in = mine[(r >> 8) % mine.size()];
    const uint64_t blocks = mix(r) % 4 == 0 ? in.blocks : mix(r + 1) % in.blocks + 1;
    return {in.first + mix(r + 2) % (in.blocks - blocks + 1), blocks};
}

void plan_of_load::give(const extent& e) {
    of_[mix(set_.seed ^ e.first) % of_.size()].push_back(e);
}

expected::expected(const settings& set)
    : set_(set), plan_(set), version_(set.blocks, 0), sure_(set.blocks, 0), done_(set.threads, 0) {}

void expected::advance(std::span<const uint8_t> notes) {
    under_way_.clear();
    for (uint32_t t = 0; t < set_.threads; t++) {
        const uint64_t now = load_note(notes.data() + t * block_bytes, set_, t);
        for (; done_[t] < now; done_[t]++) {
            for_each(t, done_[t], [&](uint64_t b) {
                version_[b] = done_[t] + 1;
                if (!is_flushed(set_, done_[t]))
                    sure_[b] = version_[b];
            });
        }
        if (now < set_.ops)
            for_each(t, now, [&](uint64_t b) { under_way_[b] = now + 1; });
    }
}

bool expected::right(uint64_t sector, const uint8_t* bytes) const {
    const uint64_t block = sector / 8;
    if (is_version(set_, sector, version_[block], bytes))
        return true;
    auto other = under_way_.find(block);
    return other != under_way_.end() && is_version(set_, sector, other->second, bytes);
}

bool expected::may_be_late(uint64_t block) const {
    return set_.flush_late && sure_[block] < version_[block];
}

bool expected::late(uint64_t sector, const uint8_t* bytes) const {
    const uint64_t block = sector / 8;
    const auto holds = load_le<uint64_t>({bytes, 512}, 8);
    return may_be_late(block) && holds >= sure_[block] && holds < version_[block] &&
           is_version(set_, sector, holds, bytes);
}

uint64_t expected::acknowledged() const {
    uint64_t sum = 0;
    for (const uint64_t n : done_)
        sum += n;
    return sum;
}

template <typename Do>
void expected::for_each(uint32_t thread, uint64_t number, const Do& what) const {
    const extent e = plan_.write(thread, number);
    for (uint64_t b = e.first; b < e.first + e.blocks; b++)
        what(b);
}

int fill(settings set, const std::string& device) {
    const Fd fd = open_device(device, O_RDWR | O_DIRECT);
    take_blocks(set, fd);
    aligned_buffer bytes(size_t{1} << 20);
    for (uint64_t b = 0; b < set.blocks;) {
        const uint64_t n = std::min<uint64_t>(bytes.size() / block_bytes, set.blocks - b);
        for (uint64_t s = 0; s < n * 8; s++)
            fill_sector(set, b * 8 + s, 0, bytes.data() + s * 512);
        must(write_exact(fd.get(), bytes.span().first(n * block_bytes), b * block_bytes), device);
        b += n;
    }
    must(sync_data(fd.get()), device);
    return 0;
}

namespace {

// Durable when it returns.
void write_durable(const Fd& fd, std::span<const uint8_t> bytes, uint64_t at, bool flushed) {
    const iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
    const ssize_t n =
        ::pwritev2(fd.get(), &part, 1, static_cast<off_t>(at), flushed ? 0 : RWF_DSYNC);
    if (n != static_cast<ssize_t>(bytes.size()))
        die(std::string("write: ") + std::strerror(errno));
    if (flushed)
        must(sync_data(fd.get()), "flush");
}

void write_as(const settings& set, const plan_of_load& plan, uint32_t thread, const Fd& fd,
              const Fd& notes) {
    const uint64_t most = uint64_t{set.chunk_kib} * 1024 * (set.members - 1);
    aligned_buffer bytes(most);
    aligned_buffer note(block_bytes);
    for (uint64_t i = 0; i <= set.ops; i++) {
        store_note(note.data(), set, thread, i);
        write_durable(notes, note.span(), thread * block_bytes, false);
        if (i == set.ops)
            return;
        const extent e = plan.write(thread, i);
        for (uint64_t s = 0; s < e.blocks * 8; s++)
            fill_sector(set, e.first * 8 + s, i + 1, bytes.data() + s * 512);
        write_durable(fd, bytes.span().first(e.blocks * block_bytes), e.first * block_bytes,
                      is_flushed(set, i));
    }
}

}  // namespace

int load(settings set, const std::string& device, const std::string& acks) {
    const Fd fd = open_device(device, O_RDWR | O_DIRECT);
    const Fd notes = open_device(acks, O_RDWR | O_DIRECT);
    take_blocks(set, fd);
    const plan_of_load plan(set);
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < set.threads; t++)
        threads.emplace_back([&, t] { write_as(set, plan, t, fd, notes); });
    for (auto& one : threads)
        one.join();
    return 0;
}

int verify(settings set, const std::string& device, const std::string& acks, bool idle_only) {
    const Fd fd = open_device(device, O_RDONLY | O_DIRECT);
    take_blocks(set, fd);
    const Fd file = open_device(acks, O_RDONLY);
    std::vector<uint8_t> notes(set.threads * block_bytes);
    must(read_exact(file.get(), notes, 0), acks);
    expected want(set);
    want.advance(notes);
    aligned_buffer bytes(size_t{1} << 20);
    uint64_t idle = 0, busy = 0, late = 0;
    for (uint64_t b = 0; b < set.blocks;) {
        const uint64_t n = std::min<uint64_t>(bytes.size() / block_bytes, set.blocks - b);
        must(read_exact(fd.get(), bytes.span().first(n * block_bytes), b * block_bytes), device);
        for (uint64_t s = 0; s < n * 8; s++) {
            const uint8_t* sector = bytes.data() + s * 512;
            if (want.late(b * 8 + s, sector))
                late++;
            else if (!want.right(b * 8 + s, sector))
                (want.is_under_way(b + s / 8) || want.may_be_late(b + s / 8) ? busy : idle)++;
        }
        b += n;
    }
    fmt::print("{} writes acknowledged: idle wrong {}, under way wrong {}, flushed late {}\n",
               want.acknowledged(), idle, busy, late);
    return idle + (idle_only ? 0 : busy) != 0 ? found_wrong : 0;
}

}  // namespace rr::hole
