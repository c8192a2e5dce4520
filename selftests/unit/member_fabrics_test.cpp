// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which members are behind a network, on a made-up sysfs.
#include <sys/sysmacros.h>

#include <fstream>

#include "md_helpers.h"
#include "members/fabrics.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

class MemberFabrics : public testing::Test {
protected:
    // A controller below @parent, as sysfs has it.
    fs::path controller(const fs::path& parent, const std::string& name,
                        const std::string& transport, const std::string& limit = "5") {
        fs::create_directories(parent / name);
        put(parent / name / "transport", transport);
        put(parent / name / "address", "traddr=10.0.0.1,trsvcid=4420");
        put(parent / name / "state", "live");
        put(parent / name / "fast_io_fail_tmo", limit);
        put(parent / name / "ctrl_loss_tmo", "600");
        return parent / name;
    }
    // The block device 259:@number, of @device.
    dev_t disk(const std::string& name, unsigned number, const fs::path& device) {
        fs::create_directories(device / name);
        fs::create_directory_symlink(device, device / name / "device");
        fs::create_directories(root_ / "dev/block");
        fs::create_directory_symlink(device / name,
                                     root_ / "dev/block" / fmt::format("259:{}", number));
        fs::create_directories(root_ / "class/block");
        fs::create_directory_symlink(device / name, root_ / "class/block" / name);
        return makedev(259, number);
    }
    static void put(const fs::path& file, const std::string& text) {
        std::ofstream(file) << text << '\n';
    }

    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("marker", 1)).parent_path() / "sys";
};

TEST_F(MemberFabrics, ALocalDiskHasNoPaths) {
    const dev_t local = disk("nvme0n1", 1, controller(root_ / "devices", "nvme0", "pcie"));
    EXPECT_TRUE(fabrics_paths(local, root_).empty());
    fs::create_directories(root_ / "devices/scsi");
    EXPECT_TRUE(fabrics_paths(disk("sda", 2, root_ / "devices/scsi"), root_).empty());
    EXPECT_TRUE(fabrics_paths(makedev(259, 9), root_).empty());
}

TEST_F(MemberFabrics, ANamespaceHasItsControllersAndAHeadItsSubsystems) {
    const dev_t plain = disk("nvme1n1", 1, controller(root_ / "devices", "nvme1", "tcp"));
    const auto one = fabrics_paths(plain, root_);
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0].controller, "nvme1");
    EXPECT_EQ(one[0].transport, "tcp");
    const auto by_name = fabrics_paths_of("nvme1n1", root_);
    ASSERT_EQ(by_name.size(), 1U);
    EXPECT_EQ(by_name[0].controller, "nvme1");
    EXPECT_EQ(fabrics_warning("/dev/nvme1n1", one), "");

    const fs::path subsystem = root_ / "devices/nvme-subsys2";
    fs::create_directories(subsystem);
    fs::create_directory_symlink(controller(root_ / "devices", "nvme2", "tcp"),
                                 subsystem / "nvme2");
    fs::create_directory_symlink(controller(root_ / "devices", "nvme3", "tcp", "off"),
                                 subsystem / "nvme3");
    const auto two = fabrics_paths(disk("nvme2n1", 2, subsystem), root_);
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[0].controller, "nvme2");
    const std::string warning = fabrics_warning("/dev/nvme2n1", two);
    EXPECT_NE(warning.find("nvme3"), std::string::npos);
    EXPECT_NE(warning.find("600 s"), std::string::npos);
}

TEST_F(MemberFabrics, IoWaitsForTheFirstLimitThatIsSet) {
    fabrics_path path;
    path.fast_io_fail = "5";
    path.ctrl_loss = "600";
    EXPECT_EQ(fabrics_wait(path), "5 s");
    path.fast_io_fail = "off";
    EXPECT_EQ(fabrics_wait(path), "600 s");
    path.ctrl_loss = "off";
    EXPECT_EQ(fabrics_wait(path), "for ever");
}

}  // namespace
}  // namespace rr::test
