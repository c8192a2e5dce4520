// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// /dev/ringraid/NAME: the link that people and fstab use.
//
// Several arrays may have one name, on disks of several hosts. The link is the first
// one's for as long as it runs: a client of it must not find somebody else's data.
#pragma once

#include <string>
#include <vector>

#include "md/superblock.h"
#include "ublk/device.h"

namespace rr {

// @others: the block devices of the other arrays that run. Says so in the log when
// the link is one of theirs; this array then has its number only.
void make_name_link(const std::string& set_name, const ublk_device& device,
                    const std::vector<std::string>& others);

// Where it leads to @block_path. Call it while the number is still ours.
void remove_name_link(const std::string& set_name, const std::string& block_path);

// Where it leads nowhere: the device was deleted while nobody served it.
void remove_dangling_link(const std::string& set_name);

// All others that lead to @block_path, whose number has just become ours: they are of who
// had it before, died, and lost the device to somebody else.
void remove_older_links(const std::string& set_name, const std::string& block_path);

}  // namespace rr
