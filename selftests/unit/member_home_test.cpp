// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whose array it is, and how long its disks are waited for.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "md_helpers.h"
#include "members/watch.h"
#include "service/home_host.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

TEST(HomeHost, IsTheMachinesUnlessToldOtherwise) {
    EXPECT_EQ(home_host("other"), "other");
    EXPECT_EQ(home_host(""), home_host("<system>"));
    EXPECT_FALSE(home_host("").empty());
}

TEST(HomeHost, AnArrayOfAnotherHostIsNotAtHome) {
    EXPECT_TRUE(is_at_home("here:data", "here"));
    EXPECT_FALSE(is_at_home("there:data", "here"));
    EXPECT_FALSE(is_at_home("her:data", "here"));
    EXPECT_FALSE(is_at_home("here2:data", "here"));
    for (const char* nobodys : {"data", ":data", "any:data", ""})
        EXPECT_TRUE(is_at_home(nobodys, "here")) << nobodys;
    EXPECT_TRUE(is_at_home("there:data", "<ignore>"));
    EXPECT_TRUE(is_at_home("there:data", "any"));
    EXPECT_TRUE(is_at_home("here:data:more", "here"));
}

class DeviceWatch : public testing::Test {
protected:
    void disk(const std::string& name, const std::string& sectors) {
        fs::create_directories(root_ / "class/block" / name);
        std::ofstream(root_ / "class/block" / name / "size") << sectors << '\n';
    }
    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("marker", 1)).parent_path() / "sys";
};

TEST_F(DeviceWatch, EndsWithItsPatience) {
    disk("sda", "8");
    device_watch none({}, std::chrono::seconds(0), root_);
    disk("sdb", "8");
    EXPECT_FALSE(none.changed());
}

TEST_F(DeviceWatch, SeesWhatCameAndWhatChanged) {
    const std::string path = dir_.file("link", 1) + "-late";
    disk("sda", "8");
    device_watch watch({path}, std::chrono::seconds(60), root_);
    disk("sdb", "0");
    EXPECT_TRUE(watch.changed());
    disk("sdb", "8");
    EXPECT_TRUE(watch.changed()) << "it has a medium";
    fs::remove_all(root_ / "class/block/sda");
    EXPECT_TRUE(watch.changed());
    std::thread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        std::ofstream{path};
    });
    EXPECT_TRUE(watch.changed()) << "the path leads somewhere";
    later.join();
}

}  // namespace
}  // namespace rr::test
