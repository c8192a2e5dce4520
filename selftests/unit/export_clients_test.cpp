// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which disks of a machine show an export of the same machine, by a sysfs of our own.
#include "export/clients.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace rr {
namespace {

namespace fs = std::filesystem;

class ExportClients : public ::testing::Test {
protected:
    ExportClients() : sysfs_(fs::canonical(::testing::TempDir()) / "rr-sysfs") {
        fs::remove_all(sysfs_);
        fs::create_directories(sysfs_ / "class/block");
        for (const std::string& kind : export_kinds()) {
            export_spec spec;
            spec.kind = *parse_export_kind(kind);
            spec.array = "01234567:89abcdef:fedcba98:76543210";
            spec.array_name = "data";
            EXPECT_TRUE(complete(spec));
            exports_.push_back(spec);
        }
    }
    ~ExportClients() override { fs::remove_all(sysfs_); }

    // A disk at devices/@place with one attribute.
    void disk(const std::string& name, const std::string& place, const std::string& attribute,
              const std::string& value) {
        const fs::path node = sysfs_ / "devices" / place / name;
        fs::create_directories((node / attribute).parent_path());
        std::ofstream(node / attribute) << value << '\n';
        fs::create_symlink(node, sysfs_ / "class/block" / name);
    }

    [[nodiscard]] std::string shown(const std::string& name) const {
        return export_shown_by(name, exports_, sysfs_).value_or("");
    }

    fs::path sysfs_;
    std::vector<export_spec> exports_;
};

TEST_F(ExportClients, AreTold) {
    disk("nvme4n1", "virtual/nvme-subsystem", "uuid", "01234567-89ab-cdef-fedc-ba9876543210");
    disk("nvme0n1", "pci/nvme0", "uuid", "01234567-89ab-cdef-fedc-ba9876543211");
    disk("vda", "vduse/data-vduse/virtio3/block", "size", "8");
    disk("vdb", "pci0000:00/virtio1/block", "size", "8");
    disk("loop0", "virtual/block", "loop/backing_file", "/run/ringraid/exports/data-fuse.img");
    disk("loop1", "virtual/block", "loop/backing_file", "/data.img");
    disk("nbd0", "virtual/block", "size", "8");
    EXPECT_EQ(shown("nvme4n1"), "data-nvme-tcp");
    EXPECT_EQ(shown("nvme0n1"), "");
    EXPECT_EQ(shown("vda"), "data-vduse");
    EXPECT_EQ(shown("vdb"), "");
    EXPECT_EQ(shown("loop0"), "data-fuse");
    EXPECT_EQ(shown("loop1"), "");
    EXPECT_EQ(shown("nbd0"), "data-nbd");
    EXPECT_EQ(shown("gone"), "");
    std::erase_if(exports_, [](const export_spec& e) { return e.kind != export_kind::vhost_user; });
    EXPECT_EQ(shown("nbd0"), "data-vhost-user") << "a program made NBD of it";
    exports_.clear();
    EXPECT_EQ(shown("nbd0"), "");
}

// Other machines' exports have such names, too.
TEST_F(ExportClients, OfIscsiHaveItsSerial) {
    for (const char* name : {"sda", "sdb", "sdc"}) {
        const std::string place = std::string("target/") + name + "/block";
        disk(name, place, "device/vendor", "LIO-ORG ");
        std::ofstream(sysfs_ / "devices" / place / name / "device/model") << "IBLOCK          \n";
    }
    const auto page = [this](const char* name, const std::string& uuid) {
        std::ofstream(sysfs_ / "class/block" / name / "device/vpd_pg80", std::ios::binary)
            << std::string("\0\x80\0\x25", 4) << uuid << '\0';
    };
    page("sda", "01234567-89ab-cdef-fedc-ba9876543210");
    page("sdb", "01234567-89ab-cdef-fedc-ba9876543211");
    EXPECT_EQ(shown("sda"), "data-iscsi");
    EXPECT_EQ(shown("sdb"), "");
    EXPECT_EQ(shown("sdc"), "data-iscsi") << "it does not say";
}

TEST_F(ExportClients, ArePartitionsToo) {
    disk("nvme4n1", "virtual/nvme-subsystem", "uuid", "01234567-89ab-cdef-fedc-ba9876543210");
    disk("nvme4n1p1", "virtual/nvme-subsystem/nvme4n1", "partition", "1");
    EXPECT_EQ(shown("nvme4n1p1"), "data-nvme-tcp");
}

}  // namespace
}  // namespace rr
