// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The list of arrays that are ours at the next boot.
#include "service/ownership.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace rr {
namespace {

const md::uuid id = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                     0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
constexpr const char* name = "01234567-89ab-cdef-fedc-ba9876543210";

class Ownership : public ::testing::Test {
protected:
    Ownership() : directory_(::testing::TempDir() + "rr-arrays") {
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directory(directory_);
    }
    ~Ownership() override { std::filesystem::remove_all(directory_); }

    // The last line of the array's file.
    [[nodiscard]] std::string options() const {
        std::ifstream file(directory_ + '/' + name);
        std::string line, last;
        while (std::getline(file, line))
            last = line;
        return last;
    }
    [[nodiscard]] size_t files() const {
        return static_cast<size_t>(
            std::distance(std::filesystem::directory_iterator(directory_), {}));
    }

    std::string directory_;
};

TEST_F(Ownership, IsSpelledAsBlkidDoes) {
    EXPECT_EQ(blkid_form(id), name);
    EXPECT_EQ(*md::parse_uuid(blkid_form(id)), id);
}

TEST_F(Ownership, IsKeptAndGivenUp) {
    ASSERT_TRUE(own_array(id, "", directory_));
    EXPECT_EQ(options(), "OPTIONS=");
    EXPECT_EQ(files(), 1U);
    ASSERT_TRUE(disown_array(id, directory_));
    EXPECT_EQ(files(), 0U);
    ASSERT_TRUE(disown_array(id, directory_));
}

// A start that asks for nothing changes nothing.
TEST_F(Ownership, KeepsHowItIsServed) {
    ASSERT_TRUE(own_array(id, "--queues 2", directory_));
    ASSERT_TRUE(own_array(id, "", directory_));
    EXPECT_EQ(options(), "OPTIONS=--queues 2");
    ASSERT_TRUE(own_array(id, "--queues 3", directory_));
    EXPECT_EQ(options(), "OPTIONS=--queues 3");
    EXPECT_EQ(files(), 1U);
}

TEST_F(Ownership, IsNothingWithoutThePackage) {
    std::filesystem::remove_all(directory_);
    ASSERT_TRUE(own_array(id, "--queues 2", directory_));
    EXPECT_FALSE(std::filesystem::exists(directory_));
}

}  // namespace
}  // namespace rr
