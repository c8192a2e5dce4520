// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Hostile bytes for what is read from members before anything else is known: superblocks and
// areas of the partial parity log. Under sanitizers; each input from a number of its own, so
// that one which fails can be had again:
//
//   fuzz_tests --gtest_filter=Fuzz.Logs       RINGRAID_FUZZ=FIRST,COUNT
//
// An input is a sound one with a few damages; its sums are made right again more often than
// not, since without that nothing behind them is reached. What is refused must be so without
// a word to the memory around; what is believed must be as it is promised: parsers are
// handed bytes and no way to write. corpus.txt has numbers of inputs that reach what few
// do, or that failed once. Every kind of refusal, and belief, must be reached by each run.
//
// A quick run takes some thousands of each, --full a million.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "md/assemble.h"
#include "md/bitmap.h"
#include "md/ppl.h"
#include "md/superblock.h"
#include "md/whitelist.h"

// Freed memory is kept apart for a while, but not so much that each input touches new pages.
// What is left at the end is GoogleTest's.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
    return "quarantine_size_mb=8:detect_leaks=0";
}

namespace rr {
namespace {

using bytes = std::vector<uint8_t>;

class numbers {
public:
    explicit numbers(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
    uint64_t next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ * 0x2545f4914f6cdd1dULL;
    }
    uint64_t below(uint64_t n) { return (next() >> 16) % n; }
    bool one_in(uint64_t n) { return below(n) == 0; }

private:
    uint64_t state_;
};

struct run {
    uint64_t first;
    uint64_t count;
};

// @quick: as many as take a second or two.
run what_to_run(uint64_t quick) {
    if (const char* told = std::getenv("RINGRAID_FUZZ")) {
        run out{0, 1};
        std::istringstream in(told);
        char comma = 0;
        in >> out.first >> comma >> out.count;
        return out;
    }
    const char* level = std::getenv("RINGRAID_LEVEL");
    return {1, level != nullptr && std::string(level) == "full" ? 1000000ULL : quick};
}

// Numbers of corpus.txt under @kind.
std::vector<uint64_t> corpus(const std::string& kind) {
    std::ifstream file(RR_CORPUS);
    EXPECT_TRUE(file);
    std::vector<uint64_t> out;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        uint64_t number = 0;
        if (words >> name >> number && name == kind)
            out.push_back(number);
    }
    return out;
}

uint64_t interesting(numbers& random) {
    static constexpr std::array<uint64_t, 16> some{
        0, 1, 7, 8, 127, 128, 148, 149, 511, 512, 4095, 4096, 8192, 65536, 131072, 1ULL << 31};
    switch (random.below(4)) {
        case 0:
            return ~uint64_t{0} - random.below(2);
        case 1:
            return random.next();
        default:
            return some[random.below(some.size())];
    }
}

void damage(std::span<uint8_t> where, numbers& random) {
    const size_t at = random.below(where.size() - 8) & ~size_t{random.one_in(2) ? 3U : 0U};
    switch (random.below(4)) {
        case 0:
            where[at] ^= static_cast<uint8_t>(1U << random.below(8));
            break;
        case 1:
            store_le(where, at, static_cast<uint32_t>(interesting(random)));
            break;
        case 2:
            store_le(where, at, interesting(random));
            break;
        default:
            store_le(where, at,
                     load_le<uint32_t>(where, at) + static_cast<uint32_t>(random.below(3)) - 1);
    }
}

// The kinds of outcome and how often; numbers in a message are no kind.
class outcomes {
public:
    void add(const std::string& what) {
        std::string kind;
        for (const char c : what) {
            if (c < '0' || c > '9')
                kind += c;
        }
        seen_[kind]++;
    }
    [[nodiscard]] bool has(const std::string& part) const {
        return std::ranges::any_of(
            seen_, [&](const auto& one) { return one.first.find(part) != std::string::npos; });
    }
    void print() const {
        for (const auto& [kind, count] : seen_)
            std::printf("# %8llu %s\n", static_cast<unsigned long long>(count), kind.c_str());
    }

private:
    std::map<std::string, uint64_t> seen_;
};

// --- Logs.

constexpr md::uuid id{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
constexpr uint64_t area_sectors = 96;

md::ppl_shape random_shape(numbers& random) {
    md::ppl_shape shape;
    shape.geometry = {static_cast<uint32_t>(3 + random.below(14)),
                      static_cast<uint32_t>(3 + random.below(9)),
                      static_cast<uint32_t>(random.below(4))};
    shape.array_sectors = (1 + random.below(64)) * (shape.geometry.members - 1)
                          << shape.geometry.chunk_shift;
    shape.set_uuid = id;
    shape.role = static_cast<uint32_t>(random.below(shape.geometry.members));
    shape.area_sectors = area_sectors;
    shape.block_bytes = random.one_in(4) ? 4096 : 512;
    return shape;
}

// Of this member's parity: sound but for what is damaged later.
void add_entry(std::vector<md::new_ppl_entry>& to, const md::ppl_shape& shape,
               std::span<const uint8_t> pp, numbers& random) {
    const rr_geometry& g = shape.geometry;
    const uint64_t chunk = uint64_t{1} << g.chunk_shift;
    const uint64_t stripes = shape.array_sectors / (chunk * (g.members - 1));
    uint64_t stripe = random.below(stripes);
    for (uint32_t i = 0; i < g.members && rr_parity_member(&g, stripe) != shape.role; i++)
        stripe = (stripe + 1) % stripes;
    const uint64_t disks = random.below(g.members - 1) + 1;
    const uint64_t index = random.below(g.members - disks);
    const uint64_t rows = std::min<uint64_t>(chunk, 8 * (random.below(2) + 1));
    const uint64_t offset = random.below((chunk - rows) / 8 + 1) * 8;
    const bool full = disks == g.members - 1;
    to.push_back({(stripe * (g.members - 1) + index) * chunk + offset,
                  static_cast<uint32_t>(disks * rows * 512), shape.role,
                  full ? std::span<const uint8_t>() : pp.first(rows * 512)});
}

void reseal(std::span<uint8_t> header) {
    store_le<uint32_t>(header, 532, 0);
    store_le(header, 532, crc32c(header));
}

// Units one behind the other; damaged here and there.
bytes random_area(const md::ppl_shape& shape, numbers& random) {
    static const bytes pp(8192, 0xa5);
    bytes area(area_sectors * 512);
    uint64_t at = 0;
    for (uint64_t generation = 1 + random.below(3); at + 8 < area_sectors; generation++) {
        std::vector<md::new_ppl_entry> entries;
        for (uint64_t n = random.below(4); n > 0; n--)
            add_entry(entries, shape, pp, random);
        bytes unit = md::build_ppl_unit(id, generation, entries);
        unit.resize(unit.size() - 4096);
        if (at + unit.size() / 512 > area_sectors)
            break;
        std::ranges::copy(unit, area.begin() + static_cast<ptrdiff_t>(at * 512));
        const auto header = std::span<uint8_t>(area).subspan(at * 512, 4096);
        for (uint64_t n = random.one_in(2) ? 1 + random.below(3) : 0; n > 0; n--)
            damage(random.one_in(8) ? header : header.subspan(512, 24 + 24 * 4), random);
        if (!random.one_in(8))
            reseal(header);
        at += unit.size() / 512;
        if (random.one_in(3))
            break;
    }
    if (random.one_in(4))
        damage(area, random);
    return area;
}

// What read_ppl() promises of what it believes.
void must_be_sound(const md::ppl_unit& unit, const md::ppl_shape& shape) {
    const rr_geometry& g = shape.geometry;
    const uint64_t chunk = uint64_t{1} << g.chunk_shift;
    ASSERT_LE(unit.entries.size(), md::ppl_entries_most);
    ASSERT_LE(unit.place + 8 + unit.pp.size() / 512, shape.area_sectors);
    for (const md::ppl_entry& entry : unit.entries) {
        ASSERT_EQ(unit.pp_of(entry).size(), entry.pp_bytes);
        const auto rows = md::rows_of(entry, shape);
        ASSERT_TRUE(rows);
        uint64_t data = 0;
        for (const md::ppl_rows& r : *rows) {
            ASSERT_LT(r.stripe * chunk * (g.members - 1), shape.array_sectors);
            ASSERT_EQ(rr_parity_member(&g, r.stripe), shape.role);
            ASSERT_GT(r.sectors, 0U);
            ASSERT_LE(uint64_t{r.offset} + r.sectors, chunk);
            ASSERT_LE(r.index + r.disks, g.members - 1);
            ASSERT_GT(r.disks, 0U);
            ASSERT_LE(r.has_pp ? r.pp_at + uint64_t{r.sectors} * 512 : 0, entry.pp_bytes);
            data += uint64_t{r.sectors} * 512 * r.disks;
        }
        ASSERT_EQ(data, entry.data_bytes);
    }
}

void log_from(uint64_t number, outcomes& seen) {
    numbers random(number);
    const md::ppl_shape shape = random_shape(random);
    const bytes area = random_area(shape, random);
    const auto reader = [&](uint64_t sector, std::span<uint8_t> into) {
        EXPECT_LE(sector * 512 + into.size(), area.size());
        std::copy_n(area.begin() + static_cast<ptrdiff_t>(sector * 512), into.size(), into.begin());
        return Status{};
    };
    const auto log = md::read_ppl(reader, shape);
    if (!log) {
        EXPECT_FALSE(log.error().hint.empty());
        return seen.add(log.error().what);
    }
    if (!*log)
        return seen.add("none holds");
    must_be_sound(**log, shape);
    seen.add((*log)->torn() != 0 ? "torn" : (*log)->entries.empty() ? "empty" : "believed");
}

TEST(Fuzz, Logs) {
    outcomes seen;
    const run which = what_to_run(20000);
    for (const uint64_t number : corpus("log")) {
        log_from(number, seen);
        ASSERT_FALSE(testing::Test::HasFailure()) << "log " << number;
    }
    for (uint64_t i = 0; i < which.count; i++) {
        log_from(which.first + i, seen);
        ASSERT_FALSE(testing::Test::HasFailure()) << "log " << which.first + i;
    }
    seen.print();
    if (which.count < 20000)
        return;
    for (const char* kind :
         {"believed", "torn", "empty", "none holds", "entries in a unit", "ends behind the area",
          "of partial parity", "bytes of data", "in rows of", "of an array of",
          "has its parity on member", "leaves its stripe", "are not blocks of"})
        EXPECT_TRUE(seen.has(kind)) << kind;
}

// --- Superblocks.

const std::vector<md::md_superblock>& sound_members() {
    static const std::vector<md::md_superblock> made = [] {
        md::new_array spec;
        spec.name = "fuzz";
        spec.member_sectors.assign(4, 131072);
        spec.clean = true;
        spec.policy = md::consistency::bitmap;
        return md::make_new(spec).value();
    }();
    return made;
}

void superblock_from(uint64_t number, outcomes& seen) {
    numbers random(number);
    const auto& sound = sound_members();
    const size_t which = random.below(sound.size());
    auto block = md::serialize(sound[which]);
    for (uint64_t n = random.below(6); n > 0; n--)
        damage(random.one_in(4) ? std::span<uint8_t>(block) : std::span<uint8_t>(block).first(300),
               random);
    if (!random.one_in(8)) {
        const uint32_t max_dev =
            std::min<uint32_t>(load_le<uint32_t>(block, 220), md::max_dev_limit);
        store_le(block, 216, md::sb_csum(block, max_dev));
    }
    const auto sb = md::parse(block);
    if (!sb)
        return seen.add(sb.error().what);
    const auto again = md::parse(md::serialize(*sb));
    ASSERT_TRUE(again);
    ASSERT_EQ(md::serialize(*again), md::serialize(*sb));
    (void)md::locate_ppl(*sb);
    (void)md::bitmap_room(*sb);
    (void)md::make_spare(*sb, 131072, {});
    (void)md::make_returning(sound[0], *sb, 131072, {});
    if (auto terms = md::check_servable(*sb); !terms)
        seen.add(terms.error().what);
    if (!random.one_in(4))
        return;
    std::vector<md::candidate> candidates;
    for (size_t i = 0; i < sound.size(); i++)
        candidates.push_back({fmt::format("m{}", i), 131072, i == which ? *sb : sound[i]});
    const bool forced = random.one_in(2);
    const auto plan = md::plan_assembly(candidates, {.force = forced, .degraded = forced});
    if (!plan)
        return seen.add("plan: " + plan.error().what);
    seen.add("planned");
    ASSERT_TRUE(rr_geometry_valid(&plan->geometry));
    ASSERT_EQ(plan->members.size(), plan->geometry.members);
    for (const auto& member : plan->members) {
        if (member) {
            ASSERT_LE(member->superblock.data_offset + plan->member_sectors, 131072U);
        }
    }
}

TEST(Fuzz, Superblocks) {
    outcomes seen;
    const run which = what_to_run(4000);
    for (const uint64_t number : corpus("superblock")) {
        superblock_from(number, seen);
        ASSERT_FALSE(testing::Test::HasFailure()) << "superblock " << number;
    }
    for (uint64_t i = 0; i < which.count; i++) {
        superblock_from(which.first + i, seen);
        ASSERT_FALSE(testing::Test::HasFailure()) << "superblock " << which.first + i;
    }
    if (which.count < 4000)
        return;
    for (const char* kind : {"planned", "checksum", "no md superblock", "unknown features",
                             "exceeds any device", "is not a power of two", "contradict"})
        EXPECT_TRUE(seen.has(kind)) << kind;
}

}  // namespace
}  // namespace rr
