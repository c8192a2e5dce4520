// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Looking for members, on a made-up sysfs whose devices are files. Real stacks are
// looked at in selftests/vm-tests/members.sh.
#include <algorithm>

#include <sys/sysmacros.h>

#include "md_helpers.h"
#include "members/scan.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

class MemberScan : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directories(root_ / "udev");
        options_.sysfs = root_ / "sys";
        options_.dev = root_ / "dev";
        options_.udev = root_ / "udev";
        options_.allow_regular_file = true;
    }
    // A device 8:@number with the superblock of that role, or without any.
    void device(const std::string& name, unsigned number, int role = -1) {
        attribute(name, "dev", fmt::format("8:{}", number));
        attribute(name, "size", "131072");
        const fs::path node = root_ / "dev" / name;
        fs::create_directories(node.parent_path());
        std::ofstream{node};
        fs::resize_file(node, 131072 * 512);
        if (role >= 0) {
            ASSERT_TRUE(md::write_superblock(open_file(node).get(), made_.at(role)));
        }
    }
    void attribute(const std::string& name, const std::string& file, const std::string& value) {
        const fs::path path = root_ / "sys/class/block" / name / file;
        fs::create_directories(path.parent_path());
        std::ofstream(path) << value << '\n';
    }
    void held_by(const std::string& name, const std::string& holder) {
        fs::create_directories(root_ / "sys/class/block" / name / "holders" / holder);
    }
    void link(const std::string& from, const std::string& name) {
        const fs::path path = root_ / "dev" / from;
        fs::create_directories(path.parent_path());
        fs::create_symlink(root_ / "dev" / name, path);
    }
    // The names found, without /dev/.
    std::vector<std::string> found() {
        std::vector<std::string> names;
        for (const found_member& m : scan_members(options_).members)
            names.push_back(m.path.substr(options_.dev.size() + 1));
        return names;
    }
    std::string why_passed(const std::string& name) {
        for (const passed_device& p : scan_members(options_).passed) {
            if (p.path == options_.dev + "/" + name)
                return p.why.what;
        }
        return "";
    }
    using names = std::vector<std::string>;

    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("marker", 1)).parent_path();
    scan_options options_;
    std::vector<md::md_superblock> made_ = must_make(four_members());
};

TEST_F(MemberScan, FindsWhatCarriesASuperblock) {
    device("sdb", 16, 1);
    device("sda", 0, 0);
    device("sdc", 32);
    EXPECT_EQ(found(), (names{"sda", "sdb"}));
    const scan_result scan = scan_members(options_);
    EXPECT_TRUE(scan.passed.empty());
    EXPECT_EQ(scan.members[1].superblock.device_uuid, made_[1].device_uuid);
    EXPECT_EQ(scan.members[1].sectors, 131072U);
    EXPECT_EQ(find_members(made_[0].set_uuid, options_).members.size(), 2U);
    EXPECT_TRUE(find_members(md::uuid{}, options_).members.empty());
}

TEST_F(MemberScan, TakesTheTopOfAStack) {
    device("sda", 0, 0);
    device("sdb", 16, 0);
    device("dm-0", 64, 0);
    held_by("sda", "dm-0");
    held_by("sdb", "dm-0");
    EXPECT_EQ(found(), names{"dm-0"});
    EXPECT_NE(why_passed("sda").find("dm-0"), std::string::npos);
    attribute("dm-0", "dm/name", "mpatha");
    link("mapper/mpatha", "dm-0");
    EXPECT_EQ(found(), names{"mapper/mpatha"});
}

// A map that does not carry the member itself keeps it from us, and that is no loss.
TEST_F(MemberScan, AMemberInUseIsNotLost) {
    const auto held = [&] { return held_members(scan_members(options_), made_[0].set_uuid); };
    device("sda", 0, 0);
    device("sdb", 16, 1);
    device("dm-0", 64);
    held_by("sdb", "dm-0");
    ASSERT_EQ(held().size(), 1U);
    EXPECT_EQ(held()[0].superblock->device_uuid, made_[1].device_uuid);
    device("dm-1", 65, 1);
    held_by("sdb", "dm-1");
    EXPECT_TRUE(held().empty());
}

TEST_F(MemberScan, SeesWhatTheKernelShows) {
    device("nvme0c0n1", 0, 0);
    device("sr0", 16, 0);
    device("sda", 32, 0);
    device("sda1", 33, 1);
    attribute("nvme0c0n1", "hidden", "1");
    attribute("sr0", "size", "0");
    EXPECT_EQ(found(), (names{"sda", "sda1"}));
}

TEST_F(MemberScan, LeavesAloneWhatItIsTold) {
    device("ublkb0", 0, 0);
    device("sda", 16, 1);
    options_.leave_alone = [](const std::string& name) -> std::optional<std::string> {
        if (name == "ublkb0")
            return "is an array";
        return std::nullopt;
    };
    EXPECT_EQ(found(), names{"sda"});
    EXPECT_NE(why_passed("ublkb0").find("is an array"), std::string::npos);
    device("dm-0", 64, 2);
    device("dm-1", 65, 3);
    fs::create_directories(root_ / "sys/class/block/dm-0/slaves/dm-1");
    EXPECT_EQ(found(), (names{"sda", "dm-0", "dm-1"}));
    fs::create_directories(root_ / "sys/class/block/dm-1/slaves/ublkb0");
    EXPECT_EQ(found(), names{"sda"}) << "a map on a map on it";
}

// A map is wanted although its disks are not, and nothing is said of the
// others.
TEST_F(MemberScan, LooksAtWhatIsWantedOnly) {
    device("sda", 0, 1);
    device("sdb", 16, 2);
    device("dm-0", 64, 2);
    held_by("sdb", "dm-0");
    fs::create_directories(root_ / "sys/class/block/dm-0/slaves/sdb");
    options_.wanted = [](const std::string& name) { return name == "dm-0"; };
    EXPECT_EQ(found(), names{"dm-0"});
    EXPECT_TRUE(scan_members(options_).passed.empty());
}

TEST_F(MemberScan, SaysWhatCannotBeRead) {
    device("sda", 0, 0);
    attribute("sdb", "dev", "8:16");
    attribute("sdb", "size", "8");
    device("sdc", 32, 1);
    std::ofstream(root_ / "dev/sdc", std::ios::in | std::ios::out).seekp(4096 + 80) << "?";
    EXPECT_EQ(found(), names{"sda"});
    EXPECT_FALSE(why_passed("sdb").empty()) << "no node in /dev";
    EXPECT_NE(why_passed("sdc").find("checksum"), std::string::npos) << why_passed("sdc");
}

TEST_F(MemberScan, NamesADeviceAsUdevDoes) {
    device("sda", 0, 0);
    std::ofstream(root_ / "udev/b8:0") << "S:disk/by-id/wwn-0x5000\nS:disk/by-path/pci-0\n"
                                          "S:disk/by-id/ata-ACME_1\nS:disk/by-id/aaa-gone\n"
                                          "S:disk/by-id/lvm-pv-uuid-1\nE:ID_MODEL=x\n";
    EXPECT_EQ(found(), names{"sda"}) << "links that are not there";
    link("disk/by-id/wwn-0x5000", "sda");
    link("disk/by-id/lvm-pv-uuid-1", "sda");
    link("disk/by-path/pci-0", "sda");
    EXPECT_EQ(found(), names{"disk/by-id/wwn-0x5000"});
    link("disk/by-id/ata-ACME_1", "sda");
    EXPECT_EQ(found(), names{"disk/by-id/ata-ACME_1"});
}

}  // namespace
}  // namespace rr::test
