// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The write-intent bitmap on disk: against bytes made by hand and mdadm's own words, and
// against headers that lie.
#include "md/bitmap.h"

#include <algorithm>
#include <numeric>

#include "base/bytes.h"
#include "md_helpers.h"

namespace rr::test {
namespace {

using md::bitmap;
using md::md_superblock;

constexpr uint64_t bitmap_at = 16 * 512;  // of new arrays and of mdadm's
constexpr uint64_t bits_per_page_0 = (4096 - 256) * 8;

md::uuid some_uuid() {
    md::uuid out{};
    std::iota(out.begin(), out.end(), uint8_t{1});
    return out;
}

// Of @sectors in chunks of 8.
bitmap empty(uint64_t sectors) {
    return {some_uuid(), sectors, 8, false};
}

TEST(MdBitmap, ABitCoversAChunkOfTheMember) {
    bitmap b = empty(100 * 8);
    EXPECT_EQ(b.bits(), 100U);
    b.set(15, 17);
    EXPECT_FALSE(b.test(0));
    EXPECT_TRUE(b.test(1));
    EXPECT_TRUE(b.test(2));
    EXPECT_FALSE(b.test(3));
    EXPECT_EQ(b.count(), 2U);
    b.set(24, 32);
    EXPECT_TRUE(b.test(3)) << "a whole chunk is one bit";
    EXPECT_FALSE(b.test(4));
    b.clear(1);
    b.clear(1);
    EXPECT_FALSE(b.test(1));
    EXPECT_EQ(b.count(), 2U);
}

TEST(MdBitmap, AnyLooksAtWhatTheRangeTouches) {
    bitmap b = empty(100 * 8);
    b.set(80, 88);
    EXPECT_TRUE(b.any(80, 88));
    EXPECT_TRUE(b.any(0, 81));
    EXPECT_TRUE(b.any(87, 100));
    EXPECT_FALSE(b.any(0, 80));
    EXPECT_FALSE(b.any(88, 800));
}

TEST(MdBitmap, TheLastBitMayBeAPartOfAChunk) {
    bitmap b = empty(10 * 8 + 1);
    EXPECT_EQ(b.bits(), 11U);
    b.set(80, 81);
    EXPECT_TRUE(b.test(10));
    EXPECT_EQ(b.count(), 1U);
    b.fill();
    EXPECT_EQ(b.count(), 11U);
    EXPECT_EQ(b.page(0)[256], 0xff);
    EXPECT_EQ(b.page(0)[257], 0x07) << "nothing beyond the end";
}

TEST(MdBitmap, PagesFollowTheHeader) {
    EXPECT_EQ(empty(bits_per_page_0 * 8).pages(), 1U);
    bitmap b = empty(bits_per_page_0 * 8 + 8);
    EXPECT_EQ(b.pages(), 2U);
    EXPECT_EQ(b.take_changed(), (std::vector<uint32_t>{0, 1})) << "a new one has to be written";
    EXPECT_TRUE(b.take_changed().empty());
    b.set(bits_per_page_0 * 8, bits_per_page_0 * 8 + 1);
    EXPECT_EQ(b.take_changed(), (std::vector<uint32_t>{1}));
    EXPECT_EQ(b.page(1)[0], 1);
    b.set(bits_per_page_0 * 8, bits_per_page_0 * 8 + 8);
    EXPECT_TRUE(b.take_changed().empty()) << "it is set";
    b.set_events(5);
    EXPECT_EQ(b.take_changed(), (std::vector<uint32_t>{0}));
    b.clear(bits_per_page_0);
    EXPECT_EQ(b.take_changed(), (std::vector<uint32_t>{1}));
}

TEST(MdBitmap, EventsThatWentBackTakeTheClearedOnesAlong) {
    bitmap b = empty(800);
    b.set_events(10);
    b.set_events_cleared(9);
    b.set_events(7);
    EXPECT_EQ(b.events_cleared(), 7U);
    EXPECT_EQ(load_le<uint64_t>(b.page(0), 32), 7U);
}

TEST(MdBitmap, TheUnionHasAllBitsAndTheOlderEventsCleared) {
    bitmap one = empty(800), other = empty(800);
    one.set(0, 8);
    other.set(8, 16);
    one.set_events(9);
    one.set_events_cleared(9);
    other.set_events(9);
    other.set_events_cleared(4);
    one.merge(other);
    EXPECT_TRUE(one.test(0));
    EXPECT_TRUE(one.test(1));
    EXPECT_EQ(one.count(), 2U);
    EXPECT_EQ(one.events_cleared(), 4U);
    EXPECT_EQ(load_le<uint64_t>(one.page(0), 32), 4U);
    EXPECT_EQ(one.events(), 9U);
}

// --- Several copies.

bitmap copy_of(uint64_t events, std::initializer_list<uint64_t> bits,
               uint64_t sectors = bits_per_page_0 * 16) {
    bitmap out = empty(sectors);
    out.set_events(events);
    for (const uint64_t bit : bits)
        out.set(bit * 8, bit * 8 + 8);
    (void)out.take_changed();
    return out;
}

std::vector<md::bitmap_copy> copies(bitmap one, bitmap other) {
    std::vector<md::bitmap_copy> out;
    out.push_back({0, std::move(one)});
    out.push_back({1, std::move(other)});
    return out;
}

TEST(MdBitmapCopies, OneThatIsBehindSaysNothing) {
    const auto joined = md::join_bitmaps(copies(copy_of(9, {1}), copy_of(10, {2})), 10);
    ASSERT_TRUE(joined);
    EXPECT_FALSE(joined->test(1));
    EXPECT_TRUE(joined->test(2));
    EXPECT_FALSE(md::join_bitmaps(copies(copy_of(8, {1}), copy_of(9, {2})), 10));
    EXPECT_FALSE(md::join_bitmaps({}, 0));
}

TEST(MdBitmapCopies, OneThatIsAheadCounts) {
    const auto joined = md::join_bitmaps(copies(copy_of(10, {1}), copy_of(11, {2})), 10);
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->count(), 2U);
}

// Whatever the others lack, and those that were not asked: each has to have all of it.
TEST(MdBitmapCopies, TheUnionIsNewToThem) {
    const uint64_t far = bits_per_page_0 + 1;
    for (const bool first : {false, true}) {
        auto joined = first ? md::join_bitmaps(copies(copy_of(9, {far}), copy_of(9, {})), 9)
                            : md::join_bitmaps(copies(copy_of(9, {}), copy_of(9, {far})), 9);
        ASSERT_TRUE(joined);
        EXPECT_TRUE(joined->test(far));
        EXPECT_EQ(joined->take_changed(), joined->all_pages());
    }
}

TEST(MdBitmapCopies, OfAnotherShapeThereIsNoUnion) {
    EXPECT_FALSE(md::join_bitmaps(copies(copy_of(9, {}, 800), copy_of(9, {}, 808)), 9));
    EXPECT_TRUE(md::join_bitmaps(copies(copy_of(9, {}, 800), copy_of(8, {}, 808)), 9));
}

// --- Where it is.

class MdBitmapPlace : public testing::Test {
protected:
    MdBitmapPlace() {
        md::new_array spec = four_members();
        spec.policy = md::consistency::bitmap;
        sb_ = must_make(spec)[0];
    }
    [[nodiscard]] uint64_t room(int64_t at) {
        sb_.log_place = static_cast<int32_t>(at - 8);
        return md::bitmap_room(sb_);
    }
    md_superblock sb_;
};

TEST_F(MdBitmapPlace, IsBetweenSuperblockAndData) {
    EXPECT_EQ(md::bitmap_sector(sb_), 16U);
    sb_.bblog_sectors = 0;
    const auto data = static_cast<int64_t>(sb_.data_offset);
    EXPECT_EQ(room(16), (sb_.data_offset - 16) * 512);
    EXPECT_EQ(room(data - 8), 4096U);
    for (const int64_t at : {int64_t{8}, int64_t{0}, int64_t{-8}, int64_t{15}, int64_t{20}, data,
                             data + 8, int64_t{INT32_MIN} + 8, int64_t{INT32_MAX}})
        EXPECT_EQ(room(at), 0U) << at;
}

TEST_F(MdBitmapPlace, EndsBeforeABadBlockLog) {
    sb_.bblog_sectors = 8;
    sb_.bblog_offset = 24;  // sector 32
    EXPECT_EQ(room(16), 16U * 512);
    EXPECT_EQ(room(24), 8U * 512);
    EXPECT_EQ(room(32), 0U);
    EXPECT_EQ(room(40), (sb_.data_offset - 40) * 512) << "the log lies before it";
    sb_.bblog_sectors = 16;
    EXPECT_EQ(room(40), 0U) << "in the middle of the log";
}

// --- The chunk of a new one.

TEST(MdBitmapChunk, IsMdsOrAsLargeAsTheRoomAsksFor) {
    EXPECT_EQ(*md::choose_bitmap_chunk(1 << 20, 1 << 20, 0), bitmap::default_chunk_sectors);
    // 30720 bits fit in one page.
    const uint64_t most = bits_per_page_0 * bitmap::default_chunk_sectors;
    EXPECT_EQ(*md::choose_bitmap_chunk(most, 4096, 0), bitmap::default_chunk_sectors);
    EXPECT_EQ(*md::choose_bitmap_chunk(most + 1, 4096, 0), 2 * bitmap::default_chunk_sectors);
    EXPECT_EQ(*md::choose_bitmap_chunk(most + 1, 8192, 0), bitmap::default_chunk_sectors);
}

TEST(MdBitmapChunk, ThatIsAskedForIsTakenOrRefused) {
    for (const uint64_t chunk : {uint64_t{8}, uint64_t{1024}, uint64_t{1} << 22})
        EXPECT_EQ(*md::choose_bitmap_chunk(1 << 20, 1 << 20, chunk), chunk);
    for (const uint64_t chunk : {uint64_t{1}, uint64_t{4}, uint64_t{24}, uint64_t{1} << 23,
                                 uint64_t{1} << 40, ~uint64_t{0}})
        EXPECT_EQ(md::choose_bitmap_chunk(1 << 20, 1 << 20, chunk).error().err, EINVAL) << chunk;
    const auto many = md::choose_bitmap_chunk(bits_per_page_0 * 8 + 1, 4096, 8);
    ASSERT_FALSE(many);
    EXPECT_EQ(many.error().hint, "use 8K or more");
    EXPECT_EQ(*md::choose_bitmap_chunk(bits_per_page_0 * 8 + 1, 4096, 16), 16U);
}

TEST(MdBitmapChunk, NoRoomIsSaid) {
    EXPECT_EQ(md::choose_bitmap_chunk(1 << 20, 0, 0).error().err, EINVAL);
    EXPECT_EQ(md::choose_bitmap_chunk(1 << 20, 4095, 0).error().err, EINVAL);
    EXPECT_EQ(md::choose_bitmap_chunk(uint64_t{1} << 50, 4096, 0).error().err, EINVAL);
}

// --- On a member.

class MdBitmapOnDisk : public testing::Test {
protected:
    MdBitmapOnDisk() : path_(dir_.file("m", 131072)), fd_(open_file(path_)) {
        md::new_array spec = four_members();
        spec.policy = md::consistency::bitmap;
        sb_ = must_make(spec)[0];
        EXPECT_TRUE(md::write_superblock(fd_.get(), sb_));
    }
    // Of chunks of 64 KiB: as mdadm would write it, byte by byte.
    block by_hand() const {
        block page{};
        std::span<uint8_t> b(page);
        store_le<uint32_t>(b, 0, 0x6d746962);
        store_le<uint32_t>(b, 4, 4);
        std::copy(sb_.set_uuid.begin(), sb_.set_uuid.end(), b.begin() + 8);
        store_le<uint64_t>(b, 24, 0x1122334455667788);
        store_le<uint64_t>(b, 32, 0x1122334455667700);
        store_le<uint64_t>(b, 40, sb_.size);
        store_le<uint32_t>(b, 48, 0);
        store_le<uint32_t>(b, 52, 65536);
        store_le<uint32_t>(b, 56, 7);
        b[256] = 0x81;
        b[257] = 0x02;
        return page;
    }
    void put(const block& page) {
        ASSERT_EQ(::pwrite(fd_.get(), page.data(), page.size(), bitmap_at), 4096);
    }
    // Why what is there is not read, when one field of it is another.
    template <typename T>
    int with(size_t at, T value) {
        block page = by_hand();
        store_le<T>(std::span<uint8_t>(page), at, value);
        put(page);
        auto read = md::read_bitmap(fd_.get(), sb_);
        return read ? 0 : read.error().err;
    }

    scratch_dir dir_;
    std::string path_;
    Fd fd_;
    md_superblock sb_;
};

TEST_F(MdBitmapOnDisk, IsReadAsItIsLaidOut) {
    put(by_hand());
    auto read = md::read_bitmap(fd_.get(), sb_);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->events(), 0x1122334455667788U);
    EXPECT_EQ(read->events_cleared(), 0x1122334455667700U);
    EXPECT_EQ(read->chunk_sectors(), 128U);
    EXPECT_EQ(read->sync_sectors(), sb_.size);
    EXPECT_EQ(read->daemon_sleep_seconds(), 7U);
    EXPECT_EQ(read->bits(), (sb_.size + 127) / 128);
    EXPECT_EQ(read->count(), 3U);
    EXPECT_TRUE(read->test(0) && read->test(7) && read->test(9));
    EXPECT_TRUE(read->take_changed().empty());
}

TEST_F(MdBitmapOnDisk, IsWrittenAsItIsLaidOut) {
    bitmap image(sb_.set_uuid, sb_.size, 128, false);
    image.set(0, 1);
    image.set(7 * 128, 7 * 128 + 1);
    image.set(9 * 128, 10 * 128);
    image.set_events(0x1122334455667788);
    image.set_events_cleared(0x1122334455667700);
    block expected = by_hand();
    store_le<uint32_t>(std::span<uint8_t>(expected), 56, 5);
    ASSERT_TRUE(md::write_bitmap(fd_.get(), sb_, image, image.all_pages()));
    block found{};
    ASSERT_EQ(::pread(fd_.get(), found.data(), found.size(), bitmap_at), 4096);
    EXPECT_EQ(found, expected);
    EXPECT_TRUE(md::read_superblock(fd_.get()));
}

// The bits it reads from block devices only; of a file it looks for the header.
TEST_F(MdBitmapOnDisk, MdadmFindsIt) {
    EXPECT_FALSE(examine(path_).contains("Internal Bitmap"));
    const bitmap image(sb_.set_uuid, sb_.size, 128, false);
    ASSERT_TRUE(md::write_bitmap(fd_.get(), sb_, image, image.all_pages()));
    EXPECT_EQ(examine(path_).at("Internal Bitmap"), "8 sectors from superblock");
}

// mdadm's superblock with a bitmap: there is room where it says.
TEST(MdBitmapVector, HasItsPlaceBehindTheSuperblock) {
    for (const vector_member& member : load_vector("rs3bitmap")) {
        const auto sb = md::parse(member.bytes);
        ASSERT_TRUE(sb);
        EXPECT_NE(sb->feature_map & md::feature_bitmap, 0U);
        EXPECT_EQ(fmt::format("{} sectors from superblock", md::bitmap_sector(*sb) - 8),
                  member.says.at("Internal Bitmap"));
        EXPECT_GE(md::bitmap_room(*sb), 4096U);
        EXPECT_TRUE(md::choose_bitmap_chunk(sb->size, md::bitmap_room(*sb), 0));
    }
}

TEST_F(MdBitmapOnDisk, AHeaderThatDoesNotFitIsNone) {
    EXPECT_EQ(with<uint32_t>(0, 0x6d746962), 0) << "as it is";
    EXPECT_EQ(with<uint32_t>(0, 0x6d746963), ENODATA);
    for (const uint32_t version : {0U, 3U, 5U, 6U, ~0U})
        EXPECT_EQ(with<uint32_t>(4, version), ENODATA) << version;
    const auto other = static_cast<uint8_t>(~sb_.set_uuid[15]);
    EXPECT_EQ(with<uint8_t>(23, other), ENODATA) << "another set";
    for (const uint64_t size : {uint64_t{0}, sb_.size - 8, sb_.size + 8, ~uint64_t{0}})
        EXPECT_EQ(with<uint64_t>(40, size), ENODATA) << size;
    EXPECT_EQ(with<uint32_t>(48, 2), ENODATA) << "out of date";
    for (const uint32_t chunk : {0U, 1U, 256U, 65536U + 512, 3U << 16, ~0U})
        EXPECT_EQ(with<uint32_t>(52, chunk), ENODATA) << chunk;
    for (const uint32_t chunk : {512U, 4096U, 1U << 31})
        EXPECT_EQ(with<uint32_t>(52, chunk), 0) << chunk;
}

TEST_F(MdBitmapOnDisk, OneThatIsLargerThanItsPlaceIsNone) {
    sb_.bblog_sectors = 8;
    sb_.bblog_offset = 16;  // sector 24: 4 KiB are left
    EXPECT_EQ(with<uint32_t>(52, 65536), 0);
    sb_.size = (bits_per_page_0 + 1) * 8;
    EXPECT_EQ(with<uint32_t>(52, 8192), 0);
    EXPECT_EQ(with<uint32_t>(52, 4096), ENODATA);
    sb_.bblog_offset = 8;
    EXPECT_EQ(with<uint32_t>(52, 65536), EINVAL) << "nothing is left";
    sb_.bblog_sectors = 0;
    sb_.log_place = 0;
    EXPECT_EQ(with<uint32_t>(52, 65536), EINVAL) << "in the superblock";
}

TEST_F(MdBitmapOnDisk, ASleepIsHeldWithinReason) {
    const auto sleep = [&](uint32_t seconds) {
        EXPECT_EQ(with<uint32_t>(56, seconds), 0);
        return md::read_bitmap(fd_.get(), sb_)->daemon_sleep_seconds();
    };
    EXPECT_EQ(sleep(0), 1U);
    EXPECT_EQ(sleep(5), 5U);
    EXPECT_EQ(sleep(~0U), 3600U);
}

// Bits past the last are anything, as md leaves them.
TEST_F(MdBitmapOnDisk, BitsBeyondTheEndAreNotItsOwn) {
    sb_.size = 130 * 128;
    block page = by_hand();
    std::fill(page.begin() + 256, page.end(), uint8_t{0xff});
    put(page);
    auto read = md::read_bitmap(fd_.get(), sb_);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->count(), 130U);
    for (uint64_t bit = 0; bit < read->bits(); bit++)
        read->clear(bit);
    EXPECT_FALSE(read->any(0, sb_.size));
    EXPECT_EQ(read->count(), 0U);
}

TEST_F(MdBitmapOnDisk, ThePagesThatAreNamedAreWritten) {
    sb_.size = bits_per_page_0 * 8 + 5 * 32768 * uint64_t{8};
    bitmap image(sb_.set_uuid, sb_.size, 8, true);
    ASSERT_EQ(image.pages(), 6U);
    const std::vector<uint32_t> named{0, 1, 3, 4};
    ASSERT_TRUE(md::write_bitmap(fd_.get(), sb_, image, named));
    for (uint32_t number = 0; number < 6; number++) {
        block found{};
        ASSERT_EQ(::pread(fd_.get(), found.data(), found.size(), bitmap_at + number * 4096), 4096);
        const bool there = std::ranges::equal(found, image.page(number));
        EXPECT_EQ(there, number != 2 && number != 5) << number;
    }
}

TEST_F(MdBitmapOnDisk, NeitherSuperblockNorDataIsWrittenOver) {
    const bitmap image(sb_.set_uuid, sb_.size, 128, true);
    for (const int64_t at : {int64_t{0}, -int64_t{8}, static_cast<int64_t>(sb_.data_offset) - 8}) {
        sb_.log_place = static_cast<int32_t>(at);
        EXPECT_EQ(md::write_bitmap(fd_.get(), sb_, image, image.all_pages()).error().err, EINVAL)
            << at;
    }
    EXPECT_TRUE(md::read_superblock(fd_.get()));
}

TEST_F(MdBitmapOnDisk, ADeviceThatEndsBeforeItIsAnError) {
    ASSERT_EQ(::ftruncate(fd_.get(), bitmap_at + 512), 0);
    EXPECT_FALSE(md::read_bitmap(fd_.get(), sb_));
}

}  // namespace
}  // namespace rr::test
