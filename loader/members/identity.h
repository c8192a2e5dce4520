// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What tells one disk from another, whatever its name is.
//
// A kernel name, a link and even a device number may be another disk's after
// the next reconnection; the bytes on a disk may be a copy's. What is left is
// what the disk says of itself, as sysfs has it (no udev is needed):
//
//   SCSI, NVMe        the kernel's WWID
//   MMC, DASD         the card's CID, the volume's UID
//   device-mapper, md the map's uuid, where it has one
//   virtio, others    the serial, with vendor and model where they are told
//   a partition       its disk's identity, and its partition uuid where the
//                     kernel has it, else its first sector
//   everything else   device number and diskseq, which is weak: true until the
//                     device is detached, and never again after that
//
// A disk that says nothing, or only zeros, has a weak identity. Two devices of one
// strong identity are two paths of one disk; that the maker gave two disks one
// serial cannot be told from that here, and is told by what the disks carry.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace rr {

// Longest text of an identity, so that records of fixed size can hold it with
// its end.
inline constexpr size_t identity_bytes_max = 127;

struct device_identity {
    std::string text;      // one line of printable ASCII without spaces
    bool strong = false;   // survives another name, another number and a reconnection
    dev_t device = 0;      // when it was looked at
    uint64_t diskseq = 0;  // of the disk; 0: this kernel has none
};

// Of the block device with that number. A device that is gone has a weak one.
// @sysfs: where sysfs is mounted.
[[nodiscard]] device_identity identify_device(dev_t device, const std::string& sysfs = "/sys");

// Of a regular file, which stands for a member in tests.
[[nodiscard]] device_identity identify_file(dev_t file_system, ino_t inode);

// True when both are one disk (or one part of it): strong ones by their text,
// weak ones by device number and diskseq. A strong one is never a weak one.
[[nodiscard]] bool same_disk(const device_identity& one, const device_identity& other);

}  // namespace rr
