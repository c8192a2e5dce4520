// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Opens member devices, exclusively, and says what they can do.
//
// O_EXCL on a block device is the kernel's own agreement on who owns it: md,
// device-mapper and mounted file systems hold it too, so two of us never write
// the same disk. O_DIRECT keeps metadata out of a page cache that the BPF
// datapath would bypass.
//
// Queue limits come from sysfs (Documentation/ABI/stable/sysfs-block), where a
// partition has none and its parent's hold. A limit that this kernel does not
// publish is absent, not zero.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "members/identity.h"

namespace rr {

// Bytes unless named otherwise.
struct queue_limits {
    std::optional<uint64_t> max_io_bytes;  // sysfs max_sectors_kb
    std::optional<uint64_t> max_segments;  // count
    std::optional<uint64_t> max_segment_bytes;
    std::optional<uint64_t> dma_alignment;  // mask
    std::optional<uint64_t> virt_boundary_mask;
    std::optional<uint64_t> physical_block_bytes;
    std::optional<uint64_t> write_zeroes_bytes;     // of a command that the device has for it
    std::optional<uint64_t> unmapped_zeroes_bytes;  // ... and that deallocates
    std::string zone_model;                         // sysfs zoned; empty: an ordinary disk
    // What it acknowledges may be lost when it loses power, until it is flushed.
    // True where the kernel does not say.
    bool volatile_cache = true;
    bool rotational = false;
};

struct member_device {
    std::string path;
    std::string kernel_name;  // "sdc", when it was opened; empty for a regular file
    Fd fd;
    uint64_t sectors = 0;  // of 512 bytes
    uint32_t logical_block_bytes = 512;
    queue_limits limits;
    dev_t device = 0;          // st_rdev; of a regular file: st_dev
    ino_t inode = 0;           // of a regular file; 0 for a block device
    device_identity identity;  // what stays when its name does not
};

struct open_options {
    bool allow_regular_file = false;  // tests
    bool for_create = false;          // refuse devices that hold something
    bool force = false;               // for_create: take them all the same
    bool read_only = false;           // examine: no O_EXCL, nothing is changed
    uint64_t min_sectors = 0;
};

// EBUSY: someone else owns the device. EROFS: it takes no writes. ENOTBLK: not a
// block device. ENOTSUP: one that cannot serve (zoned, odd block sizes). ENOSPC:
// smaller than min_sectors. EEXIST: holds a signature (for_create, no force).
[[nodiscard]] Result<member_device> open_member(const std::string& path,
                                                const open_options& options = {});

// Opens all, in order. Besides open_member()'s errors, EEXIST when two paths
// name one device, and EINVAL when logical block sizes differ.
[[nodiscard]] Result<std::vector<member_device>> open_members(const std::vector<std::string>& paths,
                                                              const open_options& options = {});

// The one among @members whose device @path leads to, or nullptr.
[[nodiscard]] const member_device* same_device(const std::vector<member_device>& members,
                                               const std::string& path);

// The signature libblkid finds on the device: "ext4 file system", "dos
// partition table", "linux_raid_member". nullopt: none. Several contradicting
// signatures count as one found.
[[nodiscard]] Result<std::optional<std::string>> probe_signature(const std::string& path);

// Erases every signature that libblkid finds on the device, wherever it lies:
// an old md superblock at the device's end would else be taken for the truth.
// Durable when it returns.
[[nodiscard]] Status wipe_signatures(const std::string& path);

// For a device that is about to be written without a wait, or that NVMe commands may
// have written to, of which its page cache is not told. Says so in the log when it
// cannot: what is cached may be old.
void drop_page_cache(int fd, const std::string& path);

// Limits of the queue that serves @device. @sysfs: where sysfs is mounted.
[[nodiscard]] queue_limits read_queue_limits(dev_t device, const std::string& sysfs = "/sys");

}  // namespace rr
