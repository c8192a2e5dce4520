// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which disk is which, on a made-up sysfs. What real drivers put there is looked
// at in selftests/vm-tests/members.sh.
#include <sys/sysmacros.h>

#include <algorithm>
#include <fstream>

#include "md_helpers.h"
#include "members/identity.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

class MemberIdentity : public testing::Test {
protected:
    // sysfs of the block device MAJ:MIN, with that attribute of its directory.
    dev_t disk(const std::string& name, unsigned number) {
        const fs::path node = root_ / "devices" / name;
        fs::create_directories(node);
        fs::create_directories(root_ / "dev/block");
        fs::create_directory_symlink(node, root_ / "dev/block" / fmt::format("8:{}", number));
        attribute(name + "/diskseq", fmt::format("{}\n", 100 + number));
        return makedev(8, number);
    }
    dev_t part(const std::string& name, unsigned number, const std::string& start) {
        const fs::path node = root_ / "devices" / name;
        fs::create_directories(node);
        fs::create_directory_symlink(node, root_ / "dev/block" / fmt::format("8:{}", number));
        attribute(name + "/partition", "1\n");
        attribute(name + "/start", start + "\n");
        return makedev(8, number);
    }
    void attribute(const std::string& path, const std::string& bytes) const {
        const fs::path file = root_ / "devices" / path;
        fs::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << bytes;
    }
    device_identity of(dev_t device) { return identify_device(device, root_); }

    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("marker", 1)).parent_path() / "sys";
};

TEST_F(MemberIdentity, IsTheWwidWhereThereIsOne) {
    const dev_t nvme = disk("nvme0n1", 1), scsi = disk("sda", 2);
    attribute("nvme0n1/wwid", "eui.0025385b71b05c2f\n");
    attribute("sda/device/wwid", "t10.ATA     SAMSUNG SSD   \tS3Z9NB0K  \n");
    attribute("sda/serial", "not this\n");
    EXPECT_EQ(of(nvme).text, "eui.0025385b71b05c2f");
    EXPECT_EQ(of(scsi).text, "t10.ATA_SAMSUNG_SSD_S3Z9NB0K");
    EXPECT_TRUE(of(nvme).strong);
    EXPECT_EQ(of(scsi).device, scsi);
    EXPECT_EQ(of(scsi).diskseq, 102U);
}

TEST_F(MemberIdentity, IsTheUuidOfAMap) {
    const dev_t map = disk("dm-0", 1), unnamed = disk("dm-1", 2), raid = disk("md0", 3);
    attribute("dm-0/dm/uuid", "mpath-3600508b400105e210000900000490000\n");
    attribute("dm-1/dm/uuid", "\n");
    attribute("md0/md/uuid", "4ab33f10-76e2-4b60-8be5-b5ba2c5ef03a\n");
    EXPECT_EQ(of(map).text, "dm.mpath-3600508b400105e210000900000490000");
    EXPECT_FALSE(of(unnamed).strong);
    EXPECT_EQ(of(raid).text, "md.4ab33f10-76e2-4b60-8be5-b5ba2c5ef03a");
}

TEST_F(MemberIdentity, IsTheSerialWithTheModelElse) {
    const dev_t virtio = disk("vda", 1), scsi = disk("sdb", 2);
    attribute("vda/serial", "disk0\n");
    attribute("sdb/device/vendor", "ACME    \n");
    attribute("sdb/device/model", "Disk 9000       \n");
    attribute("sdb/device/vpd_pg80", std::string("\0\x80\0\x08  WX1234", 12));
    EXPECT_EQ(of(virtio).text, "serial.disk0");
    EXPECT_EQ(of(scsi).text, "serial.ACME.Disk_9000.WX1234");
    EXPECT_TRUE(of(scsi).strong);
}

TEST_F(MemberIdentity, IsWeakWhereTheDiskSaysNothing) {
    unsigned number = 0;
    for (const std::string value : {"", "\n", "eui.0000000000000000\n", "naa.0\n",
                                    "uuid.00000000-0000-0000-0000-000000000000\n", "t10.   \n"}) {
        number++;
        const dev_t device = disk(fmt::format("sd{}", number), number);
        attribute(fmt::format("sd{}/device/wwid", number), value);
        attribute(fmt::format("sd{}/serial", number), "0000\n");
        EXPECT_FALSE(of(device).strong) << value;
        EXPECT_EQ(of(device).text, fmt::format("8:{}#{}", number, 100 + number));
    }
    EXPECT_EQ(of(makedev(9, 9)).text, "9:9#0") << "a device that is gone";
}

TEST_F(MemberIdentity, APartitionIsItsDisksPart) {
    disk("sda", 1);
    attribute("sda/device/wwid", "naa.5000\n");
    const dev_t one = part("sda/sda1", 2, "2048"), two = part("sda/sda2", 3, "4096");
    attribute("sda/sda2/uevent", "DEVTYPE=partition\nPARTN=2\nPARTUUID=7eb0-02\n");
    EXPECT_EQ(of(one).text, "naa.5000:start-2048");
    EXPECT_EQ(of(two).text, "naa.5000:part-7eb0-02");
    EXPECT_EQ(of(one).diskseq, 101U) << "its disk's";
    disk("loop0", 4);
    const dev_t weak = part("loop0/loop0p1", 5, "2048");
    EXPECT_EQ(of(weak).text, "8:5#104");
    EXPECT_FALSE(of(weak).strong);
}

TEST_F(MemberIdentity, IsOnePrintableLineThatFits) {
    const dev_t one = disk("sda", 1), other = disk("sdb", 2), hostile = disk("sdc", 3);
    attribute("sda/device/wwid", "t10." + std::string(300, 'a') + "1\n");
    attribute("sdb/device/wwid", "t10." + std::string(300, 'a') + "2\n");
    attribute("sdc/device/wwid", "naa.\x1b[2J\nx\xff\0y");
    EXPECT_EQ(of(one).text.size(), identity_bytes_max);
    EXPECT_TRUE(of(one).text.starts_with("t10.aaa"));
    EXPECT_NE(of(one).text, of(other).text);
    for (const dev_t device : {one, other, hostile}) {
        const std::string text = of(device).text;
        EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) {
            return c > ' ' && c <= '~';
        })) << text;
    }
}

TEST_F(MemberIdentity, StrongOnesAreComparedByTextAndWeakOnesByNumber) {
    const device_identity disk_one{"naa.1", true, makedev(8, 0), 7};
    const device_identity renamed{"naa.1", true, makedev(8, 16), 9};
    const device_identity disk_two{"naa.2", true, makedev(8, 0), 7};
    EXPECT_TRUE(same_disk(disk_one, renamed));
    EXPECT_FALSE(same_disk(disk_one, disk_two));
    const device_identity loop{"7:0#7", false, makedev(7, 0), 7};
    const device_identity attached_again{"7:0#8", false, makedev(7, 0), 8};
    EXPECT_TRUE(same_disk(loop, loop));
    EXPECT_FALSE(same_disk(loop, attached_again));
    device_identity weak = disk_one;
    weak.strong = false;
    EXPECT_FALSE(same_disk(disk_one, weak));
    EXPECT_FALSE(same_disk(identify_file(1, 2), identify_file(1, 3)));
}

}  // namespace
}  // namespace rr::test
