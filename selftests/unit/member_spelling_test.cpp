// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which member is meant: made-up devices, and files where something must exist.
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "md_helpers.h"
#include "members/spelling.h"
#include "service/membership.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

class MemberSpelling : public testing::Test {
protected:
    void SetUp() override {
        add("/dev/disk/by-id/ata-ACME_1", "sdx", makedev(8, 0), "naa.1");
        add("/dev/sdy", "sdy", makedev(8, 16), "naa.2");
        add("disk2", "nvme7n1", makedev(259, 7), "");
    }
    void add(const std::string& path, const std::string& name, dev_t device,
             const std::string& strong) {
        member_device one;
        one.path = path;
        one.kernel_name = name;
        one.device = device;
        one.identity = {strong, !strong.empty(), device, 1};
        array_.devices.emplace_back(std::move(one));
    }
    // sysfs knows MAJ:MIN, with that WWID.
    void exists(const std::string& number, const std::string& wwid) const {
        fs::create_directories(root_ / "dev/block" / number);
        std::ofstream(root_ / "dev/block" / number / "wwid") << wwid << '\n';
    }
    std::optional<size_t> find(const std::string& spelled) {
        std::vector<const member_device*> devices;
        for (const auto& device : array_.devices)
            devices.push_back(device ? &*device : nullptr);
        return find_device(devices, spelled, root_);
    }

    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("marker", 1)).parent_path() / "sys";
    array_members array_;
};

TEST_F(MemberSpelling, ARoleIsANumber) {
    EXPECT_EQ(find_member(array_, "0"), 0U);
    EXPECT_EQ(find_member(array_, "2"), 2U);
    for (const char* none : {"3", "-1", "", "0x1", "99999999999", "1 "})
        EXPECT_FALSE(find_member(array_, none)) << none;
    array_.devices[1].reset();
    EXPECT_EQ(find_member(array_, "1"), 1U) << "a missing one has its role";
    EXPECT_FALSE(find("8:16"));
}

TEST_F(MemberSpelling, ADeviceIsItsNumber) {
    EXPECT_EQ(find("8:16"), 1U);
    EXPECT_EQ(find("259:7 /dev/whatever"), 2U);
    EXPECT_FALSE(find("8:32"));
    EXPECT_FALSE(find("8:"));
    EXPECT_FALSE(find("8:0x"));
}

TEST_F(MemberSpelling, AMemberThatIsGoneIsFoundByWhatItWasCalled) {
    EXPECT_EQ(find("/dev/disk/by-id/ata-ACME_1"), 0U);
    EXPECT_EQ(find("/dev/sdx"), 0U);
    EXPECT_EQ(find("sdy"), 1U);
    EXPECT_EQ(find("disk2"), 2U);
    EXPECT_EQ(find("nvme7n1"), 2U);
    EXPECT_FALSE(find("/dev/sdz"));
}

// The disk came back: by its link it is another device, and the same disk.
TEST_F(MemberSpelling, AReconnectedDiskIsTheMember) {
    exists("8:48", "naa.1");
    EXPECT_EQ(find("8:48 /dev/disk/by-id/ata-ACME_1"), 0U);
    EXPECT_EQ(find("8:48"), 0U);
}

// Makers give two disks one serial. While the member is there, its twin is not
// meant.
TEST_F(MemberSpelling, ATwinOfAMemberThatIsThereIsNoMember) {
    exists("8:0", "naa.1");
    exists("8:48", "naa.1");
    EXPECT_FALSE(find("8:48"));
    EXPECT_EQ(find("8:0"), 0U);
}

TEST_F(MemberSpelling, ANameThatIsAnothersNowMeansTheMemberOnlyWhereItIsGone) {
    exists("8:48", "naa.9");
    EXPECT_EQ(find("8:48 /dev/sdy"), 1U) << "sdy is gone";
    exists("8:16", "naa.2");
    EXPECT_FALSE(find("8:48 /dev/sdy")) << "sdy is there, by another name";
    EXPECT_EQ(find("8:0 /dev/sdy"), 0U) << "where it leads to comes first";
}

TEST_F(MemberSpelling, LinksAndRelativePathsLeadToTheFile) {
    const std::string path = dir_.file("m", 8), other = dir_.file("o", 8);
    array_.devices.clear();
    for (const std::string& one : {other, path}) {
        auto opened = open_member(one, {.allow_regular_file = true});
        ASSERT_TRUE(opened);
        array_.devices.emplace_back(std::move(*opened));
    }
    fs::create_symlink(path, path + "-link");
    EXPECT_EQ(find(path), 1U);
    EXPECT_EQ(find(path + "-link"), 1U);
    EXPECT_FALSE(find(dir_.file("third", 8)));
    const fs::path here = fs::current_path();
    fs::current_path(fs::path(path).parent_path());
    EXPECT_EQ(spell_device("m"), absolute_path("m"));
    EXPECT_EQ(find(spell_device("m-link")), 1U);
    EXPECT_EQ(find(spell_device("./o")), 0U);
    fs::current_path(here);
}

TEST_F(MemberSpelling, ACommandTellsTheNumber) {
    EXPECT_EQ(spell_device("2"), "2");
    EXPECT_EQ(spell_device("8:16"), "8:16");
    EXPECT_EQ(spell_device("/dev/nowhere"), "/dev/nowhere");
    EXPECT_EQ(spell_device("nowhere"), "/dev/nowhere") << "a kernel name";
    EXPECT_EQ(spell_device("dir/nowhere"), (fs::current_path() / "dir/nowhere").string());
    if (!fs::exists("/dev/loop0"))
        GTEST_SKIP() << "no /dev/loop0 here";
    EXPECT_EQ(spell_device("/dev/loop0"), "7:0 /dev/loop0");
    EXPECT_EQ(spell_device("loop0"), "7:0 /dev/loop0");
}

}  // namespace
}  // namespace rr::test
