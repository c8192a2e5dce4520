// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Larger blocks under what is there already: content, and reading it through every
// layout with and without a member. The reference lays chunks out by md's own words
// (drivers/md/raid5.c), in the plainest way.
#include <cstring>
#include <random>

#include "base/io.h"
#include "md_helpers.h"
#include "ringraid/abi.h"
#include "service/content.h"

namespace rr::test {
namespace {

constexpr uint32_t large = 4096;

class Content : public testing::Test {
protected:
    void put(uint64_t byte, const std::string& text) {
        const Fd fd = open_file(path_);
        ASSERT_EQ(::pwrite(fd.get(), text.data(), text.size(), static_cast<off_t>(byte)),
                  static_cast<ssize_t>(text.size()));
    }
    Status check() { return check_content(open_file(path_).get(), large); }
    // mkfs of the machine; false where it has none.
    bool made_by(const std::string& command) const {
        const std::string line = "PATH=$PATH:/usr/sbin:/sbin " + command + " '" + path_ + "' >&2";
        return std::system(line.c_str()) == 0;
    }
    scratch_dir dir_;
    std::string path_ = dir_.file("content", 262144);
};

TEST_F(Content, NothingMindsAnything) {
    EXPECT_TRUE(check());
}

TEST_F(Content, AFileSystemHasItsOwnBlocks) {
    ASSERT_TRUE(made_by("mkfs.ext4 -q -F -b 4096"));
    EXPECT_TRUE(check());
    ASSERT_TRUE(made_by("mkfs.ext4 -q -F -b 1024"));
    const Status refused = check();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, ENOTSUP);
    EXPECT_NE(refused.error().what.find("ext4 file system with blocks of 1024"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("--degraded"), std::string::npos);
}

TEST_F(Content, APartitionTableCountsInBlocks) {
    std::string table(66, '\0');  // one partition of type 0x83 and the mark
    table.replace(0, 16, std::string("\0\0\2\0\x83\0\0\0\0\x08\0\0\0\x10\0\0", 16));
    table.replace(64, 2, "\x55\xaa");
    put(446, table);
    const Status refused = check();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().what.find("dos partition table"), std::string::npos);
}

// One array of four files in one layout, and its content in plain order.
class ContentLayout : public testing::TestWithParam<std::tuple<uint32_t, int>> {
protected:
    static constexpr uint64_t chunk_sectors = 8, stripes = 9;
    static constexpr uint32_t n = 4;

    // Where md puts data chunk @index of @stripe.
    static uint32_t data_disk(uint32_t layout, uint64_t stripe, uint32_t index) {
        const uint32_t parity = parity_disk(layout, stripe);
        if (layout >= RR_LEFT_SYMMETRIC)
            return (parity + 1 + index) % n;
        return index >= parity ? index + 1 : index;
    }
    static uint32_t parity_disk(uint32_t layout, uint64_t stripe) {
        const auto turn = static_cast<uint32_t>(stripe % n);
        return layout == RR_LEFT_ASYMMETRIC || layout == RR_LEFT_SYMMETRIC ? n - 1 - turn : turn;
    }
};

TEST_P(ContentLayout, IsReadWithAndWithoutAMember) {
    const auto [layout, absent] = GetParam();
    constexpr uint64_t chunk = chunk_sectors * 512, offset = 16;
    std::mt19937 random(7);
    std::vector<uint8_t> content(stripes * (n - 1) * chunk);
    for (uint8_t& byte : content)
        byte = static_cast<uint8_t>(random());
    std::vector<std::vector<uint8_t>> disks(n,
                                            std::vector<uint8_t>(offset * 512 + stripes * chunk));
    for (uint64_t stripe = 0; stripe < stripes; stripe++) {
        for (uint32_t index = 0; index < n - 1; index++) {
            for (uint64_t i = 0; i < chunk; i++) {
                const uint8_t byte = content[(stripe * (n - 1) + index) * chunk + i];
                const uint64_t at = offset * 512 + stripe * chunk + i;
                disks[data_disk(layout, stripe, index)][at] = byte;
                disks[parity_disk(layout, stripe)][at] ^= byte;
            }
        }
    }
    const scratch_dir dir;
    array_members array;
    array.plan.geometry = {n, 3, layout};
    array.plan.array_sectors = content.size() / 512;
    for (uint32_t role = 0; role < n; role++) {
        const std::string path = dir.file(fmt::format("m{}", role), 0);
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(disks[role].data()),
                   static_cast<std::streamsize>(disks[role].size()));
        auto device = open_member(path, {.allow_regular_file = true});
        ASSERT_TRUE(device) << describe(device.error());
        array.devices.emplace_back(std::move(*device));
        array.plan.members.emplace_back(md::assembled_member{role, path, {}});
        array.plan.members[role]->superblock.data_offset = offset;
    }
    if (absent >= 0) {
        array.devices[static_cast<size_t>(absent)].reset();
        array.plan.members[static_cast<size_t>(absent)].reset();
    }
    aligned_buffer all(content.size());
    ASSERT_TRUE(read_array(array, 0, all.span()));
    EXPECT_EQ(std::memcmp(all.data(), content.data(), content.size()), 0);
    aligned_buffer part(3 * chunk);
    ASSERT_TRUE(read_array(array, 2 * chunk_sectors, part.span()));
    EXPECT_EQ(std::memcmp(part.data(), content.data() + 2 * chunk, part.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(All, ContentLayout,
                         testing::Combine(testing::Range(0U, 4U), testing::Range(-1, 4)));

}  // namespace
}  // namespace rr::test
