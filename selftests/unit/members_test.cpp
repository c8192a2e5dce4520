// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Opening members: on files, on a made-up sysfs, and on loop devices where the
// machine has them.
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "md_helpers.h"
#include "members/member.h"
#include "members/nvme.h"

namespace rr::test {
namespace {

namespace fs = std::filesystem;

const open_options files_allowed{.allow_regular_file = true};
const open_options create_on_files{.allow_regular_file = true, .for_create = true};

int error_of(const Result<member_device>& member) {
    return member ? 0 : member.error().err;
}

void put(const std::string& path, uint64_t byte, const std::string& text) {
    const Fd fd = open_file(path);
    ASSERT_EQ(::pwrite(fd.get(), text.data(), text.size(), static_cast<off_t>(byte)),
              static_cast<ssize_t>(text.size()));
}

TEST(Members, AFileIsAMemberOnlyWhereThatIsAllowed) {
    const scratch_dir dir;
    const std::string path = dir.file("m", 4096);
    EXPECT_EQ(error_of(open_member(path)), ENOTBLK);
    const auto member = open_member(path, files_allowed);
    ASSERT_TRUE(member) << describe(member.error());
    EXPECT_EQ(member->sectors, 4096U);
    EXPECT_EQ(member->path, path);
    EXPECT_NE(::fcntl(member->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(::fcntl(member->fd.get(), F_GETFL) & O_ACCMODE, O_RDWR);
}

TEST(Members, WhatIsNoDeviceIsRefused) {
    const scratch_dir dir;
    EXPECT_EQ(error_of(open_member(dir.file("m", 8) + "-absent", files_allowed)), ENOENT);
    EXPECT_EQ(error_of(open_member("/dev/null", files_allowed)), ENOTBLK);
    EXPECT_EQ(error_of(open_member("/tmp", files_allowed)), ENOTBLK);
}

TEST(Members, TooSmallIsRefused) {
    const scratch_dir dir;
    const std::string path = dir.file("m", 4096);
    open_options options = files_allowed;
    options.min_sectors = 4096;
    EXPECT_EQ(error_of(open_member(path, options)), 0);
    options.min_sectors = 4097;
    EXPECT_EQ(error_of(open_member(path, options)), ENOSPC);
}

TEST(Members, OneDeviceByTwoPathsIsRefused) {
    const scratch_dir dir;
    const std::string path = dir.file("m", 4096), other = dir.file("o", 4096);
    const std::string link = path + "-link";
    fs::create_symlink(path, link);
    EXPECT_TRUE(open_members({path, other}, files_allowed));
    for (const auto& paths : {std::vector{path, path}, {path, other, link}, {link, other, path}}) {
        const auto members = open_members(paths, files_allowed);
        ASSERT_FALSE(members);
        EXPECT_EQ(members.error().err, EEXIST);
        EXPECT_NE(members.error().what.find("same device"), std::string::npos);
    }
}

// --- Signatures.

TEST(MemberSignatures, ForeignOnesAreNamedAndRefusedUntilForced) {
    struct signature {
        const char* name;
        uint64_t byte;
        std::string bytes;
        const char* said;
    };
    std::string table(66, '\0');  // one partition of type 0x83 and the mark
    table.replace(0, 16, std::string("\0\0\2\0\x83\0\0\0\0\x08\0\0\0\x10\0\0", 16));
    table.replace(64, 2, "\x55\xaa");
    for (const signature& one : {signature{"swap", 4086, "SWAPSPACE2", "swap"},
                                 signature{"dos", 446, table, "dos partition table"}}) {
        const scratch_dir dir;
        const std::string path = dir.file(one.name, 32768);
        EXPECT_TRUE(open_member(path, create_on_files)) << one.name << " before";
        put(path, one.byte, one.bytes);
        if (std::string(one.name) == "swap")
            put(path, 1024, std::string("\1\0\0\0\xff\x0f\0\0", 8));  // version, last page
        const auto refused = open_member(path, create_on_files);
        ASSERT_FALSE(refused) << one.name;
        EXPECT_EQ(refused.error().err, EEXIST);
        EXPECT_NE(refused.error().what.find(one.said), std::string::npos) << refused.error().what;
        EXPECT_FALSE(refused.error().hint.empty());
        open_options forced = create_on_files;
        forced.force = true;
        EXPECT_TRUE(open_member(path, forced));
        EXPECT_TRUE(open_member(path, files_allowed)) << "assembly does not look";
    }
}

TEST(MemberSignatures, OurOwnMembersAreFoundToo) {
    const scratch_dir dir;
    const std::string path = dir.file("m", 131072);
    ASSERT_TRUE(md::write_superblock(open_file(path).get(), must_make(four_members())[0]));
    const auto refused = open_member(path, create_on_files);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().what.find("linux_raid_member"), std::string::npos);
    EXPECT_NE(refused.error().what.find("host:test"), std::string::npos);
}

// An md superblock 0.90 at the end would win over the 1.2 that create writes.
TEST(MemberSignatures, AllAreErasedWhereverTheyLie) {
    const scratch_dir dir;
    const uint64_t sectors = 32768;
    const std::string path = dir.file("m", sectors);
    ASSERT_TRUE(md::write_superblock(open_file(path).get(), must_make(four_members())[0]));
    put(path, sectors * 512 - 65536, "\xfc\x4e\x2b\xa9");
    put(path, 510, "\x55\xaa");
    put(path, 12345, "data");
    const auto before = probe_signature(path);
    ASSERT_TRUE(before && *before);
    ASSERT_TRUE(wipe_signatures(path));
    const auto after = probe_signature(path);
    ASSERT_TRUE(after);
    EXPECT_FALSE(*after) << **after;
    char text[4];
    ASSERT_EQ(::pread(open_file(path).get(), text, 4, 12345), 4);
    EXPECT_EQ(std::string(text, 4), "data");
    put(path, sectors * 512 - 65536, "\xfc\x4e\x2b\xa9");
    const auto last = probe_signature(path);
    ASSERT_TRUE(last);
    EXPECT_TRUE(*last) << "the old superblock alone is seen";
    EXPECT_EQ(wipe_signatures("/nonexistent").error().err, ENOENT);
}

TEST(MemberSignatures, ABlankDeviceHasNone) {
    const scratch_dir dir;
    const auto found = probe_signature(dir.file("m", 4096));
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
    EXPECT_EQ(probe_signature("/nonexistent").error().err, ENOENT);
}

// --- Queue limits.

class MemberLimits : public testing::Test {
protected:
    void publish(const std::string& node, const std::string& name, const std::string& value) const {
        const fs::path file = root_ / node / "queue" / name;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << value << '\n';
    }
    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("marker", 1)).parent_path() / "sys";
};

TEST_F(MemberLimits, ADiskHasItsOwn) {
    const std::string disk = "dev/block/259:3";
    publish(disk, "max_sectors_kb", "1280");
    publish(disk, "max_segments", "127");
    publish(disk, "max_segment_size", "4294967295");
    publish(disk, "dma_alignment", "3");
    publish(disk, "virt_boundary_mask", "4095");
    publish(disk, "physical_block_size", "4096");
    publish(disk, "write_zeroes_max_bytes", "2147450880");
    publish(disk, "zoned", "host-managed");
    const queue_limits limits = read_queue_limits(makedev(259, 3), root_);
    EXPECT_EQ(limits.max_io_bytes, 1280U * 1024);
    EXPECT_EQ(limits.max_segments, 127U);
    EXPECT_EQ(limits.max_segment_bytes, 4294967295U);
    EXPECT_EQ(limits.dma_alignment, 3U);
    EXPECT_EQ(limits.virt_boundary_mask, 4095U);
    EXPECT_EQ(limits.physical_block_bytes, 4096U);
    EXPECT_EQ(limits.write_zeroes_bytes, 2147450880U);
    EXPECT_EQ(limits.zone_model, "host-managed");
    publish(disk, "zoned", "none");
    EXPECT_TRUE(read_queue_limits(makedev(259, 3), root_).zone_model.empty());
}

TEST_F(MemberLimits, APartitionHasItsParents) {
    const fs::path disk = root_ / "devices" / "nvme0n1";
    fs::create_directories(disk / "nvme0n1p2");
    std::ofstream(disk / "nvme0n1p2" / "partition") << "2\n";
    fs::create_directories(disk / "queue");
    std::ofstream(disk / "queue" / "max_segments") << "33\n";
    fs::create_directories(root_ / "dev" / "block");
    fs::create_directory_symlink(disk / "nvme0n1p2", root_ / "dev" / "block" / "259:7");
    const queue_limits limits = read_queue_limits(makedev(259, 7), root_);
    EXPECT_EQ(limits.max_segments, 33U);
}

TEST_F(MemberLimits, WhatIsNotPublishedOrNotANumberIsAbsent) {
    publish("dev/block/8:0", "max_segments", "many");
    publish("dev/block/8:0", "dma_alignment", "-1");
    publish("dev/block/8:0", "max_segment_size", std::string(30, '9'));
    const queue_limits limits = read_queue_limits(makedev(8, 0), root_);
    EXPECT_FALSE(limits.max_segments);
    EXPECT_FALSE(limits.dma_alignment);
    EXPECT_FALSE(limits.max_segment_bytes);
    EXPECT_FALSE(limits.max_io_bytes);
    EXPECT_FALSE(limits.virt_boundary_mask);
    EXPECT_TRUE(limits.zone_model.empty());
}

// --- Block devices.

class MemberLoop : public testing::Test {
protected:
    void SetUp() override {
        const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
        const int number = control ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
        path_ = fmt::format("/dev/loop{}", number);
        loop_ = Fd(number < 0 ? -1 : ::open(path_.c_str(), O_RDWR | O_CLOEXEC));
        const Fd backing = open_file(dir_.file("backing", 131072));
        if (!loop_ || ::ioctl(loop_.get(), LOOP_SET_FD, backing.get()) != 0)
            GTEST_SKIP() << "no loop device can be made here";
        attached_ = true;
    }
    void TearDown() override {
        if (attached_)
            ::ioctl(loop_.get(), LOOP_CLR_FD);
    }
    scratch_dir dir_;
    std::string path_;
    Fd loop_;
    bool attached_ = false;
};

TEST_F(MemberLoop, IsOpenedExclusivelyAndDirect) {
    auto member = open_member(path_);
    ASSERT_TRUE(member) << describe(member.error());
    EXPECT_EQ(member->sectors, 131072U);
    EXPECT_EQ(member->logical_block_bytes, 512U);
    EXPECT_NE(::fcntl(member->fd.get(), F_GETFL) & O_DIRECT, 0);
    EXPECT_TRUE(member->limits.max_io_bytes);

    EXPECT_EQ(error_of(open_member(path_)), EBUSY);
    EXPECT_TRUE(open_member(path_, {.read_only = true})) << "examine works beside an owner";
    member->fd.reset();
    EXPECT_TRUE(open_member(path_));
}

TEST_F(MemberLoop, TakesMetadataThroughODirectAndIsProbed) {
    const auto member = open_member(path_, {.for_create = true});
    ASSERT_TRUE(member) << describe(member.error());
    const auto made = must_make(four_members());
    ASSERT_TRUE(md::write_superblock(member->fd.get(), made[1]));
    const auto read = md::read_superblock(member->fd.get());
    ASSERT_TRUE(read) << describe(read.error());
    EXPECT_EQ(read->device_uuid, made[1].device_uuid);
    const auto found = probe_signature(path_);
    ASSERT_TRUE(found);
    EXPECT_NE(found->value_or("").find("linux_raid_member"), std::string::npos);
}

TEST_F(MemberLoop, GivenTwiceIsTheSameDevice) {
    const auto members = open_members({path_, path_});
    ASSERT_FALSE(members);
    EXPECT_EQ(members.error().err, EEXIST);
}

// --- NVMe namespaces, on a made-up sysfs.

class NvmeMembers : public testing::Test {
protected:
    // sysfs of a block device 259:N called @name, on @parent.
    member_device disk(const std::string& name, const std::string& parent) {
        const fs::path device = root_ / "devices" / parent;
        const fs::path node = device / name;
        fs::create_directories(node);
        fs::create_directory_symlink(device, node / "device");
        fs::create_directories(root_ / "dev/block");
        member_device member;
        member.path = "/dev/" + name;
        member.device = makedev(259, ++made_);
        fs::create_directory_symlink(node, root_ / "dev/block" / fmt::format("259:{}", made_));
        return member;
    }
    void generic(const std::string& name, const std::string& parent) {
        const fs::path node = root_ / "class/nvme-generic" / name;
        fs::create_directories(node);
        fs::create_directory_symlink(root_ / "devices" / parent, node / "device");
        std::ofstream(node / "dev") << "1:3\n";
    }
    void attribute(const std::string& path, const std::string& text) {
        std::ofstream(root_ / "devices" / path) << text << '\n';
    }
    std::string refusal(const member_device& member) {
        const auto opened = open_nvme(member, root_, "/dev");
        return opened ? "" : opened.error().what;
    }

    scratch_dir dir_;
    fs::path root_ = fs::path(dir_.file("sys", 0) + ".d");
    unsigned made_ = 0;
};

TEST_F(NvmeMembers, WhatTakesNoCommandsIsRefused) {
    EXPECT_NE(refusal(disk("sda", "scsi0")).find("no NVMe namespace"), std::string::npos);
    EXPECT_NE(refusal(disk("nvme9n1", "nvme9")).find("no NVMe namespace"), std::string::npos);
    const member_device part = disk("nvme0n1p1", "nvme0/nvme0n1");
    attribute("nvme0/nvme0n1/nvme0n1p1/partition", "1");
    EXPECT_NE(refusal(part).find("is a partition"), std::string::npos);
}

TEST_F(NvmeMembers, AMultipathDeviceIsRefused) {
    const member_device head = disk("nvme1n1", "nvme-subsys1");
    generic("ng1n1", "nvme-subsys1");
    EXPECT_NE(refusal(head).find("multipath"), std::string::npos);
}

TEST_F(NvmeMembers, BlocksWithMetadataAreRefused) {
    const member_device disk2 = disk("nvme2n1", "nvme2");
    generic("ng2n1", "nvme2");
    attribute("nvme2/nvme2n1/metadata_bytes", "8");
    EXPECT_NE(refusal(disk2).find("8 bytes of metadata"), std::string::npos);
    attribute("nvme2/nvme2n1/metadata_bytes", "0");
    EXPECT_EQ(refusal(disk2).find("metadata"), std::string::npos);
}

TEST_F(NvmeMembers, ADiskWithoutTheDriversNameIsRefused) {
    const member_device disk3 = disk("null", "nvme3");
    EXPECT_NE(refusal(disk3).find("no NVMe namespace"), std::string::npos);
}

}  // namespace
}  // namespace rr::test
