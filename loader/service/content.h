// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whether what is on an array can live with larger logical blocks than it was
// made with.
//
// A member replaced by a disk of 4096-byte blocks gives the whole array such
// blocks: the disk takes no smaller write. md does the same. Most file systems do
// not notice; a partition table counts in blocks, and a file system whose own
// blocks (or sectors) are smaller cannot be mounted. Both are looked for, with
// libblkid, in the array's first bytes as they are read through its geometry, a
// missing member's computed from the others.
//
// What is inside of a volume manager, of encryption or of a file system's files
// cannot be seen from here; a table or file system in there that needs smaller
// blocks is refused by the kernel when it is used, and nothing is harmed by that.
#pragma once

#include "base/result.h"
#include "service/membership.h"

namespace rr {

// ENOTSUP with the reason when the array cannot have its members' largest blocks:
// data that does not begin and end on such blocks, or content that needs smaller
// ones. Reads only where members differ.
[[nodiscard]] Status check_block_size(const array_members& members);

// As check_block_size() has it of @bytes of content read from @fd.
[[nodiscard]] Status check_content(int fd, uint32_t logical_block_bytes);

// @into becomes the array's content from @sector on; whole blocks of 4 KiB within
// the array.
[[nodiscard]] Status read_array(const array_members& members, uint64_t sector,
                                std::span<uint8_t> into);

}  // namespace rr
