// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Records of exports: they come back as they were, and torn or foreign ones are none.
#include "export/record.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace rr {
namespace {

class ExportRecords : public ::testing::Test {
protected:
    ExportRecords() : directory_(::testing::TempDir() + "rr-exports"), records_(directory_) {
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directory(directory_);
        record_.spec.kind = export_kind::nbd;
        record_.spec.array = "01234567:89abcdef:fedcba98:76543210";
        record_.spec.array_name = "data";
        EXPECT_TRUE(complete(record_.spec));
        record_.block_device = "/dev/ublkb7";
        record_.process = {42, 1234567890123};
    }
    ~ExportRecords() override { std::filesystem::remove_all(directory_); }

    // Its JSON with one value changed.
    void change(const char* key, const nlohmann::json& value) {
        const std::string path = directory_ + "/data-nbd.json";
        nlohmann::json json;
        std::ifstream(path) >> json;
        json[key] = value;
        std::ofstream(path) << json;
    }

    std::string directory_;
    export_records records_;
    export_record record_;
};

TEST_F(ExportRecords, ComeBack) {
    ASSERT_TRUE(records_.write(record_));
    auto again = records_.read("data-nbd");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->block_device, "/dev/ublkb7");
    EXPECT_EQ(again->process.pid, 42);
    EXPECT_EQ(again->process.started, 1234567890123);
    EXPECT_FALSE(again->whole);
    ASSERT_EQ(records_.all().size(), 1U);
    records_.remove("data-nbd");
    EXPECT_TRUE(records_.all().empty());
}

TEST_F(ExportRecords, OfAnotherBootAreNone) {
    ASSERT_TRUE(records_.write(record_));
    change("boot", "another");
    EXPECT_FALSE(records_.read("data-nbd"));
    EXPECT_TRUE(records_.all().empty());
}

TEST_F(ExportRecords, TornOrUnderAnotherNameAreNone) {
    ASSERT_TRUE(records_.write(record_));
    change("pid", "x");
    EXPECT_FALSE(records_.read("data-nbd"));
    ASSERT_TRUE(records_.write(record_));
    std::filesystem::rename(directory_ + "/data-nbd.json", directory_ + "/other.json");
    EXPECT_FALSE(records_.read("other"));
    std::ofstream(directory_ + "/data-nbd.json") << "{";
    EXPECT_TRUE(records_.all().empty());
}

TEST_F(ExportRecords, AreMadeByOneAtATime) {
    auto lock = records_.lock();
    if (!lock)
        GTEST_SKIP() << lock.error().what;
    EXPECT_TRUE(std::filesystem::exists(directory_ + "/lock"));
}

TEST_F(ExportRecords, WhatAKilledOneBeganToWriteGoes) {
    ASSERT_TRUE(records_.write(record_));
    std::ofstream(directory_ + "/data-nbd.json.new") << "{";
    auto lock = records_.lock();
    if (!lock)
        GTEST_SKIP() << lock.error().what;
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/data-nbd.json.new"));
    EXPECT_EQ(records_.all().size(), 1U);
}

}  // namespace
}  // namespace rr
